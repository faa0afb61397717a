"""Variance of the area under the ROC curve, and tests between two of them.

DeLong, DeLong & Clarke-Pearson 1988 for independent rows; Obuchowski 1997 for rows that stand in clusters, such as
lesions of a patient. The first is the second with one row a cluster, so one function computes both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.statistics.metrics import LEVEL, Interval

LEAST_VARIANCE = 1e-15  # below it is rounding: the scores order the rows alike, or leave no doubt


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Difference of two AUCs (first minus second), its interval, and the test; None where the variance is 0."""

    difference: Interval
    statistic: float | None
    p: float | None
    df: float | None = None  # of t, None for a normal statistic


def delong_auc(outcome: IntArray, score: FloatArray) -> Interval:
    """AUC with DeLong's interval, cut at 0 and 1; None with one class, no limits with one row of a class."""
    return clustered_auc(outcome, score, np.arange(len(outcome)))


def clustered_auc(outcome: IntArray, score: FloatArray, cluster: Sequence[str] | IntArray) -> Interval:
    """AUC of rows in clusters, with Obuchowski's interval, cut at 0 and 1. cluster : the cluster of each row."""
    if not 0 < outcome.sum() < len(outcome):
        return Interval(estimate=None)
    areas, covariance = auc_covariance(outcome, score[None, :], cluster)
    return _interval(float(areas[0]), float(covariance[0, 0]), 0.0, 1.0)


def paired(
    outcome: IntArray, first: FloatArray, second: FloatArray, cluster: Sequence[str] | IntArray | None = None
) -> Comparison:
    """Compare two scores of the same rows (z test). cluster : None where the rows are independent."""
    if not 0 < outcome.sum() < len(outcome):
        return Comparison(difference=Interval(estimate=None), statistic=None, p=None)
    rows = np.arange(len(outcome)) if cluster is None else cluster
    areas, covariance = auc_covariance(outcome, np.stack([first, second]), rows)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    difference = _interval(float(areas[0] - areas[1]), variance, -1.0, 1.0)
    if difference.se is None or difference.estimate is None or variance < LEAST_VARIANCE:
        return Comparison(difference=difference, statistic=None, p=None)
    z = difference.estimate / difference.se
    return Comparison(difference=difference, statistic=z, p=float(2 * stats.norm.sf(abs(z))))


def unpaired(first: tuple[IntArray, FloatArray], second: tuple[IntArray, FloatArray]) -> Comparison:
    """Compare AUCs of two sets of patients, each as (outcome, score): t test with Satterthwaite's degrees."""
    sides = []
    for outcome, score in (first, second):
        areas, covariance = auc_covariance(outcome, score[None, :], np.arange(len(outcome)))
        sides.append((float(areas[0]), float(covariance[0, 0]), len(outcome)))
    (area, variance, n), (other, other_variance, m) = sides
    both = variance + other_variance
    difference = _interval(area - other, both, -1.0, 1.0)
    if difference.se is None or both < LEAST_VARIANCE:
        return Comparison(difference=difference, statistic=None, p=None)
    df = both**2 / (variance**2 / (n - 1) + other_variance**2 / (m - 1))
    t = (area - other) / difference.se
    return Comparison(difference=difference, statistic=t, p=float(2 * stats.t.sf(abs(t), df)), df=df)


def auc_covariance(
    outcome: IntArray, scores: FloatArray, cluster: Sequence[str] | IntArray
) -> tuple[FloatArray, FloatArray]:
    """AUCs of several scores of the same rows and their covariance (Obuchowski 1997, eq. 4 to 6).

    scores : shape (scores, rows). cluster : the cluster of each row. Both classes must be there.
    Returns AUCs, shape (scores,), and covariance, (scores, scores); NaN where fewer than 2 clusters have a class.
    """
    one = outcome == 1
    events, others = int(one.sum()), int((~one).sum())
    placed = np.array([_placements(score, one) for score in scores])
    areas = placed[:, one].mean(axis=1)
    _, at = np.unique(np.asarray(cluster), return_inverse=True)
    clusters = int(at.max()) + 1
    centred = placed - areas[:, None]
    sums = [
        np.array([np.bincount(at[rows], weights=row[rows], minlength=clusters) for row in centred])
        for rows in (one, ~one)
    ]
    with_event, with_other = len(np.unique(at[one])), len(np.unique(at[~one]))
    if min(with_event, with_other) < 2:
        return areas, np.full((len(scores), len(scores)), np.nan)
    s10 = with_event / ((with_event - 1) * events) * sums[0] @ sums[0].T
    s01 = with_other / ((with_other - 1) * others) * sums[1] @ sums[1].T
    s11 = clusters / (clusters - 1) * sums[0] @ sums[1].T
    return areas, s10 / events + s01 / others + (s11 + s11.T) / (events * others)


def hanley_mcneil_se(area: float, events: int, others: int) -> float:
    """Standard error of an AUC of which only the class sizes are known (Hanley & McNeil 1982)."""
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (events - 1) * (q1 - area**2) + (others - 1) * (q2 - area**2)
    return float(np.sqrt(spread / (events * others)))


def _placements(score: FloatArray, one: np.ndarray) -> FloatArray:
    """Share of the other class that each row stands on the right side of, ties half."""
    overall = stats.rankdata(score)
    placed = np.empty(len(score))
    placed[one] = (overall[one] - stats.rankdata(score[one])) / (~one).sum()
    placed[~one] = 1 - (overall[~one] - stats.rankdata(score[~one])) / one.sum()
    return placed


def _interval(estimate: float, variance: float, least: float, most: float) -> Interval:
    if not np.isfinite(variance):
        return Interval(estimate=estimate)
    se = float(np.sqrt(max(variance, 0.0)))
    half = float(stats.norm.ppf(0.5 + LEVEL / 2)) * se
    return Interval(estimate=estimate, low=max(least, estimate - half), high=min(most, estimate + half), se=se)
