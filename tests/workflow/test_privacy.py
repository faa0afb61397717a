"""The privacy page of a finished run: a search comes onto it, and images made anew after the search are noticed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from osteorad.files import read_json
from tests.workflow.snake import ROOT, planned, snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
COHORT = "results/cohorts/small"


def chips(folder: Path) -> list[str]:
    return [chip["text"] for chip in read_json(folder / COHORT / "privacy.json")["chips"]]


def test_a_search_comes_onto_the_page_and_ages(run, tmp_path):
    folder = Path(shutil.copytree(run, tmp_path / "run", symlinks=True))
    assert "Not searched yet" in chips(folder)
    command = [sys.executable, "-m", "osteorad", "verify-deid", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stderr == ""  # no terminal
    assert planned(folder) == {"report_privacy": 1}
    assert snakemake(folder, "--cores", "1").returncode == 0
    assert "Searched: no value found" in chips(folder)
    assert planned(folder) == {}
    patient = next((folder / COHORT / "dicom").iterdir()).name
    config = folder / "config.yaml"
    excluded = f"    source: phantom\n    exclude: {{{patient}: withdrew}}\n"
    config.write_text(config.read_text().replace("    source: phantom\n", excluded))
    done = snakemake(folder, "--cores", "1", f"{COHORT}/privacy.html")
    assert done.returncode == 0, done.stdout[-4000:]
    assert "Outputs changed since the search" in chips(folder)
