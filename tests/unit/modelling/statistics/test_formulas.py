"""Short formulas: multiplicity, sample size, net benefit, Hosmer and Lemeshow, tests of scipy that the project uses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from osteorad.modelling.statistics import multiplicity
from osteorad.modelling.statistics.hosmer_lemeshow import hosmer_lemeshow
from osteorad.modelling.statistics.logistic import fit_logistic
from osteorad.modelling.statistics.metrics import threshold_at_sensitivity
from osteorad.modelling.statistics.net_benefit import net_benefit, treat_all
from osteorad.modelling.statistics.sample_size import riley

ADJUST = {
    "holm": multiplicity.holm,
    "hochberg": multiplicity.hochberg,
    "bonferroni": multiplicity.bonferroni,
    "bh": multiplicity.benjamini_hochberg,
    "by": multiplicity.benjamini_yekutieli,
}
# Benjamini & Hochberg 1995, J R Stat Soc B 57:289, section 4.1
P1995 = [
    0.0001,
    0.0004,
    0.0019,
    0.0095,
    0.0201,
    0.0278,
    0.0298,
    0.0344,
    0.0459,
    0.324,
    0.4262,
    0.5719,
    0.6528,
    0.759,
    1,
]


@pytest.mark.parametrize("method", ADJUST)
def test_adjusted_p_values_equal_those_of_r(reference, method):
    want = reference("multiplicity")
    assert ADJUST[method](want["p"]) == pytest.approx(want[method], rel=1e-9)


def test_published_example_rejects_4_and_3():
    """Benjamini & Hochberg 1995: their procedure rejects four hypotheses at 0.05, Bonferroni's kind three."""
    assert (multiplicity.benjamini_hochberg(P1995) <= 0.05).sum() == 4
    assert (multiplicity.holm(P1995) <= 0.05).sum() == 3


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_adjusted_values_keep_order_and_never_shrink(p):
    for adjust in ADJUST.values():
        adjusted = adjust(p)
        order = np.argsort(p, kind="stable")
        assert (np.diff(adjusted[order]) >= -1e-12).all()
        assert (adjusted >= np.array(p) - 1e-12).all()
        assert (adjusted <= 1).all()


def test_sample_size_equals_the_reference(reference):
    for row in reference("riley_sample_size")["rows"]:
        found = riley(prevalence=row["prevalence"], parameters=row["parameters"], r2_cs=row["csrsquared"])
        assert (found.shrinkage, found.optimism, found.intercept, found.needed) == (
            row["n_shrinkage"],
            row["n_optimism"],
            row["n_intercept"],
            row["n"],
        )
        assert (found.max_r2, found.needed_shrinkage, found.events, found.events_per_parameter) == pytest.approx(
            (row["maxR2"], row["S_optimism"], row["events"], row["epp"]), rel=1e-10
        )


def test_sample_size_of_the_pmsampsize_manual():
    """Manual of pmsampsize, and Riley et al. 2020: 24 parameters, R2 0.288, prevalence 0.174 need 662 patients."""
    found = riley(prevalence=0.174, parameters=24, r2_cs=0.288)
    assert (found.shrinkage, found.optimism, found.intercept, found.needed) == (623, 662, 221, 662)


def test_sample_size_refuses_what_cannot_be():
    with pytest.raises(ValueError, match=r"inside \(0, 0.603\)"):
        riley(prevalence=0.174, parameters=24, r2_cs=0.7)
    with pytest.raises(ValueError, match="prevalence 1"):
        riley(prevalence=1, parameters=24, r2_cs=0.1)


def test_net_benefit_equals_the_reference(table, reference):
    c = table("df_binary")
    outcome = (c["cancer"] == "TRUE").astype(int)
    rows = reference("dca_df_binary")["rows"]
    thresholds = [row["threshold"] for row in rows]
    for name in ("cancerpredmarker", "famhistory"):
        assert net_benefit(outcome, c[name], thresholds) == pytest.approx([row[name] for row in rows], abs=1e-12)
    assert treat_all(outcome.mean(), thresholds) == pytest.approx([row["all"] for row in rows], abs=1e-12)


def test_net_benefit_by_hand():
    """Vickers & Elkin 2006: TP/n - FP/n * pt/(1 - pt); a row at the threshold is treated."""
    outcome = np.array([1, 1, 0, 0, 0])
    probability = np.array([0.9, 0.2, 0.2, 0.1, 0.05])
    assert net_benefit(outcome, probability, [0.2, 0.5]) == pytest.approx([2 / 5 - 1 / 5 * 0.25, 1 / 5])
    assert net_benefit(outcome, np.ones(5), [0.3]) == pytest.approx(treat_all(0.4, [0.3]))


def test_weights_are_repeated_rows_and_draws_are_rows_of_weights():
    rng = np.random.default_rng(0)
    outcome, probability = rng.integers(0, 2, 40), rng.uniform(size=40)
    weights = rng.integers(0, 4, size=(3, 40)).astype(float)
    drawn = net_benefit(outcome, probability, [0.1, 0.4], weights)
    for at, count in enumerate(weights):
        rows = np.repeat(np.arange(40), count.astype(int))
        assert drawn[at] == pytest.approx(net_benefit(outcome[rows], probability[rows], [0.1, 0.4]))
        assert net_benefit(outcome, probability, [0.4], count)[0] == pytest.approx(drawn[at, 1])


@pytest.mark.parametrize("groups", [10, 8, 5])
def test_hosmer_lemeshow_equals_the_reference(birthwt, reference, groups):
    want = reference("hosmer_lemeshow_birthwt")[f"hl{groups}"]
    p = fit_logistic(birthwt.X, birthwt.outcome).probability(birthwt.X)
    trained = hosmer_lemeshow(birthwt.outcome, p, groups=groups, lost=2)
    fresh = hosmer_lemeshow(birthwt.outcome, p, groups=groups)
    assert (trained.chi2, trained.df, trained.p) == pytest.approx((want["chisq"], want["df"], want["p"]), rel=1e-7)
    assert (fresh.df, fresh.p) == (groups, pytest.approx(want["p_df_g"], rel=1e-7))
    assert [group.n for group in fresh.groups] == want["n"]
    assert [group.observed for group in fresh.groups] == want["observed"]
    assert [group.expected for group in fresh.groups] == pytest.approx(want["expected"], rel=1e-7)


def test_hosmer_lemeshow_by_hand():
    outcome = np.array([0, 1, 0, 1, 1, 1])
    probability = np.array([0.2, 0.2, 0.2, 0.6, 0.6, 0.6])
    found = hosmer_lemeshow(outcome, probability, groups=2)
    assert found.chi2 == pytest.approx(0.4**2 / (3 * 0.2 * 0.8) + 1.2**2 / (3 * 0.6 * 0.4))
    assert [group.n for group in found.groups] == [3, 3]
    on_the_cut = hosmer_lemeshow(outcome, np.array([0.2, 0.2, 0.4, 0.4, 0.6, 0.6]), groups=2)
    assert [group.n for group in on_the_cut.groups] == [4, 2]  # a probability at the cut belongs to the lower group


def test_hosmer_lemeshow_does_not_exist_for_one_group_or_certain_risks():
    assert hosmer_lemeshow(np.array([0, 1]), np.array([0.3, 0.3]), lost=2) is None
    assert hosmer_lemeshow(np.array([0, 1, 1, 0]), np.array([0.0, 1.0, 1.0, 0.0]), groups=2) is None


def test_tests_of_scipy_equal_those_of_r(asah, reference):
    outcome, values = asah
    want = reference("tests")
    good, poor = values["s100b"][outcome == 0], values["s100b"][outcome == 1]
    corrected = stats.mannwhitneyu(good, poor, method="asymptotic")
    assert (corrected.statistic, corrected.pvalue) == pytest.approx(
        (want["asah_wilcox_s100b"]["W"], want["asah_wilcox_s100b"]["p"]), rel=1e-9
    )
    plain = stats.mannwhitneyu(good, poor, method="asymptotic", use_continuity=False)
    assert plain.pvalue == pytest.approx(want["asah_wilcox_s100b"]["p_nocorrect"], rel=1e-9)
    kruskal = stats.kruskal(good, poor)
    assert (kruskal.statistic, kruskal.pvalue) == pytest.approx(
        (want["asah_kruskal_s100b"]["H"], want["asah_kruskal_s100b"]["p"]), rel=1e-9
    )
    assert stats.binomtest(1, 7).pvalue == pytest.approx(want["mcnemar_exact_b6_c1"])


def test_tests_of_a_2_by_2_table_equal_those_of_r(reference):
    """Lu 2025, table 1: malignant and benign lesions in training (140, 78) and test (65, 29)."""
    want = reference("tests")["lu2025_pathology"]
    counts = np.array([[65, 29], [140, 78]])
    plain = stats.chi2_contingency(counts, correction=False)
    assert (plain.statistic, plain.pvalue) == pytest.approx((want["chisq_nocorr"], want["p_nocorr"]), rel=1e-10)
    assert stats.chi2_contingency(counts).pvalue == pytest.approx(want["p_yates"], rel=1e-10)
    assert stats.fisher_exact(counts).pvalue == pytest.approx(want["fisher_p"], rel=1e-9)
    # R's fisher.test stops its search for the odds ratio at 1.2e-4 (uniroot); scipy's solves the equation
    assert stats.contingency.odds_ratio(counts).statistic == pytest.approx(want["or_cond"], abs=1.2e-4)


def test_a_sensitivity_that_is_just_reached_is_reached():
    score = np.arange(1.0, 11.0)
    outcome = np.ones(10, dtype=int)
    assert threshold_at_sensitivity(outcome, score, 0.9) == 1.5  # 9 of 10
    assert threshold_at_sensitivity(outcome, score, 0.91) == 1.0
    assert threshold_at_sensitivity(outcome, score, 0.3) == 7.5


@given(st.lists(st.integers(0, 9), min_size=3, max_size=20), st.floats(0.01, 1), st.integers(0, 99))
def test_threshold_reaches_its_sensitivity_and_the_next_one_does_not(values, wanted, seed):
    score = np.array(values, dtype=float)
    outcome = np.random.default_rng(seed).permutation(np.arange(len(score)) % 2)
    events = score[outcome == 1]
    threshold = threshold_at_sensitivity(outcome, score, wanted)
    assert (events >= threshold).mean() >= wanted - 1e-9
    above = np.unique(score)[np.unique(score) >= threshold]
    if len(above) > 1 and events.max() >= above[1]:
        assert (events >= above[1]).mean() < wanted
