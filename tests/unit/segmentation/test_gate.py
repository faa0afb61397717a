"""A gate grown by millimetres."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.segmentation.gate import grown

SPACING = (3.0, 0.8, 1.1)  # slices, rows, columns


def _away(shape: tuple[int, int, int], *places: tuple[int, int, int]) -> np.ndarray:
    """Distance in mm of each voxel to the nearest of some, by brute force."""
    index = np.stack(np.meshgrid(*(np.arange(size) for size in shape), indexing="ij"), axis=-1)
    steps = np.asarray(SPACING)
    return np.min([np.linalg.norm((index - np.asarray(place)) * steps, axis=-1) for place in places], axis=0)


@pytest.mark.parametrize("by_mm", [0.0, 0.8, 3.0, 10.0])
def test_voxels_within_the_distance_and_no_others(by_mm: float) -> None:
    shape = (41, 22, 19)
    places = [(2, 3, 4), (15, 20, 17), (17, 0, 0), (39, 11, 9)]  # on both sides of where slabs meet
    mask = np.zeros(shape, dtype=bool)
    for place in places:
        mask[place] = True
    np.testing.assert_array_equal(grown(mask, SPACING, by_mm), _away(shape, *places) <= by_mm + 1e-6)


def test_nothing_grows_to_nothing() -> None:
    assert not grown(np.zeros((20, 5, 5), dtype=bool), SPACING, 10.0).any()


def test_the_mask_itself_is_not_changed() -> None:
    mask = np.zeros((20, 5, 5), dtype=bool)
    mask[3, 2, 2] = True
    for by_mm in (0.0, 5.0):
        grown(mask, SPACING, by_mm)[:] = True
    assert mask.sum() == 1
