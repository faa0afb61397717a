"""Calibration and optimism: val.prob and validate of rms 6.5.0, Efron & Tibshirani 1997."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, logit

from osteorad.modelling.statistics.calibration import calibration, smooth_curve
from osteorad.modelling.statistics.logistic import fit_logistic
from osteorad.modelling.statistics.metrics import auc
from osteorad.modelling.statistics.optimism import b632plus, optimism

VAL_PROB = {
    "slope": "Slope",
    "brier": "Brier",
    "ici": "Eavg",
    "e90": "E90",
    "emax": "Emax",
    "discrimination": "D",
    "unreliability": "U",
    "unreliability_p": "U:p",
    "quality": "Q",
    "r2": "R2",
    "spiegelhalter_z": "S:z",
    "spiegelhalter_p": "S:p",
}


@pytest.fixture(scope="module")
def fitted(birthwt):
    return fit_logistic(birthwt.X, birthwt.outcome).probability(birthwt.X)


@pytest.fixture(scope="module")
def distorted(fitted):
    """Log odds times 1.6 plus 0.3: too extreme, so the slope is 1 / 1.6 and the intercept -0.3 / 1.6."""
    return expit(0.3 + 1.6 * logit(fitted))


@pytest.mark.parametrize("which", ["hosmer_lemeshow_birthwt", "calibration_birthwt"])
def test_measures_equal_those_of_val_prob(birthwt, fitted, distorted, reference, which):
    want = reference(which)["val_prob"]
    p = fitted if which.startswith("hosmer") else distorted
    found = calibration(birthwt.outcome, p)
    for ours, theirs in VAL_PROB.items():
        assert getattr(found, ours) == pytest.approx(want[theirs], rel=1e-6), ours
    assert found.intercept == pytest.approx(want["Intercept"], abs=1e-8)
    n = len(p)
    assert n * found.discrimination + 1 == pytest.approx(want["D:Chi-sq"], rel=1e-6)
    assert n * found.unreliability + 2 == pytest.approx(want["U:Chi-sq"], rel=1e-6, abs=1e-8)


def test_calibration_of_distorted_probabilities(birthwt, distorted, reference):
    want = reference("calibration_birthwt")
    found = calibration(birthwt.outcome, distorted)
    assert found.slope == pytest.approx(want["slope_glm"], rel=1e-8)
    assert found.intercept == pytest.approx(want["intercept_glm"], rel=1e-8)
    assert found.in_the_large == pytest.approx(want["calibration_in_the_large_offset_glm"], rel=1e-8)
    assert found.brier == pytest.approx(want["brier"], rel=1e-9)
    assert (found.slope, found.intercept) == pytest.approx((1 / 1.6, -0.3 / 1.6), abs=1e-9)


def test_discrimination_equals_that_of_val_prob(birthwt, fitted, distorted, reference):
    exact = reference("hosmer_lemeshow_birthwt")["val_prob"]
    area = auc(birthwt.outcome, fitted)
    assert (area, 2 * area - 1) == pytest.approx((exact["C (ROC)"], exact["Dxy"]), abs=1e-12)
    # val.prob ranks probabilities rounded to a grid: the distortion cannot change the true order
    grid = reference("calibration_birthwt")["val_prob"]
    assert auc(birthwt.outcome, distorted) == area
    assert area == pytest.approx(grid["C (ROC)"], abs=1e-4)


def test_perfect_and_constant_probabilities():
    outcome = np.array([0, 0, 1, 1])
    flat = calibration(outcome, np.full(4, 0.5))
    assert (flat.brier, flat.scaled_brier, flat.ici) == pytest.approx((0.25, 0.0, 0.0))
    assert np.isnan([flat.slope, flat.unreliability_p, flat.spiegelhalter_z]).all()
    assert calibration(outcome, outcome.astype(float)).brier == 0
    with pytest.raises(ValueError, match="needs both classes"):
        calibration(np.ones(3, dtype=int), np.full(3, 0.5))


def test_smooth_curve_of_a_line_is_the_line():
    x = np.random.default_rng(0).permutation(np.concatenate([np.linspace(0, 1, 50), [0.5, 0.5]]))
    assert smooth_curve(x, 2 + 3 * x) == pytest.approx(2 + 3 * x, abs=1e-10)


def test_smooth_curve_by_hand():
    """Cleveland 1979: at the first of 12 points a line through the 8 nearest, with tricube weights."""
    x = np.arange(1.0, 13.0)
    weight = (1 - (np.arange(8) / 7) ** 3) ** 3
    line = np.polyfit(x[:8], x[:8] ** 2, 1, w=np.sqrt(weight))
    assert smooth_curve(x, x**2)[0] == pytest.approx(np.polyval(line, 1.0))


def test_optimism_equals_that_of_validate(birthwt, reference):
    """rms validate(lrm, B = 1000); the README of the reference allows 0.005 for the Monte-Carlo error."""
    want = reference("optimism_birthwt")
    found = optimism(lambda X, y: fit_logistic(X, y).probability, birthwt.X, birthwt.outcome, draws=1000, seed=1)
    area = found.measures["auc"]
    assert area.apparent == pytest.approx(want["auc_apparent"], abs=1e-12)
    assert area.corrected == pytest.approx(want["auc_corrected"], abs=0.005)
    assert found.measures["slope"].corrected == pytest.approx(want["slope_corrected"], abs=0.005)
    assert found.measures["brier"].corrected == pytest.approx(want["table"][8][4], abs=0.005)
    assert found.draws == 1000
    assert 0.68 < found.auc_632plus < area.apparent


def test_noise_has_its_apparent_auc_taken_away():
    rng = np.random.default_rng(4)
    found = [
        optimism(
            lambda X, y: fit_logistic(X, y).probability,
            rng.normal(size=(60, 12)),
            np.arange(60) % 2,
            draws=30,
            seed=turn,
        ).measures["auc"]
        for turn in range(10)
    ]
    assert np.mean([area.apparent for area in found]) > 0.7
    assert np.mean([area.corrected for area in found]) == pytest.approx(0.5, abs=0.07)


def test_patients_are_drawn_as_a_whole():
    """Equal lesions of a patient: drawn by lesion, rows left out have twins inside, and 1-nearest-neighbour shines."""
    rng = np.random.default_rng(5)
    X, y = np.repeat(rng.normal(size=(40, 3)), 3, axis=0), np.repeat(np.arange(40) % 2, 3)

    def nearest(X, y):
        return lambda new: y[((new[:, None] - X[None]) ** 2).sum(axis=2).argmin(axis=1)] * 0.8 + 0.1

    by_lesion = optimism(nearest, X, y, draws=40, seed=1)
    by_patient = optimism(nearest, X, y, draws=40, seed=1, groups=np.repeat(np.arange(40), 3))
    assert by_lesion.auc_632plus > 0.9
    assert by_patient.auc_632plus < 0.7


def test_optimism_needs_both_classes_inside_and_outside():
    with pytest.raises(ValueError, match="no bootstrap sample has both classes"):
        optimism(lambda X, y: lambda new: np.full(len(new), 0.5), np.ones((2, 1)), np.array([0, 1]), draws=5, seed=1)


def test_632plus_equals_the_reference(reference):
    for row in reference("bootstrap632plus")["rows"]:
        found = b632plus(row["err"], row["loo"], row["gamma"])
        assert (found.e632, found.e632plus, found.overfitting, found.weight) == pytest.approx(
            (row["e632"], row["e632plus"], row["R"], row["w"]), abs=1e-12
        )


def test_632plus_of_a_model_that_learnt_its_rows_by_heart_is_chance():
    """Efron & Tibshirani 1997: no error on training rows and chance outside give chance, where .632 gives 0.316."""
    found = b632plus(0.0, 0.5, 0.5)
    assert (found.e632, found.e632plus) == pytest.approx((0.316, 0.5))
