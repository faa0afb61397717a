"""How often features were used, over the outer folds of an analysis."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.modelling.statistics.metrics import Interval, nogueira_stability

MOST_FEATURES = 30


def selection_frequency(selection: pa.Table) -> dict[str, Any]:
    """How often each feature was used by the chosen model of a fold, and the stability of that choice."""
    names = ("repeat", "fold", "feature", "rank", "kept")
    fits: dict[tuple[int, int], set[str]] = {}
    ranks: dict[str, list[int]] = {}
    features: dict[str, None] = {}
    for repeat, fold, feature, rank, kept in zip(*(selection[name].to_pylist() for name in names), strict=True):
        used = fits.setdefault((repeat, fold), set())
        features[feature] = None
        if kept:
            used.add(feature)
            ranks.setdefault(feature, []).append(rank if rank is not None else 0)
    z = np.array([[name in used for name in features] for _, used in sorted(fits.items())], dtype=bool)
    stability = nogueira_stability(z) if len(fits) > 1 else Interval(estimate=None)
    rows = [_frequency(name, found, len(fits)) for name, found in ranks.items()]
    rows.sort(key=lambda row: (-row["times"], row["mean_rank"], row["feature"]))
    return {
        "fits": len(fits),
        "candidates": len(features),
        "distinct": len(rows),
        "mean_features": float(np.mean([len(used) for used in fits.values()])) if fits else 0.0,
        "stability": {"estimate": stability.estimate, "low": stability.low, "high": stability.high},
        "features": rows[:MOST_FEATURES],
    }


def _frequency(name: str, found: Sequence[int], fits: int) -> dict[str, Any]:
    return {
        "feature": name,
        "times": len(found),
        "fits": fits,
        "share": len(found) / fits,
        "mean_rank": float(np.mean(found)),
    }
