"""Calibration of out-of-fold probabilities: line, level, smooth curve, groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from osteorad.modelling.evaluation.bootstrap import CONDITIONAL, everyone, measured
from osteorad.modelling.evaluation.rows import LEAST_PROBABILITY, TestRows
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.hosmer_lemeshow import hosmer_lemeshow
from osteorad.modelling.statistics.metrics import (
    calibration_in_the_large,
    expit,
    logistic_lines,
    logit,
    wilson,
)

NUMBERS = ("slope", "intercept", "in_the_large", "brier", "scaled_brier", "ici")
SPAN = 0.75
POINTS = 51
NO_SPREAD = 1e-9
HL_GROUPS = 10
HL_NOTE = (
    "Test rows only, so no degree of freedom is lost to the fit. A large P value does not show that a model is well "
    "calibrated, nor that it is not overfitted: slope and intercept tell more."
)


def calibration(repeats: Sequence[TestRows], weights: FloatArray) -> dict[str, Any]:
    """Numbers of calibration (means over repeats, with patient bootstrap), smooth curve and groups."""
    point, drawn = calibration_numbers(repeats, everyone(weights)), calibration_numbers(repeats, weights)
    outcome = np.concatenate([rows.outcome for rows in repeats])
    probability = np.concatenate([rows.probability for rows in repeats])
    first = repeats[0]
    return {
        **{name: measured(float(point[name][0]), drawn[name]) for name in NUMBERS},
        # A distance cannot be negative, so chance raises it, and a bootstrap sample raises it again.
        "ici": {"estimate": float(point["ici"][0]), "low": None, "high": None},
        "curve": smooth_curve(outcome, probability),
        "bins": calibration_bins(first.outcome, first.probability),
        "rug": [
            {"probability": float(p), "outcome": int(y)}
            for p, y in sorted(zip(first.probability, first.outcome, strict=True))
        ],
        "label": CONDITIONAL,
        "hosmer_lemeshow": _hosmer_lemeshow(first),
    }


def _hosmer_lemeshow(rows: TestRows) -> dict[str, Any] | None:
    """Hosmer and Lemeshow's test of one repeat's test rows; None where it cannot be computed."""
    found = hosmer_lemeshow(rows.outcome, rows.probability, groups=HL_GROUPS)
    if found is None:
        return None
    return {
        "chi2": found.chi2,
        "df": found.df,
        "p": found.p,
        "groups": len(found.groups),
        "n": len(rows.outcome),
        "repeat": rows.repeat,
        "note": HL_NOTE,
    }


def calibration_numbers(repeats: Sequence[TestRows], weights: FloatArray) -> dict[str, FloatArray]:
    """Each number under each weighting of patients, mean over repeats."""
    found: dict[str, list[FloatArray]] = {name: [] for name in NUMBERS}
    for rows in repeats:
        w = weights[:, rows.patient]
        p = np.clip(rows.probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
        intercept, slope = logistic_lines(logit(p)[None, :], rows.outcome[None, :].astype(float), w, steps=25)
        total = w.sum(axis=1)
        brier = (w * (p - rows.outcome) ** 2).sum(axis=1) / total
        share = (w * rows.outcome).sum(axis=1) / total
        with np.errstate(invalid="ignore", divide="ignore"):
            scaled = 1 - brier / (share * (1 - share))
        values = (slope, intercept, _in_the_large(rows.outcome, p, w), brier, scaled, ici(rows.outcome, p, w))
        for name, value in zip(NUMBERS, values, strict=True):
            found[name].append(value)
    return {name: np.asarray(np.mean(values, axis=0)) for name, values in found.items()}


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


def ici(outcome: IntArray, probability: FloatArray, weights: FloatArray) -> FloatArray:
    """Integrated calibration index (Austin & Steyerberg 2019): mean distance of smooth observed share and prediction.

    weights : shape (draws, rows). The smooth curve is that of `smooth_curve`, at 51 points over all predictions and by
    straight lines between them; the reach of its windows is that of the data themselves in every draw.
    """
    low, high = float(probability.min()), float(probability.max())
    total = weights.sum(axis=1)
    if high - low < NO_SPREAD:
        return np.asarray(np.abs(weights @ outcome / total - probability[0]))
    at = np.linspace(low, high, POINTS)
    observed = _smooth(outcome, probability, weights, at)
    step = (probability - low) / (high - low) * (POINTS - 1)
    left = np.minimum(step.astype(np.int64), POINTS - 2)
    part = step - left
    fitted = observed[:, left] * (1 - part) + observed[:, left + 1] * part
    return np.asarray((weights * np.abs(fitted - probability)).sum(axis=1) / total)


def smooth_curve(outcome: IntArray, probability: FloatArray) -> list[dict[str, float]]:
    """Observed share by predicted probability: local lines with tricube weights (Cleveland 1979), at 51 points.

    Drawn between the 1st and 99th percentile of the predictions; empty where the predictions have no spread.
    """
    low, high = np.percentile(probability, [1, 99])
    if high - low < NO_SPREAD:
        return []
    at = np.linspace(low, high, POINTS)
    observed = _smooth(outcome, probability, np.ones((1, len(outcome))), at)[0]
    return [{"predicted": float(x), "observed": float(y)} for x, y in zip(at, observed, strict=True)]


def _smooth(outcome: IntArray, probability: FloatArray, weights: FloatArray, at: FloatArray) -> FloatArray:
    """Local lines through outcomes at the points `at`, cut off at 0 and 1; shape (draws, points).

    Windows hold three quarters of the rows.
    """
    neighbours = max(2, int(np.ceil(SPAN * len(probability))))
    x = probability[None, :] - at[:, None]
    distance = np.abs(x)
    reach = np.maximum(np.sort(distance, axis=1)[:, neighbours - 1], 1e-9) * 1.0001
    kernel = np.clip(1 - (distance / reach[:, None]) ** 3, 0, None) ** 3
    s0, s1, s2 = (weights @ (kernel * x**power).T for power in (0, 1, 2))
    t0, t1 = (weights @ (kernel * x**power * outcome).T for power in (0, 1))
    with np.errstate(invalid="ignore", divide="ignore"):
        spread = s0 * s2 - s1**2
        flat = spread <= 1e-12 * s0 * s2
        line = (s2 * t0 - s1 * t1) / spread
        return np.clip(np.where(flat, t0 / s0, line), 0.0, 1.0)


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
            {"predicted": float(probability[part].mean()), "observed": k / n, "k": k, "n": n, "low": low, "high": high}
        )
    return bins
