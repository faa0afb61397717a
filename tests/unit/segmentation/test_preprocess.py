"""What a network sees: axes, spacing, window and scale."""

from __future__ import annotations

from itertools import permutations, product

import numpy as np
import pytest

from osteorad.images.resample import resample_volume
from osteorad.images.volume import Grid, Volume
from osteorad.segmentation.canonical import canonical_grid, network_grid
from osteorad.segmentation.cases import Case
from osteorad.segmentation.preprocess import prepare_case, prepare_image
from tests.unit.segmentation.training_toy import toy_plan

SHAPE = (4, 5, 6)
AXES = [(order, signs) for order in permutations(range(3)) for signs in product((1, -1), repeat=3)]


def grid_of(order, signs, spacing=(0.7, 1.7, 2.7)):
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, (row, sign) in enumerate(zip(order, signs, strict=True)):
        affine[row, axis] = sign * spacing[axis]
    affine[:3, 3] = (3.0, -4.0, 5.0)
    return Grid(shape=SHAPE, affine_ras=affine)


def ramp(grid):
    """A volume whose values tell the place in RAS mm."""
    index = np.stack([*np.indices(grid.shape, dtype=float), np.ones(grid.shape)])
    x, y, z = np.einsum("ij,j...->i...", grid.affine_ras, index)[:3]
    return Volume(array=(x + 100 * y + 10_000 * z).astype(np.float32), grid=grid, units="HU")


@pytest.mark.parametrize(("order", "signs"), AXES)
def test_every_order_and_sense_of_axes_is_turned_to_one(order, signs):
    volume = ramp(grid_of(order, signs))
    plan = toy_plan(spacing_mm=None, window=(-1e6, 1e6), mean=0.0, sd=1.0)
    seen = prepare_image(volume, plan)
    slices, rows, columns = np.gradient(seen.array_zyx.astype(float))
    assert slices.min() > 0  # to the head
    assert rows.max() < 0  # to the back
    assert columns.max() < 0  # to the left
    assert np.allclose(ramp(seen.grid).array, seen.array_zyx.transpose(2, 1, 0), rtol=1e-5)


def test_an_oblique_image_keeps_its_voxels():
    turn = np.deg2rad(20)
    affine = np.eye(4)
    affine[:2, :2] = [[-np.cos(turn), np.sin(turn)], [-np.sin(turn), -np.cos(turn)]]
    volume = ramp(Grid(shape=SHAPE, affine_ras=affine))
    seen = prepare_image(volume, toy_plan(spacing_mm=None, window=(-1e6, 1e6), mean=0.0, sd=1.0))
    assert np.array_equal(seen.array_zyx.transpose(2, 1, 0), volume.array)


def test_values_are_cut_off_and_scaled():
    array = np.array([-50, 0, 50, 75, 100, 900], dtype=np.int16).reshape(6, 1, 1)
    volume = Volume(array=array, grid=Grid(shape=(6, 1, 1), affine_ras=np.diag([-1.0, -1.0, 1.0, 1.0])), units="HU")
    seen = prepare_image(volume, toy_plan(spacing_mm=None))
    assert seen.array_zyx.ravel().tolist() == [-2, -2, 0, 1, 2, 2]
    assert toy_plan().lowest == -2
    assert seen.array_zyx.dtype == np.float32
    assert array.min() == -50  # the case itself is left alone


def test_a_2d_network_keeps_the_slices_of_each_image():
    grid = network_grid(grid_of((0, 1, 2), (-1, -1, 1)), (1.4, 3.4, None))
    assert grid.shape == (2, 3, 6)
    assert grid.spacing_mm == pytest.approx((1.4, 3.4, 2.7))


def test_header_rounding_does_not_blur_an_image():
    own = grid_of((0, 1, 2), (-1, -1, 1))
    assert network_grid(own, (0.70001, 1.7, 2.7)).matches(canonical_grid(own))


def test_labels_follow_the_image_to_another_spacing_unblended():
    grid = grid_of((1, 0, 2), (1, -1, -1), spacing=(1.0, 1.0, 1.0))
    labels = np.zeros(SHAPE, dtype=np.uint8)
    labels[1:3, 1:4, 2:5] = 2
    image = labels.astype(np.int16) * 40
    case = Case(patient="p", session="s", volume=Volume(array=image, grid=grid, units="HU"), labels=labels)
    seen = prepare_case(case, toy_plan(spacing_mm=(0.5, 0.5, 0.5)))
    assert set(np.unique(seen.labels_zyx)) == {0, 2}
    assert seen.labels_zyx.shape == seen.array_zyx.shape == seen.grid.shape[::-1]
    assert np.count_nonzero(seen.labels_zyx) == 8 * np.count_nonzero(labels)
    assert seen.array_zyx[seen.labels_zyx == 2].mean() > seen.array_zyx[seen.labels_zyx == 0].mean() + 1


def test_a_map_of_the_network_goes_back_by_its_grid():
    volume = ramp(grid_of((1, 0, 2), (1, -1, -1)))
    plan = toy_plan(spacing_mm=(0.6, 0.6, 0.6), window=(-1e6, 1e6), mean=0.0, sd=1.0)
    seen = prepare_image(volume, plan)
    back = resample_volume(
        Volume(array=seen.array_zyx.transpose(2, 1, 0), grid=seen.grid, units="HU"), volume.grid
    ).array
    inner = (slice(1, -1),) * 3
    assert np.allclose(back[inner], volume.array[inner], rtol=1e-4, atol=1.0)


def test_pictures_go_from_0_to_1_and_are_not_resampled():
    grid = Grid(shape=(2, 1, 1), affine_ras=np.eye(4))
    volume = Volume(array=np.array([0, 255], np.int16).reshape(2, 1, 1), grid=grid, units="grey")
    plan = toy_plan(units="grey", spacing_mm=None, window=(0.0, 255.0), mean=0.0, sd=255.0)
    assert sorted(prepare_image(volume, plan).array_zyx.ravel()) == [0.0, 1.0]
    with pytest.raises(ValueError, match="not resampled"):
        prepare_image(volume, toy_plan(units="grey", spacing_mm=(0.5, 0.5, 0.5)))


def test_an_image_in_other_units_than_those_learned_from_is_refused():
    volume = Volume(array=np.zeros((1, 1, 1)), grid=Grid(shape=(1, 1, 1), affine_ras=np.eye(4)), units="SUVbw")
    with pytest.raises(ValueError, match=r"images in HU; this one is in SUVbw"):
        prepare_image(volume, toy_plan())
