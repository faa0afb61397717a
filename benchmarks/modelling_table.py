"""Made-up tables for the modelling room, with features that say much the same, as those of one image do."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import yaml
from numpy.typing import NDArray

from benchmarks.measure import ROOT
from osteorad.cohort.recipe import Recipe, apply_overrides
from osteorad.cohort.schemas import SAMPLES
from osteorad.cohort.splits import make_splits

SEED = 8
FACTORS, DECAY, NOISE = 40, 2.5, 0.1  # leave about a fifth of the columns after the correlation filter
EVENT_SHARE = 0.35
MODELS = ["logistic", "svm", "knn", "random-forest", "extra-trees", "xgboost", "lightgbm", "mlp"]
# 35 configurations compete: 9 of the logistic model, 6 each of SVM, neighbours and MLP, 2 of each model of trees.
GRIDS = {"logistic": [{"C": 0.01}, {"C": 0.1}, {"C": 1.0}]}
VOLUME = "original_shape_VoxelVolume"


def features_of(rows: int, columns: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Features, shape (rows, columns), and an outcome that depends on what lies behind them."""
    rng = np.random.default_rng(SEED)
    weight = np.exp(-np.arange(FACTORS) / DECAY)
    factors = rng.normal(size=(rows, FACTORS))
    X = (factors @ (rng.normal(size=(FACTORS, columns)) * weight[:, None])).astype(np.float32)
    X /= X.std(axis=0)
    X += NOISE * rng.normal(size=X.shape).astype(np.float32)
    event = np.zeros(rows, dtype=np.int64)
    event[np.argsort(-(factors[:, 0] + rng.normal(size=rows)))[: round(EVENT_SHARE * rows)]] = 1
    return X, event


def samples_of(rows: int, columns: int) -> pa.Table:
    """Table of schemas.SAMPLES, one row a patient; the first feature is named as the volume."""
    X, event = features_of(rows, columns)
    texts = {"cohort": "bench", "session": "s1", "roi": "marrow", "mask_set": "manual", "site": "A", "lesion": 1}
    head = [
        {**texts, "patient": f"p{row:03d}", "sample": f"sample-{row:03d}", "outcome": int(event[row])}
        for row in range(rows)
    ]
    table = pa.Table.from_pylist(head, schema=SAMPLES)
    for at in range(columns):
        name = VOLUME if at == 0 else f"f{at:05d}"
        table = table.append_column(f"ct.{name}", pa.array(X[:, at].astype(np.float64)))
    return table


def recipe_of(trees: int) -> Recipe:
    """The steps of zhu2024, eight models and 35 configurations, one repeat of 5 by 5 folds; no controls."""
    written = yaml.safe_load((ROOT / "resources/recipes/zhu2024.yaml").read_text(encoding="utf-8"))
    changed = {"splits.repeats": 1, "trees": trees, "models": MODELS, "controls.permutations": 0}
    return Recipe.model_validate({**apply_overrides(written, changed), "grids": GRIDS})


def write_wide(rows: int, columns: int, out: Path) -> None:
    """A wide table in single precision, features and outcome, as NumPy files in a folder."""
    X, event = features_of(rows, columns)
    out.mkdir(parents=True)
    np.save(out / "features.npy", X)
    np.save(out / "outcome.npy", event)


def splits_of(samples: pa.Table, recipe: Recipe) -> pa.Table:
    """Outer and inner folds, as the workflow makes them."""
    return make_splits(samples, recipe.splits, analysis="bench", cohort="bench")
