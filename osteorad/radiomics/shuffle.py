"""A negative control: the ROI's voxels in random order. Volume, shape and histogram stay, texture is gone.

What a model still finds on such features it does not find in texture (Welch et al. 2019, Radiother Oncol 130).
"""

from __future__ import annotations

import numpy as np

from osteorad.images.volume import Mask, Volume
from osteorad.provenance import seed_from


def shuffle_inside(volume: Volume, mask: Mask, name: str) -> Volume:
    """A copy of an image whose voxels inside a mask are permuted, in an order drawn from `name`.

    volume, mask : on one grid. Voxels outside stay.
    """
    array = np.array(volume.array)
    inside = mask.array > 0
    values = array[inside]
    array[inside] = values[np.random.default_rng(seed_from(name)).permutation(len(values))]
    return Volume(array=array, grid=volume.grid, units=volume.units)
