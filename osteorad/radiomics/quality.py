"""Which ROIs can be measured, and which measurements are doubtful (`radiomics.md`, section 9).

Nothing here repairs: a ROI that cannot be measured raises `SetAside` with its code, a doubtful one gives findings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteorad.errors import SetAside
from osteorad.images.volume import Mask, Volume

SMALL_VOXELS = 64
LOW_LEVELS = 4
Box = tuple[slice, slice, slice]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something missing or doubtful about the features of one ROI; the kind follows from the code."""

    feature_class: str  # all, one of names.CLASSES, suv, or texture (all five texture classes)
    code: str
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RoiBox:
    """Where a ROI lies on its grid."""

    box: Box  # bounding slices along i, j, k
    inside: NDArray[np.bool_]  # the mask within the box
    voxels: int


def bounding_box(array: NDArray[np.generic]) -> Box | None:
    """Bounding slices of the voxels that are not zero; None where there is none."""
    slices: list[slice] = []
    part = array
    for axis in (2, 1, 0):  # slowest axis of a NIfTI array first, so that the later passes read little
        others = tuple(other for other in range(3) if other != axis)
        used = np.flatnonzero(part.any(axis=others))
        if used.size == 0:
            return None
        slices.append(slice(int(used[0]), int(used[-1]) + 1))
        part = part[(slice(None),) * axis + (slices[-1],)]
    return slices[2], slices[1], slices[0]


def locate_roi(volume: Volume, mask: Mask) -> RoiBox:
    """Where the ROI lies; SetAside where it lies on another grid, is empty, or holds voxels without a finite value."""
    if not mask.grid.matches(volume.grid):
        raise SetAside("roi_geometry", f"ROI {_grid_text(mask)}; image {_grid_text(volume)}")
    box = bounding_box(mask.array)
    if box is None:
        raise SetAside("roi_empty", "0 voxels")
    inside = mask.array[box] != 0
    voxels = int(np.count_nonzero(inside))
    bad = int(np.count_nonzero(~np.isfinite(volume.array[box][inside])))
    if bad:
        raise SetAside("roi_non_finite", f"{bad} of {voxels} voxels")
    return RoiBox(box=box, inside=inside, voxels=voxels)


def require_dimensions(sides: tuple[int, int, int], voxels: int, minimum: int, where: str) -> None:
    """SetAside where the ROI is a voxel, a line or a plane and the preset asks for more.

    sides : extent of the bounding box in voxels. where : grid, for the detail.
    """
    thick = sum(side > 1 for side in sides)
    if minimum and voxels == 1:
        raise SetAside("roi_single_voxel", where)
    if thick < minimum:
        raise SetAside("roi_too_few_dimensions", f"{voxels} voxels in {_sides_text(sides)}, {where}")


def doubts(roi: RoiBox, volume: Volume) -> list[Finding]:
    """Flags of the ROI as drawn: one slice, one value, several parts, at the border, small."""
    sides = tuple(side.stop - side.start for side in roi.box)
    parts = int(ndimage.label(roi.inside, structure=np.ones((3, 3, 3), dtype=bool))[1])
    values = volume.array[roi.box][roi.inside]
    border = any(side.start == 0 or side.stop == size for side, size in zip(roi.box, volume.grid.shape, strict=True))
    checks = (
        ("roi_single_slice", min(sides) == 1, f"{_sides_text(sides)} voxels"),
        ("roi_flat", bool(values.min() == values.max()), f"value {float(values[0]):g}"),
        ("roi_components", parts > 1, f"{parts} parts"),
        ("roi_touches_border", border, ""),
        ("roi_small", roi.voxels < SMALL_VOXELS, f"{roi.voxels} voxels"),
    )
    return [Finding(feature_class="all", code=code, detail=detail) for code, found, detail in checks if found]


def low_levels(levels: Mapping[str, int]) -> list[Finding]:
    """Flag of the image types (name -> number of grey levels) whose ROI has too few levels for texture."""
    low = [f"{name} {count}" for name, count in levels.items() if count < LOW_LEVELS]
    return [Finding(feature_class="texture", code="levels_low", detail=", ".join(low))] if low else []


def undefined_features(columns: list[str]) -> list[Finding]:
    """One finding a class for columns whose value is not a finite number."""
    classes: dict[str, list[str]] = {}
    for column in columns:
        classes.setdefault("suv" if column.startswith("suv_") else column.split("_")[1], []).append(column)
    return [
        Finding(feature_class=name, code="feature_undefined", detail=_some(found)) for name, found in classes.items()
    ]


def _some(columns: list[str]) -> str:
    more = f", ... ({len(columns)} in all)" if len(columns) > 3 else ""
    return ", ".join(columns[:3]) + more


def _sides_text(sides: tuple[int, ...]) -> str:
    return " x ".join(str(side) for side in sides)


def _grid_text(thing: Volume | Mask) -> str:
    spacing = " x ".join(f"{side:.4g}" for side in thing.grid.spacing_mm)
    corner = ", ".join(f"{value:.2f}" for value in thing.grid.affine_ras[:3, 3])
    return f"{_sides_text(thing.grid.shape)} voxels of {spacing} mm from ({corner})"
