"""Calibration of probabilities: the measures of val.prob (Harrell), with a smooth curve.

`metrics` has calibration in the large and the logistic lines; many-at-once fits for bootstrap bands stand there too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.logistic import loglik
from osteorad.modelling.statistics.metrics import calibration_in_the_large, logistic_line, logit

SPAN = 2 / 3  # share of rows around each point of the curve
SKIP = 0.01  # of the range: points nearer than this lie on a straight line between two fitted ones
LEAST_PROBABILITY = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Calibration:
    """Calibration of one set of predictions; NaN where a measure does not exist (one value only, or no overlap).

    slope, intercept : of a logistic regression on the log odds; 1 and 0 at best. in_the_large : its intercept with
    the slope held at 1. brier : mean squared error; scaled_brier : share of the prevalence's error that is gone.
    ici : integrated calibration index, mean distance between probability and smooth curve (Austin & Steyerberg 2019;
    Eavg of val.prob); e90, emax : 90 % quantile and largest distance. unreliability_p : test that slope is 1 and
    intercept 0. spiegelhalter_z : test of the Brier score (Spiegelhalter 1986).
    """

    slope: float
    intercept: float
    in_the_large: float
    brier: float
    scaled_brier: float
    ici: float
    e90: float
    emax: float
    discrimination: float  # D of val.prob
    unreliability: float  # U
    unreliability_p: float
    r2: float  # Nagelkerke's
    spiegelhalter_z: float
    spiegelhalter_p: float

    @property
    def quality(self) -> float:
        """Discrimination less unreliability: Q of val.prob."""
        return self.discrimination - self.unreliability


def calibration(outcome: IntArray, probability: FloatArray) -> Calibration:
    """All measures. outcome : 0 or 1, both present; ValueError otherwise. probability : of rows not trained on."""
    if not 0 < outcome.sum() < len(outcome):
        raise ValueError("calibration needs both classes")
    p = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    n, eta, prevalence = len(p), logit(p), float(outcome.mean())
    intercept, slope = logistic_line(eta, outcome.astype(float))
    null = loglik(np.full(n, float(logit(np.array(prevalence)))), outcome)
    as_given = loglik(eta, outcome)
    ratio = 2 * (as_given - null)
    gain = 2 * (loglik(intercept + slope * eta, outcome) - as_given) if np.isfinite(slope) else np.nan
    distance = np.abs(p - smooth_curve(p, outcome.astype(float)))
    spread = float(((1 - 2 * p) ** 2 * p * (1 - p)).sum())
    z = float(((outcome - p) * (1 - 2 * p)).sum()) / spread**0.5 if spread > 0 else np.nan
    return Calibration(
        slope=slope,
        intercept=intercept,
        in_the_large=calibration_in_the_large(outcome, p),
        brier=brier(outcome, probability),
        scaled_brier=1 - brier(outcome, probability) / (prevalence * (1 - prevalence)),
        ici=float(distance.mean()),
        e90=float(np.quantile(distance, 0.9)),
        emax=float(distance.max()),
        discrimination=(ratio - 1) / n,
        unreliability=(gain - 2) / n,
        unreliability_p=float(stats.chi2.sf(gain, 2)),
        r2=(1 - float(np.exp(-ratio / n))) / (1 - float(np.exp(2 * null / n))),
        spiegelhalter_z=z,
        spiegelhalter_p=float(2 * stats.norm.sf(abs(z))),
    )


def brier(outcome: IntArray, probability: FloatArray) -> float:
    """Mean squared difference of outcome and probability (Brier 1950)."""
    return float(((outcome - probability) ** 2).mean())


def smooth_curve(x: FloatArray, y: FloatArray) -> FloatArray:
    """Locally weighted straight lines through y, at each x (Cleveland 1979), without robust passes, as R's lowess.

    The nearest 2/3 of the rows count at each point, with tricube weights. Rows of equal x get one value.
    """
    order = np.argsort(x, kind="stable")
    xs, ys = x[order], y[order]
    near = max(2, min(len(xs), int(SPAN * len(xs) + 1e-7)))
    at, values = [0], [_local_line(xs, ys, 0, near)]
    step = SKIP * (xs[-1] - xs[0])
    while at[-1] < len(xs) - 1:
        last = at[-1]
        same = int(np.searchsorted(xs, xs[last], side="right")) - 1
        beyond = int(np.searchsorted(xs, xs[last] + step, side="right")) - 1
        following = max(same + 1, beyond) if same < len(xs) - 1 else len(xs) - 1
        at.append(following)
        values.append(values[-1] if xs[following] == xs[last] else _local_line(xs, ys, following, near))
    return np.interp(x, xs[at], values)


def _local_line(xs: FloatArray, ys: FloatArray, at: int, near: int) -> float:
    """Value at xs[at] of the line through the `near` rows around it; xs ascending."""
    centre = xs[at]
    left = int(np.clip(at - near + 1, 0, len(xs) - near))
    while left + near < len(xs) and centre - xs[left] > xs[left + near] - centre:
        left += 1
    reach = max(centre - xs[left], xs[left + near - 1] - centre)
    first = max(left, int(np.searchsorted(xs, centre - 0.999 * reach, side="left")))
    last = int(np.searchsorted(xs, centre + 0.999 * reach, side="right"))
    x, y = xs[first:last], ys[first:last]
    far = np.abs(x - centre)
    # R gives rows nearer than a thousandth of the reach the full weight.
    weight = np.where(far > 0.001 * reach, (1 - (far / reach if reach > 0 else far) ** 3) ** 3, 1.0)
    weight = weight / weight.sum()
    mean = float(weight @ x)
    spread = float(weight @ (x - mean) ** 2)
    if np.sqrt(spread) <= 0.001 * (xs[-1] - xs[0]):
        return float(weight @ y)
    return float((weight * (1 + (centre - mean) * (x - mean) / spread)) @ y)
