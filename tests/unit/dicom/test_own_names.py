"""Contours under their own names, and the masks drawn of them: what the table of lesions is matched with."""

from __future__ import annotations

import numpy as np

from osteorad.dicom.dates import first_session_dates, session_dates
from osteorad.dicom.own_names import contours_of_cohort, named_contours
from osteorad.files import write_json
from osteorad.images.volume import Grid, write_nifti
from tests.unit.dicom.deid_build import KEY, ROOT, image, run, save
from tests.unit.dicom.mask_helpers import box, contour, draw, image_entry, write_rtstruct, write_seg

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2.0, 0, 40], [0, 0, 4.0, -100], [0, 0, 0, 1]])
GRID = Grid(shape=(20, 16, 8), affine_ras=AFFINE)
ROIS = {"lesion": ["lesion*", "met*"], "marrow": ["marrow*"]}


def square(k: float):
    return contour(box(GRID, k, (3.5, 3.5), (9.5, 9.5)))


def found(folder, names=None) -> dict[str, tuple[str, str, int]]:
    contours = named_contours(
        folder / "masks/masks.json", folder / "dicom/contours.json", names, folder.parents[-1], folder / "files"
    )
    assert len({c.name for c in contours}) == len(contours)
    return {c.name: (c.image, c.roi, c.lesion) for c in contours}


def test_objects_that_keep_their_names_tell_them(tmp_path):
    rois = [(9, "Met b", [square(2)]), (4, "met a", [square(3)]), (5, "spine", [square(4)])]
    draw(tmp_path, [image_entry(GRID)], [write_rtstruct(tmp_path / "rs.dcm", rois)], ROIS)
    assert found(tmp_path) == {
        "met a": ("ct", "lesion", 1), "Met b": ("ct", "lesion", 2), "spine": ("", "", 0),
    }  # fmt: skip


def test_private_names_go_before_the_labels_of_the_objects(tmp_path):
    rois = [(4, "lesion-1", [square(3)]), (9, "lesion-2", [square(2)]), (5, "roi-1", [square(4)])]
    path = write_rtstruct(tmp_path / "rs.dcm", rois)
    draw(tmp_path, [image_entry(GRID)], [path], ROIS, roi_names="assigned")
    names = tmp_path / "names.json"
    listed = [[4, "Met a Smith"], [9, "Met b"], [5, "spine"]]
    write_json(names, {"patient": "p1", "names": {"2.25.77.1": listed}})
    assert found(tmp_path, names) == {
        "Met a Smith": ("ct", "lesion", 1), "Met b": ("ct", "lesion", 2), "spine": ("", "", 0),
    }  # fmt: skip


def test_mask_files_are_named_by_their_stem_or_their_table(tmp_path):
    blob = np.zeros(GRID.shape, dtype=np.uint8)
    blob[3:7, 4:9, 2:5] = 1
    two = blob.copy()
    two[12:15, 4:9, 2:5] = 2
    files = tmp_path / "files"
    write_nifti(files / "Met 3 left.nii.gz", blob, AFFINE)
    write_nifti(files / "map.nii.gz", two, AFFINE)
    (files / "map.tsv").write_text("label\tname\n1\tmarrow\n2\tmet rib\n")
    (files / "met broken.nii.gz").write_bytes(b"no image")
    draw(tmp_path, [image_entry(GRID)], [], ROIS, files=files)
    assert found(tmp_path) == {
        "Met 3 left": ("ct", "lesion", 1),
        "marrow": ("ct", "marrow", 1),
        "met rib": ("ct", "lesion", 2),
        "met broken": ("", "", 0),
    }


def test_segments_are_named_too(tmp_path):
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[2:5, 2:5, 3] = 1
    path = write_seg(tmp_path / "seg.dcm", {1: ("met a", array)}, GRID)
    draw(tmp_path, [image_entry(GRID)], [path], ROIS)
    assert found(tmp_path) == {"met a": ("ct", "lesion", 1)}


def test_patients_of_a_cohort_keep_their_own_contours(tmp_path):
    draw(tmp_path, [image_entry(GRID)], [write_rtstruct(tmp_path / "rs.dcm", [(1, "met a", [square(2)])])], ROIS)
    masks, objects = tmp_path / "masks/masks.json", tmp_path / "dicom/contours.json"
    contours = contours_of_cohort([masks], [objects], [], tmp_path.parents[-1], f"{tmp_path}/{{patient}}")
    assert [c.name for c in contours["p1"]] == ["met a"]


def test_true_dates_of_every_session(tmp_path):
    uids = {"StudyInstanceUID": f"{ROOT}.9", "SeriesInstanceUID": f"{ROOT}.9.1", "SOPInstanceUID": f"{ROOT}.9.1.1"}
    later = image(StudyDate="20240410", **uids)
    paths = [save(image(StudyDate="20240229"), tmp_path / "in" / "a.dcm"), save(later, tmp_path / "in" / "b.dcm")]
    result = run(paths, tmp_path)
    (dates,) = session_dates([result["out"] / "images.json"], tmp_path, KEY).values()
    assert sorted(dates.values()) == ["2024-02-29", "2024-04-10"]
    assert set(dates) == {row["session"] for row in result["files"]}
    assert list(first_session_dates([result["out"] / "images.json"], tmp_path, KEY).values()) == ["2024-02-29"]
