"""Pictures have the patient's right on the left, square millimetres, and CT and PET at the same points."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from osteorad.images.volume import Grid
from osteorad.reporting import planes
from osteorad.reporting.planes import Plane

ORIENTATIONS = [
    (order, signs) for order in ((0, 1, 2), (1, 0, 2), (2, 1, 0)) for signs in itertools.product((-1, 1), repeat=3)
]


def _grid(order: tuple[int, ...], signs: tuple[int, ...], size: int = 24) -> Grid:
    """A grid whose array axes run along `order` of RAS with `signs`, spacing 2, 3 and 4 mm along x, y and z."""
    affine = np.eye(4)
    affine[:3, :3] = 0
    for axis, ras in enumerate(order):
        affine[ras, axis] = signs[axis] * (2.0, 3.0, 4.0)[ras]
    affine[:3, 3] = -affine[:3, :3] @ np.full(3, (size - 1) / 2)
    return Grid(shape=(size, size, size), affine_ras=affine)


def _ball(grid: Grid, middle: tuple[float, float, float], radius: float) -> np.ndarray:
    index = np.stack(np.meshgrid(*(np.arange(size) for size in grid.shape), indexing="ij"))
    points = np.einsum("ab,bijk->aijk", grid.affine_ras[:3, :3], index) + grid.affine_ras[:3, 3][:, None, None, None]
    return (sum((points[axis] - middle[axis]) ** 2 for axis in range(3)) < radius**2).astype(np.uint8)


@pytest.mark.parametrize(("order", "signs"), ORIENTATIONS)
@pytest.mark.parametrize(
    ("view", "middle", "column", "row"),
    [
        ("axial", (12.0, 15.0, 0.0), "left", "upper"),  # right and anterior
        ("coronal", (12.0, 0.0, 16.0), "left", "upper"),  # right and towards the head
        ("sagittal", (0.0, 15.0, 16.0), "left", "upper"),  # anterior and towards the head
    ],
)
def test_radiological_view_whatever_the_array_axes(
    order: tuple[int, ...], signs: tuple[int, ...], view: str, middle: tuple[float, float, float], column: str, row: str
) -> None:
    grid = _grid(order, signs)
    plane = Plane(middle_ras=(0.0, 0.0, 0.0), view=view, width=60, height=60, pixel_mm=1.0)
    ys, xs = np.nonzero(planes.sample_mask(_ball(grid, middle, 7.0), grid, (0, 0, 0), plane))
    assert ("left" if xs.mean() < 29.5 else "right", "upper" if ys.mean() < 29.5 else "lower") == (column, row)


def test_a_ball_is_round_on_a_picture_of_an_anisotropic_image() -> None:
    grid = _grid((0, 1, 2), (-1, -1, 1))
    mask = _ball(grid, (0.0, 0.0, 0.0), 18.0)
    for view in planes.VIEWS:
        plane = Plane(middle_ras=(0.0, 0.0, 0.0), view=view, width=80, height=80, pixel_mm=0.5)
        ys, xs = np.nonzero(planes.sample_mask(mask, grid, (0, 0, 0), plane))
        assert abs(np.ptp(xs) - np.ptp(ys)) * 0.5 <= 4.0  # one voxel


def test_image_values_on_voxel_centres_are_the_voxels() -> None:
    grid = _grid((0, 1, 2), (-1, -1, 1))
    array = np.random.default_rng(1).normal(size=grid.shape).astype(np.float32)
    z = planes.to_ras(grid, np.array([0, 0, 7.0]))[2]
    fine = Plane(middle_ras=(0.0, 0.0, z), view="axial", width=47, height=70, pixel_mm=1.0)
    sampled = planes.sample_image(array, grid, fine, 0.0)
    # every second column and third row of a 1 mm picture lies on a voxel centre of the 2 x 3 mm grid
    assert sampled[::3, ::2].shape == (24, 24)
    np.testing.assert_allclose(sampled[::3, ::2], array[:, :, 7].T, atol=1e-5)


def test_beyond_the_image_is_outside() -> None:
    grid = _grid((0, 1, 2), (1, 1, 1))
    plane = Plane(middle_ras=(500.0, 0.0, 0.0), view="axial", width=4, height=4, pixel_mm=1.0)
    assert (planes.sample_image(np.ones(grid.shape, np.int16), grid, plane, -1000.0) == -1000).all()
    assert not planes.sample_mask(np.ones(grid.shape, np.uint8), grid, (0, 0, 0), plane).any()


def test_a_crop_of_a_mask_gives_the_same_picture() -> None:
    grid = _grid((1, 0, 2), (1, -1, 1))
    mask = _ball(grid, (6.0, 3.0, 0.0), 12.0)
    filled = np.argwhere(mask)
    low, high = filled.min(axis=0), filled.max(axis=0) + 1
    crop = mask[low[0] : high[0], low[1] : high[1], low[2] : high[2]]
    plane = Plane(middle_ras=(0.0, 0.0, 0.0), view="axial", width=50, height=50, pixel_mm=1.0)
    start = (int(low[0]), int(low[1]), int(low[2]))
    np.testing.assert_array_equal(
        planes.sample_mask(mask, grid, (0, 0, 0), plane), planes.sample_mask(crop, grid, start, plane)
    )


def test_pet_is_inverted_and_ct_is_not() -> None:
    assert planes.grey_pet(np.array([[0.0, 8.0]], np.float32), 8.0).tolist() == [[255, 0]]
    assert planes.grey_ct(np.array([[-500.0, 1300.0]], np.float32)).tolist() == [[0, 255]]
