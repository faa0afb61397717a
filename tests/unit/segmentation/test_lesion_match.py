"""Lesion rules: the reference pair, closed forms, merges and splits, touching lesions, small components."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from osteorad.errors import ConfigError
from osteorad.images.volume import Patch
from osteorad.segmentation.lesion_match import RULES, Contacts, Rule, components, instances, large_enough, match
from tests.unit.segmentation.masks import EXPECTED, box, found, pair

REFERENCE, PREDICTION = pair()
LESIONS = components(REFERENCE)
FOUND = found(components(PREDICTION))
VOXEL_ML = 1.92e-3
GOLDEN = {
    "overlap": ("overlap", 0.0),
    "iou0.1": ("iou", 0.1),
    "iou0.5": ("iou", 0.5),
    "centroid": ("centroid", 0.0),
}


def patches(*arrays: np.ndarray) -> list[Patch]:
    return [Patch(start=(0, 0, 0), array=array) for array in arrays]


@pytest.mark.parametrize("name", GOLDEN)
def test_reference_pair(name):
    rule, at_least = GOLDEN[name]
    result, want = match(LESIONS, FOUND, Rule(name=rule, at_least=at_least)), EXPECTED["lesionwise"][name]
    detected, matched = int(result.detected.sum()), int(result.matched.sum())
    assert (len(LESIONS), len(FOUND)) == (want["n_ref"], want["n_pred"])
    assert (detected, matched) == (want["detected_ref"], want["matched_pred"])
    assert len(FOUND) - matched == want["false_positive_pred"]
    assert detected / len(LESIONS) == pytest.approx(want["sensitivity"], abs=1e-6)
    assert matched / len(FOUND) == pytest.approx(want["precision"], abs=1e-6)


@pytest.mark.parametrize(("name", "at_least"), [("one_to_one_iou0_1", 0.1), ("one_to_one_iou0_5", 0.5)])
def test_reference_pair_one_to_one(name, at_least):
    """panoptica 2.1.7 gives the same at 0.1: TP 4, FP 3, FN 3."""
    result, want = match(LESIONS, FOUND, Rule(name="one-to-one", at_least=at_least)), EXPECTED[name]
    hits = int(result.detected.sum())
    assert hits == result.matched.sum() == want["tp"]
    assert (len(LESIONS) - hits, len(FOUND) - hits) == (want["fn"], want["fp"])


def test_default_rule_on_the_reference_pair():
    """L2 is missed and of L7 one voxel in 72 is covered; P touches nothing; L4 and L5 are merged, L6 is split."""
    result = match(LESIONS, FOUND)
    assert (result.detected.sum(), result.false_positive.sum(), result.merges, result.splits) == (5, 1, 1, 1)
    missed = [patch.start for patch, hit in zip(LESIONS, result.detected, strict=True) if not hit]
    assert sorted(missed) == [(24, 2, 0), (30, 30, 8)]
    stray = [one.patch.start for one, false in zip(FOUND, result.false_positive, strict=True) if false]
    assert stray == [(30, 5, 10)]


def test_false_positives_do_not_depend_on_the_rule():
    assert {name: match(LESIONS, FOUND, Rule(name=name)).false_positive.sum() for name in RULES} == dict.fromkeys(
        RULES, 1
    )


def test_iou_of_a_tenth_implies_a_tenth_of_the_lesion():
    """So that the default rule needs no second half."""
    contacts = match(LESIONS, FOUND).contacts
    pairwise = contacts.common / contacts.reference_voxels[:, None]
    assert (pairwise >= contacts.iou).all()


def test_parts_of_a_lesion_find_it_together():
    """Two components of 8 % each: not enough alone."""
    lesion = np.zeros((50, 3, 3), dtype=np.uint8)
    lesion[:, 1, 1] = 1
    parts = np.zeros((2, 50, 3, 3), dtype=np.uint8)
    parts[0, :4], parts[1, 20:24] = lesion[:4], lesion[20:24]
    assert match(patches(lesion), found(patches(parts[0]))).detected.tolist() == [False]
    both = match(patches(lesion), found(patches(*parts)))
    assert both.detected.tolist() == [True]
    assert (both.matched.tolist(), both.splits) == ([True, True], 1)


def test_touching_lesions_stay_two_where_they_were_drawn_as_two():
    one, other = box((1, 2), (3, 6), (3, 6)), box((1, 2), (3, 6), (7, 10))
    assert len(components(one | other)) == 1
    labels = instances(one.astype(np.int16) + 2 * other.astype(np.int16))
    assert [patch.voxels for patch in labels] == [32, 32]
    result = match(labels, found(components(one | other)))
    assert (result.detected.tolist(), result.merges, result.splits) == ([True, True], 1, 0)
    assert match(labels, found(components(one | other)), Rule(name="one-to-one")).detected.sum() == 1


def test_lesions_that_share_voxels_are_both_found():
    one, other = box((1, 2), (3, 6), (3, 6)), box((1, 2), (3, 6), (5, 8))
    assert match(patches(one, other), found(components(other))).detected.tolist() == [True, True]


def test_components_are_connected_by_corners_and_the_largest_is_first():
    mask = np.zeros((6, 6, 6), dtype=np.uint8)
    mask[0, 0, 0] = mask[1, 1, 1] = 1
    mask[3:5, 3:5, 3:5] = 1
    assert [patch.voxels for patch in components(mask)] == [8, 2]


@pytest.mark.parametrize(
    ("voxels", "smallest_ml", "smallest_voxels", "stays"),
    [(52, 0.1, 3, False), (53, 0.1, 3, True), (2, 0.0, 3, False), (3, 0.0, 3, True), (1, 0.0, 0, True)],
)
def test_small_components_are_dropped(voxels, smallest_ml, smallest_voxels, stays):
    """0.1 ml are 52.1 voxels of 1.92 mm3."""
    line = Patch(start=(0, 0, 0), array=np.ones((voxels, 1, 1), dtype=np.uint8))
    kept = large_enough(found([line]), VOXEL_ML, smallest_ml=smallest_ml, smallest_voxels=smallest_voxels)
    assert bool(kept) == stays


def test_just_enough_volume_is_enough_although_floats_round():
    line = Patch(start=(0, 0, 0), array=np.ones((100, 1, 1), dtype=np.uint8))
    assert large_enough(found([line]), 0.1 / 100 * (1 - 1e-12))


def test_lesion_is_found_at_the_score_that_completes_it():
    lesion = np.zeros((50, 3, 3), dtype=np.uint8)
    lesion[:, 1, 1] = 1
    parts = np.zeros((3, 50, 3, 3), dtype=np.uint8)
    for n, first in enumerate((0, 20, 40)):
        parts[n, first : first + 4] = lesion[first : first + 4]
    result = match(patches(lesion, box((9, 9), (9, 9), (9, 9))), found(patches(*parts), [0.9, 0.6, 0.7]))
    assert result.found_at == (0.7, None)
    assert match(patches(lesion), found(patches(*parts))).found_at == (None,)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("lesions", "components_"), [(0, 0), (0, 2), (2, 0)])
def test_nothing_drawn_or_nothing_predicted(rule, lesions, components_):
    one = patches(box((1, 2), (3, 6), (3, 6)), box((7, 8), (3, 6), (3, 6)))
    result = match(one[:lesions], found(one[:components_], [0.5, 0.6]), Rule(name=rule))
    assert (result.detected.tolist(), result.found_at) == ([False] * lesions, (None,) * lesions)
    assert (result.matched.tolist(), result.false_positive.tolist()) == ([False] * components_, [True] * components_)
    assert (result.merges, result.splits) == (0, 0)


def test_assignment_is_among_pairs_that_reach_the_threshold():
    """The largest sum of all IoU would take the two pairs of 0.099 and find nothing."""
    contacts = Contacts(
        common=np.array([[20, 18], [18, 0]]),
        centred=np.zeros((2, 2), dtype=bool),
        reference_voxels=np.array([100, 100]),
        predicted_voxels=np.array([100, 100]),
    )
    assert RULES["one-to-one"][0](contacts, 0.1).tolist() == [[True, False], [False, False]]


def test_unknown_rule_names_the_nearest():
    with pytest.raises(ConfigError, match=r"segmentation: unknown lesion rule 'centroids'\. Did you mean 'centroid'\?"):
        Rule(name="centroids")


def test_rule_is_told_in_words():
    assert Rule().words == "at least 10 % of the lesion's volume is covered"
    assert Rule(name="iou", at_least=0.25).words == "a component reaches an IoU of 0.25 with the lesion"


@settings(max_examples=60, deadline=None)
@given(
    reference=hnp.arrays(np.bool_, (5, 5, 4)),
    prediction=hnp.arrays(np.bool_, (5, 5, 4)),
    shift=st.tuples(*[st.integers(0, 4)] * 3),
    rule=st.sampled_from(sorted(set(RULES) - {"centroid"})),
)
def test_every_rule_pairs_what_touches_and_nothing_else(reference, prediction, shift, rule):
    result = match(components(reference), found(components(prediction)), Rule(name=rule))
    touched = (result.contacts.common > 0).any(axis=1)
    assert not (result.detected & ~touched).any()
    assert not (result.matched & result.false_positive).any()
    pad = [(n, 0) for n in shift]
    moved = match(components(np.pad(reference, pad)), found(components(np.pad(prediction, pad))), Rule(name=rule))
    assert (moved.detected == result.detected).all()
    assert (moved.false_positive == result.false_positive).all()


@settings(max_examples=40, deadline=None)
@given(mask=hnp.arrays(np.bool_, (5, 5, 4)))
def test_a_mask_finds_all_its_own_lesions(mask):
    for rule in ("share", "overlap", "iou", "one-to-one"):
        result = match(components(mask), found(components(mask)), Rule(name=rule, at_least=1.0))
        assert result.detected.all()
        assert result.matched.all()
        assert (result.merges, result.splits, result.false_positive.sum()) == (0, 0, 0)
