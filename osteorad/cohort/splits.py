"""Splits: the one source of parts, and the one door through which learners get rows (contract 2).

Repeats, folds and inner folds count from 1; `inner_fold` -1 is the outer split itself. Inner rows exist only for
samples of the outer training part. Every division follows from names (analysis, seed, repeat, fold, patient), never
from the order of rows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from osteorad.cohort.config import Splits
from osteorad.cohort.schemas import SPLITS
from osteorad.errors import AnalysisRefused

OUTER = -1
LEAST_IN_TEST = 3  # patients of each class in the smallest outer test part
LEAST_FOLDS = 2
LEAST_PATIENTS = LEAST_IN_TEST * LEAST_FOLDS


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


def training(samples: pa.Table, splits: pa.Table, *, repeat: int, fold: int, inner_fold: int = OUTER) -> TrainingRows:
    """Training rows of a fold: the only way by which anything that learns gets rows.

    samples : table of schemas.SAMPLES with features. splits : table of schemas.SPLITS.
    Raises ValueError where the fold does not exist, or names samples that the table does not have.
    """
    return TrainingRows(_part(samples, splits, (repeat, fold, inner_fold), "train"))


def held_out(samples: pa.Table, splits: pa.Table, *, repeat: int, fold: int, inner_fold: int = OUTER) -> HeldOutRows:
    """Test rows of a fold, without their outcome."""
    table = _part(samples, splits, (repeat, fold, inner_fold), "test")
    return HeldOutRows(table.drop_columns(["outcome"]))


def folds_of(splits: pa.Table) -> list[tuple[int, int]]:
    """All (repeat, fold), sorted."""
    return sorted(set(zip(splits["repeat"].to_pylist(), splits["fold"].to_pylist(), strict=True)))


def inner_folds_of(splits: pa.Table, *, repeat: int, fold: int) -> list[int]:
    """Inner folds of an outer fold, sorted."""
    rows = splits.filter(
        (pc.field("repeat") == repeat) & (pc.field("fold") == fold) & (pc.field("inner_fold") != OUTER)
    )
    return sorted(set(rows["inner_fold"].to_pylist()))


def _part(samples: pa.Table, splits: pa.Table, where: tuple[int, int, int], part: str) -> pa.Table:
    repeat, fold, inner_fold = where
    chosen = splits.filter(
        (pc.field("repeat") == repeat)
        & (pc.field("fold") == fold)
        & (pc.field("inner_fold") == inner_fold)
        & (pc.field("part") == part)
    )
    wanted = set(chosen["sample"].to_pylist())
    if not wanted:
        raise ValueError(f"splits hold no {part} rows of repeat {repeat}, fold {fold}, inner fold {inner_fold}")
    names = samples["sample"].to_pylist()
    if unknown := wanted - set(names):
        raise ValueError(f"splits name {len(unknown)} samples that are not in the samples table")
    return samples.take(pa.array([row for row, name in enumerate(names) if name in wanted], pa.int64()))


def make_splits(
    samples: pa.Table, settings: Splits, *, analysis: str, cohort: str, procedure: str = "nested"
) -> pa.Table:
    """Divide patients into outer folds, and each training part into inner folds.

    samples : table of schemas.SAMPLES. A patient's stratum is 1 where any of its samples has outcome 1.
    Folds are fewer than asked until the smallest test part holds three patients of each stratum; inner folds are
    fewer until each holds one of each. Returns a table of schemas.SPLITS.
    Raises AnalysisRefused under six patients of a stratum.
    """
    strata = patient_strata(samples)
    folds = outer_folds(strata, settings.folds)
    rows = sorted(zip(samples["patient"].to_pylist(), samples["sample"].to_pylist(), strict=True))
    columns: dict[str, list[object]] = {name: [] for name in SPLITS.names}

    def add(repeat: int, fold: int, inner_fold: int, test: Mapping[str, bool]) -> None:
        for patient, sample in rows:
            if patient in test:
                part = "test" if test[patient] else "train"
                values = (cohort, analysis, procedure, repeat, fold, inner_fold, patient, sample, part)
                for name, value in zip(SPLITS.names, values, strict=True):
                    columns[name].append(value)

    for repeat in range(1, settings.repeats + 1):
        name = f"{analysis}/{settings.seed}/{repeat}"
        place = divide(strata, folds, name)
        for fold in range(1, folds + 1):
            add(repeat, fold, OUTER, {patient: at == fold for patient, at in place.items()})
            inside = {patient: strata[patient] for patient, at in place.items() if at != fold}
            inner = divide(inside, inner_folds(inside, settings.inner_folds), f"{name}/{fold}")
            for inner_fold in range(1, max(inner.values()) + 1):
                add(repeat, fold, inner_fold, {patient: at == inner_fold for patient, at in inner.items()})
    return pa.table(columns, schema=SPLITS)


def patient_strata(samples: pa.Table) -> dict[str, int]:
    """Patient -> 1 where any of its samples has the event, else 0; sorted by patient."""
    strata: dict[str, int] = {}
    for patient, outcome in zip(samples["patient"].to_pylist(), samples["outcome"].to_pylist(), strict=True):
        strata[patient] = max(strata.get(patient, 0), int(outcome))
    return dict(sorted(strata.items()))


def outer_folds(strata: Mapping[str, int], asked: int) -> int:
    """Outer folds that leave three patients of each stratum in the smallest test part; at most those asked for."""
    events, others = sum(strata.values()), len(strata) - sum(strata.values())
    if min(events, others) < LEAST_PATIENTS:
        raise AnalysisRefused(
            f"too few patients: {events} with and {others} without the event. "
            f"Wanted: at least {LEAST_PATIENTS} of each, for {LEAST_FOLDS} folds with {LEAST_IN_TEST} of each."
        )
    return min(asked, min(events, others) // LEAST_IN_TEST)


def inner_folds(strata: Mapping[str, int], asked: int) -> int:
    """Inner folds that leave at least one patient of each stratum in every part; at most those asked for."""
    events = sum(strata.values())
    return max(LEAST_FOLDS, min(asked, events, len(strata) - events))


def divide(strata: Mapping[str, int], folds: int, name: str) -> dict[str, int]:
    """Fold (from 1) of each patient: by stratum, in an order drawn from `name`, dealt out in turn."""

    def drawn(patient: str) -> str:
        return hashlib.sha256(f"{name}/{patient}".encode()).hexdigest()

    dealt = [p for stratum in (1, 0) for p in sorted((p for p, s in strata.items() if s == stratum), key=drawn)]
    place = {patient: turn % folds + 1 for turn, patient in enumerate(dealt)}
    return dict(sorted(place.items()))
