"""Who chooses the epoch, and how a network is measured on them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from osteorad.cohort.segmentation import TrainingSettings
from osteorad.segmentation.cases import CaseFiles
from osteorad.segmentation.heads import bone_probability, lesion_probability, target_of
from osteorad.segmentation.numerics import machine_of
from osteorad.segmentation.validate import draw_lesions, slices_of, validated, validation_patients
from tests.unit.segmentation.training_toy import toy_case, toy_plan

CPU = machine_of(TrainingSettings(device="cpu"), 1)


def files(patient, voxels, session="s"):
    return CaseFiles(
        patient=patient, session=session, image=Path(), sha256="", units="HU", lesions=(), bone=(), lesion_voxels=voxels
    )


def many(diseased, healthy):
    return [files(f"d{n}", 5) for n in range(diseased)] + [files(f"h{n}", 0) for n in range(healthy)]


class Bright(nn.Module):
    """Calls a voxel a lesion where it is over 0; tells how it was called."""

    def __init__(self):
        super().__init__()
        self.shapes = []

    def forward(self, images):
        self.shapes.append(tuple(images.shape))
        assert not self.training
        return torch.cat([-images, images], dim=1)


# --- who -------------------------------------------------------------------------------------------------------------


def test_the_share_is_taken_of_patients_with_and_without_lesion():
    chosen = validation_patients(many(20, 10), 0.2, "a")
    assert len(chosen) == 6
    assert sum(p.startswith("h") for p in chosen) == 2
    assert chosen == validation_patients(list(reversed(many(20, 10))), 0.2, "a")
    assert chosen != validation_patients(many(20, 10), 0.2, "b")


def test_all_sessions_of_a_patient_stand_on_one_side_and_one_lesion_makes_a_patient_diseased():
    cases = [files("p", 0, "s1"), files("p", 9, "s2"), files("q", 9)]
    assert len(validation_patients(cases, 0.5, "a")) == 1


@pytest.mark.parametrize(("diseased", "share", "some"), [(2, 0.01, 1), (2, 0.99, 1), (5, 0.99, 4), (9, 0.0, 0)])
def test_one_with_a_lesion_chooses_and_one_is_left_to_learn_from(diseased, share, some):
    assert sum(p.startswith("d") for p in validation_patients(many(diseased, 3), share, "a")) == some


def test_where_one_patient_only_has_a_lesion_nobody_is_set_apart(caplog):
    assert validation_patients(many(1, 9), 0.3, "a") == frozenset()
    assert "the last epoch is taken" in caplog.text


# --- how good --------------------------------------------------------------------------------------------------------


def signed(case, true=0, false=0):
    """The case as an image in which `true` lesion voxels and the first `false` others of slice 2 are over 0."""
    array = np.full(case.array_zyx.shape, -1.0, dtype=np.float32)
    array[tuple(axis[:true] for axis in np.nonzero(case.labels_zyx == 2))] = 1.0
    rows, columns = np.nonzero(case.labels_zyx[2] == 0)
    array[2, rows[:false], columns[:false]] = 1.0
    return replace(case, array_zyx=array)


def test_dice_is_the_mean_over_cases_with_a_lesion():
    cases = [signed(toy_case(), 48), signed(toy_case(), 24), signed(toy_case(), 48, 96)]
    found = validated(Bright(), cases, toy_plan(), CPU, lambda: False)
    assert found.dice == pytest.approx((1.0 + 2 * 24 / 72 + 2 * 48 / 192) / 3)  # 48 voxels of lesion
    assert found.false_ml is None


def test_false_volume_is_that_of_cases_without_a_lesion_brought_to_all_slices():
    case = toy_case(shape=(16, 20, 24), lesion=False)
    everywhere = replace(case, array_zyx=np.ones(case.array_zyx.shape, np.float32))
    found = validated(Bright(), [everywhere], toy_plan(), CPU, lambda: False)
    assert found.dice is None
    assert found.false_ml == pytest.approx(16 * 20 * 24 / 1000)


def test_slices_with_a_lesion_and_some_beside_them_are_looked_at():
    case = toy_case(shape=(40, 20, 24))  # lesion in slices 2 and 3
    assert slices_of(case, 2).tolist() == [0, 2, 3, 11, 20, 29, 39]
    assert slices_of(case, 3).tolist() == list(range(40))
    assert slices_of(toy_case(shape=(40, 20, 24), lesion=False), 2).size == 5
    assert slices_of(replace(case, labels_zyx=np.full((4, 2, 2), 2, np.uint8)), 2).tolist() == [0, 1, 2, 3]


def test_it_ends_where_it_is_asked_to_stop():
    assert validated(Bright(), [toy_case()], toy_plan(), CPU, lambda: True) is None


@pytest.mark.parametrize("shape", [(5, 20, 24), (17, 9, 3), (8, 8, 8), (1, 1, 1)])
@pytest.mark.parametrize(("dimensions", "patch"), [(2, (8, 8)), (2, (16, 8)), (3, (8, 8, 8)), (3, (4, 8, 16))])
def test_windows_of_the_patch_cover_an_image_of_any_size(shape, dimensions, patch):
    module = Bright().train()
    array = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    drawn = draw_lesions(module, array, toy_plan(dimensions=dimensions, patch=patch), CPU)
    assert np.array_equal(drawn, array > 0)
    assert {called[2:] for called in module.shapes} == {patch}  # as in training, never another size
    assert module.training  # as it was before


# --- heads -----------------------------------------------------------------------------------------------------------


def test_without_bone_a_lesion_is_the_only_label():
    labels = torch.tensor([[0, 2, 255]], dtype=torch.uint8)
    assert target_of(labels, toy_plan()).tolist() == [[0, 1, 255]]
    assert target_of(labels, toy_plan(labels=3)).tolist() == [[0, 2, 255]]


def test_probabilities_of_one_head_are_a_softmax():
    logits = torch.log(torch.tensor([0.5, 0.3, 0.2])).reshape(1, 3, 1, 1)
    plan = toy_plan(labels=3)
    assert lesion_probability(logits, plan).item() == pytest.approx(0.2)
    assert bone_probability(logits, plan).item() == pytest.approx(0.5)  # bone or a lesion in it
    assert bone_probability(logits[:, :2], toy_plan()) is None


def test_probabilities_of_two_heads_are_a_sigmoid_each():
    logits = torch.tensor([0.0, np.log(3.0)]).reshape(1, 2, 1, 1)
    plan = toy_plan(network="hybrid_attunetpp", labels=3)
    assert lesion_probability(logits, plan).item() == pytest.approx(0.5)
    assert bone_probability(logits, plan).item() == pytest.approx(0.75)
