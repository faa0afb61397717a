"""A paper's own procedure, leaks included, so that a report can show what they are worth. Never the headline.

The only place beside the phantom's truth where rows are read without `cohort.splits.training`: that is the point.
What comes out carries the procedure `as-published`, and the audit of those rows is expected to fail.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from osteorad.cohort.recipe import Published, Recipe
from osteorad.cohort.splits import (
    AS_PUBLISHED,
    HeldOutRows,
    TrainingRows,
    folds_of,
    held_out,
    inner_folds_of,
    training,
)
from osteorad.modelling.learning.block import Block, FloatArray, IntArray
from osteorad.modelling.learning.controls import ControlFit, control_of, permuted_outcome
from osteorad.modelling.learning.models import FittedModel, fit_model
from osteorad.modelling.learning.nested import FoldFit, ModelFit, Setting, choose, frozen_rule, settings_of
from osteorad.modelling.learning.plans import COMBINED, RADIOMICS, Encoder, Plan, block_of, fit_encoder, with_radscore
from osteorad.modelling.learning.steps import Chain, fit_chain
from osteorad.modelling.statistics.metrics import auc
from osteorad.provenance import seed_from

REPLAYED = (RADIOMICS, "clinical", COMBINED)
MOST_PERMUTATIONS = 20  # each costs every model of the recipe


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """One division of the paper's kind, with what was fitted for it."""

    repeat: int
    fold: int
    encoder: Encoder
    chain: Chain
    train: Block
    test: HeldOutRows
    test_outcome: IntArray


def published_fits(
    samples: pa.Table, splits: pa.Table, plans: Sequence[Plan], *, recipe: Recipe, analysis: str
) -> list[FoldFit]:
    """Every plan that papers fit (radiomics, clinical, combined) in every division of the procedure `as-published`.

    samples : schemas.SAMPLES with features. splits : with rows of that procedure.
    """
    found = []
    for repeat, fold in folds_of(splits, procedure=AS_PUBLISHED):
        scores: dict[str, float] = {}
        for plan in plans:
            if plan.variables not in REPLAYED or (plan.variables == COMBINED and not scores):
                continue
            table = with_radscore(samples, scores) if plan.variables == COMBINED else samples
            fit = _fit(table, splits, plan, recipe=recipe, analysis=analysis, repeat=repeat, fold=fold)
            found.append(fit)
            if plan.variables == RADIOMICS:
                scores = fit.radscores()
    return found


def published_controls(
    samples: pa.Table, splits: pa.Table, plan: Plan, *, recipe: Recipe, analysis: str
) -> list[ControlFit]:
    """The same order of steps on permuted outcomes, in the first division: what it finds where nothing is."""
    found = []
    place = samples.column_names.index("outcome")
    folds = [(repeat, fold) for repeat, fold in folds_of(splits, procedure=AS_PUBLISHED) if repeat == 1]
    for number in range(1, min(MOST_PERMUTATIONS, recipe.controls.permutations) + 1):
        outcome = permuted_outcome(samples, f"{analysis}/{AS_PUBLISHED}/{number}")
        values = pa.array([outcome[sample] for sample in samples["sample"].to_pylist()], pa.int32())
        table = samples.set_column(place, samples.schema.field(place), values)
        for repeat, fold in folds:
            fit = _fit(table, splits, plan, recipe=recipe, analysis=analysis, repeat=repeat, fold=fold)
            found.append(control_of(fit, "permuted", number, outcome))
    return found


def _fit(
    samples: pa.Table, splits: pa.Table, plan: Plan, *, recipe: Recipe, analysis: str, repeat: int, fold: int
) -> FoldFit:
    paper = recipe.published
    assert paper is not None
    division = _division(samples, splits, plan, paper, repeat=repeat, fold=fold)
    inner = _inner_parts(samples, splits, division)
    models = tuple(
        _model(model, division, inner, plan, recipe=recipe, name=f"{analysis}/{AS_PUBLISHED}/{repeat}/{fold}")
        for model in plan.models
    )
    chosen, why = _choice(models, division, paper)
    return FoldFit(
        plan=plan,
        repeat=repeat,
        fold=fold,
        encoder=division.encoder,
        chain=division.chain,
        inner=(),
        models=models,
        chosen=chosen,
        train=division.train,
        test_samples=division.test.samples,
        test_patients=division.test.patients,
        chosen_by=why,
    )


def _division(samples: pa.Table, splits: pa.Table, plan: Plan, paper: Published, *, repeat: int, fold: int) -> Division:
    """Steps fitted as the paper did: on all rows, test rows with their outcome among them, or on training rows."""
    train = training(samples, splits, repeat=repeat, fold=fold, procedure=AS_PUBLISHED)
    test = held_out(samples, splits, repeat=repeat, fold=fold, procedure=AS_PUBLISHED)
    learned_from = TrainingRows(samples) if paper.select_on == "all" else train
    encoder = fit_encoder(plan, learned_from)
    outcome = dict(zip(samples["sample"].to_pylist(), samples["outcome"].to_pylist(), strict=True))
    return Division(
        repeat=repeat,
        fold=fold,
        encoder=encoder,
        chain=fit_chain(plan.steps, block_of(encoder, learned_from)),
        train=block_of(encoder, train),
        test=test,
        test_outcome=np.array([outcome[sample] for sample in test.samples], dtype=np.int64),
    )


def _inner_parts(samples: pa.Table, splits: pa.Table, division: Division) -> list[tuple[FloatArray, FloatArray]]:
    """Masks of training and held-out rows of each inner fold; empty where the paper chose on test rows."""
    repeat, fold = division.repeat, division.fold
    parts = []
    for inner_fold in inner_folds_of(splits, repeat=repeat, fold=fold, procedure=AS_PUBLISHED):
        rows = held_out(samples, splits, repeat=repeat, fold=fold, inner_fold=inner_fold, procedure=AS_PUBLISHED)
        outside = set(rows.samples)
        mask = np.array([sample in outside for sample in division.train.samples])
        parts.append((~mask, mask))
    return parts


def _model(
    model: str,
    division: Division,
    inner: Sequence[tuple[FloatArray, FloatArray]],
    plan: Plan,
    *,
    recipe: Recipe,
    name: str,
) -> ModelFit:
    """A model with one setting; scores of training rows are in-sample, or inner where the paper had such folds."""
    setting: Setting = settings_of(model, division.chain.prefixes, plan.grids)[-1]
    train = division.train
    X = np.ascontiguousarray(division.chain.transform(train.X, train.sites)[:, : setting.k])
    X_test = division.chain.transform(division.encoder.matrix(division.test), division.test.sites)[:, : setting.k]
    seed = seed_from(f"{name}/{plan.variables}/{model}")

    def fitted(rows: FloatArray, outcome: IntArray) -> FittedModel:
        return fit_model(model, rows, outcome, config=setting.config, seed=seed, trees=recipe.trees)

    final = fitted(X, train.outcome)
    train_score = np.asarray(final.score(X), dtype=float)
    for inside, outside in inner:
        train_score[outside] = fitted(X[inside], train.outcome[inside]).score(X[outside])
    platt, threshold = frozen_rule(train.outcome, train_score, recipe, learned=plan.learned_rule)
    value = auc(train.outcome, train_score)
    columns = division.chain.block.columns[: setting.k]
    return ModelFit(
        name=model,
        setting=setting,
        features=columns,
        inner_auc=0.5 if value is None else value,
        tried=((setting, 0.5 if value is None else value),),
        train_score=train_score,
        test_score=np.asarray(final.score(X_test), dtype=float),
        platt=platt,
        threshold=threshold,
        trace=train.with_columns(columns, X).trace(),
        fitted=final,
    )


def _choice(models: Sequence[ModelFit], division: Division, paper: Published) -> tuple[str, str]:
    """Name of the model taken, and by what."""
    if paper.choose_on == "test":
        values = {model.name: auc(division.test_outcome, model.test_score) for model in models}
        return choose(
            {name: -1.0 if value is None else value for name, value in values.items()}
        ), "AUC on the test rows"
    return choose({model.name: model.inner_auc for model in models}), "AUC of inner folds, selection outside"
