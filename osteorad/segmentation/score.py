"""Scores of a predicted mask against its reference, voxel for voxel, and what they are where a mask is empty.

Empty convention. Both empty: a correct negative; Dice and IoU would be 1, and stand as `correct_negative`, so that a
mean of Dice holds only cases with something to find. Only the reference empty: no score, the volume predicted counts as
false. Only the prediction empty: Dice, IoU, recall and surface Dice are 0, distances do not exist. What does not exist
is None, never NaN.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteorad.images.lattice import trimmed
from osteorad.images.volume import Patch
from osteorad.segmentation.surface import BoolArray, Spacing, surface_distances

TOLERANCES_MM = (1.0, 2.0, 3.0)  # of surface Dice


@dataclass(frozen=True, slots=True, kw_only=True)
class VoxelScores:
    """Scores of one mask; volumes in ml, distances in mm, `volume_error` signed: prediction minus reference."""

    tp: int
    fp: int
    fn: int
    reference_ml: float
    predicted_ml: float
    volume_error_ml: float
    volume_error_percent: float | None = None
    correct_negative: bool | None = None  # None: there was something to find
    dice: float | None = None
    iou: float | None = None
    precision: float | None = None
    recall: float | None = None
    hd95_mm: float | None = None
    hd_mm: float | None = None
    assd_mm: float | None = None
    surface_dice: tuple[float | None, ...] = (None,) * len(TOLERANCES_MM)


def score_voxels(
    reference: NDArray[np.generic], prediction: NDArray[np.generic], spacing_mm: Spacing, voxel_ml: float | None = None
) -> VoxelScores:
    """Scores of a mask; what is not 0 is inside. ValueError where the shapes differ.

    spacing_mm : along each axis of the arrays. voxel_ml : of one voxel, where axes are not perpendicular.
    """
    if reference.shape != prediction.shape:
        raise ValueError(f"reference {reference.shape} and prediction {prediction.shape} differ in shape")
    want, got = reference != 0, prediction != 0
    tp = int(np.count_nonzero(want & got))
    fp, fn = int(np.count_nonzero(got)) - tp, int(np.count_nonzero(want)) - tp
    voxel = float(np.prod(spacing_mm)) / 1000.0 if voxel_ml is None else voxel_ml
    counted = VoxelScores(
        tp=tp,
        fp=fp,
        fn=fn,
        reference_ml=(tp + fn) * voxel,
        predicted_ml=(tp + fp) * voxel,
        volume_error_ml=(fp - fn) * voxel,
        correct_negative=None if tp + fn else not fp,
    )
    if not tp + fn:
        return counted
    hd95, hd, assd, surface_dice = _surface_scores(want, got, spacing_mm)
    return replace(
        counted,
        volume_error_percent=100.0 * (fp - fn) / (tp + fn),
        dice=2 * tp / (2 * tp + fp + fn),
        iou=tp / (tp + fp + fn),
        precision=tp / (tp + fp) if tp + fp else None,
        recall=tp / (tp + fn),
        hd95_mm=hd95,
        hd_mm=hd,
        assd_mm=assd,
        surface_dice=surface_dice,
    )


def _surface_scores(
    want: BoolArray, got: BoolArray, spacing_mm: Spacing
) -> tuple[float | None, float | None, float | None, tuple[float, ...]]:
    """HD95, HD, ASSD and surface Dice of a reference that is not empty."""
    held = trimmed(Patch(start=(0, 0, 0), array=(want | got).view(np.uint8)))
    distances = surface_distances(want[held.slices], got[held.slices], spacing_mm) if held is not None else None
    if distances is None:
        return None, None, None, (0.0,) * len(TOLERANCES_MM)
    surface_dice = tuple(distances.surface_dice(tolerance) for tolerance in TOLERANCES_MM)
    return distances.hd95, distances.hd, distances.assd, surface_dice
