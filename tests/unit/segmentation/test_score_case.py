"""One case: lesions and components on one grid, in the block that holds them."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.images.lattice import trimmed
from osteorad.images.volume import Patch
from osteorad.segmentation.lesion_match import components
from osteorad.segmentation.score import score_voxels
from osteorad.segmentation.score_case import Lesion, Matching, score_lesions, score_patches
from tests.unit.segmentation.masks import SPACING, box, found, grid_of, pair

REFERENCE, PREDICTION = pair()
LESIONS = [Lesion(number=n, patch=patch) for n, patch in enumerate(components(REFERENCE), start=1)]
FOUND = found(components(PREDICTION), [0.1 * n for n in range(1, 8)])


def same(one, other) -> bool:
    return all(getattr(one, name) == pytest.approx(getattr(other, name)) for name in one.__slots__)


def test_voxel_scores_of_patches_are_those_of_the_whole_arrays():
    case = score_lesions(LESIONS, FOUND, grid_of(), Matching(smallest_ml=0.0, smallest_voxels=1))
    assert same(case.voxels, score_voxels(REFERENCE, PREDICTION, SPACING))
    assert (case.dropped, len(case.kept)) == (0, 7)


def test_small_components_leave_the_lesions_and_stay_in_the_voxels():
    """Below 0.1 ml: the corner voxel in L7, both parts of L6 (0.092 ml) and the false positive P."""
    case = score_lesions(LESIONS, FOUND, grid_of())
    assert (case.dropped, len(case.kept), case.match.false_positive.sum()) == (4, 3, 0)
    assert case.voxels.fp == 138


def test_touching_and_overlapping_lesions_count_each_voxel_once():
    one, other = box((1, 2), (3, 6), (3, 6)), box((1, 2), (3, 6), (5, 8))
    patches = [trimmed(Patch(start=(0, 0, 0), array=array)) for array in (one, other)]
    assert same(score_patches(patches, patches[:1], grid_of()), score_voxels(one | other, one, SPACING))


def test_lesions_whose_blocks_lie_over_each_other_lose_nothing():
    arrays = (np.random.default_rng(5).random((3, 12, 11, 10)) < 0.1).astype(np.uint8)
    patches = [trimmed(Patch(start=(0, 0, 0), array=array)) for array in arrays]
    found = score_patches(patches, patches[1:], grid_of((12, 11, 10)))
    assert same(found, score_voxels(arrays.any(axis=0), arrays[1:].any(axis=0), SPACING))


@pytest.mark.parametrize(("lesions", "predicted"), [([], []), ([], FOUND), (LESIONS, [])])
def test_empty_combinations(lesions, predicted):
    grid = grid_of() if lesions or predicted else None
    case = score_lesions(lesions, predicted, grid)
    shown = [REFERENCE if lesions else 0 * REFERENCE, PREDICTION if predicted else 0 * PREDICTION]
    assert same(case.voxels, score_voxels(*shown, SPACING))
    assert case.match.detected.sum() == 0
    assert case.match.false_positive.all()


def test_volume_of_a_voxel_is_that_of_the_grid_although_it_is_sheared():
    grid = grid_of()
    grid.affine_ras[1, 2] = 1.7
    case = score_lesions(LESIONS, FOUND, grid)
    assert case.voxel_ml == pytest.approx(1.92e-3)
    assert case.voxels.reference_ml == pytest.approx(np.count_nonzero(REFERENCE) * 1.92e-3)
