"""Intraclass correlation of readers, for many columns at once (Shrout & Fleiss 1979; McGraw & Wong 1996)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from scipy import stats

from osteorad.modelling.learning.block import FloatArray

Form = Literal["1,1", "A,1", "C,1", "1,k", "A,k", "C,k"]
LEVEL = 0.95


@dataclass(frozen=True, slots=True)
class IccColumns:
    """Estimate and limits of the 95 % interval, each of shape (columns,); NaN where a column does not vary."""

    estimate: FloatArray
    lower: FloatArray
    upper: FloatArray


@dataclass(frozen=True, slots=True)
class _MeanSquares:
    rows: int
    raters: int
    between: FloatArray  # rows
    within: FloatArray
    raters_: FloatArray
    error: FloatArray


def icc_two(first: FloatArray, second: FloatArray, form: Form = "A,1") -> IccColumns:
    """ICC of two readers, column by column. first, second : the same rows and columns, shape (rows, columns)."""
    return icc_columns(np.stack([first, second], axis=1), form)


def icc(ratings: FloatArray, form: Form = "A,1") -> IccColumns:
    """ICC of one quantity. ratings : shape (rows, raters). Returns arrays of length 1."""
    return icc_columns(ratings[:, :, None], form)


def icc_columns(ratings: FloatArray, form: Form) -> IccColumns:
    """ICC of each column. ratings : shape (rows, raters, columns), at least 2 rows and 2 raters.

    form : 1 one-way, A two-way with absolute agreement, C two-way with consistency; `,1` one reader's value,
    `,k` the mean of all. In Shrout and Fleiss' names: ICC(1,1), ICC(2,1), ICC(3,1) and their means.
    A missing value makes its column NaN. Raises ValueError for another form or shape.
    """
    if form not in get_args(Form):
        raise ValueError(f"unknown form of the ICC {form!r}; valid: {', '.join(get_args(Form))}")
    if ratings.shape[0] < 2 or ratings.shape[1] < 2:
        raise ValueError(f"an ICC needs 2 rows and 2 raters, got {ratings.shape[0]} and {ratings.shape[1]}")
    squares = _mean_squares(ratings)
    single = {"1": _one_way, "A": _absolute, "C": _consistency}[form[0]]
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.array(single(squares))
        if form.endswith("k"):
            found = _of_mean(found, squares.raters)
    constant = (ratings == ratings[:1, :1]).all(axis=(0, 1)) | np.isnan(ratings).any(axis=(0, 1))
    equal = (ratings == ratings[:, :1]).all(axis=(0, 1))
    found = np.where(equal, 1.0, found)  # no error at all: the limits of F do not exist
    found = np.where(constant, np.nan, found)
    return IccColumns(*found)


def _mean_squares(ratings: FloatArray) -> _MeanSquares:
    n, k, _ = ratings.shape
    grand = ratings.mean(axis=(0, 1))
    of_rows = ratings.mean(axis=1)
    of_raters = ratings.mean(axis=0)
    between = k * ((of_rows - grand) ** 2).sum(axis=0)
    raters = n * ((of_raters - grand) ** 2).sum(axis=0)
    error = ((ratings - of_rows[:, None] - of_raters[None] + grand) ** 2).sum(axis=(0, 1))
    return _MeanSquares(
        rows=n,
        raters=k,
        between=between / (n - 1),
        within=(raters + error) / (n * (k - 1)),
        raters_=raters / (k - 1),
        error=error / ((n - 1) * (k - 1)),
    )


def _from_f(f: FloatArray, k: int) -> FloatArray:
    return (f - 1) / (f + k - 1)


def _by_f(f: FloatArray, k: int, df: int, df_error: int) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Estimate and limits from one F ratio."""
    upper = stats.f.ppf(0.5 + LEVEL / 2, df, df_error)
    turned = stats.f.ppf(0.5 + LEVEL / 2, df_error, df)
    return _from_f(f, k), _from_f(f / upper, k), _from_f(f * turned, k)


def _one_way(s: _MeanSquares) -> tuple[FloatArray, FloatArray, FloatArray]:
    return _by_f(s.between / s.within, s.raters, s.rows - 1, s.rows * (s.raters - 1))


def _consistency(s: _MeanSquares) -> tuple[FloatArray, FloatArray, FloatArray]:
    return _by_f(s.between / s.error, s.raters, s.rows - 1, (s.rows - 1) * (s.raters - 1))


def _absolute(s: _MeanSquares) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Limits by Satterthwaite's degrees of freedom (McGraw & Wong 1996, table 7)."""
    n, k = s.rows, s.raters
    estimate = (s.between - s.error) / (s.between + (k - 1) * s.error + k * (s.raters_ - s.error) / n)
    f_raters = s.raters_ / s.error
    rest = n * (1 + (k - 1) * estimate) - k * estimate
    numerator = (k - 1) * (n - 1) * (k * estimate * f_raters + rest) ** 2
    df = numerator / ((n - 1) * k**2 * estimate**2 * f_raters**2 + rest**2)
    upper, lower = stats.f.ppf(0.5 + LEVEL / 2, n - 1, df), stats.f.ppf(0.5 + LEVEL / 2, df, n - 1)
    spread = k * s.raters_ + (k * n - k - n) * s.error
    low = n * (s.between - upper * s.error) / (upper * spread + n * s.between)
    high = n * (lower * s.between - s.error) / (spread + n * lower * s.between)
    return estimate, low, high


def _of_mean(single: FloatArray, k: int) -> FloatArray:
    """Spearman and Brown: reliability of the mean of k readers."""
    return k * single / (1 + (k - 1) * single)
