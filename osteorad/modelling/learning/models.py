"""The classifiers: name, declared grid, fit. Scores are on a scale where 0 is even odds wherever there is one.

To add one: write its fit here, a line in REGISTRY, its name in `cohort.config.MODELS`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.svm import SVC

from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.learning.forest import fit_extra_trees, fit_random_forest
from osteorad.modelling.statistics.metrics import logit

Config = Mapping[str, Any]
Scorer = Callable[[FloatArray], FloatArray]
SURE = 1e-3  # probabilities of a forest are cut off here before the logit


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedModel:
    """A fitted classifier: scores of rows, and its coefficients where it is linear."""

    score: Scorer
    coefficients: tuple[float, ...] | None = None
    intercept: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKind:
    """A classifier that a recipe may name.

    grid : configurations that the inner loop tries, the simplest first; ties go to the earlier one.
    chooses_columns : picks among columns itself, so it gets the longest prefix of the ranking only.
    """

    label: str
    grid: tuple[dict[str, Any], ...]
    fit: Callable[[FloatArray, IntArray, Config, int, int], FittedModel]
    chooses_columns: bool = False


def fit_model(name: str, X: FloatArray, outcome: IntArray, *, config: Config, seed: int, trees: int) -> FittedModel:
    """Fit a classifier on training rows, shape (rows, columns).

    Without any column, or with one class only, every row gets the log odds of the training rows.
    """
    if X.shape[1] == 0 or len(np.unique(outcome)) < 2:
        least = 0.5 / (len(outcome) + 1)
        constant = float(logit(np.clip(outcome.mean(), least, 1 - least)))
        return FittedModel(score=lambda rows: np.full(len(rows), constant))
    return REGISTRY[name].fit(X, outcome, config, seed, trees)


def _fit_logistic(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    # lbfgs leaves the intercept unpenalised; liblinear does not.
    model = LogisticRegression(C=config["C"], solver="lbfgs", max_iter=2000, tol=1e-8).fit(X, y)
    return FittedModel(
        score=lambda rows: np.asarray(model.decision_function(rows)),
        coefficients=tuple(float(value) for value in model.coef_[0]),
        intercept=float(model.intercept_[0]),
    )


def _fit_svm(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    model = SVC(C=config["C"], kernel="rbf", gamma="scale").fit(X, y)
    return FittedModel(score=lambda rows: np.asarray(model.decision_function(rows)))


def _fit_knn(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    model = KNeighborsClassifier(n_neighbors=min(config["neighbours"], len(y)), algorithm="brute").fit(X, y)
    return FittedModel(score=_of_probability(model))


def _fit_random_forest(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    probability = fit_random_forest(X, y, trees=trees, max_features=config["max_features"], seed=seed)
    return FittedModel(score=lambda rows: _finite_logit(probability(rows)))


def _fit_extra_trees(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    probability = fit_extra_trees(X, y, trees=trees, max_features=config["max_features"], seed=seed)
    return FittedModel(score=lambda rows: _finite_logit(probability(rows)))


def _fit_lightgbm(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    settings = {
        "objective": "binary",
        "num_leaves": 7,
        "learning_rate": config["learning_rate"],
        "min_data_in_leaf": 3,
        "min_data_in_bin": 1,
        "num_threads": 1,
        "deterministic": True,
        "force_col_wise": True,
        "verbosity": -1,
        "seed": seed % 2**31,
    }
    model = lightgbm.train(settings, lightgbm.Dataset(X, y), num_boost_round=60)
    return FittedModel(score=lambda rows: np.asarray(model.predict(rows, raw_score=True)))


def _fit_mlp(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    model = MLPClassifier((16,), solver="lbfgs", alpha=config["alpha"], max_iter=200, random_state=seed)
    with warnings.catch_warnings():
        # 200 iterations are part of the declared model, reached or not.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(X, y)
    return FittedModel(score=_of_probability(model))


def _of_probability(model: Any) -> Scorer:
    """Scores of a scikit-learn classifier that has probabilities."""
    return lambda rows: _finite_logit(model.predict_proba(rows)[:, 1])


def _finite_logit(probability: FloatArray) -> FloatArray:
    """Logit of the probability of class 1, cut off so that it stays finite."""
    return logit(np.clip(probability, SURE, 1 - SURE))


_FOREST_GRID: tuple[dict[str, Any], ...] = ({"max_features": "sqrt"}, {"max_features": 0.5})

REGISTRY: dict[str, ModelKind] = {
    "logistic": ModelKind(label="Logistic regression", grid=({"C": 0.1}, {"C": 1.0}), fit=_fit_logistic),
    "svm": ModelKind(label="Support vector machine", grid=({"C": 0.5}, {"C": 5.0}), fit=_fit_svm),
    "knn": ModelKind(label="Nearest neighbours", grid=({"neighbours": 11}, {"neighbours": 5}), fit=_fit_knn),
    "random-forest": ModelKind(label="Random forest", grid=_FOREST_GRID, fit=_fit_random_forest, chooses_columns=True),
    "extra-trees": ModelKind(label="Extra trees", grid=_FOREST_GRID, fit=_fit_extra_trees, chooses_columns=True),
    "lightgbm": ModelKind(
        label="Gradient boosting (LightGBM)",
        grid=({"learning_rate": 0.05}, {"learning_rate": 0.1}),
        fit=_fit_lightgbm,
        chooses_columns=True,
    ),
    "mlp": ModelKind(label="Multilayer perceptron", grid=({"alpha": 3.0}, {"alpha": 0.1}), fit=_fit_mlp),
}
