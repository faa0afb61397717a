"""Every step learns from its block only, and says what it kept and why."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest
from scipy import stats
from sklearn.decomposition import PCA

from osteorad.cohort import recipe
from osteorad.cohort import steps as settings
from osteorad.cohort.steps import Step
from osteorad.errors import ConfigError
from osteorad.modelling.learning import models, steps
from osteorad.modelling.learning.block import Block
from osteorad.modelling.learning.filters import f_scores
from osteorad.modelling.learning.steps import fit_chain, split_supervised, step_from_plain
from osteorad.modelling.statistics.icc import icc_two


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


FEW_HALVES = {"stability": {"halves": 10}}  # as good for what these tests ask, and quicker
CLEANING = ("impute", "variance", "zscore", "correlation", "mrmr")


def fit(name, data, **settings):
    step = Step(step=name, settings=settings)
    return steps.REGISTRY[name].fit(data, step.typed())


def test_names_in_the_settings_are_those_of_the_registries():
    assert settings.STEPS == tuple(steps.REGISTRY) == tuple(settings.STEP_SETTINGS)
    assert tuple(models.REGISTRY) == recipe.MODELS


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
    chain = fit_chain([Step(step=name) for name in CLEANING], block(X))
    assert [step.name for step in chain.steps] == list(CLEANING)
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
    chain = fit_chain([Step(step=name) for name in CLEANING], block(np.full((6, 3), 4.0)))
    assert chain.block.X.shape == (6, 0)
    assert chain.transform(np.ones((2, 3))).shape == (2, 0)


# --- supervision, missing values, joining ----------------------------------------------------------------------------


def signal(n=60, columns=30, seed=0, shift=1.5):
    """Rows whose first two columns tell the outcome."""
    rng = np.random.default_rng(seed)
    y = np.array([0, 1] * (n // 2))
    X = rng.normal(size=(n, columns))
    X[:, :2] += shift * y[:, None]
    return X, y


def test_the_head_that_may_be_shared_ends_at_the_first_step_that_sees_the_outcome():
    order = [Step(step=name) for name in ("impute", "correlation", "pca", "lasso", "zscore")]
    before, rest = split_supervised(order)
    assert [step.step for step in before] == ["impute", "correlation", "pca"]
    assert [step.step for step in rest] == ["lasso", "zscore"]
    by_relevance = [Step(step="impute"), Step(step="correlation", settings={"keep": "relevance"})]
    assert len(split_supervised(by_relevance)[0]) == 1
    assert split_supervised(order[:2]) == (tuple(order[:2]), ())


@pytest.mark.parametrize("name", [name for name in settings.STEPS if name != "icc"])
def test_unsupervised_steps_do_not_change_with_the_outcome(name):
    X, y = signal()
    X[:, 2] += np.repeat([0.0, 2.0], 30)
    other = np.repeat([0, 1], 30)
    one, two = (fit(name, block(X, outcome), **FEW_HALVES.get(name, {})) for outcome in (y, other))
    same = np.array_equal(one.transform(X), two.transform(X))
    assert same != steps.REGISTRY[name].supervised


def test_chains_are_joined_as_if_fitted_at_once():
    X, y = signal()
    order = [Step(step=name) for name in ("impute", "zscore", "pca", "lasso")]
    whole = fit_chain(order, block(X, y))
    head = fit_chain(order[:2], block(X, y))
    joined = head.then(fit_chain(order[2:], head.block))
    assert [step.trace for step in joined.steps] == [step.trace for step in whole.steps]
    assert np.array_equal(joined.transform(X[:7]), whole.transform(X[:7]))
    assert joined.block.columns == whole.block.columns


def test_missing_values_stop_before_a_step_that_cannot_take_them():
    with pytest.raises(ConfigError, match="'zscore' needs complete columns: put 'impute' before it"):
        fit_chain([Step(step="zscore")], block([[1.0], [np.nan], [2.0]]))


# --- two readers -----------------------------------------------------------------------------------------------------


def readers(noise=(0.1, 2.0), n=40, seed=1):
    rng = np.random.default_rng(seed)
    first = rng.normal(size=(n, len(noise)))
    return first, first + np.array(noise) * rng.normal(size=first.shape)


def test_icc_keeps_what_two_readers_agree_on_and_says_why_others_left():
    first, second = readers()
    data = dataclasses.replace(block(first), second=second)
    fitted = fit("icc", data)
    assert fitted.columns == ("f0",)
    want = icc_two(first, second, "A,1")
    assert fitted.record["bounds"][0] == pytest.approx(want.lower[0], abs=1e-9)
    assert fitted.left[0].reason == f"lower bound of the ICC {want.lower[1]:.3f}"


def test_icc_counts_only_rows_that_both_readers_drew():
    first, second = readers(noise=(0.1, 0.1))
    odd = second.copy()
    odd[:25] = np.nan
    odd[25:, 1] = np.nan
    chain = fit_chain(
        [Step(step="impute"), Step(step="icc"), Step(step="zscore")], dataclasses.replace(block(first), second=odd)
    )
    want = icc_two(first[25:, :1], odd[25:, :1], "A,1")
    assert chain.steps[1].record["bounds"] == pytest.approx(want.lower, abs=1e-9)
    assert chain.steps[1].left[0].reason == "ICC: 0 training rows by both readers"
    assert np.isnan(chain.block.second[:25]).all()


def test_the_second_reader_goes_through_the_same_fits():
    first, second = readers()
    chain = fit_chain([Step(step="impute"), Step(step="zscore")], dataclasses.replace(block(first), second=second))
    assert np.array_equal(chain.block.second, chain.transform(second))


def test_icc_without_a_second_reader_is_refused():
    with pytest.raises(ConfigError, match="second_set"):
        fit("icc", block(np.ones((4, 1))))


def test_icc_may_leave_nothing():
    first, _ = readers()
    fitted = fit("icc", dataclasses.replace(block(first), second=np.random.default_rng(9).normal(size=first.shape)))
    assert fitted.columns == ()


# --- choosing by the outcome -----------------------------------------------------------------------------------------

CHOOSING = ("mannwhitney", "lasso", "lasso-logistic", "elastic-net", "stability")


@pytest.mark.parametrize("name", CHOOSING)
def test_signal_is_kept_and_every_column_has_a_reason(name):
    X, y = signal()
    fitted = fit(name, block(X, y))
    assert {"f0", "f1"} <= set(fitted.columns)
    assert len(fitted.columns) < 15
    named = {item.feature for item in fitted.left}
    assert named | set(fitted.columns) == {f"f{at}" for at in range(30)}
    ranked = [item for item in fitted.left if item.rank is not None]
    if name != "mannwhitney":
        assert [item.feature for item in ranked] == list(fitted.columns)
        assert [item.rank for item in ranked] == list(range(1, len(ranked) + 1))


@pytest.mark.parametrize("name", CHOOSING)
def test_where_nothing_passes_the_single_best_stays_and_the_record_says_so(name):
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(24, 12)), np.array([0, 1] * 12)
    settings = {
        "mannwhitney": {"p": 1e-6},
        "stability": {"share": 1.0, "columns": 1, "halves": 20},
    }.get(name, {"choose": "1se"})
    fitted = fit(name, block(X, y), **settings)
    assert fitted.record["none_passed"] is True
    assert fitted.columns == (f"f{np.argmax(f_scores(X, y))}",)


@pytest.mark.parametrize("name", ["lasso", "lasso-logistic", "elastic-net"])
def test_at_most_so_many_columns_with_the_largest_weights_stay(name):
    X = np.random.default_rng(4).normal(size=(80, 12))
    y = (X[:, :6].sum(axis=1) > 0).astype(int)
    whole, few = fit(name, block(X, y), most=12), fit(name, block(X, y), most=2)
    assert len(whole.columns) > 2
    assert few.columns == whole.columns[:2]
    sizes = [abs(score) for score in whole.record["scores"]]
    assert sizes == sorted(sizes, reverse=True)


def test_one_standard_error_never_keeps_more_than_the_minimum():
    X, y = signal(shift=0.8)
    least, one = fit("lasso", block(X, y)), fit("lasso", block(X, y), choose="1se")
    assert one.record["penalty"] >= least.record["penalty"]
    assert one.record["with_weight"] <= least.record["with_weight"]


@pytest.mark.parametrize("name", ["lasso", "lasso-logistic", "elastic-net", "stability"])
def test_selection_hangs_on_patients_names_not_on_the_order_of_rows(name):
    X, y = signal(shift=0.8)
    data = block(X, y)
    turn = np.random.default_rng(3).permutation(len(y))
    turned = dataclasses.replace(
        data,
        X=X[turn],
        outcome=y[turn],
        samples=tuple(data.samples[at] for at in turn),
        patients=tuple(data.patients[at] for at in turn),
    )
    one, two = (fit(name, table, **FEW_HALVES.get(name, {})) for table in (data, turned))
    assert one.columns == two.columns
    assert one.record["scores"] == pytest.approx(two.record["scores"], abs=1e-6)


def test_mann_whitney_equals_the_test_of_each_column():
    rng = np.random.default_rng(5)
    X, y = rng.integers(0, 6, size=(40, 8)).astype(float), np.array([0, 1] * 20)
    fitted = fit("mannwhitney", block(X, y), p=1e-9, adjust="none")
    found = {item.feature: item.score for item in fitted.left}
    for at in range(8):
        if f"f{at}" in found:
            want = stats.mannwhitneyu(X[y == 1, at], X[y == 0, at], method="asymptotic").pvalue
            assert found[f"f{at}"] == pytest.approx(want, rel=1e-12)
    assert len(found) == 7


def test_false_discovery_rate_keeps_fewer_than_plain_p_values():
    rng = np.random.default_rng(6)
    X, y = rng.normal(size=(40, 200)), np.array([0, 1] * 20)
    plain, adjusted = (fit("mannwhitney", block(X, y), adjust=adjust) for adjust in ("none", "bh"))
    assert 4 <= len(plain.columns) <= 18
    assert adjusted.record["none_passed"]


# --- components ------------------------------------------------------------------------------------------------------


def test_components_keep_the_share_of_variance_and_have_one_sign():
    rng = np.random.default_rng(7)
    X = rng.normal(size=(50, 3)) @ rng.normal(size=(3, 20)) + 0.01 * rng.normal(size=(50, 20))
    fitted = fit("pca", block(X), share=0.999)
    assert fitted.columns == ("pc-01", "pc-02", "pc-03")
    want = PCA(3).fit(X)
    assert np.abs(fitted.transform(X)) == pytest.approx(np.abs(want.transform(X)), abs=1e-9)
    assert fitted.record["shares"] == pytest.approx(want.explained_variance_ratio_, abs=1e-9)
    assert all(fitted.mix[np.abs(column).argmax(), at] > 0 for at, column in enumerate(fitted.mix.T))
    assert len(fit("pca", block(X), share=1.0, most=2).columns) == 2


# --- written and read ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", settings.STEPS)
def test_a_step_written_as_json_and_read_transforms_alike_bit_for_bit(name):
    X, y = signal(n=36, columns=9, shift=1.0)
    if name == "impute":
        X[3, 4] = np.nan
    sites = tuple("abc"[at % 3] for at in range(36))
    data = dataclasses.replace(block(X / 3, y), sites=sites, second=X / 3 + 0.01)
    fitted = fit(name, data, **FEW_HALVES.get(name, {}))
    read = step_from_plain(json.loads(json.dumps(fitted.plain(), allow_nan=False)))
    new = np.random.default_rng(8).normal(size=(20, 9)) / 7
    where = (*sites[:18], "elsewhere", "")
    assert np.array_equal(read.transform(new, where), fitted.transform(new, where))
    assert read.columns == fitted.columns
    assert not any(patient in json.dumps(fitted.plain()) for patient in ("p10", "p11"))


# --- odd tables ------------------------------------------------------------------------------------------------------

ODD = {
    "no column": (np.zeros((12, 0)), [0, 1] * 6),
    "one column": (np.arange(12.0)[:, None], [0, 1] * 6),
    "constant": (np.full((12, 3), 4.0), [0, 1] * 6),
    "one class": (np.random.default_rng(0).normal(size=(12, 4)), [0] * 12),
    "one event": (np.random.default_rng(0).normal(size=(12, 4)), [1] + [0] * 11),
    "separated": (np.column_stack([[0.0, 1.0] * 6, np.arange(12.0)]), [0, 1] * 6),
    "equal rows": (np.tile([[1.0, 2.0], [3.0, 5.0]], (6, 1)), [0, 1] * 6),
    "two rows": (np.array([[1.0, 2.0, 3.0], [2.0, 1.0, 3.0]]), [0, 1]),
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", settings.STEPS)
@pytest.mark.parametrize("odd", ODD)
def test_odd_tables_pass_through_every_step(name, odd):
    X, y = ODD[odd]
    data = dataclasses.replace(block(X, y), sites=("a", "b") * (len(X) // 2), second=X + 0.5)
    fitted = fit(name, data, **FEW_HALVES.get(name, {}))
    out = fitted.transform(X, data.sites)
    assert out.shape == (len(X), len(fitted.columns))
    assert np.isfinite(out).all()
    json.dumps(fitted.record, allow_nan=False)
    json.dumps([item.score for item in fitted.left], allow_nan=False)


@pytest.mark.parametrize("name", CHOOSING)
def test_with_one_class_the_first_column_stays_alone(name):
    X, y = ODD["one class"]
    fitted = fit(name, block(X, y), **FEW_HALVES.get(name, {}))
    assert fitted.columns == ("f0",)
    assert fitted.record["none_passed"]
