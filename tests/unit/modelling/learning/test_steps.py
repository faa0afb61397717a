"""Every step learns from its block only, and says what it kept and why."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from osteorad.cohort import config
from osteorad.cohort.config import Step
from osteorad.errors import ConfigError
from osteorad.modelling.learning import models, steps
from osteorad.modelling.learning.block import Block
from osteorad.modelling.learning.steps import fit_chain


def block(X, outcome=None, columns=None) -> Block:
    X = np.asarray(X, dtype=float)
    rows = len(X)
    return Block(
        samples=tuple(f"k{at}" for at in range(rows)),
        patients=tuple(f"p{at}" for at in range(rows)),
        columns=tuple(columns or (f"f{at}" for at in range(X.shape[1]))),
        X=X,
        outcome=np.asarray(outcome if outcome is not None else [at % 2 for at in range(rows)]),
    )


def fit(name, data, **settings):
    step = Step(step=name, settings=settings)
    return steps.REGISTRY[name].fit(data, step.typed())


def test_names_in_the_settings_are_those_of_the_registries():
    assert config.STEPS == tuple(steps.REGISTRY) == tuple(config.STEP_SETTINGS)
    assert tuple(models.REGISTRY) == config.MODELS


def test_impute_fills_medians_of_training_rows_and_drops_empty_columns():
    nan = np.nan
    fitted = fit("impute", block([[1, nan, nan], [3, nan, 4], [8, nan, 6]]))
    assert fitted.columns == ("f0", "f2")
    assert fitted.left[0].feature == "f1"
    new = fitted.transform(np.array([[nan, 7.0, nan]]))
    assert new.tolist() == [[3.0, 5.0]]
    assert fitted.record == {"values_missing": 4, "columns_filled": 1, "columns_empty": 1}


def test_variance_drops_constant_and_equal_columns_and_says_so():
    fitted = fit("variance", block([[1, 5, 1, 1e9], [2, 5, 2, 1e9 + 1e-3], [3, 5, 3, 1e9]]))
    assert fitted.columns == ("f0",)
    assert [item.reason for item in fitted.left] == [
        "constant in the training rows",
        "equal to f0 in every training row",
        "constant in the training rows",
    ]


def test_zscore_uses_training_moments_and_clips():
    fitted = fit("zscore", block([[0.0, 2], [2, 2], [4, 2]]), clip=3.0)
    assert fitted.transform(np.array([[2.0, 9.0], [1e9, 2.0], [-1e9, 2.0]])).tolist() == [[0, 3], [3, 0], [-3, 0]]


@pytest.mark.parametrize(("keep", "stays"), [("first", "f0"), ("relevance", "f1")])
def test_correlation_keeps_the_first_or_the_more_relevant(keep, stays):
    rng = np.random.default_rng(0)
    y = np.array([0, 1] * 20)
    better = y + 0.3 * rng.normal(size=40)
    fitted = fit("correlation", block(np.column_stack([better + 0.1 * rng.normal(size=40), better]), y), keep=keep)
    assert fitted.columns == (stays,)
    assert stays in fitted.left[0].reason


def test_correlation_counts_negative_correlation_too():
    x = np.random.default_rng(0).normal(size=30)
    assert fit("correlation", block(np.column_stack([x, -x + 1e-3 * x**2]))).columns == ("f0",)


def test_spearman_sees_a_monotone_relation_that_pearson_does_not():
    x = np.linspace(0, 1, 30)
    data = block(np.column_stack([x, np.exp(20 * x)]))
    assert len(fit("correlation", data, method="pearson").columns) == 2
    assert len(fit("correlation", data, method="spearman").columns) == 1


def test_chain_passes_each_step_what_the_one_before_made():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(20, 8))
    X[3, 2] = np.nan
    chain = fit_chain([Step(step=name) for name in config.STEPS], block(X))
    assert [step.name for step in chain.steps] == list(config.STEPS)
    assert np.array_equal(chain.transform(X), chain.block.X)
    assert chain.prefixes == (len(chain.block.columns),)


def test_fit_hash_depends_on_rows_values_and_outcome_only():
    X = np.arange(12.0).reshape(6, 2)
    base = block(X).trace().fit_hash
    changed = X.copy()
    changed[5, 1] += 1e-12
    assert block(np.asfortranarray(X)).trace().fit_hash == base
    assert block(changed).trace().fit_hash != base
    assert block(X, [0, 0, 1, 1, 1, 1]).trace().fit_hash != base
    assert dataclasses.replace(block(X), samples=tuple("abcdef")).trace().fit_hash != base


def test_a_ranking_step_must_be_the_last():
    order = [Step(step="impute"), Step(step="mrmr"), Step(step="zscore")]
    with pytest.raises(ConfigError, match="'mrmr' ranks columns and must be the last"):
        fit_chain(order, block(np.random.default_rng(0).normal(size=(10, 3))))


def test_an_unknown_step_or_setting_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="Did you mean 'zscore'"):
        fit_chain([Step(step="zscor")], block(np.ones((4, 1))))
    with pytest.raises(ValueError, match="Did you mean 'threshold'"):
        Step(step="correlation", settings={"treshold": 0.8})
    with pytest.raises(ValueError, match="less than or equal to 1"):
        Step(step="correlation", settings={"threshold": 1.5})


def test_nothing_left_is_no_error():
    chain = fit_chain([Step(step=name) for name in config.STEPS], block(np.full((6, 3), 4.0)))
    assert chain.block.X.shape == (6, 0)
    assert chain.transform(np.ones((2, 3))).shape == (2, 0)
