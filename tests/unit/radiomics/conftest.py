"""Small images with ROIs made in code, and patients made of them, as the rooms before this one write them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from scipy import ndimage

from osteorad.files import write_json
from osteorad.images.volume import Grid, Mask, Volume, write_nifti
from osteorad.provenance import sha256_file


def make_grid(shape=(48, 48, 24), spacing_mm=(2.0, 2.0, 3.0), origin_mm=(-51.3, 20.7, 403.1), turn_deg=0.0) -> Grid:
    """Grid whose first two axes run to the left and back, as in a DICOM series; `turn_deg` makes it oblique."""
    a, b = np.deg2rad(turn_deg), np.deg2rad(turn_deg / 2)
    about_z = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1]])
    about_x = np.array([[1, 0, 0], [0, np.cos(b), -np.sin(b)], [0, np.sin(b), np.cos(b)]])
    affine = np.eye(4)
    affine[:3, :3] = about_z @ about_x @ np.diag([-1.0, -1.0, 1.0]) @ np.diag(spacing_mm)
    affine[:3, 3] = origin_mm
    return Grid(shape=shape, affine_ras=affine)


def make_volume(grid: Grid, units: str = "HU", seed: int = 0) -> Volume:
    """Smooth noise in the range of marrow: int16 HU, float32 SUV or float32 fused."""
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(0, 1, grid.shape), 1.1)
    noise /= noise.std()
    if units == "HU":
        array: Any = np.round(150 + 90 * noise).astype(np.int16)
    elif units == "SUVbw":
        array = np.abs(3 + 1.5 * noise).astype(np.float32)
    else:
        array = np.clip(0.15 + 0.02 * noise, 0, 1).astype(np.float32)
    return Volume(array=np.asfortranarray(array), grid=grid, units=units)


def make_ball(grid: Grid, radius_mm: float = 11.0, centre=None) -> Mask:
    """A ball with a wavy surface; `centre` in voxels."""
    place = np.indices(grid.shape, dtype=float)
    centre = (np.array(grid.shape) - 1) / 2 if centre is None else np.asarray(centre, dtype=float)
    steps = (place - centre[:, None, None, None]) * np.array(grid.spacing_mm)[:, None, None, None]
    reach = radius_mm * (1 + 0.15 * np.sin(place[0]) * np.cos(place[1]))
    return Mask(array=((steps**2).sum(axis=0) <= reach**2).astype(np.uint8), grid=grid)


def make_mask(grid: Grid, *voxels: tuple[Any, Any, Any]) -> Mask:
    """A mask of single voxels or slices."""
    array = np.zeros(grid.shape, dtype=np.uint8)
    for voxel in voxels:
        array[voxel] = 1
    return Mask(array=array, grid=grid)


@dataclass
class Patient:
    """A folder with the manifests of one patient; images and masks are added one by one."""

    root: Path
    name: str = "p000000000001"
    images: list[dict[str, Any]] = field(default_factory=list)
    grids: list[dict[str, Any]] = field(default_factory=list)
    masks: list[dict[str, Any]] = field(default_factory=list)

    def add_image(self, image: str, volume: Volume, session: str = "s01") -> None:
        folder = self.root / ("grids/fused" if image == "fused" else "images") / self.name
        path = folder / session / f"{image}.nii.gz"
        write_nifti(path, volume.array, volume.grid.affine_ras)
        entry = {
            "image": image,
            "session": session,
            "path": f"{session}/{image}.nii.gz",
            "sha256": sha256_file(path),
            "units": volume.units,
        }
        if image == "fused":
            self.grids.append({**entry, "mask_image": "ct"})
        else:
            self.images.append(entry)

    def add_mask(self, image: str, mask: Mask, roi: str = "lesion", lesion: int = 1, session: str = "s01") -> None:
        name = f"{session}/{image}/{roi}-{lesion}.nii.gz"
        path = self.root / "masks/manual" / self.name / name
        write_nifti(path, mask.array, mask.grid.affine_ras)
        entry = {"session": session, "image": image, "roi": roi, "lesion": lesion, "path": name}
        self.masks.append({**entry, "sha256": sha256_file(path), "flags": []})

    def write(self) -> Mapping[str, Any]:
        """Write the manifests; arguments of `extract_patient`."""
        head = {"cohort": "test", "patient": self.name}
        paths = {
            "images": self.root / "images" / self.name / "images.json",
            "masks": self.root / "masks/manual" / self.name / "masks.json",
        }
        write_json(paths["images"], {**head, "sessions": [], "images": self.images})
        write_json(paths["masks"], {**head, "set": "manual", "masks": self.masks})
        grids = []
        if self.grids:
            grids = [self.root / "grids/fused" / self.name / "grid.json"]
            write_json(grids[0], {**head, "grid": "fused", "images": self.grids})
        return {**paths, "grids": grids}


@pytest.fixture(scope="session")
def build() -> SimpleNamespace:
    """Makers of grids, images and masks."""
    return SimpleNamespace(grid=make_grid, volume=make_volume, ball=make_ball, mask=make_mask)


@pytest.fixture
def new_patient(tmp_path) -> Callable[..., Patient]:
    """Maker of patients below `tmp_path`."""
    return lambda name="p000000000001", folder="cohort": Patient(root=tmp_path / folder, name=name)


@pytest.fixture
def pet_ct(build, new_patient) -> Callable[..., Patient]:
    """Maker of a PET/CT patient: lesion 1 on both images, lesion 2 on the CT only, marrow on both."""

    def make(name="p000000000001", folder="cohort", seed=0) -> Patient:
        patient = new_patient(name, folder)
        ct, pet = build.grid(), build.grid(shape=(24, 24, 18), spacing_mm=(4.0, 4.0, 4.0))
        patient.add_image("ct", build.volume(ct, "HU", seed))
        patient.add_image("pet", build.volume(pet, "SUVbw", seed))
        patient.add_image("fused", build.volume(ct, "fused", seed))
        for image, grid in (("ct", ct), ("pet", pet)):
            patient.add_mask(image, build.ball(grid))
            patient.add_mask(image, build.ball(grid, radius_mm=14), roi="marrow")
        patient.add_mask("ct", build.ball(ct, radius_mm=9, centre=(30, 30, 12)), lesion=2)
        return patient

    return make
