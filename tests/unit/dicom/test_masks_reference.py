"""Masks against voxels that other tools drew: the shared reference data (skipped where they are not there)."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pydicom
import pytest

from osteorad.images.nrrd import read_nrrd
from osteorad.images.volume import Grid, read_nifti
from tests.unit.dicom.mask_helpers import by_name, draw, entry_of_slices, image_entry, voxels_of

STS_FACTS = {
    "STS_001": (117145, 5095), "STS_002": (17090, 555), "STS_003": (25693, 817), "STS_004": (94963, 5962),
    "STS_005": (187576, 5985), "STS_006": (83436, 5197), "STS_008": (8862, 388), "STS_010": (58608, 1861),
    "STS_018": (37372, 1203), "STS_019": (5564, 239), "STS_023": (63444, 2050), "STS_024": (24892, 786),
    "STS_025": (9655, 606), "STS_026": (118353, 5135), "STS_028": (66087, 2101), "STS_031": (149277, 4762),
    "STS_032": (35591, 2228), "STS_033": (127205, 4036), "STS_034": (173131, 5541), "STS_035": (11450, 365),
    "STS_040": (128260, 5550), "STS_041": (19429, 619), "STS_042": (11175, 356), "STS_048": (113615, 7076),
    "STS_050": (53927, 1725),
}  # fmt: skip


def sts_masks(folder: Path, patient: Path) -> dict:
    """Masks of one STS patient, both modalities in one call."""
    entries = [
        entry_of_slices(sorted((patient / part / "image").glob("*.dcm")), image)
        for part, image in (("CT", "ct"), ("PET", "pet"))
    ]
    objects = [patient / part / "mask" / "RS.dcm" for part in ("CT", "PET")]
    return draw(folder, entries, objects, {"lesion": ["GTV_Mass*"]})


@pytest.mark.parametrize("name", ["STS_001", "STS_002", "STS_003"])
def test_sts_masks_equal_the_reference_voxel_for_voxel(shared_data, tmp_path, name):
    manifest = sts_masks(tmp_path, shared_data(f"sts/dicom/{name}"))
    masks = by_name(manifest)
    assert manifest["set_aside"] == []
    for image, part in (("ct", "CT"), ("pet", "PET")):
        mask = masks[f"{image}/lesion-1"]
        reference, grid = read_nifti(shared_data(f"sts/reference_nifti/{name}/{part}_mask.nii.gz"))
        drawn, own = read_nifti(tmp_path / "masks" / mask["path"])
        np.testing.assert_allclose(own.affine_ras, grid.affine_ras, atol=1e-3)
        np.testing.assert_array_equal(drawn, reference)
        assert mask["voxels"] == int(reference.sum())
        assert "rtstruct_references_dangle" in mask["flags"]


def test_sts_masks_of_all_patients_have_the_published_voxel_counts(shared_data, tmp_path):
    found = {}
    for patient in sorted(shared_data("sts/dicom").iterdir()):
        masks = by_name(sts_masks(tmp_path, patient))
        found[patient.name] = (masks["ct/lesion-1"]["voxels"], masks["pet/lesion-1"]["voxels"])
    assert found == STS_FACTS


def test_ibsi_phantom_has_no_voxel_off(shared_data, tmp_path):
    folder = shared_data("ingest/rtstruct/ibsi_phantom")
    entry = entry_of_slices(sorted(folder.glob("header_only*.dcm")), "ct")
    mask = by_name(draw(tmp_path, [entry], [folder / "RS.dcm"], {"gtv": ["gtv*"]}))["ct/gtv-1"]
    reference, _ = read_nifti(folder / "mask.nii.gz")
    assert mask["voxels"] == 125_256
    np.testing.assert_array_equal(voxels_of(tmp_path, mask), reference)


def test_pet_contour_without_resolving_references_has_no_voxel_off(shared_data, tmp_path):
    folder = shared_data("ingest/rtstruct/sts_pet")
    entry = entry_of_slices(sorted((folder / "dicom").glob("*.dcm")), "pet")
    mask = by_name(draw(tmp_path, [entry], [folder / "RS.dcm"], {"gtv": ["gtv*"]}))["pet/gtv-1"]
    reference, _ = read_nifti(folder / "mask.nii.gz")
    assert mask["voxels"] == 5_095
    np.testing.assert_array_equal(voxels_of(tmp_path, mask), reference)
    assert mask["flags"] == ["rtstruct_references_dangle"]


@pytest.fixture(scope="module")
def synthetic(shared_data, tmp_path_factory):
    """Voxels per slice and flags of the 16 synthetic ROIs, by name."""
    folder = shared_data("ingest/rtstruct/synthetic")
    with open(folder / "expected.tsv", encoding="utf-8") as stream:
        expected = list(csv.DictReader(stream, delimiter="\t"))
    out = tmp_path_factory.mktemp("synthetic")
    entry = entry_of_slices(sorted(folder.glob("ct_*.dcm")), "ct")
    rois = {row["roi"].replace("_", "-"): [row["roi"]] for row in expected}
    manifest = draw(out, [entry], [folder / "RS.dcm"], rois)
    found = {}
    for mask in manifest["masks"]:
        per_slice = voxels_of(out, mask).sum(axis=(0, 1), dtype=int)
        text = ",".join(f"{k}:{count}" for k, count in enumerate(per_slice) if count)
        found[mask["roi"].replace("-", "_")] = (str(mask["voxels"]), text, mask["flags"])
    return {row["roi"]: (row["voxels"], row["per_slice(index from lowest z)"]) for row in expected}, found


def test_synthetic_rois_have_the_expected_voxels_on_every_slice(synthetic):
    expected, found = synthetic
    assert len(expected) == 16
    assert {roi: (voxels, slices) for roi, (voxels, slices, _) in found.items()} == expected


def test_synthetic_rois_carry_their_flags(synthetic):
    flags = {roi: flags for roi, (_, _, flags) in synthetic[1].items() if flags}
    assert flags == {
        "beyond_image": ["contour_clipped"],
        "empty_roi": ["roi_empty"],
        "hole_keyhole": ["contour_keyhole"],
        "point_only": ["contour_points_ignored", "roi_empty"],
        "skipped_slice": ["contour_gap"],
        "sub_voxel": ["roi_empty"],
        "two_point_contour": ["contour_points_ignored"],
    }


# --- SEG -------------------------------------------------------------------------------------------------------------


def on_grid(volume: np.ndarray, grid: Grid, target: Grid) -> np.ndarray:
    """Voxels of a NRRD on another grid of the same lattice, by whole-voxel shift only."""
    shift = np.linalg.inv(target.affine_ras) @ grid.affine_ras
    np.testing.assert_allclose(shift[:3, :3], np.eye(3), atol=1e-4)
    i, j, k = np.rint(shift[:3, 3]).astype(int)
    out = np.zeros(target.shape, dtype=volume.dtype)
    out[i : i + volume.shape[0], j : j + volume.shape[1], k : k + volume.shape[2]] = volume
    return out


@pytest.mark.parametrize(("name", "voxels"), [("23x38x3", 322), ("24x38x3", 315)])
def test_binary_seg_equals_its_nrrd_whatever_the_row_length(shared_data, tmp_path, name, voxels):
    folder = shared_data(f"ingest/seg/{name}")
    entry = entry_of_slices(sorted(folder.glob("IMG*.dcm")), "ct")
    mask = by_name(draw(tmp_path, [entry], [folder / "label.seg"], {"liver": ["liver"]}))["ct/liver-1"]
    nrrd = read_nrrd(folder / "label.nrrd")
    drawn, grid = read_nifti(tmp_path / "masks" / mask["path"])
    assert mask["voxels"] == voxels
    np.testing.assert_array_equal(drawn, on_grid(nrrd.layers[0] == 1, nrrd.grid, grid))
    assert mask["segmentation"] == "BINARY"
    assert mask["flags"] == []


@pytest.mark.parametrize("name", ["noppv", "ppv5"])
def test_sparse_labelmap_seg_equals_its_nrrd(shared_data, tmp_path, name):
    slices = sorted(shared_data("ingest/seg/24x38x3").glob("IMG*.dcm"))
    entry = entry_of_slices(slices, "ct")
    path = shared_data(f"ingest/seg/sparse-labelmap-{name}.dcm")
    manifest = draw(tmp_path, [entry], [path], {"liver": ["liver"]})
    mask = by_name(manifest)["ct/liver-1"]
    nrrd = read_nrrd(shared_data(f"ingest/seg/sparse_labelmap_{name}_seg.nrrd"))
    drawn, grid = read_nifti(tmp_path / "masks" / mask["path"])
    assert mask["voxels"] == 630
    np.testing.assert_array_equal(drawn, on_grid(nrrd.layers[0] == 1, nrrd.grid, grid))
    assert drawn.sum(axis=(0, 1))[1] == 0  # the plane that was left out
    assert len(manifest["masks"]) == 1  # neither background nor padding is a ROI


def test_overlapping_segments_each_equal_their_nrrd(shared_data, tmp_path):
    folder = shared_data("ingest/seg/partial_overlaps")
    entry = entry_of_slices(sorted(folder.glob("header_only*.dcm")), "ct")
    manifest = draw(tmp_path, [entry], [folder / "partial_overlaps.dcm"], {"part": ["*"]})
    assert [mask["voxels"] for mask in manifest["masks"]] == [9_602, 11_888, 10_743, 6_693, 4_713]
    groups = [read_nrrd(path) for path in sorted(folder.glob("*.nrrd"))]
    for mask in manifest["masks"]:
        drawn, grid = read_nifti(tmp_path / "masks" / mask["path"])
        of_group = [nrrd for nrrd in groups if (nrrd.layers[0] == mask["lesion"]).any()]
        assert len(of_group) == 1
        np.testing.assert_array_equal(drawn, on_grid(of_group[0].layers[0] == mask["lesion"], of_group[0].grid, grid))
    arrays = [voxels_of(tmp_path, mask) for mask in manifest["masks"]]
    overlapping = [any((one & other).any() for other in arrays if other is not one) for one in arrays]
    assert True in overlapping
    assert ["segments_overlap" in mask["flags"] for mask in manifest["masks"]] == overlapping


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("seg_image_ct_binary", [638]),
        ("seg_image_ct_binary_fractional", [638]),
        ("seg_image_ct_binary_overlap", [64, 16]),
        ("seg_image_ct_binary_single_frame", [1_832]),
        # 661 voxels are over zero, 128 of 255 the highest: those at or over one half count
        ("seg_image_ct_true_fractional", None),
    ],
)
def test_seg_of_another_writer_on_a_grid_that_holds_its_planes(shared_data, tmp_path, name, counts):
    path = shared_data(f"ingest/seg/highdicom/{name}.dcm")
    dataset = pydicom.dcmread(path)
    pixels = np.atleast_3d(dataset.pixel_array.T)
    groups = dataset.PerFrameFunctionalGroupsSequence
    positions = np.array([group.PlanePositionSequence[0].ImagePositionPatient for group in groups], dtype=float)
    mm = float(dataset.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing[0])
    gap = 1.25 if dataset.Rows == 16 else 5.0
    z = np.unique(positions[:, 2])
    first = np.array([positions[0, 0], positions[0, 1], z[0]])
    affine = np.diag([-mm, -mm, gap, 1.0])
    affine[:3, 3] = first * [-1, -1, 1]
    shape = (dataset.Columns, dataset.Rows, int(np.rint((z[-1] - z[0]) / gap)) + 2)
    entry = image_entry(
        Grid(shape=shape, affine_ras=affine),
        series_uid=str(dataset.ReferencedSeriesSequence[0].SeriesInstanceUID),
        frame_of_reference=str(dataset.FrameOfReferenceUID),
    )
    manifest = draw(tmp_path, [entry], [path], {"part": ["*segment"]})
    assert manifest["set_aside"] == []
    if counts is None:
        assert int((pixels > 0).sum()) == 661
        counts = [int((pixels >= 127.5).sum())]
        assert 0 < counts[0] < 661
    assert [mask["voxels"] for mask in manifest["masks"]] == counts
    for number, mask in enumerate(manifest["masks"], start=1):
        drawn = voxels_of(tmp_path, mask)
        expected = np.zeros(shape, dtype=bool)
        for frame, (group, position) in enumerate(zip(groups, positions, strict=True)):
            if group.SegmentIdentificationSequence[0].ReferencedSegmentNumber == number:
                k = round((position[2] - z[0]) / gap)
                expected[:, :, k] = pixels[:, :, frame] > (127.4 if dataset.SegmentationType == "FRACTIONAL" else 0)
        np.testing.assert_array_equal(drawn, expected)
