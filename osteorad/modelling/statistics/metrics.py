"""Measures of discrimination and calibration, thresholds, and intervals; arrays in, numbers out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special, stats

from osteorad.modelling.learning.block import FloatArray, IntArray

LEVEL = 0.95
DIGITS = 12  # so that ties are ties on every machine


@dataclass(frozen=True, slots=True, kw_only=True)
class Interval:
    """An estimate and its interval; None where it cannot be computed."""

    estimate: float | None
    low: float | None = None
    high: float | None = None
    se: float | None = None
    df: int | None = None


def logit(p: FloatArray) -> FloatArray:
    """Log odds."""
    return np.asarray(special.logit(p))


def expit(x: FloatArray) -> FloatArray:
    """Probability of log odds."""
    return np.asarray(special.expit(x))


def auc(outcome: IntArray, score: FloatArray) -> float | None:
    """Area under the ROC curve: the share of pairs in right order, ties half; None with one class only."""
    events = int(outcome.sum())
    others = len(outcome) - events
    if not events or not others:
        return None
    ranked = stats.rankdata(score)
    return float((ranked[outcome == 1].sum() - events * (events + 1) / 2) / (events * others))


def youden_threshold(outcome: IntArray, score: FloatArray) -> float:
    """Threshold with the largest sensitivity + specificity - 1 (Youden 1950), halfway between two scores.

    A row is positive when its score is at least the threshold. Ties go to the lower threshold, the more sensitive one.
    """
    candidates = _cuts(score)
    positive = score[None, :] >= candidates[:, None]
    sensitivity = positive[:, outcome == 1].mean(axis=1)
    specificity = 1.0 - positive[:, outcome == 0].mean(axis=1)
    return float(candidates[int(np.argmax((sensitivity + specificity).round(DIGITS)))])


def threshold_at_sensitivity(outcome: IntArray, score: FloatArray, sensitivity: float) -> float:
    """Highest threshold that finds at least this share of the events, halfway between two scores.

    A row is positive when its score is at least the threshold.
    """
    candidates = _cuts(score)
    found = (score[None, outcome == 1] >= candidates[:, None]).mean(axis=1)
    return float(candidates[np.flatnonzero(found.round(DIGITS) >= round(sensitivity, DIGITS))[-1]])


def _cuts(score: FloatArray) -> FloatArray:
    """The lowest score, then the middle between each score and the next."""
    values = np.unique(score)
    return np.concatenate([values[:1], (values[:-1] + values[1:]) / 2])


@dataclass(frozen=True, slots=True)
class Platt:
    """Probability from score: expit(intercept + slope * score)."""

    intercept: float
    slope: float

    def probability(self, score: FloatArray) -> FloatArray:
        """Calibrated probability of each score."""
        return expit(self.intercept + self.slope * score)


def fit_platt(outcome: IntArray, score: FloatArray) -> Platt:
    """Calibrate scores by a logistic curve with Platt's smoothed targets (Platt 1999).

    Smoothing keeps the curve finite where classes are separated. A curve that falls, of a score that was no better
    than chance, is replaced by the prevalence: probabilities never turn the order of scores round.
    """
    events = outcome.sum()
    others = len(outcome) - events
    target = np.where(outcome == 1, (events + 1) / (events + 2), 1 / (others + 2))
    spread = float(score.std())
    flat = Platt(intercept=float(logit(np.array(target.mean()))), slope=0.0)
    if spread <= 0:
        return flat
    centre = float(score.mean())
    # Smoothed targets always have an estimate, however steep: scores may lie close together but for one.
    ones = np.ones((1, len(score)))
    lines = logistic_lines((score - centre)[None, :] / spread, target[None, :], ones, steps=400, largest=np.inf)
    intercept, slope = (float(line[0]) for line in lines)
    if not (slope > 0 and np.isfinite(intercept)):
        return flat
    return Platt(intercept=intercept - slope * centre / spread, slope=slope / spread)


def logistic_line(x: FloatArray, target: FloatArray) -> tuple[float, float]:
    """Intercept and slope of a logistic regression on one variable; targets may be fractions. See `logistic_lines`."""
    intercept, slope = logistic_lines(x[None, :], target[None, :], np.ones((1, len(x))))
    return float(intercept[0]), float(slope[0])


def logistic_lines(
    x: FloatArray, target: FloatArray, weights: FloatArray, steps: int = 60, largest: float = 50.0
) -> tuple[FloatArray, FloatArray]:
    """Weighted logistic regressions on one variable, many at once, by Newton's method with halved steps.

    x, target, weights : shape (fits, rows), broadcast. largest : a fit beyond this has gone to
    infinity. Returns intercepts and slopes; NaN where the fit does not exist
    (no spread, or classes separated).
    """
    x, target, weights = np.broadcast_arrays(x, target, weights)
    a, b = np.zeros(len(x)), np.zeros(len(x))
    for _ in range(steps):
        p = expit(a[:, None] + b[:, None] * x)
        residual = weights * (target - p)
        curve = weights * p * (1 - p) + 1e-300
        s0, s1, s2 = curve.sum(1), (curve * x).sum(1), (curve * x * x).sum(1)
        g0, g1 = residual.sum(1), (residual * x).sum(1)
        det = s0 * s2 - s1 * s1
        with np.errstate(divide="ignore", invalid="ignore"):
            step_a, step_b = (s2 * g0 - s1 * g1) / det, (s0 * g1 - s1 * g0) / det
        step_a, step_b = np.nan_to_num(step_a, nan=0.0, posinf=0.0, neginf=0.0), np.nan_to_num(step_b, nan=0.0)
        size = np.maximum(np.abs(step_a), np.abs(step_b))
        shrink = np.minimum(1.0, 2.0 / np.maximum(size, 1e-300))
        a, b = a + shrink * step_a, b + shrink * step_b
        if float(size.max()) < 1e-12:
            break
    bad = (np.abs(a) > largest) | (np.abs(b) > largest) | ((x * (weights > 0)).std(axis=1) <= 0)
    return np.where(bad, np.nan, a), np.where(bad, np.nan, b)


def calibration_in_the_large(outcome: IntArray, probability: FloatArray) -> float:
    """Intercept of a logistic regression whose slope is held at 1: log odds that are missing on average."""
    base = logit(probability)
    shift = 0.0
    for _ in range(60):
        p = expit(base + shift)
        step = float((outcome - p).sum() / max(float((p * (1 - p)).sum()), 1e-300))
        shift += max(-2.0, min(2.0, step))
        if abs(step) < 1e-12:
            break
    return shift


def nadeau_bengio(values: Sequence[float], *, test_share: float) -> Interval:
    """Mean of fold results with the corrected resampled t interval (Nadeau & Bengio 2003).

    values : one a fold, over all repeats. test_share : test rows over training rows, 1/4 for 5 folds.
    Variance of the mean = (1/J + test_share) * s^2 with J values and their sample variance s^2; t with J - 1 degrees.
    """
    count = len(values)
    if not count:
        return Interval(estimate=None)
    mean = float(np.mean(values))
    if count < 2:
        return Interval(estimate=mean)
    se = float(np.sqrt((1 / count + test_share) * np.var(values, ddof=1)))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, count - 1)) * se
    return Interval(estimate=mean, low=mean - half, high=mean + half, se=se, df=count - 1)


def wilson(k: int, n: int) -> tuple[float | None, float | None]:
    """Wilson interval of a proportion k of n."""
    if n == 0:
        return None, None
    interval = stats.binomtest(k, n).proportion_ci(LEVEL, method="wilson")
    return float(interval.low), float(interval.high)


def clopper_pearson(k: int, n: int) -> tuple[float | None, float | None]:
    """Exact interval of a proportion k of n (Clopper & Pearson 1934)."""
    if n == 0:
        return None, None
    interval = stats.binomtest(k, n).proportion_ci(LEVEL, method="exact")
    return float(interval.low), float(interval.high)


def nogueira_stability(chosen: NDArray[np.bool_]) -> Interval:
    """Stability of feature selection and its interval (Nogueira, Sechidis & Brown 2018, eq. 4 and theorem 7).

    chosen : shape (fits, features). 1: always the same; 0: as by chance. None where all or no feature is always chosen.
    """
    z = chosen.astype(float)
    fits, features = z.shape
    share = z.mean(axis=0)
    mean = float(z.sum(axis=1).mean())
    by_chance = mean / features * (1 - mean / features)
    if fits < 2 or by_chance <= 0:
        return Interval(estimate=None)
    stability = 1 - float((fits / (fits - 1) * share * (1 - share)).mean()) / by_chance
    k = z.sum(axis=1)
    phi = (
        (z * share).mean(axis=1)
        - k * mean / features**2
        + stability / 2 * (2 * k * mean / features**2 - k / features - mean / features + 1)
    ) / by_chance
    variance = 4 / fits**2 * float(((phi - phi.mean()) ** 2).sum())
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * float(np.sqrt(variance))
    return Interval(estimate=stability, low=stability - half, high=stability + half, se=float(np.sqrt(variance)))
