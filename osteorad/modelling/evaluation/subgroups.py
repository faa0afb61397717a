"""Performance in subgroups that were declared beforehand, where they are large enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from osteorad.modelling.evaluation.bootstrap import CONDITIONAL, everyone, measured
from osteorad.modelling.evaluation.roc import areas
from osteorad.modelling.evaluation.rows import TestRows
from osteorad.modelling.learning.block import FloatArray

MOST_LEVELS = 6  # a number with more values than that is cut at its median
LEAST_OF_A_CLASS = 2
SITE = "site"


def subgroup_variables(samples: pa.Table, asked: Sequence[str]) -> list[str]:
    """Columns of the samples table that make subgroups: the covariates asked for, and the site where there are several.

    Names that the samples do not have are left out.
    """
    columns = [f"clinical.{name}" for name in asked if name != SITE]
    sites = {site for site in samples[SITE].to_pylist() if site}
    if len(sites) > 1:
        columns.append(SITE)
    return [name for name in columns if name in samples.column_names]


def subgroups(
    repeats: Sequence[TestRows], weights: FloatArray, samples: pa.Table, *, columns: Sequence[str], minimum: int
) -> dict[str, Any]:
    """Pooled AUC (mean over repeats, patient bootstrap) of each level of each column.

    A level with fewer than `minimum` patients, or with fewer than two samples of a class, has no AUC, and a note.
    """
    rows = [
        _level(repeats, weights, column.removeprefix("clinical."), level, members, minimum)
        for column in columns
        for level, members in _levels(samples, column)
    ]
    return {"minimum": minimum, "label": CONDITIONAL, "rows": rows}


def _levels(samples: pa.Table, column: str) -> Iterator[tuple[str, set[str]]]:
    """Levels of a column and the samples in each; samples without a value are a level of their own."""
    values, names = samples[column].to_pylist(), samples["sample"].to_pylist()
    texts = [_text(value) for value in values]
    numeric = pa.types.is_floating(samples.schema.field(column).type) or pa.types.is_integer(
        samples.schema.field(column).type
    )
    if numeric and len(set(texts)) > MOST_LEVELS:
        numbers = np.array([np.nan if value is None else float(value) for value in values])
        middle = float(np.nanmedian(numbers))
        sides = np.where(numbers <= middle, f"up to {middle:g}", f"above {middle:g}")
        texts = [str(side) if np.isfinite(number) else "" for side, number in zip(sides, numbers, strict=True)]
        order = [f"up to {middle:g}", f"above {middle:g}"]
    else:
        order = sorted({text for text in texts if text})
    for level in [*order, ""]:
        members = {name for name, text in zip(names, texts, strict=True) if text == level}
        if members:
            yield level or "not known", members


def _text(value: Any) -> str:
    if value is None or value != value:
        return ""
    return f"{value:g}" if isinstance(value, float) else str(value)


def _level(
    repeats: Sequence[TestRows], weights: FloatArray, variable: str, level: str, members: set[str], minimum: int
) -> dict[str, Any]:
    parts = [_part(rows, np.array([name in members for name in rows.sample], dtype=bool)) for rows in repeats]
    outcome = {s: int(y) for part in parts for s, y in zip(part.sample, part.outcome, strict=True)}
    owners = {int(patient) for part in parts for patient in part.patient}
    n, events = len(outcome), sum(outcome.values())
    note = ""
    if len(owners) < minimum:
        note = f"{len(owners)} of {minimum} patients needed: no AUC is given"
    elif min(min(part.outcome.sum(), len(part.outcome) - part.outcome.sum()) for part in parts) < LEAST_OF_A_CLASS:
        note = f"{events} of {n} have the event: both classes are needed"
    found: dict[str, float | None] = {"estimate": None, "low": None, "high": None}
    if not note:
        found = measured(float(areas(parts, everyone(weights)).mean()), areas(parts, weights))
    return {
        "variable": variable,
        "level": level,
        "patients": len(owners),
        "n": n,
        "events": events,
        "auc": found["estimate"],
        "low": found["low"],
        "high": found["high"],
        "note": note,
    }


def _part(rows: TestRows, keep: NDArray[np.bool_]) -> TestRows:
    """Some rows of a repeat."""
    return TestRows(
        repeat=rows.repeat,
        sample=tuple(name for name, kept in zip(rows.sample, keep, strict=True) if kept),
        patient=rows.patient[keep],
        fold=rows.fold[keep],
        outcome=rows.outcome[keep],
        score=rows.score[keep],
        probability=rows.probability[keep],
        cut=rows.cut[keep],
        predicted=rows.predicted[keep],
    )
