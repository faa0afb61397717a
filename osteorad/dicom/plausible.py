"""Values that look like an image but cannot be HU or SUV: a lost intercept, a lost slope, a factor applied twice.

The bounds are wide enough for a cropped limb, a head without air, metal, a hot bladder; they catch errors of scale.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.errors import SetAside

LOWEST_HU = -1100  # air and its noise
SAMPLE = 2_000_000  # voxels looked at: enough for shares of 0.01 %


def _sample(array: NDArray[Any]) -> NDArray[np.float64]:
    """Every n-th voxel as float; the stride is odd so that it does not walk along one column."""
    flat = array.reshape(-1)
    return flat[:: max(1, flat.size // SAMPLE) | 1].astype(np.float64)


def refuse_hu(array: NDArray[Any]) -> None:
    """SetAside(hu_out_of_range) unless the values can be HU of a body.

    Soft tissue must be there (-200 to 300 HU: at least 1 % of the voxels, and a fifth of those above -700 HU); tissue
    must not be as dense as bone on the whole (median above -300 HU at most 500 HU); and an image without anything
    below water must not be dense over more than 1 %, as it is when the intercept of -1024 was lost; at most a fifth may
    vary below air, as it does when the intercept was applied twice (not seen in a crop without air and fat).
    """
    values = _sample(array)
    soft = float(np.mean((values > -200) & (values < 300)))
    if soft < 0.01 or soft < 0.2 * float(np.mean(values > -700)):
        raise SetAside("hu_out_of_range", f"{100 * soft:.2f} % of the voxels between -200 and 300 HU")
    tissue = values[values > -300]
    middle = float(np.median(tissue))
    if middle > 500:
        raise SetAside("hu_out_of_range", f"median of tissue {middle:.0f} HU")
    below = float(np.mean((values < -50) & (values > LOWEST_HU)))
    dense = float(np.mean(values > 300))
    if below < 1e-4 and dense > 0.01:
        raise SetAside("hu_out_of_range", f"nothing below water, {100 * dense:.0f} % above 300 HU: intercept lost?")
    low = _varied(values[values < LOWEST_HU]) / values.size
    if low > 0.2:
        raise SetAside("hu_out_of_range", f"{100 * low:.0f} % of the voxels below {LOWEST_HU} HU")
    if values.min() < -20000 or values.max() > 40000:
        raise SetAside("hu_out_of_range", f"{values.min():.0f} to {values.max():.0f} HU")


def _varied(values: NDArray[np.float64]) -> int:
    """Number of values without constants such as the -3024 outside of the field of view."""
    _, counts = np.unique(values, return_counts=True)
    return int(counts[counts <= 0.2 * values.size].sum())


def refuse_suv(array: NDArray[Any]) -> None:
    """SetAside(suv_out_of_range) unless the values can be SUVbw of a patient.

    By construction the whole body averages about 1. At least 1 % of the voxels must exceed 0.2, some must exceed 0.5,
    the median of those above 0.2 must stay under 15, 99.9 % of the voxels under 200, and few may be negative.
    """
    values = _sample(array)
    uptake = values[values > 0.2]
    share = uptake.size / values.size
    top = float(array.max())
    if share < 0.01 or top < 0.5:
        raise SetAside("suv_out_of_range", f"{100 * share:.2f} % of the voxels above 0.2, maximum {top:.3g}")
    middle, high = float(np.median(uptake)), float(np.quantile(values, 0.999))
    if middle > 15 or high > 200 or top > 50_000:
        raise SetAside("suv_out_of_range", f"median {middle:.3g}, 99.9 % below {high:.3g}, maximum {top:.3g}")
    if float(np.mean(values < -0.5)) > 0.01:
        raise SetAside("suv_out_of_range", f"{100 * float(np.mean(values < -0.5)):.0f} % of the voxels below -0.5")
