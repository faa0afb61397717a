"""Small analyses made in code: features in correlated blocks, an outcome that depends on two of them, or on nothing."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from osteorad.cohort.recipe import Controls, Recipe, Splits
from osteorad.cohort.schemas import SAMPLES

COHORT, ANALYSIS = "toy", "toy-analysis"
STEPS = [
    {"step": "impute"},
    {"step": "variance"},
    {"step": "zscore"},
    {"step": "correlation", "settings": {"threshold": 0.9}},
    {"step": "mrmr", "settings": {"k": [3, 6]}},
]


def toy_recipe(
    models=("logistic", "svm", "knn"), *, folds=3, inner_folds=3, repeats=1, steps=None, permutations=0, **changes
) -> Recipe:
    return Recipe(
        name="toy",
        title="Toy",
        images=["ct"],
        roi="marrow",
        preset="zhu2024",
        covariates=["age_years", "er"],
        steps=STEPS if steps is None else steps,
        models=list(models),
        trees=10,
        splits=Splits(folds=folds, inner_folds=inner_folds, repeats=repeats),
        bootstrap=200,
        **{"controls": Controls(permutations=permutations), **changes},
    )


def toy_samples(n=36, events=18, features=60, *, strength=1.5, seed=0, lesions=1, blocks=12) -> pa.Table:
    """n patients with `lesions` samples each, as samples.parquet holds them."""
    rng = np.random.default_rng(seed)
    rows = n * lesions
    latent = rng.normal(size=(rows, blocks))
    values = latent[:, rng.integers(0, blocks, features)] + 0.5 * rng.normal(size=(rows, features))
    risk = strength * (latent[:, 0] + latent[:, 1]).reshape(n, lesions).mean(axis=1) + rng.normal(size=n)
    outcome = np.zeros(n, dtype=int)
    outcome[np.argsort(-risk)[:events]] = 1
    patients = [f"p{at:03d}" for at in range(n) for _ in range(lesions)]
    columns = {
        "cohort": [COHORT] * rows,
        "patient": patients,
        "session": ["s1"] * rows,
        "roi": ["marrow"] * rows,
        "lesion": [at % lesions + 1 for at in range(rows)],
        "sample": [f"k{at:04d}" for at in range(rows)],
        "mask_set": ["manual"] * rows,
        "site": ["a"] * rows,
        "image_day": [-10.0] * rows,
        "event_day": [200.0 if event else None for event in np.repeat(outcome, lesions)],
        "outcome": np.repeat(outcome, lesions).tolist(),
    }
    table = pa.table(columns, schema=SAMPLES)
    extra = {
        "clinical.age_years": rng.normal(60, 9, rows),
        "clinical.er": [None if v == 2 else ("neg", "pos")[v] for v in rng.integers(0, 3, rows)],
        "ct.original_shape_VoxelVolume": rng.normal(3000, 500, rows),
        **{f"ct.f{at:03d}": values[:, at] for at in range(features)},
    }
    for name, column in extra.items():
        table = table.append_column(name, pa.array(column))
    return table


def replace_rows(table: pa.Table, rows: np.ndarray, rng: np.random.Generator, *, outcome=True) -> pa.Table:
    """A copy in which the rows of a mask hold other features, covariates and outcomes."""
    for at, name in enumerate(table.column_names):
        kind = table.schema.field(name).type
        if pa.types.is_floating(kind):
            column = np.where(rows, rng.normal(size=len(rows)) * 1e6, table[name].to_numpy())
            table = table.set_column(at, name, pa.array(column, kind))
        elif name == "outcome" and outcome:
            table = table.set_column(
                at, table.schema.field(at), pa.array(np.where(rows, 1, table[name].to_numpy()), kind)
            )
    return table
