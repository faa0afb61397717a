"""Stability selection (Meinshausen and Bühlmann 2010): how often an L1 logistic regression takes each column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.splits import divide
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.learning.penalised import logistic_path, penalties_of

PENALTIES = 40  # on the path of a half sample; coarse, because it ends after a few columns
TOLERANCE = 1e-4  # of coordinate descent; which columns enter does not hang on more


def shares_taken(
    X: FloatArray,
    y: IntArray,
    patients: Sequence[str],
    strata: Mapping[str, int],
    *,
    halves: int,
    columns: int,
) -> FloatArray:
    """Share of half samples in which a column is among the first `columns` of the path, shape (columns of X,).

    Halves are of patients, by stratum (patient -> 0 or 1), in an order drawn from their names. A half with one class
    takes nothing.
    """
    taken = np.zeros(X.shape[1])
    for half in range(1, halves + 1):
        place = divide(strata, 2, f"stability/{half}")
        rows = np.array([place[patient] == 1 for patient in patients])
        taken[first_columns(X[rows], y[rows], columns)] += 1
    return taken / halves


def first_columns(X: FloatArray, y: IntArray, columns: int) -> NDArray[np.intp]:
    """The columns that get a weight first on the path of falling penalties; at one penalty the larger weight first."""
    if not len(y) or y.min() == y.max():
        return np.zeros(0, dtype=np.intp)
    path = logistic_path(X, y, penalties_of(X, y, count=PENALTIES), enough=columns, tolerance=TOLERANCE)
    if not len(path.weights):
        return np.zeros(0, dtype=np.intp)
    has = path.weights != 0
    entered = np.where(has.any(axis=0), has.argmax(axis=0), len(has))
    size = np.abs(path.weights).max(axis=0)
    order = np.lexsort((-size, entered))
    return order[: min(columns, int((entered < len(has)).sum()))]
