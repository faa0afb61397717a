"""Forests for a binary outcome, from single trees: the same trees as scikit-learn's forests at less than half the time.

For 0/1 outcomes squared error and Gini rank splits alike (variance p(1-p) is half of Gini), so regression trees on the
outcome are classification trees; they skip the checks that cost a small forest most of its time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from sklearn import config_context
from sklearn.tree import DecisionTreeRegressor, ExtraTreeRegressor

from osteorad.modelling.learning.block import FloatArray, IntArray


def fit_random_forest(
    X: FloatArray, outcome: IntArray, *, trees: int, max_features: str | float, seed: int
) -> Callable[[FloatArray], FloatArray]:
    """Random forest (Breiman 2001): bootstrap rows, best split among drawn columns, unpruned.

    X : shape (rows, columns). Returns the function rows -> mean share of events in the leaves.
    """
    rng = np.random.RandomState(seed)
    rows = len(outcome)
    draws = []
    for tree_seed in rng.randint(2**31 - 1, size=trees):
        weight = np.bincount(rng.randint(rows, size=rows), minlength=rows).astype(np.float64)
        draws.append((DecisionTreeRegressor(max_features=max_features, random_state=tree_seed), weight))
    return _grow(draws, X, outcome)


def fit_extra_trees(
    X: FloatArray, outcome: IntArray, *, trees: int, max_features: str | float, seed: int
) -> Callable[[FloatArray], FloatArray]:
    """Extremely randomised trees (Geurts 2006): all rows, random cut points, unpruned. As `fit_random_forest`."""
    seeds = np.random.RandomState(seed).randint(2**31 - 1, size=trees)
    draws = [(ExtraTreeRegressor(max_features=max_features, random_state=one), None) for one in seeds]
    return _grow(draws, X, outcome)


def _grow(
    draws: Sequence[tuple[DecisionTreeRegressor, FloatArray | None]], X: FloatArray, outcome: IntArray
) -> Callable[[FloatArray], FloatArray]:
    X32 = np.ascontiguousarray(X, dtype=np.float32)
    y = np.ascontiguousarray(outcome, dtype=np.float64)
    with config_context(assume_finite=True, skip_parameter_validation=True):
        grown = [tree.fit(X32, y, sample_weight=weight, check_input=False).tree_ for tree, weight in draws]

    def probability(rows: FloatArray) -> FloatArray:
        rows32 = np.ascontiguousarray(rows, dtype=np.float32)
        return np.mean([tree.predict(rows32).reshape(len(rows32)) for tree in grown], axis=0)

    return probability
