"""A perceptron with one hidden layer for a binary outcome: scikit-learn's MLPClassifier at half the time.

Same start, loss and minimiser (L-BFGS); it skips the checks that cost a small network most of its time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit

from osteorad.modelling.learning.block import FloatArray, IntArray

HIDDEN = 16
ROUNDS = 200  # part of the declared model, reached or not
FLAT = 1e-4  # largest slope at which the minimiser stops earlier


@dataclass(frozen=True, slots=True, kw_only=True)
class Perceptron:
    """Weights (columns, HIDDEN) and bias of the rectified linear units, weights (HIDDEN,) and bias of the output."""

    weight: FloatArray
    bias: FloatArray
    weight_out: FloatArray
    bias_out: float

    def probability(self, rows: FloatArray) -> FloatArray:
        """Probability of the event, shape (rows,)."""
        hidden = np.maximum(np.ascontiguousarray(rows) @ self.weight + self.bias, 0.0)
        return np.asarray(expit(hidden @ self.weight_out + self.bias_out))

    def plain(self) -> dict[str, Any]:
        """As lists with exact numbers."""
        return {
            "weight": self.weight.tolist(),
            "bias": self.bias.tolist(),
            "weight_out": self.weight_out.tolist(),
            "bias_out": self.bias_out,
        }


def fit_perceptron(X: FloatArray, outcome: IntArray, *, alpha: float, seed: int, rounds: int = ROUNDS) -> Perceptron:
    """Minimise mean negative log-likelihood + alpha |weights|² / (2 rows) from a random start (Glorot and Bengio 2010).

    X : shape (rows, columns).
    """
    rows, columns = X.shape
    y = outcome.astype(np.float64)
    inner, both = columns * HIDDEN, columns * HIDDEN + HIDDEN

    def loss(values: FloatArray) -> tuple[float, FloatArray]:
        weight, weight_out = values[:inner].reshape(columns, HIDDEN), values[inner:both]
        hidden = np.maximum(X @ weight + values[both:-1], 0.0)
        linear = hidden @ weight_out + values[-1]
        size = alpha / rows * values[:both]
        error = (expit(linear) - y) / rows
        back = error[:, None] * weight_out * (hidden > 0)
        slope = np.concatenate([(X.T @ back).ravel(), hidden.T @ error, back.sum(axis=0), [error.sum()]])
        slope[:both] += size
        return float((np.logaddexp(0.0, linear) - y * linear).mean() + 0.5 * size @ values[:both]), slope

    options = {"maxiter": rounds, "maxfun": 100 * rounds, "gtol": FLAT}
    found = minimize(loss, _start(columns, seed), jac=True, method="L-BFGS-B", options=options).x
    return Perceptron(
        weight=found[:inner].reshape(columns, HIDDEN),
        bias=found[both:-1],
        weight_out=found[inner:both],
        bias_out=float(found[-1]),
    )


def _start(columns: int, seed: int) -> FloatArray:
    """Random weights and biases, in the order weights, weights out, biases, bias out."""
    rng = np.random.RandomState(seed)
    wide, narrow = np.sqrt(6.0 / (columns + HIDDEN)), np.sqrt(6.0 / (HIDDEN + 1))
    weight, bias = rng.uniform(-wide, wide, columns * HIDDEN), rng.uniform(-wide, wide, HIDDEN)
    weight_out, bias_out = rng.uniform(-narrow, narrow, HIDDEN), rng.uniform(-narrow, narrow, 1)
    return np.concatenate([weight, weight_out, bias, bias_out])


def perceptron_from_plain(plain: Mapping[str, Any]) -> Perceptron:
    """The network that `Perceptron.plain` described."""
    return Perceptron(
        weight=np.asarray(plain["weight"], dtype=np.float64),
        bias=np.asarray(plain["bias"], dtype=np.float64),
        weight_out=np.asarray(plain["weight_out"], dtype=np.float64),
        bias_out=float(plain["bias_out"]),
    )
