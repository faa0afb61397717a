"""A table of features made elsewhere: read, and checked before any job. Parquet, or text as spreadsheets write it.

Rows are counted from 1 below the header. Messages name columns and rows, never what a cell says. Light: pyarrow is
loaded only where a cohort is such a table.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from osteorad.cohort.config import FeatureTable
from osteorad.cohort.outcomes import STRUCTURE
from osteorad.cohort.pseudonyms import FILE_NAME
from osteorad.cohort.tables import error_lines, is_missing, number, read_table, unknown_column
from osteorad.errors import ConfigError, shortened, unknown_name

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIXES = (".parquet", ".tsv", ".csv", ".txt", ".xlsx", ".xlsm")
KEYS = ("cohort", "patient", "session", "image", "roi", "lesion", "mask_set")
INFINITE = {"inf": math.inf, "+inf": math.inf, "infinity": math.inf, "-inf": -math.inf, "-infinity": -math.inf}
OWN_PATIENT = "row-{}"
LESION = re.compile(r"[1-9][0-9]{0,3}")
Where = Callable[..., str]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureFile:
    """A feature table: names of its columns, which of them hold text, and a way to read some of them.

    read : names -> Arrow table with columns float64 or text, missing as null.
    """

    name: str
    header: tuple[str, ...]
    texts: frozenset[str]
    read: Callable[[Sequence[str]], pa.Table]

    def features(self, settings: FeatureTable) -> list[str]:
        """Columns that are neither key, outcome, covariate nor dropped, in the order of the table."""
        named = {*roles(settings).values(), *settings.covariates, *settings.drop}
        return [name for name in self.header if name not in named]


@dataclass(frozen=True, slots=True, kw_only=True)
class FeatureRow:
    """A row of the table that names its patient, or is one of its own."""

    row: int
    patient: str  # empty where the table names none and such rows are left out
    lesion: int
    site: str
    outcome: int | None


def roles(settings: FeatureTable) -> dict[str, str]:
    """Role (patient, lesion, outcome, site) -> the table's own name of the column, of those that are named."""
    named = {key: getattr(settings, key) for key in ("patient", "lesion", "outcome", "site")}
    return {key: name for key, name in named.items() if name is not None}


# --- reading ----------------------------------------------------------------------------------------------------------


def open_features(path: Path, shown: str) -> FeatureFile:
    """Names and kinds of a table's columns; values are read when they are asked for.

    Raises ConfigError where the file is no such table.
    """
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigError(f"{shown}: a file of this kind is not read. Wanted: {', '.join(SUFFIXES)}.")
    return _parquet(path, shown) if path.suffix.lower() == ".parquet" else _text(path, shown)


def _parquet(path: Path, shown: str) -> FeatureFile:
    import pyarrow as pa
    import pyarrow.parquet as pq

    unreadable = ConfigError(f"{shown}: the file cannot be read as Parquet. Is it whole?")
    try:
        schema = pq.read_schema(path)
    except (pa.ArrowException, OSError):
        raise unreadable from None
    if several := sorted({name for name in schema.names if schema.names.count(name) > 1}):
        raise ConfigError(f"{shown}: {len(several)} names stand above several columns. Wanted: each name once.")
    if nested := [field.name for field in schema if pa.types.is_nested(field.type)]:
        listed = ", ".join(f"'{shortened(name)}'" for name in nested[:10])
        raise ConfigError(f"{shown}: column {listed} holds neither numbers nor text. Wanted: one value a row.")
    numeric = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    texts = frozenset(field.name for field in schema if not any(test(field.type) for test in numeric))

    def read(names: Sequence[str]) -> pa.Table:
        try:
            found = pq.read_table(path, columns=list(names), use_threads=False)
            return pa.table({name: _cast(found[name], name in texts) for name in names})
        except (pa.ArrowException, OSError):
            raise unreadable from None

    return FeatureFile(name=shown, header=tuple(schema.names), texts=texts, read=read)


def _cast(column: pa.ChunkedArray, text: bool) -> pa.ChunkedArray:
    import pyarrow as pa

    if text:
        return column.cast(pa.string())
    return (column.cast(pa.int8()) if pa.types.is_boolean(column.type) else column).cast(pa.float64(), safe=False)


def _text(path: Path, shown: str) -> FeatureFile:
    import pyarrow as pa

    table = read_table(path, shown)
    cells = {name: [text for _, text in table.column(name)] for name in table.header}
    values = {name: [_value(text) for text in texts] for name, texts in cells.items()}
    texts = frozenset(name for name, found in values.items() if any(isinstance(value, str) for value in found))

    def column(name: str) -> pa.Array:
        if name in texts:
            return pa.array([None if is_missing(text) else text for text in cells[name]], pa.string())
        return pa.array(values[name], pa.float64())

    return FeatureFile(
        name=shown, header=table.header, texts=texts, read=lambda names: pa.table({n: column(n) for n in names})
    )


def _value(text: str) -> float | str | None:
    if is_missing(text):
        return None
    found = INFINITE.get(text.strip().lower(), number(text))
    return text if found is None else found


def texts_of(column: pa.ChunkedArray | pa.Array) -> list[str]:
    """A column as text: whole numbers without a decimal point, missing as empty."""
    return [_shown(value) for value in column.to_pylist()]


def _shown(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    text = str(value).strip()
    return "" if is_missing(text) else text


def feature_rows(file: FeatureFile, settings: FeatureTable) -> list[FeatureRow]:
    """Rows of the table with what they are keyed by; all of them, of whatever site.

    Call `problems_of` first: what it finds is taken as settled here.
    """
    named = roles(settings)
    table = file.read(list(dict.fromkeys(named.values())))
    column = {key: texts_of(table[name]) for key, name in named.items()}
    own = settings.without_patient == "own_patient"
    return [
        FeatureRow(
            row=row,
            patient=column["patient"][row - 1] or (OWN_PATIENT.format(row) if own else ""),
            lesion=int(float(column["lesion"][row - 1])) if "lesion" in column else 1,
            site=column["site"][row - 1] if "site" in column else "",
            outcome=_binary(column["outcome"][row - 1]) if "outcome" in column else None,
        )
        for row in range(1, table.num_rows + 1)
    ]


def _binary(text: str) -> int | None:
    return int(float(text)) if text else None


def entering(rows: Sequence[FeatureRow], settings: FeatureTable) -> list[FeatureRow]:
    """Rows of the sites asked for that have a patient."""
    return [row for row in rows if row.patient and (not settings.sites or row.site in settings.sites)]


# --- checking ---------------------------------------------------------------------------------------------------------


def problems_of(file: FeatureFile, settings: FeatureTable, where: Where) -> list[str]:
    """Everything that is wrong with the table or with what the settings say of it.

    where : gives the place of a key (`where("patient")`).
    """
    if unknown := list(_unknown_columns(file, settings, where)):
        return unknown
    found = [*_roles_twice(settings, where), *_feature_names(file, settings, where)]
    if not found:
        found += _key_values(file, settings, where)
    if not found:
        found += _identities(file, settings, where)
    return found


def _unknown_columns(file: FeatureFile, settings: FeatureTable, where: Where) -> Iterator[str]:
    asked: list[tuple[tuple[str, ...], str]] = [((key,), name) for key, name in roles(settings).items()]
    for key in ("covariates", "drop"):
        asked += [((key, str(at)), name) for at, name in enumerate(getattr(settings, key))]
    for keys, name in asked:
        if name not in file.header:
            yield unknown_column(file.name, file.header, name, {name for _, name in asked}, where(*keys))
    if settings.sites and settings.site is None:
        yield f"{where('sites')}: sites are asked for, but no column. Wanted:  site: NAME OF THE COLUMN"


def _roles_twice(settings: FeatureTable, where: Where) -> Iterator[str]:
    uses = [*roles(settings).values(), *settings.covariates, *settings.drop]
    for name in sorted({name for name in uses if uses.count(name) > 1}):
        yield f"{where()}: column '{shortened(name)}' is named twice. Wanted: one meaning for each column."


def _feature_names(file: FeatureFile, settings: FeatureTable, where: Where) -> Iterator[str]:
    features = file.features(settings)
    if text := [name for name in features if name in file.texts]:
        names = ", ".join(f"'{shortened(name)}'" for name in text[:10]) + (
            f", ... ({len(text)} in all)" if text[10:] else ""
        )
        yield f"{where()}: text in column {names} of {file.name}. Wanted: covariates or drop names it, or numbers."
    for name in sorted({*features} & {*KEYS}):
        yield f"{where()}: '{name}' is no name for a feature: it is our name of a key. Rename it, or put it under drop."
    for name in sorted({*settings.covariates} & {*STRUCTURE}):
        yield f"{where('covariates')}: '{name}' is our name of something else. Rename the column."
    if not features:
        yield f"{where()}: {file.name} has no column left that could be a feature."


def _key_values(file: FeatureFile, settings: FeatureTable, where: Where) -> Iterator[str]:
    """Outcome 0 or 1, lesions as whole numbers, sites that exist."""
    table = file.read(list(dict.fromkeys(roles(settings).values())))
    if settings.outcome is not None:
        bad = [row for row, text in _numbered(table[settings.outcome]) if text and number(text) not in (0.0, 1.0)]
        yield from _bad_rows(file, settings.outcome, "0 or 1", bad)
    if settings.lesion is not None:
        bad = [row for row, text in _numbered(table[settings.lesion]) if not LESION.fullmatch(text)]
        yield from _bad_rows(file, settings.lesion, "a whole number from 1 to 9999", bad)
    present = set(texts_of(table[settings.site])) if settings.site is not None else set()
    for name in settings.covariates:
        texts = texts_of(file.read([name])[name]) if name in file.texts else []
        if bad := error_lines(list(enumerate(texts, 1))):
            yield (
                f"{file.name}: column '{shortened(name)}': the error of a formula in {rows_text(bad)}. "
                "Wanted: a value, or nothing."
            )
    for at, site in enumerate(settings.sites):
        if site not in present:
            yield unknown_name(f"site of {file.name}", site, present - {""}, where("sites", str(at)))


def _numbered(column: pa.ChunkedArray) -> Iterator[tuple[int, str]]:
    return enumerate(texts_of(column), 1)


def _bad_rows(file: FeatureFile, column: str, wanted: str, bad: Sequence[int]) -> Iterator[str]:
    if bad:
        yield f"{file.name}: column '{shortened(column)}' is not {wanted} in {rows_text(bad)}."


def rows_text(rows: Sequence[int]) -> str:
    """`row 4`, `rows 4, 7, 9, ... (25 in all)`; counted from 1 below the header."""
    shown = ", ".join(str(row) for row in rows[:10]) + (f", ... ({len(rows)} in all)" if rows[10:] else "")
    return f"row{'s' if len(rows) > 1 else ''} {shown}"


def _identities(file: FeatureFile, settings: FeatureTable, where: Where) -> Iterator[str]:
    """Each row once, patients that can be names, and one value a patient of what belongs to patients."""
    rows = entering(feature_rows(file, settings), settings)
    if bad := [row.row for row in rows if not FILE_NAME.fullmatch(row.patient)]:
        wanted = "letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit"
        yield f"{file.name}: the patient cannot be a name in {rows_text(bad)}. Wanted: {wanted}."
    seen: set[tuple[str, int]] = set()
    again = []
    for row in rows:
        again += [row.row] if (row.patient, row.lesion) in seen else []
        seen.add((row.patient, row.lesion))
    if again:
        hint = "the column with the lesion's number" if settings.lesion is None else "other numbers of lesions"
        yield f"{where('lesion')}: a patient stands again in {rows_text(again)} of {file.name}. Wanted: {hint}."
        return
    yield from _one_value(file, settings, rows)


def _one_value(file: FeatureFile, settings: FeatureTable, rows: Sequence[FeatureRow]) -> Iterator[str]:
    names = [*settings.covariates, *([settings.site] if settings.site else [])]
    table = file.read(names) if names else None
    for name in names:
        assert table is not None
        texts = texts_of(table[name])
        first: dict[str, str] = {}
        if bad := [row.row for row in rows if first.setdefault(row.patient, texts[row.row - 1]) != texts[row.row - 1]]:
            yield f"{file.name}: column '{shortened(name)}' differs from the patient's first row in {rows_text(bad)}."
