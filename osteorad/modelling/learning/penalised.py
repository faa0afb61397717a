"""Paths of penalised regression: lasso, elastic net and L1 logistic, and the penalty chosen by folds of patients.

Columns are standardised inside, so weights are per SD, and the intercept is never penalised (as in R's glmnet:
Friedman, Hastie and Tibshirani 2010). Coordinate descent is scikit-learn's.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import enet_path

from osteorad.cohort.splits import divide
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.learning.filters import DIGITS

PENALTIES = 60  # on a path
LEAST_SHARE = 0.01  # of the largest penalty, where a path ends
TOLERANCE = 1e-6  # of coordinate descent: dual gap over the sum of squares
NEWTON_ROUNDS = 25
SLACK = 1e-6  # by which the slope of a column without weight may pass the penalty
LEAST_WEIGHT = 1e-5  # of a row, so that sure predictions do not divide by zero


@dataclass(frozen=True, slots=True, kw_only=True)
class Path:
    """Weights per SD for falling penalties; weights : shape (penalties, columns)."""

    penalties: FloatArray
    weights: FloatArray
    intercepts: FloatArray
    mean: FloatArray
    sd: FloatArray

    def linear(self, X: FloatArray) -> FloatArray:
        """Linear predictor of rows, shape (penalties, rows)."""
        return self.intercepts[:, None] + self.weights @ ((X - self.mean) / self.sd).T


Fitter = Callable[[FloatArray, IntArray, FloatArray], Path]
Solver = Callable[[FloatArray, IntArray, FloatArray, float, float], tuple[FloatArray, float]]


def linear_path(
    X: FloatArray,
    y: IntArray,
    penalties: FloatArray,
    *,
    share: float = 1.0,
    enough: int | None = None,
    tolerance: float = TOLERANCE,
) -> Path:
    """Elastic net with squared error: mean error²/2 + penalty (share |w| + (1 - share) w²/2); share 1 is the lasso.

    enough : the path stops once so many columns have a weight.
    """

    def solve(
        part: FloatArray, y: IntArray, start: FloatArray, intercept: float, penalty: float
    ) -> tuple[FloatArray, float]:
        # Standardised columns have mean 0, so the intercept is the mean of the outcome whatever the weights.
        return _descend(part, y.astype(np.float64) - intercept, start, penalty, share, tolerance), intercept

    start = float(y.mean())
    return _follow(
        X, y, penalties, solve=solve, expected=lambda linear: linear, start=start, share=share, enough=enough
    )


def logistic_path(
    X: FloatArray, y: IntArray, penalties: FloatArray, *, enough: int | None = None, tolerance: float = TOLERANCE
) -> Path:
    """Logistic regression with an L1 penalty: mean negative log-likelihood + penalty |w|, by Newton steps.

    enough : as for `linear_path`.
    """

    def solve(
        part: FloatArray, y: IntArray, start: FloatArray, intercept: float, penalty: float
    ) -> tuple[FloatArray, float]:
        weight = start
        for _ in range(NEWTON_ROUNDS):
            linear = intercept + part @ weight
            p = expit(linear)
            w = np.maximum(p * (1 - p), LEAST_WEIGHT)
            target = linear + (y - p) / w
            centre, middle = w @ part / w.sum(), float(w @ target / w.sum())
            root = np.sqrt(w)
            Z = np.asfortranarray(root[:, None] * (part - centre))
            weight = _descend(Z, root * (target - middle), weight, penalty, 1.0, tolerance)
            intercept = middle - float(centre @ weight)
            if np.abs(linear - intercept - part @ weight).max() <= 100 * tolerance:
                break
        return weight, intercept

    share = float(np.clip(y.mean(), 1e-9, 1 - 1e-9))
    start = float(np.log(share / (1 - share)))
    return _follow(X, y, penalties, solve=solve, expected=expit, start=start, share=1.0, enough=enough)


def _follow(
    X: FloatArray,
    y: IntArray,
    penalties: FloatArray,
    *,
    solve: Solver,
    expected: Callable[[FloatArray], FloatArray],
    start: float,
    share: float,
    enough: int | None = None,
) -> Path:
    """One penalty after the other, each from where the one before ended.

    Only columns that may have a weight are solved for; the others are checked afterwards (strong rules, Tibshirani
    2012).
    """
    mean, sd, Z = _standardised(X)
    weight, intercept = np.zeros(X.shape[1]), start
    weights, intercepts = [], []
    slope = np.abs(Z.T @ (y - expected(np.full(len(y), start)))) / len(y)
    before = slope.max(initial=0.0) / share
    for penalty in penalties:
        may = (slope >= share * (2 * penalty - before)) | (weight != 0)
        while True:
            places = np.flatnonzero(may)
            part = np.asfortranarray(Z[:, places])
            found, intercept = solve(part, y, weight[places], intercept, float(penalty))
            weight = np.zeros(X.shape[1])
            weight[places] = found
            slope = np.abs(Z.T @ (y - expected(intercept + part @ found))) / len(y)
            wrong = (slope > share * penalty * (1 + SLACK)) & ~may
            if not wrong.any():
                break
            may |= wrong
        weights.append(weight)
        intercepts.append(intercept)
        before = penalty
        if enough is not None and np.count_nonzero(weight) >= enough:
            break
    return Path(
        penalties=penalties[: len(weights)],
        weights=np.array(weights).reshape(len(weights), X.shape[1]),
        intercepts=np.array(intercepts),
        mean=mean,
        sd=sd,
    )


def _descend(
    Z: FloatArray, y: FloatArray, start: FloatArray, penalty: float, share: float, tolerance: float
) -> FloatArray:
    """Weights of an elastic net at one penalty; Z in columns (Fortran) order."""
    if not Z.shape[1]:
        return start
    with config_context(assume_finite=True, skip_parameter_validation=True), warnings.catch_warnings():
        # Where a path ends, near the data themselves, the last digits may not settle; folds choose elsewhere.
        warnings.simplefilter("ignore", ConvergenceWarning)
        _, found, _ = enet_path(
            Z,
            np.ascontiguousarray(y),
            l1_ratio=share,
            alphas=[penalty],
            coef_init=start,
            tol=tolerance,
            precompute=False,
            check_input=False,
        )
    return np.asarray(found[:, 0])


def penalties_of(X: FloatArray, y: IntArray, *, share: float = 1.0, count: int = PENALTIES) -> FloatArray:
    """Falling penalties on a log scale, from the least that leaves no weight; empty where no column is related."""
    _, _, Z = _standardised(X)
    largest = float(np.abs(Z.T @ (y - y.mean())).max(initial=0.0)) / max(len(y), 1) / share
    if largest <= 10.0**-DIGITS:
        return np.zeros(0)
    return largest * np.geomspace(1.0, LEAST_SHARE, count)


def squared_error(linear: FloatArray, y: IntArray) -> FloatArray:
    """Mean squared error a penalty."""
    return ((linear - y) ** 2).mean(axis=1)


def log_loss(linear: FloatArray, y: IntArray) -> FloatArray:
    """Mean negative log-likelihood a penalty."""
    return np.logaddexp(0.0, np.where(y == 1, -linear, linear)).mean(axis=1)


def choose_penalty(
    X: FloatArray,
    y: IntArray,
    penalties: FloatArray,
    held_out: Sequence[NDArray[np.bool_]],
    *,
    fit: Fitter,
    loss: Callable[[FloatArray, IntArray], FloatArray],
    one_se: bool,
) -> int:
    """Place of the penalty with the least mean loss over folds, or of the largest within one SE of it.

    held_out : rows of each fold.
    """
    losses = np.array([loss(fit(X[~out], y[~out], penalties).linear(X[out]), y[out]) for out in held_out])
    mean = losses.mean(axis=0).round(DIGITS)
    best = int(np.argmin(mean))
    if not one_se:
        return best
    error = float(losses[:, best].std(ddof=1) / np.sqrt(len(losses)))
    return int(np.argmax(mean <= mean[best] + error))


def patient_folds(strata: Mapping[str, int], patients: Sequence[str], folds: int, name: str) -> list[NDArray[np.bool_]]:
    """Held-out rows of each fold: whole patients, by stratum, in an order drawn from their names.

    strata : patient -> 1 where any row has the event. Fewer folds where a class has fewer patients; none under two.
    """
    events = sum(strata.values())
    folds = min(folds, events, len(strata) - events)
    if folds < 2:
        return []
    place = divide(strata, folds, name)
    of_row = np.array([place[patient] for patient in patients])
    return [of_row == fold for fold in range(1, folds + 1)]


def strata_of(patients: Sequence[str], outcome: IntArray) -> dict[str, int]:
    """Patient -> 1 where any of its rows has the event; sorted."""
    strata: dict[str, int] = {}
    for patient, value in zip(patients, outcome.tolist(), strict=True):
        strata[patient] = max(strata.get(patient, 0), int(value))
    return dict(sorted(strata.items()))


def _standardised(X: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Mean, SD and the standardised columns; a constant column is 0."""
    mean, sd = X.mean(axis=0), X.std(axis=0)
    flat = sd <= 1e-12 * np.abs(X).max(axis=0, initial=0.0)
    sd = np.where(flat, 1.0, sd)
    Z = np.asfortranarray((X - mean) / sd)
    Z[:, flat] = 0.0
    return mean, sd, Z
