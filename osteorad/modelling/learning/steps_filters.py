"""Steps that choose among columns by a statistic of each: redundancy, difference between classes, ranking."""

from __future__ import annotations

from typing import cast

import numpy as np

from osteorad.cohort.settings import Settings
from osteorad.cohort.steps import CorrelationSettings, MannWhitneySettings, MrmrSettings
from osteorad.modelling.learning.block import Block, FittedStep, Left, named, others
from osteorad.modelling.learning.filters import DIGITS, f_scores, mann_whitney_p, most_relevant, mrmr, ranks, redundant
from osteorad.modelling.statistics.multiplicity import benjamini_hochberg


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
        columns=named(block, keep),
        index=keep,
        record={"dropped": len(gone), "method": settings.method, "kept_first": settings.keep},
        left=tuple(gone),
    )


def fit_mannwhitney(block: Block, settings: Settings) -> FittedStep:
    """Keep columns that differ between the classes (Mann and Whitney 1947), by P value or false discovery rate.

    Where none passes, the column with the largest F statistic stays alone, and the record says so.
    """
    settings = cast(MannWhitneySettings, settings)
    trace = block.trace()
    p = mann_whitney_p(block.X, block.outcome)
    if settings.adjust == "bh" and len(p):
        p = benjamini_hochberg(p.tolist())
    keep = np.flatnonzero(p.round(DIGITS) <= settings.p)
    alone = not len(keep)
    if alone:
        keep = np.asarray(most_relevant(block.X, block.outcome), dtype=np.intp)
    what = "false discovery rate" if settings.adjust == "bh" else "P"
    gone = [
        Left(feature=block.columns[at], reason=f"{what} {p[at]:.3f}", score=float(p[at])) for at in others(block, keep)
    ]
    return FittedStep(
        name="mannwhitney",
        settings=settings.model_dump(),
        trace=trace,
        columns=named(block, keep),
        index=keep,
        record={"dropped": len(gone), "adjust": settings.adjust, "none_passed": alone},
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
        columns=named(block, taken),
        index=np.asarray(taken, dtype=np.intp),
        record={"scheme": settings.scheme, "ranked": [item.feature for item in ranked], "scores": scores},
        left=ranked,
        prefixes=tuple(sorted({min(k, len(taken)) for k in settings.k})),
    )
