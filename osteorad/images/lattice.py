"""Voxel lattices that coincide: a mask saved in another axis order, flipped or cropped, put back without resampling."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from osteorad.images.volume import Grid, Patch

# NIfTI stores affines as float32, DICOM as short decimals; a shift below a fiftieth of a voxel is rounding.
TOLERANCE_VOXELS = 0.02


@dataclass(frozen=True, slots=True)
class Placement:
    """How voxels of one grid lie on another: source axis a runs along target axis `axes[a]`, in sense `signs[a]`."""

    axes: tuple[int, int, int]
    signs: tuple[int, int, int]
    offset: tuple[int, int, int]  # target index of source voxel (0, 0, 0)

    @property
    def moved(self) -> bool:
        """True when axis order, sense or origin differ."""
        return self.axes != (0, 1, 2) or self.signs != (1, 1, 1) or self.offset != (0, 0, 0)


def corners(shape: tuple[int, int, int]) -> NDArray[np.float64]:
    """Indices of the eight corner voxels, as columns of an array (3, 8)."""
    return np.array(list(product(*((0, max(size - 1, 0)) for size in shape))), dtype=np.float64).T


def index_map(source: Grid, target: Grid) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Matrix (3, 3) and offset (3,) that take voxel indices of `source` to fractional indices of `target`."""
    inverse = np.linalg.inv(target.affine_ras[:3, :3])
    shift = inverse @ (source.affine_ras[:3, 3] - target.affine_ras[:3, 3])
    return inverse @ source.affine_ras[:3, :3], shift


def placement(
    source: Grid, target: Grid, tolerance_voxels: tuple[float, float, float] = (TOLERANCE_VOXELS,) * 3
) -> Placement | None:
    """Placement of `source` on `target` when their voxel centres coincide, None otherwise; extents may differ.

    tolerance_voxels : largest distance at any corner of `source`, along each target axis.
    """
    matrix, shift = index_map(source, target)
    whole, offset = np.rint(matrix), np.rint(shift)
    permutes = (np.abs(whole).sum(axis=0) == 1).all() and (np.abs(whole).sum(axis=1) == 1).all()
    if not permutes:
        return None
    off = (matrix - whole) @ corners(source.shape) + (shift - offset)[:, None]
    if (np.abs(off).max(axis=1) > np.asarray(tolerance_voxels)).any():
        return None
    axes = np.abs(whole).argmax(axis=0)
    i, j, k = (int(axis) for axis in axes)
    si, sj, sk = (int(whole[axis, column]) for column, axis in enumerate(axes))
    oi, oj, ok = (int(value) for value in offset)
    return Placement((i, j, k), (si, sj, sk), (oi, oj, ok))


def place(
    block: NDArray[np.uint8], start: tuple[int, int, int], where: Placement, shape: tuple[int, int, int]
) -> tuple[Patch | None, bool]:
    """Put a block of a source array onto the target grid.

    block, start : 0 and 1, and the source index of its first voxel. shape : size of the target.
    Returns the patch (None where the block lies wholly outside) and whether voxels that are 1 were cut off.
    """
    array = block[tuple(slice(None, None, sign) for sign in where.signs)]
    array = np.moveaxis(array, (0, 1, 2), where.axes)
    first = [0, 0, 0]
    for axis, (sign, begin, size) in enumerate(zip(where.signs, start, block.shape, strict=True)):
        here = where.axes[axis]
        first[here] = where.offset[here] + (begin if sign > 0 else -(begin + size - 1))
    low = [max(-begin, 0) for begin in first]
    high = [min(size, limit - begin) for begin, size, limit in zip(first, array.shape, shape, strict=True)]
    if any(a >= b for a, b in zip(low, high, strict=True)):
        return None, bool(block.any())
    kept = array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))]
    clipped = kept.shape != array.shape and np.count_nonzero(kept) < np.count_nonzero(array)
    i, j, k = (begin + cut for begin, cut in zip(first, low, strict=True))
    return Patch(start=(i, j, k), array=np.ascontiguousarray(kept)), bool(clipped)


def merged(patches: list[Patch]) -> Patch | None:
    """Union of patches of one grid; None where there is none."""
    full = [patch for patch in patches if patch.array.size]
    if len(full) < 2:
        return full[0] if full else None
    start = np.min([patch.start for patch in full], axis=0)
    stop = np.max([np.add(patch.start, patch.array.shape) for patch in full], axis=0)
    array = np.zeros(tuple(stop - start), dtype=np.uint8)
    i, j, k = (int(value) for value in start)
    union = Patch(start=(i, j, k), array=array)
    for patch in full:
        at = tuple(slice(s.start - o, s.stop - o) for s, o in zip(patch.slices, union.start, strict=True))
        array[at] |= patch.array
    return union


def trimmed(patch: Patch) -> Patch | None:
    """The smallest patch with the same voxels; None where no voxel is 1."""
    if not patch.array.any():
        return None
    cut, start = [], []
    for axis in range(3):
        held = np.flatnonzero(patch.array.any(axis=tuple(other for other in range(3) if other != axis)))
        cut.append(slice(int(held[0]), int(held[-1]) + 1))
        start.append(patch.start[axis] + int(held[0]))
    i, j, k = start
    return Patch(start=(i, j, k), array=patch.array[tuple(cut)])


def overlap(one: Patch, other: Patch) -> bool:
    """True when two patches of one grid share a voxel."""
    low = np.maximum(one.start, other.start)
    high = np.minimum(np.add(one.start, one.array.shape), np.add(other.start, other.array.shape))
    if (low >= high).any():
        return False
    parts = [
        patch.array[tuple(slice(a - s, b - s) for a, b, s in zip(low, high, patch.start, strict=True))]
        for patch in (one, other)
    ]
    return bool((parts[0] & parts[1]).any())
