"""Which sessions become cases, and what their labels are."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.cohort.segmentation import SegmentationSettings
from osteorad.files import read_json, write_json
from osteorad.segmentation.cases import find_cases, read_case
from tests.unit.segmentation.training_toy import AFFINE, SHAPE, make_toy, settings, write_session


def found(toy, patients=("p0",), **changes):
    chosen = SegmentationSettings.model_validate({**settings(), **changes})
    return find_cases([(p, "s") for p in patients], toy.images, toy.masks, chosen)


def change_masks(toy, patient, change):
    path = toy.root / "masks" / patient / "masks.json"
    manifest = read_json(path)
    manifest["masks"] = change(manifest["masks"])
    write_json(path, manifest)


@pytest.fixture
def toy(tmp_path):
    return make_toy(tmp_path, 3, bone=True)


def test_a_session_with_lesion_and_one_without_are_cases(toy):
    cases, left_out = found(toy, ["p0", "p2"])
    assert [(case.patient, case.has_lesion) for case in cases] == [("p0", True), ("p2", False)]
    assert left_out == []


def test_a_lesion_lies_over_bone_and_all_files_are_hashed(toy):
    (files,), _ = found(toy, bone="bone")
    case = read_case(files)
    assert case.labels.shape == SHAPE
    assert set(np.unique(case.labels)) == {0, 1, 2}
    assert np.count_nonzero(case.labels == 2) == files.lesion_voxels
    assert case.volume.array[case.labels == 2].mean() > 250
    assert {key: len(files.hashes[key]) for key in ("lesion", "bone")} == {"lesion": 1, "bone": 1}
    without, _ = found(toy)
    assert set(np.unique(read_case(without[0]).labels)) == {0, 2}


def test_without_its_image_a_session_is_left_out(toy):
    _, left_out = found(toy, image="pet")
    assert [one.reason for one in left_out] == ["image_absent"]


def test_without_bone_where_bone_is_learned_a_session_is_left_out(toy):
    change_masks(toy, "p0", lambda masks: [m for m in masks if m["roi"] != "bone"])
    cases, left_out = found(toy, ["p0", "p1"], bone="bone")
    assert [case.patient for case in cases] == ["p1"]
    assert [(one.patient, one.session, one.reason) for one in left_out] == [("p0", "s", "roi_absent")]


def test_a_lesion_drawn_on_another_image_only_does_not_make_this_one_healthy(toy):
    change_masks(toy, "p0", lambda masks: [{**m, "image": "pet"} if m["roi"] == "lesion" else m for m in masks])
    cases, left_out = found(toy)
    assert cases == []
    assert left_out[0].reason == "contour_unpaired"


def test_a_fused_image_takes_the_contours_of_its_ct(toy):
    path = toy.root / "images" / "p0" / "images.json"
    manifest = read_json(path)
    manifest["images"] = [{**manifest["images"][0], "image": "fused", "mask_image": "ct", "units": "fused"}]
    write_json(path, manifest)
    cases, _ = found(toy, image="fused")
    assert cases[0].has_lesion
    assert cases[0].units == "fused"


def test_files_of_patients_that_are_not_wanted_are_not_opened(toy):
    for path in ("images/p1/images.json", "masks/p1/masks.json"):
        (toy.root / path).unlink()
    assert len(found(toy, ["p0", "p2"])[0]) == 2


def test_a_wanted_patient_without_manifest_stops_the_job(toy):
    with pytest.raises(ValueError, match="p9"):
        found(toy, ["p9"])


def test_a_mask_on_another_grid_stops_the_job(toy):
    write_session(toy, "p0", np.zeros(SHAPE, np.int16), {"lesion": np.ones(SHAPE)})
    moved = toy.root / "masks" / "p0" / "s/ct/lesion-1.nii.gz"
    other = AFFINE @ np.diag([1, 1, 2, 1])
    write_session(toy, "p1", np.zeros(SHAPE, np.int16), {"lesion": np.ones(SHAPE)}, affine=other)
    moved.write_bytes((toy.root / "masks" / "p1" / "s/ct/lesion-1.nii.gz").read_bytes())
    with pytest.raises(ValueError, match=r"p0/s: mask lesion-1\.nii\.gz"):
        read_case(found(toy)[0][0])
