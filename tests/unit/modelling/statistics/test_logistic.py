"""Maximum likelihood, Firth and stepwise logistic regression: R's glm, brglm2, brglm and stepAIC."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.special import expit

from osteorad.modelling.statistics.firth import fit_firth, likelihood_ratio, profile_intervals, separated
from osteorad.modelling.statistics.logistic import fit_logistic
from osteorad.modelling.statistics.stepwise import stepwise_aic


def test_fit_equals_glm(birthwt, reference):
    want = reference("hosmer_lemeshow_birthwt")
    found = fit_logistic(birthwt.X, birthwt.outcome)
    assert [found.intercept, *found.coefficients] == pytest.approx(list(want["coef"].values()), rel=1e-6)
    assert -2 * found.loglik == pytest.approx(want["deviance"], abs=1e-9)
    assert found.aic == pytest.approx(want["aic"], abs=1e-9)
    assert found.converged


def test_standard_errors_equal_those_of_glm(birthwt, reference):
    """glm takes the weights of its last iteration but one; one Newton step before the end they agree."""
    want = list(reference("hosmer_lemeshow_birthwt")["se"].values())
    Z = np.column_stack([np.ones(len(birthwt.X)), birthwt.X])
    beta, deviance = np.zeros(Z.shape[1]), np.inf
    mu = (birthwt.outcome + 0.5) / 2  # where glm starts
    eta = np.log(mu / (1 - mu))
    while True:
        curve = mu * (1 - mu)
        information = (Z * curve[:, None]).T @ Z
        beta = np.linalg.solve(information, Z.T @ (curve * eta + birthwt.outcome - mu))
        eta = Z @ beta
        mu = expit(eta)
        new = -2 * np.log(np.where(birthwt.outcome == 1, mu, 1 - mu)).sum()
        if abs(new - deviance) / (abs(new) + 0.1) < 1e-8:
            break
        deviance = new
    assert np.sqrt(np.diag(np.linalg.inv(information))) == pytest.approx(want, rel=1e-9)
    end = np.sqrt(np.diag(np.linalg.inv((Z * (mu * (1 - mu))[:, None]).T @ Z)))
    assert fit_logistic(birthwt.X, birthwt.outcome).se == pytest.approx(end, rel=1e-6)


def test_a_column_that_others_explain_gets_no_coefficient():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(60, 3))
    y = (rng.uniform(size=60) < expit(X[:, 0])).astype(int)
    alone = fit_logistic(X, y)
    more = fit_logistic(np.column_stack([X, np.ones(60), X[:, 0] - 3 * X[:, 2] + 1]), y)
    assert more.coefficients == pytest.approx([*alone.coefficients, 0, 0], abs=1e-9)
    assert (more.rank, more.aic) == (3, pytest.approx(alone.aic))
    assert np.isnan(more.se[4:]).all()


def test_intercept_alone_is_the_log_odds():
    y = np.array([0, 0, 0, 1])
    found = fit_logistic(np.empty((4, 0)), y)
    assert found.intercept == pytest.approx(np.log(1 / 3))
    assert found.probability(np.empty((2, 0))) == pytest.approx([0.25, 0.25])


def test_one_class_is_refused():
    for fit in (fit_logistic, fit_firth):
        with pytest.raises(ValueError, match="needs both classes"):
            fit(np.ones((3, 1)), np.ones(3, dtype=int))


def test_a_row_far_out_is_no_separation():
    x = np.array([-3, -2, -1, 0.5, -0.5, 1, 2, 3, 100])
    found = fit_logistic(x[:, None], np.array([0, 0, 0, 0, 1, 1, 1, 1, 1]))
    assert found.converged
    assert found.intercept + 100 * found.coefficients[0] > 100


@pytest.fixture(scope="module")
def endometrial(table):
    c = table("endometrial")
    return np.column_stack([c["NV"], c["PI"], c["EH"]]), c["HG"].astype(int)


def test_firth_equals_brglm2(endometrial, reference):
    X, y = endometrial
    want = reference("firth_endometrial")
    found = fit_firth(X, y)
    assert [found.intercept, *found.coefficients] == pytest.approx(list(want["coef"].values()), rel=1e-6)
    assert found.se == pytest.approx(list(want["se"].values()), rel=1e-6)
    assert found.loglik == pytest.approx(want["penalized_loglik"], rel=1e-9)


def test_firth_equals_brglm_within_the_tolerance_of_brglm(endometrial, reference):
    found = fit_firth(*endometrial)
    want = list(reference("firth_endometrial")["coef_brglm"].values())
    assert [found.intercept, *found.coefficients] == pytest.approx(want, rel=1e-5, abs=1e-6)


def test_penalised_tests_and_profile_limits_equal_the_reference(endometrial, reference):
    want = reference("firth_endometrial")
    chi2, p = likelihood_ratio(*endometrial)
    assert chi2 == pytest.approx(list(want["penalised_lrt_chisq"].values()), rel=1e-6)
    assert (p < 0.05).tolist() == [True, False, True]
    assert profile_intervals(*endometrial) == pytest.approx(np.array(want["profile_ci95"]), rel=1e-6)


def test_quasi_separated_classes_have_no_estimate(endometrial, reference):
    X, y = endometrial
    assert separated(X, y)
    assert not fit_logistic(X, y).converged
    assert not separated(X[:, 1:], y)
    without = fit_logistic(X[:, 1:], y)
    assert without.converged
    # glm stops while NV runs away; the columns that are not separated are where glm found them
    want = reference("firth_endometrial")["ml_coef"]
    assert fit_logistic(X, y).coefficients[1:] == pytest.approx([want["PI"], want["EH"]], rel=1e-5)


def test_firth_of_a_2_by_2_table_adds_half_to_each_cell():
    """Firth 1993: for a saturated model the penalty is half a count in each cell."""
    x = np.repeat([0.0, 0.0, 1.0, 1.0], [5, 3, 0, 4])
    y = np.repeat([0, 1, 0, 1], [5, 3, 0, 4])
    found = fit_firth(x[:, None], y)
    assert found.intercept == pytest.approx(np.log(3.5 / 5.5), abs=1e-9)
    assert found.coefficients[0] == pytest.approx(np.log(4.5 / 0.5) - np.log(3.5 / 5.5), abs=1e-8)


def test_units_of_the_columns_do_not_matter():
    rng = np.random.default_rng(2)
    X = rng.normal(size=(40, 2))
    y = (X[:, 0] + 0.1 * rng.normal(size=40) > 0).astype(int)
    plain, other = fit_firth(X, y), fit_firth(X * [1e4, 1e-3] + [500, 0], y)
    assert other.coefficients * [1e4, 1e-3] == pytest.approx(plain.coefficients, rel=1e-6)
    assert other.loglik - other.null_loglik == pytest.approx(plain.loglik - plain.null_loglik, abs=1e-8)


SMALL = st.lists(st.tuples(st.integers(0, 1), st.integers(-2, 2), st.integers(-2, 2)), min_size=5, max_size=16).filter(
    lambda rows: 0 < sum(row[0] for row in rows) < len(rows)
)


@settings(max_examples=50, deadline=None)
@given(SMALL)
@example([(0, -2, -1), (0, -2, -1), (1, 0, 0), (1, 0, -2), (1, -1, -1)])  # the curvature vanishes on the way
def test_an_estimate_exists_just_where_the_classes_are_not_separated(rows):
    y, *columns = (np.array(column) for column in zip(*rows, strict=True))
    X = np.column_stack(columns).astype(float)
    assert fit_logistic(X, y).converged is not separated(X, y)
    assert np.isfinite(fit_firth(X, y).coefficients).all()


@pytest.fixture(scope="module")
def groups(birthwt):
    """The recoding of ?birthwt in MASS: ptd and ftv (0, 1, 2+) instead of ptl and ftv."""
    c = birthwt.columns
    columns = {
        "age": [c["age"]],
        "lwt": [c["lwt"]],
        "race": [c["race"] == 2, c["race"] == 3],
        "smoke": [c["smoke"]],
        "ptd": [c["ptl"] > 0],
        "ht": [c["ht"]],
        "ui": [c["ui"]],
        "ftv": [c["ftv"] == 1, c["ftv"] >= 2],
    }
    return {name: np.column_stack(of).astype(float) for name, of in columns.items()}


@pytest.mark.parametrize(("start", "key"), [("full", "backward_both_from_full"), ("null", "both_from_null")])
def test_stepwise_equals_stepaic(groups, birthwt, reference, start, key):
    want = reference("stepaic_birthwt")[key]
    found = stepwise_aic(groups, birthwt.outcome, start)
    assert [move.change for move in found.path] == want["path"]
    assert [move.aic for move in found.path] == pytest.approx(want["path_aic"], rel=1e-9)
    assert found.aic == pytest.approx(want["aic"], rel=1e-9)
    assert not found.firth
    plain = {"(Intercept)": found.intercept}
    plain |= {
        name + level: b for name, bs in found.coefficients.items() for level, b in zip(levels(name), bs, strict=True)
    }
    assert plain == pytest.approx(want["coef"], rel=1e-6)


def levels(name):
    return {"race": ["black", "other"], "age": [""], "lwt": [""]}.get(name, ["TRUE"])


def test_stepwise_predicts_as_the_model_that_it_kept(groups, birthwt):
    found = stepwise_aic(groups, birthwt.outcome)
    again = fit_logistic(np.hstack([groups[name] for name in found.kept]), birthwt.outcome)
    want = again.probability(np.hstack([groups[name] for name in found.kept]))
    assert found.probability(groups) == pytest.approx(want, abs=1e-12)


def noisy_groups(seed=1, rows=80):
    rng = np.random.default_rng(seed)
    groups = {name: rng.normal(size=(rows, 1)) for name in ("good", "noise", "idle")}
    y = (rng.uniform(size=rows) < expit(1.5 * groups["good"][:, 0])).astype(int)
    return groups, y


def test_stepwise_keeps_what_carries_and_only_that():
    groups, y = noisy_groups()
    for start in ("full", "null"):
        assert stepwise_aic(groups, y, start).kept == ("good",)


def test_stepwise_may_keep_nothing():
    column = np.random.default_rng(8).normal(size=20)
    groups = {"same": np.concatenate([column, column])[:, None]}  # the same values in both classes
    y = np.repeat([0, 1], 20)
    for start in ("full", "null"):
        found = stepwise_aic(groups, y, start)
        assert found.kept == ()
        assert found.probability(groups) == pytest.approx(np.full(40, 0.5))


def test_separated_covariates_take_firths_fits_along_the_whole_path():
    groups, y = noisy_groups()
    groups["perfect"] = (y + 0.0)[:, None]
    for start in ("full", "null"):
        found = stepwise_aic(groups, y, start)
        assert found.firth
        assert "perfect" in found.kept
        assert all(np.isfinite(b).all() for b in found.coefficients.values())
        assert abs(found.coefficients["perfect"][0]) < 20


def test_stepwise_in_other_units_takes_the_same_path():
    groups, y = noisy_groups()
    groups["perfect"] = (y + 0.0)[:, None]
    scaled = {name: 1000 * X + 3 for name, X in groups.items()}
    ours, other = stepwise_aic(groups, y), stepwise_aic(scaled, y)
    assert other.kept == ours.kept
    assert [move.aic for move in other.path] == pytest.approx([move.aic for move in ours.path], abs=1e-6)
