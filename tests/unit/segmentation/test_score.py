"""Voxel scores: the reference pair, closed forms, every empty combination, properties."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from osteorad.segmentation.score import VoxelScores, score_voxels
from tests.unit.segmentation.masks import EXPECTED, SPACING, box, pair
from tests.unit.segmentation.test_surface import CASES

FULL, EMPTY = box((2, 4), (5, 14), (5, 14)), np.zeros((40, 40, 12), dtype=np.uint8)
ML = 300 * 1.92e-3
SMALL = hnp.arrays(np.bool_, (5, 4, 3))


@pytest.mark.parametrize("name", CASES)
def test_reference_pair(name):
    found, want = score_voxels(*CASES[name], SPACING), EXPECTED[name]
    assert (found.tp, found.fp, found.fn) == (want["tp"], want["fp"], want["fn"])
    for mine, theirs in (("dice", "dice"), ("iou", "iou"), ("precision", "precision"), ("recall", "recall")):
        assert getattr(found, mine) == pytest.approx(want[theirs], abs=1e-6)
    assert found.reference_ml == pytest.approx(want["vol_ref_mm3"] / 1000, abs=1e-6)
    assert found.predicted_ml == pytest.approx(want["vol_pred_mm3"] / 1000, abs=1e-6)
    assert found.volume_error_percent == pytest.approx(100 * want["rve"], abs=1e-4)
    assert found.volume_error_ml == pytest.approx((want["vol_pred_mm3"] - want["vol_ref_mm3"]) / 1000, abs=1e-6)
    assert found.hd_mm == pytest.approx(want["hd"], abs=1e-6)
    assert found.hd95_mm == pytest.approx(want["hd95_max_of_directed"], abs=1e-6)
    assert found.assd_mm == pytest.approx(want["assd_pooled"], abs=1e-6)
    assert found.surface_dice == pytest.approx([want[f"surface_dice_{t}mm_voxel"] for t in (1, 2, 3)], abs=1e-6)
    assert found.correct_negative is None


def test_both_empty_is_a_correct_negative_and_no_dice():
    assert score_voxels(EMPTY, EMPTY, SPACING) == VoxelScores(
        tp=0, fp=0, fn=0, reference_ml=0.0, predicted_ml=0.0, volume_error_ml=0.0, correct_negative=True
    )


def test_only_the_reference_empty_counts_false_volume_and_nothing_else():
    found = score_voxels(EMPTY, FULL, SPACING)
    assert (found.tp, found.fp, found.fn) == (0, 300, 0)
    assert found.volume_error_ml == found.predicted_ml == pytest.approx(ML)
    known = {name for name, value in asdict(found).items() if value not in (None, (None, None, None))}
    assert known == {"tp", "fp", "fn", "reference_ml", "predicted_ml", "volume_error_ml", "correct_negative"}
    assert found.correct_negative is False


def test_only_the_prediction_empty_scores_nought_and_has_no_distance():
    found = score_voxels(FULL, EMPTY, SPACING)
    assert (found.dice, found.iou, found.recall) == (0.0, 0.0, 0.0)
    assert found.surface_dice == (0.0, 0.0, 0.0)
    assert found.precision is found.hd95_mm is found.hd_mm is found.assd_mm is found.correct_negative is None
    assert (found.volume_error_ml, found.volume_error_percent) == (pytest.approx(-ML), -100.0)


def test_disjoint_masks_score_nought_and_have_distances():
    found = score_voxels(box((0, 0), (0, 0), (0, 0)), box((3, 3), (0, 0), (0, 0)), SPACING)
    assert (found.dice, found.precision, found.recall, found.hd_mm) == (0.0, 0.0, 0.0, 9.0)


def test_volume_of_a_voxel_can_be_given_for_axes_that_are_not_perpendicular():
    assert score_voxels(FULL, FULL, SPACING, voxel_ml=0.5).reference_ml == 150.0


def test_different_shapes_are_refused():
    with pytest.raises(ValueError, match="differ in shape"):
        score_voxels(FULL, EMPTY[:-1], SPACING)


def test_masks_at_the_face_of_the_volume_score_as_inside():
    reference, prediction = pair()
    inside = [np.pad(mask, 3) for mask in (reference, prediction)]
    assert score_voxels(*inside, SPACING) == score_voxels(reference, prediction, SPACING)


@settings(max_examples=60, deadline=None)
@given(one=SMALL, other=SMALL, low=st.tuples(*[st.integers(0, 4)] * 3))
def test_symmetric_and_the_same_anywhere(one, other, low):
    found, turned = score_voxels(one, other, SPACING), score_voxels(other, one, SPACING)
    assert score_voxels(*[np.pad(m, [(n, 1) for n in low]) for m in (one, other)], SPACING) == found
    if one.any() and other.any():
        assert (found.dice, found.iou, found.hd95_mm, found.hd_mm) == (
            turned.dice,
            turned.iou,
            turned.hd95_mm,
            turned.hd_mm,
        )
        assert (found.precision, found.recall) == (turned.recall, turned.precision)
        assert found.volume_error_ml == -turned.volume_error_ml
        assert found.dice == pytest.approx(2 * found.iou / (1 + found.iou))


@settings(max_examples=40, deadline=None)
@given(mask=SMALL.filter(np.any))
def test_a_mask_agrees_with_itself(mask):
    found = score_voxels(mask, mask, SPACING)
    assert (found.dice, found.iou, found.precision, found.recall, found.hd_mm, found.assd_mm) == (1, 1, 1, 1, 0, 0)
    assert found.surface_dice == (1.0, 1.0, 1.0)
