"""What the checks of the audit look at, and what they answer."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from osteorad.cohort.recipe import Recipe
from osteorad.cohort.splits import NESTED, OUTER
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.learning.drawn import FoldKey, FoldMasks, FoldTables
from osteorad.modelling.learning.lineage import fold_name
from osteorad.modelling.learning.plans import RADIOMICS

CLOSE = 1e-9  # numbers that went through a file and a second computation
PlanKey = tuple[int, int, str]  # repeat, fold, variables
Parts = dict[tuple[int, int, int], dict[str, dict[str, str]]]  # (repeat, fold, inner) -> part -> sample -> patient


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditTables:
    """What a run left behind; the audit reads nothing else.

    window_days : first and last day on which the image may lie, days since the index date; None: any. folds, masks :
    where networks draw inside each fold, the samples that it sees and who drew its masks.
    """

    samples: pa.Table
    splits: pa.Table
    predictions: pa.Table
    steps: pa.Table
    selection: pa.Table
    lineage: dict[str, Any]
    recipe: Recipe
    analysis: str
    procedure: str = NESTED
    window_days: tuple[int, int] | None = None
    folds: Mapping[FoldKey, pa.Table] = field(default_factory=dict)
    masks: Sequence[FoldMasks] = ()

    @property
    def by_fold(self) -> FoldTables:
        """Samples as each outer fold sees them."""
        return FoldTables(base=self.samples, folds=self.folds)

    def of_fold(self, repeat: int, fold: int) -> AuditTables:
        """The same with the samples that one outer fold sees, for checks of that fold alone."""
        return replace(self, samples=self.by_fold.of(repeat, fold), folds={})

    def of(self, procedure: str) -> AuditTables:
        """Only the rows and the graph of one procedure."""
        own = pc.field("procedure") == procedure
        graph = self.lineage if procedure == NESTED else self.lineage.get(procedure.replace("-", "_"))
        return replace(
            self,
            splits=self.splits.filter(own),
            predictions=self.predictions.filter(own),
            steps=self.steps.filter(own),
            selection=self.selection.filter(own),
            lineage=graph or {"patients": [], "nodes": [], "edges": []},
            procedure=procedure,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Answer of a check. looked_at : what was compared, with numbers. evidence : what was found wrong, or the proof."""

    verdict: str
    looked_at: str
    text: str
    evidence: tuple[str, ...] = ()


def not_applicable(reason: str, *, looked_at: str = "nothing") -> Finding:
    """There was nothing to look at, and why."""
    return Finding(verdict="not applicable", looked_at=looked_at, text=reason)


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


def radscores(predictions: pa.Table) -> dict[tuple[int, int], dict[str, float]]:
    """(repeat, fold) -> sample -> score of the chosen radiomics model, as the combined model gets it."""
    return {
        (rows.repeat, rows.fold): dict(zip(rows.sample, rows.score.tolist(), strict=True))
        for rows in prediction_rows(predictions)
        if rows.chosen and rows.variables == RADIOMICS
    }


def step_rows(steps: pa.Table) -> Iterator[dict[str, Any]]:
    """Rows of the steps table, their record parsed."""
    for row in steps.to_pylist():
        yield {**row, "record": json.loads(row["record"])}


def outer_records(steps: pa.Table) -> dict[PlanKey, dict[tuple[str, str | None], dict[str, Any]]]:
    """Rows of the steps table by outer fold; rules by (step, model), all else by (step, None)."""
    found: dict[PlanKey, dict[tuple[str, str | None], dict[str, Any]]] = {}
    for row in step_rows(steps):
        if row["inner_fold"] == OUTER:
            key = (row["repeat"], row["fold"], row["variables"])
            found.setdefault(key, {})[(row["step"], row["record"].get("model"))] = row
    return found


def parts_of(splits: pa.Table) -> Parts:
    """Who is in which part of every division."""
    found: Parts = {}
    names = ("repeat", "fold", "inner_fold", "part", "sample", "patient")
    for repeat, fold, inner_fold, part, sample, patient in zip(
        *(splits[name].to_pylist() for name in names), strict=True
    ):
        found.setdefault((repeat, fold, inner_fold), {"train": {}, "test": {}})[part][sample] = patient
    return found


def feature_columns(tables: AuditTables) -> list[str]:
    """Columns of the samples that hold features of the recipe's images."""
    images = tuple(f"{image}." for image in tables.recipe.images)
    return [name for name in tables.samples.column_names if name.startswith(images)]


def feature_tables(tables: AuditTables) -> list[tuple[str, AuditTables]]:
    """Every table of features that something was learned from, with a name for evidence: of each fold where networks
    draw inside it, else the one that all folds see, without a name.
    """
    if not tables.folds:
        return [("", tables)]
    return [(f"{fold_name(*key)}: ", tables.of_fold(*key)) for key in tables.folds]


def matrix(samples: pa.Table, columns: Sequence[str]) -> FloatArray:
    """Numeric columns of all rows, shape (rows, columns); missing and infinite values are NaN."""
    values = np.empty((samples.num_rows, len(columns)))
    for place, name in enumerate(columns):
        values[:, place] = samples[name].to_numpy()
    values[~np.isfinite(values)] = np.nan
    return values
