"""Between the image's grid and the network's: slab by slab is the same as in one piece, and a way back leads home."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.images.resample import resample_to_spacing, resample_volume
from osteorad.images.volume import Grid, Volume
from osteorad.segmentation.native import Source, Stream, axes_between, axis_between, between, mean_slabs, seen_grid


def _grid(shape: tuple[int, int, int], spacing: tuple[float, float, float]) -> Grid:
    """An oblique grid that runs against RAS along two axes, as DICOM does."""
    turn = np.array([[0.96, -0.28, 0.0], [0.28, 0.96, 0.0], [0.0, 0.0, 1.0]]) @ np.diag([-1.0, -1.0, 1.0])
    affine = np.eye(4)
    affine[:3, :3] = turn * spacing
    affine[:3, 3] = (12.5, -80.0, 700.25)
    return Grid(shape=shape, affine_ras=affine)


NATIVE = _grid((23, 31, 17), (0.8, 0.8, 3.0))
SPACINGS = [(1.5, 1.5, 1.5), (0.8, 0.8, 3.0), (0.5, 1.1, 4.0), (1.2, 1.2, None)]


def _smooth(grid: Grid) -> np.ndarray:
    """A linear function of place, (slices, rows, columns): linear interpolation keeps it."""
    i, j, k = np.meshgrid(*(np.arange(size) for size in grid.shape), indexing="ij")
    points = np.einsum("ab,bijk->aijk", grid.affine_ras[:3, :3], np.stack([i, j, k]))
    x, y, z = points + grid.affine_ras[:3, 3][:, None, None, None]
    return (0.4 * x - 0.7 * y + 0.2 * z).astype(np.float32).transpose(2, 1, 0)


@pytest.mark.parametrize("spacing", SPACINGS)
def test_values_are_those_of_the_resampler_of_images(spacing: tuple[float | None, ...]) -> None:
    array = np.random.default_rng(2).normal(size=NATIVE.shape).astype(np.float32)
    seen = seen_grid(NATIVE, spacing)
    found = between(array.transpose(2, 1, 0), axes_between(NATIVE, seen))
    wanted = resample_volume(Volume(array=array, grid=NATIVE, units="HU"), seen).array.transpose(2, 1, 0)
    inside = tuple(slice(1, -1) for _ in range(3))  # further out `outside` stands there, here the outer value
    np.testing.assert_allclose(found[inside], wanted[inside], atol=2e-5)


def test_no_spacing_keeps_that_of_the_image() -> None:
    seen = seen_grid(NATIVE, (1.6, 1.6, None))
    assert seen.shape == (12, 16, 17)
    assert seen.spacing_mm == pytest.approx((1.6, 1.6, 3.0))


@pytest.mark.parametrize("spacing", SPACINGS)
def test_there_and_back_keeps_what_is_linear(spacing: tuple[float | None, ...]) -> None:
    seen = seen_grid(NATIVE, spacing)
    values = _smooth(NATIVE)
    there = between(values, axes_between(NATIVE, seen))
    back = between(there, axes_between(seen, NATIVE))
    inner = (slice(3, -3),) * 3  # beyond the outer centres the outer value holds
    np.testing.assert_allclose(back[inner], values[inner], atol=2e-3)


def test_the_same_grid_copies() -> None:
    values = _smooth(NATIVE)
    np.testing.assert_array_equal(between(values, axes_between(NATIVE, seen_grid(NATIVE, (None,) * 3))), values)


def test_an_axis_is_the_closed_form() -> None:
    # 4 voxels of 1 mm have their centre at 1.5; 2 voxels of 2 mm then lie at 0.5 and 2.5
    axis = axis_between(4, 2, 2.0)
    assert axis.lower.tolist() == [0, 2]
    assert axis.upper.tolist() == [1, 3]
    assert axis.share.tolist() == [0.5, 0.5]
    # and back: -0.25 (the outer value holds), 0.25, 0.75, 1.25
    back = axis_between(2, 4, 0.5)
    assert back.lower.tolist() == [0, 0, 0, 1]
    assert back.share.tolist() == pytest.approx([0, 0.25, 0.75, 0])


@pytest.mark.parametrize("spacing", SPACINGS)
def test_slabs_of_the_image_are_those_of_the_whole(spacing: tuple[float | None, ...]) -> None:
    values = np.random.default_rng(3).normal(size=NATIVE.shape[::-1]).astype(np.float32)
    axes = axes_between(NATIVE, seen_grid(NATIVE, spacing))
    whole, source = between(values, axes), Source(values, axes)
    assert source.shape == whole.shape
    for first in range(0, whole.shape[0], 3):
        last = min(first + 5, whole.shape[0])
        np.testing.assert_array_equal(source.read(first, last), whole[first:last])


@pytest.mark.parametrize("spacing", SPACINGS)
@pytest.mark.parametrize("slab", [1, 4, 16, 100])
def test_export_by_slab_is_the_whole_export(spacing: tuple[float | None, ...], slab: int) -> None:
    seen = seen_grid(NATIVE, spacing)
    found = np.random.default_rng(4).random(size=(2, *seen.shape[::-1]), dtype=np.float32)
    axes = axes_between(seen, NATIVE)
    pieces = (found[:, at : at + 2] for at in range(0, found.shape[1], 2))
    done = list(mean_slabs([Stream(pieces, axes)], NATIVE.shape[2], slab))
    assert [first for first, _ in done] == list(range(0, NATIVE.shape[2], slab))
    np.testing.assert_array_equal(np.concatenate([part for _, part in done], axis=1), between(found, axes))


def test_the_mean_of_networks_that_see_other_spacings() -> None:
    grids = [seen_grid(NATIVE, spacing) for spacing in SPACINGS[:3]]
    found = [
        np.full((1, *grid.shape[::-1]), value, np.float32) for grid, value in zip(grids, (0.1, 0.4, 0.7), strict=True)
    ]
    streams = [Stream(iter([part]), axes_between(grid, NATIVE)) for part, grid in zip(found, grids, strict=True)]
    done = np.concatenate([part for _, part in mean_slabs(streams, NATIVE.shape[2])], axis=1)
    assert done.shape == (1, *NATIVE.shape[::-1])
    np.testing.assert_allclose(done, 0.4, atol=1e-6)


def test_a_stream_holds_no_more_than_a_slab_needs() -> None:
    seen = resample_to_spacing(NATIVE, (0.8, 0.8, 1.5))
    found = np.zeros((1, *seen.shape[::-1]), np.float32)
    stream = Stream((found[:, at : at + 2] for at in range(0, found.shape[1], 2)), axes_between(seen, NATIVE))
    most = 0
    for first in range(0, 16, 4):
        stream.slab(first, first + 4)
        assert stream.held is not None
        most = max(most, stream.held.shape[1])
    assert most <= 4 * 2 + 3


def test_grids_that_are_turned_are_refused() -> None:
    other = _grid((23, 31, 17), (0.8, 0.8, 3.0))
    other.affine_ras[:3, :3] = np.diag([0.8, 0.8, 3.0])
    with pytest.raises(ValueError, match="do not share"):
        axes_between(NATIVE, other)
