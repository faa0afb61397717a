"""A clean run passes, and tables that were tampered with do not."""

from __future__ import annotations

import copy
import json

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from osteorad.cohort.splits import OUTER, folds_of
from osteorad.files import json_text
from osteorad.modelling.auditing.certificate import CHECKS, audit_analysis
from osteorad.modelling.statistics.metrics import youden_threshold
from osteorad.provenance import seed_from
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples
from tests.unit.modelling.conftest import Toy, fit_toy

# Codes that may fire with another: what is learned from test rows also moves when these are replaced.
MAY_FIRE_WITH = {"A6": {"A3"}, "A7": {"A3"}}


@pytest.fixture(scope="module")
def toy() -> Toy:
    return fit_toy(toy_samples(n=30, events=15, features=40), toy_recipe(inner_folds=2))


def failed(toy: Toy, **changes) -> set[str]:
    certificate = audit_analysis(toy.audit_tables(**changes), cohort=COHORT)
    json_text(certificate)
    assert [row["code"] for row in certificate["checks"]] == [check.code for check in CHECKS]
    found = {row["code"] for row in certificate["checks"] if row["verdict"] == "fail"}
    assert certificate["verdict"] == ("fail" if found else "pass")
    assert certificate["passed"] == certificate["of"] - len(found)
    assert all(row["evidence"] for row in certificate["checks"] if row["verdict"] == "fail")
    return found


def fold_of_a3(toy: Toy) -> tuple[int, int]:
    folds = folds_of(toy.splits)
    return folds[seed_from(f"{ANALYSIS}/audit/A3") % len(folds)]


def other_fold(toy: Toy) -> tuple[int, int]:
    return next(fold for fold in folds_of(toy.splits) if fold != fold_of_a3(toy))


def test_a_clean_run_passes(toy, toy_all_models):
    assert failed(toy) == set()
    assert failed(toy_all_models) == set()


def test_records_that_are_missing_are_findings_not_crashes(toy):
    no_rules = toy.fitted.steps.filter(pc.field("step") != "threshold")
    assert failed(toy, steps=no_rules) == {"A3", "A7"}
    no_steps = toy.fitted.steps.slice(0, 0)
    assert failed(toy, steps=no_steps) == {"A2", "A3", "A6", "A7"}


# --- A1 --------------------------------------------------------------------------------------------------------------


def test_a1_a_sample_tested_twice_in_a_repeat(toy):
    table = toy.fitted.predictions
    rows = [row for row in table.to_pylist() if row["part"] == "test"]
    doubled = pa.concat_tables([table, pa.Table.from_pylist(rows[:1], schema=table.schema)])
    assert "A1" in failed(toy, predictions=doubled)


# --- A2 --------------------------------------------------------------------------------------------------------------


def test_a2_lineage_that_names_a_test_patient_upstream(toy):
    graph = copy.deepcopy(toy.fitted.lineage)
    node = next(node for node in graph["nodes"] if node["kind"] == "fit" and node["inner_fold"] == OUTER)
    node["patients"] = list(range(len(graph["patients"])))
    assert failed(toy, lineage=graph) == {"A2"}


def test_a2_a_changed_hash(toy):
    rows = toy.fitted.steps.to_pylist()
    rows[3]["fit_hash"] = "0" * 32
    assert failed(toy, steps=pa.Table.from_pylist(rows, schema=toy.fitted.steps.schema)) == {"A2"}


# --- A6 --------------------------------------------------------------------------------------------------------------


def choose_another(toy: Toy, where: tuple[int, int]) -> dict[str, pa.Table]:
    """The tables of a run that took another model in one fold, because of its test result, say."""
    rows = toy.fitted.predictions.to_pylist()
    of_fold = [row for row in rows if (row["repeat"], row["fold"]) == where and row["variables"] == "radiomics"]
    another = next(row["model"] for row in of_fold if not row["chosen"])
    for row in of_fold:
        row["chosen"] = row["model"] == another
    records = toy.fitted.steps.to_pylist()
    for row in records:
        if (row["repeat"], row["fold"]) == where and row["variables"] == "radiomics" and row["step"] == "choice":
            row["record"] = json.dumps({**json.loads(row["record"]), "chosen": another})
    return {
        "predictions": pa.Table.from_pylist(rows, schema=toy.fitted.predictions.schema),
        "steps": pa.Table.from_pylist(records, schema=toy.fitted.steps.schema),
    }


def test_a6_a_model_that_inner_scores_do_not_give(toy):
    assert failed(toy, **choose_another(toy, other_fold(toy))) == {"A6"}
    assert failed(toy, **choose_another(toy, fold_of_a3(toy))) == {"A6", *MAY_FIRE_WITH["A6"]}


def test_a6_a_setting_that_inner_scores_do_not_give(toy):
    rows = toy.fitted.steps.to_pylist()
    where = other_fold(toy)
    for row in rows:
        if (row["repeat"], row["fold"], row["step"], row["inner_fold"]) == (*where, "svm", OUTER):
            record = json.loads(row["record"])
            tried = [option for option in record["tried"] if option["k"] == record["k"]]
            another = next(option for option in tried if option["config"] != record["config"])
            row["record"] = json.dumps({**record, "config": another["config"]})
    assert failed(toy, steps=pa.Table.from_pylist(rows, schema=toy.fitted.steps.schema)) == {"A6"}


def test_a6_inner_scores_that_were_not_those_of_the_choice(toy):
    table = toy.fitted.predictions.to_pylist()
    where = other_fold(toy)
    for row in table:
        if (row["repeat"], row["fold"]) == where and row["part"] == "train" and row["variables"] == "radiomics":
            row["score"] = float(row["outcome"])
    assert "A6" in failed(toy, predictions=pa.Table.from_pylist(table, schema=toy.fitted.predictions.schema))


# --- A7 --------------------------------------------------------------------------------------------------------------


def threshold_of_test_rows(toy: Toy, where: tuple[int, int]) -> dict[str, pa.Table]:
    rows = toy.fitted.predictions.to_pylist()
    own = [row for row in rows if (row["repeat"], row["fold"]) == where and row["model"] == "svm"]
    test = [row for row in own if row["part"] == "test"]
    best = youden_threshold(np.array([r["outcome"] for r in test]), np.array([r["score"] for r in test]))
    assert best != own[0]["threshold"]
    for row in own:
        row.update(threshold=best, predicted=int(row["score"] >= best))
    records = toy.fitted.steps.to_pylist()
    for row in records:
        record = json.loads(row["record"])
        if (row["repeat"], row["fold"], row["step"], record.get("model")) == (*where, "threshold", "svm"):
            row["record"] = json.dumps({**record, "threshold": best})
    return {
        "predictions": pa.Table.from_pylist(rows, schema=toy.fitted.predictions.schema),
        "steps": pa.Table.from_pylist(records, schema=toy.fitted.steps.schema),
    }


def test_a7_a_threshold_taken_from_test_rows(toy):
    assert failed(toy, **threshold_of_test_rows(toy, other_fold(toy))) == {"A7"}
    assert failed(toy, **threshold_of_test_rows(toy, fold_of_a3(toy))) == {"A7", *MAY_FIRE_WITH["A7"]}


def test_a7_probabilities_calibrated_on_test_rows(toy):
    rows = toy.fitted.predictions.to_pylist()
    for row in rows:
        if (row["repeat"], row["fold"]) == other_fold(toy) and row["model"] == "knn":
            row["probability"] = 0.5 * row["probability"] + 0.4 * row["outcome"]
    assert failed(toy, predictions=pa.Table.from_pylist(rows, schema=toy.fitted.predictions.schema)) == {"A7"}


# --- lesions ---------------------------------------------------------------------------------------------------------


def test_lesions_divided_by_patient_pass():
    assert failed(fit_toy(toy_samples(n=18, events=9, lesions=2), toy_recipe(("logistic",)))) == set()
