"""Bootstrap by patient of test predictions.

Patients are drawn and the fitted models kept, so intervals are conditional: what another training set would have given
is not in them. Pooled numbers use probabilities, calibrated inside each fold, within one repeat; results of repeats
are averaged, never the probabilities.
"""

from __future__ import annotations

import numpy as np

from osteorad.modelling.learning.block import FloatArray
from osteorad.modelling.statistics.metrics import LEVEL

CONDITIONAL = "95 % patient bootstrap, conditional on the fitted models"
TAILS = (50 * (1 - LEVEL), 50 * (1 + LEVEL))
LEAST_USABLE = 0.5  # share of draws in which a number has to exist


def draw_weights(patients: int, draws: int, seed: int) -> FloatArray:
    """How often each patient stands in each bootstrap sample, shape (draws, patients)."""
    return np.random.default_rng(seed).multinomial(patients, np.full(patients, 1 / patients), size=draws).astype(float)


def everyone(weights: FloatArray) -> FloatArray:
    """The weights of the data themselves, shape (1, patients)."""
    return np.ones((1, weights.shape[1]))


def measured(estimate: float | None, values: FloatArray) -> dict[str, float | None]:
    """An estimate with the percentile interval of its bootstrap values, shape (draws,).

    The interval is None where the number exists in fewer than half of the draws.
    """
    usable = np.isfinite(values)
    low: float | None = None
    high: float | None = None
    if len(values) and usable.mean() >= LEAST_USABLE:
        low, high = (float(value) for value in np.percentile(values[usable], TAILS))
    known = estimate is not None and np.isfinite(estimate)
    return {"estimate": float(estimate) if known and estimate is not None else None, "low": low, "high": high}


def band(values: FloatArray) -> tuple[list[float | None], list[float | None]]:
    """Percentile band of curves, shape (draws, points)."""
    rows = [measured(None, values[:, at]) for at in range(values.shape[1])]
    return [row["low"] for row in rows], [row["high"] for row in rows]
