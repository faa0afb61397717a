"""Resampling: exact where it can be exact, label-safe, and right on any affine."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteorad.images.resample import (
    field_of_view,
    resample_mask,
    resample_patch,
    resample_to_spacing,
    resample_volume,
)
from osteorad.images.volume import Grid, Mask, Volume

TURN = np.deg2rad(14.0)
ROTATION = np.array([[np.cos(TURN), -np.sin(TURN), 0], [np.sin(TURN), np.cos(TURN), 0], [0, 0, 1]])


def grid_of(axes: np.ndarray, shape: tuple[int, int, int], origin=(10.0, -20.0, 300.0)) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = origin
    return Grid(shape=shape, affine_ras=affine)


PET = grid_of(np.diag([-4.0, -4.0, 3.0]), (24, 20, 12))
CT = grid_of(np.diag([-0.9765625, -0.9765625, 2.5]), (80, 64, 12), (6.0, -26.0, 302.0))
GRIDS = {
    "ct": CT,
    "flipped": grid_of(np.diag([1.1, -1.2, -2.0]), (60, 50, 14), (-60.0, -25.0, 330.0)),
    "oblique": grid_of(ROTATION @ np.diag([-1.0, -1.0, 2.0]), (50, 50, 14), (-5.0, -28.0, 303.0)),
    "sheared": grid_of(np.array([[-1.0, 0, 0], [0, -1.0, 0.7], [0, 0, 2.0]]), (50, 40, 14), (4.0, -28.0, 303.0)),
    "turned axes": grid_of(
        np.array([[0, -1.3, 0], [0, 0, -1.5], [2.0, 0, 0]], float), (16, 50, 40), (5.0, -25.0, 303.0)
    ),
}


def centres(grid: Grid) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(size) for size in grid.shape), indexing="ij"), axis=-1)
    return index @ grid.affine_ras[:3, :3].T + grid.affine_ras[:3, 3]


def ramp(grid: Grid) -> np.ndarray:
    return centres(grid) @ np.array([0.02, -0.03, 0.05]) + 1.0


def noise(grid: Grid, kind=np.float32) -> np.ndarray:
    values = np.random.default_rng(4).normal(40, 100, grid.shape)
    return values.astype(kind)


@pytest.mark.parametrize("method", ["linear", "bspline"])
@pytest.mark.parametrize("kind", [np.int16, np.float32])
def test_same_grid_gives_the_same_values_in_the_same_type(method, kind):
    volume = Volume(array=noise(PET, kind), grid=PET, units="HU")
    same = resample_volume(volume, Grid(shape=PET.shape, affine_ras=PET.affine_ras.copy()), method=method)
    assert same.array.dtype == kind
    np.testing.assert_array_equal(same.array, volume.array)


def test_voxels_of_a_shifted_and_flipped_lattice_are_taken_exactly():
    """Centres coincide: linear interpolation must return stored values, not values next to them."""
    array = noise(PET)
    axes = PET.affine_ras[:3, :3] @ np.diag([-1, 1, -1])
    target = grid_of(axes, (10, 9, 8), tuple(PET.affine_ras[:3] @ [12, 3, 10, 1]))
    moved = resample_volume(Volume(array=array, grid=PET, units="SUVbw"), target)
    np.testing.assert_array_equal(moved.array, array[12:2:-1, 3:12, 10:2:-1])


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("method", ["linear", "bspline"])
def test_linear_ramp_stays_the_ramp_inside_the_centres(name, method):
    target = GRIDS[name]
    volume = Volume(array=ramp(PET).astype(np.float64), grid=PET, units="SUVbw")
    out = resample_volume(volume, target, method=method, outside=-7.0)
    index = (centres(target) - PET.affine_ras[:3, 3]) @ np.linalg.inv(PET.affine_ras[:3, :3]).T
    edge = 0.0 if method == "linear" else 4.0  # a spline bends at the border, where the outer value is held
    inside = np.all((index >= edge) & (index <= np.array(PET.shape) - 1 - edge), axis=-1)
    away = np.any((index < -0.5001) | (index > np.array(PET.shape) - 0.4999), axis=-1)
    assert inside.sum() > 500
    np.testing.assert_allclose(out.array[inside], ramp(target)[inside], atol=2e-6 if method == "linear" else 0.02)
    assert (out.array[away] == -7.0).all()


@pytest.mark.parametrize("name", GRIDS)
def test_field_of_view_is_the_extent_of_the_voxels(name):
    target = GRIDS[name]
    index = (centres(target) - PET.affine_ras[:3, 3]) @ np.linalg.inv(PET.affine_ras[:3, :3]).T
    sure_in = np.all((index > -0.499) & (index < np.array(PET.shape) - 0.501), axis=-1)
    sure_out = np.any((index < -0.501) | (index > np.array(PET.shape) - 0.499), axis=-1)
    field = field_of_view(PET, target).array
    assert (field[sure_in] == 1).all()
    assert (field[sure_out] == 0).all()


def test_half_a_voxel_beyond_the_outer_centre_holds_the_outer_value():
    source = grid_of(np.eye(3), (3, 1, 1), (0.0, 0.0, 0.0))
    target = grid_of(np.diag([0.25, 1, 1]), (16, 1, 1), (-0.75, 0.0, 0.0))
    volume = Volume(array=np.array([1.0, 3.0, 2.0], dtype=np.float32).reshape(3, 1, 1), grid=source, units="SUVbw")
    out = resample_volume(volume, target, outside=-1.0).array.ravel()
    np.testing.assert_array_equal(out, [-1, 1, 1, 1, 1.5, 2, 2.5, 3, 2.75, 2.5, 2.25, 2, 2, 2, -1, -1])


def test_linear_and_spline_agree_with_another_tool():
    import SimpleITK

    array = noise(PET)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing([4.0, 4.0, 3.0])
    image.SetOrigin([-10.0, 20.0, 300.0])
    target = grid_of(np.diag([-1.5, -1.5, 2.0]), (50, 40, 14), (2.0, -30.0, 302.5))
    for method, interpolator in (("linear", SimpleITK.sitkLinear), ("bspline", SimpleITK.sitkBSpline3)):
        resampler = SimpleITK.ResampleImageFilter()
        resampler.SetInterpolator(interpolator)
        resampler.SetSize(target.shape)
        resampler.SetOutputSpacing([1.5, 1.5, 2.0])
        resampler.SetOutputOrigin([-2.0, 30.0, 302.5])
        expected = SimpleITK.GetArrayFromImage(resampler.Execute(image)).T
        ours = resample_volume(Volume(array=array, grid=PET, units="SUVbw"), target, method=method).array
        middle = np.s_[10:-10, 10:-10, 5:-5] if method == "bspline" else np.s_[:, :, :]
        tolerance = 3.0 if method == "bspline" else 1e-3  # splines differ near the border by their edge rule
        np.testing.assert_allclose(ours[middle], expected[middle], atol=tolerance)


# --- masks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", GRIDS)
def test_labels_are_kept_and_never_blended(name):
    target = GRIDS[name]
    labels = np.random.default_rng(7).choice([0, 3, 200], size=PET.shape).astype(np.uint8)
    out = resample_mask(Mask(array=labels, grid=PET), target).array
    assert out.dtype == np.uint8
    assert set(np.unique(out)) == {0, 3, 200}


@pytest.mark.parametrize("name", GRIDS)
def test_each_voxel_takes_the_label_of_the_voxel_that_its_centre_lies_in(name):
    target = GRIDS[name]
    labels = np.random.default_rng(8).integers(1, 5, size=PET.shape).astype(np.uint8)
    out = resample_mask(Mask(array=labels, grid=PET), target).array
    index = (centres(target) - PET.affine_ras[:3, 3]) @ np.linalg.inv(PET.affine_ras[:3, :3]).T
    clear = np.all(np.abs(index - np.floor(index) - 0.5) > 1e-4, axis=-1)
    nearest = np.floor(index + 0.5).astype(int)
    held = np.all((nearest >= 0) & (nearest < np.array(PET.shape)), axis=-1)
    assert (out[~held & clear] == 0).all()
    use = held & clear
    np.testing.assert_array_equal(out[use], labels[tuple(nearest[use].T)])


def test_mask_to_a_finer_grid_and_back_is_unchanged():
    origin = tuple(PET.affine_ras[:3] @ [-0.375, -0.375, -0.375, 1])
    fine = grid_of(PET.affine_ras[:3, :3] / 4, tuple(4 * size for size in PET.shape), origin)
    mask = Mask(array=(np.random.default_rng(9).random(PET.shape) < 0.3).astype(np.uint8), grid=PET)
    there = resample_mask(mask, fine)
    assert there.array.sum() == 64 * mask.array.sum()
    np.testing.assert_array_equal(resample_mask(there, PET).array, mask.array)


@settings(max_examples=30, deadline=None)
@given(
    st.permutations([0, 1, 2]),
    st.tuples(*[st.sampled_from([1, -1])] * 3),
    st.floats(-30, 30),
    st.floats(0.5, 4.0),
)
def test_mask_goes_to_any_turned_copy_of_its_grid_and_back(order, signs, shift, spacing):
    axes = ROTATION @ np.diag([spacing, 1.0, 2.0])
    source = grid_of(axes, (7, 6, 5), (shift, 2 * shift, -shift))
    mask = Mask(array=(np.random.default_rng(1).random((7, 6, 5)) < 0.5).astype(np.uint8), grid=source)
    turned = source.affine_ras.copy()
    turned[:, :3] = source.affine_ras[:, list(order)]
    shape = tuple(source.shape[axis] for axis in order)
    for axis, sign in enumerate(signs):
        if sign < 0:
            turned[:, 3] += turned[:, axis] * (shape[axis] - 1)
            turned[:, axis] *= -1
    target = Grid(shape=shape, affine_ras=turned)
    there = resample_mask(mask, target)
    assert there.array.sum() == mask.array.sum()
    np.testing.assert_array_equal(resample_mask(there, source).array, mask.array)
    as_volume = resample_volume(Volume(array=mask.array.astype(np.float32), grid=source, units="HU"), target)
    np.testing.assert_array_equal(as_volume.array, there.array)


@pytest.mark.parametrize("name", GRIDS)
def test_patch_is_the_part_of_the_resampled_mask_that_holds_voxels(name):
    target = GRIDS[name]
    array = np.zeros(PET.shape, dtype=np.uint8)
    array[6:11, 5:9, 3:8] = 1
    whole = resample_mask(Mask(array=array, grid=PET), target).array
    cut = grid_of(PET.affine_ras[:3, :3], (5, 4, 5), tuple(PET.affine_ras[:3] @ [6, 5, 3, 1]))
    patch = resample_patch(array[6:11, 5:9, 3:8], cut, target)
    assert whole.any()
    np.testing.assert_array_equal(patch.on(target).array, whole)
    assert patch.array.size < whole.size


def test_patch_beyond_the_target_is_none():
    far = grid_of(np.eye(3), (3, 3, 3), (900.0, 900.0, 900.0))
    assert resample_patch(np.ones((3, 3, 3), dtype=np.uint8), far, CT) is None


# --- grids -----------------------------------------------------------------------------------------------------------


def test_new_spacing_keeps_the_centre_and_covers_the_image():
    grid = resample_to_spacing(CT, (1.0, 1.0, 1.0))
    assert grid.shape == (79, 63, 30)  # 80 * 0.9765625 = 78.1, 62.5, 30.0
    assert grid.spacing_mm == pytest.approx((1.0, 1.0, 1.0))
    for one, other in itertools.pairwise([CT, grid]):
        middles = [g.affine_ras[:3] @ [*((np.array(g.shape) - 1) / 2), 1] for g in (one, other)]
        np.testing.assert_allclose(*middles, atol=1e-9)


def test_result_does_not_depend_on_memory_order():
    array = noise(PET)
    one = resample_volume(Volume(array=array, grid=PET, units="HU"), CT).array
    other = resample_volume(Volume(array=np.asfortranarray(array), grid=PET, units="HU"), CT).array
    assert one.tobytes() == other.tobytes()
