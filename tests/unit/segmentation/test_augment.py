"""Cutting and varying a patch."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from osteorad.cohort.segmentation import Augmentation
from osteorad.segmentation.augment import Variation, cut, draw_variation, varied

STILL = {"degrees": 0.0, "scale": 1.0, "mirrored": False, "contrast": 1.0, "brightness": 0.0, "noise_sd": 0.0}
IMAGE = np.arange(49, dtype=np.float32).reshape(7, 7)
LABELS = (np.arange(49).reshape(7, 7) % 3).astype(np.uint8)
MIDDLE = np.array([3.0, 3.0])


def still(**changes):
    return Variation(**{**STILL, **changes})


def patch(variation, edges=(5, 5), centre=MIDDLE, image=IMAGE, labels=LABELS):
    return cut(image, labels, centre, edges, variation=variation, lowest=-9.0)


def test_without_motion_voxels_are_those_of_the_image():
    image, labels = patch(still())
    assert np.array_equal(image, IMAGE[1:6, 1:6])
    assert np.array_equal(labels, LABELS[1:6, 1:6])


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_a_quarter_turn_is_that_of_numpy(turns):
    image, labels = patch(still(degrees=90.0 * turns))
    assert np.allclose(image, np.rot90(IMAGE[1:6, 1:6], -turns), atol=1e-4)
    assert np.array_equal(labels, np.rot90(LABELS[1:6, 1:6], -turns))


def test_a_mirrored_patch_is_the_mirror_image_turned_or_not():
    image, labels = patch(still(mirrored=True))
    assert np.array_equal(image, IMAGE[1:6, 5:0:-1])
    assert np.array_equal(labels, LABELS[1:6, 5:0:-1])
    turned, _ = patch(still(mirrored=True, degrees=360.0))
    assert np.allclose(turned, image, atol=1e-4)


def test_twice_the_scale_shows_the_middle_twice_as_large():
    image, _ = patch(still(scale=2.0))
    assert image[:, 2] == pytest.approx([17, 20.5, 24, 27.5, 31])  # rows 2, 2.5, 3, 3.5, 4 of column 3


def test_beyond_the_border_labels_are_ignored_and_the_image_is_lowest():
    image, labels = patch(still(), centre=np.array([0.0, 3.0]))
    assert (image[:2] == -9.0).all()
    assert (labels[:2] == 255).all()
    assert np.array_equal(image[2:], IMAGE[:3, 1:6])


def test_a_patch_may_be_larger_than_the_image():
    image, labels = patch(still(), edges=(9, 9))
    assert np.array_equal(image[1:8, 1:8], IMAGE)
    assert np.count_nonzero(labels == 255) == 81 - 49


def test_volumes_are_turned_within_their_slices():
    volume = np.stack([IMAGE, IMAGE + 100, IMAGE + 200])
    labels = np.stack([LABELS] * 3)
    image, _ = patch(still(degrees=90.0), (3, 5, 5), np.array([1.0, 3.0, 3.0]), volume, labels)
    for level in range(3):
        assert np.allclose(image[level], np.rot90(IMAGE[1:6, 1:6], -1) + 100 * level, atol=1e-3)


@given(
    degrees=st.floats(-180, 180),
    scale=st.floats(0.5, 2.0),
    mirrored=st.booleans(),
    at=st.tuples(st.floats(-2, 9), st.floats(-2, 9)),
)
def test_labels_are_never_blended_and_go_with_the_image(degrees, scale, mirrored, at):
    labels = np.where(LABELS == 1, 2, LABELS).astype(np.uint8)
    variation = still(degrees=degrees, scale=scale, mirrored=mirrored)
    image, cut_labels = patch(variation, (6, 6), np.array(at), (labels == 2).astype(np.float32), labels)
    assert set(np.unique(cut_labels)) <= {0, 2, 255}
    assert np.array_equal(cut_labels == 255, image == -9.0)
    # the nearest of four neighbours has at least a quarter of the weight
    assert (cut_labels[image > 0.751] == 2).all()
    assert (cut_labels[(image >= 0) & (image < 0.249)] == 0).all()


def test_draws_stay_within_the_settings_and_do_not_depend_on_one_another():
    limits = Augmentation(rotate_degrees=10, scale=0.1, brightness=0.2, contrast=0.3, noise=0.05)
    draws = [draw_variation(limits, np.random.default_rng(seed)) for seed in range(300)]
    assert max(abs(d.degrees) for d in draws) <= 10 < 2 * np.std([d.degrees for d in draws])
    assert all(1 / 1.1 <= d.scale <= 1.1 and 0.7 <= d.contrast <= 1.3 and 0 <= d.noise_sd <= 0.05 for d in draws)
    assert 100 < sum(d.mirrored for d in draws) < 200
    other = Augmentation(rotate_degrees=0, scale=0.1, brightness=0.2, contrast=0.3, noise=0.05, flip=False)
    same = draw_variation(other, np.random.default_rng(5))
    assert (same.degrees, same.mirrored, same.contrast) == (0.0, False, draws[5].contrast)


def test_values_are_stretched_about_their_mean_shifted_and_given_noise():
    rng = np.random.default_rng(1)
    assert varied(IMAGE, still(contrast=2.0, brightness=1.0), rng) == pytest.approx((IMAGE - 24) * 2 + 25)
    noise = varied(np.zeros((200, 200), np.float32), still(noise_sd=0.5), rng)
    assert noise.std() == pytest.approx(0.5, rel=0.02)
    assert varied(IMAGE, still(), rng) is IMAGE
