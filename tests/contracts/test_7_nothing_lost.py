"""Contract 7: for every stage, in = used + set aside, counted from separate places."""

from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from osteorad import reasons
from osteorad.files import read_json, read_parquet, write_json, write_parquet

COHORT = "results/cohorts/small"
BY_READER = "rejected_by_reader"


def lost(run: Path, cohort: Path) -> list[str]:
    """Where the flow does not add up. The source is counted by listing it; the rest by the tables and manifests."""
    problems = []
    exported = sum(
        1
        for p in (run / "private/small/source").rglob("*")
        if p.is_file() and p.name != "manifest.json" and p.suffix not in (".tsv", ".nrrd")
    )
    kept, aside = 0, 0
    for path in [*cohort.glob("dicom/*/images.json"), *cohort.glob("dicom/*/contours.json")]:
        manifest = read_json(path)
        kept += sum((path.parent / row["path"]).is_file() for row in manifest["files"])
        aside += sum(row["count"] for row in manifest["set_aside"])
    if exported != kept + aside:
        problems.append(f"files: {exported} exported, {kept} kept, {aside} set aside")
    series = read_parquet(cohort / "series.parquet").to_pylist()
    if kept != sum(row["files"] for row in series):
        problems.append(f"series: {kept} files kept, {sum(row['files'] for row in series)} in series")
    # an image that a reader rejected was made all the same
    used = sum(row["kind"] == "image" and (row["state"] == "used" or row["reason"] == BY_READER) for row in series)
    images = sum(len(read_json(p)["images"]) for p in cohort.glob("images/*/images.json"))
    if used != images:
        problems.append(f"images: {used} series used, {images} images")
    problems += [f"series without reason: {r['series']}" for r in series if r["state"] != "used" and not r["reason"]]
    for stage in read_json(cohort / "flow.json")["stages"]:
        aside = sum(row["count"] for row in stage["set_aside"])
        if stage["in"] != stage["used"] + aside:
            problems.append(f"{stage['stage']}: {stage['in']} in, {stage['used']} used, {aside} set aside")
    return problems


@pytest.fixture
def copy(run, tmp_path):
    """A copy of the cohort's results, to be broken."""
    return shutil.copytree(run / COHORT, tmp_path / "small", ignore=shutil.ignore_patterns("*.nii.gz", "pages"))


def test_flow_adds_up(run):
    assert lost(run, run / COHORT) == []


def test_a_lost_file_is_found(run, copy):
    next(copy.glob("dicom/*/*/*/*.dcm")).unlink()
    assert any(p.startswith("files:") for p in lost(run, copy))


def test_a_lost_series_is_found(run, copy):
    table = read_parquet(copy / "series.parquet")
    write_parquet(copy / "series.parquet", table.slice(1))
    assert any(p.startswith("series:") for p in lost(run, copy))


def test_a_lost_image_is_found(run, copy):
    path = next(copy.glob("images/*/images.json"))
    manifest = read_json(path)
    write_json(path, {**manifest, "images": manifest["images"][1:]})
    assert any(p.startswith("images:") for p in lost(run, copy))


def test_every_loss_has_a_known_reason(run):
    rows = read_parquet(run / COHORT / "quarantine.parquet").to_pylist()
    assert rows
    assert [r for r in rows if r["reason"] not in reasons.REASONS] == []
    assert [r for r in rows if reasons.reason(r["reason"]).kind != r["kind"]] == []
    kinds = Counter(r["reason"] for r in rows)
    assert {"localizer_excluded", "roi_unmatched"} <= set(kinds)


def test_flow_of_the_analysis_adds_up(run):
    flow = read_json(run / "results/analyses/marrow/flow.json")
    patients = read_parquet(run / COHORT / "patients.parquet")
    assert flow["stages"][0]["in"] == patients.num_rows
    for before, after in zip(flow["stages"], flow["stages"][1:], strict=False):
        assert before["in"] == before["out"] + sum(row["count"] for row in before["set_aside"])
        if before["unit"] == after["unit"]:
            assert before["out"] == after["in"]
    assert flow["used"]["patients"] == 12


def test_every_patient_of_the_source_is_listed(run):
    states = {p.parent.name for p in (run / "private/small/source").glob("*/manifest.json")}
    assert set(read_parquet(run / COHORT / "patients.parquet")["patient"].to_pylist()) == states


def test_every_row_of_the_table_of_lesions_is_used_or_set_aside(run):
    rows = (run / "private/small/source/lesions.tsv").read_text().splitlines()[1:]
    used = read_parquet(run / COHORT / "lesions.parquet")
    account = read_json(run / COHORT / "lesions.json")
    assert len(rows) == account["rows_in"] == used.num_rows + sum(row["count"] for row in account["set_aside"])
    assert used.num_rows == len(rows)  # digital patients' tables have no mistakes
    stage = next(s for s in read_json(run / COHORT / "flow.json")["stages"] if s["stage"] == "lesions")
    assert (stage["in"], stage["used"]) == (len(rows), used.num_rows)
