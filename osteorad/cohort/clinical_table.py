"""The clinical table: a row a patient, read and checked before any job; light, without Arrow.

Everything here may identify. Messages name lines and columns only.
"""

from __future__ import annotations

import datetime
import re
from collections import Counter
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass

from osteorad.cohort.config import TABLE_COLUMNS, ClinicalTable
from osteorad.cohort.tables import (
    Table,
    date_lines,
    dates,
    error_lines,
    is_missing,
    lines_text,
    number,
    number_problem,
    unknown_column,
)
from osteorad.errors import shortened

MIN_PER_CLASS = 6  # two folds whose test parts hold 3 patients of each class
DATES = ("index_date", "event_date", "last_seen")
DAYS = ("event_day", "last_seen_day")
TIMES = (*DATES[1:], *DAYS)
AGES = ("age", "age_years")
OLDEST = 90  # older people are few enough to be found, so they share one age, as in the DICOM headers
OVER = re.compile(
    r"(?:>|≥|>=|over|older than)?\s*(\d{2,3})\s*(?:\+|or (?:older|over|more)|and (?:older|over))?", re.IGNORECASE
)
# Ids that were numbers for a while, and the short dates of English and German spreadsheets.
SPOILED = re.compile(
    r"\d+[.,]0+|\d(?:[.,]\d+)?[eE][+-]\d+|\d{1,2}[-. ]{1,2}[A-Za-zä]{3}\.?(?:[-. ]\d{2,4})?|[A-Za-zä]{3}\.?[- ]\d{2}"
)
Where = Callable[..., str]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClinicalRow:
    """One patient of the clinical table, as the source names them."""

    line: int
    source_patient_id: str
    outcome: int | None
    dates: Mapping[str, datetime.date]  # those of DATES that are known
    days: Mapping[str, float]  # those of DAYS that are known
    values: Mapping[str, str]  # kept covariates and site as text; empty where missing


def read_rows(table: Table, settings: ClinicalTable, where: Where) -> tuple[list[ClinicalRow], list[str]]:
    """Rows of a clinical table, and a message for each problem.

    where : gives the place of a settings key (`where("columns", "patient")`), for problems that the settings can mend.
    """
    reader = _Reader(table, settings, where)
    return reader.rows(), reader.problems


class _Reader:
    def __init__(self, table: Table, settings: ClinicalTable, where: Where) -> None:
        self.table, self.settings, self.where = table, settings, where
        self.problems: list[str] = []

    def column(self, name: str, *, needed: bool = False, group: str = "columns") -> str | None:
        """The table's own name of a column; None and, where it was asked for, a problem if there is none."""
        own = self.settings.columns.get(name, name)
        if own in self.table.header:
            return own
        if needed or name in self.settings.columns:
            keys = ("columns", name) if name in self.settings.columns else (group,)
            asked = asked_columns(self.settings)
            self.problems.append(unknown_column(self.table.name, self.table.header, own, asked, self.where(*keys)))
        return None

    def told(self, column: str, text: str) -> None:
        self.problems.append(f"{self.table.name}: column '{shortened(column)}': {text}")

    def rows(self) -> list[ClinicalRow]:
        patient = self.column("patient", needed=True)
        outcomes = self.outcomes()
        found_dates = {name: self.dates(name) for name in DATES}
        found_days = {name: self.numbers(name) for name in DAYS}
        covariates = self.covariates()
        if patient is None:
            return []
        self.identities(patient)
        return [
            ClinicalRow(
                line=row.line,
                source_patient_id=row.cells[patient],
                outcome=outcomes.get(row.line),
                dates={name: found[row.line] for name, found in found_dates.items() if row.line in found},
                days={name: found[row.line] for name, found in found_days.items() if row.line in found},
                values={n: "" if is_missing(row.cells[own]) else row.cells[own] for n, own in covariates.items()},
            )
            for row in self.table.rows
        ]

    def identities(self, column: str) -> None:
        first: dict[str, int] = {}
        empty = [line for line, text in self.table.column(column) if is_missing(text)]
        if empty:
            self.problems.append(f"{self.table.name}: no patient on {lines_text(empty)}.")
        for line, text in self.table.column(column):
            if not is_missing(text) and text in first:
                self.problems.append(f"{self.table.name}:{line}: the patient of line {first[text]} stands here again.")
            first.setdefault(text, line)

    def outcomes(self) -> dict[int, int]:
        column = self.column("outcome")
        return {} if column is None else self.binary(column)

    def binary(self, column: str) -> dict[int, int]:
        """Line -> 0 or 1 of a column."""
        cells = [(line, text) for line, text in self.table.column(column) if not is_missing(text)]
        values = {line: number(text) for line, text in cells}
        if bad := [line for line, value in values.items() if value not in (0.0, 1.0)]:
            self.problems.append(f"{self.table.name}: column '{shortened(column)}' is not 0 or 1 on {lines_text(bad)}.")
        return {line: int(value) for line, value in values.items() if value in (0.0, 1.0)}

    def dates(self, name: str) -> dict[int, datetime.date]:
        column = self.column(name)
        if column is None:
            return {}
        found, problem = dates(self.table.column(column))
        if problem:
            self.told(column, problem)
        return found

    def numbers(self, name: str) -> dict[int, float]:
        column = self.column(name)
        if column is None:
            return {}
        cells = [(line, number(text)) for line, text in self.table.column(column) if not is_missing(text)]
        if bad := [line for line, value in cells if value is None]:
            self.problems.append(
                f"{self.table.name}: column '{shortened(column)}' is not a number on {lines_text(bad)}."
            )
        if problem := number_problem(self.table.column(column)):
            self.told(column, problem)
        return {line: value for line, value in cells if value is not None}

    def covariates(self) -> dict[str, str]:
        """Kept covariates, and site where it is allowed: our name -> the table's name."""
        names = [name for name in self.settings.keep if name != "outcome"]
        found = {name: self.column(name, needed=True, group="keep") for name in names}
        kept = {name: own for name, own in found.items() if own is not None}
        for own in kept.values():
            self.kept(own)
        return kept

    def kept(self, column: str) -> None:
        """A column that leaves the private folder holds no date, and nothing that a spreadsheet made of a value."""
        cells = self.table.column(column)
        if lines := date_lines(cells):
            self.told(
                column,
                f"a date on {lines_text(lines)}. A kept column holds none; did a spreadsheet make it, of 1-2 perhaps?",
            )
        if lines := error_lines(cells):
            self.told(column, f"the error of a formula on {lines_text(lines)}. Wanted: a value, or nothing.")
        if problem := number_problem(cells):
            self.told(column, problem)


def asked_columns(settings: ClinicalTable) -> set[str]:
    """Names, as the table has them, of every column that is looked for."""
    return {settings.columns.get(name, name) for name in (*TABLE_COLUMNS, *settings.keep)}


def spoiled_ids(ids: Sequence[tuple[int, str]], known: Container[str] = ()) -> list[int]:
    """Lines whose patient is what spreadsheets make of an id: 1.0, 1.2E+10, a date. known : ids that exist."""
    dates = set(date_lines(ids))
    return [line for line, text in ids if text not in known and (line in dates or SPOILED.fullmatch(text))]


def outcome_values(
    table: Table, settings: ClinicalTable, rows: Sequence[ClinicalRow], name: str, where: Where
) -> tuple[dict[int, int], list[str]]:
    """Line -> outcome 0 or 1 of the column `name` (`outcome`, or a kept covariate), and problems."""
    if name == "outcome":
        return {row.line: row.outcome for row in rows if row.outcome is not None}, []
    reader = _Reader(table, settings, where)
    column = reader.column(name)
    return ({} if column is None else reader.binary(column)), reader.problems


def days_of(row: ClinicalRow, first_session: datetime.date | None) -> dict[str, float | None]:
    """index_day, event_day, last_seen_day, first_session_day: days since the index date, None where unknown.

    Without an index date the first session is day 0; a table that gives days itself is taken at its word.
    """
    index = row.dates.get("index_date")
    if index is None and not row.days and first_session is not None:
        index = first_session

    def since(date: datetime.date | None) -> float | None:
        return None if date is None or index is None else float((date - index).days)

    return {
        "index_day": 0.0 if index is not None or row.days else None,
        "event_day": row.days.get("event_day", since(row.dates.get("event_date"))),
        "last_seen_day": row.days.get("last_seen_day", since(row.dates.get("last_seen"))),
        "first_session_day": since(first_session),
    }


def outcome_at(event_day: float | None, last_seen_day: float | None, horizon_days: float) -> int | None:
    """1: event within the horizon; 0: followed to the horizon without; None: event before day 0, or censored."""
    if event_day is not None and event_day < 0:
        return None
    if event_day is not None and event_day <= horizon_days:
        return 1
    seen = [day for day in (event_day, last_seen_day) if day is not None]
    return 0 if seen and max(seen) >= horizon_days else None


def capped_age(text: str) -> str:
    """An age as written, but `90` for one over 89, also where it is written as `> 89`, `90+` or `90 or older`."""
    years = number(text)
    if years is not None:
        return str(OLDEST) if years > OLDEST - 1 else text
    found = OVER.fullmatch(text.strip())
    return str(OLDEST) if found and int(found[1]) >= OLDEST - 1 else text


def has_times(table: Table, settings: ClinicalTable) -> bool:
    """True when the table says when events came or when patients were last seen."""
    return any(settings.columns.get(name, name) in table.header for name in TIMES)


def column_kinds(rows: Sequence[ClinicalRow]) -> Iterator[tuple[str, list[float | None] | list[str | None]]]:
    """Kept covariates in alphabetical order: numbers where every cell is one, else text."""
    for name in sorted({name for row in rows for name in row.values} - {"site"}):
        texts = [row.values[name] or None for row in rows]
        if name in AGES:
            texts = [text and capped_age(text) for text in texts]
        numbers = [None if text is None else number(text) for text in texts]
        whole = all(text is None or value is not None for text, value in zip(texts, numbers, strict=True))
        yield name, numbers if whole else texts


def class_problems(place: str, values: list[int]) -> Iterator[str]:
    """A message where the outcomes of all patients do not allow an analysis."""
    counts = Counter(values)
    if not values:
        yield f"{place}: no patient has an outcome. Wanted: 0 or 1, at least {MIN_PER_CLASS} patients of each."
    elif len(counts) == 1:
        yield f"{place}: all {len(values)} patients have outcome {values[0]}. Wanted: both 0 and 1."
    elif min(counts.values()) < MIN_PER_CLASS:
        yield (
            f"{place}: {counts[1]} patients with outcome 1 and {counts[0]} with 0. "
            f"Wanted: at least {MIN_PER_CLASS} of each, for two folds with 3."
        )
