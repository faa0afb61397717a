from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from osteorad.modelling.learning.forest import fit_extra_trees, fit_random_forest
from osteorad.modelling.learning.models import REGISTRY, fit_model
from osteorad.modelling.statistics.metrics import auc

RNG = np.random.default_rng(0)
Y = np.array([0, 1] * 30)
X = RNG.normal(size=(60, 5)) + 1.2 * Y[:, None] * np.array([1, 1, 0, 0, 0])
NEW_Y = np.array([0, 1] * 40)
NEW = RNG.normal(size=(80, 5)) + 1.2 * NEW_Y[:, None] * np.array([1, 1, 0, 0, 0])


def scores(name, seed=7, rows=NEW):
    return fit_model(name, X, Y, config=REGISTRY[name].grid[0], seed=seed, trees=50).score(rows)


@pytest.mark.parametrize("name", REGISTRY)
def test_model_learns_repeats_itself_and_scores_are_finite(name):
    found = scores(name)
    assert auc(NEW_Y, found) > 0.75
    assert np.isfinite(found).all()
    assert np.array_equal(found, scores(name))


@pytest.mark.parametrize("name", REGISTRY)
def test_score_of_a_row_does_not_depend_on_the_other_rows(name):
    assert scores(name, rows=NEW[:7]) == pytest.approx(scores(name)[:7], abs=1e-9)


@pytest.mark.parametrize("name", REGISTRY)
def test_model_copes_with_four_rows(name):
    assert np.isfinite(fit_model(name, X[:4], Y[:4], config=REGISTRY[name].grid[0], seed=1, trees=5).score(NEW)).all()


@pytest.mark.parametrize("name", ["logistic", "knn", "random-forest"])
def test_one_class_or_no_column_gives_the_prevalence(name):
    config = REGISTRY[name].grid[0]
    one = fit_model(name, X, np.ones(60, dtype=int), config=config, seed=1, trees=5).score(NEW)
    assert len(set(one.tolist())) == 1
    assert 0 < one[0] < np.inf
    none = fit_model(name, X[:, :0], Y, config=config, seed=1, trees=5).score(NEW[:, :0])
    assert none.tolist() == [0.0] * 80


@pytest.mark.parametrize(
    ("ours", "theirs"), [(fit_random_forest, RandomForestClassifier), (fit_extra_trees, ExtraTreesClassifier)]
)
def test_forests_agree_with_those_of_scikit_learn(ours, theirs):
    found = ours(X, Y, trees=600, max_features="sqrt", seed=1).probability(NEW)
    want = theirs(600, max_features="sqrt", random_state=2).fit(X, Y).predict_proba(NEW)[:, 1]
    assert np.abs(found - want).max() < 0.12  # Monte Carlo error of two forests of 600 trees
    assert np.abs(found - want).mean() < 0.03


def test_logistic_leaves_the_intercept_alone():
    shifted = np.array([0] * 10 + [1] * 50)
    fitted = fit_model("logistic", X, shifted, config={"C": 1e-6}, seed=1, trees=1)
    assert fitted.intercept == pytest.approx(np.log(5), abs=0.01)
    same = LogisticRegression(C=1e-6).fit(X, shifted)
    assert fitted.coefficients == pytest.approx(same.coef_[0], abs=1e-6)
