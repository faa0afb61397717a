"""Batches are functions of the step."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice

import numpy as np
import pytest

from osteorad.cohort.segmentation import TrainingSettings
from osteorad.segmentation.batches import Batches, stream
from tests.unit.segmentation.training_toy import toy_case, toy_plan

STILL = {"flip": False, "rotate_degrees": 0, "scale": 0, "brightness": 0, "contrast": 0, "noise": 0}
SEEN_AS_IT_IS = {"window": (-1e9, 1e9), "mean": 0.0, "sd": 1.0}


def make(name="a/1", cases=None, plan=None, **settings):
    chosen = TrainingSettings.model_validate(settings)
    return Batches(cases or [toy_case("p/s"), toy_case("q/s", lesion=False)], plan or toy_plan(), chosen, name=name)


def same(one, other):
    return (
        np.array_equal(one.images, other.images)
        and np.array_equal(one.labels, other.labels)
        and one.cases == other.cases
    )


def test_a_batch_does_not_depend_on_those_before_it():
    first, second = make(), make()
    for step in (0, 1, 2, 5):
        first.batch(step)
    assert same(first.batch(7), second.batch(7))
    assert not same(first.batch(7), first.batch(8))
    assert not same(first.batch(7), make("a/2").batch(7))


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_threads_and_a_start_in_the_middle_give_the_same_batches_in_order(workers):
    batches = make()
    found = list(stream(batches, 3, 20, workers=workers))
    assert len(found) == 17
    assert all(same(batch, batches.batch(step)) for step, batch in enumerate(found, start=3))


def test_threads_end_where_no_more_batches_are_asked_for():
    batches = make()
    made = []
    plain = batches.batch
    batches.batch = lambda step: made.append(step) or plain(step)
    source = stream(batches, 0, 1000, workers=2)
    assert len(list(islice(source, 3))) == 3
    source.close()
    assert len(made) < 20


def test_shapes_types_and_labels():
    batch = make().batch(0)
    assert (batch.images.shape, batch.images.dtype) == ((2, 1, 8, 8), np.float32)
    assert (batch.labels.shape, batch.labels.dtype) == ((2, 8, 8), np.uint8)
    assert {int(v) for step in range(40) for v in np.unique(make().batch(step).labels)} <= {0, 2, 255}


@pytest.mark.parametrize("share", [0.0, 0.25, 0.5, 1.0])
def test_the_share_of_patches_laid_on_a_lesion_is_exact(share):
    batches = make(foreground=share, augmentation=STILL)
    wanted = [batches._wants_lesion(number) for number in range(80)]
    assert sum(wanted) == 80 * share
    found = np.concatenate([(batches.batch(step).labels == 2).any(axis=(1, 2)) for step in range(40)])
    assert found[np.array(wanted)].all()


def test_where_bone_was_drawn_most_patches_beside_the_lesion_are_laid_on_it():
    """There are the false positives of a network; air is known after a few steps."""
    plain = toy_case("p/s")
    labels = np.zeros_like(plain.labels_zyx)
    labels[2, 3:5, 3:5] = 1
    labels[-1, -3:, -3:] = 2
    small = {"patch": (4, 4), "divisor": (4, 4), "labels": 3}
    batches = make(
        cases=[replace(plain, labels_zyx=labels)], plan=toy_plan(**small), augmentation=STILL, foreground=0.0
    )
    with_bone = [(one == 1).any() for step in range(100) for one in batches.batch(step).labels]
    assert 0.70 < np.mean(with_bone) < 0.80


def test_a_patch_holds_the_voxels_of_its_place():
    batches = make(plan=toy_plan(**SEEN_AS_IT_IS), augmentation=STILL, foreground=1.0)
    for step in range(10):
        for image in batches.batch(step).images[:, 0]:
            levels, rest = np.divmod(image, 10_000)
            rows, columns = np.divmod(rest, 100)
            assert len(np.unique(levels)) == 1  # one slice
            assert 2 <= levels.min() <= 3  # a slice with lesion
            assert (np.diff(rows, axis=0) == 1).all()
            assert (np.diff(columns, axis=1) == 1).all()


def test_patches_beside_the_lesion_come_from_every_case_and_slice_and_stay_inside():
    batches = make(plan=toy_plan(**SEEN_AS_IT_IS), augmentation=STILL, foreground=0.0)
    found = [batches.batch(step) for step in range(150)]
    assert {case for batch in found for case in batch.cases} == {"p/s", "q/s"}
    assert {int(v) for batch in found for v in batch.images.max(axis=(1, 2, 3)) // 10_000} == set(range(5))
    assert not any((batch.labels == 255).any() for batch in found)


def test_every_place_is_as_likely_as_any_other():
    plan = toy_plan(patch=(8, 20), **SEEN_AS_IT_IS)
    batches = make(plan=plan, augmentation=STILL, foreground=0.0)
    corners = np.concatenate([batches.batch(step).images[:, 0, 0, 0] for step in range(500)]) % 10_000
    rows, columns = np.divmod(corners, 100)
    assert np.bincount(rows.astype(int)) / 1000 == pytest.approx(np.full(13, 1 / 13), abs=0.03)
    assert np.bincount(columns.astype(int)) / 1000 == pytest.approx(np.full(5, 1 / 5), abs=0.05)


def test_an_image_smaller_than_the_patch_is_padded_all_round():
    plan = toy_plan(patch=(28, 30), **SEEN_AS_IT_IS)
    labels = make(plan=plan, augmentation=STILL).batch(0).labels[0]
    rows, columns = np.nonzero(labels != 255)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (4, 23, 3, 26)


def test_volumes_give_patches_of_three_dimensions():
    plan = toy_plan(dimensions=3, patch=(4, 8, 8), spacing_mm=(1.0, 1.0, 1.0))
    batch = make(plan=plan, foreground=1.0).batch(3)
    assert batch.images.shape == (2, 1, 4, 8, 8)
    assert (batch.labels == 2).any(axis=(1, 2, 3)).all()


def test_an_error_in_a_thread_names_the_case():
    broken = toy_case("p/s")
    object.__setattr__(broken, "labels_zyx", broken.labels_zyx.astype(object))
    batches = make(cases=[broken])
    with pytest.raises(RuntimeError) as caught:
        list(stream(batches, 0, 2, workers=2))
    assert "of case p/s" in " ".join(caught.value.__notes__)


def test_without_a_lesion_there_is_nothing_to_lay_patches_on():
    with pytest.raises(ValueError, match="no case with a lesion"):
        make(cases=[toy_case(lesion=False)])
