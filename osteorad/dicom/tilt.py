"""A tilted gantry: planes that are shifted sideways against each other are put on a straight grid.

Planes stay planes, so that contours still lie on them: each is shifted within itself by linear interpolation.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from osteorad.dicom.stack import LPS_TO_RAS, Stack

TINY = 1e-4  # of a voxel


def straighten(
    array_zyx: NDArray[np.generic], stack: Stack, padding: float
) -> tuple[NDArray[np.generic], NDArray[np.float64]]:
    """Values on the straight grid that holds all planes, and its affine (RAS mm); outside a plane: `padding`.

    array_zyx : values on the sheared grid of `stack`, shape (planes, rows, columns). The type is kept; whole numbers
    are rounded to nearest.
    """
    planes, rows, columns = array_zyx.shape
    # sideways shift of plane k in voxels: k * along_i, k * along_j
    along_i = float(stack.step_mm @ stack.row) / stack.spacing_mm[0]
    along_j = float(stack.step_mm @ stack.column) / stack.spacing_mm[1]
    start_i, count_i = _extent(along_i, planes, columns)
    start_j, count_j = _extent(along_j, planes, rows)
    out = np.full((planes, count_j, count_i), padding, dtype=array_zyx.dtype)
    for k in range(planes):
        plane = _shift(array_zyx[k].astype(np.float64), along_j * k - start_j, count_j, padding)
        plane = _shift(plane.T, along_i * k - start_i, count_i, padding).T
        out[k] = np.rint(plane) if np.issubdtype(out.dtype, np.integer) else plane
    affine = np.eye(4)
    affine[:3, 0] = stack.row * stack.spacing_mm[0]
    affine[:3, 1] = stack.column * stack.spacing_mm[1]
    affine[:3, 2] = stack.normal * stack.slice_spacing_mm
    affine[:3, 3] = stack.origin_mm + affine[:3, 0] * start_i + affine[:3, 1] * start_j
    return out, LPS_TO_RAS @ affine


def _extent(shift: float, planes: int, size: int) -> tuple[int, int]:
    """First index and number of voxels along one axis so that all shifted planes fit."""
    last = shift * (planes - 1)
    start = math.floor(min(0.0, last) + TINY)
    stop = math.ceil(max(0.0, last) - TINY) + size
    return start, stop - start


def _shift(plane: NDArray[np.float64], shift: float, count: int, padding: float) -> NDArray[np.float64]:
    """Lines of `plane` moved by `shift` along axis 0 into `count` lines; where a neighbour is missing: `padding`."""
    whole = math.floor(shift + TINY)
    part = shift - whole
    size = len(plane)
    out = np.full((count, plane.shape[1]), padding)
    if part <= TINY:
        out[whole : whole + size] = plane
    else:  # line n + whole + 1 lies between source lines n and n + 1
        out[whole + 1 : whole + size] = plane[:-1] * part + plane[1:] * (1.0 - part)
    return out
