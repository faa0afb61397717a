"""ROC, calibration and confusion from test predictions, with patient-bootstrap bands.

Bands resample patients and keep the fitted models, so they are conditional: what another training set would have
given is not in them. Pooled curves use probabilities, calibrated inside each fold, within one repeat; results of
repeats are averaged, never the probabilities.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.metrics import (
    LEVEL,
    auc,
    calibration_in_the_large,
    expit,
    logistic_lines,
    logit,
    wilson,
)

CONDITIONAL = "95 % patient bootstrap, conditional on the fitted models"
GRID = np.linspace(0.0, 1.0, 101)
LEAST_PROBABILITY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class TestRows:
    """Test predictions of one repeat: every sample once. patient : place of its patient, from 0."""

    __test__ = False  # not a test class, whatever its name

    repeat: int
    patient: NDArray[np.int64]
    outcome: IntArray
    probability: FloatArray
    predicted: IntArray


def draw_weights(patients: int, draws: int, seed: int) -> FloatArray:
    """How often each patient stands in each bootstrap sample, shape (draws, patients)."""
    return np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), size=draws).astype(float)


def percentile_interval(values: FloatArray) -> tuple[float | None, float | None]:
    """Percentile interval of bootstrap values, those that do not exist left out; None where fewer than half exist."""
    values = values[np.isfinite(values)] if values.ndim == 1 else values
    if not len(values):
        return None, None
    low, high = np.percentile(values, [50 * (1 - LEVEL), 50 * (1 + LEVEL)])
    return float(low), float(high)


def _measured(estimate: float | None, values: FloatArray) -> dict[str, float | None]:
    usable = np.isfinite(values)
    low, high = percentile_interval(values[usable]) if usable.mean() >= 0.5 else (None, None)
    known = estimate is not None and np.isfinite(estimate)
    return {"estimate": float(estimate) if known and estimate is not None else None, "low": low, "high": high}


# --- ROC -------------------------------------------------------------------------------------------------------------


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


def roc_curve(repeats: Sequence[TestRows], weights: FloatArray) -> dict[str, Any]:
    """Pooled ROC: mean over repeats of sensitivity at each false positive rate, with a bootstrap band."""
    everyone = np.ones((1, weights.shape[1]))
    (tpr, area), (band, areas) = _mean_roc(repeats, everyone), _mean_roc(repeats, weights)
    usable = np.isfinite(areas)
    low, high = np.percentile(band[usable], [50 * (1 - LEVEL), 50 * (1 + LEVEL)], axis=0)
    return {
        "fpr": GRID.tolist(),
        "tpr": tpr[0].tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "auc": _measured(float(area[0]), areas),
        "label": CONDITIONAL,
        "bootstrap": len(weights),
        "bootstrap_used": int(usable.sum()),
    }


def _mean_roc(repeats: Sequence[TestRows], weights: FloatArray) -> tuple[FloatArray, FloatArray]:
    curves, areas = [], []
    for rows in repeats:
        fpr, tpr = roc_points(rows.outcome, rows.probability, weights[:, rows.patient])
        areas.append(np.trapezoid(tpr, fpr, axis=1))
        curves.append(np.array([np.interp(GRID, x, y) for x, y in zip(fpr, tpr, strict=True)]))
    return np.mean(curves, axis=0), np.mean(areas, axis=0)


# --- calibration -----------------------------------------------------------------------------------------------------


def calibration(repeats: Sequence[TestRows], weights: FloatArray) -> dict[str, Any]:
    """Slope, intercept, calibration in the large and Brier score (means over repeats), smooth curve and bins."""
    everyone = np.ones((1, weights.shape[1]))
    point, drawn = _calibration_numbers(repeats, everyone), _calibration_numbers(repeats, weights)
    names = ("slope", "intercept", "in_the_large", "brier", "scaled_brier")
    numbers = {name: _measured(float(point[name][0]), drawn[name]) for name in names}
    outcome = np.concatenate([rows.outcome for rows in repeats])
    probability = np.concatenate([rows.probability for rows in repeats])
    return {
        **numbers,
        "curve": smooth_curve(outcome, probability),
        "bins": calibration_bins(repeats[0].outcome, repeats[0].probability),
        "rug": [
            {"probability": float(p), "outcome": int(y)}
            for p, y in sorted(zip(repeats[0].probability, repeats[0].outcome, strict=True))
        ],
        "label": CONDITIONAL,
    }


def _calibration_numbers(repeats: Sequence[TestRows], weights: FloatArray) -> dict[str, FloatArray]:
    found: dict[str, list[FloatArray]] = {}
    for rows in repeats:
        w = weights[:, rows.patient]
        p = np.clip(rows.probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        intercept, slope = logistic_lines(logit(p)[None, :], rows.outcome[None, :].astype(float), w, steps=25)
        total = w.sum(axis=1)
        brier = (w * (p - rows.outcome) ** 2).sum(axis=1) / total
        share = (w * rows.outcome).sum(axis=1) / total
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = 1 - brier / (share * (1 - share))
        for name, values in (
            ("slope", slope),
            ("intercept", intercept),
            ("in_the_large", _in_the_large(rows.outcome, p, w)),
            ("brier", brier),
            ("scaled_brier", scaled),
        ):
            found.setdefault(name, []).append(values)
    return {name: np.mean(values, axis=0) for name, values in found.items()}


def _in_the_large(outcome: IntArray, p: FloatArray, weights: FloatArray) -> FloatArray:
    """Calibration in the large of each weighting; see `metrics.calibration_in_the_large`."""
    if len(weights) == 1:
        return np.array([calibration_in_the_large(outcome, p)])
    base, shift = logit(p), np.zeros(len(weights))
    for _ in range(15):
        now = expit(base[None, :] + shift[:, None])
        slope = np.maximum((weights * now * (1 - now)).sum(axis=1), 1e-300)
        shift = shift + np.clip((weights * (outcome - now)).sum(axis=1) / slope, -2.0, 2.0)
    return np.where(np.abs(shift) > 20, np.nan, shift)


def smooth_curve(outcome: IntArray, probability: FloatArray, *, span: float = 0.75) -> list[dict[str, float]]:
    """Observed share by predicted probability: local lines with tricube weights (Cleveland 1979), at most 51 points.

    Drawn between the 1st and 99th percentile of the predictions; empty where the predictions have no spread.
    """
    low, high = np.percentile(probability, [1, 99])
    if high - low < 1e-9:
        return []
    neighbours = max(2, int(np.ceil(span * len(probability))))
    points = []
    for at in np.linspace(low, high, 51):
        distance = np.abs(probability - at)
        reach = max(float(np.sort(distance)[neighbours - 1]), 1e-9) * 1.0001
        weight = np.clip(1 - (distance / reach) ** 3, 0, None) ** 3
        centre = float(np.average(probability, weights=weight))
        spread = float(np.average((probability - centre) ** 2, weights=weight))
        mean = float(np.average(outcome, weights=weight))
        joint = float(np.average((probability - centre) * (outcome - mean), weights=weight))
        observed = mean + (joint / spread * (at - centre) if spread > 1e-18 else 0.0)
        points.append({"predicted": float(at), "observed": min(1.0, max(0.0, observed))})
    return points


def calibration_bins(outcome: IntArray, probability: FloatArray) -> list[dict[str, Any]]:
    """Groups of equal size by predicted probability (5, or 10 from 200 rows on): mean predicted, k of n observed."""
    order = np.argsort(probability, kind="stable")
    bins = []
    for part in np.array_split(order, 10 if len(order) >= 200 else 5):
        if not len(part):
            continue
        k, n = int(outcome[part].sum()), len(part)
        low, high = wilson(k, n)
        bins.append(
            {
                "predicted": float(probability[part].mean()),
                "observed": k / n,
                "k": k,
                "n": n,
                "low": low,
                "high": high,
            }
        )
    return bins


# --- confusion -------------------------------------------------------------------------------------------------------

MEASURES = {
    # name -> (rows that count as right, rows that are counted), by outcome and prediction
    "sensitivity": lambda y, p: (y & p, y),
    "specificity": lambda y, p: (~y & ~p, ~y),
    "ppv": lambda y, p: (y & p, p),
    "npv": lambda y, p: (~y & ~p, ~p),
    "accuracy": lambda y, p: (y == p, np.ones(len(y), dtype=bool)),
}


def confusion(repeats: Sequence[TestRows], weights: FloatArray) -> dict[str, Any]:
    """Counts of each repeat at the frozen thresholds, and the measures made of them.

    estimate : mean over repeats, with patient bootstrap. k, n, Wilson's interval : repeat 1.
    """
    counts = []
    for rows in repeats:
        y, p = rows.outcome == 1, rows.predicted == 1
        cells = {"tp": y & p, "fp": ~y & p, "fn": y & ~p, "tn": ~y & ~p}
        counts.append({"repeat": rows.repeat, **{name: int(cell.sum()) for name, cell in cells.items()}})
    measures = [_measure(name, repeats, weights) for name in MEASURES]
    rule = "threshold of each fold by Youden's index on inner out-of-fold scores, frozen before testing"
    return {"rule": rule, "repeats": counts, "measures": measures, "label": CONDITIONAL}


def _measure(name: str, repeats: Sequence[TestRows], weights: FloatArray) -> dict[str, Any]:
    by_repeat, drawn = [], []
    for rows in repeats:
        right, counted = MEASURES[name](rows.outcome == 1, rows.predicted == 1)
        by_repeat.append({"k": int(right.sum()), "n": int(counted.sum())})
        w = weights[:, rows.patient]
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn.append((w * right).sum(axis=1) / (w * counted).sum(axis=1))
    known = [item["k"] / item["n"] for item in by_repeat if item["n"]]
    k, n = by_repeat[0]["k"], by_repeat[0]["n"]
    low, high = wilson(k, n)
    return {
        "name": name,
        **_measured(float(np.mean(known)) if known else None, np.mean(drawn, axis=0)),
        "k": k,
        "n": n,
        "wilson_low": low,
        "wilson_high": high,
        "by_repeat": by_repeat,
    }


def pooled_auc(repeats: Sequence[TestRows]) -> float | None:
    """Mean over repeats of the AUC of all test rows of a repeat, by calibrated probability."""
    values = [auc(rows.outcome, rows.probability) for rows in repeats]
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
