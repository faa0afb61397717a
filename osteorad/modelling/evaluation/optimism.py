"""Optimism of the clinical model when it is fitted and judged on the same patients (Harrell's bootstrap, .632+)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from osteorad.modelling.evaluation.characteristics import COVARIATE, patients_once
from osteorad.modelling.learning.block import FloatArray, IntArray


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
