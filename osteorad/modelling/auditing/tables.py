"""What the checks of the audit look at, and what they answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.config import Recipe
from osteorad.modelling.learning.block import FloatArray, IntArray

FoldKey = tuple[int, int, str]  # repeat, fold, variables


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTables:
    """What a run left behind; the audit reads nothing else."""

    samples: pa.Table
    splits: pa.Table
    predictions: pa.Table
    steps: pa.Table
    selection: pa.Table
    lineage: dict[str, Any]
    recipe: Recipe
    analysis: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Answer of a check. looked_at : what was compared, with numbers. evidence : what was found wrong, or the proof."""

    verdict: str
    looked_at: str
    text: str
    evidence: tuple[str, ...] = ()


def finding(problems: Sequence[str], *, looked_at: str, clean: str, proof: Sequence[str] = ()) -> Finding:
    """Pass with proof where there is no problem, else fail with the problems as evidence."""
    if problems:
        text = f"{len(problems)} found: {problems[0]}"
        return Finding(verdict="fail", looked_at=looked_at, text=text, evidence=tuple(problems))
    return Finding(verdict="pass", looked_at=looked_at, text=clean, evidence=tuple(proof))


@dataclass(frozen=True, slots=True, kw_only=True)
class PredictionRows:
    """Predictions of one model in one outer fold, in the order of the table."""

    repeat: int
    fold: int
    variables: str
    model: str
    chosen: bool
    part: tuple[str, ...]
    sample: tuple[str, ...]
    outcome: IntArray
    score: FloatArray
    probability: FloatArray
    threshold: FloatArray
    predicted: IntArray

    @property
    def where(self) -> str:
        """Name for evidence."""
        return f"r{self.repeat}f{self.fold} {self.variables} {self.model}"

    def of_part(self, part: str) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which rows are of a part."""
        return np.array([name == part for name in self.part])


def prediction_rows(predictions: pa.Table) -> list[PredictionRows]:
    """Predictions without control, by fold, variables and model, in the order of their first rows."""
    names = ("repeat", "fold", "variables", "model", "chosen", "control", "part", "sample")
    numbers = ("outcome", "score", "probability", "threshold", "predicted")
    groups: dict[tuple[Any, ...], list[int]] = {}
    columns = {name: predictions[name].to_pylist() for name in names}
    for row, key in enumerate(zip(*(columns[name] for name in names[:4]), strict=True)):
        if columns["control"][row] == "none":
            groups.setdefault(key, []).append(row)
    arrays = {name: predictions[name].to_numpy() for name in numbers}
    found = []
    for (repeat, fold, variables, model), at in groups.items():
        found.append(
            PredictionRows(
                repeat=repeat,
                fold=fold,
                variables=variables,
                model=model,
                chosen=all(columns["chosen"][row] for row in at),
                part=tuple(columns["part"][row] for row in at),
                sample=tuple(columns["sample"][row] for row in at),
                outcome=arrays["outcome"][at].astype(np.int64),
                score=arrays["score"][at],
                probability=arrays["probability"][at],
                threshold=arrays["threshold"][at],
                predicted=arrays["predicted"][at].astype(np.int64),
            )
        )
    return found


def step_rows(steps: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows of the steps table, their record parsed."""
    for row in steps.to_pylist():
        yield {**row, "record": json.loads(row["record"])}
