"""A patient who withdraws, one who is excluded, one who comes; and a cohort that moves to a site without its key."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from osteorad.files import read_json, read_parquet
from tests.workflow.hospital import pseudonym
from tests.workflow.snake import ROOT, planned, snakemake

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
COHORT = "results/cohorts/breast"
INGEST = {
    *("deidentify_images", "deidentify_contours", "adopt_images", "adopt_contours", "import_clinical"),
    *("import_lesions", "convert_images", "draw_masks", "publish_unplaced"),
}


def osteorad(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "osteorad", *words],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def naming(folder: Path, patient: str) -> set[str]:
    """Files that name a patient: in their path, their bytes, or a text column of a table."""
    found = set()
    for path in (p for p in folder.rglob("*") if p.is_file()):
        texts = []
        if path.suffix == ".parquet":
            table = read_parquet(path)
            texts = [str(column.unique()) for column in table.columns if str(column.type) == "string"]
        if patient in str(path) or patient.encode() in path.read_bytes() or any(patient in text for text in texts):
            found.add(path.relative_to(folder).as_posix())
    return found


@pytest.fixture(scope="module")
def copy(hospital, tmp_path_factory):
    """A copy of the finished run, its times kept."""
    return shutil.copytree(hospital, tmp_path_factory.mktemp("people") / "hospital", symlinks=True)


def test_who_withdrew_is_in_no_file_model_or_page(copy):
    patient = pseudonym(2)
    planned(copy)  # a dry run keeps a list of the files that it looked at
    assert ".snakemake/iocache/latest.pkl" in naming(copy, patient)
    assert len(naming(copy, patient)) > 100
    printed = osteorad("prune", patient, "--directory", str(copy))
    assert f"withdrawn: {patient} of cohort breast" in printed
    assert naming(copy, patient) == {"private/breast/withdrawn.tsv"}
    jobs = planned(copy)
    assert jobs.pop("collect_features") == 2
    assert set(jobs.values()) == {1}
    assert not {"deidentify_images", "convert_images", "draw_masks", "extract_features"} & set(jobs)
    done = snakemake(copy, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    assert naming(copy, patient) == {"private/breast/withdrawn.tsv"}
    patients = read_parquet(copy / COHORT / "patients.parquet")
    assert patients.num_rows == 13
    stages = {stage["stage"]: stage for stage in read_json(copy / COHORT / "flow.json")["stages"]}
    assert (stages["patients"]["in"], stages["patients"]["used"]) == (14, 13)
    assert stages["patients"]["set_aside"] == [{"reason": "withdrawn", "kind": "withdrawn", "count": 1}]
    exported = sum(1 for path in (copy / "export").rglob("*") if path.is_file())
    assert stages["files"]["in"] == exported
    assert "withdrew" in (copy / COHORT / "report.html").read_text()


def test_a_moved_cohort_gives_the_same_numbers_without_key_and_ingest(hospital, tmp_path):
    target = tmp_path / "results/cohorts/breast"
    shutil.copytree(hospital / COHORT, target, copy_function=shutil.copyfile)  # times are lost on the way
    for made_there in ("features", "grids", "pages"):
        shutil.rmtree(target / made_there)
    settings = yaml.safe_load((hospital / "config.yaml").read_text())
    cohort = settings["cohorts"]["breast"]
    for key in ("clinical", "lesions", "head"):
        del cohort[key]
    cohort |= {"source": "deidentified", "path": "results/cohorts/breast"}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(settings))
    assert "no problem found" in osteorad("check", "--directory", str(tmp_path))
    jobs = planned(tmp_path)
    assert jobs["extract_features"] == 28
    assert not INGEST & set(jobs)
    done = snakemake(tmp_path, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    assert not (tmp_path / "private").exists()
    assert planned(tmp_path) == {}
    for name in ("samples", "splits", "predictions", "steps", "selection"):
        ours, theirs = (f / f"results/analyses/progress/{name}.parquet" for f in (tmp_path, hospital))
        assert ours.read_bytes() == theirs.read_bytes(), name
    for name in ("evaluation", "audit"):
        ours, theirs = (f / f"results/analyses/progress/{name}.json" for f in (tmp_path, hospital))
        assert read_json(ours) == read_json(theirs), name
    for name in ("patients", "series", "quarantine"):
        ours, theirs = (f / f"{COHORT}/{name}.parquet" for f in (tmp_path, hospital))
        assert ours.read_bytes() == theirs.read_bytes(), name


def test_a_moved_cohort_that_is_not_whole_is_refused_before_any_job(hospital, tmp_path):
    target = tmp_path / "results/cohorts/breast"
    target.parent.mkdir(parents=True)
    shutil.copytree(hospital / COHORT / "masks", target / "masks")
    shutil.copytree(hospital / COHORT / "dicom", target / "dicom", ignore=shutil.ignore_patterns("*.dcm"))
    shutil.copyfile(hospital / COHORT / "patients.parquet", target / "patients.parquet")
    (tmp_path / "config.yaml").write_text(
        "cohorts:\n  breast: {source: deidentified, path: results/cohorts/breast, rois: {marrow: ['*']}}\n"
        "analyses: {}\n"
    )
    done = snakemake(tmp_path, "-n")
    assert done.returncode != 0
    assert "'unplaced.json' is missing. Copy the whole folder again." in done.stdout
    assert "'images/<patient>/images.json' is missing for 14 of 14 patients" in done.stdout
