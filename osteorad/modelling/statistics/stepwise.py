"""Stepwise choice of covariates by Akaike's criterion, both ways (as R's stepAIC)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.firth import fit_firth, separated
from osteorad.modelling.statistics.logistic import fit_logistic
from osteorad.modelling.statistics.metrics import expit

LEAST_GAIN = 1e-7  # of the criterion; smaller differences are rounding


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """A move of the search: the covariate that left (-) or entered (+), empty at the start; the criterion after it."""

    change: str
    aic: float


@dataclass(frozen=True, slots=True, kw_only=True)
class StepwiseFit:
    """The covariates kept, in the order given, and their fit.

    coefficients : of each covariate's columns. firth : whether the fits are Firth's, because all covariates together
    separate the classes.
    """

    kept: tuple[str, ...]
    intercept: float
    coefficients: dict[str, FloatArray]
    aic: float
    path: tuple[Move, ...]
    firth: bool

    def probability(self, groups: Mapping[str, FloatArray]) -> FloatArray:
        """Probability of rows of any part. groups : as in the fit; those not kept may be absent."""
        rows = len(next(iter(groups.values())))
        eta = np.full(rows, self.intercept)
        for name in self.kept:
            eta = eta + groups[name] @ self.coefficients[name]
        return expit(eta)


@dataclass(frozen=True, slots=True)
class _Fit:
    intercept: float
    coefficients: FloatArray
    aic: float


def stepwise_aic(
    X_groups: Mapping[str, FloatArray], outcome: IntArray, start: Literal["full", "null"] = "full"
) -> StepwiseFit:
    """Drop or add one covariate at a time while Akaike's criterion falls.

    X_groups : columns of each covariate, shape (rows, columns); all columns of a categorical one come and go together.
    start : from all covariates or from none: the two may end in different local optima.
    Where the covariates separate the classes, every fit on the path is Firth's, and the criterion is made of the
    penalised likelihood ratio to the intercept alone, which compares models of different size in any units
    (Heinze, Ploner & Beyea 2013). Ties go to the covariate that comes first.
    """
    names = tuple(X_groups)
    firth = bool(names) and separated(_columns(X_groups, names, len(outcome)), outcome)
    known: dict[tuple[str, ...], _Fit] = {}

    def fit(kept: Sequence[str]) -> _Fit:
        key = tuple(kept)
        if key not in known:
            X = _columns(X_groups, key, len(outcome))
            known[key] = _firth(X, outcome) if firth else _plain(X, outcome)
        return known[key]

    kept = names if start == "full" else ()
    path = [Move(change="", aic=fit(kept).aic)]
    while True:
        moves = [(f"- {name}", tuple(n for n in kept if n != name)) for name in names if name in kept]
        moves += [
            (f"+ {name}", tuple(n for n in names if n in kept or n == name)) for name in names if name not in kept
        ]
        best: tuple[str, tuple[str, ...]] | None = None
        lowest = path[-1].aic
        for change, after in moves:
            if fit(after).aic < lowest - LEAST_GAIN:
                best, lowest = (change, after), fit(after).aic
        if best is None:
            break
        kept = best[1]
        path.append(Move(change=best[0], aic=lowest))
    last = fit(kept)
    ends = np.cumsum([X_groups[name].shape[1] for name in kept])
    parts = np.split(last.coefficients, ends[:-1]) if kept else []
    return StepwiseFit(
        kept=kept,
        intercept=last.intercept,
        coefficients=dict(zip(kept, parts, strict=True)),
        aic=last.aic,
        path=tuple(path),
        firth=firth,
    )


def _columns(groups: Mapping[str, FloatArray], names: Sequence[str], rows: int) -> FloatArray:
    return np.hstack([groups[name] for name in names]) if names else np.empty((rows, 0))


def _plain(X: FloatArray, outcome: IntArray) -> _Fit:
    found = fit_logistic(X, outcome)
    return _Fit(found.intercept, found.coefficients, found.aic)


def _firth(X: FloatArray, outcome: IntArray) -> _Fit:
    found = fit_firth(X, outcome)
    null = fit_logistic(np.empty((len(outcome), 0)), outcome)
    return _Fit(found.intercept, found.coefficients, null.aic + 2 * found.rank - 2 * (found.loglik - found.null_loglik))
