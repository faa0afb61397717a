"""From an image as it was taken to what a network sees: axes, spacing, window, scale.

A network sees arrays (slices, rows, columns): slices from feet to head, rows from front to back, columns from the
patient's right to left, whatever the order of axes in the file. Training and prediction come through `prepare_image`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteorad.images.lattice import Placement, placement
from osteorad.images.resample import resample_mask, resample_volume
from osteorad.images.volume import Grid, Mask, Volume
from osteorad.segmentation.canonical import network_grid
from osteorad.segmentation.cases import GREY, Case
from osteorad.segmentation.plan import Plan

FloatArray = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """An image as the network sees it.

    array_zyx : float32, shape (slices, rows, columns), windowed and scaled. grid : where its voxels lie; its shape is
    (columns, rows, slices), so an array of the network belongs to `grid` after `transpose(2, 1, 0)`.
    """

    array_zyx: FloatArray
    grid: Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingCase:
    """A prepared case with labels on the same grid, shape (slices, rows, columns), uint8."""

    name: str
    array_zyx: FloatArray
    labels_zyx: NDArray[np.uint8]
    grid: Grid


def prepare_image(volume: Volume, plan: Plan) -> Prepared:
    """An image on the grid of the plan, cut off at its window and scaled.

    ValueError where the image has other units than those of the training cases.
    """
    if volume.units != plan.units:
        raise ValueError(f"the network learned from images in {plan.units}; this one is in {volume.units}")
    target = network_grid(volume.grid, plan.spacing_mm)
    array = _moved(volume, target, outside=plan.window[0])
    return Prepared(array_zyx=scaled(array, plan), grid=target)


def scaled(array_xyz: NDArray[np.generic], plan: Plan) -> FloatArray:
    """Values within the window, less the mean, over the SD; axes turned to (slices, rows, columns)."""
    array = np.ascontiguousarray(array_xyz.transpose(2, 1, 0), dtype=np.float32)
    np.clip(array, *plan.window, out=array)
    array -= np.float32(plan.mean)
    array /= np.float32(plan.sd)
    return array


def prepare_case(case: Case, plan: Plan) -> TrainingCase:
    """A case as the network sees it; labels go by nearest neighbour."""
    image = prepare_image(case.volume, plan)
    labels = _moved_labels(case.labels, case.volume.grid, image.grid)
    return TrainingCase(
        name=case.name,
        array_zyx=image.array_zyx,
        labels_zyx=np.ascontiguousarray(labels.transpose(2, 1, 0)),
        grid=image.grid,
    )


def _moved(volume: Volume, target: Grid, *, outside: float) -> NDArray[np.generic]:
    if same := placement(volume.grid, target):
        return _turned(volume.array, same)
    if volume.units == GREY:
        raise ValueError("pictures without known spacing are not resampled")
    return resample_volume(volume, target, outside=outside).array


def _moved_labels(labels: NDArray[np.uint8], grid: Grid, target: Grid) -> NDArray[np.uint8]:
    if same := placement(grid, target):
        return _turned(labels, same).astype(np.uint8, copy=False)
    return resample_mask(Mask(array=labels, grid=grid), target).array


def _turned(array: NDArray[np.generic], same: Placement) -> NDArray[np.generic]:
    """The same voxels in the order of another grid that holds exactly them."""
    flipped = array[tuple(slice(None, None, sign) for sign in same.signs)]
    return flipped.transpose(np.argsort(same.axes))
