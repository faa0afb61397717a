"""Groups of few patients: which variables of a cohort could point at someone, counted, without naming a value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

LEAST = 5  # patients of a cell; fewer may identify
FEW_LEVELS = 10  # numbers with more different values are told as numbers, not combined with others
OLDEST = 90  # ages over 89 are written so
Cells = Mapping[tuple[Any, ...], set[str]]
Values = Mapping[str, set[Any]]  # patient -> values; of a lesion's column, several


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """A column: name as shown, and each patient's values."""

    name: str
    values: Values

    @property
    def levels(self) -> set[Any]:
        """Different values."""
        return {value for values in self.values.values() for value in values}

    @property
    def grouped(self) -> bool:
        """True of a category, and of a number with so few different values that patients share them."""
        few = min(FEW_LEVELS, max(2, len(self.values) // LEAST))
        return len(self.levels) <= few or any(isinstance(value, str) for value in self.levels)


def variables_of(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, prefix: str = "") -> list[Variable]:
    """Columns of a table whose rows have `patient`; a column without any value is left out."""
    listed = list(rows)
    found = []
    for column in columns:
        values: dict[str, set[Any]] = defaultdict(set)
        for row in listed:
            if row[column] is not None and row[column] != "" and row[column] == row[column]:
                values[row["patient"]].add(row[column])
        if values:
            found.append(Variable(name=f"{prefix}{column}".replace("_", " "), values=values))
    return found


def rare_rows(variables: Sequence[Variable]) -> list[dict[str, Any]]:
    """A row for each variable and each pair of grouped ones: cells, cells under LEAST, patients in those.

    Groups come first, then pairs of them, then numbers; in each those with the most patients in small cells.
    """
    single = [_row([variable]) for variable in variables]
    groups, numbers = ([row for row in single if row["kind"] == kind] for kind in ("groups", "number"))
    paired = [_row(pair) for pair in combinations([v for v in variables if v.grouped and len(v.levels) > 1], 2)]
    return [row for rows in (groups, paired, numbers) for row in sorted(rows, key=_weight)]


def _weight(row: Mapping[str, Any]) -> tuple[int, str]:
    return -row["patients"], row["what"]


def _row(variables: Sequence[Variable]) -> dict[str, Any]:
    cells = cells_of(variables)
    small = [people for people in cells.values() if len(people) < LEAST]
    return {
        "what": " × ".join(variable.name for variable in variables),
        "kind": "pair" if len(variables) > 1 else "groups" if variables[0].grouped else "number",
        "cells": len(cells),
        "small": len(small),
        "patients": len(set().union(*small)),
        "alone": len(set().union(*(people for people in small if len(people) == 1))),
    }


def cells_of(variables: Sequence[Variable]) -> Cells:
    """Combination of values -> patients that have it."""
    cells: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for patient in set.intersection(*(set(variable.values) for variable in variables)):
        combined: list[tuple[Any, ...]] = [()]
        for variable in variables:
            combined = [(*cell, value) for cell in combined for value in variable.values[patient]]
        for cell in combined:
            cells[cell].add(patient)
    return cells


def old_patients(variables: Sequence[Variable]) -> int:
    """Patients whose age stands as OLDEST or more."""
    ages = [variable for variable in variables if variable.name in ("age", "age years")]
    return len(
        {
            p
            for age in ages
            for p, values in age.values.items()
            for v in values
            if not isinstance(v, str) and v >= OLDEST
        }
    )
