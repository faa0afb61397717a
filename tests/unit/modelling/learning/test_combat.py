"""ComBat against R's sva; what new sites, small sites and odd columns get."""

from __future__ import annotations

import json

import numpy as np
import pytest

from osteorad.cohort.steps import Step
from osteorad.errors import AnalysisRefused, ConfigError
from osteorad.modelling.learning import steps
from osteorad.modelling.learning.combat import fit_combat, harmony_from_plain
from tests.unit.modelling.learning.test_steps import block

SITES = tuple("abc"[at % 3] for at in range(45))


def shifted(columns=20, seed=0):
    """Three sites, of which b is shifted and c is wide."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(45, columns))
    of_row = np.array(SITES)
    X[of_row == "b"] += 2.0
    X[of_row == "c"] *= 3.0
    return X


@pytest.mark.parametrize(
    ("key", "settings"),
    [
        ("parametric", {}),
        ("parametric_mod_y", {"covariates": True}),
        ("mean_only", {"mean_only": True}),
        ("ref_batch_1", {"reference": "1"}),
        ("nonparametric", {"parametric": False}),
    ],
)
def test_values_equal_those_of_sva(shared_data, key, settings):
    want = json.loads(shared_data("statistics/combat_sva.json").read_text())
    X, sites = np.array(want["input"]).T, [str(batch) for batch in want["batch"]]
    covariates = np.array(want["y"], dtype=float)[:, None] if settings.pop("covariates", False) else None
    fitted = fit_combat(X, sites, covariates=covariates, **settings)
    assert fitted.adjust(X, sites, covariates) == pytest.approx(np.array(want[key]).T, rel=1e-10, abs=1e-10)


def test_sites_have_one_mean_and_spread_afterwards():
    X, of_row = shifted(), np.array(SITES)
    out = fit_combat(X, SITES).adjust(X, SITES)
    for site in "bc":
        assert abs(X[of_row == site].mean() - X[of_row == "a"].mean()) > 0.05
        assert abs(out[of_row == site].mean() - out[of_row == "a"].mean()) < 0.03
        assert out[of_row == site].std() == pytest.approx(out[of_row == "a"].std(), rel=0.1)


def test_a_new_row_is_moved_by_its_site_alone():
    fitted = fit_combat(shifted(), SITES)
    new = shifted(seed=1)
    assert np.array_equal(fitted.adjust(new, SITES)[:3], fitted.adjust(new[:3], SITES[:3]))


def test_an_unseen_site_follows_the_declared_rule():
    X = shifted()
    new, where = X[:3], ("elsewhere", "", "b")
    leave = fit_combat(X, SITES).adjust(new, where)
    assert np.array_equal(leave[:2], new[:2])
    assert not np.allclose(leave[2], new[2])
    as_b = fit_combat(X, SITES, reference="b", unseen="reference")
    assert np.array_equal(as_b.adjust(new, where)[0], as_b.adjust(new, ("b", "b", "b"))[0])
    with pytest.raises(AnalysisRefused, match=r"no training rows of site \(unknown\), elsewhere"):
        fit_combat(X, SITES, unseen="refuse").adjust(new, where)


def test_the_reference_site_does_not_move():
    X = shifted()
    rows = np.array(SITES) == "b"
    assert fit_combat(X, SITES, reference="b").adjust(X, SITES)[rows] == pytest.approx(X[rows], abs=1e-12)


def test_a_site_with_one_training_row_is_moved_in_its_mean_only():
    X = shifted()
    sites = ("single", *SITES[1:])
    fitted = fit_combat(X, sites)
    at = fitted.sites.index("single")
    assert (fitted.spread[at] == 1.0).all()
    assert (fitted.shift[at] != 0.0).any()
    assert np.isfinite(fitted.adjust(X, sites)).all()


def test_constant_columns_and_a_single_site_stay_as_they_are():
    X = np.column_stack([np.full(45, 7.3), shifted(columns=3)])
    assert np.array_equal(fit_combat(X, SITES).adjust(X, SITES)[:, 0], X[:, 0])
    assert np.array_equal(fit_combat(X, ("a",) * 45).adjust(X, ("a",) * 45), X)
    assert np.array_equal(fit_combat(X, ("",) * 45).adjust(X), X)


def test_one_column_is_brought_together_without_others_to_borrow_from():
    X, of_row = shifted(columns=1), np.array(SITES)
    out = fit_combat(X, SITES).adjust(X, SITES)
    assert out[of_row == "b"].mean() == pytest.approx(out[of_row == "a"].mean(), abs=1e-12)


def test_plain_data_adjust_alike_bit_for_bit():
    X = shifted()
    fitted = fit_combat(X, SITES, reference="a", unseen="reference")
    read = harmony_from_plain(json.loads(json.dumps(fitted.plain())))
    assert np.array_equal(read.adjust(X + 0.1, SITES), fitted.adjust(X + 0.1, SITES))


def fit_step(X, sites, **settings):
    data = block(X)
    data = type(data)(
        samples=data.samples, patients=data.patients, columns=data.columns, X=X, outcome=data.outcome, sites=sites
    )
    return steps.REGISTRY["combat"].fit(data, Step(step="combat", settings=settings).typed())


def test_the_step_never_sees_the_outcome_and_counts_sites():
    X = shifted()
    fitted = fit_step(X, SITES)
    assert np.array_equal(fitted.transform(X, SITES), fit_combat(X, SITES).adjust(X, SITES))
    assert fitted.record["rows_of_sites"] == {"a": 15, "b": 15, "c": 15}


def test_a_reference_without_training_rows_gives_way_to_the_common_mean():
    X = shifted()
    fitted = fit_step(X, SITES, reference="gone", unseen="reference")
    assert fitted.record["reference"] is None
    assert np.array_equal(fitted.transform(X, SITES), fit_combat(X, SITES).adjust(X, SITES))
    assert np.array_equal(fitted.transform(X[:1], ("gone",)), X[:1])


def test_unseen_as_reference_needs_a_reference():
    with pytest.raises(ConfigError, match="unseen: reference needs the setting reference"):
        fit_step(shifted(), SITES, unseen="reference")
