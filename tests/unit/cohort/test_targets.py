"""What a plain run asks for."""

from __future__ import annotations

import pytest

from osteorad.cohort.plan import load_plan
from tests.conftest import ROOT
from tests.unit.cohort.folders import clone, working

PATIENT = "p0123456789ab"
GONE = f"results/cohorts/small/masks/manual/{PATIENT}/masks.json"


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "config.yaml").write_bytes((ROOT / "tests/configs/small/config.yaml").read_bytes())
    return load_plan(tmp_path, ROOT)


def manifests(plan):
    return {t for t in plan.targets({"small": [PATIENT]}) if t.endswith(("images.json", "contours.json", "masks.json"))}


def test_pages_and_grids_are_always_targets(plan):
    assert set(plan.targets({"small": [PATIENT]})) == {
        "results/index.html",
        "results/cohorts/small/report.json",
        "results/cohorts/small/report.html",
        "results/cohorts/small/review.json",
        "results/cohorts/small/review.html",
        "results/cohorts/small/parts/parts.json",
        "results/cohorts/small/privacy.html",
        "results/cohorts/small/privacy.json",
        "results/analyses/marrow/report.json",
        "results/analyses/marrow/report.html",
        f"results/cohorts/small/grids/fused/{PATIENT}/grid.json",
    }


def test_a_manifest_that_is_gone_is_a_target(plan):
    base = plan.loaded.path("results/cohorts/small")
    for name in ("dicom/{}/images.json", "dicom/{}/contours.json", "images/{}/images.json"):
        path = base / name.format(PATIENT)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert manifests(plan) == {GONE}
    plan.loaded.path(GONE).parent.mkdir(parents=True)
    plan.loaded.path(GONE).touch()
    assert manifests(plan) == set()


def test_mask_files_in_folders_are_inputs_too(tmp_path):
    plan = load_plan(working(tmp_path / "work"), clone(tmp_path / "clone"))
    folder = tmp_path / "work/contours/manual" / PATIENT
    names = ["s1/ct/lesion-2.nii.gz", "lesion-1.nrrd", ".DS_Store", "s1/._lesion-2.nii.gz", "__MACOSX/.x/a.nii"]
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert plan.contour_files("real", "manual", PATIENT) == [
        f"contours/manual/{PATIENT}/{name}" for name in ("lesion-1.nrrd", "s1/ct/lesion-2.nii.gz")
    ]
    assert plan.contour_files("real", "reader2", PATIENT) == []


def real_plan(folder, head):
    (folder / "export").mkdir()
    text = f"cohorts:\n  c: {{source: deidentified, path: export, head: {head}, rois: {{lesion: ['*']}}}}\n"
    (folder / "config.yaml").write_text(text)
    return load_plan(folder, ROOT)


@pytest.mark.parametrize(
    ("head", "words", "needs_images"),
    [("keep", "the images show a face", False), ("quarantine", "were held back", True)],
)
def test_the_page_tells_of_faces_and_contours_wait_for_the_neck(tmp_path, head, words, needs_images):
    plan = real_plan(tmp_path, head)
    assert words in plan.cohort_page("c")["privacy"]
    assert plan.cohort_page("c")["settings"]["head"] == head
    wanted = ["results/cohorts/c/dicom/p1/images.json"] if needs_images else []
    assert plan.judged_images("c", "p1") == wanted


def test_the_page_of_digital_patients_tells_of_no_face(plan):
    assert plan.cohort_page("small")["privacy"] == "Digital patients: nobody's data."
