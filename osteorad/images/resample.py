"""Resampling from grid to grid: volumes by linear or B-spline interpolation, masks by nearest neighbour only.

Works for any affine (oblique, flipped, sheared), slab by slab along the third axis, in one thread. The field of view of
a volume is its voxels' full extent: half a voxel beyond the outer centres the outer value holds, further out none.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteorad.images.lattice import index_map
from osteorad.images.volume import SLAB, Grid, Mask, Patch, Volume

Method = Literal["linear", "bspline"]

# A centre that misses a voxel border or centre by rounding noise counts as on it.
SNAP_VOXELS = 1e-6


def resample_to_spacing(grid: Grid, spacing_mm: tuple[float, float, float]) -> Grid:
    """A grid of other spacing about the same centre and along the same axes, at least as large.

    Follows the IBSI 1 reference manual (chapter on interpolation): sizes are rounded up, grid centres coincide.
    """
    ratio = np.asarray(spacing_mm) / np.asarray(grid.spacing_mm)
    shape = np.ceil(np.round(np.asarray(grid.shape) / ratio, 6)).astype(int)
    axes = grid.affine_ras[:3, :3] * ratio
    centre = grid.affine_ras[:3, :3] @ ((np.asarray(grid.shape) - 1) / 2.0) + grid.affine_ras[:3, 3]
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = centre - axes @ ((shape - 1) / 2.0)
    i, j, k = (int(size) for size in shape)
    return Grid(shape=(i, j, k), affine_ras=affine)


def resample_volume(volume: Volume, target: Grid, *, method: Method = "linear", outside: float = 0.0) -> Volume:
    """Values of a volume at the voxel centres of another grid.

    Returns float32 on `target` (the array itself, in its type, where both grids are the same); `outside` stands where
    the volume was not measured, see `field_of_view`.
    """
    if volume.grid.matches(target):
        return Volume(array=volume.array, grid=target, units=volume.units)
    order = 1 if method == "linear" else 3
    source = volume.array
    if order > 1:
        source = ndimage.spline_filter(source.astype(np.float64), order=order, mode="nearest")
    elif not np.issubdtype(source.dtype, np.floating):
        source = source.astype(np.float32)
    matrix, shift = _snapped(*index_map(target, volume.grid))
    array = np.empty(target.shape, dtype=np.float32, order="F")
    for first, last in _slabs(target.shape[2]):
        part = ndimage.affine_transform(
            source,
            matrix,
            offset=shift + matrix[:, 2] * first,
            output_shape=(*target.shape[:2], last - first),
            output=np.float64,
            order=order,
            mode="nearest",
            prefilter=False,
        )
        part[~_inside(volume.grid.shape, matrix, shift, target.shape, first, last)] = outside
        array[:, :, first:last] = part
    return Volume(array=array, grid=target, units=volume.units)


def field_of_view(source: Grid, target: Grid) -> Mask:
    """Voxels of `target` whose centre lies in the extent of `source`."""
    matrix, shift = _snapped(*index_map(target, source))
    array = np.empty(target.shape, dtype=np.uint8, order="F")
    for first, last in _slabs(target.shape[2]):
        array[:, :, first:last] = _inside(source.shape, matrix, shift, target.shape, first, last)
    return Mask(array=array, grid=target)


def resample_mask(mask: Mask, target: Grid) -> Mask:
    """A mask or label map on another grid by nearest neighbour: values are kept, never blended; 0 outside.

    A centre exactly between two voxels takes the one of the higher index.
    """
    if mask.grid.matches(target):
        return Mask(array=mask.array, grid=target)
    matrix, shift = _snapped(*index_map(target, mask.grid))
    array = np.zeros(target.shape, dtype=mask.array.dtype, order="F")
    for first, last in _slabs(target.shape[2]):
        inside = np.ones((*target.shape[:2], last - first), dtype=bool)
        index = []
        for axis, size in enumerate(mask.grid.shape):
            nearest = np.floor(_along(axis, matrix, shift, target.shape, first, last) + 0.5 + SNAP_VOXELS)
            inside &= (nearest >= 0) & (nearest < size)
            index.append(np.clip(nearest, 0, size - 1).astype(np.intp))
        array[:, :, first:last] = np.where(inside, mask.array[tuple(np.broadcast_arrays(*index))], 0)
    return Mask(array=array, grid=target)


def resample_patch(array: NDArray[np.uint8], source: Grid, target: Grid) -> Patch | None:
    """A mask of 0 and 1 on another grid by nearest neighbour, computed only where it can lie; None where nowhere."""
    matrix, shift = index_map(source, target)
    extent = np.array(list(product(*((-0.5, size - 0.5) for size in source.shape)))).T
    reach = matrix @ extent + shift[:, None]
    low = np.maximum(np.floor(reach.min(axis=1)).astype(int), 0)
    high = np.minimum(np.ceil(reach.max(axis=1)).astype(int) + 1, target.shape)
    if (low >= high).any():
        return None
    affine = target.affine_ras.copy()
    affine[:3, 3] += target.affine_ras[:3, :3] @ low
    i, j, k = (int(size) for size in high - low)
    part = resample_mask(Mask(array=array, grid=source), Grid(shape=(i, j, k), affine_ras=affine))
    return Patch(start=(int(low[0]), int(low[1]), int(low[2])), array=part.array)


def _slabs(size: int) -> Iterator[tuple[int, int]]:
    for first in range(0, size, SLAB):
        yield first, min(first + SLAB, size)


def _snapped(
    matrix: NDArray[np.float64], shift: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The map without rounding noise, so that grids that coincide give the stored values exactly."""
    return np.round(matrix, 10) + 0.0, np.round(shift, 8) + 0.0


def _along(
    axis: int,
    matrix: NDArray[np.float64],
    shift: NDArray[np.float64],
    shape: tuple[int, int, int],
    first: int,
    last: int,
) -> NDArray[np.float64]:
    """Source index along one source axis for a slab of the target; axes that do not matter stay of size one."""
    total = np.full((1, 1, 1), shift[axis])
    for target_axis, (begin, end) in enumerate(((0, shape[0]), (0, shape[1]), (first, last))):
        if matrix[axis, target_axis]:
            sizes = [1, 1, 1]
            sizes[target_axis] = end - begin
            total = total + (matrix[axis, target_axis] * np.arange(begin, end)).reshape(sizes)
    return total


def _inside(
    source_shape: tuple[int, int, int],
    matrix: NDArray[np.float64],
    shift: NDArray[np.float64],
    shape: tuple[int, int, int],
    first: int,
    last: int,
) -> NDArray[np.bool_]:
    inside = np.ones((*shape[:2], last - first), dtype=bool)
    for axis, size in enumerate(source_shape):
        at = _along(axis, matrix, shift, shape, first, last)
        inside &= (at >= -0.5 - SNAP_VOXELS) & (at <= size - 0.5 + SNAP_VOXELS)
    return inside
