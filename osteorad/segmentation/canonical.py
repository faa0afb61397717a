"""The order of axes that networks see: columns from right to left, rows from front to back, slices from feet to head.

Files keep the order of their scanner; a network that learned from one order must be shown no other.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from osteorad.images.resample import resample_to_spacing
from osteorad.images.volume import Grid

# axes of a canonical grid in RAS: i to the patient's left, j to the back, k to the head
SENSE = np.diag([-1.0, -1.0, 1.0])


def canonical_grid(grid: Grid) -> Grid:
    """The same voxels with axes in the order and sense that networks see: left, back, head."""
    axes = _axis_order(grid.affine_ras[:3, :3])
    columns = grid.affine_ras[:3, :3][:, axes]
    signs = np.sign(np.einsum("ij,ij->j", SENSE, columns))
    sizes = np.asarray(grid.shape)[list(axes)]
    affine = np.eye(4)
    affine[:3, :3] = columns * signs
    first = np.zeros(3)  # index in the file of the canonical first voxel
    for axis, sign, size in zip(axes, signs, sizes, strict=True):
        first[axis] = 0 if sign > 0 else size - 1
    affine[:3, 3] = grid.affine_ras[:3, :3] @ first + grid.affine_ras[:3, 3]
    i, j, k = (int(size) for size in sizes)
    return Grid(shape=(i, j, k), affine_ras=affine)


def _axis_order(axes_ras: NDArray[np.float64]) -> tuple[int, int, int]:
    """Which axis of the file runs most nearly left, back and head."""
    weights = np.abs(axes_ras) / np.sqrt((axes_ras**2).sum(axis=0))
    orders = [(0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)]
    return max(orders, key=lambda order: sum(weights[row, axis] for row, axis in enumerate(order)))


def network_grid(grid: Grid, spacing_mm: Sequence[float | None] | None) -> Grid:
    """The grid on which a network sees an image.

    spacing_mm : across, front to back, up and down; None at an axis keeps that of the image, None as a whole all three.
    """
    canonical = canonical_grid(grid)
    if spacing_mm is None:
        return canonical
    own = canonical.spacing_mm
    x, y, z = (have if want is None else float(want) for have, want in zip(own, spacing_mm, strict=True))
    if np.allclose((x, y, z), own, rtol=1e-4):
        return canonical  # header rounding is no reason to blur an image
    return resample_to_spacing(canonical, (x, y, z))
