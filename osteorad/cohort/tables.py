"""Tables as spreadsheet programs write them: TSV, CSV with commas or semicolons, XLSX; read as text with line numbers.

Copes with byte order marks, UTF-16, Latin-1, CRLF, decimal commas, `sep=;` lines, trailing blanks and empty lines.
Messages name lines and columns, never the text of a cell: a table may identify people, and messages reach logs.
"""

from __future__ import annotations

import codecs
import csv
import datetime
import io
import math
import re
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.errors import ConfigError, shortened, unknown_name

MISSING = frozenset({"", "na", "n/a", "nan", "none", "null", "-", "--", ".", "?", "missing", "unknown", "#n/a", "#nv"})
DATE_FORMATS = ("%Y-%m-%d", "%Y%m%d", "%Y/%m/%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")
# Years that dates may have, moved ones of de-identified tables too; others are a spreadsheet's zero, or mean "never".
FIRST_YEAR, LAST_YEAR = 1901, 2300
# Blanks that are none to a program, and characters that nobody sees.
INVISIBLE = {0xA0: " ", 0x2007: " ", 0x202F: " ", 0xFEFF: None, 0x200B: None, 0x200C: None, 0x200D: None, 0xAD: None}
HEADER_CHARACTERS = 1 << 20
LARGEST_BOOK = 1 << 30
NO_TEXT = "this is not a text table. Wanted: TSV, CSV or XLSX."
# What reading a damaged workbook raises.
UNREADABLE_BOOK = (
    zipfile.BadZipFile, zlib.error, struct.error, SyntaxError, LookupError, ValueError, TypeError, AttributeError,
    ArithmeticError, EOFError, RuntimeError, AssertionError,
)  # fmt: skip
_ERROR = re.compile(r"#[A-Z/0]+[!?]")  # what a spreadsheet shows in place of a result
_THOUSANDS = re.compile(r"[+-]?[1-9]\d{0,2},\d{3}")
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

    Raises ConfigError: not a table, no header, a column that stands twice, cells beyond the header, and whatever could
    only be read by a guess.
    """
    shown = name or path.name
    try:
        if path.suffix.lower() in (".xlsx", ".xlsm"):
            lines = _sheet_lines(path, shown)
        elif path.suffix.lower() in (".xls", ".ods", ".numbers"):
            raise ConfigError(f"{shown}: {path.suffix} files are not read. Save it as .xlsx or .csv.")
        else:
            lines = list(_text_lines(_decoded(path.read_bytes(), shown), shown))
    except OSError as error:
        raise ConfigError(f"{shown}: the file cannot be opened: {error.strerror or 'it is damaged'}.") from None
    filled = [(line, cells) for line, cells in lines if any(cells)]
    if not filled:
        raise ConfigError(f"{shown}: the table is empty. Wanted: a line with the names of the columns, then the rows.")
    return _table(shown, filled)


def _table(name: str, lines: Sequence[tuple[int, Sequence[str]]]) -> Table:
    (head_line, head), body = lines[0], lines[1:]
    header = [cell for cell in head if cell]
    problems = list(_twice(name, head_line, head))
    named = {index for index, cell in enumerate(head) if cell}
    if beyond := [line for line, cells in body if any(cell and index not in named for index, cell in enumerate(cells))]:
        problems.append(
            f"{name}: more cells than the {len(header)} named columns of line {head_line} on {lines_text(beyond)}. "
            "Wanted: a name above each column; is the header merged, or above it a title?"
        )
    rows = []
    for line, cells in body:
        padded = [*cells, *[""] * (len(head) - len(cells))]
        rows.append(Row(line, {h: padded[index] for index, h in enumerate(head) if h}))
    if problems:
        raise ConfigError(problems)
    return Table(name=name, header=tuple(header), rows=tuple(rows))


def _twice(name: str, line: int, head: Sequence[str]) -> Iterator[str]:
    """Columns of one name, by their places: without a header the names are somebody's data."""
    places: dict[str, list[int]] = {}
    for place, cell in enumerate(head, start=1):
        places.setdefault(cell, []).append(place)
    for cell, found in places.items():
        if cell and len(found) > 1:
            yield f"{name}:{line}: columns {' and '.join(map(str, found[:10]))} have one name. Wanted: each name once."


def unknown_column(table: str, header: Sequence[str], column: str, asked: Iterable[str], where: str) -> str:
    """Message for a column that a table lacks; asked : names of all columns that are looked for.

    Where the table has none of them, its first line is perhaps a patient's, and is not shown.
    """
    if not set(asked) & set(header):
        return (
            f"{where}: {table} has no column '{shortened(column)}', nor any other that is asked for. "
            "Wanted: the names of the columns on the first line."
        )
    return unknown_name(f"column of {table}", column, header, where)


# --- text -------------------------------------------------------------------------------------------------------------


def _decoded(raw: bytes, name: str) -> str:
    try:
        if raw[:4] in (codecs.BOM_UTF32_LE, codecs.BOM_UTF32_BE):
            text = raw.decode("utf-32")
        elif raw[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            text = raw.decode("utf-16")
        elif b"\0" in raw:
            raise ConfigError(f"{name}: {NO_TEXT}")
        else:
            text = _eight_bits(raw, name)
    except UnicodeDecodeError:
        raise ConfigError(f"{name}: {NO_TEXT}") from None
    if "\0" in text:
        raise ConfigError(f"{name}: {NO_TEXT}")
    return text


def _eight_bits(raw: bytes, name: str) -> str:
    """UTF-8, else Latin-1 as Windows writes it; a mixture of both is refused, for half of it would be read wrongly."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        if any(ord(character) > 127 for character in raw.decode("utf-8", "ignore")):
            raise ConfigError(
                f"{name}:{line}: this line is not UTF-8, as the rest of the file is. Save the table again as UTF-8."
            ) from None
    try:
        return raw.decode("cp1252")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"{name}:{line}: letters of this line are neither UTF-8 nor Latin-1. Save the table again as UTF-8."
        ) from None


def _text_lines(text: str, name: str) -> Iterator[tuple[int, list[str]]]:
    told = re.match(r"sep=(.)[ \t]*(?:\r\n|\r|\n)", text, flags=re.IGNORECASE)
    body = text[told.end() :] if told else text
    reader = csv.reader(io.StringIO(body, newline=""), delimiter=told[1] if told else _delimiter(text), strict=True)
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
    bare = re.sub(r'"[^"]*"', "", text[:HEADER_CHARACTERS])
    head = next((line for line in bare.splitlines() if line.strip()), "")
    return max("\t;,", key=head.count)


# --- workbooks --------------------------------------------------------------------------------------------------------


def _sheet_lines(path: Path, name: str) -> list[tuple[int, list[str]]]:
    """Lines with text of the first sheet; every sheet but the first must be something else than more of the same."""
    try:
        with zipfile.ZipFile(path) as parts:
            if sum(part.file_size for part in parts.infolist()) > LARGEST_BOOK:
                raise ConfigError(f"{name}: the workbook unpacks to over 1 GB. Save the table alone, or as CSV.")
            formulas = any(b"<f" in parts.read(part) for part in parts.namelist() if "worksheets/" in part)
        sheets = _sheets(path, values=True)
        empty = _without_result(sheets[0], _sheets(path, values=False)[0]) if formulas and sheets else []
    except UNREADABLE_BOOK:
        raise ConfigError(
            f"{name}: the file cannot be read as XLSX. Is it protected by a password? Save it again, or as CSV."
        ) from None
    if empty:
        raise ConfigError(
            f"{name}: a formula without a result on {lines_text(empty)}. "
            "Open the file in a spreadsheet program, save it again."
        )
    lines = [[(line, [_cell_text(cell) for cell in cells]) for line, cells in sheet] for sheet in sheets]
    filled = [[(line, cells) for line, cells in sheet if any(cells)] for sheet in lines]
    for number, sheet in enumerate(filled[1:], start=2):
        if sheet and filled[0] and sheet[0][1] == filled[0][0][1]:
            raise ConfigError(
                f"{name}: sheet {number} has the same columns as sheet 1, of which alone rows are read. "
                "Put all rows into one sheet."
            )
    return filled[0] if filled else []


def _sheets(path: Path, *, values: bool) -> list[list[tuple[int, tuple[Any, ...]]]]:
    """Every sheet's lines that hold something; of formulas their results, or the formulas themselves."""
    import openpyxl

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of parts that are of no interest here: styles, validation, pictures
        book = openpyxl.load_workbook(path, read_only=True, data_only=values)
        try:
            sheets = []
            for sheet in book.worksheets:
                sheet.reset_dimensions()  # what the file says of its size may be a million empty rows
                rows = enumerate(sheet.iter_rows(values_only=True), start=1)
                sheets.append([(line, cells) for line, cells in rows if any(cell is not None for cell in cells)])
            return sheets
        finally:
            book.close()


def _without_result(values: Sequence[tuple[int, Any]], formulas: Sequence[tuple[int, Any]]) -> list[int]:
    """Lines with a formula that was never computed, as programs leave it that write no results."""
    results = dict(values)
    return [
        line
        for line, cells in formulas
        if any(
            isinstance(cell, str) and cell.startswith("=") and (line not in results or results[line][at] is None)
            for at, cell in enumerate(cells)
        )
    ]


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
    """A cell without blanks around it, and without the apostrophe that `files.inert` puts before a formula."""
    text = cell.translate(INVISIBLE).strip()
    return text[1:] if re.match(r"'[=+@-]", text) else text


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


def number_problem(column: Sequence[tuple[int, str]]) -> str:
    """What is wrong with the way in which a column's numbers are written (empty: nothing).

    1,234 alone is a thousand or little more than one, and is refused; so are points and commas in one column.
    """
    cells = [(line, text) for line, text in column if number(text) is not None]
    commas = [(line, text) for line, text in cells if "," in text]
    if commas and any("." in text for _, text in cells):
        lines = lines_text([line for line, _ in commas])
        return f"a decimal comma on {lines}, a point elsewhere. Wanted: one way for the whole column."
    if commas and all(_THOUSANDS.fullmatch(text) for _, text in commas):
        lines = lines_text([line for line, _ in commas])
        return f"thousands and decimals cannot be told apart on {lines}. Wanted: numbers such as 1234 or 1.234."
    return ""


def error_lines(column: Sequence[tuple[int, str]]) -> list[int]:
    """Lines on which a column shows a formula's error in place of a result (#REF!, #DIV/0!)."""
    return [line for line, text in column if _ERROR.fullmatch(text)]


def date_lines(column: Sequence[tuple[int, str]]) -> list[int]:
    """Lines on which a column holds what can only be a date."""
    cells = [(line, _MIDNIGHT.sub("", text)) for line, text in column if not text.isdigit()]
    return [line for line, text in cells if any(_date(text, form) for form in DATE_FORMATS)]


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
    if form == "%Y%m%d" and len(text) != 8:
        return None
    try:
        date = datetime.datetime.strptime(text, form).date()
    except ValueError:
        return None
    return date if FIRST_YEAR <= date.year <= LAST_YEAR else None


def lines_text(lines: Sequence[int]) -> str:
    """`line 4`, `lines 4, 7`, `lines 4, 7, 9, ... (25 in all)`."""
    shown = ", ".join(str(line) for line in lines[:10])
    more = f", ... ({len(lines)} in all)" if len(lines) > 10 else ""
    return f"line{'s' if len(lines) > 1 else ''} {shown}{more}"
