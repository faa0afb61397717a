"""Who the patients are, and what is missing: facts of the samples, never of predictions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.schemas import SAMPLES

MOST_COLUMNS = 30  # feature columns that the table of missing values names
COVARIATE = "clinical."


def patients_once(samples: pa.Table) -> pa.Table:
    """The first sample of each patient, with outcome 1 where any of its samples has it."""
    ordered = samples.sort_by([("patient", "ascending"), ("sample", "ascending")])
    patients = np.array(ordered["patient"].to_pylist(), dtype=str)
    _, first, place = np.unique(patients, return_index=True, return_inverse=True)
    outcome = np.zeros(len(first), dtype=np.int32)
    np.maximum.at(outcome, place, ordered["outcome"].to_numpy().astype(np.int32))
    once = ordered.take(first)
    return once.set_column(once.column_names.index("outcome"), "outcome", pa.array(outcome))


def covariates_of(samples: pa.Table) -> list[str]:
    """Columns with clinical covariates."""
    return [name for name in samples.column_names if name.startswith(COVARIATE)]


def features_of(samples: pa.Table) -> list[str]:
    """Columns with features, those of a second reader included."""
    return [name for name in samples.column_names if name not in SAMPLES.names and not name.startswith(COVARIATE)]


# --- table 1 ---------------------------------------------------------------------------------------------------------


def table_one(samples: pa.Table, volume: str | None) -> dict[str, Any]:
    """Characteristics of patients with and without the event. volume : column of the ROI's volume, where there is one.

    No P values: which patients have the event is no random assignment.
    """
    once = patients_once(samples)
    event = once["outcome"].to_numpy() == 1
    groups = {"all": np.ones_like(event), "events": event, "others": ~event}
    columns = covariates_of(once)
    if len({site for site in once["site"].to_pylist() if site}) > 1:
        columns.append("site")
    if volume in once.column_names:
        columns.append(str(volume))
    rows = [row for name in columns for row in _characteristic(once[name].to_pylist(), _plain_name(name), groups)]
    return {"n": {name: int(rows.sum()) for name, rows in groups.items()}, "rows": rows}


def _plain_name(column: str) -> str:
    return column.removeprefix(COVARIATE)


def _characteristic(values: Sequence[Any], variable: str, groups: dict[str, np.ndarray]) -> Iterator[dict[str, Any]]:
    known = np.array([not _missing(value) for value in values], dtype=bool)
    missing = int((~known).sum())
    if all(isinstance(value, int | float) for value, there in zip(values, known, strict=True) if there):
        numbers = np.array([float(value) if there else np.nan for value, there in zip(values, known, strict=True)])
        if not set(numbers[known].tolist()) <= {0.0, 1.0}:
            found = {name: _number(numbers[rows & known]) for name, rows in groups.items()}
            yield {"variable": variable, "level": None, "kind": "number", **found, "missing": missing}
            return
    texts = np.array([_level_text(value) if there else "" for value, there in zip(values, known, strict=True)])
    for level in sorted(set(texts[known].tolist())):
        found = {
            name: {"k": int((texts[rows & known] == level).sum()), "n": int((rows & known).sum())}
            for name, rows in groups.items()
        }
        yield {"variable": variable, "level": level, "kind": "level", **found, "missing": missing}


def _level_text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def _missing(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and not np.isfinite(value))


def _number(values: np.ndarray) -> dict[str, float | int | None]:
    if not len(values):
        return {"n": 0, "median": None, "q1": None, "q3": None, "mean": None, "sd": None}
    q1, median, q3 = (float(value) for value in np.percentile(values, [25, 50, 75]))
    sd = float(values.std(ddof=1)) if len(values) > 1 else None
    return {"n": len(values), "median": median, "q1": q1, "q3": q3, "mean": float(values.mean()), "sd": sd}


# --- missing values --------------------------------------------------------------------------------------------------


def missing_values(samples: pa.Table, folds: Sequence[pa.Table] = ()) -> dict[str, Any]:
    """Missing and infinite values: every covariate, and the feature columns that lack most.

    folds : samples of outer folds with features of their own, which are then counted over all folds.
    """
    columns = {name: [samples] for name in (*covariates_of(samples), *features_of(samples))}
    known = set(samples.column_names)
    for table in folds:
        for name in features_of(table):
            if name not in known:
                columns.setdefault(name, []).append(table)
    lacking = {name: _lacking(tables, name) for name, tables in columns.items()}
    features = [name for name in columns if not name.startswith(COVARIATE)]
    incomplete = sorted((n for n in features if lacking[n]["missing"]), key=lambda n: (-lacking[n]["missing"], n))
    return {
        "columns": [
            {"column": _plain_name(name), **lacking[name]}
            for name in (*covariates_of(samples), *incomplete[:MOST_COLUMNS])
        ],
        "features": {
            "columns": len(features),
            "with_missing": len(incomplete),
            "values": sum(lacking[name]["n"] for name in features),
            "missing": sum(lacking[name]["missing"] for name in features),
        },
    }


def _lacking(tables: Sequence[pa.Table], name: str) -> dict[str, int]:
    """Missing values of a column over all its tables, and those of rows with the event."""
    absent = np.concatenate([_absent(table[name]) for table in tables])
    event = np.concatenate([table["outcome"].to_numpy() == 1 for table in tables])
    return {
        "missing": int(absent.sum()),
        "n": len(absent),
        "missing_events": int(absent[event].sum()),
        "events": int(event.sum()),
    }


def _absent(column: pa.ChunkedArray) -> np.ndarray:
    if pa.types.is_floating(column.type):
        return ~np.isfinite(column.to_numpy())
    return np.array([_missing(value) for value in column.to_pylist()], dtype=bool)
