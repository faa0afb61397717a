"""The step of the clinical model: covariates by Akaike's criterion."""

from __future__ import annotations

from typing import cast

import numpy as np

from osteorad.cohort.settings import Settings
from osteorad.cohort.steps import StepwiseSettings
from osteorad.modelling.learning.block import Block, FittedStep, Left
from osteorad.modelling.statistics.stepwise import stepwise_aic


def fit_stepwise(block: Block, settings: Settings) -> FittedStep:
    """Keep the covariates that stepwise AIC keeps; the levels of one covariate come and go together.

    With one class only in the training rows nothing can be told, and all columns stay.
    """
    settings = cast(StepwiseSettings, settings)
    trace = block.trace()
    covariates = [name.partition("=")[0] for name in block.columns]
    groups = {name: block.X[:, [at for at, own in enumerate(covariates) if own == name]] for name in covariates}
    record: dict[str, object] = {"start": settings.start, "kept": sorted(groups)}
    kept = set(groups)
    if len(set(block.outcome.tolist())) == 2:
        found = stepwise_aic(groups, block.outcome, start=settings.start)
        kept = set(found.kept)
        path = [{"change": move.change, "aic": move.aic} for move in found.path]
        record = {"start": settings.start, "kept": list(found.kept), "aic": found.aic, "firth": found.firth}
        record["path"] = path
    keep = [at for at, own in enumerate(covariates) if own in kept]
    gone = [name for name, own in zip(block.columns, covariates, strict=True) if own not in kept]
    return FittedStep(
        name="stepwise",
        settings=settings.model_dump(),
        trace=trace,
        columns=tuple(block.columns[at] for at in keep),
        index=np.asarray(keep, dtype=np.intp),
        record=record,
        left=tuple(Left(feature=name, reason="not worth its parameters by AIC") for name in gone),
    )
