"""Selection and penalised models against R on a generated table that lies in this repository: mRMR, glmnet, stability.

The values are those of R 4.2.2 (glmnet 4.1-6; F of aov and cor; Nogueira, Sechidis & Brown 2018 coded in R).
"""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from osteorad.modelling.learning.filters import mrmr
from osteorad.modelling.statistics.metrics import clopper_pearson, nogueira_stability, wilson

LAMBDA = 0.05
LASSO = {"x1": 0.554348498071, "x2": 0, "x5": 0.7111681985164, "x8": -0.2162583568952, "x12": 0}


@pytest.mark.parametrize(
    ("scheme", "order"),
    [
        ("FCQ", ["x5", "x7", "x3", "x4", "x1", "x11"]),
        ("FCD", ["x5", "x4", "x3", "x1", "x2", "x7"]),
        ("RCD", ["x5", "x7", "x3", "x11", "x4", "x1"]),
    ],
)
def test_mrmr_takes_the_columns_that_r_takes(mrmr_toy, scheme, order):
    y, X = mrmr_toy
    assert [f"x{at + 1}" for at in mrmr(X, y, 6, scheme=scheme, floor=0.0)[0]] == order


def penalised(mrmr_toy, ratio, solver="saga"):
    """scikit-learn's logistic regression as glmnet has it: z-scores with population SD, C = 1 / (n lambda)."""
    y, X = mrmr_toy
    model = LogisticRegression(
        C=1 / (len(y) * LAMBDA), l1_ratio=ratio, solver=solver, tol=1e-12, max_iter=100_000, random_state=0
    )
    return model.fit((X - X.mean(axis=0)) / X.std(axis=0), y)


@pytest.mark.parametrize(("kind", "ratio"), [("lasso", 1.0), ("ridge", 0.0)])
def test_penalised_logistic_equals_glmnet(mrmr_toy, reference, kind, ratio):
    want = reference("glmnet_toy")[kind]
    model = penalised(mrmr_toy, ratio)
    assert [model.intercept_[0], *model.coef_[0]] == pytest.approx(list(want.values()), abs=5e-7)


def test_lasso_of_the_generated_table(mrmr_toy):
    model = penalised(mrmr_toy, 1.0)
    found = {f"x{at}": b for at, b in enumerate(model.coef_[0], start=1)}
    assert model.intercept_[0] == pytest.approx(0.82799882717, abs=5e-7)
    assert {name: found[name] for name in LASSO} == pytest.approx(LASSO, abs=5e-7)


def test_liblinear_shrinks_the_intercept_and_is_not_glmnet(mrmr_toy):
    far = penalised(mrmr_toy, 1.0, solver="liblinear")
    near = penalised(mrmr_toy, 1.0)
    assert abs(far.intercept_[0] - near.intercept_[0]) > 0.05


def test_largest_lambda_is_the_first_that_keeps_nothing(mrmr_toy, reference):
    y, X = mrmr_toy
    z = (X - X.mean(axis=0)) / X.std(axis=0)
    largest = np.abs(z.T @ (y - y.mean())).max() / len(y)
    assert largest == pytest.approx(reference("glmnet_toy")["lambda_max"], rel=1e-9)


def test_stability_of_five_selections():
    """Nogueira et al. 2018: 0.53125, interval 0.36677 to 0.69573; the same selection each time has 1."""
    chosen = ["11100000", "11010000", "11100000", "10110000", "11101000"]
    found = nogueira_stability(np.array([[c == "1" for c in row] for row in chosen]))
    assert (found.estimate, found.low, found.high) == pytest.approx((0.53125, 0.36677, 0.69573), abs=5e-6)
    assert nogueira_stability(np.array([[True, False]] * 4)).estimate == 1


@pytest.mark.parametrize(
    ("k", "n", "exact", "score"),
    [(6, 8, (0.349, 0.968), (0.409, 0.929)), (13, 14, (0.661, 0.998), (0.685, 0.987)), (0, 14, (0, 0.232), (0, 0.215))],
)
def test_intervals_of_shares(k, n, exact, score):
    """R: binom.test (Clopper & Pearson 1934) and prop.test without correction (Wilson 1927)."""
    assert clopper_pearson(k, n) == pytest.approx(exact, abs=5e-4)
    assert wilson(k, n) == pytest.approx(score, abs=5e-4)
