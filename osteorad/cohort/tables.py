"""Tables as spreadsheet programs write them: TSV, CSV with commas or semicolons, XLSX; read as text with line numbers.

Copes with byte order marks, UTF-16, Latin-1, CRLF, decimal commas, `sep=;` lines, trailing blanks and empty lines.
Messages name lines and columns, never the text of a cell: a table may identify people, and messages reach logs.
"""

from __future__ import annotations

import csv
import datetime
import io
import math
import re
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.errors import ConfigError

MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "-", "--", ".", "?", "missing", "unknown"})
DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")
_NUMBER = re.compile(r"^[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:[eE][+-]?\d+)?$")
_MIDNIGHT = re.compile(r"[T ]00:00(:00(\.0+)?)?$")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a table: its number in the file, and column -> text."""

    line: int
    cells: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table read as text."""

    name: str  # how messages call it
    header: tuple[str, ...]
    rows: tuple[Row, ...]

    def column(self, name: str) -> list[tuple[int, str]]:
        """Line and text of each cell of a column."""
        return [(row.line, row.cells[name]) for row in self.rows]

    def records(self) -> list[dict[str, str]]:
        """Rows as column -> text."""
        return [dict(row.cells) for row in self.rows]


def read_table(path: Path, name: str | None = None) -> Table:
    """Read a table; the first line with text is the header.

    Raises ConfigError: not a table, no header, a column that stands twice, cells beyond the header.
    """
    shown = name or path.name
    if path.suffix.lower() in (".xlsx", ".xlsm"):
        lines = list(_sheet_lines(path, shown))
    elif path.suffix.lower() == ".xls":
        raise ConfigError(f"{shown}: old .xls files are not read. Save it as .xlsx or .csv.")
    else:
        lines = list(_text_lines(_decoded(path.read_bytes(), shown), shown))
    filled = [(line, cells) for line, cells in lines if any(cells)]
    if not filled:
        raise ConfigError(f"{shown}: the table is empty. Wanted: a line with the names of the columns, then the rows.")
    return _table(shown, filled)


def _table(name: str, lines: Sequence[tuple[int, Sequence[str]]]) -> Table:
    (head_line, head), body = lines[0], lines[1:]
    header = [cell for cell in head if cell]
    problems = [
        f"{name}:{head_line}: column '{h}' stands twice." for h in sorted({h for h in header if header.count(h) > 1})
    ]
    rows = []
    for line, cells in body:
        if any(cell and (index >= len(head) or not head[index]) for index, cell in enumerate(cells)):
            problems.append(f"{name}:{line}: there are more cells than the {len(header)} named columns.")
        padded = [*cells, *[""] * (len(head) - len(cells))]
        rows.append(Row(line, {h: padded[index] for index, h in enumerate(head) if h}))
    if problems:
        raise ConfigError(problems[:10])
    return Table(name=name, header=tuple(header), rows=tuple(rows))


def _decoded(raw: bytes, name: str) -> str:
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16")
    if b"\0" in raw:
        raise ConfigError(f"{name}: this is not a text table. Wanted: TSV, CSV or XLSX.")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        return raw.decode("cp1252", errors="replace")


def _text_lines(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    first, _, rest = text.partition("\n")
    told = re.fullmatch(r"sep=(.)\s*", first, flags=re.IGNORECASE)
    reader = csv.reader(
        io.StringIO(rest if told else text, newline=""), delimiter=told[1] if told else _delimiter(text)
    )
    offset = 1 if told else 0
    start = 1
    try:
        for cells in reader:
            yield start + offset, [_clean(cell) for cell in cells]
            start = reader.line_num + 1
    except csv.Error:
        raise ConfigError(f"{name}:{start + offset}: the line cannot be read. Is a quotation mark left open?") from None


def _delimiter(text: str) -> str:
    """The separator that stands most often in the first line with text, outside quotation marks."""
    head = next((line for line in text.splitlines() if line.strip()), "")
    bare = re.sub(r'"[^"]*"', "", head)
    return max("\t;,", key=bare.count)


def _sheet_lines(path: Path, name: str) -> Iterator[tuple[int, list[str]]]:
    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
    except (zipfile.BadZipFile, KeyError, ValueError, openpyxl.utils.exceptions.InvalidFileException):
        raise ConfigError(f"{name}: the file cannot be read as XLSX. Save it again, or as CSV.") from None
    try:
        for number, cells in enumerate(book.worksheets[0].iter_rows(values_only=True), start=1):
            yield number, [_cell_text(cell) for cell in cells]
    finally:
        book.close()


def _cell_text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(int(cell))
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime | datetime.date):
        return cell.isoformat()[:10]
    return _clean(str(cell))


def _clean(cell: str) -> str:
    return cell.replace("\u00a0", " ").strip()


# --- what a cell means ------------------------------------------------------------------------------------------------


def is_missing(text: str) -> bool:
    """True for an empty cell and the usual words for one."""
    return text.strip().lower() in MISSING


def number(text: str) -> float | None:
    """The number that a cell holds, with decimal point or comma; None where it holds none."""
    if not _NUMBER.match(text):
        return None
    value = float(text.replace(",", "."))
    return value if math.isfinite(value) else None


def dates(column: Sequence[tuple[int, str]]) -> tuple[dict[int, datetime.date], str]:
    """Line -> date of a column that is written in one format, and what is wrong with it (empty: nothing).

    The format is the one that fits every cell; 03/04/2024 alone fits two and is refused.
    """
    cells = [(line, _MIDNIGHT.sub("", text)) for line, text in column if not is_missing(text)]
    fitting = []
    for form in DATE_FORMATS:
        parsed = {line: date for line, text in cells if (date := _date(text, form))}
        if len(parsed) == len(cells):
            fitting.append(parsed)
    if not cells:
        return {}, ""
    if not fitting:
        bad = [line for line, text in cells if not any(_date(text, form) for form in DATE_FORMATS)]
        if bad:
            return {}, f"no date on {lines_text(bad)}. Wanted: dates such as 2024-05-31."
        return {}, "dates are written in several ways. Wanted: one way, such as 2024-05-31."
    if any(other != fitting[0] for other in fitting[1:]):
        return {}, "day and month cannot be told apart. Wanted: dates such as 2024-05-31."
    return fitting[0], ""


def _date(text: str, form: str) -> datetime.date | None:
    try:
        return datetime.datetime.strptime(text, form).date()
    except ValueError:
        return None


def lines_text(lines: Sequence[int]) -> str:
    """`line 4`, `lines 4, 7`, `lines 4, 7, 9, ... (25 in all)`."""
    shown = ", ".join(str(line) for line in lines[:10])
    more = f", ... ({len(lines)} in all)" if len(lines) > 10 else ""
    return f"line{'s' if len(lines) > 1 else ''} {shown}{more}"
