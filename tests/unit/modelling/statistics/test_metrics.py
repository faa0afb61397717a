"""Golden values from R (statistics/README.md), closed forms, and properties."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteorad.modelling.statistics import metrics
from osteorad.modelling.statistics.metrics import auc, expit, fit_platt, logit, nadeau_bengio, youden_threshold


@pytest.mark.parametrize("marker", ["s100b", "ndka", "wfns"])
def test_auc_equals_that_of_proc(asah, reference, marker):
    outcome, values = asah
    assert auc(outcome, values[marker]) == pytest.approx(reference("delong")[marker]["auc"], abs=1e-12)


def test_youden_threshold_equals_that_of_proc(asah, reference):
    outcome, values = asah
    want = reference("delong")["s100b_youden"]
    threshold = youden_threshold(outcome, values["s100b"])
    positive = values["s100b"] >= threshold
    assert threshold == pytest.approx(want["threshold"])
    assert positive[outcome == 1].mean() == pytest.approx(want["sensitivity"])
    assert 1 - positive[outcome == 0].mean() == pytest.approx(want["specificity"])


def test_calibration_in_the_large_solves_its_equation():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 200)
    outcome = (rng.uniform(size=200) < p).astype(int)
    shift = metrics.calibration_in_the_large(outcome, p)
    assert expit(logit(p) + shift).sum() == pytest.approx(outcome.sum(), abs=1e-8)


def test_binomial_intervals_equal_those_of_r(reference):
    for row in reference("binomial_ci")["rows"]:
        assert metrics.wilson(row["k"], row["n"]) == pytest.approx(row["wilson"], abs=1e-10)
        assert metrics.clopper_pearson(row["k"], row["n"]) == pytest.approx(row["clopper_pearson"], abs=1e-10)


def test_stability_equals_the_reference(reference):
    for case in reference("nogueira_stability")["cases"]:
        found = metrics.nogueira_stability(np.array(case["Z"]) == 1)
        assert (found.estimate, found.low, found.high) == pytest.approx(
            (case["r"]["stability"], case["r"]["lower"], case["r"]["upper"]), abs=1e-12
        )


def test_nadeau_bengio_is_its_formula():
    values = [0.7, 0.6, 0.8, 0.75, 0.65]
    found = nadeau_bengio(values, test_share=0.25)
    se = math.sqrt((1 / 5 + 0.25) * 0.00625)
    assert found.estimate == pytest.approx(0.7)
    assert found.se == pytest.approx(se)
    assert found.df == 4
    assert found.high == pytest.approx(0.7 + 2.7764451052 * se)
    assert nadeau_bengio([0.7], test_share=0.25).low is None
    assert nadeau_bengio([], test_share=0.25).estimate is None


def test_auc_of_one_class_is_none_and_ties_count_half():
    assert auc(np.array([1, 1]), np.array([0.1, 0.2])) is None
    assert auc(np.array([0, 1]), np.array([1.0, 1.0])) == 0.5


scores = st.lists(st.integers(-50, 50), min_size=4, max_size=30)


@settings(max_examples=60, deadline=None)
@given(scores, st.integers(0, 2**31))
def test_auc_is_the_share_of_ordered_pairs(values, seed):
    score = np.array(values, dtype=float)
    outcome = np.random.default_rng(seed).permutation(np.arange(len(score)) % 2)
    pairs = [(a > b) + 0.5 * (a == b) for a in score[outcome == 1] for b in score[outcome == 0]]
    assert auc(outcome, score) == pytest.approx(np.mean(pairs))


@settings(max_examples=60, deadline=None)
@given(scores, st.integers(0, 2**31))
def test_calibration_is_finite_and_never_turns_the_order(values, seed):
    score = np.array(values, dtype=float)
    outcome = np.random.default_rng(seed).permutation(np.arange(len(score)) % 2)
    p = fit_platt(outcome, score).probability(np.sort(score))
    assert ((p > 0) & (p < 1)).all()
    assert (np.diff(p) >= 0).all()


@settings(max_examples=60, deadline=None)
@given(scores, st.integers(0, 2**31))
def test_no_threshold_has_a_larger_youden_index(values, seed):
    score = np.array(values, dtype=float)
    outcome = np.random.default_rng(seed).permutation(np.arange(len(score)) % 2)

    def youden(threshold):
        positive = score >= threshold
        return positive[outcome == 1].mean() - positive[outcome == 0].mean()

    best = max(youden(value) for value in [*score, score.max() + 1])
    assert youden(youden_threshold(outcome, score)) == pytest.approx(best)


def test_platt_of_separated_classes_is_finite_and_steep():
    platt = fit_platt(np.array([0] * 10 + [1] * 10), np.arange(20.0))
    assert 0 < platt.slope < 50
    assert platt.probability(np.array([0.0]))[0] < 0.2


def test_logistic_lines_equal_single_fits_with_repeated_rows():
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=30), rng.integers(0, 2, 30).astype(float)
    counts = rng.integers(0, 4, size=(5, 30)).astype(float)
    many = metrics.logistic_lines(x[None], y[None], counts)
    for at, count in enumerate(counts):
        rows = np.repeat(np.arange(30), count.astype(int))
        assert (many[0][at], many[1][at]) == pytest.approx(metrics.logistic_line(x[rows], y[rows]), abs=1e-8)


def test_logistic_lines_of_separated_or_flat_rows_are_nan():
    y = np.array([0.0, 0, 1, 1])
    assert np.isnan(metrics.logistic_line(np.array([0.0, 1, 2, 3]), y)).all()
    assert np.isnan(metrics.logistic_line(np.ones(4), y)).all()


def test_separated_scores_that_lie_close_together_but_for_one_are_calibrated():
    score = np.r_[np.linspace(0.0, 1e-3, 10), np.linspace(2e-3, 3e-3, 9), 1e3]
    outcome = np.r_[np.zeros(10, dtype=int), np.ones(10, dtype=int)]
    platt = metrics.fit_platt(outcome, score)
    probability = platt.probability(score)
    assert np.isfinite([platt.intercept, platt.slope]).all()
    assert np.isfinite(probability).all()
    assert (np.diff(probability) >= 0).all()
