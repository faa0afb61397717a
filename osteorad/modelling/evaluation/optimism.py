"""Optimism of the clinical model when it is fitted and judged on the same patients (Harrell's bootstrap, .632+)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.modelling.evaluation.characteristics import COVARIATE, patients_once
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.learning.models import REGISTRY, fit_model
from osteorad.modelling.statistics.metrics import expit
from osteorad.modelling.statistics.optimism import Predict, optimism

BOOTSTRAPS = 200
FEWER_THAN = 10  # predictors: with more, or with a selection, only the nested loop is to be trusted
MODEL = "logistic"
NOTE = (
    "Fitted and judged on the same patients, then corrected by {draws} bootstrap samples in which filling, scaling and "
    "fit were done again. A check of the clinical row above, which is out of fold."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Design:
    """Covariates of patients as numbers, shape (patients, columns), missing values NaN; and their outcome."""

    columns: tuple[str, ...]
    X: FloatArray
    outcome: IntArray


def clinical_design(samples: pa.Table, covariates: Sequence[str]) -> Design:
    """The recipe's covariates that the samples have; each level of a text but the first is a column."""
    once = patients_once(samples)
    names: list[str] = []
    parts: list[FloatArray] = []
    for name in covariates:
        column = f"{COVARIATE}{name}"
        if column not in once.column_names:
            continue
        values = once[column].to_pylist()
        if pa.types.is_string(once.schema.field(column).type):
            levels = sorted({value for value in values if value is not None})[1:]
            names += [f"{name}={level}" for level in levels]
            parts += [np.array([np.nan if v is None else float(v == level) for v in values]) for level in levels]
        else:
            names.append(name)
            parts.append(np.array([np.nan if value is None else float(value) for value in values]))
    X = np.stack(parts, axis=1) if parts else np.empty((once.num_rows, 0))
    X[~np.isfinite(X)] = np.nan
    return Design(columns=tuple(names), X=X, outcome=once["outcome"].to_numpy().astype(np.int64))


def clinical_optimism(design: Design, *, seed: int) -> dict[str, Any] | None:
    """AUC and calibration slope of a logistic model of all covariates, corrected for optimism, and .632+.

    None without covariates, with ten or more columns, or with one patient of a class, who is never both drawn and
    left out.
    """
    events = int(design.outcome.sum())
    if not 0 < len(design.columns) < FEWER_THAN or min(events, len(design.outcome) - events) < 2:
        return None
    found = optimism(_fit, design.X, design.outcome, draws=BOOTSTRAPS, seed=seed)
    auc, slope = found.measures["auc"], found.measures["slope"]
    return {
        "variables": "clinical",
        "model": MODEL,
        "label": REGISTRY[MODEL].label,
        "predictors": len(design.columns),
        "patients": len(design.outcome),
        "events": events,
        "bootstraps": found.draws,
        "apparent": auc.apparent,
        "optimism": auc.optimism,
        "corrected": auc.corrected,
        "slope": slope.corrected if np.isfinite(slope.corrected) else None,
        "b632plus": found.auc_632plus,
        "note": NOTE.format(draws=found.draws),
    }


def _fit(X: FloatArray, outcome: IntArray) -> Predict:
    """Fill by the median, scale, and fit: all on the rows given, constant columns left out."""
    known = np.isfinite(X)
    usable = known.any(axis=0)
    columns = zip(X.T, known.T, strict=True)
    fill = np.array([np.median(column[there]) if there.any() else 0.0 for column, there in columns])
    filled = np.where(known, X, fill)
    centre, scale = filled.mean(axis=0), filled.std(axis=0)
    usable &= scale > 0

    def prepared(rows: FloatArray) -> FloatArray:
        return ((np.where(np.isfinite(rows), rows, fill) - centre)[:, usable]) / scale[usable]

    # The weaker of the grid's two penalties: the choice between them is no part of this check.
    model = fit_model(MODEL, prepared(X), outcome, config=REGISTRY[MODEL].grid[-1], seed=0, trees=0)
    return lambda rows: expit(model.score(prepared(rows)))
