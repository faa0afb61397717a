"""Lesions from a mask: what is connected, what is dropped, who is number one."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.images.volume import Grid
from osteorad.segmentation.components import Smallest, components, lost_components

ANY = Smallest(ml=0.0, voxels=1)
SHAPE = (6, 8, 10)  # slices, rows, columns


def _mask(*voxels: tuple[int, int, int]) -> np.ndarray:
    mask = np.zeros(SHAPE, dtype=bool)
    for place in voxels:
        mask[place] = True
    return mask


def _found(mask: np.ndarray, probabilities: np.ndarray | None = None, smallest: Smallest = ANY, voxel_ml: float = 0.01):
    values = np.full(int(mask.sum()), 0.7, np.float32) if probabilities is None else probabilities[mask]
    return components(mask, values, voxel_ml=voxel_ml, smallest=smallest)


def test_corners_connect_and_gaps_do_not() -> None:
    lesions, dropped = _found(_mask((0, 0, 0), (1, 1, 1), (1, 1, 3)))
    assert [lesion.voxels for lesion in lesions] == [2, 1]
    assert dropped == 0


def test_numbers_go_by_volume_then_by_place() -> None:
    mask = _mask((4, 4, 4), (0, 0, 0), (2, 2, 2), (2, 2, 3))
    lesions, _ = _found(mask)
    assert [lesion.voxels for lesion in lesions] == [2, 1, 1]
    # the block is (i, j, k): columns, rows, slices
    assert [lesion.patch.start for lesion in lesions] == [(2, 2, 2), (0, 0, 0), (4, 4, 4)]


def test_blocks_hold_the_mask_again_on_the_image() -> None:
    rng = np.random.default_rng(5)
    mask = rng.random(SHAPE) > 0.8
    lesions, _ = _found(mask)
    grid = Grid(shape=SHAPE[::-1], affine_ras=np.eye(4))
    union = sum(lesion.patch.on(grid).array.astype(int) for lesion in lesions)
    np.testing.assert_array_equal(union, mask.transpose(2, 1, 0))
    assert sum(lesion.voxels for lesion in lesions) == mask.sum()


def test_a_block_holds_no_voxel_of_its_neighbour() -> None:
    """An L around a single voxel: the box of the L holds both."""
    mask = _mask((0, 0, 0), (0, 1, 0), (0, 2, 0), (0, 3, 0), (0, 3, 1), (0, 3, 2), (0, 3, 3), (0, 0, 3))
    lesions, _ = _found(mask)
    assert [lesion.voxels for lesion in lesions] == [7, 1]
    assert lesions[0].patch.voxels == 7


def test_the_score_is_the_highest_probability() -> None:
    probabilities = np.linspace(0, 1, int(np.prod(SHAPE)), dtype=np.float32).reshape(SHAPE)
    mask = _mask((0, 0, 0), (0, 0, 1), (5, 7, 8), (5, 7, 9))
    lesions, _ = _found(mask, probabilities)
    assert [lesion.score for lesion in lesions] == pytest.approx([probabilities[0, 0, 1], 1.0])


@pytest.mark.parametrize(
    ("smallest", "kept"),
    [
        (Smallest(ml=0.0, voxels=1), [5, 3, 2]),
        (Smallest(ml=0.0, voxels=3), [5, 3]),
        (Smallest(ml=0.03, voxels=1), [5, 3]),  # three voxels of 0.01 mL are 0.03 mL: kept
        (Smallest(ml=0.031, voxels=1), [5]),
        (Smallest(ml=1.0, voxels=1), []),
    ],
)
def test_the_smallest_are_dropped_and_counted(smallest: Smallest, kept: list[int]) -> None:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[0, 0, :5] = mask[2, 2, :3] = mask[4, 4, :2] = True
    lesions, dropped = _found(mask, smallest=smallest)
    assert [lesion.voxels for lesion in lesions] == kept
    assert dropped == 3 - len(kept)


def test_nothing_gives_nothing() -> None:
    assert _found(_mask()) == ([], 0)


def test_lesions_that_a_gate_costs_are_counted() -> None:
    mask = np.zeros(SHAPE, dtype=bool)
    mask[0, 0, :5] = mask[2, 2, :5] = mask[4, 4, :5] = True
    gate = np.zeros(SHAPE, dtype=bool)
    gate[0] = True  # holds the first, a part of the second that is too small, nothing of the third
    gate[2, 2, 4] = True
    limits = Smallest(ml=0.0, voxels=2)
    assert lost_components(mask, gate, voxel_ml=0.01, smallest=limits) == 2
    assert lost_components(mask, np.ones(SHAPE, bool), voxel_ml=0.01, smallest=limits) == 0
    assert lost_components(_mask(), gate, voxel_ml=0.01, smallest=limits) == 0
    # a component that was too small before the gate is not lost by it
    assert lost_components(_mask((5, 5, 5)), gate, voxel_ml=0.01, smallest=limits) == 0
