"""Decision curves: net benefit of acting on a prediction, by threshold probability (Vickers & Elkin 2006)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from osteorad.modelling.evaluation.bootstrap import CONDITIONAL, band, everyone
from osteorad.modelling.evaluation.rows import TestRows
from osteorad.modelling.learning.block import FloatArray
from osteorad.modelling.statistics.net_benefit import net_benefit, treat_all

Curves = Mapping[str, tuple[str, Sequence[TestRows]]]  # name -> label, test rows of each repeat


def net_benefits(repeats: Sequence[TestRows], thresholds: Sequence[float], weights: FloatArray) -> FloatArray:
    """Net benefit of each repeat under each weighting of patients, shape (repeats, draws, thresholds)."""
    found = [net_benefit(rows.outcome, rows.probability, thresholds, weights[:, rows.patient]) for rows in repeats]
    return np.array(found)


def decision_curves(
    curves: Curves, pairs: Sequence[tuple[str, str]], thresholds: Sequence[float], weights: FloatArray
) -> dict[str, Any]:
    """Net benefit of each procedure with bootstrap bands, of treating all, and differences of pairs.

    pairs : (of, against), names of curves. thresholds : declared beforehand, inside (0, 1).
    """
    drawn = {name: net_benefits(repeats, thresholds, weights) for name, (_, repeats) in curves.items()}
    point = {
        name: net_benefits(repeats, thresholds, everyone(weights)).mean(axis=(0, 1))
        for name, (_, repeats) in curves.items()
    }
    first = next(iter(curves.values()))[1][0]
    share = float(first.outcome.mean())
    return {
        "thresholds": list(thresholds),
        "curves": [
            {"name": name, "label": label, "net_benefit": point[name].tolist(), **_band(drawn[name])}
            for name, (label, _) in curves.items()
        ],
        "all": treat_all(share, thresholds).tolist(),
        "prevalence": share,
        "events": int(first.outcome.sum()),
        "n": len(first.outcome),
        "label": CONDITIONAL,
        "added": [
            {
                "of": of,
                "against": against,
                "estimate": (point[of] - point[against]).tolist(),
                **_band(drawn[of] - drawn[against]),
            }
            for of, against in pairs
        ],
    }


def _band(values: FloatArray) -> dict[str, list[float | None]]:
    low, high = band(values)
    return {"low": low, "high": high}
