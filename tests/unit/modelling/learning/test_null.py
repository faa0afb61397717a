"""Noise and signal: the nested procedure finds what is there and no more; a paper's order finds much in noise."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from threadpoolctl import threadpool_limits

from osteorad.cohort.recipe import Published
from osteorad.cohort.schemas import SAMPLES
from osteorad.cohort.splits import analysis_splits, make_splits
from osteorad.modelling.learning.run import fit_analysis
from osteorad.modelling.statistics.metrics import auc
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe

PATIENTS, EVENTS, FEATURES, BLOCKS = 106, 37, 1197, 40
FAST = ("logistic", "knn", "lightgbm")
PAPER = Published(split="hold-out", by="patient", test_share=22 / 106, repeats=2)


def table_of(seed: int, strength: float) -> tuple[pa.Table, float]:
    """106 patients, 37 events, 1197 features in 40 blocks; and the AUC of the true linear predictor (the oracle)."""
    rng = np.random.default_rng(seed)
    latent = rng.normal(size=(PATIENTS, BLOCKS))
    values = latent[:, rng.integers(0, BLOCKS, FEATURES)] + 0.6 * rng.normal(size=(PATIENTS, FEATURES))
    risk = strength * (latent[:, 0] + latent[:, 1])
    outcome = np.zeros(PATIENTS, dtype=np.int64)
    outcome[np.argsort(-(risk + rng.logistic(size=PATIENTS)))[:EVENTS]] = 1
    rows = [
        {
            "cohort": COHORT, "patient": f"p{at:03d}", "session": "s1", "roi": "marrow", "lesion": 1,
            "sample": f"k{at:04d}", "mask_set": "manual", "site": "a", "outcome": int(outcome[at]),
        }
        for at in range(PATIENTS)
    ]  # fmt: skip
    table = pa.Table.from_pylist(rows, schema=SAMPLES)
    for at in range(FEATURES):
        table = table.append_column(f"ct.f{at:04d}", pa.array(values[:, at]))
    oracle = auc(outcome, risk + 1e-9 * rng.normal(size=PATIENTS))
    return table, float(oracle if oracle is not None else 0.5)


def fold_aucs(predictions: pa.Table, procedure: str = "nested") -> Iterator[float]:
    """AUC within each test fold of the chosen model."""
    rows = predictions.filter(
        (pc.field("procedure") == procedure)
        & (pc.field("control") == "none")
        & (pc.field("variables") == "radiomics")
        & (pc.field("part") == "test")
        & pc.field("chosen")
    )
    for key in sorted(set(zip(rows["repeat"].to_pylist(), rows["fold"].to_pylist(), strict=True))):
        own = rows.filter((pc.field("repeat") == key[0]) & (pc.field("fold") == key[1]))
        value = auc(own["outcome"].to_numpy(), own["score"].to_numpy())
        if value is not None:
            yield value


def nested_auc(seed: int, strength: float) -> tuple[float, float]:
    """Nested AUC and the oracle's of one drawn table; 5 folds, 3 inner ones, three fast models."""
    samples, oracle = table_of(seed, strength)
    recipe = toy_recipe(FAST, folds=5, inner_folds=3, baselines=[])
    splits = make_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    fitted = fit_analysis(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT)
    return float(np.mean(list(fold_aucs(fitted.predictions)))), oracle


def published_auc(seed: int) -> float:
    """What the order 'select on all, choose on the test rows' reports of noise."""
    samples, _ = table_of(seed, 0.0)
    models = ("logistic", "svm", "knn", "extra-trees", "lightgbm")
    recipe = toy_recipe(models, baselines=[], published=PAPER)
    names = {"analysis": ANALYSIS, "cohort": COHORT}
    splits = analysis_splits(samples, recipe.splits, **names, published=PAPER)
    fitted = fit_analysis(samples, splits, recipe, **names)
    return float(np.mean(list(fold_aucs(fitted.predictions, "as-published"))))


def test_noise_gives_one_half_and_signal_more():
    with threadpool_limits(1):
        noise = [nested_auc(seed, 0.0)[0] for seed in range(2)]
        signal, oracle = nested_auc(0, 2.0)
    assert abs(np.mean(noise) - 0.5) < 0.2
    assert 0.7 < signal < oracle + 0.1


@pytest.mark.slow
def test_nested_auc_of_noise_is_one_half_over_200_seeds():
    with threadpool_limits(1):
        values = np.array([nested_auc(seed, 0.0)[0] for seed in range(200)])
    error = values.std(ddof=1) / np.sqrt(len(values))
    print(f"nested AUC of noise: mean {values.mean():.4f}, standard error {error:.4f}, 200 seeds")
    assert error < 0.01
    assert abs(values.mean() - 0.5) < 3 * error


@pytest.mark.slow
def test_nested_auc_of_signal_is_not_above_the_oracle():
    with threadpool_limits(1):
        pairs = np.array([nested_auc(seed, 1.2) for seed in range(40)])
    gap = pairs[:, 0] - pairs[:, 1]
    error = gap.std(ddof=1) / np.sqrt(len(gap))
    print(f"nested {pairs[:, 0].mean():.3f}, oracle {pairs[:, 1].mean():.3f}, gap {gap.mean():.4f} ({error:.4f})")
    assert gap.mean() < 3 * error
    assert pairs[:, 0].mean() > 0.6


@pytest.mark.slow
def test_the_published_order_finds_much_in_noise():
    with threadpool_limits(1):
        values = [published_auc(seed) for seed in range(10)]
    print(f"as published on noise: mean {np.mean(values):.3f}")
    assert np.mean(values) >= 0.75
