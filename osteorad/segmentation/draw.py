"""Masks of one image from trained networks: lesions one by one, and bone where the networks learned it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.segmentation import PredictionSettings
from osteorad.images.lattice import place, placement
from osteorad.images.volume import Grid, Patch, Volume
from osteorad.segmentation.canonical import canonical_grid
from osteorad.segmentation.cases import GREY
from osteorad.segmentation.components import Component, Smallest, components, lost_components
from osteorad.segmentation.gate import grown
from osteorad.segmentation.infer import BONE, LESION, TrainedNetwork, mean_probabilities, turned
from osteorad.segmentation.numerics import Machine

BONE_THRESHOLD = 0.5  # the threshold of the settings is that of lesions


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """Bone that another network drew on the same image, indexed (i, j, k), and by how much it is grown."""

    bone: NDArray[np.generic]
    by_mm: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """What was drawn on an image, on its own grid.

    bone : the block that holds it, empty where there is none; None where the networks learned no bone. dropped :
    components that were too small. lost : lesions that the gate cost; None without a gate.
    """

    lesions: tuple[Component, ...]
    bone: Patch | None
    dropped: int
    lost: int | None


def draw(
    volume: Volume,
    networks: Sequence[TrainedNetwork],
    machine: Machine,
    settings: PredictionSettings,
    gate: Gate | None = None,
) -> Drawn:
    """Draw lesions, and bone where it was learned, by the mean probability of all networks."""
    canonical = canonical_grid(volume.grid)
    lesion, bone, scores = _thresholded(volume, networks, machine, settings, canonical)
    smallest = Smallest(ml=0.0 if volume.units == GREY else settings.smallest_ml, voxels=settings.smallest_voxels)
    lost = None
    if gate is not None:
        i, j, k = canonical.spacing_mm
        opened = grown(turned(gate.bone, volume.grid) != 0, (k, j, i), gate.by_mm)
        lost = lost_components(lesion, opened, voxel_ml=canonical.voxel_ml, smallest=smallest)
        scores = scores[opened[lesion]]
        lesion &= opened
    found, dropped = components(lesion, scores, voxel_ml=canonical.voxel_ml, smallest=smallest)
    return Drawn(
        lesions=tuple(replace(one, patch=_home(one.patch, canonical, volume.grid)) for one in found),
        bone=None if bone is None else _home(_whole(bone), canonical, volume.grid),
        dropped=dropped,
        lost=lost,
    )


def _thresholded(
    volume: Volume, networks: Sequence[TrainedNetwork], machine: Machine, settings: PredictionSettings, canonical: Grid
) -> tuple[NDArray[np.bool_], NDArray[np.bool_] | None, NDArray[np.float32]]:
    """Voxels of lesion and of bone (slices, rows, columns), and the probabilities of the former in their order."""
    shape = canonical.shape[::-1]
    lesion = np.zeros(shape, dtype=bool)
    bone = np.zeros(shape, dtype=bool) if networks[0].draws_bone else None
    scores = []
    for first, found in mean_probabilities(volume, networks, machine, overlap=settings.overlap):
        last = first + found.shape[1]
        inside = found[LESION] >= settings.threshold
        lesion[first:last] = inside
        scores.append(found[LESION][inside])
        if bone is not None:
            bone[first:last] = found[BONE] >= BONE_THRESHOLD
    return lesion, bone, np.concatenate(scores)


def _whole(mask: NDArray[np.bool_]) -> Patch:
    return Patch(start=(0, 0, 0), array=mask.astype(np.uint8).transpose(2, 1, 0))


def _home(patch: Patch, canonical: Grid, grid: Grid) -> Patch:
    """A block on the image's own order of axes."""
    where = placement(canonical, grid)
    moved, clipped = (None, True) if where is None else place(patch.array, patch.start, where, grid.shape)
    if moved is None or clipped:
        raise ValueError("a mask that does not lie in its image")
    return moved
