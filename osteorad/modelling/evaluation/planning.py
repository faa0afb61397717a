"""How many patients the models would have needed (Riley et al. 2020), beside how many there are."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from osteorad.modelling.statistics.sample_size import riley

R2_SHARE = 0.15  # of the largest R2, where nothing better is known (Riley et al. 2020)
NOTE = (
    "Cox-Snell R2 taken as 15 % of its largest value at this share of events. The criteria are for models without "
    "selection; with more candidate columns than patients they say that the data cannot carry them all, not how many "
    "patients a penalised model needs."
)


def sample_size(*, patients: int, events: int, parameters: Mapping[str, int]) -> dict[str, Any] | None:
    """Patients needed and at hand. parameters : variables -> candidate parameters; None where a class is absent."""
    if not 0 < events < patients:
        return None
    share = events / patients
    return {
        "method": "Riley et al. 2020",
        "r2_share": R2_SHARE,
        "outcome_share": share,
        "rows": [_row(name, count, patients, events) for name, count in parameters.items() if count],
        "note": NOTE,
    }


def largest_r2(share: float) -> float:
    """Largest Cox-Snell R2 of a model of an outcome with this share of events."""
    return 1 - math.exp(2 * (share * math.log(share) + (1 - share) * math.log(1 - share)))


def _row(variables: str, parameters: int, patients: int, events: int) -> dict[str, Any]:
    share = events / patients
    r2 = R2_SHARE * largest_r2(share)
    found = riley(prevalence=share, parameters=parameters, r2_cs=r2)
    criteria = {
        "shrinkage of the coefficients at least 0.9": found.shrinkage,
        "apparent and adjusted R2 differ by at most 0.05": found.optimism,
        "mean risk known within 0.05": found.intercept,
    }
    return {
        "variables": variables,
        "parameters": parameters,
        "r2": r2,
        "criteria": [{"name": name, "needed": needed} for name, needed in criteria.items()],
        "needed": found.needed,
        "needed_events": math.ceil(found.events),
        "have": patients,
        "have_events": events,
        "events_per_parameter": events / parameters,
        "enough": patients >= found.needed,
    }
