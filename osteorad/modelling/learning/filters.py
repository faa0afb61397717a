"""Feature filters: F statistic, redundancy by correlation, and mRMR (Ding & Peng 2005)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from osteorad.modelling.learning.block import FloatArray, IntArray

BLOCK = 512  # columns compared at a time: no columns x columns matrix is ever made
DIGITS = 10  # ties are ties on every machine
MARGIN = 1e-4  # of |r|: far more than single precision can err


def unit_columns(X: FloatArray) -> FloatArray:
    """Columns centred and of length 1, so that products are Pearson correlations; constant columns are 0."""
    centred = X - X.mean(axis=0)
    length = np.sqrt((centred**2).sum(axis=0))
    return centred / np.where(length > 0, length, np.inf)


def ranks(X: FloatArray) -> FloatArray:
    """Average ranks within each column, for Spearman's correlation."""
    return np.asarray(stats.rankdata(X, axis=0), dtype=np.float64)


def mann_whitney_p(X: FloatArray, outcome: IntArray) -> FloatArray:
    """Two-sided P value of each column by the Mann-Whitney test: normal approximation, ties and continuity corrected.

    1 for constant columns, and for all where there is one class only.
    """
    one = outcome == 1
    if one.all() or not one.any() or not X.shape[1]:
        return np.ones(X.shape[1])
    p = stats.mannwhitneyu(X[one], X[~one], axis=0, method="asymptotic").pvalue
    return np.where(np.isnan(p), 1.0, p)


def most_relevant(X: FloatArray, outcome: IntArray) -> list[int]:
    """Place of the column with the largest F statistic, for steps that nothing passes; empty without columns."""
    if not X.shape[1]:
        return []
    return [int(np.argmax(np.minimum(f_scores(X, outcome), 1e12).round(DIGITS)))]


def f_scores(X: FloatArray, outcome: IntArray) -> FloatArray:
    """One-way F statistic of each column between the two classes; 0 for constant columns, and where one class is alone.

    A column that separates the classes without any spread inside them gets infinity.
    """
    one = outcome == 1
    n = len(outcome)
    if one.all() or not one.any():
        return np.zeros(X.shape[1])
    groups = (X[one], X[~one])
    means = [group.mean(axis=0) for group in groups]
    grand = X.mean(axis=0)
    between = sum(len(group) * (mean - grand) ** 2 for group, mean in zip(groups, means, strict=True))
    within = sum(((group - mean) ** 2).sum(axis=0) for group, mean in zip(groups, means, strict=True))
    with np.errstate(divide="ignore", invalid="ignore"):
        score = between / (within / (n - 2))
    return np.where(np.isnan(score), 0.0, score)


def redundant(X: FloatArray, order: Sequence[int], threshold: float) -> tuple[list[int], dict[int, tuple[int, float]]]:
    """Go through columns in `order`; keep one if its |r| with every column kept before is at most `threshold`.

    X : ranks for Spearman. Returns places kept, in `order`, and dropped place -> (place of a kept column that it
    correlates with too much, r). Work goes by blocks, so memory grows with columns x BLOCK only. Blocks are compared in
    single precision; what comes near the threshold is computed again in double precision and decides.
    """
    unit = unit_columns(X)
    rough = np.empty((len(order), len(X)), dtype=np.float32)  # the columns kept, a row each
    kept: list[int] = []
    dropped: dict[int, tuple[int, float]] = {}
    for start in range(0, len(order), BLOCK):
        places = np.asarray(order[start : start + BLOCK])
        block = np.ascontiguousarray(unit[:, places].T)
        near = np.abs(block.astype(np.float32) @ rough[: len(kept)].T)
        most = near.max(axis=1, initial=0.0)
        inside = block @ block.T
        new: list[int] = []
        for at, place in enumerate(places.tolist()):
            if most[at] > threshold - MARGIN:
                close = [kept[one] for one in np.flatnonzero(near[at] > most[at] - MARGIN)]
                partner, r = _nearest(close, unit[:, close].T @ block[at])
                if round(abs(r), DIGITS) > threshold:
                    dropped[place] = (partner, r)
                    continue
            if new:
                partner, r = _nearest(new, inside[new, at])
                if round(abs(r), DIGITS) > threshold:
                    dropped[place] = (int(places[partner]), r)
                    continue
            new.append(at)
        rough[len(kept) : len(kept) + len(new)] = block[new]
        kept += [int(places[at]) for at in new]
    return kept, dropped


def _nearest(places: Sequence[int], r: FloatArray) -> tuple[int, float]:
    """The place with the largest |r|, the earlier one at a tie; and r."""
    best = int(np.argmax(np.abs(r).round(DIGITS)))
    return places[best], float(r[best])


def mrmr(
    X: FloatArray, outcome: IntArray, count: int, *, scheme: str = "FCQ", floor: float = 0.0
) -> tuple[list[int], list[float]]:
    """Rank columns by relevance and least redundancy; the first k of the answer are the answer for k.

    scheme : FCQ, relevance F over mean |r| with the columns taken before, at least `floor`; FCD, F minus mean |r|;
    RCD, |r| with the outcome minus mean |r|. The first column is the most relevant one.
    Returns places and scores, `count` of them or as many as there are columns. Ties go to the earlier column.
    """
    unit = unit_columns(X)
    if scheme == "RCD":
        relevance = np.abs(unit.T @ unit_columns(outcome[:, None].astype(float))[:, 0])
    else:
        relevance = np.minimum(f_scores(X, outcome), 1e12)
    taken: list[int] = []
    scores: list[float] = []
    free = np.ones(X.shape[1], dtype=bool)
    summed = np.zeros(X.shape[1])
    for turn in range(min(count, X.shape[1])):
        score = relevance if turn == 0 else _score(relevance, summed / turn, scheme, floor)
        best = _first_best(score, free)
        taken.append(best)
        scores.append(float(score[best]))
        free[best] = False
        summed += np.abs(unit.T @ unit[:, best])
    return taken, scores


def _score(relevance: FloatArray, redundancy: FloatArray, scheme: str, floor: float) -> FloatArray:
    if scheme == "FCQ":
        return relevance / np.maximum(redundancy, max(floor, np.finfo(float).tiny))
    return relevance - redundancy


def _first_best(score: FloatArray, free: NDArray[np.bool_]) -> int:
    """The first free place whose score is the largest but for rounding."""
    usable = np.where(free, score, -np.inf)
    best = usable.max()
    return int(np.argmax(usable >= best - 10.0**-DIGITS * abs(best)))
