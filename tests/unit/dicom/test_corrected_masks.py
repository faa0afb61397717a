"""A mask file `<roi>-<n>` takes the place of the DICOM contour of that number on its image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from osteorad.cohort.pseudonyms import series_name
from osteorad.dicom.own_names import named_contours
from osteorad.images.nrrd import read_nrrd
from osteorad.images.volume import Grid, read_nifti, write_nifti
from tests.unit.dicom.mask_helpers import box, by_name, contour, draw, image_entry, voxels_of, write_rtstruct
from tests.unit.dicom.test_mask_files import save_itk

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2.0, 0, 40], [0, 0, 4.0, -100], [0, 0, 0, 1]])
SHIFTED = AFFINE.copy()
SHIFTED[0, 3] += 0.7
GRID = Grid(shape=(20, 16, 8), affine_ras=AFFINE)
PET_GRID = Grid(shape=(10, 8, 8), affine_ras=AFFINE @ np.diag([2.0, 2.0, 1.0, 1.0]))
ROIS = {"lesion": ["lesion*", "met*"], "marrow": ["marrow*"]}
CONTOURS = series_name("2.25.77")


@pytest.fixture
def contours(tmp_path: Path) -> Path:
    """Two lesions and a marrow, each on its own slice."""
    rois = [(7, "met a", 2), (8, "met b", 3), (9, "marrow", 4)]
    drawn = [(number, name, [contour(box(GRID, k, (3.5, 3.5), (9.5, 9.5)))]) for number, name, k in rois]
    return write_rtstruct(tmp_path / "rs.dcm", drawn)


def corrected(size: int = 3) -> np.ndarray:
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[4 : 4 + size, 4 : 4 + size, 3] = 1
    return array


def run(folder: Path, objects: list[Path], **options: Any) -> dict[str, Any]:
    entries = [image_entry(GRID), image_entry(PET_GRID, image="pet", modality="PT", series_uid="2.25.2001")]
    return draw(folder, entries, objects, ROIS, files=folder / "files", numbers=folder / "names.json", **options)


def rows(manifest: dict[str, Any]) -> list[tuple[str, str, str, str]]:
    return [(row["item"], row["kind"], row["reason"], row["detail"]) for row in manifest["set_aside"]]


def test_the_file_stands_for_the_contour(tmp_path, contours):
    write_nifti(tmp_path / "files" / "lesion-2.nii.gz", corrected(), GRID.affine_ras)
    manifest = run(tmp_path, [contours])
    masks = by_name(manifest)
    assert {key: mask["source"] for key, mask in masks.items()} == {
        "ct/lesion-1": "rtstruct", "ct/lesion-2": "file", "ct/marrow-1": "rtstruct",
    }  # fmt: skip
    np.testing.assert_array_equal(voxels_of(tmp_path, masks["ct/lesion-2"]), corrected())
    assert masks["ct/lesion-2"]["flags"] == []
    replaced = masks["ct/lesion-2"]["replaces"]
    assert (replaced["series"], replaced["object"], replaced["number"]) == (CONTOURS, "2.25.77.1", 8)
    assert len(replaced["hash"]) == 16
    assert rows(manifest) == [(f"{CONTOURS}/roi-8", "rejected", "contour_replaced", "lesion-2")]
    assert manifest["set_aside"][0]["session"] == masks["ct/lesion-2"]["session"]
    assert manifest["rois_in"] == 4
    assert [(row["state"], row["reason"]) for row in manifest["series"]] == [("used", "")]


def test_the_next_run_gives_the_same_bytes(tmp_path, contours):
    write_nifti(tmp_path / "files" / "lesion-2.nii.gz", corrected(), GRID.affine_ras)

    def written() -> dict[str, bytes]:
        run(tmp_path, [contours])
        return {f.name: f.read_bytes() for f in [tmp_path / "names.json", *(tmp_path / "masks").rglob("*.*")]}

    assert written() == written()


def test_the_contour_comes_back_when_the_file_goes(tmp_path, contours):
    file = tmp_path / "files" / "lesion-2.nii.gz"
    write_nifti(file, corrected(), GRID.affine_ras)
    run(tmp_path, [contours])
    file.unlink()
    manifest = run(tmp_path, [contours])
    assert by_name(manifest)["ct/lesion-2"]["number"] == 8
    assert manifest["set_aside"] == []


def test_the_number_is_the_one_that_the_page_shows(tmp_path, contours):
    """A contour that came later, before the others, is lesion 3: the file corrects what was shown as 2."""
    run(tmp_path, [contours])
    slices = [(6, "met c", 6), (7, "met a", 2), (8, "met b", 3)]
    write_rtstruct(
        contours, [(number, name, [contour(box(GRID, k, (3.5, 3.5), (9.5, 9.5)))]) for number, name, k in slices]
    )
    write_nifti(tmp_path / "files" / "lesion-2.nii.gz", corrected(), GRID.affine_ras)
    manifest = run(tmp_path, [contours])
    assert {key: mask.get("number") for key, mask in by_name(manifest).items()} == {
        "ct/lesion-1": 7, "ct/lesion-2": None, "ct/lesion-3": 6,
    }  # fmt: skip


@pytest.mark.parametrize("name", ["lesion 2", "lesion_2", "met 2", "Lesion-2", "lesion-02"])
def test_another_name_gets_the_next_number_as_before(tmp_path, contours, name):
    write_nifti(tmp_path / "files" / f"{name}.nii.gz", corrected(), GRID.affine_ras)
    manifest = run(tmp_path, [contours])
    assert manifest["set_aside"] == []
    assert by_name(manifest)["ct/lesion-3"]["flags"] == ["roi_name_duplicate"]


def test_a_file_for_no_contour_is_one_more_lesion(tmp_path, contours):
    write_nifti(tmp_path / "files" / "lesion-5.nii.gz", corrected(), GRID.affine_ras)
    manifest = run(tmp_path, [contours])
    assert "replaces" not in by_name(manifest)["ct/lesion-5"]
    assert (len(manifest["masks"]), manifest["set_aside"]) == (4, [])


@pytest.mark.parametrize(
    ("array", "affine", "code"),
    [
        (corrected(), SHIFTED, "mask_no_image"),
        (corrected() * 0.5, AFFINE, "mask_not_binary"),
        (corrected() + corrected(2), AFFINE, "mask_not_binary"),
    ],
    ids=["other grid", "shades", "two values"],
)
def test_a_file_that_is_refused_replaces_nothing(tmp_path, contours, array, affine, code):
    write_nifti(tmp_path / "files" / "lesion-2.nii.gz", array.astype(np.float32), affine)
    manifest = run(tmp_path, [contours])
    assert by_name(manifest)["ct/lesion-2"]["number"] == 8
    assert [row["reason"] for row in manifest["set_aside"]] == [code]


def test_a_file_whose_voxels_lie_beyond_the_image_replaces_nothing(tmp_path, contours):
    array = np.zeros((24, 16, 8), dtype=np.uint8)
    array[21:23, 4:7, 3] = 1
    write_nifti(tmp_path / "files" / "lesion-2.nii.gz", array, GRID.affine_ras)
    manifest = run(tmp_path, [contours])
    assert by_name(manifest)["ct/lesion-2"]["number"] == 8
    assert [row["reason"] for row in manifest["set_aside"]] == ["roi_outside_image"]


def test_a_file_on_another_image_replaces_nothing(tmp_path, contours):
    array = np.zeros(PET_GRID.shape, dtype=np.uint8)
    array[2:4, 2:4, 3] = 1
    write_nifti(tmp_path / "files" / "lesion-2.nii.gz", array, PET_GRID.affine_ras)
    manifest = run(tmp_path, [contours])
    assert {"ct/lesion-2", "pet/lesion-2"} <= set(by_name(manifest))
    assert manifest["set_aside"] == []


def test_an_equal_file_is_a_duplicate(tmp_path, contours):
    whole = voxels_of(tmp_path, by_name(run(tmp_path, [contours]))["ct/lesion-2"])
    write_nifti(tmp_path / "files" / "lesion-2.nii.gz", whole, GRID.affine_ras)
    assert rows(run(tmp_path, [contours])) == [("lesion-2/1", "duplicate", "contour_duplicate", "")]


def test_two_files_for_one_contour(tmp_path, contours):
    for folder, size in (("a", 3), ("b", 4)):
        write_nifti(tmp_path / "files" / folder / "lesion-2.nii.gz", corrected(size), GRID.affine_ras)
    masks = by_name(run(tmp_path, [contours]))
    assert (masks["ct/lesion-2"]["voxels"], masks["ct/lesion-2"]["flags"]) == (9, [])
    assert (masks["ct/lesion-3"]["voxels"], masks["ct/lesion-3"]["flags"]) == (16, ["roi_name_duplicate"])


def test_a_contour_that_could_not_be_drawn_is_mended_by_a_file(tmp_path):
    far = contour(box(GRID, 2, (300, 300), (310, 310)))
    good = contour(box(GRID, 3, (3.5, 3.5), (9.5, 9.5)))
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "met a", [far]), (2, "met b", [good])])
    write_nifti(tmp_path / "files" / "lesion-1.nii.gz", corrected(), GRID.affine_ras)
    manifest = run(tmp_path, [path])
    assert by_name(manifest)["ct/lesion-1"]["replaces"]["number"] == 1
    assert [row["reason"] for row in manifest["set_aside"]] == ["roi_outside_image"]


def test_an_object_of_which_nothing_is_left_is_replaced(tmp_path):
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "met a", [contour(box(GRID, 3, (3.5, 3.5), (9.5, 9.5)))])])
    write_nifti(tmp_path / "files" / "lesion-1.nii.gz", corrected(), GRID.affine_ras)
    (row,) = run(tmp_path, [path])["series"]
    assert (row["state"], row["reason"]) == ("rejected", "contour_replaced")


@pytest.mark.parametrize("ending", [".nrrd", ".seg.nrrd"])
def test_a_file_as_3d_slicer_saves_it(tmp_path, contours, ending):
    """A segmentation brings its own name along; that of the file says which contour it corrects."""
    path = tmp_path / "files" / f"lesion-2{ending}"
    save_itk(path, corrected(), GRID.affine_ras)
    head, body = path.read_bytes().split(b"\n\n", 1)
    path.write_bytes(head + b"\nSegment0_Name:=Segment_1\nSegment0_LabelValue:=1\nSegment0_Layer:=0\n\n" + body)
    assert "Segment0_Name" in read_nrrd(path).fields
    manifest = run(tmp_path, [contours])
    np.testing.assert_array_equal(voxels_of(tmp_path, by_name(manifest)["ct/lesion-2"]), corrected())
    assert [row["reason"] for row in manifest["set_aside"]] == ["contour_replaced"]


def test_the_table_of_lesions_still_finds_it_by_the_contours_name(tmp_path, contours):
    write_nifti(tmp_path / "files" / "lesion-2.nii.gz", corrected(), GRID.affine_ras)
    run(tmp_path, [contours])
    found = named_contours(
        tmp_path / "masks/masks.json", tmp_path / "dicom/contours.json", None, tmp_path.parents[-1], tmp_path / "files"
    )
    assert {c.name: (c.image, c.roi, c.lesion) for c in found} == {
        "met a": ("ct", "lesion", 1), "met b": ("ct", "lesion", 2), "marrow": ("ct", "marrow", 1),
        "lesion-2": ("ct", "lesion", 2),
    }  # fmt: skip


def test_the_mask_in_the_results_is_the_one_to_correct(tmp_path, contours):
    """The file that the run wrote, edited and put under its own name, fits and takes the place."""
    mask = by_name(run(tmp_path, [contours]))["ct/lesion-2"]
    array, grid = read_nifti(tmp_path / "masks" / mask["path"])
    edited = np.asarray(array).copy()
    edited[4, 4, 3] = 0
    write_nifti(tmp_path / "files" / Path(mask["path"]).name, edited, grid.affine_ras)
    assert by_name(run(tmp_path, [contours]))["ct/lesion-2"]["voxels"] == mask["voxels"] - 1
