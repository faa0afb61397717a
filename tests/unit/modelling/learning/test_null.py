"""Noise: the nested procedure finds nothing, selection before the split finds a lot."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from osteorad.cohort.splits import folds_of, held_out, make_splits, training
from osteorad.modelling.learning.filters import mrmr, redundant
from osteorad.modelling.learning.models import fit_model
from osteorad.modelling.learning.run import fit_analysis
from osteorad.modelling.statistics.metrics import auc
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples

SEEDS = 10


def noise(seed: int) -> pa.Table:
    return toy_samples(n=60, events=24, features=300, strength=0.0, blocks=100, seed=seed)


def nested_auc(samples: pa.Table, splits: pa.Table, recipe) -> float:
    table = fit_analysis(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT).predictions
    test = table.filter((pc.field("part") == "test") & (pc.field("variables") == "radiomics") & pc.field("chosen"))
    values = []
    for repeat, fold in folds_of(splits):
        rows = test.filter((pc.field("repeat") == repeat) & (pc.field("fold") == fold))
        values.append(auc(rows["outcome"].to_numpy(), rows["score"].to_numpy()))
    return float(np.mean(values))


def leaky_auc(samples: pa.Table, splits: pa.Table) -> float:
    """Selection on all rows, then folds."""
    columns = [name for name in samples.column_names if name.startswith("ct.f")]
    outcome = samples["outcome"].to_numpy()
    X = np.column_stack([samples[name].to_numpy() for name in columns])
    kept, _ = redundant(X, range(X.shape[1]), 0.9)
    chosen = [columns[kept[at]] for at in mrmr(X[:, kept], outcome, 10, floor=0.1)[0]]
    truth = dict(zip(samples["sample"].to_pylist(), outcome.tolist(), strict=True))
    values = []
    for repeat, fold in folds_of(splits):
        train = training(samples, splits, repeat=repeat, fold=fold)
        test = held_out(samples, splits, repeat=repeat, fold=fold)
        model = fit_model("logistic", train.matrix(chosen), train.outcome, config={"C": 1.0}, seed=1, trees=1)
        values.append(auc(np.array([truth[s] for s in test.samples]), model.score(test.matrix(chosen))))
    return float(np.mean(values))


def test_nested_auc_of_noise_is_one_half_and_that_of_selection_outside_is_not():
    recipe = toy_recipe(("logistic", "knn"), folds=5, inner_folds=3)
    nested, leaky = [], []
    for seed in range(SEEDS):
        samples = noise(seed)
        splits = make_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
        nested.append(nested_auc(samples, splits, recipe))
        leaky.append(leaky_auc(samples, splits))
    error = np.std(nested, ddof=1) / np.sqrt(SEEDS)
    assert error < 0.04
    assert abs(np.mean(nested) - 0.5) < 3 * error
    assert np.mean(leaky) > 0.7


def test_signal_is_found():
    recipe = toy_recipe(("logistic", "knn"), folds=5, inner_folds=3)
    found = []
    for seed in range(2):
        samples = toy_samples(n=60, events=24, features=100, strength=3.0, seed=seed)
        splits = make_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
        found.append(nested_auc(samples, splits, recipe))
    assert np.mean(found) > 0.75
