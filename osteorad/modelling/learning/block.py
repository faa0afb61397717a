"""What a step is fitted on, and the trace that the fit leaves (contract 6)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.provenance import rows_hash

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Training rows as an array, with their names: the argument of every fit.

    X : float64, shape (rows, columns). outcome : 0 or 1 a row. sites : of each row, empty where unknown.
    second : the same rows and columns from a second reader's contours, where a recipe compares readers.
    """

    samples: tuple[str, ...]
    patients: tuple[str, ...]
    columns: tuple[str, ...]
    X: FloatArray
    outcome: IntArray
    sites: tuple[str, ...] = ()
    second: FloatArray | None = None

    def with_columns(self, columns: Sequence[str], X: FloatArray, second: FloatArray | None = None) -> Block:
        """The same rows after a step."""
        return replace(self, columns=tuple(columns), X=X, second=second)

    def trace(self) -> Trace:
        """Trace of a fit on this block; every `fit` calls it on the block that it got."""
        return Trace(
            rows=len(self.samples),
            patients=tuple(sorted(set(self.patients))),
            fit_hash=fit_hash(self.samples, self.X, self.outcome),
            columns_in=len(self.columns),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Trace:
    """On what a step was fitted."""

    rows: int
    patients: tuple[str, ...]
    fit_hash: str
    columns_in: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """A column that a step dropped or ranked, and why."""

    feature: str
    reason: str
    rank: int | None = None
    score: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedStep:
    """A fitted step that works column by column: pick, fill, centre, scale, clip.

    columns : names after the step. index : their places before it. record : what was kept and why, as plain data.
    left : columns that ended here; for a ranking step also those that were ranked.
    """

    name: str
    settings: dict[str, Any]
    trace: Trace
    columns: tuple[str, ...]
    index: NDArray[np.intp]
    fill: FloatArray | None = None
    centre: FloatArray | None = None
    scale: FloatArray | None = None
    clip: float | None = None
    record: dict[str, Any] = field(default_factory=dict)
    left: tuple[Left, ...] = ()
    prefixes: tuple[int, ...] = ()  # a ranking step: how many of its first columns may be used

    def transform(self, X: FloatArray) -> FloatArray:
        """Apply to rows of any part, shape (rows, columns before) -> (rows, columns after)."""
        out = X[:, self.index]
        if self.fill is not None:
            out = np.where(np.isnan(out), self.fill, out)
        if self.centre is not None and self.scale is not None:
            out = (out - self.centre) / self.scale
        if self.clip is not None:
            out = np.clip(out, -self.clip, self.clip)
        return np.ascontiguousarray(out)


def fit_hash(samples: Sequence[str], *arrays: NDArray[Any]) -> str:
    """Hash of row names and of the arrays fitted, as float64; NaN has one bit pattern."""
    parts = []
    for array in arrays:
        values = np.array(array, dtype="<f8")
        values[np.isnan(values)] = np.nan
        parts.append(values.tobytes())
    return rows_hash(samples, b"".join(parts))
