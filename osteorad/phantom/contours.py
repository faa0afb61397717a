"""Contours from masks, and mask files.

A contour runs half-way between the voxel centres inside and outside (marching squares), so that testing each voxel
centre by the even-odd rule gives back the very mask.
"""

from __future__ import annotations

import gzip
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Bools = NDArray[np.bool_]
Points = NDArray[np.float64]

# The four neighbours' corners of a cell are numbered 1 (top left), 2 (top right), 4 (bottom right), 8 (bottom left);
# a segment joins two of the cell's sides: 0 top, 1 right, 2 bottom, 3 left.
_SIDES: dict[int, tuple[tuple[int, int], ...]] = {
    1: ((3, 0),), 2: ((0, 1),), 3: ((3, 1),), 4: ((1, 2),), 5: ((3, 0), (1, 2)), 6: ((0, 2),), 7: ((3, 2),),
    8: ((2, 3),), 9: ((2, 0),), 10: ((0, 1), (2, 3)), 11: ((2, 1),), 12: ((1, 3),), 13: ((1, 0),), 14: ((0, 3),),
}  # fmt: skip
_OFFSETS = ((0, 1), (1, 2), (2, 1), (1, 0))  # middle of each side in half steps (row, column) from the cell's corner


def outlines(mask: Bools) -> list[Points]:
    """Closed polygons around a 2D mask (rows, columns): points (n, 2) as (row, column) indices, half steps allowed."""
    padded = np.pad(mask.astype(np.uint8), 1)
    code = padded[:-1, :-1] + 2 * padded[:-1, 1:] + 4 * padded[1:, 1:] + 8 * padded[1:, :-1]
    onward: dict[tuple[int, int], tuple[int, int]] = {}
    for row, column in zip(*np.nonzero((code > 0) & (code < 15)), strict=True):
        for first, second in _SIDES[int(code[row, column])]:
            a, b = _OFFSETS[first], _OFFSETS[second]
            onward[(2 * row + a[0], 2 * column + a[1])] = (2 * row + b[0], 2 * column + b[1])
    found = []
    while onward:
        start = min(onward)
        ring = [start]
        at = onward.pop(start)
        while at != start:
            ring.append(at)
            at = onward.pop(at)
        found.append(_corners(np.array(ring, dtype=float) / 2 - 1))
    return found


def _corners(ring: Points) -> Points:
    """The ring without points that lie on a straight line between their neighbours."""
    before, after = ring - np.roll(ring, 1, axis=0), np.roll(ring, -1, axis=0) - ring
    turns = np.abs(before[:, 0] * after[:, 1] - before[:, 1] * after[:, 0]) > 1e-9
    return ring[turns]


def nrrd_bytes(mask: Bools, spacing: Sequence[float], origin: Sequence[float], *, margin: int = 2) -> bytes:
    """An NRRD mask (uint8, LPS) cropped to the mask and a margin, as segmentation programs save it.

    mask : (z, y, x). spacing, origin : mm along x, y, z and the centre of voxel (0, 0, 0).
    """
    found = np.argwhere(mask).T if mask.any() else np.zeros((3, 1), dtype=int)
    low = [max(0, int(np.min(axis)) - margin) for axis in found]
    high = [min(n, int(np.max(axis)) + 1 + margin) for axis, n in zip(found, mask.shape, strict=True)]
    part = mask[low[0] : high[0], low[1] : high[1], low[2] : high[2]].astype(np.uint8)
    start = [o + i * s for o, i, s in zip(origin, reversed(low), spacing, strict=True)]
    header = [
        "NRRD0004",
        "# Complete NRRD file format specification at:",
        "# http://teem.sourceforge.net/nrrd/format.html",
        "type: unsigned char",
        "dimension: 3",
        "space: left-posterior-superior",
        "sizes: " + " ".join(str(n) for n in reversed(part.shape)),
        f"space directions: ({spacing[0]:.10g},0,0) (0,{spacing[1]:.10g},0) (0,0,{spacing[2]:.10g})",
        "kinds: domain domain domain",
        "encoding: gzip",
        f"space origin: ({start[0]:.10g},{start[1]:.10g},{start[2]:.10g})",
        "",
        "",
    ]
    return "\n".join(header).encode() + gzip.compress(part.tobytes(), compresslevel=6, mtime=0)
