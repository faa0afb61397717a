from __future__ import annotations

import json

import numpy as np
import pytest
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.tree import DecisionTreeRegressor

from osteorad.modelling.learning.forest import fit_extra_trees, fit_random_forest
from osteorad.modelling.learning.models import REGISTRY, fit_model, model_from_plain
from osteorad.modelling.learning.perceptron import fit_perceptron
from osteorad.modelling.statistics.firth import fit_firth
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


def test_forest_of_node_arrays_scores_as_its_trees_do():
    found = fit_random_forest(X, Y, trees=20, max_features=0.5, seed=3)
    rng = np.random.RandomState(3)
    weights = [np.bincount(rng.randint(60, size=60), minlength=60).astype(float) for _ in range(20)]
    trees = [DecisionTreeRegressor(max_features=0.5, random_state=rng).fit(X, Y, sample_weight=w) for w in weights]
    assert found.probability(NEW) == pytest.approx(np.mean([tree.predict(NEW) for tree in trees], axis=0), abs=1e-12)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("alpha", [3.0, 0.1])
def test_perceptron_is_that_of_scikit_learn(alpha):
    found = fit_perceptron(X, Y, alpha=alpha, seed=3, rounds=15)  # later, rounding has grown to a path of its own
    want = MLPClassifier((16,), solver="lbfgs", alpha=alpha, max_iter=15, random_state=3).fit(X, Y)
    assert found.probability(NEW) == pytest.approx(want.predict_proba(NEW)[:, 1], abs=1e-7)


# --- plain data ------------------------------------------------------------------------------------------------------

PLAIN = [name for name, kind in REGISTRY.items() if not kind.keeps_rows]


def test_only_models_that_score_by_their_training_rows_cannot_be_written():
    assert {name for name, kind in REGISTRY.items() if kind.keeps_rows} == {"svm", "knn", "knn-weighted"}
    for name, kind in REGISTRY.items():
        fitted = fit_model(name, X, Y, config=kind.grid[0], seed=1, trees=3)
        assert (fitted.plain is None) == kind.keeps_rows


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.parametrize("at", [0, -1])
def test_a_model_written_as_json_and_read_scores_alike_bit_for_bit(name, at):
    fitted = fit_model(name, X, Y, config=REGISTRY[name].grid[at], seed=5, trees=7)
    read = model_from_plain(json.loads(json.dumps(fitted.plain, allow_nan=False)))
    assert np.array_equal(read(NEW), fitted.score(NEW))
    assert np.array_equal(read(NEW[:1]), fitted.score(NEW[:1]))
    assert len(set(fitted.score(NEW).tolist())) > 5


@pytest.mark.parametrize("name", REGISTRY)
def test_a_model_without_columns_is_written_as_a_constant(name):
    fitted = fit_model(name, X[:, :0], Y, config=REGISTRY[name].grid[0], seed=5, trees=7)
    assert fitted.plain == {"kind": "constant", "value": 0.0}
    assert model_from_plain(fitted.plain)(NEW[:, :0]).tolist() == [0.0] * len(NEW)


# --- odd tables ------------------------------------------------------------------------------------------------------

HALF = np.array([0, 1] * 10)
ODD = {
    "separated": (np.column_stack([HALF * 2.0 - 1, RNG.normal(size=20)]), HALF),
    "constant column": (np.column_stack([np.ones(20), RNG.normal(size=20)]), HALF),
    "one column": (RNG.normal(size=(20, 1)), HALF),
    "equal rows": (np.tile([[0.0, 1.0], [1.0, 0.0]], (10, 1)), HALF),
    "equal rows, both classes": (np.zeros((20, 2)), HALF),
    "equal columns": (np.tile(RNG.normal(size=(20, 1)), (1, 4)), HALF),
    "more columns than rows": (RNG.normal(size=(10, 40)), HALF[:10]),
    "one event": (RNG.normal(size=(20, 3)), np.eye(1, 20, dtype=int)[0]),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", REGISTRY)
@pytest.mark.parametrize("odd", ODD)
def test_odd_tables_give_finite_scores(name, odd):
    rows, outcome = ODD[odd]
    for config in REGISTRY[name].grid:
        fitted = fit_model(name, rows, outcome, config=config, seed=1, trees=5)
        assert np.isfinite(fitted.score(rows * 1.5)).all()


@pytest.mark.parametrize("name", ["logistic", "firth"])
def test_separated_classes_leave_coefficients_finite_and_rank_right(name):
    rows, outcome = ODD["separated"]
    fitted = fit_model(name, rows, outcome, config=REGISTRY[name].grid[-1], seed=1, trees=1)
    assert 0.5 < fitted.coefficients[0] < 10
    assert auc(outcome, fitted.score(rows)) == 1.0


def test_firth_is_the_formula_of_the_statistics_room():
    fitted = fit_model("firth", X, Y, config={}, seed=1, trees=1)
    want = fit_firth(X, Y)
    assert fitted.coefficients == tuple(want.coefficients)
    assert fitted.score(NEW) == pytest.approx(want.intercept + NEW @ want.coefficients)


def test_weighted_neighbours_listen_more_to_the_nearer():
    rows, outcome = np.array([[0.0], [1.0], [1.2], [1.4], [1.6]]), np.array([1, 0, 0, 0, 0])
    near = np.array([[0.1]])
    plain, weighted = (
        fit_model(name, rows, outcome, config={"neighbours": 5}, seed=1, trees=1).score(near)[0]
        for name in ("knn", "knn-weighted")
    )
    assert plain < 0 < weighted
