"""Paths of penalised regression against glmnet and scikit-learn; folds of patients; stability of a noise table."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from sklearn.linear_model import LassoCV, enet_path

from osteorad.modelling.learning.penalised import (
    choose_penalty,
    linear_path,
    log_loss,
    logistic_path,
    patient_folds,
    penalties_of,
    squared_error,
    strata_of,
)
from osteorad.modelling.learning.stability import first_columns, shares_taken


def table(n=80, columns=150, seed=0):
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(n, 20))
    X = latent[:, rng.integers(0, 20, columns)] + 0.5 * rng.normal(size=(n, columns))
    y = (latent[:, 0] + latent[:, 1] + rng.normal(size=n) > 0).astype(int)
    return X, y


def test_lasso_logistic_equals_glmnet(shared_data):
    want = json.loads(shared_data("statistics/glmnet_toy.json").read_text())
    with open(shared_data("statistics/mrmr_toy.csv"), encoding="utf-8") as stream:
        rows = np.array(list(csv.reader(stream))[1:], dtype=float)
    X, y = rows[:, 1:], rows[:, 0].astype(int)
    assert penalties_of(X, y)[0] == pytest.approx(want["lambda_max"], rel=1e-10)
    path = logistic_path(X, y, np.array([0.2, 0.1, 0.05]), tolerance=1e-10)
    # glmnet's own threshold leaves the last digits open.
    assert path.intercepts[-1] == pytest.approx(want["lasso"]["(Intercept)"], abs=1e-6)
    assert path.weights[-1] == pytest.approx([want["lasso"][f"x{at}"] for at in range(1, 13)], abs=1e-6)


@pytest.mark.parametrize("share", [1.0, 0.5])
def test_linear_path_equals_that_of_scikit_learn(share):
    X, y = table()
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    penalties = penalties_of(X, y, share=share, count=20)[:14]
    path = linear_path(X, y, penalties, share=share, tolerance=1e-10)
    _, want, _ = enet_path(Z, y - y.mean(), l1_ratio=share, alphas=penalties, tol=1e-10, max_iter=100_000)
    assert path.weights == pytest.approx(want.T, abs=1e-6)
    assert np.count_nonzero(path.weights[0]) == 0
    assert np.count_nonzero(path.weights[1]) > 0
    assert path.linear(X)[-1] == pytest.approx(Z @ want[:, -1] + y.mean(), abs=1e-5)


def test_logistic_path_meets_the_conditions_of_an_optimum():
    X, y = table()
    Z = (X - X.mean(axis=0)) / X.std(axis=0)
    path = logistic_path(X, y, penalties_of(X, y, count=15), tolerance=1e-9)
    for penalty, weight, linear in zip(path.penalties, path.weights, path.linear(X), strict=True):
        slope = Z.T @ (y - 1 / (1 + np.exp(-linear))) / len(y)
        assert (np.abs(slope[weight == 0]) <= penalty * (1 + 1e-5)).all()
        assert slope[weight != 0] == pytest.approx(penalty * np.sign(weight[weight != 0]), abs=1e-5)
        assert (y - 1 / (1 + np.exp(-linear))).sum() == pytest.approx(0.0, abs=1e-4)


def test_the_penalty_is_that_of_lassocv_on_the_same_folds():
    X, y = table(columns=30)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    patients = [f"p{at}" for at in range(80)]
    folds = patient_folds(strata_of(patients, y), patients, 5, "test")
    penalties = penalties_of(X, y, count=25)
    found = choose_penalty(X, y, penalties, folds, fit=linear_path, loss=squared_error, one_se=False)
    # Scaling inside each fold moves a column's weight a little, so the neighbouring penalty may win.
    want = LassoCV(alphas=penalties, cv=[(~out, out) for out in folds]).fit(X, y).alpha_
    assert abs(found - np.flatnonzero(penalties == want)[0]) <= 1


def test_no_patient_is_on_both_sides_of_a_fold():
    patients = [f"p{at // 3}" for at in range(60)]
    y = np.array([at // 3 % 2 for at in range(60)])
    folds = patient_folds(strata_of(patients, y), patients, 5, "test")
    assert np.sum(folds, axis=0).tolist() == [1] * 60
    for out in folds:
        inside, outside = ({patients[at] for at in np.flatnonzero(rows)} for rows in (out, ~out))
        assert not inside & outside
        assert {0, 1} <= set(y[out].tolist())


def test_folds_are_fewer_with_few_patients_of_a_class_and_none_under_two():
    def folds(events):
        patients = [f"p{at}" for at in range(20)]
        return patient_folds(strata_of(patients, np.arange(20) < events), patients, 5, "test")

    assert [len(folds(events)) for events in (0, 1, 2, 3, 10, 18, 20)] == [0, 0, 2, 3, 5, 2, 0]


def test_losses_are_those_of_their_definition():
    linear, y = np.array([[0.0, 2.0, -1.0]]), np.array([1, 1, 0])
    p = 1 / (1 + np.exp(-linear))
    assert log_loss(linear, y) == pytest.approx(-np.mean([np.log(p[0, 0]), np.log(p[0, 1]), np.log(1 - p[0, 2])]))
    assert squared_error(linear, y) == pytest.approx(1.0)


def test_stability_finds_signal_and_not_noise():
    rng = np.random.default_rng(1)
    X, y = rng.normal(size=(80, 60)), np.array([0, 1] * 40)
    X[:, 0] += 2.0 * y
    patients = [f"p{at // 2}" for at in range(80)]
    y = np.repeat(y[::2] | (np.arange(40) % 2), 2)
    X[:, 0] = rng.normal(size=80) + 2.0 * y
    shares = shares_taken(X, y, patients, strata_of(patients, y), halves=20, columns=5)
    assert shares[0] == 1.0
    assert shares[1:].max() < 0.6
    assert shares.sum() <= 5.0


def test_first_columns_are_those_that_enter_the_path_first():
    rng = np.random.default_rng(2)
    y = np.array([0, 1] * 30)
    X = rng.normal(size=(60, 10))
    X[:, 3] += 2.5 * y
    X[:, 7] += 1.5 * y
    assert first_columns(X, y, 2).tolist() == [3, 7]
    assert first_columns(X, np.zeros(60, dtype=int), 2).tolist() == []
