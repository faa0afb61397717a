"""A gate: bone that another network drew, grown, outside which no lesion is looked for.

An error of the bone stage is final (in Afnouch 2023 the sequence is worse than two decoders), so the gate is generous,
and what it costs is counted.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteorad.images.volume import SLAB

BoolArray = NDArray[np.bool_]


def grown(mask: BoolArray, spacing_mm: tuple[float, float, float], by_mm: float) -> BoolArray:
    """Voxels whose centre lies at most `by_mm` from that of a voxel of the mask.

    mask : (slices, rows, columns). spacing_mm : in the same order. Slab by slab, so that no distances of a whole volume
    are held; a slab sees all slices that reach into it.
    """
    if by_mm <= 0:
        return mask.copy()
    reach = [math.floor(by_mm / step + 1e-9) for step in spacing_mm]
    out = np.zeros(mask.shape, dtype=bool)
    for first in range(0, mask.shape[0], SLAB):
        last = min(first + SLAB, mask.shape[0])
        begin = max(first - reach[0], 0)
        around = mask[begin : last + reach[0]]
        if not around.any():
            continue
        rows, columns = (_span(around, axis, reach[axis]) for axis in (1, 2))
        away = ndimage.distance_transform_edt(~around[:, rows, columns], sampling=spacing_mm)
        out[first:last, rows, columns] = away[first - begin : last - begin] <= by_mm + 1e-6
    return out


def _span(mask: BoolArray, axis: int, reach: int) -> slice:
    """Where a mask can reach along an axis."""
    used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
    return slice(max(int(used[0]) - reach, 0), int(used[-1]) + reach + 1)
