"""A baseline without any network for lesions: voxels inside bone that are unusually dense or unusually thin.

What is usual is told by the patient's own bone: the median of its interior, and the median absolute deviation as
standard deviation. Soft tissue that replaces marrow lies close to it, so that lytic lesions are found badly; that is
what a network has to beat, and by how much.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteorad.images.lattice import trimmed
from osteorad.images.volume import Patch
from osteorad.segmentation.lesion_match import Component, components
from osteorad.segmentation.surface import BoolArray, Spacing

SD_OF_MAD = 1.4826  # standard deviation of a normal distribution by its median absolute deviation
LEAST_INTERIOR = 100  # voxels, else nothing usual can be told


@dataclass(frozen=True, slots=True, kw_only=True)
class HuRule:
    """closed_mm : holes up to twice this wide count as bone, because a lesion may be one. rim_mm : cortex, left out.

    smooth_mm : width of the mean that takes away noise. deviations : how many standard deviations are unusual.
    """

    closed_mm: float = 5.0
    rim_mm: float = 3.0
    smooth_mm: float = 3.0
    deviations: float = 3.0


def hu_threshold(
    hu: NDArray[np.generic], bone: NDArray[np.generic], spacing_mm: Spacing, rule: HuRule | None = None
) -> list[Component]:
    """Components, 26-connected, the largest first; score: the largest deviation in it, in standard deviations.

    hu : CT in HU. bone : mask of the same shape; what is not 0 is bone, with or without its lesions. Sclerotic and
    lytic voxels are components of their own, so that a rim and its core are two.
    """
    chosen = rule or HuRule()
    box = _box(bone, _radius(chosen.closed_mm, spacing_mm))
    if box is None:
        return []
    inside = _interior(bone[box] != 0, spacing_mm, chosen)
    if np.count_nonzero(inside) < LEAST_INTERIOR:
        return []
    deviation = _deviation(hu[box], inside, [max(round(chosen.smooth_mm / mm), 1) for mm in spacing_mm])
    found = []
    for unusual in (inside & (deviation > chosen.deviations), inside & (deviation < -chosen.deviations)):
        for patch in components(unusual):
            score = float(np.abs(deviation[patch.slices][patch.array != 0]).max())
            i, j, k = (start + side.start for start, side in zip(patch.start, box, strict=True))
            found.append((Patch(start=(i, j, k), array=patch.array), round(score, 6)))
    ordered = sorted(found, key=lambda one: (-one[0].voxels, one[0].start))
    return [Component(number=n, patch=patch, score=score) for n, (patch, score) in enumerate(ordered, start=1)]


def _radius(mm: float, spacing_mm: Spacing) -> tuple[int, ...]:
    return tuple(round(mm / side) for side in spacing_mm)


def _box(bone: NDArray[np.generic], margin: tuple[int, ...]) -> tuple[slice, ...] | None:
    """The block that holds the bone, and a margin where there is one; None without bone."""
    held = trimmed(Patch(start=(0, 0, 0), array=bone))  # type: ignore[arg-type]
    if held is None:
        return None
    return tuple(slice(max(s.start - m, 0), s.stop + m) for s, m in zip(held.slices, margin, strict=True))


def _interior(bone: BoolArray, spacing_mm: Spacing, rule: HuRule) -> BoolArray:
    """Bone with its holes, without its rim, by boxes: separable, so that a whole body takes seconds."""
    closed, rim = _radius(rule.closed_mm, spacing_mm), _radius(rule.rim_mm, spacing_mm)
    grown = ndimage.maximum_filter(bone, size=[2 * r + 1 for r in closed], mode="constant", cval=0)
    back = [2 * (r + depth) + 1 for r, depth in zip(closed, rim, strict=True)]
    # beyond the face of the image nothing is known to be bone
    return np.asarray(ndimage.minimum_filter(grown, size=back, mode="constant", cval=0), dtype=bool)


def _deviation(hu: NDArray[np.generic], inside: BoolArray, width: list[int]) -> NDArray[np.float32]:
    """Smoothed HU as deviations from what is usual inside, in standard deviations of the smoothed image."""
    smooth = ndimage.uniform_filter(hu.astype(np.float32), size=width, mode="nearest")
    values = smooth[inside].astype(np.float64)
    usual = float(np.median(values))
    spread = SD_OF_MAD * float(np.median(np.abs(values - usual)))
    return np.asarray((smooth - np.float32(usual)) / np.float32(max(spread, 1.0)))
