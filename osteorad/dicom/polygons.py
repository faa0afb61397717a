"""Closed polygons to pixels and to voxels: the centre decides, even-odd, edges half open.

A pixel (i, j) is inside when its centre lies between an odd and an even crossing of its row: an edge crosses row j when
y1 <= j < y2, a pixel belongs to the span x1 <= i < x2. So polygons that share an edge tile the plane without gap or
overlap, and several contours of one plane combine by exclusive-or: a hole is a contour within a contour.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteorad.images.volume import Grid, Patch

FloatArray = NDArray[np.float64]

# Rounding noise of affines is far below, DICOM's decimal strings far above a millionth of a pixel.
DECIMALS = 6


def fill_even_odd(
    polygons: Sequence[FloatArray], shape: tuple[int, int]
) -> tuple[tuple[int, int], NDArray[np.uint8]] | None:
    """Pixels inside the exclusive-or of closed polygons.

    polygons : arrays (n, 2) of x (first index) and y (second index) in pixels; pixel centres are whole numbers.
    shape : size of the image along the two indices.
    Returns the first pixel and a block of 0 and 1 that holds all pixels inside; None where none can be.
    """
    snapped = [np.round(polygon, DECIMALS) for polygon in polygons if len(polygon) >= 3]
    if not snapped:
        return None
    points = np.concatenate(snapped)
    low = np.maximum(np.ceil(points.min(axis=0)).astype(np.int64), 0)
    high = np.minimum(np.ceil(points.max(axis=0)).astype(np.int64), shape)  # one past the last pixel
    if (low >= high).any():
        return None
    width, height = (int(size) for size in high - low)
    rows, crossings = _crossings(snapped, int(low[1]), int(high[1]))
    columns = np.clip(np.ceil(crossings).astype(np.int64) - low[0], 0, width)
    toggles = np.bincount(rows * (width + 1) + columns, minlength=height * (width + 1)).reshape(height, width + 1)
    inside = (np.cumsum(toggles[:, :width], axis=1) & 1).astype(np.uint8)
    return (int(low[0]), int(low[1])), inside.T


def _crossings(polygons: Sequence[FloatArray], first_row: int, past_row: int) -> tuple[NDArray[np.int64], FloatArray]:
    """Where edges cross pixel rows: row (counted from first_row) and x of each crossing."""
    start = np.concatenate(polygons)
    end = np.concatenate([np.roll(polygon, -1, axis=0) for polygon in polygons])
    # The lower end first, whatever the sense of the contour: a shared edge crosses at the very same x for both.
    up = (start[:, 1] <= end[:, 1])[:, None]
    lower, upper = np.where(up, start, end), np.where(up, end, start)
    first = np.maximum(np.ceil(lower[:, 1]).astype(np.int64), first_row)
    past = np.minimum(np.ceil(upper[:, 1]).astype(np.int64), past_row)
    count = np.maximum(past - first, 0)
    edge = np.repeat(np.arange(len(count)), count)
    row = first[edge] + np.arange(len(edge)) - np.repeat(np.cumsum(count) - count, count)
    rise = upper[edge, 1] - lower[edge, 1]
    x = lower[edge, 0] + (row - lower[edge, 1]) * ((upper[edge, 0] - lower[edge, 0]) / rise)
    return row - first_row, np.round(x, DECIMALS)


def has_keyhole(points: FloatArray) -> bool:
    """True when the polygon walks one of its edges twice, as a hole cut open by a channel does."""
    here = np.round(points, DECIMALS)
    there = np.roll(here, -1, axis=0)
    moved = (here != there).any(axis=1)
    swap = (here[:, 0] > there[:, 0]) | ((here[:, 0] == there[:, 0]) & (here[:, 1] > there[:, 1]))
    edges = np.where(swap[:, None], np.hstack([there, here]), np.hstack([here, there]))[moved]
    return len(np.unique(edges, axis=0)) < len(edges)


@dataclass(frozen=True, slots=True)
class Planes:
    """The slices of a grid as planes: third index counts them, points are projected along their normal.

    Holds for oblique, flipped and sheared grids (a tilted gantry moves each slice within its own plane).
    """

    origin: FloatArray  # centre of voxel (0, 0, 0), mm
    to_plane: FloatArray  # (3, 3): mm -> in-plane indices of slice 0, and mm along the normal
    step: FloatArray  # in-plane shift in pixels, and mm along the normal, from one slice to the next

    @property
    def gap_mm(self) -> float:
        """Distance between neighbouring slices along the normal."""
        return abs(float(self.step[2]))


def planes_of(grid: Grid) -> Planes:
    """Slice planes of a grid (third index)."""
    axes = grid.affine_ras[:3, :3]
    normal = np.cross(axes[:, 0], axes[:, 1])
    normal = normal / np.sqrt((normal**2).sum())
    to_plane = np.linalg.inv(np.column_stack([axes[:, 0], axes[:, 1], normal]))
    return Planes(grid.affine_ras[:3, 3].copy(), to_plane, _transformed(to_plane, axes[None, :, 2])[0])


def _transformed(matrix: FloatArray, points: FloatArray) -> FloatArray:
    """Matrix times each point, term by term: a point gives the same numbers in whatever array it comes."""
    x, y, z = points.T
    return np.stack([row[0] * x + row[1] * y + row[2] * z for row in matrix], axis=1)


def plane_position(planes: Planes, points_ras: FloatArray) -> tuple[float, float]:
    """Middle of points (n, 3), RAS mm, counted in slices, and how far they leave one plane (range in mm)."""
    along = _transformed(planes.to_plane, points_ras - planes.origin)[:, 2]
    return float((along.min() + along.max()) / 2.0 / planes.step[2]), float(along.max() - along.min())


def in_plane(planes: Planes, points_ras: FloatArray, k: int) -> FloatArray:
    """Points (n, 3), RAS mm, projected onto slice k: array (n, 2) of indices i and j."""
    return _transformed(planes.to_plane, points_ras - planes.origin)[:, :2] - k * planes.step[:2]


def fill_slices(polygons: dict[int, list[FloatArray]], grid: Grid) -> Patch | None:
    """Voxels inside contours, each slice on its own.

    polygons : slice -> its contours as arrays (n, 2) of indices i and j.
    Returns the block from the first to the last pixel and slice that holds voxels; None where none is inside.
    """
    filled = {}
    for k, contours in sorted(polygons.items()):
        plane = fill_even_odd(contours, grid.shape[:2])
        if plane is not None and plane[1].any():
            filled[k] = plane
    if not filled:
        return None
    i0, j0 = (min(first[axis] for first, _ in filled.values()) for axis in (0, 1))
    i1, j1 = (max(first[axis] + block.shape[axis] for first, block in filled.values()) for axis in (0, 1))
    k0, k1 = min(filled), max(filled) + 1
    array = np.zeros((i1 - i0, j1 - j0, k1 - k0), dtype=np.uint8)
    for k, ((i, j), block) in filled.items():
        array[i - i0 : i - i0 + block.shape[0], j - j0 : j - j0 + block.shape[1], k - k0] = block
    return Patch(start=(i0, j0, k0), array=array)
