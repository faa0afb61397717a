"""A cohort from a feature table: the tables that an analysis reads of every cohort, made from one file.

Identifiers are pseudonyms already, as for source `deidentified`; there is no key and no `private/`. A row stands for
one lesion of one patient, its image and ROI are both called `table`, its session too.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from osteorad.cohort import schemas
from osteorad.cohort.clinical import DAY_COLUMNS
from osteorad.cohort.config import TABLE, FeatureTable
from osteorad.cohort.feature_table import FeatureFile, FeatureRow, feature_rows, open_features, problems_of, texts_of
from osteorad.errors import ConfigError
from osteorad.files import table_from_rows, write_json, write_parquet
from osteorad.provenance import sha256_file
from osteorad.reasons import reason

FACTS = b"osteorad"  # where a feature table tells what made it; a test holds it equal to the radiomics room's
MOST_NAMED = 5  # features that a reason names
Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """Tables of a cohort: schemas of these names; clinical and features with their own columns behind the keys."""

    patients: pa.Table
    series: pa.Table
    quarantine: pa.Table
    clinical: pa.Table
    lesions: pa.Table
    features: pa.Table
    reasons: pa.Table
    flow: dict[str, Any]


def import_table(
    path: Path,
    settings: FeatureTable,
    *,
    cohort: str,
    exclude: Mapping[str, str],
    out: Mapping[str, Path],
    withdrawn: Collection[str] = (),
) -> None:
    """Write the tables of a cohort from its feature table.

    exclude : pseudonym -> the configuration's reason. out : field of `Imported` -> file. withdrawn : pseudonyms.
    Raises ConfigError with every problem of the table.
    """
    file = open_features(path, settings.path)
    if problems := problems_of(file, settings, lambda *keys: ".".join(["table", *keys])):
        raise ConfigError(problems)
    made = imported(file, settings, cohort=cohort, exclude=exclude, file_hash=sha256_file(path), withdrawn=withdrawn)
    for name in ("patients", "series", "quarantine", "clinical", "lesions", "features", "reasons"):
        write_parquet(out[name], getattr(made, name))
    write_json(out["flow"], made.flow)


def imported(
    file: FeatureFile,
    settings: FeatureTable,
    *,
    cohort: str,
    exclude: Mapping[str, str],
    file_hash: str,
    withdrawn: Collection[str] = (),
) -> Imported:
    """Every row of the table is used or set aside; infinite values become missing, with a reason."""
    every = feature_rows(file, settings)
    why_not = [_why_not(row, settings, withdrawn) for row in every]
    aside = [_aside(row, code, cohort) for row, code in zip(every, why_not, strict=True) if code]
    rows = sorted(
        (row for row, code in zip(every, why_not, strict=True) if not code),
        key=lambda row: (row.patient, row.lesion, row.row),
    )
    names = file.features(settings)
    matrix = _matrix(file, names, rows)
    reasons = _reasons(rows, names, matrix, cohort)
    matrix[~np.isfinite(matrix)] = np.nan
    clinical = _clinical(file, settings, rows)
    patients = _patients(clinical, cohort, exclude)
    return Imported(
        patients=table_from_rows(patients, schemas.PATIENTS),
        series=schemas.SERIES.empty_table(),
        quarantine=table_from_rows([*aside, *_left_out(patients)], schemas.QUARANTINE),
        clinical=clinical,
        lesions=table_from_rows([_lesion(row) for row in rows], schemas.LESIONS),
        features=_features(rows, names, matrix, cohort, file_hash),
        reasons=table_from_rows(reasons, schemas.REASONS),
        flow={"cohort": cohort, "stages": _stages(every, aside, rows, matrix, patients)},
    )


def _why_not(row: FeatureRow, settings: FeatureTable, withdrawn: Collection[str]) -> str:
    """Why a row is not used; empty where it is."""
    if row.patient in withdrawn:
        return "withdrawn"
    if settings.sites and row.site not in settings.sites:
        return "site_not_asked"
    return "" if row.patient else "patient_id_missing"


def _aside(row: FeatureRow, code: str, cohort: str) -> dict[str, Any]:
    return {
        **{"cohort": cohort, "patient": "" if code == "withdrawn" else row.patient, "session": ""},
        **{"stage": "rows", "item": f"row-{row.row}"},
        **{"count": 1, "kind": reason(code).kind, "reason": code, "detail": f"site {row.site}" if row.site else ""},
    }


def _lesion(row: FeatureRow) -> dict[str, Any]:
    """Each row's own outcome, for analyses of lesions."""
    keys = {"patient": row.patient, "session": TABLE, "roi": TABLE, "lesion": row.lesion}
    return {**keys, "outcome": row.outcome, "location": "", "type": ""}


# --- people -----------------------------------------------------------------------------------------------------------


def _clinical(file: FeatureFile, settings: FeatureTable, rows: Sequence[FeatureRow]) -> pa.Table:
    """clinical.parquet: one row a patient; an outcome that differs between a patient's lesions is none of the patient.

    No day is known. Covariates are those of the patient's first row, which the checks found to be all alike.
    """
    first: dict[str, FeatureRow] = {}
    outcomes: dict[str, set[int | None]] = {}
    for row in rows:
        first.setdefault(row.patient, row)
        outcomes.setdefault(row.patient, set()).add(row.outcome)
    places = pa.array([row.row - 1 for row in first.values()], pa.int64())
    alike = [next(iter(found)) if len(found) == 1 else None for found in outcomes.values()]
    columns: dict[str, Any] = {
        "patient": pa.array(list(first), pa.string()),
        "outcome": pa.array(alike, pa.int32()),
        **{name: pa.nulls(len(first), pa.float64()) for name in DAY_COLUMNS},
        "site": pa.array([row.site or None for row in first.values()], pa.string()),
    }
    covariates = file.read(sorted(settings.covariates)) if settings.covariates else pa.table({})
    for name in covariates.column_names:
        taken = covariates[name].take(places)
        columns[name] = (
            pa.array([text or None for text in texts_of(taken)], pa.string()) if name in file.texts else _known(taken)
        )
    return pa.table(columns)


def _known(column: pa.ChunkedArray) -> pa.Array:
    """Numbers, with infinite and undefined ones missing."""
    values = column.to_numpy().astype(np.float64)
    return pa.array(values, pa.float64(), mask=~np.isfinite(values))


def _patients(clinical: pa.Table, cohort: str, exclude: Mapping[str, str]) -> Rows:
    """patients.parquet: no images, but a row in the table."""
    people = []
    for row in clinical.to_pylist():
        out = row["patient"] in exclude
        age, sex = row.get("age_years"), row.get("sex")
        people.append(
            {
                **{"cohort": cohort, "patient": row["patient"], "images": False, "in_table": True, "sessions": 0},
                **{"state": "excluded" if out else "used", "reason": "excluded_by_config" if out else ""},
                **{"age_years": age if isinstance(age, float) else None, "sex": sex if isinstance(sex, str) else ""},
            }
        )
    return people


def _left_out(patients: Rows) -> Rows:
    return [
        {
            **{"cohort": row["cohort"], "patient": row["patient"], "session": "", "stage": "patients"},
            **{"item": row["patient"], "count": 1, "kind": row["state"], "reason": row["reason"], "detail": ""},
        }
        for row in patients
        if row["state"] != "used"
    ]


# --- features ---------------------------------------------------------------------------------------------------------


def _matrix(file: FeatureFile, names: Sequence[str], rows: Sequence[FeatureRow]) -> NDArray[np.float64]:
    """Values of the rows used, shape (rows, features); missing as NaN."""
    table = file.read(names)
    places = np.array([row.row - 1 for row in rows], dtype=np.intp)
    matrix = np.empty((len(rows), len(names)))
    for at, name in enumerate(names):
        matrix[:, at] = table[name].to_numpy()[places]
    return matrix


def _keys(row: FeatureRow, cohort: str) -> dict[str, Any]:
    return {
        **{"cohort": cohort, "patient": row.patient, "session": TABLE, "image": TABLE, "roi": TABLE},
        **{"lesion": row.lesion, "mask_set": "manual"},
    }


def _features(
    rows: Sequence[FeatureRow], names: Sequence[str], matrix: NDArray[np.float64], cohort: str, file_hash: str
) -> pa.Table:
    keys = table_from_rows([_keys(row, cohort) for row in rows], schemas.FEATURES)
    columns = [keys[name] for name in keys.column_names]
    fields = [*keys.schema, *(pa.field(name, pa.float64()) for name in names)]
    columns += [pa.array(matrix[:, at], pa.float64()) for at in range(len(names))]
    facts = {"preset": TABLE, "preset_hash": "", "software": {}, "inputs": {"table": file_hash}}
    metadata = {FACTS: json.dumps(facts, sort_keys=True).encode()}
    return pa.table(columns, schema=pa.schema(fields, metadata=metadata))


def _reasons(rows: Sequence[FeatureRow], names: Sequence[str], matrix: NDArray[np.float64], cohort: str) -> Rows:
    """One row a sample and cause, with the first features that it is about."""
    found = []
    for row, values in zip(rows, matrix, strict=True):
        for code, lacking in (("value_missing", np.isnan(values)), ("value_infinite", np.isinf(values))):
            if lacking.any():
                shown = [names[at] for at in np.flatnonzero(lacking)[:MOST_NAMED]]
                more = ", ..." if lacking.sum() > MOST_NAMED else ""
                detail = f"{lacking.sum()} of {len(names)} features: {', '.join(shown)}{more}"
                of = {"feature_class": "all" if lacking.all() else "table", "kind": "missing", "reason": code}
                found.append({**_keys(row, cohort), **of, "detail": detail})
    return found


# --- flow -------------------------------------------------------------------------------------------------------------


def _stages(
    every: Sequence[FeatureRow], aside: Rows, rows: Sequence[FeatureRow], matrix: NDArray[np.float64], patients: Rows
) -> Rows:
    """Rows, measured rows and patients: in = used + set aside, each counted from its own table (contract 7)."""
    measured = ~np.isnan(matrix).all(axis=1) if len(rows) else np.zeros(0, dtype=bool)
    return [
        _stage("rows", "Rows of the feature table", "rows", len(every), len(rows), [row["reason"] for row in aside]),
        _stage(
            *("features", "Rows with features", "rows", len(rows), int(measured.sum())),
            ["value_missing"] * int((~measured).sum()),
        ),
        _stage(
            *("patients", "Patients", "patients", len({row.patient for row in rows})),
            sum(row["state"] == "used" for row in patients),
            [row["reason"] for row in patients if row["state"] != "used"],
        ),
    ]


def _stage(stage: str, title: str, unit: str, into: int, used: int, codes: Sequence[str]) -> dict[str, Any]:
    if into != used + len(codes):
        raise ValueError(f"stage {stage}: {into} {unit} in, but {used} used + {len(codes)} set aside")
    counted = sorted(Counter(codes).items())
    listed = [{"reason": code, "kind": reason(code).kind, "count": count} for code, count in counted]
    return {"stage": stage, "title": title, "unit": unit, "in": into, "used": used, "set_aside": listed}
