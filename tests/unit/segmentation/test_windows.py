"""Windows: where they stand, and that what they give together is what the network gives."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.segmentation import windows
from osteorad.segmentation.windows import gaussian, slide_slices, slide_volume, starts

SHAPES_3D = [((7, 9, 11), (4, 4, 4)), ((3, 5, 20), (4, 8, 8)), ((16, 16, 16), (16, 16, 16)), ((33, 17, 5), (8, 16, 4))]


@pytest.mark.parametrize(
    ("size", "window", "overlap", "expected"),
    [
        (10, 16, 0.5, [0]),
        (16, 16, 0.5, [0]),
        (17, 16, 0.5, [0, 1]),
        (32, 16, 0.5, [0, 8, 16]),
        (30, 16, 0.5, [0, 7, 14]),
        (32, 16, 0.0, [0, 16]),
        (33, 16, 0.0, [0, 8, 17]),
        (5, 2, 0.9, [0, 1, 2, 3]),
    ],
)
def test_windows_cover_the_axis_and_overlap(size: int, window: int, overlap: float, expected: list[int]) -> None:
    found = starts(size, window, overlap)
    assert found == expected
    assert {voxel for start in found for voxel in range(start, start + window)} >= set(range(size))


def test_gaussian_is_the_closed_form() -> None:
    weights = gaussian((5, 8))
    # 1 in the middle row, exp(-(2 / (0.125 * 5))^2 / 2) at its ends; even edges have two middles
    assert weights[2, 3] == weights[2, 4] == 1
    assert weights[0, 3] == pytest.approx(np.exp(-0.5 * (2 / 0.625) ** 2), rel=1e-6)
    assert weights[2, 0] == pytest.approx(np.exp(-0.5 * (3.5**2 - 0.5**2)), rel=1e-6)
    assert weights.min() > 0
    np.testing.assert_array_equal(weights, weights[::-1, ::-1])


def _image(shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(1).normal(size=shape).astype(np.float32)


def _two_channels(blocks: np.ndarray) -> np.ndarray:
    """A network without surroundings: its channels are the value and one minus the value."""
    return np.stack([blocks, 1 - blocks], axis=1)


def _ones(blocks: np.ndarray) -> np.ndarray:
    return np.ones((blocks.shape[0], 1, *blocks.shape[1:]), dtype=np.float32)


@pytest.mark.parametrize(("shape", "window"), SHAPES_3D)
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.75])
def test_ones_in_ones_out_on_odd_shapes(
    shape: tuple[int, int, int], window: tuple[int, int, int], overlap: float
) -> None:
    image = _image(shape)
    done = list(slide_volume(lambda a, b: image[a:b], shape, _ones, window=window, overlap=overlap, fill=0.0))
    found = np.concatenate(done, axis=1)
    assert found.shape == (1, *shape)
    np.testing.assert_allclose(found, 1, atol=1e-6)


@pytest.mark.parametrize(("shape", "window"), SHAPES_3D)
def test_volume_windows_give_each_voxel_its_own_value(
    shape: tuple[int, int, int], window: tuple[int, int, int]
) -> None:
    image = _image(shape)
    done = slide_volume(lambda a, b: image[a:b], shape, _two_channels, window=window, overlap=0.5, fill=-9.0)
    found = np.concatenate(list(done), axis=1)
    np.testing.assert_allclose(found, np.stack([image, 1 - image]), atol=1e-5)


@pytest.mark.parametrize(("rows", "columns", "window"), [(9, 11, (16, 16)), (9, 11, (4, 8)), (16, 8, (8, 8))])
def test_slice_windows_give_each_pixel_its_own_value(rows: int, columns: int, window: tuple[int, int]) -> None:
    image = _image((6, rows, columns))
    done = slide_slices(lambda a, b: image[a:b], image.shape, _two_channels, window=window, overlap=0.5, fill=-9.0)
    found = np.concatenate(list(done), axis=1)
    np.testing.assert_allclose(found, np.stack([image, 1 - image]), atol=1e-5)


def _blurring(blocks: np.ndarray) -> np.ndarray:
    """A network with surroundings that end with its window: the mean of the window, and the value."""
    means = blocks.mean(axis=tuple(range(1, blocks.ndim)), keepdims=True) + 0 * blocks
    return np.stack([means, blocks], axis=1)


@pytest.mark.parametrize("at_once", [1, 2, 3, 7])
def test_how_many_windows_go_together_changes_nothing(monkeypatch: pytest.MonkeyPatch, at_once: int) -> None:
    image = _image((10, 13, 9))

    def found() -> list[np.ndarray]:
        volume = slide_volume(lambda a, b: image[a:b], image.shape, _blurring, window=(4, 8, 4), overlap=0.5, fill=0.0)
        slices = slide_slices(lambda a, b: image[a:b], image.shape, _blurring, window=(8, 4), overlap=0.5, fill=0.0)
        return [np.concatenate(list(parts), axis=1) for parts in (volume, slices)]

    before = found()
    monkeypatch.setattr(windows, "AT_ONCE", at_once)
    monkeypatch.setattr(windows, "VOLUMES_AT_ONCE", at_once)
    for one, other in zip(before, found(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_windows_near_a_middle_weigh_more() -> None:
    """Two windows of 8 on 12 slices (0 and 4): slice 5 lies 1.5 from the first middle and 2.5 from the second."""
    image = np.zeros((12, 4, 4), dtype=np.float32)
    calls = iter([0.0, 1.0])

    def numbered(blocks: np.ndarray) -> np.ndarray:
        return np.full((1, 1, *blocks.shape[1:]), next(calls), dtype=np.float32)

    done = slide_volume(lambda a, b: image[a:b], image.shape, numbered, window=(8, 4, 4), overlap=0.5, fill=0.0)
    found = np.concatenate(list(done), axis=1)[0, :, 0, 0]
    near, far = np.exp(-0.5 * 1.5**2), np.exp(-0.5 * 2.5**2)
    np.testing.assert_allclose(found[:4], 0, atol=1e-7)
    np.testing.assert_allclose(found[8:], 1, atol=1e-7)
    assert found[5] == pytest.approx(far / (near + far), rel=1e-5)


def test_an_image_smaller_than_its_window_lies_in_the_middle_of_what_fills_it_up() -> None:
    seen: list[np.ndarray] = []

    def looking(blocks: np.ndarray) -> np.ndarray:
        seen.append(blocks)
        return blocks[:, None]

    image = np.ones((2, 3, 4), dtype=np.float32)
    (found,) = slide_slices(lambda a, b: image[a:b], image.shape, looking, window=(8, 8), overlap=0.5, fill=-7.0)
    assert found.shape == (1, 2, 3, 4)
    assert np.argwhere(seen[0][0] == 1).min(axis=0).tolist() == [2, 2]
    assert set(seen[0][seen[0] != 1]) == {-7.0}
    (found,) = slide_volume(lambda a, b: image[a:b], image.shape, looking, window=(4, 8, 8), overlap=0.5, fill=-7.0)
    assert found.shape == (1, 2, 3, 4)
    assert np.all(found == 1)
    assert np.argwhere(seen[1][0] == 1).min(axis=0).tolist() == [1, 2, 2]
    assert set(seen[1][seen[1] != 1]) == {-7.0}
