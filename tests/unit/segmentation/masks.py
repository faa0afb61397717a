"""The reference pair (tests/data/segmentation), boxes, and manifests of mask sets as the stages before write them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from osteorad.files import write_json
from osteorad.images.volume import Grid, Patch, read_nifti, write_nifti
from osteorad.provenance import sha256_file
from osteorad.segmentation.lesion_match import Component
from tests.conftest import ROOT

FOLDER = ROOT / "tests/data/segmentation"
EXPECTED = json.loads((FOLDER / "expected.json").read_text())
SPACING = (0.8, 0.8, 3.0)  # x, y, z


def pair() -> tuple[np.ndarray, np.ndarray]:
    """Reference and prediction, axes x, y, z."""
    return tuple(np.asarray(read_nifti(FOLDER / f"{name}.nii.gz")[0]) for name in ("ref", "pred"))


def box(z: tuple[int, int], y: tuple[int, int], x: tuple[int, int], shape=(40, 40, 12)) -> np.ndarray:
    """A box of inclusive corners, as an array indexed x, y, z."""
    array = np.zeros(shape, dtype=np.uint8)
    array[x[0] : x[1] + 1, y[0] : y[1] + 1, z[0] : z[1] + 1] = 1
    return array


def grid_of(shape: tuple[int, int, int] = (40, 40, 12), spacing=SPACING) -> Grid:
    """An upright grid."""
    return Grid(shape=shape, affine_ras=np.diag([-spacing[0], -spacing[1], spacing[2], 1.0]))


def found(patches: list[Patch], scores: list[float] | None = None) -> list[Component]:
    """Components of patches, numbered from 1."""
    return [
        Component(number=n, patch=patch, score=scores[n - 1] if scores else None)
        for n, patch in enumerate(patches, start=1)
    ]


def mask_entry(
    folder: Path, array: np.ndarray, grid: Grid, *, session: str, roi: str, lesion: int, image: str = "ct", **more: Any
) -> dict[str, Any]:
    """Write a mask and return its entry of masks.json."""
    path = f"{session}/{image}/{roi}-{lesion}.nii.gz"
    write_nifti(folder / path, np.asfortranarray(array.astype(np.uint8)), grid.affine_ras)
    return {
        "session": session,
        "image": image,
        "roi": roi,
        "lesion": lesion,
        "path": path,
        "sha256": sha256_file(folder / path),
        "voxels": int(np.count_nonzero(array)),
        "volume_ml": round(np.count_nonzero(array) * grid.voxel_ml, 9),
        "flags": [],
        **more,
    }


def mask_set(folder: Path, patient: str, mask_set: str, entries: list[dict[str, Any]], set_aside=()) -> Path:
    """Write a patient's masks.json in the folder that holds its masks."""
    path = folder / "masks.json"
    manifest = {"cohort": "test", "patient": patient, "set": mask_set, "rois_in": len(entries), "masks": entries}
    write_json(path, {**manifest, "series": [], "set_aside": list(set_aside)})
    return path


def fold_manifest(folder: Path, patients: list[dict[str, Any]], network: str = "net") -> Path:
    """Write masks.json of a fold; patients : entries patient, sessions, role, path."""
    path = folder / "masks.json"
    head = {"cohort": "test", "analysis": "a", "network": network, "repeat": 1, "fold": 2, "set": f"auto-{network}"}
    write_json(path, {**head, "patients": [{"networks": ["i1"], "sha256": "", **entry} for entry in patients]})
    return path
