"""The classifiers: name, declared grid, fit. Scores are on a scale where 0 is even odds wherever there is one.

To add one: write its fit here, a line in REGISTRY, its name in `cohort.recipe.MODEL_SETTINGS`. A model that describes
itself as plain data also needs its scorer in `scorers.KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import lightgbm
import numpy as np
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC

from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.learning.forest import Forest, fit_extra_trees, fit_random_forest
from osteorad.modelling.learning.perceptron import fit_perceptron
from osteorad.modelling.learning.scorers import (
    Scorer,
    finite_logit,
    model_from_plain,
    of_forest,
    of_lightgbm,
    of_perceptron,
    of_xgboost,
)
from osteorad.modelling.statistics.firth import fit_firth, separated
from osteorad.modelling.statistics.logistic import fit_logistic
from osteorad.modelling.statistics.metrics import logit

__all__ = ["REGISTRY", "FittedModel", "ModelKind", "fit_model", "model_from_plain"]

Config = Mapping[str, Any]
ROUNDS = 60  # trees of a boosted model


@dataclass(frozen=True, slots=True, kw_only=True)
class FittedModel:
    """A fitted classifier: scores of rows, and its coefficients where it is linear.

    describe : gives the model as plain data; None where it needs its training rows.
    """

    score: Scorer
    coefficients: tuple[float, ...] | None = None
    intercept: float | None = None
    describe: Callable[[], dict[str, Any]] | None = None

    @property
    def plain(self) -> dict[str, Any] | None:
        """Parameters with exact numbers that JSON can hold, for `model_from_plain`; None if it needs training rows."""
        return None if self.describe is None else self.describe()


def _described(plain: dict[str, Any], **facts: Any) -> FittedModel:
    """A model that is nothing but a few numbers."""
    return FittedModel(score=model_from_plain(plain), describe=lambda: plain, **facts)


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelKind:
    """A classifier that a recipe may name.

    grid : configurations that the inner loop tries, the simplest first; ties go to the earlier one.
    chooses_columns : picks among columns itself, so it gets the longest prefix of the ranking only.
    keeps_rows : scores by its training rows, so it cannot leave the house.
    """

    label: str
    grid: tuple[dict[str, Any], ...]
    fit: Callable[[FloatArray, IntArray, Config, int, int], FittedModel]
    chooses_columns: bool = False
    keeps_rows: bool = False


def fit_model(name: str, X: FloatArray, outcome: IntArray, *, config: Config, seed: int, trees: int) -> FittedModel:
    """Fit a classifier on training rows, shape (rows, columns).

    Without any column, or with one class only, every row gets the log odds of the training rows.
    """
    if X.shape[1] == 0 or len(np.unique(outcome)) < 2:
        least = 0.5 / (len(outcome) + 1)
        return _described({"kind": "constant", "value": float(logit(np.clip(outcome.mean(), least, 1 - least)))})
    return REGISTRY[name].fit(X, outcome, config, seed, trees)


def _linear(coefficients: FloatArray, intercept: float) -> FittedModel:
    weights = [float(value) for value in coefficients]
    plain = {"kind": "linear", "coefficients": weights, "intercept": float(intercept)}
    return _described(plain, coefficients=tuple(weights), intercept=float(intercept))


def _fit_logistic(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    # lbfgs leaves the intercept unpenalised; liblinear does not.
    model = LogisticRegression(C=config["C"], solver="lbfgs", max_iter=2000, tol=1e-8).fit(X, y)
    return _linear(model.coef_[0], model.intercept_[0])


def _fit_firth(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    # Of columns that others explain, the first stay; so it is defined with more columns than rows, too.
    fitted = fit_firth(X, y)
    return _linear(fitted.coefficients, fitted.intercept)


def _fit_logistic_plain(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    # Without a penalty separated classes have no estimate; Firth's always exists.
    found = fit_firth(X, y) if separated(X, y) else fit_logistic(X, y)
    return _linear(found.coefficients, found.intercept)


def _fit_svm(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    model = SVC(C=config["C"], kernel="rbf", gamma="scale").fit(X, y)
    return FittedModel(score=lambda rows: np.asarray(model.decision_function(rows)))


def _fit_knn(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    return _neighbours(X, y, config, weights="uniform")


def _fit_knn_weighted(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    # A row that equals training rows gets the share of events among those alone.
    return _neighbours(X, y, config, weights="distance")


def _neighbours(X: FloatArray, y: IntArray, config: Config, *, weights: str) -> FittedModel:
    count = min(config["neighbours"], len(y))
    model = KNeighborsClassifier(n_neighbors=count, weights=weights, algorithm="brute").fit(X, y)
    return FittedModel(score=lambda rows: finite_logit(model.predict_proba(rows)[:, 1]))


def _fit_random_forest(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    return _of_forest(fit_random_forest(X, y, trees=trees, max_features=config["max_features"], seed=seed))


def _fit_extra_trees(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    return _of_forest(fit_extra_trees(X, y, trees=trees, max_features=config["max_features"], seed=seed))


def _of_forest(forest: Forest) -> FittedModel:
    return FittedModel(score=of_forest(forest), describe=lambda: {"kind": "forest", **forest.plain()})


def _fit_xgboost(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    settings = {
        "objective": "binary:logistic",
        "tree_method": "hist",
        "max_depth": 3,
        "learning_rate": config["learning_rate"],
        "nthread": 1,
        "verbosity": 0,
        "seed": seed % 2**31,
    }
    model = xgboost.train(settings, xgboost.QuantileDMatrix(X, y, nthread=1), num_boost_round=ROUNDS)
    text = "json"
    return FittedModel(
        score=of_xgboost(model), describe=lambda: {"kind": "xgboost", "text": model.save_raw(text).decode("utf-8")}
    )


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
    model = lightgbm.train(settings, lightgbm.Dataset(X, y), num_boost_round=ROUNDS)
    return FittedModel(score=of_lightgbm(model), describe=lambda: {"kind": "lightgbm", "text": model.model_to_string()})


def _fit_mlp(X: FloatArray, y: IntArray, config: Config, seed: int, trees: int) -> FittedModel:
    network = fit_perceptron(X, y, alpha=config["alpha"], seed=seed)
    return FittedModel(score=of_perceptron(network), describe=lambda: {"kind": "perceptron", **network.plain()})


_FOREST_GRID: tuple[dict[str, Any], ...] = ({"max_features": "sqrt"}, {"max_features": 0.5})
_NEIGHBOUR_GRID: tuple[dict[str, Any], ...] = ({"neighbours": 11}, {"neighbours": 5})
_BOOSTING_GRID: tuple[dict[str, Any], ...] = ({"learning_rate": 0.05}, {"learning_rate": 0.1})

REGISTRY: dict[str, ModelKind] = {
    "logistic": ModelKind(label="Logistic regression", grid=({"C": 0.1}, {"C": 1.0}), fit=_fit_logistic),
    "logistic-plain": ModelKind(
        label="Logistic regression, no penalty (Firth where separated)", grid=({},), fit=_fit_logistic_plain
    ),
    "firth": ModelKind(label="Logistic regression (Firth)", grid=({},), fit=_fit_firth),
    "svm": ModelKind(label="Support vector machine", grid=({"C": 0.5}, {"C": 5.0}), fit=_fit_svm, keeps_rows=True),
    "knn": ModelKind(label="Nearest neighbours", grid=_NEIGHBOUR_GRID, fit=_fit_knn, keeps_rows=True),
    "knn-weighted": ModelKind(
        label="Nearest neighbours, weighted", grid=_NEIGHBOUR_GRID, fit=_fit_knn_weighted, keeps_rows=True
    ),
    "random-forest": ModelKind(label="Random forest", grid=_FOREST_GRID, fit=_fit_random_forest, chooses_columns=True),
    "extra-trees": ModelKind(label="Extra trees", grid=_FOREST_GRID, fit=_fit_extra_trees, chooses_columns=True),
    "xgboost": ModelKind(
        label="Gradient boosting (XGBoost)",
        grid=_BOOSTING_GRID,
        fit=_fit_xgboost,
        chooses_columns=True,
    ),
    "lightgbm": ModelKind(
        label="Gradient boosting (LightGBM)",
        grid=_BOOSTING_GRID,
        fit=_fit_lightgbm,
        chooses_columns=True,
    ),
    "mlp": ModelKind(label="Multilayer perceptron", grid=({"alpha": 3.0}, {"alpha": 0.1}), fit=_fit_mlp),
}
