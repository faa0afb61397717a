"""Checks of everything fitted: A2 (training rows) and A3 (refit with noise)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from osteorad.cohort.schemas import SAMPLES
from osteorad.cohort.splits import NESTED, OUTER, folds_of, inner_folds_of, training
from osteorad.modelling.auditing.tables import (
    AuditTables,
    Finding,
    finding,
    parts_of,
    prediction_rows,
    radscores,
    step_rows,
)
from osteorad.modelling.learning.block import Trace
from osteorad.modelling.learning.drawn import FoldTables
from osteorad.modelling.learning.lineage import fold_name, upstream
from osteorad.modelling.learning.nested import FoldFit, last_prefix
from osteorad.modelling.learning.plans import Plan, block_of, fit_encoder, plans_of, with_radscore
from osteorad.modelling.learning.published import REPLAYED, published_fits
from osteorad.modelling.learning.records import CALIBRATION, CHOICE, ENCODE, THRESHOLD
from osteorad.modelling.learning.run import fit_folds
from osteorad.modelling.learning.steps import fit_chain
from osteorad.provenance import seed_from

# --- A2 --------------------------------------------------------------------------------------------------------------


def check_training_rows(tables: AuditTables) -> Finding:
    """A2: the hash of every fit equals that of a replay on the training rows; lineage shows no test patient upstream.

    The replay takes rows through `cohort.splits.training` and repeats every step, so it holds the arrays themselves
    against each other, not what a run says about itself.
    """
    stored: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in step_rows(tables.steps):
        if row["step"] not in (CHOICE, CALIBRATION, THRESHOLD):
            stored[(row["repeat"], row["fold"], row["inner_fold"], row["variables"], row["step"])] = row
    problems: list[str] = []
    compared = 0
    scores = radscores(tables.predictions)
    for repeat, fold in folds_of(tables.splits, tables.procedure):
        own_rows = tables.of_fold(repeat, fold)
        seen = replace(own_rows, samples=with_radscore(own_rows.samples, scores.get((repeat, fold), {})))
        for plan in _plans(tables):
            for inner_fold in (OUTER, *_inner_folds(tables, repeat, fold)):
                where = (repeat, fold, inner_fold, plan.variables)
                own = {key[-1]: row for key, row in stored.items() if key[:4] == where}
                problems += _compare(where, own, _replay(seen, plan, where, own))
                compared += len(own)
    problems += _upstream_patients(tables)
    return finding(
        problems,
        looked_at=f"{compared} fitted steps against a replay on the training rows; lineage of every test prediction",
        clean=f"{compared} of {compared} hashes are equal; no test patient stands upstream of anything learned.",
    )


def _plans(tables: AuditTables) -> list[Plan]:
    """What the procedure fits side by side."""
    plans = plans_of(tables.recipe, tables.by_fold.example)
    return plans if tables.procedure == NESTED else [plan for plan in plans if plan.variables in REPLAYED]


def _inner_folds(tables: AuditTables, repeat: int, fold: int) -> list[int]:
    """Inner folds whose fits are recorded; the paper's own order has one fit of its steps a division."""
    return inner_folds_of(tables.splits, repeat=repeat, fold=fold) if tables.procedure == NESTED else []


def _replay(
    tables: AuditTables, plan: Plan, where: tuple[int, int, int, str], stored: dict[str, dict[str, Any]]
) -> dict[str, Trace]:
    """Traces of all steps and models of a plan on one training part, from the rows themselves."""
    repeat, fold, inner_fold, _ = where
    part = {"repeat": repeat, "fold": fold, "inner_fold": inner_fold}
    rows = training(tables.samples, tables.splits, **part, procedure=tables.procedure)
    chain = fit_chain(plan.steps, block_of(fit_encoder(plan, rows), rows))
    traces = {step.name: step.trace for step in chain.steps}
    if plan.texts and chain.steps:
        traces[ENCODE] = chain.steps[0].trace
    for model in plan.models:
        k = stored[model]["record"].get("k") if inner_fold == OUTER and model in stored else None
        count = k if k is not None else last_prefix(model, chain)
        block = chain.block
        traces[model] = block.with_columns(block.columns[:count], np.ascontiguousarray(block.X[:, :count])).trace()
    return traces


def _compare(
    where: tuple[int, int, int, str], stored: dict[str, dict[str, Any]], replayed: dict[str, Trace]
) -> Iterator[str]:
    name = f"{fold_name(*where[:3])} {where[3]}"
    for step in sorted(set(stored) | set(replayed)):
        if step not in stored or step not in replayed:
            yield f"{name} {step}: {'not recorded' if step not in stored else 'not a step of the recipe'}"
        elif stored[step]["fit_rows"] != replayed[step].rows:
            yield f"{name} {step}: fitted on {stored[step]['fit_rows']} rows, training part has {replayed[step].rows}"
        elif stored[step]["fit_hash"] != replayed[step].fit_hash:
            yield f"{name} {step}: fitted on another array than the training rows give"


def _upstream_patients(tables: AuditTables) -> Iterator[str]:
    """Test patients that stand upstream of their own predictions without being of the training part by the splits."""
    graph = tables.lineage
    parts = parts_of(tables.splits)
    patients = graph["patients"]
    for node in graph["nodes"]:
        if node["kind"] != "predictions":
            continue
        tested = {patients[at] for at in node["patients"]}
        for above in upstream(graph, node["id"]):
            if above["kind"] == "fit":
                sides = parts.get((above["repeat"], above["fold"], OUTER), {"train": {}})
                seen = {patients[at] for at in above["patients"]} - set(sides["train"].values())
                for patient in sorted(seen & tested):
                    yield f"{node['id']}: patient {patient} was seen by {above['id']}"


# --- A3 --------------------------------------------------------------------------------------------------------------


def check_noise_refit(tables: AuditTables) -> Finding:
    """A3: one fold drawn by name, its test rows replaced by noise: selection, model and threshold stay to the bit."""
    repeat, fold = drawn_fold(tables, "A3")
    problems: list[str] = []
    proof: list[str] = []
    own = tables.of_fold(repeat, fold)
    for again in _fitted_again(own, _with_noise(own, repeat, fold), repeat, fold):
        problems += _differences(tables, again)
        proof.append(f"{again.plan.variables}: {again.chosen}, {len(again.chosen_model.features)} columns, unchanged")
    return finding(
        problems,
        looked_at=f"{fold_name(repeat, fold)} fitted again, test features, covariates and outcomes replaced by noise",
        clean="Features, settings, chosen model, inner scores, calibration and threshold are identical to the bit.",
        proof=proof,
    )


def drawn_fold(tables: AuditTables, check: str) -> tuple[int, int]:
    """Repeat and fold that a check fits again, drawn by the names of analysis and check."""
    folds = folds_of(tables.splits, tables.procedure)
    return folds[seed_from(f"{tables.analysis}/audit/{check}") % len(folds)]


def _fitted_again(tables: AuditTables, samples: pa.Table, repeat: int, fold: int) -> list[FoldFit]:
    """Every plan of the procedure in one fold."""
    splits = tables.splits.filter((pc.field("repeat") == repeat) & (pc.field("fold") == fold))
    if tables.procedure == NESTED:
        return fit_folds(FoldTables(base=samples), splits, tables.recipe, analysis=tables.analysis)
    return published_fits(samples, splits, _plans(tables), recipe=tables.recipe, analysis=tables.analysis)


def _with_noise(tables: AuditTables, repeat: int, fold: int) -> pa.Table:
    """Samples whose test rows hold noise in everything but their names."""
    test = parts_of(tables.splits)[(repeat, fold, OUTER)]["test"]
    rows = np.array([sample in test for sample in tables.samples["sample"].to_pylist()])
    rng = np.random.default_rng(seed_from(f"{tables.analysis}/audit/A3/noise"))
    noised = tables.samples
    for at, name in enumerate(noised.column_names):
        if name in SAMPLES.names and name != "outcome":
            continue
        kind = noised.schema.field(name).type
        if name == "outcome":
            values = np.where(rows, 1 - noised[name].to_numpy(), noised[name].to_numpy())
            column = pa.array(values, kind)
        elif pa.types.is_floating(kind):
            noise = rng.standard_cauchy(len(rows)) * 100.0
            column = pa.array(np.where(rows, noise, noised[name].to_numpy()), kind)
        else:
            old = noised[name].to_pylist()
            column = pa.array([None if new else value for new, value in zip(rows, old, strict=True)], kind)
        noised = noised.set_column(at, noised.schema.field(name), column)
    return noised


def _differences(tables: AuditTables, again: FoldFit) -> Iterator[str]:
    where = f"{fold_name(again.repeat, again.fold)} {again.plan.variables}"
    key = (again.repeat, again.fold, OUTER, again.plan.variables)
    names = ("repeat", "fold", "inner_fold", "variables")
    rows = [row for row in step_rows(tables.steps) if tuple(row[name] for name in names) == key]
    records = {(row["step"], row["record"].get("model")): row["record"] for row in rows}
    scores = {
        found.model: found
        for found in prediction_rows(tables.predictions)
        if (found.repeat, found.fold, OUTER, found.variables) == key
    }
    needed: set[tuple[str, str | None]] = {(CHOICE, None)}
    for model in again.models:
        needed |= {(model.name, None), (THRESHOLD, model.name), (CALIBRATION, model.name)}
    if needed - set(records) or {model.name for model in again.models} - set(scores):
        yield f"{where}: steps or predictions of this fold are not recorded"
        return
    if records[(CHOICE, None)]["chosen"] != again.chosen:
        yield f"{where}: the chosen model was {records[(CHOICE, None)]['chosen']} and becomes {again.chosen}"
    for model in again.models:
        before = records[(model.name, None)]
        if before["features"] != list(model.features):
            yield f"{where} {model.name}: other features are selected"
        if (before["config"], before["k"]) != (dict(model.setting.config), model.setting.k):
            yield f"{where} {model.name}: another setting is chosen"
        if records[(THRESHOLD, model.name)]["threshold"] != model.threshold:
            yield f"{where} {model.name}: the threshold moves"
        platt = records[(CALIBRATION, model.name)]
        if (platt["intercept"], platt["slope"]) != (model.platt.intercept, model.platt.slope):
            yield f"{where} {model.name}: the calibration moves"
        stored = scores[model.name]
        if not np.array_equal(stored.score[stored.of_part("train")], model.train_score):
            yield f"{where} {model.name}: inner scores of training rows move"
