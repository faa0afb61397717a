"""Polygon filling: hand counts, closed forms, and tilings that must neither gap nor overlap."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteorad.dicom.polygons import fill_even_odd, fill_slices, has_keyhole, in_plane, plane_position, planes_of
from osteorad.images.volume import Grid

SHAPE = (12, 10)


def filled(*polygons, shape=SHAPE) -> np.ndarray:
    """Whole image of a fill."""
    out = np.zeros(shape, dtype=np.uint8)
    found = fill_even_odd([np.asarray(polygon, dtype=float) for polygon in polygons], shape)
    if found is not None:
        (i, j), block = found
        out[i : i + block.shape[0], j : j + block.shape[1]] = block
    return out


def square(low: float, high: float) -> list[tuple[float, float]]:
    return [(low, low), (high, low), (high, high), (low, high)]


def test_square_takes_its_lower_edges_and_leaves_its_upper_ones():
    expected = np.zeros(SHAPE, dtype=np.uint8)
    expected[2:6, 2:6] = 1
    np.testing.assert_array_equal(filled(square(2, 6)), expected)


@pytest.mark.parametrize("sense", [1, -1])
def test_sense_of_the_contour_does_not_matter(sense):
    np.testing.assert_array_equal(filled(square(1.5, 7.2)[::sense]), filled(square(1.5, 7.2)))


def test_rounding_noise_of_an_affine_does_not_move_an_edge():
    noisy = np.asarray(square(2, 6)) + np.array([1e-9, -1e-9])
    np.testing.assert_array_equal(filled(noisy), filled(square(2, 6)))


def test_hole_is_left_out_and_island_in_the_hole_is_in():
    image = filled(square(0.5, 8.5), square(2.5, 6.5), square(3.5, 5.5))
    assert image.sum() == 64 - 16 + 4
    assert image[4, 4] == 1
    assert image[3, 3] == 0


def test_keyhole_gives_the_hole_and_is_noticed():
    outer, inner = square(0.5, 8.5), square(2.5, 6.5)
    keyhole = [*outer, outer[0], *inner, inner[0]]
    np.testing.assert_array_equal(filled(keyhole), filled(outer, inner))
    assert has_keyhole(np.asarray(keyhole))
    assert not has_keyhole(np.asarray(outer))


def test_closing_point_given_twice_is_no_keyhole():
    outer = square(0.5, 8.5)
    assert not has_keyhole(np.asarray([*outer, outer[0]]))


@pytest.mark.parametrize(
    ("low", "count"), [(-5.0, 25), (-20.0, 0), (30.0, 0)], ids=["across the border", "before the image", "behind it"]
)
def test_only_the_part_inside_the_image_is_filled(low, count):
    assert filled(square(low, low + 9.5)).sum() == count


def test_polygon_that_surrounds_the_image_fills_it_all():
    assert filled(square(-50, 50)).all()


def test_less_than_three_points_fill_nothing():
    assert fill_even_odd([np.zeros((2, 2))], SHAPE) is None
    assert fill_even_odd([], SHAPE) is None


def test_slanted_edges_agree_with_a_test_of_every_centre():
    """A second method: crossings counted one by one for every pixel centre, none of which lies on an edge."""
    generator = np.random.default_rng(5)
    for _ in range(40):
        polygon = generator.uniform(-3, 13, size=(generator.integers(3, 12), 2))
        expected = np.zeros(SHAPE, dtype=np.uint8)
        for i in range(SHAPE[0]):
            for j in range(SHAPE[1]):
                expected[i, j] = crossings_right_of(polygon, i, j) % 2
        np.testing.assert_array_equal(filled(polygon), expected)


def crossings_right_of(polygon: np.ndarray, x: float, y: float) -> int:
    count = 0
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) * (x2 - x1) / (y2 - y1):
            count += 1
    return count


@settings(max_examples=60, deadline=None)
@given(
    inner=st.lists(st.tuples(st.integers(1, 15), st.integers(1, 15)), min_size=1, max_size=1),
    quarter=st.integers(0, 3),
)
def test_triangles_about_a_shared_point_tile_their_square(inner, quarter):
    """Four triangles that share edges (also through pixel centres) cover each pixel of the square exactly once."""
    corners = np.asarray(square(0, 8)) + quarter / 4.0
    point = np.asarray(inner[0]) / 2.0 + quarter / 4.0
    parts = [filled([corners[at], corners[(at + 1) % 4], point]) for at in range(4)]
    np.testing.assert_array_equal(np.sum(parts, axis=0), filled(corners))


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(-2, 11, allow_nan=False), min_size=4, max_size=12), st.integers(1, 3))
def test_two_halves_of_a_zigzag_cut_tile_the_image(cut, step):
    """A jagged line shared by two polygons leaves no gap and no overlap, whatever its course."""
    line = [(x, at * step - 3.0) for at, x in enumerate(cut)]
    top = line[-1][1]
    left = [*line, (-30.0, top), (-30.0, -3.0)]
    right = [*reversed(line), (30.0, -3.0), (30.0, top)]
    both = filled(left).astype(int) + filled(right)
    rows = [j for j in range(SHAPE[1]) if -3.0 <= j < top]
    assert (both[:, rows] == 1).all()
    assert both.sum() == SHAPE[0] * len(rows)


# --- planes ----------------------------------------------------------------------------------------------------------


def grids() -> dict[str, Grid]:
    turn = np.deg2rad(20.0)
    oblique = np.array([[np.cos(turn), 0, np.sin(turn)], [0, 1, 0], [-np.sin(turn), 0, np.cos(turn)]])
    axes = {
        "dicom": np.diag([-0.9, -0.9, 3.0]),
        "flipped": np.diag([0.9, -0.9, -3.0]),
        "oblique": oblique @ np.diag([-0.9, -1.1, 2.5]),
        "sheared": np.array([[-0.9, 0, 0], [0, -0.9, 0.8], [0, 0, 3.0]]),
    }
    found = {}
    for name, matrix in axes.items():
        affine = np.eye(4)
        affine[:3, :3] = matrix
        affine[:3, 3] = (17.0, -8.0, 130.0)
        found[name] = Grid(shape=(40, 36, 9), affine_ras=affine)
    return found


@pytest.mark.parametrize("name", grids())
def test_points_of_a_slice_come_back_to_their_indices(name):
    grid = grids()[name]
    indices = np.array([[3.25, 4.5, 6.0], [10.0, 4.5, 6.0], [10.0, 20.0, 6.0]])
    points = indices @ grid.affine_ras[:3, :3].T + grid.affine_ras[:3, 3]
    planes = planes_of(grid)
    position, spread_mm = plane_position(planes, points)
    assert position == pytest.approx(6.0, abs=1e-9)
    assert spread_mm == pytest.approx(0.0, abs=1e-9)
    np.testing.assert_allclose(in_plane(planes, points, 6), indices[:, :2], atol=1e-9)


def test_point_beside_a_slice_is_projected_along_the_normal():
    """On a sheared grid the step between slices is not their normal: in-plane position must not follow the step."""
    grid = grids()["sheared"]
    point = grid.affine_ras[:3] @ [10.0, 12.0, 4.0, 1.0] + np.array([0.0, 0.0, 1.2])
    planes = planes_of(grid)
    assert plane_position(planes, point[None])[0] == pytest.approx(4.4)
    np.testing.assert_allclose(in_plane(planes, point[None], 4), [[10.0, 12.0]], atol=1e-9)


@pytest.mark.parametrize("name", grids())
def test_disc_has_the_voxels_within_its_radius_on_any_grid(name):
    from tests.unit.dicom.mask_helpers import ring

    grid = grids()[name]
    planes = planes_of(grid)
    radius = 9.3
    points = ring(grid, 5, (18.3, 17.1), radius, points=4000)
    patch = fill_slices({5: [in_plane(planes, points, 5)]}, grid)
    index = np.stack(np.meshgrid(*(np.arange(size) for size in grid.shape), indexing="ij"), axis=-1)
    centres = index @ grid.affine_ras[:3, :3].T + grid.affine_ras[:3, 3]
    middle = grid.affine_ras[:3] @ [18.3, 17.1, 5.0, 1.0]
    expected = np.linalg.norm(centres - middle, axis=-1) < radius
    expected[:, :, [k for k in range(9) if k != 5]] = False
    np.testing.assert_array_equal(patch.on(grid).array, expected)


def test_only_the_block_of_the_contours_is_held():
    grid = Grid(shape=(4000, 4000, 3000), affine_ras=np.eye(4))  # 45 GiB as a whole
    patch = fill_slices({7: [np.asarray(square(100.5, 120.5))], 9: [np.asarray(square(90.5, 95.5))]}, grid)
    assert patch.start == (91, 91, 7)
    assert patch.array.shape == (30, 30, 3)
    assert patch.voxels == 400 + 25
