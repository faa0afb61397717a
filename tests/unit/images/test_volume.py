"""Volumes on disk: read back by this package and by others, the same bytes each time."""

from __future__ import annotations

import gzip

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from osteorad.images.volume import EMPTY_PATCH, Grid, Patch, nifti_bytes, read_nifti, write_nifti

TURN = np.deg2rad(21.0)
OBLIQUE = np.array([[np.cos(TURN), -np.sin(TURN), 0], [np.sin(TURN), np.cos(TURN), 0], [0, 0, 1]])
AXES = {
    "dicom": np.diag([-0.7, -0.7, 2.5]),
    "oblique": OBLIQUE @ np.diag([-0.7, -0.9, 2.5]),
    "left-handed": OBLIQUE @ np.diag([0.7, -0.9, 2.5]),
    "sheared": np.array([[-0.7, 0, 0], [0, -0.7, 0.6], [0, 0, 2.5]]),
}


def affine_of(name: str) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = AXES[name]
    affine[:3, 3] = (12.5, -33.0, 210.25)
    return affine


@pytest.mark.parametrize("name", AXES)
@pytest.mark.parametrize("kind", [np.uint8, np.int16, ">i2", np.float32])
def test_values_type_and_affine_come_back(tmp_path, name, kind):
    array = np.random.default_rng(1).integers(0, 200, (5, 4, 37)).astype(kind)
    write_nifti(tmp_path / "a.nii.gz", array, affine_of(name))
    back, grid = read_nifti(tmp_path / "a.nii.gz")
    assert back.dtype == np.dtype(kind).newbyteorder("<")
    np.testing.assert_array_equal(back, array)
    np.testing.assert_allclose(grid.affine_ras, affine_of(name), atol=1e-5)


@pytest.mark.parametrize("order", ["C", "F"])
def test_bytes_are_those_that_nibabel_writes(order):
    array = np.asarray(np.random.default_rng(2).normal(size=(6, 5, 33)), dtype=np.float32, order=order)
    for name in AXES:
        image = nib.Nifti1Image(array, affine_of(name))
        image.header.set_xyzt_units("mm")
        image.set_sform(affine_of(name), code=1)
        image.set_qform(None if name == "sheared" else affine_of(name), code=0 if name == "sheared" else 1)
        ours, theirs = gzip.decompress(nifti_bytes(array, affine_of(name))), image.to_bytes()
        assert ours[352:] == theirs[352:]
        own = nib.Nifti1Image.from_bytes(ours)
        assert own.header["sform_code"] == 1
        assert own.header["qform_code"] == (0 if name == "sheared" else 1)
        np.testing.assert_array_equal(own.affine, image.affine)
        np.testing.assert_array_equal(own.header["pixdim"], image.header["pixdim"])


@pytest.mark.parametrize("name", ["dicom", "oblique", "left-handed"])
def test_another_reader_finds_the_same_places(tmp_path, name):
    array = np.random.default_rng(3).integers(-1024, 3000, (5, 4, 3)).astype(np.int16)
    write_nifti(tmp_path / "a.nii.gz", array, affine_of(name))
    image = SimpleITK.ReadImage(str(tmp_path / "a.nii.gz"))
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image).T, array)
    for index in ((0, 0, 0), (4, 3, 2)):
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        np.testing.assert_allclose(lps * [-1, -1, 1], affine_of(name)[:3] @ [*index, 1], atol=1e-4)


def test_same_content_gives_the_same_bytes_whatever_the_memory_order():
    array = np.random.default_rng(4).normal(size=(6, 5, 40)).astype(np.float32)
    once = nifti_bytes(array, affine_of("dicom"))
    assert nifti_bytes(np.asfortranarray(array), affine_of("dicom")) == once
    assert once[4:8] == b"\0\0\0\0"  # no time
    assert once[3] == 0  # no name


def test_grids_match_by_every_corner():
    grid = Grid(shape=(400, 300, 200), affine_ras=affine_of("oblique"))
    near, far = grid.affine_ras.copy(), grid.affine_ras.copy()
    near[:3, 3] += 5e-4
    far[0, 0] += 1e-5  # 4 micrometres at the last column
    assert grid.matches(Grid(shape=grid.shape, affine_ras=near))
    assert not grid.matches(Grid(shape=grid.shape, affine_ras=far))
    assert not grid.matches(Grid(shape=(400, 300, 199), affine_ras=grid.affine_ras))


def test_spacing_and_voxel_volume_of_an_oblique_grid():
    grid = Grid(shape=(2, 2, 2), affine_ras=affine_of("oblique"))
    assert grid.spacing_mm == pytest.approx((0.7, 0.9, 2.5))
    assert grid.voxel_ml == pytest.approx(0.7 * 0.9 * 2.5 / 1000)


def test_patch_becomes_a_whole_mask():
    grid = Grid(shape=(4, 4, 4), affine_ras=np.eye(4))
    mask = Patch(start=(1, 2, 0), array=np.ones((2, 1, 3), dtype=np.uint8)).on(grid)
    assert mask.array.sum() == 6
    assert mask.array[1:3, 2, :3].all()
    assert EMPTY_PATCH.on(grid).array.sum() == 0
    assert EMPTY_PATCH.voxels == 0


@pytest.mark.parametrize("damage", ["cut", "stream", "checksum"])
def test_a_damaged_gzip_stream_is_an_os_error(tmp_path, damage):
    path = tmp_path / "a.nii.gz"
    write_nifti(path, np.arange(1000, dtype=np.int16).reshape(10, 10, 10), np.eye(4))
    raw = path.read_bytes()
    broken = {"cut": raw[:-20], "stream": raw[:10] + b"\xff" * 40 + raw[50:], "checksum": raw[:-8] + bytes(8)}[damage]
    path.write_bytes(broken)
    with pytest.raises((OSError, EOFError)):
        read_nifti(path)
