"""`python -m osteorad why` on a finished run: what changed, old against new, before and after a dry run."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.snake import ROOT, copied_clone, planned

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
EVALUATE = "osteorad/modelling/evaluation/evaluate.py"


@pytest.fixture
def changed():
    """Change a text file for one test."""
    before: dict[Path, str] = {}

    def change(path: Path, old: str, new: str) -> None:
        text = before.setdefault(path, path.read_text())
        assert old in text
        path.write_text(text.replace(old, new, 1))

    yield change
    for path, text in before.items():
        path.write_text(text)


def why(folder: Path, *words: str, clone: Path = ROOT) -> dict[str, list[str]]:
    """Rule -> what changed for its jobs, or what they follow from; patients that are alike are one."""
    command = [sys.executable, "-m", "osteorad", "why", *words, "--json", "--directory", str(folder)]
    done = subprocess.run(command, cwd=clone, capture_output=True, text=True, check=True)
    jobs = json.loads(done.stdout)["jobs"]
    return {job["rule"]: job["causes"] or job["follows"] for job in jobs}


def test_a_finished_run_has_nothing_to_say(run):
    assert why(run) == {}


def test_a_setting_is_told_before_and_after_a_dry_run(run, changed):
    changed(run / "config.yaml", "splits.repeats: 1", "splits.repeats: 2")
    first = why(run)
    assert first["make_splits"] == ["setting splits.repeats was 1 and is 2"]
    assert first["fit_models"] == ["splits.parquet made anew, because make_splits runs"]
    assert first["write_index"] == ["report.json made anew, because report_analysis runs"]
    assert set(first) == set(planned(run))
    assert why(run) == first
    assert set(why(run, "results/analyses/marrow/splits.parquet")) == {"make_splits"}


def test_a_setting_is_told_where_snakemakes_records_are_lost(run, changed, tmp_path):
    changed(run / "config.yaml", "trees: 20", "trees: 30")
    shutil.move(run / ".snakemake", tmp_path / "records")
    try:
        assert "setting trees was 20 and is 30" in why(run)["fit_models"]
    finally:
        shutil.rmtree(run / ".snakemake")
        shutil.move(tmp_path / "records", run / ".snakemake")


def test_a_changed_module_is_named(run, changed, tmp_path):
    clone = copied_clone(tmp_path / "clone")
    changed(clone / EVALUATE, "from __future__ import annotations", "from __future__ import annotations\n\nX = 1")
    assert why(run, clone=clone) == {
        "evaluate_analysis": [f"code changed: {EVALUATE}"],
        "report_analysis": ["evaluation.json made anew, because evaluate_analysis runs"],
        "write_index": ["report.json made anew, because report_analysis runs"],
    }
    assert why(run) == {}


def test_a_touched_table_is_nothing_and_a_changed_one_is_named(run, changed):
    table = run / "private/small/source/clinical.tsv"
    os.utime(table)
    assert why(run) == {}
    changed(table, "\t", " \t")
    assert why(run)["import_clinical"] == ["input changed: clinical.tsv"]


@pytest.mark.parametrize(
    ("pattern", "rule"),
    [
        ("results/cohorts/small/masks/manual/*/masks.json", "draw_masks"),
        ("results/cohorts/small/images/*/images.json", "convert_images"),
        ("results/analyses/marrow/report.html", "report_analysis"),
    ],
)
def test_a_missing_output_is_named(run, tmp_path, pattern, rule):
    lost = next(run.glob(pattern))
    shutil.move(lost, tmp_path)
    try:
        assert why(run)[rule] == [f"output missing: {lost.name}"]
    finally:
        shutil.move(tmp_path / lost.name, lost)
