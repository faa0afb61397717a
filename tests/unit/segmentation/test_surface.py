"""Distances between surfaces: reference pair, closed forms, a distance transform, and properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import ndimage

from osteorad.segmentation.surface import surface_distances, surface_voxels
from tests.unit.segmentation.masks import EXPECTED, SPACING, box, pair

MASKS = hnp.arrays(np.bool_, (6, 5, 4))
SOME = MASKS.filter(np.any)
CASES = {
    "whole": pair(),
    "L1_only_inplane_shift": (box((2, 4), (5, 14), (5, 14)), box((2, 4), (5, 14), (7, 16))),
    "L3_only_slice_shift": (box((6, 8), (20, 25), (5, 9)), box((7, 9), (20, 25), (5, 9))),
}


@pytest.mark.parametrize("name", CASES)
def test_reference_pair(name):
    """MONAI 1.6.1 gives the same HD, HD95 (4.624303), ASSD and surface Dice, MedPy 0.5.2 the pooled HD95."""
    reference, prediction = CASES[name]
    found = surface_distances(reference != 0, prediction != 0, SPACING)
    want = EXPECTED[name]
    assert found.hd == pytest.approx(want["hd"], abs=1e-6)
    assert found.hd95 == pytest.approx(want["hd95_max_of_directed"], abs=1e-6)
    assert found.hd95_pooled == pytest.approx(want["hd95_pooled"], abs=1e-6)
    assert found.assd == pytest.approx(want["assd_pooled"], abs=1e-6)
    assert found.assd_of_means == pytest.approx(want["assd_mean_of_means"], abs=1e-6)
    for tolerance in (1, 2, 3):
        assert found.surface_dice(tolerance) == pytest.approx(want[f"surface_dice_{tolerance}mm_voxel"], abs=1e-6)


def test_two_voxels_are_as_far_apart_as_their_centres():
    one, other = np.zeros((2, 5, 6, 7), dtype=bool)
    one[0, 0, 0] = other[3, 4, 2] = True
    found = surface_distances(one, other, (0.5, 2.0, 3.0))
    assert found.hd == found.hd95 == found.assd == pytest.approx(np.sqrt(1.5**2 + 8**2 + 6**2))


def test_surface_is_what_a_face_neighbour_leaves_open():
    mask = np.zeros((7, 7, 7), dtype=bool)
    mask[1:6, 1:6, 1:6] = True
    assert surface_voxels(mask).sum() == 5**3 - 3**3
    assert surface_voxels(np.ones((4, 4, 4), dtype=bool)).sum() == 4**3 - 2**3  # the face of the array is outside


def test_tolerance_holds_although_affines_are_float32():
    one, other = np.zeros((2, 5, 1, 1), dtype=bool)
    one[0], other[2] = True, True
    found = surface_distances(one, other, (float(np.float32(0.8)), 1.0, 1.0))
    assert found.hd > 1.6
    assert found.surface_dice(1.6) == 1.0
    assert found.surface_dice(1.5) == 0.0


def test_empty_mask_has_no_distance():
    full, empty = np.ones((3, 3, 3), dtype=bool), np.zeros((3, 3, 3), dtype=bool)
    for one, other in ((full, empty), (empty, full), (empty, empty)):
        assert surface_distances(one, other, SPACING) is None


@settings(max_examples=60, deadline=None)
@given(one=SOME, other=SOME, spacing=st.tuples(*[st.floats(0.3, 5.0)] * 3))
def test_distances_equal_those_of_a_distance_transform(one, other, spacing):
    found = surface_distances(one, other, spacing)
    here, there = surface_voxels(one), surface_voxels(other)
    np.testing.assert_allclose(found.reference_mm, ndimage.distance_transform_edt(~there, sampling=spacing)[here])
    np.testing.assert_allclose(found.prediction_mm, ndimage.distance_transform_edt(~here, sampling=spacing)[there])


@settings(max_examples=60, deadline=None)
@given(one=SOME, other=SOME, shift=st.tuples(*[st.integers(0, 9)] * 3))
def test_symmetric_and_the_same_anywhere(one, other, shift):
    found, turned = surface_distances(one, other, SPACING), surface_distances(other, one, SPACING)
    pad = [(n, 2) for n in shift]
    moved = surface_distances(np.pad(one, pad), np.pad(other, pad), SPACING)
    for name in ("hd", "hd95", "hd95_pooled", "assd", "assd_of_means"):
        assert getattr(found, name) == pytest.approx(getattr(turned, name), abs=1e-12)
        assert getattr(found, name) == pytest.approx(getattr(moved, name), abs=1e-12)
    assert found.surface_dice(1.6) == turned.surface_dice(1.6) == moved.surface_dice(1.6)
