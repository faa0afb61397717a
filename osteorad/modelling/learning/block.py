"""What a step is fitted on, and the trace that the fit leaves (contract 6)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.modelling.learning.combat import Harmony, harmony_from_plain
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
    """A fitted step: pick columns, fill, move sites, centre, scale, clip, mix; each part only where a step has it.

    columns : names after the step. index : the places before it that it reads. record : what was kept and why, as plain
    data. left : columns that ended here; for a ranking step also those that were ranked.
    mix : shape (columns read, columns after), where new columns are weighted sums of those read.
    """

    name: str
    settings: dict[str, Any]
    trace: Trace
    columns: tuple[str, ...]
    index: NDArray[np.intp]
    fill: FloatArray | None = None
    harmony: Harmony | None = None
    centre: FloatArray | None = None
    scale: FloatArray | None = None
    clip: float | None = None
    mix: FloatArray | None = None
    record: dict[str, Any] = field(default_factory=dict)
    left: tuple[Left, ...] = ()
    prefixes: tuple[int, ...] = ()  # a ranking step: how many of its first columns may be used

    def transform(self, X: FloatArray, sites: Sequence[str] = ()) -> FloatArray:
        """Apply to rows of any part, shape (rows, columns before) -> (rows, columns after).

        sites : of each row, empty text where unknown; none given: all unknown.
        Raises AnalysisRefused where sites are harmonised, one has no training rows, and the recipe refuses such.
        """
        all_columns = len(self.index) == X.shape[1] and np.array_equal(self.index, np.arange(X.shape[1]))
        out = X if all_columns else X[:, self.index]
        if self.fill is not None and (missing := np.isnan(out)).any():
            out = np.where(missing, self.fill, out)
        if self.harmony is not None:
            out = self.harmony.adjust(out, sites)
        if self.centre is not None and self.scale is not None:
            out = out - self.centre
            out /= self.scale
        if self.clip is not None:
            out = np.clip(out, -self.clip, self.clip)
        if self.mix is not None:
            out = out @ self.mix
        return np.ascontiguousarray(out)

    def plain(self) -> dict[str, Any]:
        """What `transform` needs, as plain data with exact numbers, and on how many rows it was fitted; no patient."""
        parts = {name: getattr(self, name) for name in ("fill", "centre", "scale", "mix")}
        return {
            "name": self.name,
            "settings": self.settings,
            "fit_rows": self.trace.rows,
            "fit_hash": self.trace.fit_hash,
            "columns_in": self.trace.columns_in,
            "columns": list(self.columns),
            "index": self.index.tolist(),
            "clip": self.clip,
            "harmony": None if self.harmony is None else self.harmony.plain(),
            **{name: None if values is None else values.tolist() for name, values in parts.items()},
        }


def step_from_plain(plain: Mapping[str, Any]) -> FittedStep:
    """The step that `FittedStep.plain` described: it transforms alike bit for bit; its trace names no patient."""
    trace = Trace(rows=plain["fit_rows"], patients=(), fit_hash=plain["fit_hash"], columns_in=plain["columns_in"])
    columns, index = tuple(plain["columns"]), np.asarray(plain["index"], dtype=np.intp)

    def array(name: str) -> FloatArray | None:
        return None if plain[name] is None else np.asarray(plain[name], dtype=np.float64)

    mix = array("mix")
    return FittedStep(
        name=plain["name"],
        settings=dict(plain["settings"]),
        trace=trace,
        columns=columns,
        index=index,
        fill=array("fill"),
        harmony=None if plain["harmony"] is None else harmony_from_plain(plain["harmony"]),
        centre=array("centre"),
        scale=array("scale"),
        clip=plain["clip"],
        mix=None if mix is None else mix.reshape(len(index), len(columns)),
    )


def fit_hash(samples: Sequence[str], *arrays: NDArray[Any]) -> str:
    """Hash of row names and of the arrays fitted, as float64; NaN has one bit pattern."""
    parts = []
    for array in arrays:
        values = np.ascontiguousarray(array, dtype="<f8")
        if (missing := np.isnan(values)).any():
            values = np.where(missing, np.nan, values)
        parts.append(values.data)
    return rows_hash(samples, *parts)


def named(block: Block, places: Iterable[int]) -> tuple[str, ...]:
    """Names of the columns at these places."""
    return tuple(block.columns[int(at)] for at in places)


def others(block: Block, keep: Iterable[int]) -> list[int]:
    """Places of the columns that are not kept, in order."""
    kept = {int(at) for at in keep}
    return [at for at in range(len(block.columns)) if at not in kept]
