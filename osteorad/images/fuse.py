"""Fused PET/CT (DESIGN section 9): CT -1000 to 3000 HU and PET 0 to 50 SUV, each scaled to 0..1, and their mean."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteorad.images.resample import resample_volume
from osteorad.images.volume import SLAB, Grid, Volume

CT_RANGE_HU = (-1000.0, 3000.0)
PET_RANGE_SUV = (0.0, 50.0)


def scaled(values: NDArray[np.generic], low: float, high: float) -> NDArray[np.float64]:
    """Values cut to low..high and scaled to 0..1, float64."""
    return (np.clip(values.astype(np.float64), low, high) - low) / (high - low)


def fused_values(hu: NDArray[np.generic], suv: NDArray[np.generic]) -> NDArray[np.float64]:
    """Mean of scaled CT (HU) and scaled PET (SUVbw) of the same voxels, 0..1."""
    return (scaled(hu, *CT_RANGE_HU) + scaled(suv, *PET_RANGE_SUV)) / 2.0


def fuse(ct: Volume, pet: Volume) -> Volume:
    """Fused image, float32 0..1, on the CT grid.

    ct : HU. pet : SUVbw on its own grid; brought over by linear interpolation, 0 SUV where no PET was measured.
    Slab by slab, so that no second volume of the size of the CT is held.
    """
    array = np.empty(ct.grid.shape, dtype=np.float32, order="F")
    for first in range(0, ct.grid.shape[2], SLAB):
        hu = ct.array[:, :, first : first + SLAB]
        suv = resample_volume(pet, slab_of(ct.grid, first, hu.shape[2]), method="linear", outside=0.0)
        array[:, :, first : first + SLAB] = fused_values(hu, suv.array)
    return Volume(array=array, grid=ct.grid, units="fused")


def slab_of(grid: Grid, first: int, slices: int) -> Grid:
    """The grid of `slices` slices from `first` on."""
    affine = grid.affine_ras.copy()
    affine[:3, 3] += grid.affine_ras[:3, 2] * first
    return Grid(shape=(*grid.shape[:2], slices), affine_ras=affine)
