"""One outer fold, nested: select once a training part, choose inside, freeze, then score the test rows.

Every (outer, inner) training part has one chain of steps, shared by all models and numbers of features. The inner
loop compares models and their settings by the mean of within-fold AUC; threshold and calibration come from inner
out-of-fold scores. Test rows come without outcome and only after everything is frozen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.recipe import Recipe
from osteorad.cohort.splits import OUTER, HeldOutRows, held_out, inner_folds_of, training
from osteorad.modelling.learning.block import Block, FloatArray, IntArray, Trace, fit_hash
from osteorad.modelling.learning.models import REGISTRY, FittedModel, fit_model
from osteorad.modelling.learning.plans import Encoder, Plan, block_of, fit_encoder
from osteorad.modelling.learning.steps import Chain, fit_chain
from osteorad.modelling.statistics.metrics import (
    DIGITS,
    Platt,
    auc,
    fit_platt,
    threshold_at_sensitivity,
    youden_threshold,
)
from osteorad.provenance import seed_from

BY_INNER = "mean inner AUC"


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """A configuration of a model and the number of ranked columns that it gets; None: all columns."""

    config: Mapping[str, Any]
    k: int | None

    def plain(self) -> dict[str, Any]:
        """As data."""
        return {"config": dict(self.config), "k": self.k}


@dataclass(frozen=True, slots=True, kw_only=True)
class InnerFit:
    """Steps fitted on an inner training part, and scores of its held-out rows: model -> (settings, rows)."""

    inner_fold: int
    chain: Chain
    held_out: tuple[str, ...]
    scores: dict[str, FloatArray]
    traces: dict[str, Trace]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFit:
    """A model of an outer fold with its best setting, fitted on the whole training part.

    train_score : inner out-of-fold scores, in the order of the training rows. tried : inner AUC of every setting.
    test_score : of the test rows; empty as long as they were not scored.
    """

    name: str
    setting: Setting
    features: tuple[str, ...]
    inner_auc: float
    tried: tuple[tuple[Setting, float], ...]
    train_score: FloatArray
    test_score: FloatArray
    platt: Platt
    threshold: float
    trace: Trace
    fitted: FittedModel


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldFit:
    """Everything learned in one outer fold for one plan."""

    plan: Plan
    repeat: int
    fold: int
    encoder: Encoder
    chain: Chain
    inner: tuple[InnerFit, ...]
    models: tuple[ModelFit, ...]
    chosen: str
    train: Block
    test_samples: tuple[str, ...] = ()
    test_patients: tuple[str, ...] = ()
    chosen_by: str = BY_INNER

    @property
    def chosen_model(self) -> ModelFit:
        """The model that the inner loop picked."""
        return next(model for model in self.models if model.name == self.chosen)

    def radscores(self) -> dict[str, float]:
        """Sample -> score of the chosen model: inner out-of-fold for training rows, the model's own for test rows."""
        names = (*self.train.samples, *self.test_samples)
        scores = np.concatenate([self.chosen_model.train_score, self.chosen_model.test_score])
        return dict(zip(names, scores.tolist(), strict=True))


def fit_fold(
    samples: pa.Table, splits: pa.Table, plan: Plan, *, recipe: Recipe, analysis: str, repeat: int, fold: int
) -> FoldFit:
    """Fit a plan in one outer fold, then score its test rows; their outcome is never read.

    samples : schemas.SAMPLES with features. splits : schemas.SPLITS.
    """
    learned = learn_fold(samples, splits, plan, recipe=recipe, analysis=analysis, repeat=repeat, fold=fold)
    return score_test(learned, held_out(samples, splits, repeat=repeat, fold=fold))


def learn_fold(
    samples: pa.Table,
    splits: pa.Table,
    plan: Plan,
    *,
    recipe: Recipe,
    analysis: str,
    repeat: int,
    fold: int,
    procedure: str = "nested",
) -> FoldFit:
    """Everything that a plan learns from the training part of an outer fold of a procedure of the splits."""
    rows = training(samples, splits, repeat=repeat, fold=fold, procedure=procedure)
    encoder = fit_encoder(plan, rows)
    block = block_of(encoder, rows)
    chain = fit_chain(plan.steps, block)
    settings = {name: settings_of(name, chain.prefixes, plan.grids) for name in plan.models}
    inner = tuple(
        _fit_inner(
            samples,
            splits,
            plan,
            settings,
            recipe=recipe,
            procedure=procedure,
            name=(analysis, repeat, fold, inner_fold),
        )
        for inner_fold in inner_folds_of(splits, repeat=repeat, fold=fold, procedure=procedure)
    )
    models = tuple(
        _fit_outer(model, settings[model], inner, chain, plan, recipe=recipe, name=(analysis, repeat, fold, OUTER))
        for model in plan.models
    )
    return FoldFit(
        plan=plan,
        repeat=repeat,
        fold=fold,
        encoder=encoder,
        chain=chain,
        inner=inner,
        models=models,
        chosen=choose({model.name: model.inner_auc for model in models}),
        train=block,
    )


def score_test(learned: FoldFit, test: HeldOutRows) -> FoldFit:
    """The fold with its test rows scored by what was learned."""
    X = learned.chain.transform(learned.encoder.matrix(test), test.sites)
    scored = tuple(
        replace(model, test_score=np.asarray(model.fitted.score(X[:, : model.setting.k]), dtype=float))
        for model in learned.models
    )
    return replace(learned, models=scored, test_samples=test.samples, test_patients=test.patients)


def choose(inner_auc: Mapping[str, float]) -> str:
    """Name with the largest inner AUC; ties go to the one that the recipe names first."""
    best = max(round(value, DIGITS) for value in inner_auc.values())
    return next(name for name, value in inner_auc.items() if round(value, DIGITS) == best)


def settings_of(
    model: str, prefixes: tuple[int, ...], grids: Mapping[str, Sequence[Mapping[str, Any]]]
) -> tuple[Setting, ...]:
    """Settings that compete for a model, the simplest first."""
    if model not in REGISTRY:
        return (Setting(config={}, k=None),)
    kind = REGISTRY[model]
    counts: tuple[int | None, ...] = prefixes or (None,)
    if kind.chooses_columns:
        counts = counts[-1:]
    return tuple(Setting(config=config, k=k) for k in counts for config in grids.get(model, kind.grid))


def _fit_inner(
    samples: pa.Table,
    splits: pa.Table,
    plan: Plan,
    settings: Mapping[str, tuple[Setting, ...]],
    *,
    recipe: Recipe,
    procedure: str,
    name: tuple[str, int, int, int],
) -> InnerFit:
    """Every model and setting on one inner training part, scored on its held-out rows."""
    _, repeat, fold, inner_fold = name
    where = {"repeat": repeat, "fold": fold, "inner_fold": inner_fold}
    rows = training(samples, splits, procedure=procedure, **where)
    outside = held_out(samples, splits, procedure=procedure, **where)
    encoder = fit_encoder(plan, rows)
    chain = fit_chain(plan.steps, block_of(encoder, rows))
    X_outside = chain.transform(encoder.matrix(outside), outside.sites)
    scores: dict[str, FloatArray] = {}
    traces: dict[str, Trace] = {}
    for model, options in settings.items():
        seed = seed_from("/".join([*map(str, name), plan.variables, model]))
        fitted = [
            fit_model(
                model,
                chain.block.X[:, : option.k],
                chain.block.outcome,
                config=option.config,
                seed=seed,
                trees=recipe.trees,
            )
            for option in options
        ]
        pairs = zip(fitted, options, strict=True)
        scores[model] = np.array([one.score(X_outside[:, : option.k]) for one, option in pairs])
        traces[model] = _trace(chain, options[-1].k)
    return InnerFit(inner_fold=inner_fold, chain=chain, held_out=outside.samples, scores=scores, traces=traces)


def _trace(chain: Chain, k: int | None) -> Trace:
    """Trace of a model that is fitted on the first k columns of a chain."""
    block = chain.block
    return block.with_columns(block.columns[:k], np.ascontiguousarray(block.X[:, :k])).trace()


def _inner_auc(inner: tuple[InnerFit, ...], model: str, outcome: Mapping[str, int]) -> FloatArray:
    """Mean over inner folds of the AUC of each setting; 0.5 where no inner fold has both classes."""
    every = []
    for part in inner:
        truth = np.array([outcome[sample] for sample in part.held_out])
        values = [auc(truth, scores) for scores in part.scores[model]]
        if None not in values:
            every.append(np.array(values, dtype=float))
    count = len(inner[0].scores[model])
    return np.mean(every, axis=0) if every else np.full(count, 0.5)


def _fit_outer(
    model: str,
    settings: tuple[Setting, ...],
    inner: tuple[InnerFit, ...],
    chain: Chain,
    plan: Plan,
    *,
    recipe: Recipe,
    name: tuple[str, int, int, int],
) -> ModelFit:
    """The best setting of a model on the whole training part; threshold and calibration from inner scores."""
    block = chain.block
    outcome = dict(zip(block.samples, block.outcome.tolist(), strict=True))
    values = _inner_auc(inner, model, outcome)
    best = int(np.argmax(values.round(DIGITS)))
    setting = settings[best]
    scored = {s: v for part in inner for s, v in zip(part.held_out, part.scores[model][best].tolist(), strict=True)}
    train_score = np.array([scored[sample] for sample in block.samples])
    seed = seed_from("/".join([*map(str, name), plan.variables, model]))
    X = np.ascontiguousarray(block.X[:, : setting.k])
    fitted = fit_model(model, X, block.outcome, config=setting.config, seed=seed, trees=recipe.trees)
    platt, threshold = frozen_rule(block.outcome, train_score, recipe, learned=plan.learned_rule)
    return ModelFit(
        name=model,
        setting=setting,
        features=block.columns[: setting.k],
        inner_auc=float(values[best]),
        tried=tuple(zip(settings, values.tolist(), strict=True)),
        train_score=train_score,
        test_score=np.zeros(0),
        platt=platt,
        threshold=threshold,
        trace=_trace(chain, setting.k),
        fitted=fitted,
    )


def frozen_rule(outcome: IntArray, score: FloatArray, recipe: Recipe, *, learned: bool = True) -> tuple[Platt, float]:
    """Calibration and threshold of a fold from its inner out-of-fold scores; even odds where nothing is learned."""
    if not learned:
        return Platt(intercept=0.0, slope=1.0), 0.0
    if recipe.threshold == "sensitivity":
        return fit_platt(outcome, score), threshold_at_sensitivity(outcome, score, recipe.sensitivity)
    return fit_platt(outcome, score), youden_threshold(outcome, score)


def last_prefix(model: str, chain: Chain) -> int | None:
    """How many columns a model is fitted on at most; None: all."""
    return settings_of(model, chain.prefixes, {})[-1].k


def rule_hash(samples: tuple[str, ...], score: FloatArray, outcome: IntArray) -> str:
    """Fit hash of threshold and calibration: the inner out-of-fold scores that they were made from."""
    return fit_hash(samples, score, outcome)
