"""Key slices of a session: which planes are drawn, in which look, with which contours."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.images.volume import Grid, read_nifti
from osteorad.reporting import planes
from osteorad.reporting.outlines import outline_path
from osteorad.reporting.planes import VIEWS, Plane
from osteorad.reporting.wording import real

AIR_HU, BODY_HU, BODY_SUV = -1000.0, -400.0, 0.15
GREY = "grey"  # units of 2D slices as pictures; also the name of their look
CLOSE_MM, CLOSE_FACTOR = 140.0, 1.7


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """A contoured region: the smallest box that holds its mask, and where that box begins on the image's grid."""

    image: str
    roi: str
    lesion: int
    array: NDArray[np.uint8]
    start: tuple[int, int, int]
    grid: Grid
    volume_ml: float

    @property
    def label(self) -> str:
        """`lesion 2`."""
        return f"{self.roi} {self.lesion}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """An image of a session with its regions; looks are made from one or two of these."""

    image: str
    units: str
    array: NDArray[np.generic]
    grid: Grid
    regions: tuple[Region, ...]


def slug(*words: object) -> str:
    """An id made of words; anything but letters and digits becomes a hyphen."""
    return re.sub(r"[^A-Za-z0-9]+", "-", "-".join(str(word) for word in words)).strip("-").lower()


def read_region(path: Path, facts: Mapping[str, Any]) -> Region | None:
    """A mask cut to its box; None where it holds no voxel."""
    array, grid = read_nifti(path)
    filled = np.asarray(array).astype(bool)
    spans = []
    for axis in range(3):
        used = np.flatnonzero(filled.any(axis=tuple(other for other in range(3) if other != axis)))
        if not used.size:
            return None
        spans.append((int(used[0]), int(used[-1]) + 1))
    (i0, i1), (j0, j1), (k0, k1) = spans
    crop = np.ascontiguousarray(filled[i0:i1, j0:j1, k0:k1]).astype(np.uint8)
    return Region(
        image=facts["image"],
        roi=facts["roi"],
        lesion=int(facts["lesion"]),
        array=crop,
        start=(i0, j0, k0),
        grid=grid,
        volume_ml=float(crop.sum()) * grid.voxel_ml,
    )


def read_scan(path: Path, facts: Mapping[str, Any], regions: Sequence[Region]) -> Scan:
    """An image and the regions drawn on it."""
    array, grid = read_nifti(path)
    return Scan(image=facts["image"], units=facts["units"], array=array, grid=grid, regions=tuple(regions))


def axial_axis(grid: Grid) -> int:
    """Index of the array axis that runs most along the patient."""
    return int(np.argmax(np.abs(grid.affine_ras[2, :3] / np.linalg.norm(grid.affine_ras[:3, :3], axis=0))))


def key_point(region: Region, share: float | None = None) -> tuple[float, float, float]:
    """RAS mm of the middle of the largest cross-section, or of the slice at `share` of the region's length."""
    axis = axial_axis(region.grid)
    areas = region.array.sum(axis=tuple(other for other in range(3) if other != axis))
    filled = np.flatnonzero(areas)
    level = int(np.argmax(areas)) if share is None else int(filled[round(share * (filled.size - 1))])
    voxels = np.argwhere(np.take(region.array, [level], axis=axis)).astype(np.float64)
    middle = (voxels.min(axis=0) + voxels.max(axis=0)) / 2
    middle[axis] = level
    return planes.to_ras(region.grid, middle + np.asarray(region.start, dtype=np.float64))


def key_level(regions: Sequence[Region]) -> tuple[float, float, float]:
    """RAS mm of the largest cross-section that also cuts the most other regions; the largest region's where equal."""
    points = {id(region): key_point(region) for region in regions}
    spans = [_span_mm(region) for region in regions]

    def rank(region: Region) -> tuple[int, float]:
        z = points[id(region)][2]
        return sum(1 for low, high in spans if low <= z <= high), region.volume_ml

    return points[id(max(regions, key=rank))]


def _span_mm(region: Region) -> tuple[float, float]:
    """Lowest and highest z (RAS mm) of a region's slices."""
    ends = [key_point(region, share)[2] for share in (0.0, 1.0)]
    return min(ends), max(ends)


def extent_mm(region: Region) -> float:
    """Longest edge of the region's box in mm."""
    return float(max(size * step for size, step in zip(region.array.shape, region.grid.spacing_mm, strict=True)))


def top_suv(scan: Scan) -> float:
    """Upper end of the grey scale: the highest SUV of any region, rounded up, or of the image's highest 0.5 %."""
    highest = [float(_inside(scan.array, region).max()) for region in scan.regions]
    finite = [value for value in highest if np.isfinite(value)]
    value = max(finite) if finite else float(np.nanpercentile(scan.array.astype(np.float32), 99.5))
    return float(max(np.ceil(value), planes.LEAST_SUV))


def _inside(array: NDArray[np.generic], region: Region) -> NDArray[np.generic]:
    box = tuple(slice(begin, begin + size) for begin, size in zip(region.start, region.array.shape, strict=True))
    return np.asarray(array[box][region.array > 0])


def body_plane(scan: Scan, level_ras: tuple[float, float, float], longest_px: int) -> Plane:
    """Axial plane at a level, cut to the body (voxels denser than air, or with uptake)."""
    low, high = _box_ras(scan.grid)
    middle = ((low[0] + high[0]) / 2, (low[1] + high[1]) / 2, level_ras[2])
    coarse = Plane(
        middle_ras=middle,
        view="axial",
        width=max(int((high[0] - low[0]) / 4), 1),
        height=max(int((high[1] - low[1]) / 4), 1),
        pixel_mm=4.0,
    )
    outside = AIR_HU if scan.units == "HU" else 0.0
    body = planes.sample_image(scan.array, scan.grid, coarse, outside) > (BODY_HU if scan.units == "HU" else BODY_SUV)
    if scan.units == GREY or not body.any():
        body[:] = True
    ys, xs = np.flatnonzero(body.any(axis=1)), np.flatnonzero(body.any(axis=0))
    width_mm, height_mm = (xs[-1] - xs[0] + 5) * 4.0, (ys[-1] - ys[0] + 5) * 4.0
    centre = (
        middle[0] - ((xs[0] + xs[-1]) / 2 - (coarse.width - 1) / 2) * 4.0,
        middle[1] - ((ys[0] + ys[-1]) / 2 - (coarse.height - 1) / 2) * 4.0,
        level_ras[2],
    )
    pixel = max(width_mm, height_mm * 4 / 3) / longest_px
    return Plane(
        middle_ras=centre,
        view="axial",
        width=longest_px,
        height=longest_px * 3 // 4,
        pixel_mm=float(pixel),
    )


def close_plane(whole: Plane, regions: Sequence[Region]) -> Plane:
    """The plane moved and enlarged to the regions that it cuts, with their surroundings; itself where it cuts none."""
    cut = np.zeros((whole.height, whole.width), dtype=bool)
    for region in regions:
        cut |= planes.sample_mask(region.array, region.grid, region.start, whole)
    if not cut.any():
        return whole
    ys, xs = np.nonzero(cut)
    wide_mm = float(max(np.ptp(xs) + 1, (np.ptp(ys) + 1) * 4 / 3)) * whole.pixel_mm * CLOSE_FACTOR
    pixel = min(max(wide_mm, CLOSE_MM) / whole.width, whole.pixel_mm)
    points = whole.points_ras()
    middle = points[:, int((ys.min() + ys.max()) / 2), int((xs.min() + xs.max()) / 2)]
    return replace(whole, middle_ras=(float(middle[0]), float(middle[1]), float(middle[2])), pixel_mm=pixel)


def _box_ras(grid: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    corners = np.array(
        [
            (*planes.to_ras(grid, np.array([i, j, k], dtype=np.float64)),)
            for i in (-0.5, grid.shape[0] - 0.5)
            for j in (-0.5, grid.shape[1] - 0.5)
            for k in (-0.5, grid.shape[2] - 0.5)
        ]
    )
    return corners.min(axis=0), corners.max(axis=0)


def image_middle(scan: Scan) -> tuple[float, float, float]:
    """RAS mm of the middle of an image, where no region says which slice to show."""
    return planes.to_ras(scan.grid, np.round((np.asarray(scan.grid.shape, dtype=np.float64) - 1) / 2))


def look_pixels(look: str, ct: Scan | None, pet: Scan | None, plane: Plane, upper_suv: float) -> NDArray[np.uint8]:
    """Pixels of one look (ct, pet or fused) on a plane."""
    hu = planes.sample_image(ct.array, ct.grid, plane, AIR_HU) if ct is not None and look != "pet" else None
    suv = planes.sample_image(pet.array, pet.grid, plane, 0.0) if pet is not None and look != "ct" else None
    if suv is not None:
        suv = np.nan_to_num(suv)
    if hu is not None and look == GREY:
        return np.clip(np.rint(hu), 0, 255).astype(np.uint8)
    if hu is not None and suv is not None:
        return planes.fused(hu, suv, upper_suv)
    if hu is not None:
        return planes.grey_ct(hu)
    if suv is None:
        raise ValueError(f"look {look!r} needs an image")
    return planes.grey_pet(suv, upper_suv)


def outlines_on(plane: Plane, regions: Sequence[Region], *, labels: bool) -> list[dict[str, Any]]:
    """Outlines of the regions that the plane cuts: roi, lesion, label, path, place of the label (None without)."""
    found = []
    for region in regions:
        cut = planes.sample_mask(region.array, region.grid, region.start, plane)
        if not cut.any():
            continue
        ys, xs = np.nonzero(cut)
        entry = {"roi": region.roi, "lesion": region.lesion, "label": region.label, "d": outline_path(cut)}
        side = "left" if xs.mean() < plane.width / 2 else "right"
        entry["x"] = float(xs.min() - 5 if side == "left" else xs.max() + 6) if labels else None
        entry["y"] = float(ys.mean() + 5) if labels else None
        entry["anchor"] = "end" if side == "left" else "start"
        found.append(entry)
    if labels:
        _spread(found, plane.height)
    return found


def _spread(entries: Sequence[dict[str, Any]], height: int, step: float = 17.0) -> None:
    """Move labels of one side apart so that they can be read, downwards, kept on the picture."""
    for side in ("start", "end"):
        own = sorted((entry for entry in entries if entry["anchor"] == side), key=lambda entry: entry["y"])
        for before, entry in pairwise(own):
            entry["y"] = max(entry["y"], before["y"] + step)
        over = own[-1]["y"] - (height - 6) if own else 0.0
        if over > 0:
            for entry in own:
                entry["y"] -= over


def look_words(look: str, upper_suv: float) -> str:
    """How a look is scaled, in words."""
    low, high = planes.BONE_WINDOW_HU
    return {
        "ct": f"CT, {real(low, 0)} to {real(high, 0)} HU",
        "pet": f"PET, SUV 0 to {real(upper_suv, 0)}",
        "fused": f"PET over CT, SUV 0 to {real(upper_suv, 0)}",
        GREY: "Slice as it came, 0 to 255",
    }[look]


def picture_item(
    name: str,
    look: str,
    plane: Plane,
    outlines: Sequence[Mapping[str, Any]],
    *,
    subject: str,
    label: str,
    full_letters: bool,
) -> dict[str, Any]:
    """A gallery item without its pixels; the alternative text says what is shown and which contours it cuts."""
    shown = sorted({str(entry["label"]) for entry in outlines})
    contours = f"contours: {', '.join(shown)}" if shown else "no contour in this plane"
    return {
        "id": name,
        "picture": name,
        "title": f"{subject}, {plane.view}",
        "alt": f"{subject}, {plane.view} slice, {look}; {contours}.",
        "label": label,
        "width": plane.width,
        "height": plane.height,
        "letters": list(VIEWS[plane.view][2]),
        "full_letters": full_letters,
        "light": look == "pet",
        "outlines": [dict(entry) for entry in outlines],
    }
