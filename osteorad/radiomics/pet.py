"""Metabolic features of a PET ROI, from the untouched PET grid: SUVmax, mean, peak, metabolic volume, glycolysis.

SUVpeak is the mean within a sphere of 1 ml whose centre is a voxel of the ROI; voxels outside the ROI count. A voxel
that lies partly in the sphere counts by the part that does (4 x 4 x 4 points a voxel), so that voxels of 4 mm sample
0.97 ml rather than 1.22 ml. `suv_Peak` takes the centre with the highest mean (PERCIST; IBSI loc_peak_glob),
`suv_Peak-local` the voxel of SUVmax (EANM; IBSI loc_peak_loc).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

import numpy as np
from numpy.typing import NDArray

from osteorad.images.volume import Volume
from osteorad.radiomics.names import suv_names, threshold_name
from osteorad.radiomics.quality import Finding, RoiBox, undefined_features

SPHERE_RADIUS_MM = float((3000.0 / (4.0 * np.pi)) ** (1.0 / 3.0))  # 6.2035: 1 ml
SUBVOXELS = 4


@cache
def sphere_weights(spacing_mm: tuple[float, float, float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Offsets (n, 3) in voxels and the part of each voxel that lies in the sphere of 1 ml, for a grid spacing."""
    spacing = np.asarray(spacing_mm)
    reach = np.ceil(SPHERE_RADIUS_MM / spacing + 0.5).astype(int)
    grids = np.meshgrid(*(np.arange(-side, side + 1) for side in reach), indexing="ij")
    offsets = np.stack([grid.ravel() for grid in grids], axis=1).astype(np.int64)
    inner = (np.arange(SUBVOXELS) + 0.5) / SUBVOXELS - 0.5
    points = np.stack([grid.ravel() for grid in np.meshgrid(inner, inner, inner, indexing="ij")], axis=1)
    squared = (((offsets[:, None, :] + points[None, :, :]) * spacing) ** 2).sum(axis=2)
    weights = (squared <= SPHERE_RADIUS_MM**2).mean(axis=1)
    return offsets[weights > 0], weights[weights > 0]


def peak_means(volume: Volume, centres: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Mean in the 1 ml sphere about each centre (n, 3), and whether the sphere lies wholly in the image.

    A sphere that leaves the image has the mean of what is there.
    """
    offsets, weights = sphere_weights(volume.grid.spacing_mm)
    shape = np.asarray(volume.grid.shape)
    total, weight = np.zeros(len(centres)), np.zeros(len(centres))
    whole = np.ones(len(centres), dtype=bool)
    for offset, share in zip(offsets, weights, strict=True):
        place = centres + offset
        valid = ((place >= 0) & (place < shape)).all(axis=1)
        whole &= valid
        place = place[valid]
        total[valid] += share * volume.array[place[:, 0], place[:, 1], place[:, 2]].astype(np.float64)
        weight[valid] += share
    return total / weight, whole


def _peaks(
    volume: Volume, centres: NDArray[np.int64], values: NDArray[np.float64]
) -> tuple[dict[str, float], list[Finding]]:
    """The two SUVpeaks; one whose sphere leaves the image is missing, because its mean is not over 1 ml."""
    means, whole = peak_means(volume, centres)
    hottest = np.flatnonzero(values == values.max())
    chosen = {"suv_Peak": int(means.argmax()), "suv_Peak-local": int(hottest[means[hottest].argmax()])}
    found = {name: float(means[index]) for name, index in chosen.items() if whole[index]}
    outside = ", ".join(name for name in chosen if name not in found)
    undefined = [
        name for name, value in found.items() if not np.isfinite(value)
    ]  # a voxel beside the ROI is not finite
    findings = [Finding(feature_class="suv", code="suv_peak_outside", detail=outside)] if outside else []
    return {name: found[name] for name in found if name not in undefined}, findings + undefined_features(undefined)


def suv_features(
    volume: Volume, roi: RoiBox, *, fixed: Sequence[float], percent: Sequence[float]
) -> tuple[dict[str, float], list[Finding]]:
    """Metabolic features of a ROI of a PET in SUV by body weight, and what could not be computed.

    fixed : thresholds in SUV. percent : thresholds in per cent of the ROI's own maximum. A voxel at a threshold counts.
    Values are SUV, ml (MTV) and SUV ml (TLG: sum of SUV above the threshold times the volume of a voxel).
    Raises ValueError for an image that is not in SUVbw.
    """
    if volume.units != "SUVbw":
        raise ValueError(f"metabolic features need an image in SUVbw, found {volume.units}")
    corner = np.array([side.start for side in roi.box])
    centres = np.argwhere(roi.inside) + corner
    values = volume.array[roi.box][roi.inside].astype(np.float64)
    highest = float(values.max())
    found = {"suv_Max": highest, "suv_Mean": float(values.mean())}
    peaks, findings = _peaks(volume, centres, values)
    found |= peaks
    for threshold, name in [(p / 100 * highest, p) for p in percent] + [(value, value) for value in fixed]:
        above = values[values >= threshold]
        found[f"suv_MTV-{threshold_name(name)}"] = above.size * volume.grid.voxel_ml
        found[f"suv_TLG-{threshold_name(name)}"] = float(above.sum()) * volume.grid.voxel_ml
    return {name: found[name] for name in suv_names(fixed, percent) if name in found}, findings
