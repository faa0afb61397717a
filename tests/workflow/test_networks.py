"""Networks from DICOM to their page: nobody is drawn by a network that saw them, and features follow the masks."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from osteorad.cohort.splits import held_out, training
from osteorad.files import read_json, read_parquet
from tests.workflow.snake import ROOT, planned, snakemake, working_folder

pytestmark = pytest.mark.workflow
CONFIG = ROOT / "tests/configs/networks/config.yaml"
DRAW, OUTCOME = "results/analyses/draw", "results/analyses/outcome"


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """A finished run of the two analyses with networks."""
    folder = working_folder(tmp_path_factory.mktemp("networks"), CONFIG)
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    return folder


def records(folder: Path) -> list[Path]:
    """Records of all networks below a folder."""
    found = sorted(folder.rglob("network.json"))
    assert found
    return found


def seen_by(record: Path) -> set[str]:
    told = read_json(record)
    return {*told["patients_trained"], *told["patients_validation"]}


@pytest.mark.parametrize(("analysis", "count"), [(DRAW, 4), (OUTCOME, 4)])
def test_every_patient_is_drawn_by_networks_that_never_saw_them(networks, analysis, count):
    assert len(records(networks / analysis)) == count
    for manifest in (networks / analysis).glob("folds/*/masks/*/masks.json"):
        told = read_json(manifest)
        base = manifest.parents[2] / "networks" / told["network"]
        roles = {entry["patient"]: entry["role"] for entry in told["patients"]}
        assert set(roles.values()) == {"out_of_fold", "external"}
        for entry in told["patients"]:
            assert len(entry["networks"]) == (2 if entry["role"] == "external" else 1)
            for name in entry["networks"]:
                assert entry["patient"] not in seen_by(base / name / "network.json")


def test_networks_saw_their_part_of_the_training_patients_and_no_other(networks):
    samples, splits = (read_parquet(networks / DRAW / f"{name}.parquet") for name in ("samples", "splits"))
    outside = set(held_out(samples, splits, repeat=1, fold=1).patients)
    assert outside
    for inner in (1, 2):
        own = set(training(samples, splits, repeat=1, fold=1, inner_fold=inner).patients)
        for network in ("hybrid", "unet"):
            seen = seen_by(networks / f"{DRAW}/folds/r1f1/networks/{network}/i{inner}/network.json")
            assert seen == own
            assert not seen & outside


def test_the_audit_walks_through_the_networks(networks):
    checks = {check["code"]: check for check in read_json(networks / OUTCOME / "audit.json")["checks"]}
    assert checks["A13"]["verdict"] == "pass", checks["A13"]
    assert checks["A1"]["verdict"] == "pass"
    assert not [code for code, check in checks.items() if check["verdict"] == "fail"]


def test_features_of_a_fold_follow_its_own_masks(networks):
    tables = [read_parquet(path) for path in sorted((networks / OUTCOME).glob("folds/*/samples.parquet"))]
    assert len(tables) == 2
    volumes = [table["ct.original_shape_VoxelVolume"].to_pylist() for table in tables]
    assert volumes[0] != volumes[1]
    assert tables[0]["sample"].to_pylist() == tables[1]["sample"].to_pylist()


def test_a_bundle_with_networks_is_refused_with_its_reason(networks):
    bundle = read_json(networks / OUTCOME / "bundle/bundle.json")
    assert "network" in json.dumps(bundle).lower()


def test_pages_stand_and_numbers_are_those_of_their_files(networks):
    for analysis in (DRAW, OUTCOME):
        page = (networks / analysis / "report.html").read_text()
        assert page.rstrip().endswith("</html>")
        assert len(page) < 3_000_000
        assert (networks / analysis / "report.json").is_file()
    index = (networks / "results/index.html").read_text()
    assert "draw/report.html" in index
    assert "outcome/report.html" in index


def test_each_drawn_session_is_a_dicom_seg(networks):
    for network in ("hybrid", "unet"):
        drawn = read_json(networks / f"{DRAW}/folds/r1f1/masks/{network}/masks.json")
        told = read_json(networks / f"{DRAW}/seg/{network}/seg.json")
        assert [one["patient"] for one in told["patients"]] == [one["patient"] for one in drawn["patients"]]
        for one in told["patients"]:
            listed = read_json(networks / f"{DRAW}/seg/{network}" / one["path"])
            assert all(
                (networks / f"{DRAW}/seg/{network}/{one['patient']}" / file["path"]).is_file()
                for file in listed["files"]
            )


def test_a_second_run_does_nothing(networks):
    assert planned(networks) == {}
