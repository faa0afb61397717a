"""Steps that do not look at the outcome: fill, drop what says nothing or cannot be repeated, harmonise, scale."""

from __future__ import annotations

import hashlib
from typing import cast

import numpy as np

from osteorad.cohort.config import CombatSettings, ImputeSettings, Settings, VarianceSettings, ZscoreSettings
from osteorad.errors import ConfigError
from osteorad.modelling.learning.block import Block, FittedStep, Left, named, others
from osteorad.modelling.learning.combat import fit_combat as harmonise


def fit_impute(block: Block, settings: Settings) -> FittedStep:
    """Medians of training rows for missing values; a column without any value leaves."""
    settings = cast(ImputeSettings, settings)
    trace = block.trace()
    missing = np.isnan(block.X)
    keep = np.flatnonzero(~missing.all(axis=0))
    filled = int(missing[:, keep].any(axis=0).sum())
    gone = [Left(feature=block.columns[at], reason="no value in any training row") for at in others(block, keep)]
    return FittedStep(
        name="impute",
        settings=settings.model_dump(),
        trace=trace,
        columns=named(block, keep),
        index=keep,
        fill=np.nanmedian(block.X[:, keep], axis=0) if len(keep) else np.zeros(0),
        record={"values_missing": int(missing.sum()), "columns_filled": filled, "columns_empty": len(gone)},
        left=tuple(gone),
    )


def fit_variance(block: Block, settings: Settings) -> FittedStep:
    """Drop constant columns, and columns that equal an earlier one in every training row."""
    settings = cast(VarianceSettings, settings)
    trace = block.trace()
    low, high = block.X.min(axis=0), block.X.max(axis=0)
    constant = high - low <= settings.relative * np.maximum(np.abs(low), np.abs(high))
    first: dict[bytes, int] = {}
    keep: list[int] = []
    gone: list[Left] = []
    for at, name in enumerate(block.columns):
        if constant[at]:
            gone.append(Left(feature=name, reason="constant in the training rows"))
            continue
        key = hashlib.sha256(np.ascontiguousarray(block.X[:, at]).tobytes()).digest()
        if key in first:
            gone.append(Left(feature=name, reason=f"equal to {block.columns[first[key]]} in every training row"))
            continue
        first[key] = at
        keep.append(at)
    return FittedStep(
        name="variance",
        settings=settings.model_dump(),
        trace=trace,
        columns=named(block, keep),
        index=np.asarray(keep, dtype=np.intp),
        record={"constant": int(constant.sum()), "duplicates": len(gone) - int(constant.sum())},
        left=tuple(gone),
    )


def fit_combat(block: Block, settings: Settings) -> FittedStep:
    """Bring sites together; a reference without training rows gives way to the common mean.

    Rows of unknown site are not fitted on. With fewer than two sites nothing moves.
    Raises ConfigError where unseen sites shall be treated as a reference that is not named.
    """
    settings = cast(CombatSettings, settings)
    if settings.unseen == "reference" and settings.reference is None:
        raise ConfigError("recipe: steps: combat: unseen: reference needs the setting reference: a site's name.")
    trace = block.trace()
    sites = block.sites or ("",) * len(block.samples)
    harmony = harmonise(
        block.X, sites, reference=settings.reference, mean_only=settings.mean_only, unseen=settings.unseen
    )
    rows = {site: sites.count(site) for site in harmony.sites}
    return FittedStep(
        name="combat",
        settings=settings.model_dump(),
        trace=trace,
        columns=block.columns,
        index=np.arange(len(block.columns)),
        harmony=harmony,
        record={
            "rows_of_sites": rows,
            "rows_of_unknown_site": sites.count(""),
            "reference": settings.reference if settings.reference in rows else None,
            "mean_only": [site for site, count in rows.items() if settings.mean_only or count < 2],
        },
    )


def fit_zscore(block: Block, settings: Settings) -> FittedStep:
    """Centre by the mean and scale by the SD of training rows, then clip; a constant column becomes 0."""
    settings = cast(ZscoreSettings, settings)
    trace = block.trace()
    scale = block.X.std(axis=0)
    return FittedStep(
        name="zscore",
        settings=settings.model_dump(),
        trace=trace,
        columns=block.columns,
        index=np.arange(len(block.columns)),
        centre=block.X.mean(axis=0),
        scale=np.where(scale > 0, scale, 1.0),
        clip=settings.clip,
        record={"columns_without_spread": int((scale == 0).sum())},
    )
