"""Outlines enclose exactly the pixels of the mask."""

from __future__ import annotations

import re

import numpy as np
import pytest

from osteorad.reporting.outlines import outline_path


def _loops(path: str) -> list[list[tuple[int, int]]]:
    loops = []
    for piece in path.split("z")[:-1]:
        start = re.match(r"M(-?\d+) (-?\d+)", piece)
        assert start is not None
        x, y = int(start[1]), int(start[2])
        corners = [(x, y)]
        for way, length in re.findall(r"([hv])(-?\d+)", piece):
            x, y = (x + int(length), y) if way == "h" else (x, y + int(length))
            corners.append((x, y))
        loops.append(corners)
    return loops


def _area(path: str) -> float:
    """Enclosed area, holes subtracted because they run the other way round."""
    total = 0.0
    for corners in _loops(path):
        for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
            total += (x1 * y2 - x2 * y1) / 2
    return total


@pytest.mark.parametrize("seed", range(6))
def test_outline_encloses_as_many_pixels_as_the_mask_has(seed: int) -> None:
    mask = np.random.default_rng(seed).random((23, 31)) < 0.55
    assert _area(outline_path(mask)) == mask.sum()


def test_ring_has_an_outer_and_an_inner_loop() -> None:
    mask = np.ones((5, 5), dtype=bool)
    mask[2, 2] = False
    assert len(_loops(outline_path(mask))) == 2
    assert _area(outline_path(mask)) == 24


def test_pixels_that_touch_by_a_corner_stay_apart() -> None:
    assert len(_loops(outline_path(np.eye(3, dtype=bool)))) == 3


def test_rectangle_has_four_corners() -> None:
    mask = np.zeros((9, 9), dtype=bool)
    mask[2:5, 3:8] = True
    assert outline_path(mask) == "M3 2h5v3h-5z"


def test_no_pixel_no_path() -> None:
    assert outline_path(np.zeros((4, 4), dtype=bool)) == ""
