"""A samples table of the phantom's size for the modelling room: made up, with features that say much the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import yaml

from benchmarks.measure import ROOT
from osteorad.cohort.config import Recipe, apply_overrides
from osteorad.cohort.schemas import SAMPLES
from osteorad.cohort.splits import make_splits
from osteorad.radiomics.presets import feature_names

PATIENTS, EVENTS = 40, 18
FACTORS, DECAY, NOISE = 40, 2.5, 0.1  # leave about a fifth of the columns after the correlation filter


def samples_of(columns: int) -> pa.Table:
    """Table of schemas.SAMPLES with the first `columns` features of zhu2024; 0: all 1197."""
    rng = np.random.default_rng(8)
    names = feature_names("zhu2024", "ct")[: columns or None]
    weight = np.exp(-np.arange(FACTORS) / DECAY)
    factors = rng.normal(size=(PATIENTS, FACTORS))
    X = factors @ (rng.normal(size=(FACTORS, len(names))) * weight[:, None])
    X = X / X.std(axis=0) + NOISE * rng.normal(size=X.shape)
    event = np.zeros(PATIENTS, dtype=int)
    event[np.argsort(-(factors[:, 0] + rng.normal(size=PATIENTS)))[:EVENTS]] = 1
    texts = {"cohort": "bench", "session": "s1", "roi": "marrow", "mask_set": "manual", "site": "A"}
    head = [
        {
            **texts,
            "patient": f"p{row:03d}",
            "lesion": 1,
            "sample": f"sample-{row:03d}",
            "outcome": int(event[row]),
        }
        for row in range(PATIENTS)
    ]
    table = pa.Table.from_pylist(head, schema=SAMPLES)
    for at, name in enumerate(names):
        table = table.append_column(f"ct.{name}", pa.array(X[:, at]))
    return table


def recipe_of(facts: dict[str, Any]) -> Recipe:
    """The recipe zhu2024 with so many repeats and trees."""
    written = yaml.safe_load((ROOT / "resources/recipes/zhu2024.yaml").read_text(encoding="utf-8"))
    changed = {"splits.repeats": facts["repeats"], "trees": facts["trees"]}
    return Recipe.model_validate(apply_overrides(written, changed))


def splits_of(samples: pa.Table, recipe: Recipe) -> pa.Table:
    """Outer and inner folds, as the workflow makes them."""
    return make_splits(samples, recipe.splits, analysis="bench", cohort="bench")
