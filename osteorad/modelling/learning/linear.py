"""A fitted linear model in the units of its columns."""

from __future__ import annotations

from typing import Any

import numpy as np

from osteorad.modelling.learning.nested import FoldFit
from osteorad.modelling.learning.steps import Chain


def linear_part(fit: FoldFit) -> dict[str, Any] | None:
    """Intercept and, a feature, its coefficient and what the steps did to it; None where the model is not linear.

    The score is intercept + sum of coefficient x (value - centre) / scale, the scaled value cut off at clip.
    """
    model = fit.chosen_model
    if model.fitted.coefficients is None or model.fitted.intercept is None:
        return None
    columns = []
    for name, value in zip(model.features, model.fitted.coefficients, strict=True):
        if name not in fit.train.columns:
            return None  # a mixture of columns
        at = fit.train.columns.index(name)
        own = fit.train.X[:, at]
        known = own[~np.isnan(own)]
        facts = column_facts(fit.chain, name)
        columns.append({"feature": name, "coefficient": value, **facts, "low": known.min(), "high": known.max()})
    return {"intercept": model.fitted.intercept, "columns": columns}


def column_facts(chain: Chain, name: str) -> dict[str, float | None]:
    """What the steps do to one column that they keep; nothing where a step makes new columns."""
    facts: dict[str, float | None] = {"fill": None, "centre": None, "scale": None, "clip": None}
    for step in chain.steps:
        if name not in step.columns:
            continue
        at = step.columns.index(name)
        for key, values in (("fill", step.fill), ("centre", step.centre), ("scale", step.scale)):
            if values is not None:
                facts[key] = float(values[at])
        facts["clip"] = step.clip if step.clip is not None else facts["clip"]
    return facts
