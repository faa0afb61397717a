"""Steps that do not look at the outcome: fill, drop what says nothing or cannot be repeated, harmonise, scale, mix."""

from __future__ import annotations

import hashlib
from typing import Literal, cast

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.settings import Settings
from osteorad.cohort.steps import (
    CombatSettings,
    IccSettings,
    ImputeSettings,
    PcaSettings,
    VarianceSettings,
    ZscoreSettings,
)
from osteorad.errors import ConfigError
from osteorad.modelling.learning.block import Block, FittedStep, FloatArray, IntArray, Left, named, others
from osteorad.modelling.learning.combat import fit_combat as harmonise
from osteorad.modelling.learning.filters import DIGITS
from osteorad.modelling.statistics.icc import icc_two

LEAST_PAIRS = 3  # rows by both readers, for an ICC with an interval


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
        fill=_medians(block.X[:, keep], np.asarray(missing[:, keep].any(axis=0))),
        record={"values_missing": int(missing.sum()), "columns_filled": filled, "columns_empty": len(gone)},
        left=tuple(gone),
    )


def _medians(X: FloatArray, incomplete: NDArray[np.bool_]) -> FloatArray:
    """Median of the values that each column has; columns without gaps take the quicker way."""
    found = np.empty(X.shape[1])
    found[~incomplete] = np.median(np.ascontiguousarray(X[:, ~incomplete].T), axis=1)
    found[incomplete] = np.nanmedian(X[:, incomplete], axis=0)
    return found


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


def fit_icc(block: Block, settings: Settings) -> FittedStep:
    """Keep columns on which two readers agree, by the ICC over the training rows that both of them drew.

    A column whose ICC cannot be computed leaves too; so none may stay.
    Raises ConfigError without a second reader.
    """
    settings = cast(IccSettings, settings)
    if block.second is None:
        raise ConfigError("recipe: steps: 'icc' compares two readers: name the second mask set under second_set.")
    trace = block.trace()
    estimate, lower, pairs = _agreement(block.X, block.second, settings.form)
    bound = lower if settings.bound == "lower" else estimate
    keep = np.flatnonzero(bound.round(DIGITS) > settings.least)
    gone = [_disagrees(block.columns[at], float(bound[at]), int(pairs[at]), settings) for at in others(block, keep)]
    return FittedStep(
        name="icc",
        settings=settings.model_dump(),
        trace=trace,
        columns=named(block, keep),
        index=keep,
        record={
            "dropped": len(gone),
            "rows_of_both": int(pairs.max(initial=0)),
            "bounds": [float(value) for value in bound[keep].round(DIGITS)],
        },
        left=tuple(gone),
    )


def _agreement(
    first: FloatArray, second: FloatArray, form: Literal["1,1", "A,1", "C,1"]
) -> tuple[FloatArray, FloatArray, IntArray]:
    """ICC, its lower bound and the rows with both readings, of each column; NaN under LEAST_PAIRS rows."""
    both = ~(np.isnan(first) | np.isnan(second))
    estimate, lower = np.full(first.shape[1], np.nan), np.full(first.shape[1], np.nan)
    patterns, of_column = np.unique(both, axis=1, return_inverse=True)
    for at, rows in enumerate(patterns.T):
        if rows.sum() >= LEAST_PAIRS:
            columns = np.flatnonzero(of_column.ravel() == at)
            found = icc_two(first[np.ix_(rows, columns)], second[np.ix_(rows, columns)], form)
            estimate[columns], lower[columns] = found.estimate, found.lower
    return estimate, lower, both.sum(axis=0)


def _disagrees(name: str, bound: float, pairs: int, settings: IccSettings) -> Left:
    """Why a column does not stay."""
    if pairs < LEAST_PAIRS:
        return Left(feature=name, reason=f"ICC: {pairs} training rows by both readers")
    if np.isnan(bound):
        return Left(feature=name, reason="ICC: no spread between training rows")
    what = "lower bound of the ICC" if settings.bound == "lower" else "ICC"
    return Left(feature=name, reason=f"{what} {bound:.3f}", score=bound)


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


def fit_pca(block: Block, settings: Settings) -> FittedStep:
    """Replace columns by principal components, the largest first, until they keep the share of variance asked for.

    A component's largest loading is positive, so that its sign is the same everywhere.
    """
    settings = cast(PcaSettings, settings)
    trace = block.trace()
    centre = block.X.mean(axis=0) if len(block.columns) else np.zeros(0)
    _, size, loadings = np.linalg.svd(block.X - centre, full_matrices=False)
    variance = size**2
    real = int((size > 1e-10 * size.max(initial=0.0)).sum())
    share = np.cumsum(variance[:real]) / max(float(variance[:real].sum()), np.finfo(float).tiny)
    count = min(int((share.round(DIGITS) < settings.share).sum()) + 1, real, settings.most)
    mix = loadings[:count].T
    largest = np.abs(mix).round(DIGITS).argmax(axis=0) if count else np.zeros(0, dtype=np.intp)
    mix = mix * np.sign(mix[largest, np.arange(count)])
    return FittedStep(
        name="pca",
        settings=settings.model_dump(),
        trace=trace,
        columns=tuple(f"pc-{number:02d}" for number in range(1, count + 1)),
        index=np.arange(len(block.columns)),
        centre=centre,
        scale=np.ones(len(block.columns)),
        mix=mix,
        record={"components": count, "shares": np.diff(share[:count], prepend=0.0).tolist()},
        left=tuple(Left(feature=name, reason="mixed into components") for name in block.columns),
    )
