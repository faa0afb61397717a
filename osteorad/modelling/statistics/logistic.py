"""Logistic regression without a penalty, by Newton's method."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.metrics import expit

MOST_STEPS = 30  # where the classes are separated, log odds grow by about 1 a step, for ever
STEP_DONE = 1e-9  # of the linear predictor, in standardised units
LEAST_NEW = 1e-9  # share of a column that the columns before it do not explain


@dataclass(frozen=True, slots=True, kw_only=True)
class LogisticFit:
    """Maximum likelihood fit. A column that others explain (aliased) has the coefficient 0 and no standard error.

    converged : False where the estimate does not exist, because the columns separate the classes.
    rank : columns estimated, without the intercept.
    """

    intercept: float
    coefficients: FloatArray
    se: FloatArray  # intercept first; NaN for aliased columns
    loglik: float
    rank: int
    converged: bool

    @property
    def aic(self) -> float:
        """Akaike's criterion, the intercept counted."""
        return 2 * (self.rank + 1) - 2 * self.loglik

    def probability(self, X: FloatArray) -> FloatArray:
        """Probability of rows, shape (rows, columns)."""
        return expit(self.intercept + X @ self.coefficients)


@dataclass(frozen=True, slots=True)
class Design:
    """Independent columns, centred and scaled, behind a column of ones; and the way back to the columns given."""

    Z: FloatArray
    kept: NDArray[np.intp]
    centre: FloatArray
    scale: FloatArray
    columns: int

    @classmethod
    def of(cls, X: FloatArray) -> Design:
        """Design of columns; constant ones and those explained by earlier ones are left out."""
        centre = X.mean(axis=0)
        scale = X.std(axis=0)
        usable = scale > 1e-12 * np.maximum(1.0, np.abs(centre))
        scale = np.where(usable, scale, 1.0)
        Z = (X - centre) / scale
        kept = np.array(_independent(Z, np.flatnonzero(usable)), dtype=np.intp)
        ones = np.ones((len(X), 1))
        return cls(np.hstack([ones, Z[:, kept]]), kept, centre[kept], scale[kept], X.shape[1])

    def back(self, beta: FloatArray) -> tuple[float, FloatArray]:
        """Intercept and coefficients on the scale of the columns given."""
        coefficients = np.zeros(self.columns)
        coefficients[self.kept] = beta[1:] / self.scale
        return float(beta[0] - (beta[1:] / self.scale) @ self.centre), coefficients

    def se(self, information: FloatArray) -> FloatArray:
        """Standard errors on the scale of the columns given, intercept first."""
        turn = np.eye(len(self.kept) + 1)
        turn[1:, 1:] /= self.scale[:, None]
        turn[0, 1:] = -self.centre / self.scale
        out = np.full(self.columns + 1, np.nan)
        out[np.r_[0, self.kept + 1]] = np.sqrt(np.diag(turn @ np.linalg.inv(information) @ turn.T))
        return out


def fit_logistic(X: FloatArray, outcome: IntArray) -> LogisticFit:
    """Fit by maximum likelihood. X : shape (rows, columns); no columns give the intercept alone.

    outcome : 0 or 1, both present; ValueError otherwise.
    """
    if not 0 < outcome.sum() < len(outcome):
        raise ValueError("a logistic regression needs both classes")
    design = Design.of(X)
    Z = design.Z
    beta = np.zeros(Z.shape[1])
    value = loglik(Z @ beta, outcome)
    converged = False
    for _ in range(MOST_STEPS):
        p = expit(Z @ beta)
        try:
            information = (Z * (p * (1 - p))[:, None]).T @ Z
            step = np.asarray(np.linalg.solve(information, Z.T @ (outcome - p)), dtype=np.float64)
        except np.linalg.LinAlgError:
            break  # the columns are independent, so the curvature vanishes only where log odds run away
        beta, value, size = _uphill(Z, outcome, beta, step, value)
        if size < STEP_DONE:
            converged = True
            break
    p = expit(Z @ beta)
    information = (Z * (p * (1 - p))[:, None]).T @ Z
    intercept, coefficients = design.back(beta)
    return LogisticFit(
        intercept=intercept,
        coefficients=coefficients,
        se=design.se(information) if converged else np.full(X.shape[1] + 1, np.nan),
        loglik=value,
        rank=len(design.kept),
        converged=converged,
    )


def loglik(eta: FloatArray, outcome: IntArray) -> float:
    """Log likelihood of linear predictors."""
    return float((outcome * eta - np.logaddexp(0.0, eta)).sum())


def _uphill(
    Z: FloatArray, outcome: IntArray, beta: FloatArray, step: FloatArray, value: float
) -> tuple[FloatArray, float, float]:
    """Take the step, halved until the likelihood does not fall. Returns also the size of the whole step."""
    size = float(np.abs(Z @ step).max())
    for _ in range(30):
        at = beta + step
        new = loglik(Z @ at, outcome)
        if new >= value - 1e-12 * abs(value):
            return at, new, size
        step = step / 2
    return beta, value, size


def _independent(Z: FloatArray, places: NDArray[np.intp]) -> list[int]:
    """Places of columns that those before them do not explain; Z has columns of mean 0 and SD 1."""
    basis = np.empty((len(Z), 0))
    kept: list[int] = []
    for place in places.tolist():
        column = Z[:, place]
        rest = column - basis @ (basis.T @ column)
        rest = rest - basis @ (basis.T @ rest)  # twice is enough against rounding
        if (rest @ rest) > LEAST_NEW * (column @ column) and len(kept) < len(Z) - 1:
            basis = np.hstack([basis, (rest / np.sqrt(rest @ rest))[:, None]])
            kept.append(place)
    return kept
