"""Scorers made from plain data: what a fitted model does to new rows.

A model that describes itself scores through the same function when it is fresh and when it was written and read again,
so that both give the same bits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import lightgbm
import numpy as np
import xgboost

from osteorad.modelling.learning.block import FloatArray
from osteorad.modelling.learning.forest import Forest, forest_from_plain
from osteorad.modelling.learning.perceptron import Perceptron, perceptron_from_plain
from osteorad.modelling.statistics.metrics import logit

Scorer = Callable[[FloatArray], FloatArray]
SURE = 1e-3  # probabilities are cut off here before the logit


def model_from_plain(plain: Mapping[str, Any]) -> Scorer:
    """The scorer that `FittedModel.plain` described: rows of shape (rows, columns) -> scores."""
    return KINDS[plain["kind"]](plain)


def finite_logit(probability: FloatArray) -> FloatArray:
    """Logit of the probability of class 1, cut off so that it stays finite."""
    return logit(np.clip(probability, SURE, 1 - SURE))


def of_forest(forest: Forest) -> Scorer:
    """Scores of a forest."""
    return lambda rows: finite_logit(forest.probability(rows))


def of_perceptron(network: Perceptron) -> Scorer:
    """Scores of a perceptron."""
    return lambda rows: finite_logit(network.probability(rows))


def of_lightgbm(model: lightgbm.Booster) -> Scorer:
    """Scores of a LightGBM model, log odds."""
    return lambda rows: np.asarray(model.predict(rows, raw_score=True))


def of_xgboost(model: xgboost.Booster) -> Scorer:
    """Scores of an XGBoost model, log odds."""
    return lambda rows: model.inplace_predict(np.ascontiguousarray(rows), predict_type="margin").astype(np.float64)


def _constant(plain: Mapping[str, Any]) -> Scorer:
    return lambda rows: np.full(len(rows), float(plain["value"]))


def _linear(plain: Mapping[str, Any]) -> Scorer:
    weight, intercept = np.asarray(plain["coefficients"], dtype=np.float64), float(plain["intercept"])
    return lambda rows: np.ascontiguousarray(rows) @ weight + intercept


def _xgboost(plain: Mapping[str, Any]) -> Scorer:
    model = xgboost.Booster(params={"nthread": 1}, model_file=bytearray(plain["text"], "utf-8"))
    return of_xgboost(model)


KINDS: dict[str, Callable[[Mapping[str, Any]], Scorer]] = {
    "constant": _constant,
    "linear": _linear,
    "forest": lambda plain: of_forest(forest_from_plain(plain)),
    "lightgbm": lambda plain: of_lightgbm(lightgbm.Booster(model_str=plain["text"])),
    "xgboost": _xgboost,
    "perceptron": lambda plain: of_perceptron(perceptron_from_plain(plain)),
}
