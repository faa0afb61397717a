"""AUC variance and tests: pROC 1.18.0, Obuchowski's estimator in R, Hanley and McNeil's formula."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from osteorad.modelling.statistics.delong import (
    auc_covariance,
    clustered_auc,
    delong_auc,
    hanley_mcneil_se,
    paired,
    unpaired,
)
from osteorad.modelling.statistics.metrics import auc

EXACT = {"rel": 1e-9, "abs": 1e-12}


@pytest.mark.parametrize("marker", ["s100b", "ndka", "wfns"])
def test_auc_and_interval_equal_those_of_proc(asah, reference, marker):
    outcome, values = asah
    want = reference("delong")[marker]
    found = delong_auc(outcome, values[marker])
    assert found.estimate == pytest.approx(want["auc"], **EXACT)
    assert found.se**2 == pytest.approx(want["var_delong"], **EXACT)
    assert (found.low, found.high) == pytest.approx((want["ci_delong"][0], want["ci_delong"][2]), **EXACT)


@pytest.mark.parametrize(("first", "second"), [("s100b", "ndka"), ("s100b", "wfns"), ("ndka", "wfns")])
def test_paired_test_equals_that_of_proc(asah, reference, first, second):
    outcome, values = asah
    want = reference("delong")[f"test_{first}_{second}"]
    found = paired(outcome, values[first], values[second])
    _, covariance = auc_covariance(outcome, np.stack([values[first], values[second]]), np.arange(len(outcome)))
    assert covariance[0, 1] == pytest.approx(want["cov"], **EXACT)
    assert (found.statistic, found.p) == pytest.approx((want["Z"], want["p"]), **EXACT)
    assert (found.difference.low, found.difference.high) == pytest.approx(want["ci_diff"], **EXACT)


def test_unpaired_test_equals_that_of_proc(asah, reference):
    outcome, values = asah
    want = reference("delong")["unpaired_s100b_ndka"]
    found = unpaired((outcome, values["s100b"]), (outcome, values["ndka"]))
    assert (found.statistic, found.df, found.p) == pytest.approx((want["D"], want["df"], want["p"]), **EXACT)


def test_partial_auc_of_scikit_learn_equals_that_of_proc(asah, reference):
    outcome, values = asah
    standardised = roc_auc_score(outcome, values["s100b"], max_fpr=0.1)  # McClish: 0.5 by chance, 1 at best
    least, most = 0.1**2 / 2, 0.1
    area = least + (2 * standardised - 1) * (most - least)
    assert area == pytest.approx(reference("delong")["partial_auc_s100b_sp_1_0.9"], **EXACT)


def test_clustered_auc_equals_the_reference(lesions, reference):
    want = reference("obuchowski_clustered")
    scores = np.stack([lesions.first, lesions.second])
    areas, covariance = auc_covariance(lesions.outcome, scores, lesions.patient)
    assert areas == pytest.approx(want["obuchowski"]["auc"], **EXACT)
    assert covariance == pytest.approx(np.array(want["obuchowski"]["var"]), **EXACT)
    found = paired(lesions.outcome, lesions.first, lesions.second, lesions.patient)
    assert (found.statistic, found.p) == pytest.approx((want["obuchowski"]["z"], want["obuchowski"]["p"]), **EXACT)
    naive = paired(lesions.outcome, lesions.first, lesions.second)
    assert naive.p == pytest.approx(want["naive_delong_p"], **EXACT)
    for score, variance in zip(scores, want["naive_delong_var"], strict=True):
        assert delong_auc(lesions.outcome, score).se ** 2 == pytest.approx(variance, **EXACT)


def test_clustered_auc_of_the_generated_lesions(lesions):
    """Obuchowski 1997 coded in R: AUC 0.772575, variance 0.00146169; DeLong, which ignores patients, 0.00178923."""
    found = clustered_auc(lesions.outcome, lesions.first, lesions.patient)
    assert found.estimate == pytest.approx(0.7725748194014, abs=1e-12)
    assert found.se**2 == pytest.approx(0.001461686871974, abs=1e-14)
    assert delong_auc(lesions.outcome, lesions.first).se ** 2 == pytest.approx(0.00178922693172, abs=1e-14)


def test_bootstrap_of_patients_gives_about_the_clustered_error(lesions, reference):
    rng = np.random.default_rng(5)
    rows = [np.flatnonzero(lesions.patient == patient) for patient in np.unique(lesions.patient)]
    for score, want in zip(
        (lesions.first, lesions.second), reference("obuchowski_clustered")["cluster_bootstrap_sd"], strict=True
    ):
        drawn = [np.concatenate([rows[at] for at in rng.integers(0, len(rows), len(rows))]) for _ in range(1000)]
        assert np.std([auc(lesions.outcome[at], score[at]) for at in drawn]) == pytest.approx(want, rel=0.1)


def test_hanley_and_mcneil(reference):
    for row in reference("hanley_mcneil")["rows"]:
        assert hanley_mcneil_se(row["auc"], row["n_pos"], row["n_neg"]) == pytest.approx(row["se"], rel=1e-10)


def test_hanley_and_mcneil_of_the_published_example():
    """Hanley & McNeil 1982, Radiology 143:29: AUC 0.893 with 51 abnormal and 58 normal has SE 0.032."""
    assert hanley_mcneil_se(0.893, 51, 58) == pytest.approx(0.0325, abs=5e-5)


def test_equal_scores_cannot_be_tested(lesions):
    found = paired(lesions.outcome, lesions.first, 2 * lesions.first, lesions.patient)
    assert found.difference.estimate == 0
    assert (found.statistic, found.p) == (None, None)


def test_small_classes_have_no_interval():
    assert delong_auc(np.array([1, 1]), np.array([0.1, 0.2])).estimate is None
    alone = delong_auc(np.array([0, 0, 1]), np.array([0.1, 0.2, 0.3]))
    assert (alone.estimate, alone.low, alone.se) == (1.0, None, None)
    one_patient = clustered_auc(np.array([0, 0, 1, 1]), np.array([0.1, 0.4, 0.3, 0.5]), ["a", "b", "c", "c"])
    assert one_patient.low is None


ROWS = st.lists(st.tuples(st.integers(0, 1), st.integers(-5, 5), st.integers(-5, 5)), min_size=4, max_size=25).filter(
    lambda rows: 0 < sum(row[0] for row in rows) < len(rows)
)


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_delong_auc_is_the_rank_auc_and_symmetric(rows):
    outcome, first, second = (np.array(column) for column in zip(*rows, strict=True))
    found = delong_auc(outcome, first.astype(float))
    assert found.estimate == pytest.approx(auc(outcome, first.astype(float)), abs=1e-12)
    turned = delong_auc(1 - outcome, -first.astype(float))
    assert turned.estimate == pytest.approx(found.estimate, abs=1e-12)
    if found.se is not None:
        assert turned.se == pytest.approx(found.se, abs=1e-7)
        there, back = (paired(outcome, *pair) for pair in ((first, second), (second, first)))
        assert there.difference.estimate == pytest.approx(-back.difference.estimate, abs=1e-12)
        assert there.p == pytest.approx(back.p)


@settings(max_examples=80, deadline=None)
@given(ROWS)
def test_delong_variance_is_that_of_its_definition(rows):
    """DeLong et al. 1988, eq. 5: variances of the placement values over the class sizes."""
    outcome, first, _ = (np.array(column) for column in zip(*rows, strict=True))
    kernel = np.array([[(x > y) + 0.5 * (x == y) for y in first[outcome == 0]] for x in first[outcome == 1]])
    found = delong_auc(outcome, first.astype(float))
    if min(kernel.shape) < 2:
        assert found.se is None
    else:
        want = sum(np.var(kernel.mean(axis=axis), ddof=1) / kernel.shape[1 - axis] for axis in (0, 1))
        assert found.se**2 == pytest.approx(want, abs=1e-12)


def test_one_lesion_a_patient_is_delong(lesions):
    named = clustered_auc(lesions.outcome, lesions.first, [f"p{at:03d}" for at in range(len(lesions.outcome))])
    plain = delong_auc(lesions.outcome, lesions.first)
    assert (named.estimate, named.se) == pytest.approx((plain.estimate, plain.se), abs=1e-15)
