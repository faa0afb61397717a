"""Checks of what was chosen and frozen: A6 (model) and A7 (threshold, calibration)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.recipe import Recipe
from osteorad.cohort.splits import OUTER
from osteorad.modelling.auditing.tables import (
    CLOSE,
    AuditTables,
    Finding,
    PlanKey,
    PredictionRows,
    finding,
    outer_records,
    prediction_rows,
)
from osteorad.modelling.learning.nested import choose, frozen_rule, rule_hash
from osteorad.modelling.learning.plans import PREVALENCE
from osteorad.modelling.learning.records import CALIBRATION, CHOICE, THRESHOLD
from osteorad.modelling.statistics.metrics import DIGITS, auc

# --- A6 --------------------------------------------------------------------------------------------------------------


def check_choice(tables: AuditTables) -> Finding:
    """A6: the inner scores that stand in the predictions give the chosen model, and each model's setting."""
    inner = _inner_parts(tables.splits)
    records = outer_records(tables.steps)
    groups: dict[PlanKey, list[PredictionRows]] = {}
    for rows in prediction_rows(tables.predictions):
        groups.setdefault((rows.repeat, rows.fold, rows.variables), []).append(rows)
    problems = [problem for key, models in groups.items() for problem in _choice_problems(key, models, inner, records)]
    return finding(
        problems,
        looked_at=f"{len(groups)} choices, {sum(len(models) for models in groups.values())} models, from inner scores",
        clean=f"{len(groups)} of {len(groups)} choices follow from inner scores; test rows are not needed for them.",
    )


def _choice_problems(
    key: PlanKey,
    models: list[PredictionRows],
    inner: dict[tuple[int, int], dict[int, set[str]]],
    records: dict[PlanKey, dict[tuple[str, str | None], dict[str, Any]]],
) -> Iterator[str]:
    where = f"r{key[0]}f{key[1]} {key[2]}"
    picked = [rows.model for rows in models if rows.chosen]
    if len(picked) != 1:
        yield f"{where}: {len(picked)} models are marked as chosen"
        return
    if key[:2] not in inner:
        if len(models) > 1:
            yield f"{where}: {picked[0]} was chosen of {len(models)} models without inner folds{_best_on_test(models)}"
        return
    recomputed = {rows.model: _inner_auc(rows, inner[key[:2]]) for rows in models}
    own = records.get(key, {})
    if missing := {(CHOICE, None), *((rows.model, None) for rows in models)} - set(own):
        yield f"{where}: {len(missing)} steps are not recorded"
        return
    record = own[(CHOICE, None)]["record"]
    best = choose(recomputed)
    if picked[0] != best or record["chosen"] != best:
        yield f"{where}: {picked[0]} is chosen, inner scores give {best}"
    for model, value in recomputed.items():
        said = own[(model, None)]["record"]
        tried = [round(option["inner_auc"], DIGITS) for option in said["tried"]]
        taken = {"config": said["config"], "k": said["k"]}
        first = said["tried"][tried.index(max(tried))]
        if abs(said["inner_auc"] - value) > CLOSE:
            yield f"{where} {model}: inner AUC is recorded as {said['inner_auc']:.4f}, inner scores give {value:.4f}"
        if taken != {"config": first["config"], "k": first["k"]}:
            yield f"{where} {model}: its setting is not the one with the best inner AUC"
    if own[(CHOICE, None)]["fit_hash"] != _hash_of_scores(models):
        yield f"{where}: the choice was made from other scores than the inner ones"


def _best_on_test(models: list[PredictionRows]) -> str:
    """Says so where the chosen model is the best one on the test rows."""
    values = {}
    for rows in models:
        test = rows.of_part("test")
        values[rows.model] = auc(rows.outcome[test], rows.score[test]) or 0.0
    taken = next(rows.model for rows in models if rows.chosen)
    best = max(round(value, DIGITS) for value in values.values())
    return f"; no other has a larger AUC on the test rows ({best:.3f})" if round(values[taken], DIGITS) == best else ""


def _hash_of_scores(models: list[PredictionRows]) -> str | None:
    """Fit hash of a choice among models by their inner scores; None where their training rows differ."""
    names = {_train_names(rows) for rows in models}
    if len(names) != 1:
        return None
    train = models[0].of_part("train")
    scores = np.array([rows.score[rows.of_part("train")] for rows in models]).T
    return rule_hash(names.pop(), scores, models[0].outcome[train])


def _train_names(rows: PredictionRows) -> tuple[str, ...]:
    return tuple(sample for sample, part in zip(rows.sample, rows.part, strict=True) if part == "train")


def _inner_parts(splits: pa.Table) -> dict[tuple[int, int], dict[int, set[str]]]:
    """(repeat, fold) -> inner fold -> samples that it holds out."""
    found: dict[tuple[int, int], dict[int, set[str]]] = {}
    names = ("repeat", "fold", "inner_fold", "sample", "part")
    for repeat, fold, inner_fold, sample, part in zip(*(splits[name].to_pylist() for name in names), strict=True):
        if inner_fold != OUTER and part == "test":
            found.setdefault((repeat, fold), {}).setdefault(inner_fold, set()).add(sample)
    return found


def _inner_auc(rows: PredictionRows, inner: dict[int, set[str]]) -> float:
    """Mean over inner folds of the AUC of inner scores."""
    values = []
    train = rows.of_part("train")
    for samples in inner.values():
        inside = train & np.array([sample in samples for sample in rows.sample])
        values.append(auc(rows.outcome[inside], rows.score[inside]))
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else 0.5


# --- A7 --------------------------------------------------------------------------------------------------------------


def check_threshold(tables: AuditTables) -> Finding:
    """A7: threshold, probabilities and decisions follow from the inner scores of the training rows."""
    records = outer_records(tables.steps)
    models = prediction_rows(tables.predictions)
    inner = _inner_parts(tables.splits)
    problems: list[str] = []
    for rows in models:
        if (rows.repeat, rows.fold) in inner:
            problems += _rule_problems(rows, records, tables.recipe)
        else:
            problems.append(f"{rows.where}: threshold and calibration come from in-sample scores, without inner folds")
    return finding(
        problems,
        looked_at=f"threshold and calibration of {len(models)} models, made again from inner scores",
        clean=f"{len(models)} of {len(models)} thresholds and calibrations follow from inner scores.",
    )


def _rule_problems(
    rows: PredictionRows, records: dict[PlanKey, dict[tuple[str, str | None], dict[str, Any]]], recipe: Recipe
) -> Iterator[str]:
    train = rows.of_part("train")
    outcome, score = rows.outcome[train], rows.score[train]
    platt, threshold = frozen_rule(outcome, score, recipe, learned=rows.variables != PREVALENCE)
    if np.abs(rows.threshold - threshold).max() > CLOSE:
        yield f"{rows.where}: threshold {rows.threshold[0]:.4f}, inner scores give {threshold:.4f}"
    if np.abs(rows.probability - platt.probability(rows.score)).max() > CLOSE:
        yield f"{rows.where}: probabilities are not those that inner scores calibrate"
    if not np.array_equal(rows.predicted == 1, rows.score >= rows.threshold):
        yield f"{rows.where}: decisions do not follow from score and threshold"
    expected = rule_hash(_train_names(rows), score, outcome)
    own = records.get((rows.repeat, rows.fold, rows.variables), {})
    for step in (THRESHOLD, CALIBRATION):
        row = own.get((step, rows.model))
        if row is None:
            yield f"{rows.where}: {step} is not recorded"
        elif row["fit_hash"] != expected:
            yield f"{rows.where}: {step} was made from other scores than the inner ones"
