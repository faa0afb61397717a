"""Lattices: where a mask lies that was saved in another order, sense or extent."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteorad.images.lattice import merged, overlap, place, placement, trimmed
from osteorad.images.volume import EMPTY_PATCH, Grid, Patch

SHAPE = (8, 7, 6)
AFFINE = np.array([[-1.5, 0, 0, 10], [0, -1.5, 0.4, 20], [0, 0, 3.0, -30], [0, 0, 0, 1.0]])
TARGET = Grid(shape=SHAPE, affine_ras=AFFINE)


def placed(source: np.ndarray, affine: np.ndarray) -> tuple[np.ndarray, bool]:
    """A whole source array on the target grid, and whether voxels were cut off."""
    where = placement(Grid(shape=source.shape, affine_ras=affine), TARGET)
    assert where is not None
    patch, clipped = place(source, (0, 0, 0), where, SHAPE)
    return (patch or EMPTY_PATCH).on(TARGET).array, clipped


@settings(max_examples=80, deadline=None)
@given(
    order=st.permutations([0, 1, 2]),
    signs=st.tuples(*[st.sampled_from([1, -1])] * 3),
    low=st.tuples(*[st.integers(-4, 4)] * 3),
    high=st.tuples(*[st.integers(-4, 4)] * 3),
    seed=st.integers(0, 99),
)
def test_turned_cropped_and_padded_copies_come_back_voxel_for_voxel(order, signs, low, high, seed):
    whole = (np.random.default_rng(seed).random(np.add(SHAPE, 16)) < 0.5).astype(np.uint8)
    region = tuple(slice(8 + a, 8 + size + b) for a, b, size in zip(low, high, SHAPE, strict=True))
    source, affine = whole[region], AFFINE.copy()
    if 0 in source.shape:
        return
    affine[:, 3] = AFFINE @ [*low, 1]
    source, turned = np.transpose(source, order), affine.copy()
    turned[:, :3] = affine[:, list(order)]
    for axis, sign in enumerate(signs):
        if sign < 0:
            source = np.flip(source, axis)
            turned[:, 3] += turned[:, axis] * (source.shape[axis] - 1)
            turned[:, axis] *= -1
    kept = np.zeros_like(whole)
    kept[region] = whole[region]
    array, clipped = placed(source, turned)
    np.testing.assert_array_equal(array, kept[8:16, 8:15, 8:14])
    assert clipped == (array.sum() < source.sum())


@pytest.mark.parametrize(("off", "fits"), [(0.0, True), (0.015, True), (0.05, False), (0.5, False), (1.0, True)])
def test_only_centres_that_coincide_count(off, fits):
    affine = AFFINE.copy()
    affine[:3, 3] += AFFINE[:3, 0] * off
    assert (placement(Grid(shape=SHAPE, affine_ras=affine), TARGET) is not None) == fits


def test_spacing_is_judged_at_the_far_corner():
    """A spacing wrong by 1 in 1000 is a third of a voxel off after 400 voxels."""
    affine = AFFINE @ np.diag([1.001, 1, 1, 1])
    assert placement(Grid(shape=(10, 5, 5), affine_ras=affine), TARGET) is not None
    assert placement(Grid(shape=(400, 5, 5), affine_ras=affine), TARGET) is None


def test_block_beyond_the_target_is_none():
    where = placement(Grid(shape=SHAPE, affine_ras=AFFINE), TARGET)
    assert place(np.ones((2, 2, 2), dtype=np.uint8), (20, 0, 0), where, SHAPE) == (None, True)
    assert place(np.zeros((2, 2, 2), dtype=np.uint8), (20, 0, 0), where, SHAPE) == (None, False)


def test_union_trim_and_overlap():
    one = Patch(start=(1, 1, 1), array=np.ones((2, 2, 1), dtype=np.uint8))
    two = Patch(start=(4, 0, 1), array=np.eye(3, dtype=np.uint8)[:, :, None])
    union = merged([one, two, EMPTY_PATCH])
    np.testing.assert_array_equal(union.on(TARGET).array, one.on(TARGET).array | two.on(TARGET).array)
    assert (union.start, union.array.shape) == ((1, 0, 1), (6, 3, 1))
    assert merged([]) is None
    assert not overlap(one, two)
    assert overlap(two, Patch(start=(5, 1, 0), array=np.ones((1, 1, 4), dtype=np.uint8)))
    assert not overlap(two, Patch(start=(4, 1, 1), array=np.ones((1, 1, 1), dtype=np.uint8)))  # a zero of the block
    padded = Patch(start=(0, 0, 0), array=np.pad(two.array, 2))
    assert trimmed(padded).start == (2, 2, 2)
    np.testing.assert_array_equal(trimmed(padded).array, two.array)
    assert trimmed(Patch(start=(0, 0, 0), array=np.zeros((3, 3, 3), dtype=np.uint8))) is None
