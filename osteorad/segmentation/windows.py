"""Windows that slide over an image: where they stand, how they are weighted, and what they give together.

Arrays are (slice, row, column), as networks see them. Finished slices leave one after the other, so that never more
than one window's depth of probabilities is held. Follows Isensee 2021 (doi 10.1038/s41592-020-01008-z): windows are
spread evenly, and weigh by a Gaussian about their middle.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import islice, product

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
# (n, *window) in, (n, channels, *window) out
Predict = Callable[[FloatArray], FloatArray]
# slices first to last of an image, (last - first, rows, columns)
Read = Callable[[int, int], FloatArray]

SIGMA = 0.125  # of the edge
AT_ONCE = 4  # slices that go through a network together
VOLUMES_AT_ONCE = 1  # windows of a volume, whose feature maps are large


def starts(size: int, window: int, overlap: float) -> list[int]:
    """First indices of windows along one axis: evenly spread, neighbours share at least `overlap` of the window.

    The last window ends with the axis; an axis shorter than the window has one.
    """
    if size <= window:
        return [0]
    step = max(1, math.floor(window * (1.0 - overlap)))
    count = math.ceil((size - window) / step) + 1
    return [round(at * (size - window) / (count - 1)) for at in range(count)]


def gaussian(window: Sequence[int]) -> FloatArray:
    """Weights of a window: product of Gaussians about its middle, 1 there, SIGMA of the edge wide."""
    weights = np.ones((1,) * len(window))
    for axis, edge in enumerate(window):
        away = (np.arange(edge) - (edge - 1) / 2) / (SIGMA * edge)
        shape = [1] * len(window)
        shape[axis] = edge
        weights = weights * np.exp(-0.5 * away**2).reshape(shape)
    return (weights / weights.max()).astype(np.float32)


def slide_slices(
    read: Read,
    shape: tuple[int, int, int],
    predict: Predict,
    *,
    window: tuple[int, int],
    overlap: float,
    fill: float,
) -> Iterator[FloatArray]:
    """Probabilities of a network that sees slices, at most AT_ONCE slices at a time: (channels, slices, rows, columns).

    read : the image. shape : of the whole image. window : (rows, columns). fill : what stands beyond the image.
    """
    slices, rows, columns = shape
    places = list(product(starts(rows, window[0], overlap), starts(columns, window[1], overlap)))
    weights = gaussian(window)
    for first in range(0, slices, AT_ONCE):
        image, inner = _padded(read(first, min(first + AT_ONCE, slices)), (1, *window), fill)
        sums: FloatArray = np.zeros((0, *image.shape), dtype=np.float32)
        total: FloatArray = np.zeros(image.shape[1:], dtype=np.float32)
        for row, column in places:
            at = (slice(row, row + window[0]), slice(column, column + window[1]))
            found = predict(np.ascontiguousarray(image[:, *at])).swapaxes(0, 1)
            sums = sums if len(sums) else np.zeros((len(found), *image.shape), dtype=np.float32)
            sums[:, :, *at] += found * weights
            total[at] += weights
        yield (sums / total)[:, *inner]


def slide_volume(
    read: Read,
    shape: tuple[int, int, int],
    predict: Predict,
    *,
    window: tuple[int, int, int],
    overlap: float,
    fill: float,
) -> Iterator[FloatArray]:
    """Probabilities of a network that sees volumes, as many slices at a time as no later window reaches.

    Arguments as of `slide_slices`; window : (slices, rows, columns).
    """
    slices, rows, columns = shape
    depth = window[0]
    places = list(product(starts(rows, window[1], overlap), starts(columns, window[2], overlap)))
    weights = gaussian(window)
    levels = starts(slices, depth, overlap)
    sums: FloatArray = np.zeros((0, *window), dtype=np.float32)
    total: FloatArray = np.zeros(window, dtype=np.float32)
    for level, end in zip(levels, [*levels[1:], max(slices, depth)], strict=True):
        image, inner = _padded(read(level, min(level + depth, slices)), window, fill)
        for at, found in _through(predict, image, places, window):
            if not len(sums):
                sums = np.zeros((len(found), *image.shape), dtype=np.float32)
                total = np.zeros(image.shape, dtype=np.float32)
            sums[:, :, *at] += found * weights
            total[:, *at] += weights
        done = end - level
        finished = sums[:, :done] / total[:done]
        yield finished[:, inner[0] if slices < depth else slice(None), *inner[1:]]
        sums, total = _moved_up(sums, done, 1), _moved_up(total, done, 0)


def _through(
    predict: Predict, image: FloatArray, places: Sequence[tuple[int, int]], window: tuple[int, int, int]
) -> Iterator[tuple[tuple[slice, slice], FloatArray]]:
    """Place of each window of one level, and what the network gives there."""
    left = iter(places)
    while some := list(islice(left, VOLUMES_AT_ONCE)):
        at = [(slice(row, row + window[1]), slice(column, column + window[2])) for row, column in some]
        yield from zip(at, predict(np.stack([image[:, *place] for place in at])), strict=True)


def _moved_up(array: FloatArray, slices: int, axis: int) -> FloatArray:
    """The array without its first slices, and as many slices of zeros behind."""
    moved = np.roll(array, -slices, axis=axis)
    moved[(slice(None),) * axis + (slice(array.shape[axis] - slices, None),)] = 0
    return moved


def _padded(image: FloatArray, window: Sequence[int], fill: float) -> tuple[FloatArray, tuple[slice, slice, slice]]:
    """The image, filled up to one window at least, on both sides as patches in training are; and where it then lies."""
    short = [max(edge - size, 0) for size, edge in zip(image.shape, window, strict=True)]
    k, j, i = (slice(grow // 2, grow // 2 + size) for grow, size in zip(short, image.shape, strict=True))
    if any(short):
        around = [(grow // 2, grow - grow // 2) for grow in short]
        image = np.pad(image, around, constant_values=fill)
    return np.ascontiguousarray(image), (k, j, i)
