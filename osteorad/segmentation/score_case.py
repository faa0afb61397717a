"""Scores of one case, that is one image of one session: the whole mask, its lesions, its components."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from osteorad.images.lattice import merged
from osteorad.images.volume import Grid, Patch
from osteorad.segmentation.lesion_match import (
    SMALLEST_ML,
    SMALLEST_VOXELS,
    Component,
    Match,
    Rule,
    large_enough,
    match,
)
from osteorad.segmentation.score import VoxelScores, score_voxels
from osteorad.segmentation.surface import BoolArray

NOTHING = np.zeros((0, 0, 0), dtype=bool)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """A reference lesion: number and voxels as drawn, type and location where a table tells them."""

    number: int
    patch: Patch
    type: str | None = None
    location: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Matching:
    """How lesions and components are compared. Components below a size are dropped: they are noise to any reader."""

    rule: Rule = field(default_factory=Rule)
    smallest_ml: float = SMALLEST_ML
    smallest_voxels: int = SMALLEST_VOXELS


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionCase:
    """Scores of the lesions of one case. voxels : of the prediction as it is, small components too."""

    voxels: VoxelScores
    lesions: tuple[Lesion, ...]
    kept: tuple[Component, ...]
    dropped: int
    match: Match
    voxel_ml: float


def score_lesions(
    lesions: Sequence[Lesion], found: Sequence[Component], grid: Grid | None, matching: Matching | None = None
) -> LesionCase:
    """Scores of one case; all patches lie on `grid` and hold a voxel. grid None: neither lesions nor components."""
    how = matching or Matching()
    voxel_ml = grid.voxel_ml if grid is not None else 0.0
    kept = large_enough(found, voxel_ml, smallest_ml=how.smallest_ml, smallest_voxels=how.smallest_voxels)
    return LesionCase(
        voxels=score_patches([lesion.patch for lesion in lesions], [one.patch for one in found], grid),
        lesions=tuple(lesions),
        kept=tuple(kept),
        dropped=len(found) - len(kept),
        match=match([lesion.patch for lesion in lesions], kept, how.rule),
        voxel_ml=voxel_ml,
    )


def score_patches(reference: Sequence[Patch], prediction: Sequence[Patch], grid: Grid | None) -> VoxelScores:
    """Scores of the union of some patches against the union of others, in the block that holds them all."""
    block = merged([*reference, *prediction])
    if block is None or grid is None:
        return score_voxels(NOTHING, NOTHING, (1.0, 1.0, 1.0))
    return score_voxels(_inside(reference, block), _inside(prediction, block), grid.spacing_mm, grid.voxel_ml)


def _inside(patches: Sequence[Patch], block: Patch) -> BoolArray:
    """Union of patches as an array of the size of a block that holds them."""
    array = np.zeros(block.array.shape, dtype=bool)
    for patch in patches:
        at = tuple(slice(s.start - o, s.stop - o) for s, o in zip(patch.slices, block.start, strict=True))
        array[at] |= patch.array != 0
    return array
