"""Calibration of out-of-fold probabilities: line, level, smooth curve, groups."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from osteorad.modelling.evaluation.bootstrap import CONDITIONAL, everyone, measured
from osteorad.modelling.evaluation.rows import TestRows
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.calibration import LEAST_PROBABILITY, smooth_curve
from osteorad.modelling.statistics.hosmer_lemeshow import hosmer_lemeshow
from osteorad.modelling.statistics.metrics import (
    calibration_in_the_large,
    expit,
    logistic_lines,
    logit,
    wilson,
)

NUMBERS = ("slope", "intercept", "in_the_large", "brier", "scaled_brier")
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
        **{name: measured(float(point[name].mean()), drawn[name]) for name in NUMBERS},
        "ici": {"estimate": ici(repeats), "low": None, "high": None},
        "curve": curve_of(outcome, probability),
        "bins": calibration_bins(first),
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
    """Each number of each repeat under each weighting of patients, shape (repeats, draws)."""
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
        values = (slope, intercept, _in_the_large(rows.outcome, p, w), brier, scaled)
        for name, value in zip(NUMBERS, values, strict=True):
            found[name].append(value)
    return {name: np.array(values) for name, values in found.items()}


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


def curve_of(outcome: IntArray, probability: FloatArray) -> list[dict[str, float]]:
    """Observed share by predicted probability (`statistics.calibration.smooth_curve`), at 51 points.

    Drawn between the 1st and 99th percentile of the predictions; empty where the predictions have no spread.
    """
    low, high = np.percentile(probability, [1, 99])
    if high - low < NO_SPREAD:
        return []
    order = np.argsort(probability, kind="stable")
    observed = smooth_curve(probability, outcome.astype(float))[order]
    at = np.linspace(low, high, POINTS)
    shown = np.clip(np.interp(at, probability[order], observed), 0.0, 1.0)
    return [{"predicted": float(x), "observed": float(y)} for x, y in zip(at, shown, strict=True)]


def ici(repeats: Sequence[TestRows]) -> float:
    """Integrated calibration index (Austin & Steyerberg 2019): mean distance of probability and smooth observed share.

    Mean over repeats. It has no interval: a distance cannot be negative, so chance raises it, and raises it again in
    every bootstrap sample.
    """
    smooth = [smooth_curve(rows.probability, rows.outcome.astype(float)) for rows in repeats]
    return float(np.mean([np.abs(rows.probability - y).mean() for rows, y in zip(repeats, smooth, strict=True)]))


def calibration_bins(rows: TestRows) -> list[dict[str, Any]]:
    """Groups of equal size by predicted probability (5, or 10 from 200 rows on): mean predicted, k of n observed.

    Wilson's interval where every patient has one row.
    """
    outcome, probability = rows.outcome, rows.probability
    order = np.argsort(probability, kind="stable")
    bins = []
    for part in np.array_split(order, 10 if len(order) >= 200 else 5):
        if not len(part):
            continue
        k, n = int(outcome[part].sum()), len(part)
        low, high = wilson(k, n) if rows.independent else (None, None)
        bins.append(
            {"predicted": float(probability[part].mean()), "observed": k / n, "k": k, "n": n, "low": low, "high": high}
        )
    return bins
