"""Contours and mask files by themselves."""

from __future__ import annotations

import gzip

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from osteorad.phantom.contours import nrrd_bytes, outlines
from osteorad.phantom.shapes import inside_polygon


def rasterised(polygons: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    mask = np.zeros(shape, dtype=bool)
    for polygon in polygons:
        mask ^= inside_polygon(np.arange(shape[1], dtype=float), np.arange(shape[0], dtype=float), polygon[:, ::-1])
    return mask


@settings(max_examples=150, deadline=None, derandomize=True)
@given(arrays(bool, st.tuples(st.integers(1, 9), st.integers(1, 9))))
def test_outlines_give_back_any_mask(mask: np.ndarray) -> None:
    assert (rasterised(outlines(mask), mask.shape) == mask).all()


def test_a_hole_is_a_contour_of_its_own() -> None:
    mask = np.ones((7, 7), dtype=bool)
    mask[2:5, 2:5] = False
    assert len(outlines(mask)) == 2


def test_points_on_straight_lines_are_left_out() -> None:
    mask = np.zeros((12, 12), dtype=bool)
    mask[2:10, 2:10] = True
    (ring,) = outlines(mask)
    assert len(ring) == 8  # four sides and four cut corners


def test_nrrd_is_cropped_and_says_where_it_lies() -> None:
    mask = np.zeros((10, 12, 14), dtype=bool)
    mask[4:6, 5:8, 6:7] = True
    head, body = nrrd_bytes(mask, (2.0, 3.0, 4.0), (-10.0, 20.0, 30.0), margin=1).split(b"\n\n", 1)
    assert b"sizes: 3 5 4" in head
    assert b"space origin: (0,32,42)" in head
    assert np.frombuffer(gzip.decompress(body), dtype=np.uint8).sum() == mask.sum()
