"""Firth's logistic regression: finite estimates also where the classes are separated.

Firth 1993; Heinze & Schemper 2002.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats

from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.logistic import Design, loglik
from osteorad.modelling.statistics.metrics import LEVEL, expit

MOST_STEPS = 200
LONGEST_STEP = 5.0  # log odds of a column of SD 1
SCORE_DONE = 1e-10
LEAST_SEPARATION = 1e-7


@dataclass(frozen=True, slots=True, kw_only=True)
class FirthFit:
    """Penalised maximum likelihood fit. A column that others explain has the coefficient 0 and no standard error.

    loglik : log likelihood plus half the log determinant of the information, on the scale of the columns given.
    null_loglik : the same with all coefficients but the intercept held at 0; twice the difference is the statistic
    of the whole model, which does not depend on the columns' units.
    """

    intercept: float
    coefficients: FloatArray
    se: FloatArray  # intercept first
    loglik: float
    null_loglik: float
    rank: int

    def probability(self, X: FloatArray) -> FloatArray:
        """Probability of rows, shape (rows, columns)."""
        return expit(self.intercept + X @ self.coefficients)


def separated(X: FloatArray, outcome: IntArray) -> bool:
    """Whether a plane separates the classes, points on the plane allowed: then no maximum likelihood estimate exists.

    Solved exactly as a linear programme (Konis 2007): is there a direction in which no row gets worse and one better?
    """
    signed = Design.of(X).Z * np.where(outcome == 1, 1.0, -1.0)[:, None]
    found = optimize.linprog(
        -signed.sum(axis=0), A_ub=-signed, b_ub=np.zeros(len(signed)), bounds=(-1.0, 1.0), method="highs"
    )
    return bool(-found.fun > LEAST_SEPARATION * len(signed))


def fit_firth(X: FloatArray, outcome: IntArray) -> FirthFit:
    """Fit with Jeffreys' prior as penalty. X : shape (rows, columns).

    outcome : 0 or 1, both present; ValueError otherwise.
    """
    if not 0 < outcome.sum() < len(outcome):
        raise ValueError("a logistic regression needs both classes")
    design = Design.of(X)
    width = design.Z.shape[1]
    beta, value = _maximise(design.Z, outcome, np.zeros(width), np.ones(width, dtype=bool))
    _, null = _maximise(design.Z, outcome, np.zeros(width), np.arange(width) == 0)
    units = float(np.log(design.scale).sum())
    intercept, coefficients = design.back(beta)
    return FirthFit(
        intercept=intercept,
        coefficients=coefficients,
        se=design.se(_information(design.Z, beta)),
        loglik=value + units,
        null_loglik=null + units,
        rank=len(design.kept),
    )


def likelihood_ratio(X: FloatArray, outcome: IntArray) -> tuple[FloatArray, FloatArray]:
    """Penalised likelihood ratio statistic of each column and its P value (1 degree); NaN for columns left out."""
    design = Design.of(X)
    width = design.Z.shape[1]
    start, best = _maximise(design.Z, outcome, np.zeros(width), np.ones(width, dtype=bool))
    chi2 = np.full(X.shape[1], np.nan)
    for at, column in enumerate(design.kept.tolist(), start=1):
        chi2[column] = 2 * (best - _held(design.Z, outcome, start, at, 0.0))
    return chi2, stats.chi2.sf(chi2, 1)


def profile_intervals(X: FloatArray, outcome: IntArray) -> FloatArray:
    """Profile penalised likelihood intervals, shape (columns + 1, 2), intercept first; NaN for columns left out.

    The limits are where twice the loss of penalised log likelihood equals the 95 % point of chi-squared.
    """
    # The intercept of the given columns is no coefficient of the centred design, so columns are only scaled here.
    design = Design.of(X)
    Z = np.hstack([np.ones((len(X), 1)), X[:, design.kept] / design.scale])
    width = Z.shape[1]
    best, value = _maximise(Z, outcome, np.zeros(width), np.ones(width, dtype=bool))
    se = np.sqrt(np.diag(np.linalg.inv(_information(Z, best))))
    fall = float(stats.chi2.ppf(LEVEL, 1)) / 2
    units = np.r_[1.0, design.scale]
    out = np.full((X.shape[1] + 1, 2), np.nan)
    for at in range(width):
        row = 0 if at == 0 else int(design.kept[at - 1]) + 1
        for side, sign in enumerate((-1.0, 1.0)):
            out[row, side] = _limit(Z, outcome, best, at, sign * float(se[at]), value - fall) / units[at]
    return out


def _limit(Z: FloatArray, outcome: IntArray, best: FloatArray, at: int, step: float, level: float) -> float:
    """Where the profile of one coefficient falls to `level`, on the side of `step`."""

    def above(value: float) -> float:
        return _held(Z, outcome, best, at, value) - level

    inside = float(best[at])
    outside = inside + 2 * step
    while above(outside) > 0:
        inside, outside = outside, outside + 2 * step
    return float(optimize.brentq(above, inside, outside, xtol=1e-10))


def _held(Z: FloatArray, outcome: IntArray, start: FloatArray, at: int, value: float) -> float:
    """Largest penalised log likelihood with one coefficient held."""
    beta = start.copy()
    beta[at] = value
    return _maximise(Z, outcome, beta, np.arange(Z.shape[1]) != at)[1]


def _maximise(Z: FloatArray, outcome: IntArray, beta: FloatArray, free: NDArray[np.bool_]) -> tuple[FloatArray, float]:
    """Maximise the penalised likelihood over the free coefficients; the penalty keeps the whole design."""
    value = _penalised(Z, outcome, beta)
    for _ in range(MOST_STEPS):
        p = expit(Z @ beta)
        root = Z * np.sqrt(p * (1 - p))[:, None]
        information = root.T @ root
        leverage = (root * np.linalg.solve(information, root.T).T).sum(axis=1)
        score = (Z.T @ (outcome - p + leverage * (0.5 - p)))[free]
        if np.abs(score).max() < SCORE_DONE * len(Z):
            break
        step = np.zeros_like(beta)
        step[free] = np.linalg.solve(information[np.ix_(free, free)], score)
        step *= min(1.0, LONGEST_STEP / np.abs(step).max())
        for _ in range(40):
            new = _penalised(Z, outcome, beta + step)
            if new >= value - 1e-13 * abs(value):
                break
            step /= 2
        beta, value = beta + step, new
        if np.abs(step).max() < 1e-12:
            break
    return beta, value


def _information(Z: FloatArray, beta: FloatArray) -> FloatArray:
    p = expit(Z @ beta)
    return (Z * (p * (1 - p))[:, None]).T @ Z


def _penalised(Z: FloatArray, outcome: IntArray, beta: FloatArray) -> float:
    sign, determinant = np.linalg.slogdet(_information(Z, beta))
    return loglik(Z @ beta, outcome) + 0.5 * float(determinant) if sign > 0 else -np.inf
