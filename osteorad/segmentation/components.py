"""From voxels above the threshold to lesions: connected parts, the smallest dropped, numbered by size.

Arrays are (slice, row, column).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteorad.images.volume import Patch

TOUCHING = np.ones((3, 3, 3), dtype=bool)  # voxels that share a face, an edge or a corner: 26 neighbours


@dataclass(frozen=True, slots=True, kw_only=True)
class Smallest:
    """What a component needs to be a lesion; both limits hold."""

    ml: float
    voxels: int

    def keeps(self, voxels: int, voxel_ml: float) -> bool:
        """True for a component of so many voxels; a volume equal to the limit is kept, whatever the rounding."""
        return voxels >= self.voxels and voxels * voxel_ml >= self.ml * (1 - 1e-9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Component:
    """A lesion as drawn: its block (i, j, k), size, and highest probability."""

    patch: Patch
    voxels: int
    volume_ml: float
    score: float


def components(
    mask: NDArray[np.bool_], probabilities: NDArray[np.float32], *, voxel_ml: float, smallest: Smallest
) -> tuple[list[Component], int]:
    """Lesions by descending volume, ties by the place of their first voxel; and how many were too small.

    mask : (slices, rows, columns). probabilities : of the voxels of the mask, in its order.
    """
    box = _box(mask)
    if box is None:
        return [], 0
    within = mask[box]
    labels, found = ndimage.label(within, structure=TOUCHING)
    of_voxels = labels[within]
    sizes = np.bincount(of_voxels, minlength=found + 1)
    scores = np.zeros(found + 1, dtype=np.float32)
    np.maximum.at(scores, of_voxels, probabilities)
    kept = [number for number in range(1, found + 1) if smallest.keeps(int(sizes[number]), voxel_ml)]
    kept.sort(key=lambda number: (-sizes[number], number))
    places = ndimage.find_objects(labels)
    lesions = [
        Component(
            patch=_patch(labels, places[number - 1], number, box),
            voxels=int(sizes[number]),
            volume_ml=float(sizes[number] * voxel_ml),
            score=float(scores[number]),
        )
        for number in kept
    ]
    return lesions, found - len(kept)


def lost_components(mask: NDArray[np.bool_], gate: NDArray[np.bool_], *, voxel_ml: float, smallest: Smallest) -> int:
    """How many lesions of an ungated mask no longer are lesions inside the gate: nothing of them that is large enough.

    mask, gate : (slices, rows, columns).
    """
    box = _box(mask)
    if box is None:
        return 0
    labels, found = ndimage.label(mask[box], structure=TOUCHING)
    sizes = np.bincount(labels.ravel(), minlength=found + 1)
    parts, _ = ndimage.label(mask[box] & gate[box], structure=TOUCHING)
    within = np.bincount(parts.ravel())
    held = {
        int(whole)
        for part, whole in np.unique(np.stack([parts[parts > 0], labels[parts > 0]], axis=1), axis=0)
        if smallest.keeps(int(within[part]), voxel_ml)
    }
    return sum(smallest.keeps(int(sizes[number]), voxel_ml) and number not in held for number in range(1, found + 1))


def _box(mask: NDArray[np.bool_]) -> tuple[slice, slice, slice] | None:
    """The smallest block that holds all voxels of a mask; None where there is none."""
    spans = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not used.size:
            return None
        spans.append(slice(int(used[0]), int(used[-1]) + 1))
    return spans[0], spans[1], spans[2]


def _patch(
    labels: NDArray[np.int32], place: tuple[slice, slice, slice], number: int, box: tuple[slice, slice, slice]
) -> Patch:
    """The block of one component, turned from (slice, row, column) to (i, j, k)."""
    k, j, i = (inner.start + outer.start for inner, outer in zip(place, box, strict=True))
    return Patch(start=(i, j, k), array=(labels[place] == number).astype(np.uint8).transpose(2, 1, 0))
