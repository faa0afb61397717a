"""Bootstrap by patient of test predictions.

Patients are drawn and the fitted models kept, so intervals are conditional: what another training set would have given
is not in them. Pooled numbers use probabilities, calibrated inside each fold, within one repeat; results of repeats
are averaged, never the probabilities, and so are the limits of their intervals.
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


def measured(estimate: float | None, drawn: FloatArray) -> dict[str, float | None]:
    """An estimate, mean over repeats, with its interval from bootstrap values, shape (repeats, draws).

    The limits are means over repeats of each repeat's percentiles. Repeats use the same patients: percentiles of the
    mean over repeats would be nearer together than what the patients tell.
    None where the number exists in fewer than half of a repeat's draws.
    """
    limits = [limit for values in drawn if (limit := _limits(values)) is not None]
    low, high = (float(limit) for limit in np.mean(limits, axis=0)) if len(limits) == len(drawn) else (None, None)
    known = estimate is not None and np.isfinite(estimate)
    return {"estimate": float(estimate) if known and estimate is not None else None, "low": low, "high": high}


def _limits(values: FloatArray) -> FloatArray | None:
    usable = np.isfinite(values)
    return np.percentile(values[usable], TAILS) if usable.mean() >= LEAST_USABLE else None


def band(drawn: FloatArray) -> tuple[list[float | None], list[float | None]]:
    """Band of curves, point by point as `measured`. drawn : shape (repeats, draws, points)."""
    rows = [measured(None, drawn[:, :, at]) for at in range(drawn.shape[2])]
    return [row["low"] for row in rows], [row["high"] for row in rows]
