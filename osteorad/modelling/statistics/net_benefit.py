"""Net benefit of acting on a probability (Vickers & Elkin 2006)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from osteorad.modelling.learning.block import FloatArray, IntArray


def net_benefit(
    outcome: IntArray, probability: FloatArray, thresholds: Sequence[float], weights: FloatArray | None = None
) -> FloatArray:
    """True positives less false positives at the odds of the threshold, per row; a row is positive at p >= threshold.

    weights : of the rows, shape (rows,) or (draws, rows): 1 by default; counts of a bootstrap sample, or weights that
    give a case-control sample the prevalence of its source. Thresholds lie in [0, 1).
    Returns shape (thresholds,), or (draws, thresholds).
    """
    cuts = np.asarray(thresholds, dtype=float)
    positive = (probability[:, None] >= cuts[None, :]).astype(float)
    gain = np.where(outcome[:, None] == 1, 1.0, -(cuts / (1 - cuts))[None, :]) * positive
    if weights is None:
        return np.asarray(gain.mean(axis=0))
    return np.asarray(weights @ gain / weights.sum(axis=-1, keepdims=True))


def treat_all(prevalence: float, thresholds: Sequence[float]) -> FloatArray:
    """Net benefit of acting on everybody; acting on nobody has 0."""
    cuts = np.asarray(thresholds, dtype=float)
    return prevalence - (1 - prevalence) * cuts / (1 - cuts)
