"""A cohort that another site ingested: what is asked of its folder, and what its settings may not say."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from osteorad.cohort.check import check
from osteorad.files import write_json, write_parquet

from .folders import clone

PATIENTS = [f"p{number:012x}" for number in range(14)]
FOLDER = "results/cohorts/real"
CONFIG = """\
cohorts:
  real:
    source: deidentified
    path: results/cohorts/real
    rois: {marrow: ['*']}
analyses:
  os:
    cohort: real
    recipe: zhu2024
"""
EVENTS = [int(number < 7) for number in range(14)]


@pytest.fixture
def work(tmp_path) -> Path:
    """A working folder to which a cohort of fourteen was moved."""
    folder = tmp_path / "work"
    for patient in PATIENTS:
        for name in (
            "dicom/{}/images.json",
            "dicom/{}/contours.json",
            "images/{}/images.json",
            "masks/manual/{}/masks.json",
        ):
            write_json(folder / FOLDER / name.format(patient), {"head": {"setting": "blank"}})
    write_json(folder / FOLDER / "unplaced.json", {})
    write_parquet(folder / FOLDER / "patients.parquet", pa.table({"patient": PATIENTS}))
    clinical(folder)
    (folder / "config.yaml").write_text(CONFIG)
    return folder


def clinical(folder: Path, **columns: list) -> None:
    days = {
        name: pa.nulls(14, pa.float64()) for name in ("index_day", "event_day", "last_seen_day", "first_session_day")
    }
    table = {
        "patient": PATIENTS,
        "outcome": EVENTS,
        **days,
        "site": pa.nulls(14, pa.string()),
        "age_years": [50.0] * 14,
    }
    write_parquet(folder / FOLDER / "clinical.parquet", pa.table({**table, **columns}))


def told(work: Path, tmp_path: Path) -> list[str]:
    return check(work, clone(tmp_path / "clone")).problems


def changed(work: Path, old: str, new: str) -> None:
    text = (work / "config.yaml").read_text()
    assert old in text
    (work / "config.yaml").write_text(text.replace(old, new))


def test_a_whole_cohort_has_no_problem_and_brings_its_tables_and_what_became_of_heads(work, tmp_path):
    from osteorad.cohort.load import load

    assert told(work, tmp_path) == []
    cohort = load(work, clone(tmp_path / "clone")).config.cohorts["real"]
    assert cohort.head == "blank"
    assert cohort.covariates == ["age_years"]
    assert cohort.lesions is None


@pytest.mark.parametrize("line", ["clinical: {path: x.tsv}", "lesions: {path: x.tsv}", "series: x.tsv", "head: keep"])
def test_what_was_said_where_it_was_ingested_is_not_said_again(work, tmp_path, line):
    changed(work, "    rois", f"    {line}\n    rois")
    key = line.split(":")[0]
    assert told(work, tmp_path) == [
        f"config.yaml:5 cohorts.real.{key}: was said where this cohort was ingested, and came along. Remove it."
    ]


def test_another_place_is_refused(work, tmp_path):
    (work / "results/cohorts/real").rename(work / "moved")
    changed(work, "path: results/cohorts/real", "path: moved\n    head: keep")
    assert told(work, tmp_path)[0] == (
        "config.yaml:4 cohorts.real.path: this cohort was ingested already. "
        "Wanted: its folder at results/cohorts/real, and  path: results/cohorts/real"
    )


def test_what_did_not_come_along_is_listed(work, tmp_path):
    (work / FOLDER / "unplaced.json").unlink()
    for patient in PATIENTS[:5]:
        (work / FOLDER / f"masks/manual/{patient}/masks.json").unlink()
    at = "config.yaml:4 cohorts.real.path"
    assert told(work, tmp_path) == [
        f"{at}: 'unplaced.json' is missing. Copy the whole folder again.",
        f"{at}: 'masks/manual/<patient>/masks.json' is missing for 5 of 14 patients: "
        f"{', '.join(PATIENTS[:3])}, .... Copy the whole folder again.",
    ]


def test_a_folder_without_patients_is_told(work, tmp_path):
    for path in (work / FOLDER / "dicom").rglob("images.json"):
        path.unlink()
    assert told(work, tmp_path) == [
        "config.yaml:4 cohorts.real.path: there is no patient in it. "
        "Wanted: dicom/<patient>/images.json, as ingest writes them."
    ]


def test_outcomes_are_looked_at_in_the_table_that_came_along(work, tmp_path):
    at = "config.yaml:7 analyses.os.outcome"
    clinical(work, outcome=[1] * 5 + [0] * 9)
    assert told(work, tmp_path) == [
        f"{at}: 5 patients with outcome 1 and 9 with 0. Wanted: at least 6 of each, for two folds with 3."
    ]
    clinical(work, outcome=[2] * 14)
    assert told(work, tmp_path) == [f"{at}: column 'outcome' of clinical.parquet is not 0 or 1."]
    changed(work, "recipe: zhu2024", "recipe: zhu2024\n    outcome: died")
    assert "unknown outcome 'died'" in told(work, tmp_path)[0]


def test_a_horizon_counts_days_of_the_table(work, tmp_path):
    clinical(work, event_day=[100.0 if event else None for event in EVENTS], last_seen_day=[400.0] * 14)
    changed(work, "recipe: zhu2024", "recipe: zhu2024\n    horizon_days: 365")
    assert told(work, tmp_path) == []
    changed(work, "horizon_days: 365", "horizon_days: 500")
    assert "7 patients have outcome 1" in told(work, tmp_path)[0]
