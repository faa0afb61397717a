"""Optimism of a model that is judged on its own training rows (Harrell, Lee & Mark 1996), and the .632+ estimate.

For models with few predictors. With a selection the selection belongs into `fit`, and is done again in each draw.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.calibration import LEAST_PROBABILITY, brier
from osteorad.modelling.statistics.metrics import auc, logistic_line, logit

Predict = Callable[[FloatArray], FloatArray]  # rows -> probability
Fit = Callable[[FloatArray, IntArray], Predict]
Measure = Callable[[IntArray, FloatArray], float]
CHANCE = 0.5  # error (1 - AUC) of a score that says nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Corrected:
    """A measure on the training rows, how much of it is optimism, and what remains."""

    apparent: float
    optimism: float

    @property
    def corrected(self) -> float:
        """Apparent less optimism."""
        return self.apparent - self.optimism


@dataclass(frozen=True, slots=True, kw_only=True)
class Optimism:
    """Corrected measures by name, the .632+ AUC, and how many draws could be used (both classes in and out)."""

    measures: dict[str, Corrected]
    auc_632plus: float
    draws: int


def _auc(outcome: IntArray, probability: FloatArray) -> float:
    found = auc(outcome, probability)
    return np.nan if found is None else found


def _line(outcome: IntArray, probability: FloatArray) -> tuple[float, float]:
    p = np.clip(probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return logistic_line(logit(p), outcome.astype(float))


MEASURES: dict[str, Measure] = {
    "auc": _auc,
    "slope": lambda outcome, probability: _line(outcome, probability)[1],
    "intercept": lambda outcome, probability: _line(outcome, probability)[0],
    "brier": brier,
}


def optimism(
    fit: Fit,
    X: FloatArray,
    outcome: IntArray,
    *,
    draws: int,
    seed: int,
    groups: Sequence[str] | IntArray | None = None,
    measures: Mapping[str, Measure] = MEASURES,
) -> Optimism:
    """Fit `draws` bootstrap samples; optimism is the mean fall of a measure from the sample to all rows.

    X : shape (rows, columns). groups : the patient of each row, drawn as a whole; None draws rows.
    A draw without both classes among those taken and those left out is not used. Raises ValueError if none is left.
    """
    rng = np.random.default_rng(seed)
    _, place = np.unique(np.arange(len(outcome)) if groups is None else np.asarray(groups), return_inverse=True)
    members = [np.flatnonzero(place == at) for at in range(int(place.max()) + 1)]
    whole = fit(X, outcome)(X)
    apparent = {name: measure(outcome, whole) for name, measure in measures.items()}
    falls: list[list[float]] = []
    left_out: list[float] = []
    for _ in range(draws):
        taken = rng.integers(0, len(members), len(members))
        rows = np.concatenate([members[at] for at in taken])
        rest = np.concatenate([members[at] for at in np.setdiff1d(np.arange(len(members)), taken)] or [rows[:0]])
        if any(not 0 < outcome[part].sum() < len(part) for part in (rows, rest)):
            continue
        predict = fit(X[rows], outcome[rows])
        inside, everywhere = predict(X[rows]), predict(X)
        falls.append([m(outcome[rows], inside) - m(outcome, everywhere) for m in measures.values()])
        left_out.append(_auc(outcome[rest], everywhere[rest]))
    if not falls:
        raise ValueError("no bootstrap sample has both classes among the rows taken and the rows left out")
    mean = np.nanmean(np.array(falls), axis=0)
    plus = b632plus(1 - _auc(outcome, whole), 1 - float(np.mean(left_out)), CHANCE)
    return Optimism(
        measures={
            name: Corrected(apparent=apparent[name], optimism=float(fall))
            for name, fall in zip(measures, mean, strict=True)
        },
        auc_632plus=1 - plus.e632plus,
        draws=len(falls),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class B632Plus:
    """The .632 and .632+ error. overfitting : R, 0 to 1. weight : of the rows left out."""

    e632: float
    e632plus: float
    overfitting: float
    weight: float


def b632plus(apparent: float, left_out: float, chance: float) -> B632Plus:
    """Combine the error on training rows with that on rows left out (Efron & Tibshirani 1997).

    chance : the error without information; for 1 - AUC it is 0.5.
    """
    worst = min(left_out, chance)
    overfitting = 0.0
    if worst > apparent and chance > apparent:
        overfitting = (worst - apparent) / (chance - apparent)
    weight = 0.632 / (1 - 0.368 * overfitting)
    return B632Plus(
        e632=0.368 * apparent + 0.632 * left_out,
        e632plus=(1 - weight) * apparent + weight * worst,
        overfitting=overfitting,
        weight=weight,
    )
