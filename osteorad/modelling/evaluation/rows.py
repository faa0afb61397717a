"""Test predictions as arrays: rows of each repeat, AUC of each fold, counts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.calibration import LEAST_PROBABILITY
from osteorad.modelling.statistics.metrics import auc, logit


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRows:
    """Test predictions of one repeat, sorted by sample.

    patient : place of its patient, from 0, alike in all repeats. cut : the frozen threshold as a probability.
    """

    __test__ = False  # not a test class, whatever its name

    repeat: int
    sample: tuple[str, ...]
    patient: NDArray[np.int64]
    fold: IntArray
    outcome: IntArray
    score: FloatArray
    probability: FloatArray
    cut: FloatArray
    predicted: IntArray

    @property
    def independent(self) -> bool:
        """Whether every patient has one row; intervals of proportions need that."""
        return len(np.unique(self.patient)) == len(self.patient)


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldAuc:
    """AUC of one procedure in one test fold; `model` is the one that was used there."""

    repeat: int
    fold: int
    auc: float | None
    n: int
    events: int
    model: str


def of_variables(table: pa.Table, variables: str) -> pa.Table:
    """Rows of one procedure: those of the model that it chose in each fold."""
    return table.filter((pc.field("variables") == variables) & pc.field("chosen"))


def has(table: pa.Table, variables: str) -> bool:
    """Whether a procedure was run."""
    return variables in set(table["variables"].to_pylist())


def tested(table: pa.Table) -> pa.Table:
    """Rows of test parts."""
    return table.filter(pc.field("part") == "test")


def by_fold(table: pa.Table) -> Iterator[tuple[tuple[int, int], pa.Table]]:
    """Rows of each outer fold, folds sorted; rows keep their order."""
    repeats, folds = table["repeat"].to_numpy(), table["fold"].to_numpy()
    order = np.lexsort((folds, repeats))
    ordered = table.take(order)
    keys = np.array([repeats[order], folds[order]])
    changes = np.flatnonzero((np.diff(keys, axis=1) != 0).any(axis=0)) + 1
    starts = [0, *changes.tolist()] if len(order) else []
    for start, end in zip(starts, [*starts[1:], len(order)], strict=False):
        yield (int(keys[0, start]), int(keys[1, start])), ordered.slice(start, end - start)


def fold_aucs(table: pa.Table) -> list[FoldAuc]:
    """AUC within each test fold, by score; None where a fold has one class."""
    found = []
    for (repeat, fold), rows in by_fold(tested(table)):
        outcome = rows["outcome"].to_numpy()
        found.append(
            FoldAuc(
                repeat=repeat,
                fold=fold,
                auc=auc(outcome, rows["score"].to_numpy()),
                n=len(outcome),
                events=int(outcome.sum()),
                model=rows["model"][0].as_py(),
            )
        )
    return found


def tested_share(table: pa.Table) -> float:
    """Test rows over training rows, mean over folds."""
    shares = []
    for _, rows in by_fold(table):
        count = tested(rows).num_rows
        shares.append(count / (rows.num_rows - count))
    return float(np.mean(shares))


def patients_of(table: pa.Table) -> list[str]:
    """All patients of a procedure, sorted: their places are those of `TestRows.patient`."""
    return sorted(set(table["patient"].to_pylist()))


def rows_of(table: pa.Table) -> list[TestRows]:
    """Test rows of each repeat of one procedure."""
    place = {patient: at for at, patient in enumerate(patients_of(table))}
    cuts = _cuts(table)
    test = tested(table).sort_by([("repeat", "ascending"), ("sample", "ascending")])
    found = []
    for repeat in sorted(set(test["repeat"].to_pylist())):
        rows = test.filter(pc.field("repeat") == repeat)
        fold = rows["fold"].to_numpy().astype(np.int64)
        found.append(
            TestRows(
                repeat=repeat,
                sample=tuple(rows["sample"].to_pylist()),
                patient=np.array([place[name] for name in rows["patient"].to_pylist()], dtype=np.int64),
                fold=fold,
                outcome=rows["outcome"].to_numpy().astype(np.int64),
                score=rows["score"].to_numpy(),
                probability=rows["probability"].to_numpy(),
                cut=np.array([cuts[repeat, at] for at in fold.tolist()]),
                predicted=rows["predicted"].to_numpy().astype(np.int64),
            )
        )
    return found


def _cuts(table: pa.Table) -> dict[tuple[int, int], float]:
    """Threshold of each fold as a probability.

    The log odds of a fold's probabilities are a line of its scores (Platt); two of its rows tell the line.
    """
    cuts = {}
    for at, rows in by_fold(table):
        score, threshold = rows["score"].to_numpy(), float(rows["threshold"][0].as_py())
        odds = logit(np.clip(rows["probability"].to_numpy(), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY))
        first, last = int(np.argmin(score)), int(np.argmax(score))
        spread = score[last] - score[first]
        slope = (odds[last] - odds[first]) / spread if spread > 0 else 0.0
        cuts[at] = float(1 / (1 + np.exp(-(odds[first] + slope * (threshold - score[first])))))
    return cuts


def counts(table: pa.Table, least: int) -> dict[str, int]:
    """How much an analysis rests on; events are patients with any sample with outcome 1, non-events all others.

    Tested are patients of any test part: all of them but in a hold-out. least : tested patients of the rarer class
    that an AUC needs as a headline.
    """
    everybody, test = _events(table, "patient"), _events(tested(table), "patient")
    without = tested(table).filter(pc.field("outcome") == 0)
    samples = _events(table, "sample")
    owners = dict(zip(table["sample"].to_pylist(), table["patient"].to_pylist(), strict=True))
    folds = set(zip(table["repeat"].to_pylist(), table["fold"].to_pylist(), strict=True))
    events, tested_events = sum(everybody.values()), sum(test.values())
    return {
        "patients": len(everybody),
        "samples": len(samples),
        "sample_events": sum(samples.values()),
        "most_samples": max(Counter(owners.values()).values()),
        "events": events,
        "non_events": len(everybody) - events,
        "tested_patients": len(test),
        "tested_events": tested_events,
        # A patient with lesions of either outcome stands in both classes.
        "minority": min(tested_events, len(set(without["patient"].to_pylist()))),
        "minority_needed": least,
        "repeats": len({repeat for repeat, _ in folds}),
        "folds": len({fold for _, fold in folds}),
        "fits": len(folds),
    }


def _events(table: pa.Table, key: str) -> dict[str, int]:
    """Whether each patient, or each sample, has the event."""
    found: dict[str, int] = {}
    for name, outcome in zip(table[key].to_pylist(), table["outcome"].to_pylist(), strict=True):
        found[name] = max(found.get(name, 0), outcome)
    return found
