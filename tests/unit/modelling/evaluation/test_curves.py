"""Curves and groups of test rows against closed forms and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from osteorad.modelling.evaluation.bootstrap import draw_weights, everyone, measured
from osteorad.modelling.evaluation.calibration import calibration, calibration_bins, curve_of, ici
from osteorad.modelling.evaluation.confusion import measure, waterfall
from osteorad.modelling.evaluation.decision import decision_curves
from osteorad.modelling.evaluation.roc import areas, roc_curve
from osteorad.modelling.evaluation.rows import TestRows
from osteorad.modelling.statistics.metrics import expit
from tests.unit.modelling.evaluation.predicted import rows_with


@pytest.fixture(scope="module")
def sure() -> TestRows:
    """4,000 rows whose probabilities are true."""
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 4000)
    return rows_with((rng.uniform(size=4000) < p).astype(int), p)


# --- ROC -------------------------------------------------------------------------------------------------------------


def test_perfect_and_constant_predictions_have_their_roc():
    weights = draw_weights(20, 50, seed=1)
    y = np.array([0, 1] * 10)
    perfect = roc_curve([rows_with(y, 0.2 + 0.6 * y)], weights)
    assert perfect["auc"]["estimate"] == 1.0
    assert perfect["tpr"][0] == 1.0
    flat = roc_curve([rows_with(y, np.full(20, 0.5))], weights)
    assert flat["tpr"] == pytest.approx(flat["fpr"])
    assert flat["auc"]["estimate"] == 0.5


def test_weights_are_rows_taken_again():
    rng = np.random.default_rng(1)
    y, p = rng.integers(0, 2, 30), rng.uniform(0.1, 0.9, 30)
    weights = draw_weights(30, 5, seed=1)
    for weight, area in zip(weights, areas([rows_with(y, p)], weights)[0], strict=True):
        taken = np.repeat(np.arange(30), weight.astype(int))
        assert area == pytest.approx(roc_auc_score(y[taken], p[taken]))


def test_bootstrap_draws_patients_not_rows_and_repeats_itself():
    weights = draw_weights(12, 300, seed=5)
    assert (weights.sum(axis=1) == 12).all()
    assert np.array_equal(weights, draw_weights(12, 300, seed=5))
    assert weights.mean() == pytest.approx(1.0)


def test_lesions_of_a_patient_move_together_in_the_bootstrap():
    """Doubling every row of every patient changes no interval; treating them as new patients would narrow it."""
    y = np.random.default_rng(0).integers(0, 2, 40)
    p = 0.5 + 0.2 * (y - 0.5) + 0.2 * np.random.default_rng(1).uniform(-1, 1, 40)
    weights = draw_weights(40, 400, seed=1)
    once = roc_curve([rows_with(y, p)], weights)["auc"]
    doubled = rows_with(np.repeat(y, 2), np.repeat(p, 2), patient=np.repeat(np.arange(40), 2))
    assert roc_curve([doubled], weights)["auc"] == pytest.approx(once)


def test_an_interval_needs_half_of_the_draws():
    assert measured(0.5, np.array([[0.1, np.nan, np.nan]]))["low"] is None
    assert measured(0.5, np.array([[0.1, 0.2, np.nan]]))["low"] == pytest.approx(0.1025)
    assert measured(0.5, np.array([[0.1, 0.2], [np.nan, np.nan]]))["low"] is None
    assert measured(np.nan, np.array([[0.1]]))["estimate"] is None


def test_repeats_do_not_narrow_an_interval():
    """Five repeats of the same patients tell no more of patients than one."""
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=(5, 4000))
    told = measured(0.0, drawn)
    assert told["high"] - told["low"] == pytest.approx(2 * 1.96, abs=0.1)


# --- calibration -----------------------------------------------------------------------------------------------------


def test_curve_of_calibrated_predictions_is_near_the_diagonal(sure):
    curve = curve_of(sure.outcome, sure.probability)
    assert len(curve) == 51
    assert max(abs(point["observed"] - point["predicted"]) for point in curve) < 0.06
    steep = curve_of(sure.outcome, expit(3 * sure.score))
    assert max(abs(point["observed"] - point["predicted"]) for point in steep) > 0.1
    assert curve_of(sure.outcome, np.full(4000, 0.4)) == []


def test_ici_is_the_mean_distance_to_the_smooth_curve(sure):
    assert ici([sure]) < 0.02
    steep = rows_with(sure.outcome, expit(3 * sure.score))
    distance = np.abs(steep.probability - sure.probability).mean()
    assert ici([steep]) == pytest.approx(distance, abs=0.02)
    assert ici([sure, steep]) == pytest.approx((ici([sure]) + ici([steep])) / 2)


def test_ici_has_no_interval(sure):
    rows = [rows_with(sure.outcome[:100], sure.probability[:100])]
    told = calibration(rows, draw_weights(100, 50, seed=1))
    assert told["ici"]["estimate"] > 0
    assert told["ici"]["low"] is None
    assert told["slope"]["low"] < told["slope"]["estimate"] < told["slope"]["high"]


def test_hosmer_lemeshow_is_of_test_rows_and_finds_bad_calibration(sure):
    weights = draw_weights(4000, 2, seed=1)
    good = calibration([sure], weights)["hosmer_lemeshow"]
    assert (good["df"], good["groups"], good["n"]) == (10, 10, 4000)
    assert good["p"] > 0.01
    bad = calibration([rows_with(sure.outcome, expit(2 * sure.score))], weights)["hosmer_lemeshow"]
    assert bad["p"] < 1e-6


def test_bins_hold_every_row_once():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=37)
    y = (rng.uniform(size=37) < p).astype(int)
    bins = calibration_bins(rows_with(y, p))
    assert len(bins) == 5
    assert sum(item["n"] for item in bins) == 37
    assert sum(item["k"] for item in bins) == y.sum()
    assert all(item["low"] <= item["observed"] <= item["high"] for item in bins)


# --- decisions -------------------------------------------------------------------------------------------------------


def test_decision_curve_by_hand():
    y = np.array([1, 1, 0, 0, 0])
    good, poor = rows_with(y, [0.8, 0.3, 0.6, 0.1, 0.1]), rows_with(y, [0.5, 0.5, 0.5, 0.5, 0.5])
    curves = {"radiomics": ("Ours", [good]), "volume": ("Volume", [poor])}
    found = decision_curves(curves, [("radiomics", "volume")], [0.2, 0.5], draw_weights(5, 200, seed=1))
    ours, volume = found["curves"]
    assert ours["net_benefit"] == pytest.approx([2 / 5 - 1 / 5 * 0.25, 1 / 5 - 1 / 5])
    everybody = [2 / 5 - 3 / 5 * 0.25, 2 / 5 - 3 / 5]
    assert volume["net_benefit"] == pytest.approx(everybody)
    assert found["all"] == pytest.approx(everybody)
    assert (found["prevalence"], found["events"], found["n"]) == (0.4, 2, 5)
    (added,) = found["added"]
    assert (added["of"], added["against"]) == ("radiomics", "volume")
    assert added["estimate"] == pytest.approx([2 / 5 * 0.25, 0.2])
    assert all(low <= at <= high for low, at, high in zip(ours["low"], ours["net_benefit"], ours["high"], strict=True))


def test_f1_is_no_proportion():
    rows = [rows_with([1, 1, 0, 0], [0.9, 0.2, 0.8, 0.1])]
    told = measure("f1", rows, everyone(np.ones((1, 4))))
    assert told["estimate"] == pytest.approx(0.5)
    assert (told["k"], told["n"], told["wilson_low"]) == (2, 4, None)


def test_lesions_of_a_patient_are_no_independent_trials():
    y, p = [1, 1, 0, 0], [0.9, 0.2, 0.8, 0.1]
    once = np.ones((1, 4))
    assert measure("sensitivity", [rows_with(y, p)], once)["wilson_low"] is not None
    lesions = rows_with(y, p, patient=[0, 0, 1, 2])
    assert measure("sensitivity", [lesions], once)["wilson_low"] is None
    assert {group["low"] for group in calibration_bins(lesions)} == {None}


def test_waterfall_falls():
    told = waterfall(rows_with([1, 0, 0, 1], [0.9, 0.2, 0.8, 0.1], cut=0.4))
    assert [row["margin"] for row in told["rows"]] == pytest.approx([0.5, 0.4, -0.2, -0.3])
    assert [row["outcome"] for row in told["rows"]] == [1, 0, 0, 1]
    assert [row["predicted"] for row in told["rows"]] == [1, 1, 0, 0]
