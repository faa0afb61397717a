"""The clinical table behind the privacy boundary: kept columns under pseudonyms, days in place of dates."""

from __future__ import annotations

import datetime
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from osteorad.cohort.clinical_table import ClinicalRow, column_kinds, days_of, read_rows
from osteorad.cohort.config import ClinicalTable
from osteorad.cohort.pseudonyms import patient_pseudonym
from osteorad.cohort.tables import DATE_FORMATS, read_table
from osteorad.errors import ConfigError
from osteorad.files import write_parquet

DAY_COLUMNS = ("index_day", "event_day", "last_seen_day", "first_session_day")


def import_clinical(
    table: Path,
    settings: ClinicalTable,
    key: bytes | None,
    dates: Mapping[str, str],
    out: Path,
    *,
    withdrawn: Collection[str] = (),
) -> None:
    """Write `clinical.parquet` of a cohort: what `clinical_columns` makes of the table.

    key : of the cohort; None where the table's patient is the pseudonym already.
    dates : pseudonym -> date of the first session (YYYYMMDD or ISO). withdrawn : pseudonyms whose rows are left out.
    Raises ConfigError with every problem of the table; messages name lines, never cells.
    """
    read = read_table(table)
    rows, problems = read_rows(read, settings, lambda *keys: ".".join(["clinical", *keys]))
    if problems:
        raise ConfigError(problems)
    kept = [row for row in rows if _pseudonym(row, key) not in withdrawn]
    write_parquet(out, clinical_columns(kept, key, dates))


def clinical_columns(rows: Sequence[ClinicalRow], key: bytes | None, dates: Mapping[str, str]) -> pa.Table:
    """Arrow table sorted by patient: patient, outcome, days since the index date, site, kept covariates.

    Covariates are float64 where every cell is a number, else text; a missing cell is null. No date is in it.
    """
    named = sorted(((_pseudonym(row, key), row) for row in rows), key=lambda pair: pair[0])
    ordered = [row for _, row in named]
    patients = [patient for patient, _ in named]
    days = [days_of(row, _date(dates.get(patient))) for patient, row in named]
    columns: dict[str, Any] = {
        "patient": pa.array(patients, pa.string()),
        "outcome": pa.array([row.outcome for row in ordered], pa.int32()),
        **{name: pa.array([day[name] for day in days], pa.float64()) for name in DAY_COLUMNS},
        "site": pa.array([row.values.get("site") or None for row in ordered], pa.string()),
    }
    for name, values in column_kinds(ordered):
        text = any(isinstance(value, str) for value in values)
        columns[name] = pa.array(values, pa.string() if text else pa.float64())
    return pa.table(columns)


def _pseudonym(row: ClinicalRow, key: bytes | None) -> str:
    return row.source_patient_id if key is None else patient_pseudonym(key, row.source_patient_id)


def _date(text: str | None) -> datetime.date | None:
    for form in DATE_FORMATS[:2]:
        try:
            return datetime.datetime.strptime(text or "", form).date()
        except ValueError:
            continue
    return None
