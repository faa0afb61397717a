"""Contract 3: HU and SUVbw in their types, masks 0/1 on the grid of their own image, facts in images.json."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from osteorad.files import read_json
from osteorad.images.volume import read_nifti, write_nifti
from osteorad.provenance import sha256_file

COHORT = "results/cohorts/small"
TYPES = {"CT": ("HU", (np.int16, np.float32)), "PT": ("SUVbw", (np.float32,))}


def wrong_images(folder: Path) -> list[str]:
    """Everything wrong with one patient's images against its manifest."""
    problems = []
    manifest = read_json(folder / "images.json")
    listed = {row["path"] for row in manifest["images"]}
    found = {str(p.relative_to(folder)) for p in folder.rglob("*.nii.gz")}
    problems += [f"not listed: {name}" for name in sorted(found - listed)]
    for row in manifest["images"]:
        path = folder / row["path"]
        if not path.exists():
            problems.append(f"missing: {row['path']}")
            continue
        array, grid = read_nifti(path)
        units, types = TYPES[row["modality"]]
        checks = {
            "sha256": sha256_file(path) == row["sha256"],
            "units": row["units"] == units,
            "type": array.dtype in types,
            "shape": list(grid.shape) == row["shape"],
            "affine": np.allclose(grid.affine_ras, row["affine_ras"], atol=1e-4),
            "finite": bool(np.isfinite(array).all()),
            "right-handed or mirrored, not flat": abs(np.linalg.det(grid.affine_ras[:3, :3])) > 1e-3,
            "series": bool(row["series"]),
        }
        problems += [f"{row['path']}: {name}" for name, good in checks.items() if not good]
    return problems


def wrong_masks(images: Path, masks: Path) -> list[str]:
    """Everything wrong with one patient's masks."""
    problems = []
    grids = {
        (r["session"], r["image"]): read_nifti(images / r["path"])[1]
        for r in read_json(images / "images.json")["images"]
    }
    for row in read_json(masks / "masks.json")["masks"]:
        array, grid = read_nifti(masks / row["path"])
        if array.dtype != np.uint8 or not set(np.unique(array)) <= {0, 1}:
            problems.append(f"{row['path']}: not a mask")
        if int(array.sum()) != row["voxels"]:
            problems.append(f"{row['path']}: voxels")
        if not grid.matches(grids[row["session"], row["image"]]):
            problems.append(f"{row['path']}: another grid than its image")
        if sha256_file(masks / row["path"]) != row["sha256"]:
            problems.append(f"{row['path']}: sha256")
    return problems


def test_images_are_what_their_manifest_says(run):
    folders = sorted((run / COHORT / "images").iterdir())
    assert len(folders) == 12
    assert [p for folder in folders for p in wrong_images(folder)] == []


def test_masks_lie_on_their_own_image(run):
    folders = sorted((run / COHORT / "masks/manual").iterdir())
    assert len(folders) == 12
    assert [p for f in folders for p in wrong_masks(run / COHORT / "images" / f.name, f)] == []
    voxels = [row["voxels"] for f in folders for row in read_json(f / "masks.json")["masks"]]
    assert min(voxels) > 0


@pytest.fixture
def patient(run, tmp_path):
    """A copy of one patient's images and masks, to be broken."""
    name = sorted(p.name for p in (run / COHORT / "images").iterdir())[0]
    shutil.copytree(run / COHORT / "images" / name, tmp_path / "images")
    shutil.copytree(run / COHORT / "masks/manual" / name, tmp_path / "masks")
    return tmp_path


def test_a_moved_affine_and_a_changed_voxel_are_found(patient):
    row = read_json(patient / "images/images.json")["images"][0]
    array, grid = read_nifti(patient / "images" / row["path"])
    moved = grid.affine_ras.copy()
    moved[2, 3] += 3
    write_nifti(patient / "images" / row["path"], array, moved)
    assert any("affine" in p for p in wrong_images(patient / "images"))
    assert any("another grid" in p for p in wrong_masks(patient / "images", patient / "masks"))


def test_a_float_mask_and_a_lost_voxel_are_found(patient):
    row = read_json(patient / "masks/masks.json")["masks"][0]
    array, grid = read_nifti(patient / "masks" / row["path"])
    write_nifti(patient / "masks" / row["path"], array.astype(np.float32) * 0.5, grid.affine_ras)
    assert any("not a mask" in p for p in wrong_masks(patient / "images", patient / "masks"))


def test_an_unlisted_image_is_found(patient):
    row = read_json(patient / "images/images.json")["images"][0]
    shutil.copy(patient / "images" / row["path"], patient / "images/extra.nii.gz")
    assert wrong_images(patient / "images") == ["not listed: extra.nii.gz"]
