"""Hosmer and Lemeshow's test: a footnote to calibration, never a test of overfitting.

On training rows nearly every model passes it, also those fitted to noise; compute it out of fold only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import stats

from osteorad.modelling.learning.block import FloatArray, IntArray


@dataclass(frozen=True, slots=True, kw_only=True)
class RiskGroup:
    """One group of rows: how many, events seen, events expected."""

    n: int
    observed: int
    expected: float


@dataclass(frozen=True, slots=True, kw_only=True)
class HosmerLemeshow:
    """Statistic, degrees of freedom, P value and the groups from low to high risk."""

    chi2: float
    df: int
    p: float
    groups: tuple[RiskGroup, ...]


def hosmer_lemeshow(
    outcome: IntArray, probability: FloatArray, *, groups: int = 10, lost: int = 0
) -> HosmerLemeshow | None:
    """Test of groups cut at quantiles of the probability (type 7, right-closed; equal cuts become one group).

    lost : degrees of freedom lost to the fit, 0 for rows that the model has not seen, 2 for its own training rows.
    None where fewer than lost + 1 groups stand, or a group's expected share is 0 or 1.
    """
    cuts = np.unique(np.quantile(probability, np.linspace(0, 1, groups + 1)))[1:-1]
    place = np.searchsorted(cuts, probability, side="left")
    members = [place == at for at in range(len(cuts) + 1) if (place == at).any()]
    found = tuple(
        RiskGroup(n=int(rows.sum()), observed=int(outcome[rows].sum()), expected=float(probability[rows].sum()))
        for rows in members
    )
    df = len(found) - lost
    if df < 1 or any(not 0 < group.expected < group.n for group in found):
        return None
    chi2 = sum(
        (group.observed - group.expected) ** 2 / (group.expected * (1 - group.expected / group.n)) for group in found
    )
    return HosmerLemeshow(chi2=chi2, df=df, p=float(stats.chi2.sf(chi2, df)), groups=found)
