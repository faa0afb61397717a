"""Sample size for a prediction model of a binary outcome (Riley et al., BMJ 2020;368:m441)."""

from __future__ import annotations

import math
from dataclasses import dataclass

SHRINKAGE = 0.9
OPTIMISM = 0.05
MARGIN = 0.05
Z95 = 1.96  # as in the paper and in pmsampsize


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSize:
    """Patients that each criterion asks for, and the largest of them.

    shrinkage : expected shrinkage of the coefficients at least 0.9. optimism : apparent and adjusted R2 differ by at
    most 0.05 of the largest R2. intercept : the mean risk is known within 0.05. max_r2 : largest Cox-Snell R2 at this
    prevalence. needed_shrinkage : shrinkage that the second criterion asks for. events : of `needed` patients.
    """

    shrinkage: int
    optimism: int
    intercept: int
    needed: int
    max_r2: float
    needed_shrinkage: float
    events: float
    events_per_parameter: float


def riley(*, prevalence: float, parameters: int, r2_cs: float) -> SampleSize:
    """Three criteria of Riley et al. 2020.

    prevalence : share of events, inside (0, 1). parameters : candidate parameters, before any selection.
    r2_cs : Cox-Snell R2 that the model is expected to reach, inside (0, max R2). Raises ValueError outside.
    """
    if not 0 < prevalence < 1 or parameters < 1:
        raise ValueError(f"prevalence {prevalence} must lie inside (0, 1) and parameters {parameters} be at least 1")
    log_null = prevalence * math.log(prevalence) + (1 - prevalence) * math.log(1 - prevalence)
    max_r2 = 1 - math.exp(2 * log_null)
    if not 0 < r2_cs < max_r2:
        raise ValueError(f"r2_cs {r2_cs} must lie inside (0, {max_r2:.3f}), the largest at prevalence {prevalence}")
    needed_shrinkage = r2_cs / (r2_cs + OPTIMISM * max_r2)
    shrinkage = _for_shrinkage(parameters, r2_cs, SHRINKAGE)
    optimism = _for_shrinkage(parameters, r2_cs, needed_shrinkage)
    intercept = math.ceil((Z95 / MARGIN) ** 2 * prevalence * (1 - prevalence))
    needed = max(shrinkage, optimism, intercept)
    return SampleSize(
        shrinkage=shrinkage,
        optimism=optimism,
        intercept=intercept,
        needed=needed,
        max_r2=max_r2,
        needed_shrinkage=needed_shrinkage,
        events=needed * prevalence,
        events_per_parameter=needed * prevalence / parameters,
    )


def _for_shrinkage(parameters: int, r2_cs: float, shrinkage: float) -> int:
    return math.ceil(parameters / ((shrinkage - 1) * math.log(1 - r2_cs / shrinkage)))
