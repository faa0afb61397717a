"""The voxels that features are computed on: a ROI cut out of its image, on its own grid or on pyradiomics' new one.

Images are float32 from here on: pyradiomics keeps the pixel type when it resamples, so that an int16 CT would be
rounded to whole HU and a float CT would not.
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from osteorad.errors import SetAside
from osteorad.images.volume import Grid, Mask, Volume
from osteorad.radiomics import quality

sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)

# Input voxels kept about the part to be resampled. The prefilter of the cubic B-spline decays as 0.268 a voxel and is
# started by ITK to 1e-10, so that 28 voxels leave less than the last bit of a float32.
SPLINE_MARGIN = 28
LPS = np.diag([-1.0, -1.0, 1.0])
Index = NDArray[np.int64]


def to_sitk(array: NDArray[np.generic], grid: Grid, start: tuple[int, int, int] = (0, 0, 0)) -> sitk.Image:
    """SimpleITK image of an array (i, j, k) that begins at voxel `start` of a grid; RAS becomes LPS.

    Spacings are rounded to 1e-6 mm, which removes the float32 noise of a NIfTI header.
    """
    image = sitk.GetImageFromArray(np.ascontiguousarray(array.T))
    axes = LPS @ grid.affine_ras[:3, :3]
    lengths = np.sqrt((axes**2).sum(axis=0))
    image.SetSpacing([round(float(length), 6) for length in lengths])
    image.SetDirection((axes / lengths).ravel().tolist())
    image.SetOrigin((LPS @ (grid.affine_ras @ np.array([*start, 1.0]))[:3]).tolist())
    return image


def _crop(volume: Volume, low: Index, high: Index) -> sitk.Image:
    """Voxels low to high (exclusive) of an image as float32; SetAside where one of them has no finite value."""
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    part = volume.array[i, j, k].astype(np.float32)
    if not np.isfinite(part).all():
        raise SetAside("roi_non_finite", "a voxel beside the ROI, within reach of interpolation and filters")
    return to_sitk(part, volume.grid, (i.start, j.start, k.start))


def native_roi(volume: Volume, mask: Mask, box: quality.Box, pad: int) -> tuple[sitk.Image, sitk.Image]:
    """Image and mask on the image's own voxels, cut to the ROI and `pad` voxels about it (pyradiomics' preCrop)."""
    size = np.array(volume.grid.shape)
    low = np.maximum(np.array([side.start for side in box]) - pad, 0)
    high = np.minimum(np.array([side.stop for side in box]) + pad, size)
    i, j, k = (slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
    inside = (mask.array[i, j, k] != 0).astype(np.uint8)
    return _crop(volume, low, high), to_sitk(inside, volume.grid, (i.start, j.start, k.start))


def resampled_roi(
    volume: Volume, mask: Mask, box: quality.Box, spacing_mm: tuple[float, float, float], pad: int
) -> tuple[sitk.Image, sitk.Image]:
    """Image (cubic B-spline) and mask (nearest neighbour) on pyradiomics' grid for a ROI.

    The grid is aligned to the image's first corner and covers the ROI and `pad` new voxels about it; a direction in
    which the ROI is one voxel thick keeps its spacing. The mask is resampled from the whole grid: half-way points are
    decided by the last bit of a position, which a crop would change.
    """
    whole = to_sitk(mask.array, volume.grid)
    size, old = np.array(volume.grid.shape), np.array(whole.GetSpacing())
    low = np.array([side.start for side in box])
    sides = np.array([side.stop - side.start for side in box])
    new = np.where(sides != 1, np.array(spacing_mm, dtype=float), old)
    if np.allclose(old, new):
        return native_roi(volume, mask, box, pad)
    ratio = old / new
    first = np.maximum(np.floor((low - 0.5) * ratio - pad), 0)
    last = np.minimum(np.ceil((low + sides - 0.5) * ratio + pad), np.ceil(size * ratio) - 1)
    near = np.maximum(np.floor(first / ratio).astype(int) - SPLINE_MARGIN, 0)
    far = np.minimum(np.ceil((last + 1) / ratio).astype(int) + SPLINE_MARGIN, size)
    resample = sitk.ResampleImageFilter()
    resample.SetOutputSpacing(new.tolist())
    resample.SetOutputDirection(whole.GetDirection())
    resample.SetSize((last - first + 1).astype(int).tolist())
    resample.SetOutputOrigin(
        whole.TransformContinuousIndexToPhysicalPoint((0.5 * (new - old) / old + first / ratio).tolist())
    )
    resample.SetInterpolator(sitk.sitkBSpline)
    image = resample.Execute(_crop(volume, near, far))
    resample.SetInterpolator(sitk.sitkNearestNeighbor)
    return image, resample.Execute(whole) != 0
