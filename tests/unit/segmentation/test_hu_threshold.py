"""The baseline by HU: a dense and a thin spot inside bone are found, bone without either is left alone."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from osteorad.segmentation.hu_threshold import HuRule, hu_threshold

SPACING = (1.0, 1.0, 2.0)
BONE = np.zeros((48, 40, 24), dtype=np.uint8)
BONE[6:42, 6:34, 3:21] = 1
SPOTS = {
    "sclerotic": (slice(14, 22), slice(14, 22), slice(8, 12)),
    "lytic": (slice(28, 36), slice(18, 26), slice(12, 16)),
}


def volume(**spots: float) -> np.ndarray:
    """Air, bone of 180 HU with a cortex of 900 HU and noise, and spots of some HU, int16."""
    hu = np.full(BONE.shape, -1000.0)
    hu[6:42, 6:34, 3:21] = 900
    hu[8:40, 8:32, 4:20] = 180
    for name, value in spots.items():
        hu[SPOTS[name]] = value
    return (hu + np.random.default_rng(3).normal(0, 20, hu.shape)).astype(np.int16)


@pytest.mark.parametrize("name", SPOTS)
def test_a_spot_is_found_where_it_is(name):
    [one] = hu_threshold(
        volume(**{name: {"sclerotic": 420, "lytic": -40}[name]}), BONE, SPACING, HuRule(deviations=6.0)
    )
    spot = np.zeros(BONE.shape, dtype=bool)
    spot[SPOTS[name]] = True
    inside = np.zeros(BONE.shape, dtype=bool)
    inside[one.patch.slices] = one.patch.array
    assert np.count_nonzero(spot & inside) >= 0.9 * spot.sum()
    assert not (inside & ~ndimage.binary_dilation(spot, np.ones((3, 3, 3)))).any()
    assert (one.number, one.score > 6) == (1, True)


def test_both_kinds_are_components_of_their_own_the_largest_first():
    found = hu_threshold(volume(sclerotic=500, lytic=-60), BONE, SPACING, HuRule(deviations=6.0))
    assert [one.number for one in found] == [1, 2]
    assert found[0].patch.voxels >= found[1].patch.voxels


def test_bone_without_lesion_and_its_cortex_are_left_alone():
    assert hu_threshold(volume(), BONE, SPACING, HuRule(deviations=6.0)) == []


def test_a_lesion_that_the_bone_mask_leaves_out_is_looked_at_too():
    holed = BONE.copy()
    holed[SPOTS["lytic"]] = 0
    hu = volume(lytic=-40)
    same = [
        [(one.patch.start, one.patch.voxels) for one in hu_threshold(hu, bone, SPACING, HuRule(deviations=6.0))]
        for bone in (BONE, holed)
    ]
    assert len(same[0]) == 1
    assert same[0] == same[1]


@pytest.mark.parametrize("bone", [0 * BONE, np.pad(np.ones((3, 3, 3)), ((0, 45), (0, 37), (0, 21)))])
def test_without_enough_bone_nothing_is_told(bone):
    assert hu_threshold(volume(), bone, SPACING) == []
