"""Surfaces of masks and the distances between them, in mm.

A surface voxel is a voxel of the mask with at least one of its six face neighbours outside; outside the array counts as
outside the mask. Distances are between voxel centres, each to the nearest surface voxel of the other mask.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import KDTree

FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]
IntArray = NDArray[np.int64]
Spacing = tuple[float, float, float]

# Affines of NIfTI are float32: two voxels of 0.8 mm may lie 1.60000002 mm apart, and count as within 1.6 mm.
SAME_MM = 1e-4
PERCENTILE = 95.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SurfaceDistances:
    """For each surface voxel of one mask the distance to the surface of the other, mm; neither is empty."""

    reference_mm: FloatArray  # of the reference's surface voxels
    prediction_mm: FloatArray

    @property
    def hd(self) -> float:
        """Hausdorff distance: the largest of all."""
        return float(max(self.reference_mm.max(), self.prediction_mm.max()))

    @property
    def hd95(self) -> float:
        """The larger of the two directed 95th percentiles, by linear interpolation."""
        return float(max(np.percentile(self.reference_mm, PERCENTILE), np.percentile(self.prediction_mm, PERCENTILE)))

    @property
    def hd95_pooled(self) -> float:
        """95th percentile of both directions together: what some programs call HD95."""
        return float(np.percentile(self._pooled(), PERCENTILE))

    @property
    def assd(self) -> float:
        """Average symmetric surface distance: mean of both directions together."""
        return float(self._pooled().mean())

    @property
    def assd_of_means(self) -> float:
        """Mean of the two directed means: what some programs call ASSD."""
        return float((self.reference_mm.mean() + self.prediction_mm.mean()) / 2)

    def surface_dice(self, tolerance_mm: float) -> float:
        """Share of the surface voxels of both masks within `tolerance_mm` of the other surface."""
        return float(np.mean(self._pooled() <= tolerance_mm + SAME_MM))

    def _pooled(self) -> FloatArray:
        return np.concatenate([self.reference_mm, self.prediction_mm])


def surface_voxels(mask: BoolArray) -> BoolArray:
    """The surface voxels of a mask."""
    inner = mask.copy()
    for axis in range(mask.ndim):
        at, of = np.moveaxis(inner, axis, 0), np.moveaxis(mask, axis, 0)
        at[1:] &= of[:-1]
        at[:-1] &= of[1:]
        at[[0, -1]] = False
    return mask & ~inner


def surface_distances(reference: BoolArray, prediction: BoolArray, spacing_mm: Spacing) -> SurfaceDistances | None:
    """Distances between the surfaces of two masks of one shape; None where one is empty: nothing is no distance away.

    spacing_mm : distance of neighbours along each axis of the arrays.
    """
    if not reference.any() or not prediction.any():
        return None
    of_reference = np.argwhere(surface_voxels(reference))
    of_prediction = np.argwhere(surface_voxels(prediction))
    return SurfaceDistances(
        reference_mm=_nearest_mm(of_reference, of_prediction, spacing_mm),
        prediction_mm=_nearest_mm(of_prediction, of_reference, spacing_mm),
    )


def _nearest_mm(voxels: IntArray, others: IntArray, spacing_mm: Spacing) -> FloatArray:
    """Distance from each voxel (rows of indices) to the nearest of the others.

    A tree of the surface voxels gives what a distance transform gives, in memory that grows with the surface and not
    with the volume. Distances come from whole steps, so that they do not depend on where in the volume a pair lies.
    """
    spacing = np.asarray(spacing_mm, dtype=np.float64)
    _, nearest = KDTree(others * spacing).query(voxels * spacing)
    steps = (voxels - others[nearest]) * spacing
    return np.asarray(np.sqrt((steps**2).sum(axis=1)))
