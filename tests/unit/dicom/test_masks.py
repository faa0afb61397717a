"""draw_masks: which image a contour belongs to, lesion numbers, and an account in which nothing is lost."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from osteorad.cohort.pseudonyms import series_name
from osteorad.cohort.schemas import SERIES
from osteorad.images.volume import Grid, read_nifti, write_nifti
from osteorad.provenance import sha256_file
from osteorad.reasons import reason
from tests.unit.dicom.mask_helpers import box, by_name, contour, draw, image_entry, voxels_of, write_rtstruct, write_seg

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2.0, 0, 40], [0, 0, 4.0, -100], [0, 0, 0, 1]])
GRID = Grid(shape=(20, 16, 8), affine_ras=AFFINE)
PET_GRID = Grid(shape=(10, 8, 8), affine_ras=AFFINE @ np.diag([2.0, 2.0, 1.0, 1.0]))
CT, PET = "2.25.1001", "2.25.2001"
ROIS = {"lesion": ["lesion*", "gtv*"], "marrow": ["marrow*"]}
CT_CLASS, PET_CLASS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128"


def square(k: float, low: float = 3.5, size: float = 6.0) -> pydicom.Dataset:
    return contour(box(GRID, k, (low, low), (low + size, low + size)))


def both() -> list[dict]:
    return [image_entry(GRID), image_entry(PET_GRID, image="pet", modality="PT", series_uid=PET)]


def keys(manifest) -> list[tuple[str, str, int]]:
    return [(mask["image"], mask["roi"], mask["lesion"]) for mask in manifest["masks"]]


def reasons(manifest) -> list[str]:
    return [row["reason"] for row in manifest["set_aside"]]


def test_manifest_tells_what_lies_in_the_folder(tmp_path):
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "lesion-1", [square(2), square(3)])])
    manifest = draw(tmp_path, [image_entry(GRID)], [path], ROIS, roi_names="assigned")
    (mask,) = manifest["masks"]
    file = tmp_path / "masks" / mask["path"]
    array, grid = read_nifti(file)
    assert mask["path"] == f"{mask['session']}/ct/lesion-1.nii.gz"
    assert mask["sha256"] == sha256_file(file)
    assert array.dtype == np.uint8
    assert set(np.unique(array)) == {0, 1}
    assert grid.matches(GRID)
    assert (mask["voxels"], mask["volume_ml"]) == (72, pytest.approx(72 * 16 / 1000))
    assert (mask["source"], mask["series"], mask["flags"]) == ("rtstruct", series_name("2.25.77"), [])
    assert {key: manifest[key] for key in ("cohort", "patient", "set")} == {
        "cohort": "test",
        "patient": "p1",
        "set": "manual",
    }


def test_series_row_has_the_columns_of_the_table(tmp_path):
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "lesion-1", [square(2)])])
    (row,) = draw(tmp_path, [image_entry(GRID)], [path], ROIS)["series"]
    assert sorted(row) == sorted(set(SERIES.names) - {"cohort", "patient"})
    assert (row["kind"], row["state"], row["files"], row["session_order"]) == ("contours", "used", 1, 0)


# --- names and numbers -----------------------------------------------------------------------------------------------


def test_lesions_are_numbered_by_rank_of_their_roi_numbers(tmp_path):
    rois = [(9, "GTV b", [square(2)]), (4, "gtv a", [square(3)]), (5, "marrow", [square(4)]), (6, "spine", [square(5)])]
    manifest = draw(tmp_path, [image_entry(GRID)], [write_rtstruct(tmp_path / "rs.dcm", rois)], ROIS)
    assert keys(manifest) == [("ct", "lesion", 1), ("ct", "lesion", 2), ("ct", "marrow", 1)]
    masks = by_name(manifest)
    assert voxels_of(tmp_path, masks["ct/lesion-1"])[..., 3].any()  # ROI number 4
    assert [(row["reason"], row["item"]) for row in manifest["set_aside"]] == [
        ("roi_unmatched", f"{series_name('2.25.77')}/roi-6")
    ]


def test_assigned_names_are_taken_as_they_are(tmp_path):
    rois = [(1, "lesion-1", [square(2)]), (2, "roi-1", [square(3)]), (3, "lesion-2", [square(4)]), (4, "x-1", [])]
    path = write_rtstruct(tmp_path / "rs.dcm", rois)
    manifest = draw(tmp_path, [image_entry(GRID)], [path], {"lesion": ["nothing like this"]}, roi_names="assigned")
    assert keys(manifest) == [("ct", "lesion", 1), ("ct", "lesion", 2)]
    assert [row["item"].split("/")[1] for row in manifest["set_aside"]] == ["roi-1", "x-1"]


def test_original_names_never_leave(tmp_path):
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "Smith^Jane L1", [square(2)])])
    draw(tmp_path, [image_entry(GRID)], [path], ROIS)
    assert "Smith" not in (tmp_path / "masks" / "masks.json").read_text()


def test_rejected_roi_keeps_its_rank_so_that_ct_and_pet_stay_paired(tmp_path):
    outside = contour(box(GRID, 40, (3, 3), (8, 8)))
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv 1", [outside]), (2, "gtv 2", [square(3)])])
    manifest = draw(tmp_path, [image_entry(GRID)], [path], ROIS)
    assert keys(manifest) == [("ct", "lesion", 2)]
    assert reasons(manifest) == ["roi_outside_image"]


def test_ranks_count_within_each_image(tmp_path):
    """One object with contours of two series: each image counts its own lesions from 1."""
    rois = [
        (1, "gtv", [contour(box(GRID, 2, (3.5, 3.5), (9.5, 9.5)), sop_uid="2.25.11")]),
        (2, "gtv", [contour(box(PET_GRID, 2, (1.5, 1.5), (4.5, 4.5)), sop_uid="2.25.21", sop_class=PET_CLASS)]),
    ]
    path = write_rtstruct(tmp_path / "rs.dcm", rois, series={CT: ["2.25.11"], PET: ["2.25.21"]})
    manifest = draw(tmp_path, both(), [path], ROIS)
    assert keys(manifest) == [("ct", "lesion", 1), ("pet", "lesion", 1)]
    assert [mask["voxels"] for mask in manifest["masks"]] == [36, 9]
    assert all("roi_name_duplicate" in mask["flags"] for mask in manifest["masks"])


def test_same_contour_in_two_objects_is_one_lesion(tmp_path):
    one = write_rtstruct(tmp_path / "a.dcm", [(1, "gtv", [square(2)])])
    two = write_rtstruct(tmp_path / "b.dcm", [(1, "gtv", [square(2)]), (2, "gtv", [square(5)])], series_uid="2.25.78")
    manifest = draw(tmp_path, [image_entry(GRID)], [one, two], ROIS)
    assert keys(manifest) == [("ct", "lesion", 1), ("ct", "lesion", 2)]
    assert reasons(manifest) == ["contour_duplicate"]


def test_number_in_a_file_name_that_is_taken_gives_the_next_free_one(tmp_path):
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [square(2)])])
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[1:3, 1:3, 1] = 1
    write_nifti(tmp_path / "files" / "lesion 1.nii.gz", array, GRID.affine_ras)
    manifest = draw(tmp_path, [image_entry(GRID)], [path], ROIS, files=tmp_path / "files")
    assert [(mask["lesion"], mask["source"], mask["flags"]) for mask in manifest["masks"]] == [
        (1, "rtstruct", []),
        (2, "file", ["roi_name_duplicate"]),
    ]


# --- whose contour ---------------------------------------------------------------------------------------------------


def test_contour_is_never_pushed_onto_the_other_modality(tmp_path):
    """The PET was not chosen; its contour fits the CT's planes and frame of reference and is set aside all the same."""
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [square(2)])], series={PET: []})
    manifest = draw(tmp_path, [image_entry(GRID)], [path], ROIS, unchosen=[PET])
    assert manifest["masks"] == []
    assert reasons(manifest) == ["contour_of_unchosen_series"]
    assert [(row["state"], row["reason"]) for row in manifest["series"]] == [
        ("not_chosen", "contour_of_unchosen_series")
    ]


@pytest.mark.parametrize(("sop_class", "image"), [(CT_CLASS, "ct"), (PET_CLASS, "pet")])
def test_series_that_is_not_there_is_replaced_by_frame_of_reference_and_modality(tmp_path, sop_class, image):
    item = contour(box(PET_GRID, 2, (1.5, 1.5), (4.5, 4.5)), sop_uid="2.25.5", sop_class=sop_class)
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [item])], series={"2.25.6": ["2.25.5"]})
    assert keys(draw(tmp_path, both(), [path], ROIS)) == [(image, "lesion", 1)]


@pytest.mark.parametrize(
    ("entries", "facts", "code"),
    [
        (both(), {"series": {}}, "contour_series_missing"),
        (both(), {"frame_of_reference": "2.25.3", "series": {}}, "contour_series_missing"),
        (both(), {"frame_of_reference": "2.25.3"}, "frame_of_reference_mismatch"),
        ([], {}, "contour_series_missing"),
    ],
    ids=["fits two modalities", "other frame of reference", "frames contradict", "no image"],
)
def test_contour_without_a_sure_image_is_quarantined(tmp_path, entries, facts, code):
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [square(2)])], **facts)
    manifest = draw(tmp_path, entries, [path], ROIS)
    assert [(row["reason"], row["kind"]) for row in manifest["set_aside"]] == [(code, "quarantined")]


def test_geometry_decides_between_two_scans_of_one_frame_of_reference(tmp_path):
    moved = AFFINE.copy()
    moved[2, 3] += 1.7
    entries = [
        image_entry(GRID),
        image_entry(Grid(shape=GRID.shape, affine_ras=moved), image="ct-2", series_uid="2.25.3"),
    ]
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [square(2), square(3)])], series={})
    assert keys(draw(tmp_path, entries, [path], ROIS)) == [("ct", "lesion", 1)]


@pytest.mark.parametrize("known", [True, False])
def test_references_that_do_not_resolve_are_flagged_and_harmless(tmp_path, known):
    listed = [f"2.25.9{at}" for at in range(30)]
    item = contour(box(GRID, 2, (3.5, 3.5), (9.5, 9.5)), sop_uid=listed[3])
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [item])], series={CT: listed})
    uids = {"sop_uids": [f"2.25.7{k}" for k in range(8)]} if known else {}
    (mask,) = draw(tmp_path, [image_entry(GRID, **uids)], [path], ROIS)["masks"]
    assert (mask["voxels"], mask["flags"]) == (36, ["rtstruct_references_dangle"])


def test_references_that_resolve_are_not_flagged(tmp_path):
    uids = [f"2.25.7{k}" for k in range(8)]
    item = contour(box(GRID, 2, (3.5, 3.5), (9.5, 9.5)), sop_uid=uids[2])
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [item])], series={CT: uids})
    assert draw(tmp_path, [image_entry(GRID, sop_uids=uids)], [path], ROIS)["masks"][0]["flags"] == []


def test_second_session_is_told_apart_by_its_series(tmp_path):
    entries = [image_entry(GRID, session="s1"), image_entry(GRID, session="s2", series_uid="2.25.3")]
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [square(2)])], series={"2.25.3": []})
    assert [mask["session"] for mask in draw(tmp_path, entries, [path], ROIS)["masks"]] == ["s2"]


# --- SEG -------------------------------------------------------------------------------------------------------------


def test_segments_become_masks_and_overlaps_are_flagged(tmp_path):
    one, two, three = (np.zeros(GRID.shape, dtype=np.uint8) for _ in range(3))
    one[2:6, 2:6, 2:4] = 1
    two[5:8, 5:8, 3:5] = 1
    three[12:14, 12:14, 6] = 1
    path = write_seg(tmp_path / "s.dcm", {1: ("lesion-1", one), 2: ("marrow-1", two), 3: ("lesion-2", three)}, GRID)
    manifest = draw(tmp_path, [image_entry(GRID)], [path], ROIS, roi_names="assigned")
    masks = by_name(manifest)
    for key, array in (("ct/lesion-1", one), ("ct/marrow-1", two), ("ct/lesion-2", three)):
        np.testing.assert_array_equal(voxels_of(tmp_path, masks[key]), array)
    assert [masks[key]["flags"] for key in sorted(masks)] == [["segments_overlap"], [], ["segments_overlap"]]
    assert {mask["source"] for mask in manifest["masks"]} == {"seg"}
    assert manifest["series"][0]["kind"] == "segmentation"


def test_seg_without_series_is_placed_where_its_voxels_are_those_of_an_image(tmp_path):
    array = np.zeros(PET_GRID.shape, dtype=np.uint8)
    array[2:5, 2:5, 3] = 1
    path = write_seg(tmp_path / "s.dcm", {1: ("gtv", array)}, PET_GRID, series_uid="")
    manifest = draw(tmp_path, both(), [path], ROIS)
    assert keys(manifest) == [("pet", "lesion", 1)]
    other = Grid(shape=PET_GRID.shape, affine_ras=PET_GRID.affine_ras @ np.diag([1.1, 1.1, 1.0, 1.0]))
    lost = write_seg(tmp_path / "t.dcm", {1: ("gtv", array)}, other, series_uid="")
    assert reasons(draw(tmp_path, both(), [lost], ROIS)) == ["contour_series_missing"]


# --- the account -----------------------------------------------------------------------------------------------------


def test_every_object_and_every_roi_is_accounted_for(tmp_path):
    """Good, empty, outside, unmatched, unreadable, of an unchosen series: draw() checks that the sums hold."""
    far = contour(box(GRID, 2, (300, 300), (310, 310)))
    good = [(1, "gtv 1", [square(2)]), (2, "gtv 2", []), (3, "gtv 3", [far]), (4, "other", [square(3)])]
    objects = [
        write_rtstruct(tmp_path / "a.dcm", good),
        write_rtstruct(tmp_path / "b.dcm", [(1, "gtv", [square(2)])], series={PET: []}, series_uid="2.25.78"),
    ]
    (tmp_path / "c.dcm").write_bytes(b"\0" * 600)
    manifest = draw(tmp_path, [image_entry(GRID)], [*objects, tmp_path / "c.dcm"], ROIS, unchosen=[PET])
    assert [(mask["lesion"], mask["voxels"], mask["flags"]) for mask in manifest["masks"]] == [
        (1, 36, []),
        (2, 0, ["roi_empty"]),
    ]
    assert sorted(reasons(manifest)) == [
        "contour_of_unchosen_series",
        "roi_outside_image",
        "roi_unmatched",
        "rtstruct_unreadable",
    ]
    assert sorted(row["state"] for row in manifest["series"]) == ["not_chosen", "quarantined", "used"]
    assert manifest["rois_in"] == 5
    for row in manifest["set_aside"]:
        assert row["kind"] == reason(row["reason"]).kind
        assert set(row) == {"session", "stage", "item", "count", "kind", "reason", "detail"}


def test_roi_of_three_voxels_is_drawn(tmp_path):
    item = contour(box(GRID, 2, (3.5, 3.5), (6.5, 4.5)))
    (mask,) = draw(tmp_path, [image_entry(GRID)], [write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [item])])], ROIS)[
        "masks"
    ]
    assert mask["voxels"] == 3


def test_no_contour_at_all_is_an_empty_manifest(tmp_path):
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "there is no such folder")
    assert (manifest["masks"], manifest["series"], manifest["set_aside"], manifest["rois_in"]) == ([], [], [], 0)


@pytest.mark.parametrize(("mask_set", "sources"), [("manual", ["file", "rtstruct"]), ("reader2", ["file"])])
def test_only_the_manual_set_reads_dicom_contours_beside_files(tmp_path, mask_set, sources):
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [square(2)])])
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[1:3, 1:3, 1] = 1
    write_nifti(tmp_path / "files" / "marrow-1.nii.gz", array, GRID.affine_ras)
    manifest = draw(tmp_path, [image_entry(GRID)], [path], ROIS, files=tmp_path / "files", mask_set=mask_set)
    assert sorted(mask["source"] for mask in manifest["masks"]) == sources
    assert manifest["set"] == mask_set


def test_second_run_empties_the_folder_and_gives_the_same_bytes(tmp_path):
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "gtv", [square(2)]), (2, "marrow", [square(4)])])
    seg = write_seg(tmp_path / "s.dcm", {1: ("gtv", np.ones(GRID.shape, dtype=np.uint8))}, GRID)

    def run() -> dict[str, bytes]:
        draw(tmp_path, [image_entry(GRID)], [path, seg], ROIS)
        files = sorted(file for file in (tmp_path / "masks").rglob("*") if file.is_file())
        return {file.relative_to(tmp_path).as_posix(): file.read_bytes() for file in files}

    first = run()
    (tmp_path / "masks" / "left over.nii.gz").write_bytes(b"x")
    assert run() == first
    assert len(first) == 4
