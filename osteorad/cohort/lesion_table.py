"""The table of lesions: a row a lesion, read and checked before any job; light, without Arrow.

Everything here may identify. Messages name lines and columns only.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from osteorad.cohort.clinical_table import Where
from osteorad.cohort.config import LESION_COLUMNS, Lesions
from osteorad.cohort.tables import Table, dates, is_missing, lines_text, number, unknown_column
from osteorad.errors import shortened

NEEDED = ("patient", "roi_name")
TEXTS = ("location", "type")
WORDS = Path(__file__).resolve().parents[2] / "resources/lesions/words.txt"
LEVEL = re.compile(r"(?:c|t|th|d|l|s|co|hwk|bwk|lwk|swk)\d{0,2}|\d{1,2}")
# Points and slashes between digits make dates, so they separate no words.
BETWEEN = re.compile(r"(?:[\s,;:()+&-]|(?<!\d)[./]|[./](?!\d))+")
MOST_NUMBERS = 2  # `ribs 6-8`; more numbers could be a date


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionRow:
    """One lesion, as the source names it; texts are empty and values None where the table tells nothing."""

    line: int
    source_patient_id: str
    session: str  # as the cohort page names it
    date: datetime.date | None
    roi_name: str
    outcome: int | None
    location: str
    type: str


def read_lesions(table: Table, settings: Lesions, where: Where) -> tuple[list[LesionRow], list[str]]:
    """Rows of a table of lesions, and a message for each problem.

    where : gives the place of a settings key, for problems that the settings can mend.
    """
    own = {name: settings.columns.get(name, name) for name in LESION_COLUMNS}
    problems = [
        unknown_column(table.name, table.header, own[name], own.values(), _place(where, settings, name))
        for name in own
        if own[name] not in table.header and (name in NEEDED or name in settings.columns)
    ]
    if problems:
        return [], problems
    cells = {name: dict(table.column(own[name])) if own[name] in table.header else {} for name in own}
    for name in NEEDED:
        if empty := [line for line, text in cells[name].items() if is_missing(text)]:
            problems.append(f"{table.name}: no {name} on {lines_text(empty)}.")
    days, wrong = dates(list(cells["date"].items()))
    problems += [f"{table.name}: column '{shortened(own['date'])}': {wrong}"] if wrong else []
    outcomes = {line: number(text) for line, text in cells["outcome"].items() if not is_missing(text)}
    if bad := [line for line, value in outcomes.items() if value not in (0.0, 1.0)]:
        problems.append(f"{table.name}: column '{shortened(own['outcome'])}' is not 0 or 1 on {lines_text(bad)}.")

    def text(name: str, line: int) -> str:
        found = cells[name].get(line, "")
        return "" if is_missing(found) else found

    rows = [
        LesionRow(
            line=row.line,
            source_patient_id=text("patient", row.line),
            session=text("session", row.line),
            date=days.get(row.line),
            roi_name=text("roi_name", row.line),
            outcome=None if (value := outcomes.get(row.line)) is None else int(value),
            location=text("location", row.line),
            type=text("type", row.line),
        )
        for row in table.rows
    ]
    return ([] if problems else rows), problems


def _place(where: Where, settings: Lesions, name: str) -> str:
    return where("columns", name) if name in settings.columns else where("path")


def class_sizes(rows: Sequence[LesionRow]) -> tuple[int, int]:
    """Patients with a lesion of outcome 1, and patients with one of outcome 0; a patient may be among both."""
    found = {value: {row.source_patient_id for row in rows if row.outcome == value} for value in (1, 0)}
    return len(found[1]), len(found[0])


@cache
def known_words() -> frozenset[str]:
    """Words of locations and types that say nothing about a person."""
    lines = WORDS.read_text(encoding="utf-8").splitlines()
    return frozenset(word.casefold() for line in lines if not line.startswith("#") for word in line.split())


def is_plain(text: str, more: Iterable[str] = ()) -> bool:
    """True for a text that may leave the private folder: known words, levels, and at most two short numbers."""
    known = known_words() | {word.casefold() for word in more}
    words = [word for word in BETWEEN.split(text.casefold()) if word]
    return (
        all(word in known or LEVEL.fullmatch(word) for word in words) and sum(map(str.isdigit, words)) <= MOST_NUMBERS
    )
