"""The plan: what is set is taken, the rest follows from the training cases."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osteorad.cohort.segmentation import PlanSettings, SegmentationSettings
from osteorad.errors import AnalysisRefused, ConfigError
from osteorad.images.volume import Grid, Volume
from osteorad.segmentation.cases import Case
from osteorad.segmentation.memory import training_bytes
from osteorad.segmentation.plan import CaseFacts, case_facts, make_plan, plan_of, planned_patch, planned_spacing
from tests.unit.segmentation.training_toy import toy_plan


def facts(spacing=(1.0, 1.0, 2.0), shape=(64, 48, 30), values=(100.0, 200.0), *, lesion=True, units="HU", name="p/s"):
    return CaseFacts(
        name=name,
        units=units,
        shape_xyz=shape,
        spacing_mm=spacing,
        labelled=np.asarray(values, dtype=np.float32),
        lesion_voxels=int(lesion),
    )


def planned(cases, network="unet2d_tiny", loss="dice-ce", bone=None, **plan):
    settings = SegmentationSettings.model_validate(
        {"networks": {"n": {"network": network, "loss": loss, "settings": {"features": [4, 8]}}}, "bone": bone,
         "plan": plan}
    )  # fmt: skip
    return make_plan(cases, settings, "n")


def test_spacing_is_the_median_of_each_axis():
    cases = [facts(spacing=(x, 1.0, 3.0)) for x in (0.7, 0.8, 0.9)]
    assert planned_spacing(cases, PlanSettings(), 3) == (0.8, 1.0, 3.0)
    assert planned_spacing(cases, PlanSettings(), 2) == (0.8, 1.0, None)


def test_an_axis_of_coarse_slices_is_taken_finer_than_its_median():
    cases = [facts(spacing=(1.0, 1.0, z)) for z in (2.0, 5.0, 5.0, 5.0, 5.0)]
    found = planned_spacing(cases, PlanSettings(), 3)
    assert found == pytest.approx((1.0, 1.0, 3.2))  # 10th percentile of 2, 5, 5, 5, 5


def test_window_mean_and_sd_are_those_of_labelled_voxels():
    cases = [facts(values=np.arange(0, 501)), facts(values=np.arange(501, 1001))]
    plan = planned(cases)
    assert plan.window == pytest.approx((5.0, 995.0))
    inside = np.clip(np.arange(1001.0), 5.0, 995.0)
    assert (plan.mean, plan.sd) == pytest.approx((inside.mean(), inside.std()))


def test_what_is_set_is_taken():
    plan = planned([facts()], spacing_mm=(0.9, 0.8, 3.0), window_hu=(-100.0, 120.0), patch=[16, 24], batch=5)
    assert (plan.spacing_mm, plan.window, plan.patch, plan.batch) == ((0.9, 0.8, None), (-100.0, 120.0), (16, 24), 5)
    assert plan.mean == pytest.approx((100 + 120) / 2)


def test_the_patch_is_the_median_image_where_memory_allows_and_a_multiple_of_the_divisor():
    plan = planned([facts(shape=(61, 47, 30)), facts(shape=(61, 47, 30)), facts(shape=(200, 200, 30))])
    assert plan.divisor == (2, 2)
    assert plan.patch == (48, 62)  # rows, columns


def test_the_patch_shrinks_where_it_is_largest_until_two_fit():
    def step_bytes(patch, batch):
        return float(np.prod(patch)) * batch

    patch = planned_patch([(100, 400, 200)], (16, 16, 16), 2 * 1e6 / 1e9, step_bytes)
    assert np.prod(patch) <= 1e6
    assert all(edge % 16 == 0 for edge in patch)
    ratios = np.array(patch) / (100, 400, 200)
    assert np.ptp(ratios) < 0.2
    with pytest.raises(AnalysisRefused, match="memory_gb"):
        planned_patch([(100, 400, 200)], (16, 16, 16), 1e-6, step_bytes)


def test_more_memory_gives_no_smaller_batch_and_there_are_at_least_two():
    cases = [facts(shape=(128, 128, 60))] * 20
    batches = [planned(cases, memory_gb=gb, patch=[128, 128]).batch for gb in (0.0001, 0.05, 0.1, 8.0)]
    assert batches == sorted(batches)
    assert batches[0] == 2
    assert 2 < batches[1] < batches[-1] == 16


def test_a_batch_does_not_hold_over_a_twentieth_of_all_voxels():
    assert planned([facts(shape=(64, 64, 80))], patch=[64, 64]).batch == 4


def test_memory_is_that_of_the_feature_maps():
    small, large = (
        training_bytes("unet2d_tiny", {}, channels=1, labels=3, patch=(edge, edge), batch=2) for edge in (64, 128)
    )
    weights = 5 * 4 * 121_051  # float32 weights, gradients, two moments, best weights
    assert (large - weights) / (small - weights) == pytest.approx(4.0, rel=0.02)


def test_pictures_keep_their_grid_and_values():
    plan = planned([facts(units="grey", values=(3.0, 250.0))])
    assert plan.spacing_mm is None
    assert (plan.window, plan.mean, plan.sd) == ((0.0, 255.0), 0.0, 255.0)


def test_a_plan_is_whole_after_a_round_through_json():
    plan = planned([facts()], bone="bone")
    assert plan_of(json.loads(json.dumps(plan.plain()))) == plan
    assert plan_of(toy_plan(spacing_mm=None).plain()) == toy_plan(spacing_mm=None)


def test_facts_of_a_case_are_in_the_order_of_the_body():
    affine = np.array([[0, 0, -3.0, 0], [2.0, 0, 0, 0], [0, -1.0, 0, 0], [0, 0, 0, 1]])
    volume = Volume(array=np.arange(24.0).reshape(2, 3, 4), grid=Grid(shape=(2, 3, 4), affine_ras=affine), units="HU")
    labels = np.zeros((2, 3, 4), dtype=np.uint8)
    labels[1, 2, 3], labels[0, 0, 0] = 2, 1
    found = case_facts(Case(patient="p", session="s", volume=volume, labels=labels))
    assert (found.shape_xyz, found.spacing_mm) == ((4, 2, 3), (3.0, 2.0, 1.0))
    assert sorted(found.labelled) == [0.0, 23.0]
    assert found.lesion_voxels == 1


def test_without_any_lesion_nothing_is_planned():
    with pytest.raises(AnalysisRefused, match="none of the 2 training cases has a lesion"):
        planned([facts(lesion=False)] * 2)


def test_images_of_two_kinds_are_not_learned_from_together():
    with pytest.raises(AnalysisRefused, match="HU and grey"):
        planned([facts(), facts(units="grey")])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"patch": [15, 16]}, "multiple of 2"),
        ({"patch": [16, 16, 16]}, "2 edges"),
        ({"network": "hybrid_attunetpp", "loss": "bce-dual"}, "decoder for bone"),
        ({"loss": "bce-dual"}, "wanted dice-ce"),
    ],
)
def test_settings_that_do_not_fit_the_network_are_refused(changes, message):
    with pytest.raises(ConfigError, match=message):
        planned([facts()], **changes)
