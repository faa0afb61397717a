"""Decisions at the frozen thresholds against outcomes, and how far each sample lay from its threshold."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from osteorad.modelling.evaluation.bootstrap import CONDITIONAL, measured
from osteorad.modelling.evaluation.rows import TestRows
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.metrics import wilson

Counted = Callable[[IntArray, IntArray], tuple[IntArray, IntArray]]
MEASURES: dict[str, Counted] = {
    # name -> what each row adds to k and to n, by outcome and prediction
    "sensitivity": lambda y, p: (y * p, y),
    "specificity": lambda y, p: ((1 - y) * (1 - p), 1 - y),
    "ppv": lambda y, p: (y * p, p),
    "npv": lambda y, p: ((1 - y) * (1 - p), 1 - p),
    "accuracy": lambda y, p: ((y == p).astype(np.int64), np.ones_like(y)),
    "f1": lambda y, p: (2 * y * p, y + p),
}
NO_PROPORTION = ("f1",)
RULES = {
    "youden": "threshold of each fold by Youden's index on inner out-of-fold scores, frozen before testing",
    "sensitivity": "threshold of each fold with the wanted sensitivity on inner out-of-fold scores, frozen before "
    "testing",
    "frozen": "threshold of the frozen model",
}


def confusion(repeats: Sequence[TestRows], weights: FloatArray, *, rule: str = "youden") -> dict[str, Any]:
    """Counts of each repeat at the frozen thresholds, and the measures made of them.

    estimate : mean over repeats, with patient bootstrap. k, n, Wilson's interval : the first repeat; no interval of
    Wilson's where patients have several rows, because lesions of a patient are no independent trials. rule : of RULES.
    """
    cells = []
    for rows in repeats:
        y, p = rows.outcome == 1, rows.predicted == 1
        found = {"tp": y & p, "fp": ~y & p, "fn": y & ~p, "tn": ~y & ~p}
        cells.append({"repeat": rows.repeat, **{name: int(cell.sum()) for name, cell in found.items()}})
    measures = [measure(name, repeats, weights) for name in MEASURES]
    return {"rule": RULES[rule], "repeats": cells, "measures": measures, "label": CONDITIONAL}


def measure(name: str, repeats: Sequence[TestRows], weights: FloatArray) -> dict[str, Any]:
    """One of MEASURES."""
    by_repeat, drawn = [], []
    for rows in repeats:
        right, counted = MEASURES[name](rows.outcome, rows.predicted)
        by_repeat.append({"k": int(right.sum()), "n": int(counted.sum())})
        w = weights[:, rows.patient]
        with np.errstate(invalid="ignore", divide="ignore"):
            drawn.append((w * right).sum(axis=1) / (w * counted).sum(axis=1))
    known = [item["k"] / item["n"] for item in by_repeat if item["n"]]
    k, n = by_repeat[0]["k"], by_repeat[0]["n"]
    trials = repeats[0].independent and name not in NO_PROPORTION
    low, high = wilson(k, n) if trials else (None, None)
    return {
        "name": name,
        **measured(float(np.mean(known)) if known else None, np.array(drawn)),
        "k": k,
        "n": n,
        "wilson_low": low,
        "wilson_high": high,
        "by_repeat": by_repeat,
    }


def waterfall(rows: TestRows) -> dict[str, Any]:
    """Probability minus the fold's threshold of each sample of one repeat, the largest first."""
    margin = rows.probability - rows.cut
    order = sorted(range(len(margin)), key=lambda at: (-margin[at], rows.sample[at]))
    bars = [
        {
            "sample": rows.sample[at],
            "outcome": int(rows.outcome[at]),
            "margin": float(margin[at]),
            "predicted": int(rows.predicted[at]),
        }
        for at in order
    ]
    return {"repeat": rows.repeat, "rows": bars}
