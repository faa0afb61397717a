"""P values adjusted for many comparisons."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import stats

from osteorad.modelling.learning.block import FloatArray


def bonferroni(p: Sequence[float]) -> FloatArray:
    """P values times their number."""
    return np.minimum(1.0, np.asarray(p, dtype=float) * len(p))


def holm(p: Sequence[float]) -> FloatArray:
    """Step-down adjustment that controls the family-wise error (Holm 1979); for comparisons declared beforehand."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values, kind="stable")
    factors = len(values) - np.arange(len(values))
    return _back(np.maximum.accumulate(factors * values[order]), order)


def hochberg(p: Sequence[float]) -> FloatArray:
    """Step-up adjustment of the family-wise error (Hochberg 1988); needs independent or positively dependent tests."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(-values, kind="stable")
    factors = 1 + np.arange(len(values))
    return _back(np.minimum.accumulate(factors * values[order]), order)


def benjamini_hochberg(p: Sequence[float]) -> FloatArray:
    """Adjustment of the false discovery rate (Benjamini & Hochberg 1995); for tables of many features."""
    return np.asarray(stats.false_discovery_control(np.asarray(p, dtype=float), method="bh"))


def benjamini_yekutieli(p: Sequence[float]) -> FloatArray:
    """False discovery rate under any dependence (Benjamini & Yekutieli 2001)."""
    return np.asarray(stats.false_discovery_control(np.asarray(p, dtype=float), method="by"))


def _back(adjusted: FloatArray, order: np.ndarray) -> FloatArray:
    """Adjusted values in the order in which they came, at most 1."""
    out = np.empty_like(adjusted)
    out[order] = np.minimum(1.0, adjusted)
    return out
