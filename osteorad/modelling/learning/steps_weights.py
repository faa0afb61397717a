"""Steps that keep the columns with a weight in a penalised regression: lasso, elastic net, stability selection.

They keep the columns with the largest weights. Where none has one, the column most related to the outcome stays alone,
and the record says so: a fold without any column would only repeat the prevalence.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import numpy as np

from osteorad.cohort.settings import Settings
from osteorad.cohort.steps import ElasticNetSettings, LassoSettings, StabilitySettings
from osteorad.modelling.learning.block import Block, FittedStep, FloatArray, Left, Trace, named, others
from osteorad.modelling.learning.filters import DIGITS, most_relevant
from osteorad.modelling.learning.penalised import (
    Fitter,
    Path,
    choose_penalty,
    linear_path,
    log_loss,
    logistic_path,
    patient_folds,
    penalties_of,
    squared_error,
    strata_of,
)
from osteorad.modelling.learning.stability import shares_taken


def fit_lasso(block: Block, settings: Settings) -> FittedStep:
    """Lasso with squared error on the outcome 0/1 (Tibshirani 1996), as radiomics papers use it."""
    return _fit_path(block, cast(LassoSettings, settings), "lasso", share=1.0)


def fit_elastic_net(block: Block, settings: Settings) -> FittedStep:
    """Elastic net with squared error on the outcome 0/1 (Zou and Hastie 2005)."""
    settings = cast(ElasticNetSettings, settings)
    return _fit_path(block, settings, "elastic-net", share=settings.share)


def fit_lasso_logistic(block: Block, settings: Settings) -> FittedStep:
    """Logistic regression with an L1 penalty."""
    return _fit_path(block, cast(LassoSettings, settings), "lasso-logistic", share=1.0, logistic=True)


def fit_stability(block: Block, settings: Settings) -> FittedStep:
    """Stability selection; the record holds how often each kept column was taken."""
    settings = cast(StabilitySettings, settings)
    trace = block.trace()
    shares = shares_taken(
        block.X,
        block.outcome,
        block.patients,
        strata_of(block.patients, block.outcome),
        halves=settings.halves,
        columns=settings.columns,
    )
    enough = np.where(shares.round(DIGITS) >= settings.share, shares, 0.0)
    reasons = [f"taken in {share:.0%} of the half samples" for share in shares.tolist()]
    record = {"halves": settings.halves}
    return _keep(block, settings, trace, "stability", enough, settings.most, reasons, record)


def _fit_path(block: Block, settings: LassoSettings, name: str, *, share: float, logistic: bool = False) -> FittedStep:
    """Weights at the penalty that folds of patients choose."""
    trace = block.trace()
    X, y = block.X, block.outcome
    fit: Fitter = logistic_path if logistic else partial(linear_path, share=share)
    loss = log_loss if logistic else squared_error
    folds = patient_folds(strata_of(block.patients, y), block.patients, settings.folds, name)
    weights = np.zeros(len(block.columns))
    record: dict[str, Any] = {"folds": len(folds), "choose": settings.choose, "penalty": None}
    if folds and len(penalties := penalties_of(X, y, share=share)):
        path = _sparse_part(X, y, penalties, share=share, logistic=logistic)
        at = choose_penalty(X, y, path.penalties, folds, fit=fit, loss=loss, one_se=settings.choose == "1se")
        weights = path.weights[at]
        record |= {"penalty": float(path.penalties[at]), "with_weight": int(np.count_nonzero(weights))}
    reasons = ["no weight" if weight == 0 else "smaller weight" for weight in weights.tolist()]
    return _keep(block, settings, trace, name, weights, settings.most, reasons, record)


def _sparse_part(X: FloatArray, y: Any, penalties: FloatArray, *, share: float, logistic: bool) -> Path:
    """The path up to where half as many columns as rows have a weight: beyond it every fit is as good as perfect."""
    enough = max(len(y) // 2, 1)
    if logistic:
        return logistic_path(X, y, penalties, enough=enough)
    return linear_path(X, y, penalties, share=share, enough=enough)


def _keep(
    block: Block,
    settings: Settings,
    trace: Trace,
    name: str,
    weights: FloatArray,
    most: int,
    reasons: list[str],
    record: Mapping[str, Any],
) -> FittedStep:
    """The columns with the largest weights in size, best first; ties go to the earlier column."""
    size = np.abs(weights).round(DIGITS)
    order = np.argsort(-size, kind="stable")
    keep = [int(at) for at in order[:most] if size[at] > 0]
    alone = not keep
    if alone:
        keep = most_relevant(block.X, block.outcome)
    ranked = [
        Left(feature=block.columns[at], reason="kept", rank=rank, score=float(weights[at]))
        for rank, at in enumerate(keep, 1)
    ]
    gone = [Left(feature=block.columns[at], reason=reasons[at], score=float(weights[at])) for at in others(block, keep)]
    return FittedStep(
        name=name,
        settings=settings.model_dump(),
        trace=trace,
        columns=named(block, keep),
        index=np.asarray(keep, dtype=np.intp),
        record={
            **record,
            "kept": [item.feature for item in ranked],
            "scores": [item.score for item in ranked],
            "none_passed": alone,
        },
        left=(*ranked, *gone),
    )
