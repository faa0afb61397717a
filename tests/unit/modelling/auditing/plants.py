"""Leaks planted in a small analysis, one a check. Each goes round `cohort.splits.training` or tampers with its rows."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from functools import cache

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from osteorad.cohort.splits import TrainingRows, folds_of, make_splits, training
from osteorad.modelling.auditing.tables import AuditTables
from osteorad.modelling.learning import nested, run, steps
from osteorad.modelling.learning.block import Block
from osteorad.modelling.learning.filters import mrmr
from osteorad.modelling.learning.run import fit_analysis
from osteorad.modelling.learning.steps import Chain, fit_chain
from osteorad.modelling.statistics.metrics import auc, youden_threshold
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples
from tests.unit.modelling.conftest import Toy, fit_toy

MODELS = ("logistic", "knn")


def small(seed=1, **changes) -> pa.Table:
    return toy_samples(**{"n": 30, "events": 15, "features": 40, "seed": seed, **changes})


def fitted(samples: pa.Table | None = None, baselines=("prevalence",)) -> Toy:
    recipe = toy_recipe(MODELS, inner_folds=2, baselines=list(baselines))
    return fit_toy(small() if samples is None else samples, recipe)


def combined() -> Toy:
    return fitted(baselines=("clinical", "combined", "prevalence"))


@cache
def clean() -> Toy:
    """An honest analysis; nobody changes it, and no plant is active when it is first made."""
    return combined()


def with_column(table: pa.Table, name: str, values) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(at), pa.array(list(values), table.schema.field(at).type))


def features_of(samples: pa.Table) -> list[str]:
    return [name for name in samples.column_names if name.startswith("ct.")]


# --- A1 --------------------------------------------------------------------------------------------------------------


def lesions_divided(monkeypatch) -> AuditTables:
    """Folds by lesion: most patients have one lesion in training and one in the test part."""
    samples = small(n=18, events=9, lesions=2)
    alone = with_column(samples, "patient", samples["sample"].to_pylist())
    recipe = toy_recipe(MODELS)
    splits = make_splits(alone, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    patient = dict(zip(samples["sample"].to_pylist(), samples["patient"].to_pylist(), strict=True))
    splits = with_column(splits, "patient", [patient[sample] for sample in splits["sample"].to_pylist()])
    done = fit_analysis(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT)
    return Toy(samples=samples, splits=splits, recipe=recipe, fitted=done).audit_tables()


# --- A2, A3 ----------------------------------------------------------------------------------------------------------


def watch_samples(monkeypatch) -> Callable[[Block], Block]:
    """The whole samples table behind a block, which honest code never sees."""
    seen: list[pa.Table] = []

    def spy(samples, splits, **where):
        seen[:] = [samples]
        return training(samples, splits, **where)

    def whole(block: Block) -> Block:
        rows = TrainingRows(seen[0])
        columns = [name for name in block.columns if name in seen[0].column_names]
        if len(columns) < len(block.columns):
            return block  # the clinical plan's coded columns
        return dataclasses.replace(
            block, samples=rows.samples, patients=rows.patients, X=rows.matrix(columns), outcome=rows.outcome
        )

    monkeypatch.setattr(nested, "training", spy)
    return whole


def steps_on_all_rows(monkeypatch) -> AuditTables:
    """Scaling and selection before the split."""
    everything = watch_samples(monkeypatch)

    def leaky(recipe_steps, block):
        chain = fit_chain(recipe_steps, everything(block))
        return Chain(steps=chain.steps, block=block.with_columns(chain.block.columns, chain.transform(block.X)))

    monkeypatch.setattr(nested, "fit_chain", leaky)
    return fitted().audit_tables()


def inner_steps_on_the_outer_part(monkeypatch) -> AuditTables:
    """Selection before the inner split."""

    def whole(samples, splits, *, repeat, fold, **inner):
        return training(samples, splits, repeat=repeat, fold=fold)

    monkeypatch.setattr(nested, "training", whole)
    return fitted().audit_tables()


def ranking_that_peeks(monkeypatch) -> AuditTables:
    """A step that takes the hash of its training rows and ranks on all rows."""
    everything = watch_samples(monkeypatch)
    honest = steps.REGISTRY["mrmr"]

    def peeking(block, settings):
        done = honest.fit(block, settings)
        whole = everything(block)
        taken, _ = mrmr(np.nan_to_num(whole.X), whole.outcome, len(done.index), floor=0.1)
        return dataclasses.replace(done, index=np.asarray(taken), columns=tuple(block.columns[at] for at in taken))

    monkeypatch.setitem(steps.REGISTRY, "mrmr", dataclasses.replace(honest, fit=peeking))
    return fitted().audit_tables()


# --- A4 --------------------------------------------------------------------------------------------------------------


def permuted_rows(toy: Toy, *, count=100, before_split: bool) -> pa.Table:
    """Rows of a permuted control: three columns by mRMR, nearest centroid; selection on all rows, or on training."""
    X = np.column_stack([toy.samples[name].to_numpy() for name in features_of(toy.samples)])
    names = np.array(toy.samples["sample"].to_pylist())
    outcomes = [np.random.default_rng(number).permutation(toy.samples["outcome"].to_numpy()) for number in range(count)]
    tables = []
    for repeat, fold in folds_of(toy.splits):
        train = np.isin(names, training(toy.samples, toy.splits, repeat=repeat, fold=fold).samples)
        for number, outcome in enumerate(outcomes, 1):
            seen = np.full(len(train), True) if before_split else train
            columns = mrmr(X[seen], outcome[seen], 3, floor=0.1)[0]
            events, others = (X[train & (outcome == value)][:, columns].mean(axis=0) for value in (1, 0))
            score = X[~train][:, columns] @ (events - others)
            facts = {"procedure": "nested", "control": "permuted", "part": "test", "variables": "radiomics"}
            facts |= {"repeat": number, "fold": fold, "model": "centroid", "chosen": True}
            own = {"sample": names[~train], "outcome": outcome[~train], "score": score}
            schema = toy.fitted.predictions.schema
            columns_of = {f.name: own.get(f.name, [facts.get(f.name)] * int((~train).sum())) for f in schema}
            tables.append(pa.table(columns_of, schema=schema))
    return pa.concat_tables(tables)


def with_control(toy: Toy, **how) -> pa.Table:
    real = toy.fitted.predictions.filter(pc.field("control") != "permuted")
    return pa.concat_tables([real, permuted_rows(toy, **how)])


def control_with_a_leak(monkeypatch) -> AuditTables:
    """On permuted outcomes, too, columns are selected before the split."""
    toy = clean()
    return toy.audit_tables(predictions=with_control(toy, before_split=True))


# --- A5, A8, A9, A10, A12: the table ---------------------------------------------------------------------------------


def patient_under_two_names(monkeypatch) -> AuditTables:
    """Three patients stand twice in the table."""
    samples = small()
    again = samples.take([0, 1, 2])
    again = with_column(with_column(again, "patient", ["q0", "q1", "q2"]), "sample", ["q0", "q1", "q2"])
    return fitted(pa.concat_tables([samples, again])).audit_tables()


def ids_that_are_nan(monkeypatch) -> AuditTables:
    """A table program wrote 'nan' where three patients had no id."""
    samples = small()
    return fitted(with_column(samples, "patient", ["nan"] * 3 + samples["patient"].to_pylist()[3:])).audit_tables()


def feature_that_names_the_site(monkeypatch) -> AuditTables:
    """Patients of two hospitals, most events in one of them, and a feature that holds the hospital."""
    samples = small()
    site = (samples["outcome"].to_numpy() + (np.arange(30) % 10 == 0)) % 2
    samples = with_column(samples, "site", np.where(site, "north", "south").tolist())
    values = site + 0.01 * np.random.default_rng(5).normal(size=30)
    return fitted(with_column(samples, "ct.f000", values)).audit_tables()


def standardised_table(monkeypatch) -> AuditTables:
    """All rows scaled together before they came here."""
    samples = small()
    for name in features_of(samples):
        X = samples[name].to_numpy()
        samples = with_column(samples, name, (X - X.mean()) / X.std())
    return fitted(samples).audit_tables()


def image_after_the_event(monkeypatch) -> AuditTables:
    """The scan that showed the metastases."""
    samples = clean().samples
    event = next(at for at, day in enumerate(samples["event_day"].to_pylist()) if day is not None)
    days = samples["image_day"].to_pylist()
    days[event] = 260.0
    return clean().audit_tables(samples=with_column(samples, "image_day", days))


# --- A6, A7 ----------------------------------------------------------------------------------------------------------


def with_folds(monkeypatch, change) -> Toy:
    """An analysis whose folds are changed with the outcome of their test rows at hand."""
    honest = run.fit_fold

    def leaky(samples, splits, plan, **where):
        outcome = dict(zip(samples["sample"].to_pylist(), samples["outcome"].to_pylist(), strict=True))
        fit = honest(samples, splits, plan, **where)
        return change(fit, np.array([outcome[sample] for sample in fit.test_samples]))

    monkeypatch.setattr(run, "fit_fold", leaky)
    return fitted(small(strength=0.0))


def model_chosen_on_test_rows(monkeypatch) -> AuditTables:
    """The model with the largest AUC on the test rows is taken."""

    def change(fit, outcome):
        best = max(fit.models, key=lambda model: auc(outcome, model.test_score))
        return dataclasses.replace(fit, chosen=best.name)

    return with_folds(monkeypatch, change).audit_tables()


def threshold_of_test_rows(monkeypatch) -> AuditTables:
    """Youden's threshold of the test rows."""

    def change(fit, outcome):
        if not fit.plan.learned_rule:
            return fit
        models = [dataclasses.replace(m, threshold=youden_threshold(outcome, m.test_score)) for m in fit.models]
        return dataclasses.replace(fit, models=tuple(models))

    return with_folds(monkeypatch, change).audit_tables()


# --- A11 -------------------------------------------------------------------------------------------------------------


def in_sample_radscore(monkeypatch) -> AuditTables:
    """The combined model is fitted on scores that the radiomics model gives to its own training rows."""

    def apparent(fit):
        model = fit.chosen_model
        own = model.fitted.score(fit.chain.block.X[:, : model.setting.k]).tolist()
        return dict(zip((*fit.train.samples, *fit.test_samples), [*own, *model.test_score.tolist()], strict=True))

    monkeypatch.setattr(nested.FoldFit, "radscores", apparent)
    return combined().audit_tables()


def in_sample_scores_throughout(monkeypatch) -> AuditTables:
    """In-sample scores stand in for inner ones everywhere: in the predictions, threshold and combined model, too."""
    honest = nested.learn_fold

    def leaky(samples, splits, plan, *, recipe, **where):
        fit = honest(samples, splits, plan, recipe=recipe, **where)
        if not plan.learned_rule:
            return fit
        models = []
        for model in fit.models:
            own = model.fitted.score(fit.chain.block.X[:, : model.setting.k])
            platt, threshold = nested.frozen_rule(fit.train.outcome, own, recipe)
            models.append(dataclasses.replace(model, train_score=own, platt=platt, threshold=threshold))
        return dataclasses.replace(fit, models=tuple(models))

    monkeypatch.setattr(nested, "learn_fold", leaky)
    return combined().audit_tables()


# --- A13 -------------------------------------------------------------------------------------------------------------


def network_that_saw_everybody(monkeypatch) -> AuditTables:
    """Masks of all patients by a network that was trained on all patients."""
    toy = clean()
    graph = copy.deepcopy(toy.fitted.lineage)
    everybody = list(range(len(graph["patients"])))
    graph["nodes"].append({"id": "network/unet", "kind": "network", "patients": everybody})
    graph["edges"].append(["network/unet", "samples"])
    return toy.audit_tables(lineage=graph)


# Code -> plant, codes that may fire with it. What is learned from test rows also moves when these are replaced (A3).
PLANTS: dict[str, list[tuple[Callable[[pytest.MonkeyPatch], AuditTables], set[str]]]] = {
    "A1": [(lesions_divided, set())],
    "A2": [(steps_on_all_rows, {"A3"}), (inner_steps_on_the_outer_part, set())],
    "A3": [(ranking_that_peeks, set())],
    "A4": [(control_with_a_leak, set())],
    "A5": [(patient_under_two_names, set())],
    "A6": [(model_chosen_on_test_rows, {"A3"})],
    "A7": [(threshold_of_test_rows, {"A3"})],
    "A8": [(ids_that_are_nan, set())],
    "A9": [(feature_that_names_the_site, set())],
    "A10": [(standardised_table, set())],
    "A11": [(in_sample_radscore, {"A2"}), (in_sample_scores_throughout, {"A6"})],
    "A12": [(image_after_the_event, set())],
    "A13": [(network_that_saw_everybody, set())],
}
