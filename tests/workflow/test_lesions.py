"""An analysis of lesions with their own outcome, and a second reader's contours, from the finished run on."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml

from osteorad.cohort.splits import folds_of
from osteorad.files import read_json, read_parquet
from tests.workflow.snake import snakemake

pytestmark = pytest.mark.workflow

ANALYSIS = "results/analyses/lesions"
FEATURES = "results/cohorts/small/features/lesion-table"
LESIONS = {
    "cohort": "small",
    "recipe": "zhu2024",
    "outcome_label": "malignant",
    "overrides": {
        "unit": "lesion",
        "outcome_of": "lesion",
        "roi": "lesion",
        "images": ["ct", "pet"],
        "preset": "lesion-table",
        "splits.repeats": 1,
    },
}


@pytest.fixture(scope="module")
def patient(run) -> str:
    """One patient of the run."""
    return sorted(p.name for p in (run / "results/cohorts/small/masks/manual").iterdir())[0]


@pytest.fixture(scope="module")
def analysed(run, patient, tmp_path_factory) -> Path:
    """A copy of the run with samples and splits of lesions, and one patient's features of the second reader."""
    folder = tmp_path_factory.mktemp("lesions") / "run"
    shutil.copytree(run, folder, ignore=shutil.ignore_patterns("*.dcm", "locks"))
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["analyses"]["lesions"] = LESIONS
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    second = f"{FEATURES}/reader2/patients/{patient}.parquet"
    done = snakemake(folder, "--cores", "2", f"{ANALYSIS}/splits.parquet", second)
    assert done.returncode == 0, done.stdout[-4000:]
    return folder


def test_every_lesion_of_the_first_session_is_a_sample_with_the_outcome_of_its_row(analysed):
    samples = read_parquet(analysed / ANALYSIS / "samples.parquet").to_pylist()
    told = read_parquet(analysed / "results/cohorts/small/lesions.parquet").to_pylist()
    rows = {(row["patient"], row["session"], row["lesion"]): row for row in told}
    assert 20 < len(samples) < len(rows)
    for sample in samples:
        row = rows[sample["patient"], sample["session"], sample["lesion"]]
        assert (sample["outcome"], sample["lesion.location"], sample["lesion.type"]) == (
            row["outcome"],
            row["location"],
            row["type"],
        )
    flow = read_json(analysed / ANALYSIS / "flow.json")
    assert flow["used"]["samples"] == len(samples)
    assert flow["used"]["patients"] == 12


def test_lesions_of_one_patient_stay_together(analysed):
    splits = read_parquet(analysed / ANALYSIS / "splits.parquet")
    assert len(folds_of(splits)) >= 2
    parts = {}
    for row in splits.to_pylist():
        if row["procedure"] == "as-published":
            continue
        parts.setdefault((row["repeat"], row["fold"], row["inner_fold"], row["patient"]), set()).add(row["part"])
    assert {len(found) for found in parts.values()} == {1}


def test_the_second_reader_measures_the_same_lesions_a_little_differently(analysed, patient):
    first, second = (
        read_parquet(analysed / FEATURES / name / f"patients/{patient}.parquet") for name in ("manual", "reader2")
    )
    name = "original_shape_VoxelVolume"
    volumes = [
        {(row["session"], row["image"], row["roi"], row["lesion"]): row[name] for row in table.to_pylist()}
        for table in (first, second)
    ]
    both = sorted(set(volumes[0]) & set(volumes[1]))
    assert both
    assert set(second["mask_set"].to_pylist()) == {"reader2"}
    ratios = np.array([volumes[1][key] / volumes[0][key] for key in both])
    assert 0.5 < np.median(ratios) < 1.5
    assert (ratios != 1).any()
