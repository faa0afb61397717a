"""ROC curves and areas of test predictions, pooled within a repeat and within folds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.modelling.evaluation.bootstrap import CONDITIONAL, band, everyone, measured
from osteorad.modelling.evaluation.rows import TestRows, by_fold, tested
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.metrics import auc

GRID = np.linspace(0.0, 1.0, 101)


def roc_points(outcome: IntArray, score: FloatArray, weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    """False and true positive rates at every distinct score, from (0, 0) on.

    weights : shape (draws, rows). Returns two arrays, shape (draws, distinct scores + 1); NaN where a class is absent.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score[order]) != 0, True))
    sides = []
    for label in (0, 1):
        counted = np.cumsum(weights[:, order] * (outcome[order] == label), axis=1)[:, ends]
        with np.errstate(invalid="ignore", divide="ignore"):
            rate = counted / counted[:, -1:]
        sides.append(np.hstack([np.zeros((len(weights), 1)), rate]))
    return sides[0], sides[1]


def areas(repeats: Sequence[TestRows], weights: FloatArray) -> FloatArray:
    """Pooled AUC by calibrated probability of each repeat under each weighting of patients, shape (repeats, draws)."""
    found = []
    for rows in repeats:
        fpr, tpr = roc_points(rows.outcome, rows.probability, weights[:, rows.patient])
        found.append(np.trapezoid(tpr, fpr, axis=1))
    return np.array(found)


def roc_curve(repeats: Sequence[TestRows], weights: FloatArray) -> dict[str, Any]:
    """Pooled ROC: mean over repeats of sensitivity at each false positive rate, with a bootstrap band."""
    tpr = _curves(repeats, everyone(weights)).mean(axis=(0, 1))
    low, high = band(_curves(repeats, weights))
    drawn = areas(repeats, weights)
    return {
        "fpr": GRID.tolist(),
        "tpr": tpr.tolist(),
        "low": low,
        "high": high,
        "auc": measured(pooled_auc(repeats), drawn),
        "label": CONDITIONAL,
        "bootstrap": len(weights),
        "bootstrap_used": int(np.isfinite(drawn).all(axis=0).sum()),
    }


def _curves(repeats: Sequence[TestRows], weights: FloatArray) -> FloatArray:
    """Sensitivity at each false positive rate, shape (repeats, draws, rates)."""
    curves = []
    for rows in repeats:
        fpr, tpr = roc_points(rows.outcome, rows.probability, weights[:, rows.patient])
        curves.append(np.array([np.interp(GRID, x, y) for x, y in zip(fpr, tpr, strict=True)]))
    return np.array(curves)


def pooled_auc(repeats: Sequence[TestRows]) -> float | None:
    """Mean over repeats of the AUC of all test rows of a repeat, by calibrated probability."""
    known = [value for rows in repeats if (value := auc(rows.outcome, rows.probability)) is not None]
    return float(np.mean(known)) if known else None


def fold_roc(table: pa.Table) -> list[float]:
    """Mean over test folds of sensitivity at each false positive rate: the curve whose area is the primary AUC."""
    curves = []
    for _, rows in by_fold(tested(table)):
        outcome, score = rows["outcome"].to_numpy(), rows["score"].to_numpy()
        if 0 < outcome.sum() < len(outcome):
            fpr, tpr = roc_points(outcome, score, np.ones((1, len(outcome))))
            curves.append(np.interp(GRID, fpr[0], tpr[0]))
    return np.mean(curves, axis=0).tolist() if curves else []
