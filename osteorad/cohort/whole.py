"""A cohort that another site ingested: its folder `results/cohorts/<cohort>`, moved here as it is.

There is no key, nothing private and no ingest here: manifests, volumes, masks and tables are read as they came, and
what the settings would say of tables stands in the tables themselves. Light but for one look into a table.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from osteorad.cohort.clinical_table import class_problems, outcome_at
from osteorad.cohort.config import ClinicalTable, Cohort, Lesions
from osteorad.errors import unknown_name
from osteorad.files import read_json, read_parquet

COHORTS = "results/cohorts"
FIXED = ("patient", "outcome", "index_day", "event_day", "last_seen_day", "first_session_day", "site")
OF_COHORT = ("unplaced.json",)
CAME_ALONG = (*OF_COHORT, "clinical.parquet", "lesions.parquet", "lesions.json")  # of a cohort; nothing here makes them
OF_PATIENT = ("dicom/{}/images.json", "dicom/{}/contours.json", "images/{}/images.json")
SHOWN = 3


def is_whole(workdir: Path, name: str, cohort: Cohort) -> bool:
    """True where the cohort's path is the place of its own results."""
    if cohort.source != "deidentified" or cohort.path is None:
        return False
    return (workdir / cohort.path).resolve() == (workdir / COHORTS / name).resolve()


def looks_whole(folder: Path) -> bool:
    """True where a folder holds an ingested cohort."""
    return (folder / "patients.parquet").is_file() and (folder / "dicom").is_dir()


def whole_patients(folder: Path) -> list[str]:
    """Patients of a cohort that came whole, sorted."""
    return sorted(path.parent.name for path in folder.glob("dicom/*/images.json"))


def with_tables(cohort: Cohort, folder: Path) -> Cohort:
    """The settings, with what came along in place of what ingest would read: tables, and what became of heads."""
    tables: dict[str, Any] = {"clinical": None, "lesions": None, "head": _head_of(folder)}
    if (path := folder / "clinical.parquet").is_file():
        table = read_parquet(path)
        covariates = [name for name in table.column_names if name not in FIXED]
        site = ["site"] if table["site"].null_count < table.num_rows else []
        tables["clinical"] = ClinicalTable(
            path=f"{COHORTS}/{folder.name}/{path.name}", columns={}, keep=[*covariates, *site]
        )
    if (path := folder / "lesions.parquet").is_file():
        tables["lesions"] = Lesions(path=f"{COHORTS}/{folder.name}/{path.name}", columns={}, words=[])
    return cohort.model_copy(update=tables)


def _head_of(folder: Path) -> str:
    """What ingest did with heads; the setting is one for a cohort."""
    patients = whole_patients(folder)
    manifest = read_json(folder / f"dicom/{patients[0]}/images.json") if patients else {}
    return str(manifest.get("head", {}).get("setting", "keep"))


def lacking(folder: Path, patients: Sequence[str], mask_sets: Sequence[str]) -> Iterator[str]:
    """A line for each kind of file that did not come along."""
    tables = ["lesions.json"] if (folder / "lesions.parquet").is_file() else []
    yield from (f"'{name}' is missing" for name in (*OF_COHORT, *tables) if not (folder / name).is_file())
    for pattern in (*OF_PATIENT, *(f"masks/{mask_set}/{{}}/masks.json" for mask_set in mask_sets)):
        if absent := [patient for patient in patients if not (folder / pattern.format(patient)).is_file()]:
            more = ", ..." if len(absent) > SHOWN else ""
            shown = ", ".join(absent[:SHOWN]) + more
            yield f"'{pattern.format('<patient>')}' is missing for {len(absent)} of {len(patients)} patients: {shown}"


def outcome_problems(folder: Path, column: str, horizon_days: float | None, place: str) -> Iterator[str]:
    """What is wrong with the outcome of an analysis in the clinical table that came along."""
    table = read_parquet(folder / "clinical.parquet")
    if column not in table.column_names:
        yield unknown_name("outcome", column, ["outcome", *(n for n in table.column_names if n not in FIXED)], place)
        return
    if horizon_days is not None:
        rows = table.select(["event_day", "last_seen_day"]).to_pylist()
        found = [outcome_at(row["event_day"], row["last_seen_day"], horizon_days) for row in rows]
    else:
        found = table[column].to_pylist()
    values = [value for value in found if value is not None]
    if any(value not in (0, 1) for value in values):
        yield f"{place}: column '{column}' of clinical.parquet is not 0 or 1."
        return
    yield from class_problems(place, [int(value) for value in values])
