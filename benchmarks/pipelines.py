"""The plain design that the nested loop is measured against: one scikit-learn pipeline a fit, selection inside each.

Same folds, same grids, same filters (ours, in NumPy, so that the ratio is that of the designs and not of the filters).
The models are those of the libraries as one takes them from the shelf: forests of 500 trees, boosting with its own
numbers of trees and leaves, an SVC with probabilities. Threshold, calibration and baselines are left out, in favour of
the peer.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import lightgbm
import numpy as np
import pyarrow as pa
import xgboost
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import VarianceThreshold
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC

from osteorad.cohort.recipe import Recipe
from osteorad.cohort.splits import folds_of, held_out, inner_folds_of, training
from osteorad.cohort.steps import CorrelationSettings, MrmrSettings, ZscoreSettings
from osteorad.modelling.learning.filters import mrmr, redundant
from osteorad.modelling.learning.models import REGISTRY

# our name of a setting -> scikit-learn's, where they differ
ARGUMENTS = {"neighbours": "n_neighbors"}


class DropCorrelated(TransformerMixin, BaseEstimator):
    """Keep a column if it correlates with none kept before by more than the threshold."""

    def __init__(self, threshold: float) -> None:
        self.threshold = threshold

    def fit(self, X: Any, y: Any = None) -> Self:
        """Find the columns that stay."""
        self.kept_ = sorted(redundant(X, list(range(X.shape[1])), self.threshold)[0])
        return self

    def transform(self, X: Any) -> Any:
        """The columns that stay."""
        return X[:, self.kept_]


class Mrmr(TransformerMixin, BaseEstimator):
    """The first k columns by minimum redundancy, maximum relevance."""

    def __init__(self, k: int = 20, scheme: str = "FCQ", floor: float = 0.1) -> None:
        self.k = k
        self.scheme = scheme
        self.floor = floor

    def fit(self, X: Any, y: Any) -> Self:
        """Rank the columns."""
        self.kept_ = mrmr(X, y, self.k, scheme=self.scheme, floor=self.floor)[0]
        return self

    def transform(self, X: Any) -> Any:
        """The columns taken, best first."""
        return X[:, self.kept_]


def _model(name: str, trees: int) -> Any:
    match name:
        case "logistic":
            return LogisticRegression(solver="lbfgs", max_iter=2000, tol=1e-8)
        case "svm":
            return SVC(kernel="rbf", gamma="scale", probability=True)
        case "knn":
            return KNeighborsClassifier(algorithm="brute")
        case "random-forest":
            return RandomForestClassifier(n_estimators=trees, random_state=1, n_jobs=1)
        case "extra-trees":
            return ExtraTreesClassifier(n_estimators=trees, random_state=1, n_jobs=1)
        case "xgboost":
            return xgboost.XGBClassifier(n_jobs=1, verbosity=0)
        case "lightgbm":
            return lightgbm.LGBMClassifier(n_jobs=1, verbosity=-1)
        case "mlp":
            return MLPClassifier((16,), solver="lbfgs", max_iter=200, random_state=1)
    raise ValueError(f"no plain model {name!r}")


def _settings(recipe: Recipe) -> tuple[ZscoreSettings, CorrelationSettings, MrmrSettings]:
    steps = {step.step: step.typed() for step in recipe.steps}
    zscore, correlation, ranking = steps["zscore"], steps["correlation"], steps["mrmr"]
    assert isinstance(zscore, ZscoreSettings)
    assert isinstance(correlation, CorrelationSettings)
    assert isinstance(ranking, MrmrSettings)
    return zscore, correlation, ranking


def pipeline_of(name: str, recipe: Recipe) -> Pipeline:
    """Every step of the recipe and a model."""
    zscore, correlation, ranking = _settings(recipe)
    clip = {"a_min": -zscore.clip, "a_max": zscore.clip}
    return Pipeline(
        [
            ("impute", SimpleImputer(strategy="median")),
            ("variance", VarianceThreshold()),
            ("scale", StandardScaler()),
            ("clip", FunctionTransformer(np.clip, kw_args=clip)),
            ("correlation", DropCorrelated(correlation.threshold)),
            ("mrmr", Mrmr(scheme=ranking.scheme, floor=ranking.floor)),
            ("model", _model(name, recipe.trees)),
        ]
    )


def grid_of(name: str, recipe: Recipe) -> list[dict[str, list[Any]]]:
    """The settings that our inner loop tries, in its order."""
    kind, counts = REGISTRY[name], sorted(_settings(recipe)[2].k)
    return [
        {"mrmr__k": [k], **{f"model__{ARGUMENTS.get(key, key)}": [value] for key, value in config.items()}}
        for k in (counts[-1:] if kind.chooses_columns else counts)
        for config in recipe.grids.get(name, kind.grid)
    ]


def logistic_scores(samples: pa.Table, splits: pa.Table, recipe: Recipe) -> dict[str, float]:
    """Fit all models in all folds; `repeat/fold/sample` -> test score of the logistic model."""
    columns = [name for name in samples.column_names if name.startswith("ct.")]
    scores: dict[str, float] = {}
    for repeat, fold in folds_of(splits):
        rows = training(samples, splits, repeat=repeat, fold=fold)
        test = held_out(samples, splits, repeat=repeat, fold=fold)
        place = {sample: at for at, sample in enumerate(rows.samples)}
        inner = []
        for number in inner_folds_of(splits, repeat=repeat, fold=fold):
            parts = (
                part(samples, splits, repeat=repeat, fold=fold, inner_fold=number) for part in (training, held_out)
            )
            inner.append(tuple(np.array([place[sample] for sample in part.samples]) for part in parts))
        X, X_test = rows.matrix(columns), test.matrix(columns)
        for name in recipe.models:
            search = GridSearchCV(pipeline_of(name, recipe), grid_of(name, recipe), scoring="roc_auc", cv=inner)
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ConvergenceWarning)
                warnings.filterwarnings("ignore", message="X does not have valid feature names")
                warnings.filterwarnings("ignore", message=".*probability.*", category=FutureWarning)
                search.fit(X, rows.outcome)
            if name == "logistic":
                found = search.decision_function(X_test).tolist()
                keys = [f"{repeat}/{fold}/{sample}" for sample in test.samples]
                scores.update(zip(keys, found, strict=True))
    return scores
