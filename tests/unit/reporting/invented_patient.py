"""An invented patient: a small thorax with a spine, a CT and a PET, and contours; written as the earlier jobs write."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from osteorad.files import write_json
from osteorad.images.volume import write_nifti

SESSION = "s1a2b3c4d"


def _affine(
    spacing: tuple[float, float, float], shape: tuple[int, int, int], flips: tuple[int, int, int]
) -> np.ndarray:
    """Centred affine; a flip of -1 lets the axis run against RAS, as in DICOM."""
    affine = np.diag([*(step * sign for step, sign in zip(spacing, flips, strict=True)), 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return affine


def _points(shape: tuple[int, int, int], affine: np.ndarray) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"))
    return np.einsum("ab,bijk->aijk", affine[:3, :3], index) + affine[:3, 3][:, None, None, None]


def _ball(points: np.ndarray, middle: tuple[float, float, float], radius: float) -> np.ndarray:
    return sum((points[axis] - middle[axis]) ** 2 for axis in range(3)) < radius**2


# ROI, number, middle (RAS mm: the patient's right is +x), radius in mm, SUV
LESIONS = (
    ("lesion", 1, (28.0, -40.0, 6.0), 13.0, 11.4),
    ("lesion", 2, (-22.0, -46.0, -18.0), 8.0, 6.2),
    ("marrow", 1, (0.0, -44.0, 0.0), 11.0, 2.0),
)


def write_patient(
    root: Path,
    patient: str = "p0123456789ab",
    *,
    seed: int = 1,
    pet: bool = True,
    masks: bool = True,
    empty: bool = False,
    matrix: int = 160,
    slices: int = 40,
) -> tuple[Path, Path | None]:
    """images.json and masks.json of one patient under `root`; CT in HU (int16), PET in SUV (float32)."""
    rng = np.random.default_rng(seed)
    grids = {"ct": ((matrix, matrix, slices), (400.0 / matrix, 400.0 / matrix, 3.0), (-1, -1, 1))}
    if pet:
        grids["pet"] = ((matrix // 2, matrix // 2, slices), (800.0 / matrix, 800.0 / matrix, 3.0), (-1, -1, 1))
    images: list[dict[str, Any]] = []
    drawn: list[dict[str, Any]] = []
    for image, (shape, spacing, flips) in grids.items():
        affine = _affine(spacing, shape, flips)
        points = _points(shape, affine)
        array = _ct(points, rng) if image == "ct" else _pet(points, rng)
        path = f"{SESSION}/{image}.nii.gz"
        write_nifti(root / "images" / patient / path, array, affine)
        images.append(_image_facts(image, path, shape, spacing, affine))
        for roi, lesion, middle, radius, _ in LESIONS if masks else ():
            mask = _ball(points, middle, radius).astype(np.uint8) * (0 if empty else 1)
            name = f"{SESSION}/{image}/{roi}-{lesion}.nii.gz"
            write_nifti(root / "masks" / "manual" / patient / name, mask, affine)
            drawn.append(_mask_facts(image, roi, lesion, name, mask, float(np.prod(spacing)) / 1000))
    write_json(root / "images" / patient / "images.json", _images_json(patient, images))
    if not masks:
        return root / "images" / patient / "images.json", None
    written = {"cohort": "invented", "patient": patient, "set": "manual", "masks": drawn, "series": [], "set_aside": []}
    write_json(root / "masks" / "manual" / patient / "masks.json", written)
    return root / "images" / patient / "images.json", root / "masks" / "manual" / patient / "masks.json"


def _ct(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    x, y, z = points
    hu = np.full(x.shape, -1000.0)
    hu[(x / 165) ** 2 + (y / 115) ** 2 < 1] = -90
    hu[(x / 155) ** 2 + (y / 105) ** 2 < 1] = 45
    for side in (-1, 1):
        hu[((x - side * 75) / 55) ** 2 + ((y - 10) / 75) ** 2 < 1] = -830
    body = (x / 19) ** 2 + ((y + 44) / 15) ** 2
    disc = np.abs((z % 24) - 12) > 9
    hu[(body < 1) & ~disc] = 650
    hu[(body < 0.8) & ~disc] = 190
    hu[(body < 1) & disc] = 90
    # a cube on the patient's right, so that a swapped side is seen
    hu[(np.abs(x - 120) < 6) & (np.abs(y - 30) < 6)] = 1200
    hu[_ball(points, LESIONS[0][2], LESIONS[0][3])] = 820
    hu[_ball(points, LESIONS[1][2], LESIONS[1][3])] = -10
    return np.round(hu + rng.normal(0, 18, x.shape)).astype(np.int16)


def _pet(points: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    x, y, _ = points
    suv = np.where((x / 160) ** 2 + (y / 110) ** 2 < 1, 0.9, 0.02)
    for _, _, middle, radius, height in LESIONS:
        away = sum((points[axis] - middle[axis]) ** 2 for axis in range(3))
        suv = suv + height * np.exp(-away / (2 * (radius * 0.6) ** 2))
    return (suv * rng.lognormal(0, 0.06, x.shape)).astype(np.float32)


def _image_facts(
    image: str, path: str, shape: tuple[int, ...], spacing: tuple[float, ...], affine: np.ndarray
) -> dict[str, Any]:
    return {
        "image": image,
        "session": SESSION,
        "path": path,
        "sha256": "0" * 64,
        "units": "HU" if image == "ct" else "SUVbw",
        "modality": "CT" if image == "ct" else "PT",
        "series": "e11112222" if image == "ct" else "e33334444",
        "shape": list(shape),
        "spacing_mm": list(spacing),
        "affine_ras": affine.tolist(),
        "facts": {},
        "flags": [],
    }


def _mask_facts(image: str, roi: str, lesion: int, path: str, mask: np.ndarray, voxel_ml: float) -> dict[str, Any]:
    voxels = int(mask.sum())
    return {
        "session": SESSION,
        "image": image,
        "roi": roi,
        "lesion": lesion,
        "path": path,
        "sha256": "0" * 64,
        "voxels": voxels,
        "volume_ml": voxels * voxel_ml,
        "source": "rtstruct",
        "series": "e55556666",
        "flags": [] if voxels else ["roi_empty"],
        "hash": "abc",
    }


def _images_json(patient: str, images: list[dict[str, Any]]) -> dict[str, Any]:
    aside = {
        "session": SESSION,
        "stage": "series",
        "item": "e99990000",
        "count": 2,
        "kind": "not_chosen",
        "reason": "localizer_excluded",
        "detail": "",
    }
    return {
        "cohort": "invented",
        "patient": patient,
        "sessions": [{"session": SESSION, "order": 1, "day": 0}],
        "images": images,
        "series": [],
        "set_aside": [aside],
    }
