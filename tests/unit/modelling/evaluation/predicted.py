"""Predictions made in code, and toy analyses evaluated."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.config import Analysis
from osteorad.cohort.schemas import PREDICTIONS
from osteorad.modelling.evaluation.evaluate import Tables, evaluate
from osteorad.modelling.evaluation.rows import TestRows
from osteorad.modelling.statistics.metrics import expit
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT


def evaluated(toy, *, settings: dict[str, Any] | None = None, recipe=None, **tables) -> dict[str, Any]:
    """Evaluation of a fitted toy, with other tables or settings where they are given."""
    made = {"predictions": toy.fitted.predictions, "selection": toy.fitted.selection, "samples": toy.samples}
    analysis = Analysis(cohort=COHORT, recipe="toy", **(settings or {}))
    return evaluate(Tables(**made | tables), recipe=recipe or toy.recipe, settings=analysis, analysis=ANALYSIS)


def rows_with(outcome, probability, *, patient=None, fold=None, cut=0.5, repeat=1) -> TestRows:
    """Rows of one repeat; a patient each where none are given."""
    outcome, probability = np.asarray(outcome), np.asarray(probability, dtype=float)
    n = len(outcome)
    return TestRows(
        repeat=repeat,
        sample=tuple(f"k{at:04d}" for at in range(n)),
        patient=np.arange(n) if patient is None else np.asarray(patient),
        fold=np.ones(n, dtype=int) if fold is None else np.asarray(fold),
        outcome=outcome,
        score=np.log(probability / (1 - probability)),
        probability=probability,
        cut=np.full(n, cut),
        predicted=(probability >= cut).astype(int),
    )


def predictions(outcome, scores: dict[tuple[str, str], np.ndarray], *, patient=None, folds=1, **facts) -> pa.Table:
    """Predictions of one repeat: (variables, model) -> score of each row; folds in turn; probability expit(score)."""
    n = len(outcome)
    fold = np.arange(n) % folds + 1
    columns: dict[str, list[Any]] = {name: [] for name in PREDICTIONS.names}
    for (variables, model), score in scores.items():
        p = expit(np.asarray(score, dtype=float))
        same = {"cohort": COHORT, "analysis": ANALYSIS, "procedure": "nested", "repeat": 1, "control": "none"}
        same |= {"variables": variables, "model": model, "chosen": True, "threshold": 0.0, **facts}
        rows = {
            **{name: [value] * n for name, value in same.items()},
            "fold": fold.tolist(),
            "patient": [f"p{at:03d}" for at in range(n)] if patient is None else list(patient),
            "sample": [f"k{at:04d}" for at in range(n)],
            "outcome": list(map(int, outcome)),
            "score": list(map(float, score)),
            "probability": p.tolist(),
            "predicted": (p >= 0.5).astype(int).tolist(),
            "part": ["test"] * n,
        }
        for name in columns:
            columns[name] += rows[name]
    return pa.table(columns, schema=PREDICTIONS)
