"""The named steps of a recipe: each is fitted on training rows and leaves a record of what it kept and why.

A step is a function `fit(block, settings) -> FittedStep`. To add one: write its settings in `cohort.config`, its fit
here, and its line in REGISTRY.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from osteorad.cohort.config import (
    CorrelationSettings,
    ImputeSettings,
    MrmrSettings,
    Settings,
    Step,
    VarianceSettings,
    ZscoreSettings,
)
from osteorad.errors import ConfigError, unknown_name
from osteorad.modelling.learning.block import Block, FittedStep, FloatArray, Left
from osteorad.modelling.learning.filters import f_scores, mrmr, ranks, redundant


def fit_impute(block: Block, settings: Settings) -> FittedStep:
    """Medians of training rows for missing values; a column without any value leaves."""
    settings = cast(ImputeSettings, settings)
    trace = block.trace()
    missing = np.isnan(block.X)
    keep = np.flatnonzero(~missing.all(axis=0))
    filled = int(missing[:, keep].any(axis=0).sum())
    gone = [Left(feature=block.columns[at], reason="no value in any training row") for at in _others(block, keep)]
    return FittedStep(
        name="impute",
        settings=settings.model_dump(),
        trace=trace,
        columns=_named(block, keep),
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
        columns=_named(block, keep),
        index=np.asarray(keep, dtype=np.intp),
        record={"constant": int(constant.sum()), "duplicates": len(gone) - int(constant.sum())},
        left=tuple(gone),
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


def fit_correlation(block: Block, settings: Settings) -> FittedStep:
    """Drop columns that correlate too much with one that stays; the earlier or the more relevant one stays."""
    settings = cast(CorrelationSettings, settings)
    trace = block.trace()
    order = np.arange(len(block.columns))
    if settings.keep == "relevance":
        order = np.argsort(-f_scores(block.X, block.outcome).round(10), kind="stable")
    X = ranks(block.X) if settings.method == "spearman" else block.X
    kept, dropped = redundant(X, order.tolist(), settings.threshold)
    keep = np.sort(np.asarray(kept, dtype=np.intp))
    gone = [
        Left(feature=block.columns[at], reason=f"r = {r:.3f} with {block.columns[partner]}", score=r)
        for at, (partner, r) in sorted(dropped.items())
    ]
    return FittedStep(
        name="correlation",
        settings=settings.model_dump(),
        trace=trace,
        columns=_named(block, keep),
        index=keep,
        record={"dropped": len(gone), "method": settings.method, "kept_first": settings.keep},
        left=tuple(gone),
    )


def fit_mrmr(block: Block, settings: Settings) -> FittedStep:
    """Rank columns; the path for the largest k holds that of every smaller one."""
    settings = cast(MrmrSettings, settings)
    trace = block.trace()
    taken, scores = mrmr(block.X, block.outcome, max(settings.k), scheme=settings.scheme, floor=settings.floor)
    ranked = tuple(
        Left(feature=block.columns[at], reason="ranked", rank=rank, score=score)
        for rank, (at, score) in enumerate(zip(taken, scores, strict=True), 1)
    )
    return FittedStep(
        name="mrmr",
        settings=settings.model_dump(),
        trace=trace,
        columns=_named(block, taken),
        index=np.asarray(taken, dtype=np.intp),
        record={"scheme": settings.scheme, "ranked": [item.feature for item in ranked], "scores": scores},
        left=ranked,
        prefixes=tuple(sorted({min(k, len(taken)) for k in settings.k})),
    )


REGISTRY: dict[str, Callable[[Block, Settings], FittedStep]] = {
    "impute": fit_impute,
    "variance": fit_variance,
    "zscore": fit_zscore,
    "correlation": fit_correlation,
    "mrmr": fit_mrmr,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Fitted steps in order, and the training block after the last one."""

    steps: tuple[FittedStep, ...]
    block: Block

    @property
    def prefixes(self) -> tuple[int, ...]:
        """How many of the last step's columns to try, where that step ranks them; else nothing."""
        return self.steps[-1].prefixes if self.steps else ()

    def transform(self, X: FloatArray) -> FloatArray:
        """Rows of any part through all steps."""
        for step in self.steps:
            X = step.transform(X)
        return X


def fit_chain(steps: Sequence[Step], block: Block) -> Chain:
    """Fit steps one after the other, each on what the ones before made of the training rows.

    Raises ConfigError for an unknown step, or a ranking step that is not the last.
    """
    fitted: list[FittedStep] = []
    for step in steps:
        if step.step not in REGISTRY:
            raise ConfigError(unknown_name("step", step.step, REGISTRY, "recipe: steps"))
        if fitted and fitted[-1].prefixes:
            raise ConfigError(f"recipe: steps: '{fitted[-1].name}' ranks columns and must be the last step.")
        done = REGISTRY[step.step](block, step.typed())
        block = block.with_columns(done.columns, done.transform(block.X))
        fitted.append(done)
    return Chain(steps=tuple(fitted), block=block)


def _named(block: Block, places: Sequence[int] | Any) -> tuple[str, ...]:
    return tuple(block.columns[int(at)] for at in places)


def _others(block: Block, keep: Any) -> list[int]:
    kept = {int(at) for at in keep}
    return [at for at in range(len(block.columns)) if at not in kept]
