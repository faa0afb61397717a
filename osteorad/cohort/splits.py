"""Splits: the one source of parts, and the one door through which learners get rows (contract 2).

Repeats, folds and inner folds count from 1; `inner_fold` -1 is the outer split itself. Inner rows exist only for
samples of the outer training part. Who is tested when: `cohort.divisions`. A paper's own division, where it is
replayed, stands in the same table under another procedure; every reader here asks for the nested one by default.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from osteorad.cohort.divisions import (
    Division,
    divide,
    divisions,
    hold_out_divisions,
    inner_folds,
    published_divisions,
    unit_strata,
)
from osteorad.cohort.recipe import Published, Splits
from osteorad.cohort.schemas import SPLITS
from osteorad.cohort.segmentation import CaseSplits
from osteorad.errors import AnalysisRefused

OUTER = -1
NESTED, AS_PUBLISHED, FROZEN = "nested", "as-published", "frozen"


@dataclass(frozen=True, slots=True)
class HeldOutRows:
    """Rows that a fitted model is applied to: features and covariates, no outcome."""

    table: pa.Table

    @property
    def samples(self) -> tuple[str, ...]:
        """Sample keys, in the order of the rows."""
        return tuple(self.table["sample"].to_pylist())

    @property
    def patients(self) -> tuple[str, ...]:
        """Patient of each row."""
        return tuple(self.table["patient"].to_pylist())

    @property
    def sites(self) -> tuple[str, ...]:
        """Site of each row; empty where none is known."""
        return tuple(str(site or "") for site in self.table["site"].to_pylist())

    def matrix(self, columns: Sequence[str]) -> NDArray[np.float64]:
        """Numeric columns as float64, shape (rows, columns); missing and infinite values are NaN."""
        matrix = np.empty((self.table.num_rows, len(columns)))
        for place, name in enumerate(columns):
            matrix[:, place] = self.table[name].to_numpy()
        matrix[~np.isfinite(matrix)] = np.nan
        return matrix

    def texts(self, column: str) -> list[str | None]:
        """A text column."""
        return [None if value is None else str(value) for value in self.table[column].to_pylist()]


@dataclass(frozen=True, slots=True)
class TrainingRows(HeldOutRows):
    """Rows that may be learned from, with their outcome."""

    @property
    def outcome(self) -> NDArray[np.int64]:
        """Outcome 0 or 1 of each row."""
        return self.table["outcome"].to_numpy().astype(np.int64)


def training(
    samples: pa.Table, splits: pa.Table, *, repeat: int, fold: int, inner_fold: int = OUTER, procedure: str = NESTED
) -> TrainingRows:
    """Training rows of a fold: the only way by which anything that learns gets rows.

    samples : table of schemas.SAMPLES with features. splits : table of schemas.SPLITS.
    Raises ValueError where the fold does not exist, or names samples that the table does not have.
    """
    return TrainingRows(_part(samples, splits, (procedure, repeat, fold, inner_fold), "train"))


def held_out(
    samples: pa.Table, splits: pa.Table, *, repeat: int, fold: int, inner_fold: int = OUTER, procedure: str = NESTED
) -> HeldOutRows:
    """Test rows of a fold, without their outcome."""
    table = _part(samples, splits, (procedure, repeat, fold, inner_fold), "test")
    return HeldOutRows(table.drop_columns(["outcome"]))


def folds_of(splits: pa.Table, procedure: str = NESTED) -> list[tuple[int, int]]:
    """All (repeat, fold) of a procedure, sorted."""
    own = splits.filter(pc.field("procedure") == procedure)
    return sorted(set(zip(own["repeat"].to_pylist(), own["fold"].to_pylist(), strict=True)))


def inner_folds_of(splits: pa.Table, *, repeat: int, fold: int, procedure: str = NESTED) -> list[int]:
    """Inner folds of an outer fold, sorted."""
    rows = splits.filter(
        (pc.field("procedure") == procedure)
        & (pc.field("repeat") == repeat)
        & (pc.field("fold") == fold)
        & (pc.field("inner_fold") != OUTER)
    )
    return sorted(set(rows["inner_fold"].to_pylist()))


def _part(samples: pa.Table, splits: pa.Table, where: tuple[str, int, int, int], part: str) -> pa.Table:
    procedure, repeat, fold, inner_fold = where
    chosen = splits.filter(
        (pc.field("procedure") == procedure)
        & (pc.field("repeat") == repeat)
        & (pc.field("fold") == fold)
        & (pc.field("inner_fold") == inner_fold)
        & (pc.field("part") == part)
    )
    wanted = set(chosen["sample"].to_pylist())
    if not wanted:
        raise ValueError(
            f"splits hold no {part} rows of {procedure} repeat {repeat}, fold {fold}, inner fold {inner_fold}"
        )
    names = samples["sample"].to_pylist()
    if unknown := wanted - set(names):
        raise ValueError(f"splits name {len(unknown)} samples that are not in the samples table")
    return samples.take(pa.array([row for row, name in enumerate(names) if name in wanted], pa.int64()))


def make_splits(
    samples: pa.Table,
    settings: Splits,
    *,
    analysis: str,
    cohort: str,
    procedure: str = NESTED,
    published: Published | None = None,
) -> pa.Table:
    """Divide patients into outer parts, and each training part into inner folds.

    samples : table of schemas.SAMPLES. Patients are stratified: all samples with the event, none, or some of each.
    Folds are fewer than asked until the smallest test part holds three patients of each class; inner folds are
    fewer until each holds one of each. Returns a table of schemas.SPLITS.
    procedure as-published : divides as `published` says, patients or samples, with inner folds only where the paper
    chose its model inside.
    Raises AnalysisRefused under six patients of a class, or where the kind of split cannot be made.
    """
    if published is None:
        table = _Table(samples, "patient", cohort=cohort, analysis=analysis, procedure=procedure)
        for division in divisions(samples, settings, f"{analysis}/{settings.seed}"):
            table.add_outer(division)
            table.add_inner(division, settings.inner_folds)
        return table.finished()
    table = _Table(samples, published.by, cohort=cohort, analysis=analysis, procedure=procedure)
    for division in published_divisions(samples, published, f"{analysis}/{procedure}/{settings.seed}"):
        table.add_outer(division)
        if published.choose_on == "inner":
            table.add_inner(division, settings.inner_folds)
    return table.finished()


def frozen_splits(samples: pa.Table, settings: Splits, *, analysis: str, cohort: str) -> pa.Table:
    """Rows of the procedure `frozen`, repeat 0 and fold 0: all patients in training, with inner folds for choosing."""
    table = _Table(samples, "patient", cohort=cohort, analysis=analysis, procedure=FROZEN)
    everyone = dict.fromkeys(table.strata, False)
    division = Division(repeat=0, fold=0, name=f"{analysis}/{settings.seed}/{FROZEN}", tested=everyone)
    table.add_outer(division)
    table.add_inner(division, settings.inner_folds)
    return table.finished()


def refuse_fewer_folds(splits: pa.Table, settings: Splits, analysis: str) -> None:
    """AnalysisRefused where patients do not suffice for the folds asked: networks are planned one a fold beforehand."""
    outer = folds_of(splits)
    inner = min(len(inner_folds_of(splits, repeat=repeat, fold=fold)) for repeat, fold in outer)
    if len(outer) < settings.repeats * settings.folds:
        possible = len(outer) // settings.repeats
        raise AnalysisRefused(
            f"{analysis}: {settings.folds} folds are asked, and the patients suffice for {possible}. Networks are "
            f"planned for each fold before patients are counted. Wanted: splits.folds: {possible}."
        )
    if inner < settings.inner_folds:
        raise AnalysisRefused(
            f"{analysis}: {settings.inner_folds} inner folds are asked, and the patients suffice for {inner}. "
            f"Wanted: splits.inner_folds: {inner}."
        )


def case_splits(samples: pa.Table, settings: CaseSplits, *, analysis: str, cohort: str) -> pa.Table:
    """Division for networks: one held-out part (repeat 1, fold 1), and inner folds of the other patients.

    samples : cases, outcome 1 where a lesion was drawn; patients with and without are spread evenly.
    """
    table = _Table(samples, "patient", cohort=cohort, analysis=analysis, procedure=NESTED)
    name = f"{analysis}/{settings.seed}"
    (division,) = hold_out_divisions(table.strata, 1, settings.test_share, 1, name)
    table.add_outer(division)
    place = divide({unit: table.strata[unit] for unit in division.training}, settings.folds, division.name)
    table.add_folds(division, place)
    return table.finished()


def analysis_splits(
    samples: pa.Table, settings: Splits, *, analysis: str, cohort: str, published: Published | None = None
) -> pa.Table:
    """Every division of an analysis: nested, all patients for the bundle, and the paper's own where it is replayed."""
    parts = [
        make_splits(samples, settings, analysis=analysis, cohort=cohort),
        frozen_splits(samples, settings, analysis=analysis, cohort=cohort),
    ]
    if published is not None:
        names = {"analysis": analysis, "cohort": cohort, "procedure": AS_PUBLISHED}
        parts.append(make_splits(samples, settings, **names, published=published))
    return pa.concat_tables(parts)


class _Table:
    """Rows of a table of splits: each division's units stand for their samples, in the order of patient and sample."""

    def __init__(self, samples: pa.Table, unit: str, *, cohort: str, analysis: str, procedure: str) -> None:
        self.strata = unit_strata(samples, unit)
        self.names = {"cohort": cohort, "analysis": analysis, "procedure": procedure}
        self.rows = sorted(zip(*(samples[name].to_pylist() for name in ("patient", "sample", unit)), strict=True))
        self.columns: dict[str, list[object]] = {name: [] for name in SPLITS.names}

    def add_outer(self, division: Division) -> None:
        self._add(division, OUTER, division.tested)

    def add_inner(self, division: Division, asked: int) -> None:
        """Inner folds of the training part, stratified like the outer ones."""
        inside = {unit: self.strata[unit] for unit in division.training}
        self.add_folds(division, divide(inside, inner_folds(inside, asked), division.name))

    def add_folds(self, division: Division, place: Mapping[str, int]) -> None:
        """Inner folds as given: unit of the training part -> fold."""
        for inner_fold in range(1, max(place.values()) + 1):
            self._add(division, inner_fold, {unit: at == inner_fold for unit, at in place.items()})

    def _add(self, division: Division, inner_fold: int, tested: Mapping[str, bool]) -> None:
        here = {**self.names, "repeat": division.repeat, "fold": division.fold, "inner_fold": inner_fold}
        for patient, sample, unit in self.rows:
            if unit in tested:
                part = "test" if tested[unit] else "train"
                for name, value in {**here, "patient": patient, "sample": sample, "part": part}.items():
                    self.columns[name].append(value)

    def finished(self) -> pa.Table:
        return pa.table(self.columns, schema=SPLITS)
