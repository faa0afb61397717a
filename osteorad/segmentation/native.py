"""Between the grid of an image and the grid that a network sees, slab by slab.

Both grids share their axes and their centre (`images.resample.resample_to_spacing`), so that trilinear interpolation is
one linear interpolation an axis. Weights are those of the whole axis: a slab has the very values of the whole. Arrays
are (slice, row, column); half a voxel beyond the outer centres the outer value holds.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from osteorad.images.resample import SNAP_VOXELS, resample_to_spacing
from osteorad.images.volume import SLAB, Grid

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Axis:
    """Linear interpolation along one axis: each target voxel lies `share` of the way from `lower` to `upper`."""

    lower: NDArray[np.intp]
    upper: NDArray[np.intp]
    share: FloatArray

    def part(self, first: int, last: int) -> Axis:
        """Target voxels from first to last, whose source begins at their lowest source voxel."""
        begin = int(self.lower[first])
        return Axis(self.lower[first:last] - begin, self.upper[first:last] - begin, self.share[first:last])

    @property
    def copies(self) -> bool:
        """True where each target voxel is a source voxel."""
        return not self.share.any()


def axis_between(source: int, target: int, ratio: float) -> Axis:
    """The axis from `source` voxels to `target` voxels of one centre; ratio : target spacing over source spacing."""
    at = (np.arange(target) - (target - 1) / 2.0) * ratio + (source - 1) / 2.0
    at = np.where(np.abs(at - np.rint(at)) < SNAP_VOXELS, np.rint(at), at)
    at = np.clip(at, 0, source - 1)
    lower = np.floor(at).astype(np.intp)
    share = (at - lower).astype(np.float32)
    return Axis(lower, np.where(share > 0, lower + 1, lower), share)


def axes_between(source: Grid, target: Grid) -> tuple[Axis, Axis, Axis]:
    """Axes of slices, rows and columns from one grid to another of the same axes and centre.

    Raises ValueError where axes or centres differ by over a hundredth of a voxel.
    """
    _refuse_turned(source, target)
    sizes = zip(source.shape, target.shape, source.spacing_mm, target.spacing_mm, strict=True)
    i, j, k = (axis_between(a, b, there / here) for a, b, here, there in sizes)
    return k, j, i


def _refuse_turned(source: Grid, target: Grid) -> None:
    matrix = np.linalg.inv(source.affine_ras) @ target.affine_ras
    centre = matrix @ np.array([*((np.asarray(target.shape) - 1) / 2.0), 1.0])
    turned = matrix[:3, :3] - np.diag(np.diag(matrix[:3, :3]))
    apart = np.abs(centre[:3] - (np.asarray(source.shape) - 1) / 2.0)
    if np.abs(turned).max() * max(target.shape) > 0.01 or apart.max() > 0.01 or np.diag(matrix)[:3].min() <= 0:
        raise ValueError("the two grids do not share their axes and their centre")


def seen_grid(grid: Grid, spacing_mm: Sequence[float | None]) -> Grid:
    """The grid that a network sees: spacing along i, j, k; None keeps that of the image."""
    i, j, k = (
        own if wanted is None else float(wanted) for wanted, own in zip(spacing_mm, grid.spacing_mm, strict=True)
    )
    return resample_to_spacing(grid, (i, j, k))


def between(array: NDArray[np.generic], axes: tuple[Axis, Axis, Axis]) -> FloatArray:
    """Values at the target voxels; array : (..., slices, rows, columns)."""
    values = array.astype(np.float32, copy=False)
    for place, axis in zip((-3, -2, -1), axes, strict=True):
        values = _along(values, axis, place)
    return values


def _along(values: FloatArray, axis: Axis, place: int) -> FloatArray:
    if axis.copies:
        if np.array_equal(axis.lower, np.arange(values.shape[place])):
            return values
        return values.take(axis.lower, axis=place)
    shape = [1] * values.ndim
    shape[place] = -1
    low, high = values.take(axis.lower, axis=place), values.take(axis.upper, axis=place)
    high -= low
    high *= axis.share.reshape(shape)
    low += high
    return low


@dataclass(frozen=True, slots=True)
class Source:
    """An image on the grid that a network sees, computed where it is asked for.

    array : (slices, rows, columns) on its own grid. axes : from there to the network's grid.
    """

    array: NDArray[np.generic]
    axes: tuple[Axis, Axis, Axis]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Size on the network's grid."""
        slices, rows, columns = (axis.lower.size for axis in self.axes)
        return slices, rows, columns

    def read(self, first: int, last: int) -> FloatArray:
        """Slices first to last of the network's grid."""
        k, j, i = self.axes
        begin, end = int(k.lower[first]), int(k.upper[last - 1]) + 1
        return between(self.array[begin:end], (k.part(first, last), j, i))


@dataclass(slots=True)
class Stream:
    """Probabilities that come slice by slice on a network's grid, read on the image's grid.

    found : arrays (channels, slices, rows, columns) in order. axes : from the network's grid to the image's.
    """

    found: Iterator[FloatArray]
    axes: tuple[Axis, Axis, Axis]
    held: FloatArray | None = field(default=None, init=False)
    begin: int = field(default=0, init=False)  # slice of the network's grid at which `held` begins

    def slab(self, first: int, last: int) -> FloatArray:
        """Probabilities of slices first to last of the image; slabs are asked for in order."""
        k, j, i = self.axes
        low, high = int(k.lower[first]), int(k.upper[last - 1]) + 1
        while self.held is None or self.begin + self.held.shape[1] < high:
            more = next(self.found)
            self.held = more if self.held is None else np.concatenate([self.held, more], axis=1)
        self.held, self.begin = self.held[:, low - self.begin :], low
        return between(self.held[:, : high - low], (k.part(first, last), j, i))


def mean_slabs(streams: Sequence[Stream], slices: int, slab: int = SLAB) -> Iterator[tuple[int, FloatArray]]:
    """First slice and mean probabilities of all streams, slab by slab on the image's grid."""
    for first in range(0, slices, slab):
        last = min(first + slab, slices)
        total = streams[0].slab(first, last).astype(np.float32, copy=True)
        for stream in streams[1:]:
            total += stream.slab(first, last)
        yield first, total / np.float32(len(streams))
