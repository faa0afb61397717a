"""Intervals of one test part and of several folds; differences and their multiplicity; controls; the paper's order."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from scipy import stats

from osteorad.cohort.recipe import Published
from osteorad.modelling.evaluation.comparison import auc_interval, declared_pairs, differences, model_rows
from osteorad.modelling.evaluation.controls import controls
from osteorad.modelling.evaluation.published import leaks, published
from osteorad.modelling.statistics.delong import clustered_auc, delong_auc, paired
from osteorad.modelling.statistics.metrics import auc, nadeau_bengio
from tests.unit.modelling.evaluation.predicted import predictions

RNG = np.random.default_rng(3)
N = 150
Y = (RNG.uniform(size=N) < 0.4).astype(int)
GOOD = 2.5 * Y + RNG.normal(size=N)
POOR = RNG.normal(size=N)
PAPER = Published(split="hold-out", by="sample", select_on="all", choose_on="test")


def test_several_folds_get_nadeau_bengio():
    interval, kind = auc_interval(predictions(Y, {("radiomics", "logistic"): GOOD}, folds=5), 0.25)
    folds = [auc(Y[fold::5], GOOD[fold::5]) for fold in range(5)]
    want = nadeau_bengio(folds, test_share=0.25)
    assert kind == "nadeau-bengio"
    assert (interval.estimate, interval.se) == pytest.approx((want.estimate, want.se))
    assert interval.high <= 1.0


def test_one_part_gets_delong_and_lesions_obuchowski():
    interval, kind = auc_interval(predictions(Y, {("radiomics", "logistic"): GOOD}), 0.25)
    assert (kind, interval) == ("delong", delong_auc(Y, GOOD))
    patients = [f"p{at // 3:03d}" for at in range(N)]
    lesions = predictions(Y, {("radiomics", "logistic"): GOOD}, patient=patients)
    interval, kind = auc_interval(lesions, None)
    assert (kind, interval) == ("obuchowski", clustered_auc(Y, GOOD, patients))


def test_combined_is_held_against_clinical_without_being_asked():
    table = predictions(Y, {(v, "logistic"): GOOD for v in ("radiomics", "combined", "clinical", "volume")})
    assert declared_pairs(table, ["volume", "site"]) == [("radiomics", "volume"), ("combined", "clinical")]


def test_holm_decides_over_all_declared_comparisons():
    scores = {("radiomics", "logistic"): GOOD, ("volume", "logistic"): POOR, ("clinical", "logistic"): GOOD + POOR / 2}
    table = predictions(Y, scores, folds=5)
    pairs = [("radiomics", "volume"), ("radiomics", "clinical")]
    rows = differences(table, pairs, 0.25)
    for row in rows:
        assert row["p"] == pytest.approx(2 * stats.t.sf(abs(row["estimate"] / row["se"]), 4))
    low, high = sorted(rows, key=lambda row: row["p"])
    assert low["p_holm"] == pytest.approx(min(1, 2 * low["p"]))
    assert high["p_holm"] == pytest.approx(max(high["p"], low["p_holm"]))
    (alone,) = differences(table, pairs[:1], 0.25)
    assert alone["p_holm"] == alone["p"] <= 0.05
    assert alone["verdict"] == "better"
    (turned,) = differences(table, [("volume", "radiomics")], 0.25)
    assert turned["verdict"] == "worse"


def test_a_difference_without_spread_has_no_p():
    table = predictions(Y, {("radiomics", "logistic"): GOOD, ("volume", "logistic"): GOOD}, folds=5)
    (row,) = differences(table, [("radiomics", "volume")], 0.25)
    assert (row["estimate"], row["p"], row["p_holm"], row["verdict"]) == (0.0, None, None, "not_shown")


def test_on_one_part_differences_are_delongs():
    table = predictions(Y, {("radiomics", "logistic"): GOOD, ("volume", "logistic"): POOR})
    (row,) = differences(table, [("radiomics", "volume")], None)
    want = paired(Y, GOOD, POOR)
    assert row["p"] == pytest.approx(want.p)
    assert row["low"] == pytest.approx(want.difference.low)


def test_baselines_are_rows_in_a_fixed_order():
    names = ("site", "metabolic", "clinical", "combined", "radiomics")
    rows = model_rows(predictions(Y, {(name, "logistic"): GOOD for name in names}, folds=5), 0.25)
    assert [row["variables"] for row in rows] == ["radiomics", "radiomics", "combined", "clinical", "metabolic", "site"]
    assert [row["label"] for row in rows][2] == "Covariates and Rad-score, logistic"


# --- controls --------------------------------------------------------------------------------------------------------


def permuted(count: int) -> pa.Table:
    rng = np.random.default_rng(0)
    real = predictions(Y, {("radiomics", "logistic"): GOOD}, folds=5, control="permuted", repeat=0)
    drawn = [
        predictions(rng.permutation(Y), {("radiomics", "logistic"): POOR}, folds=5, control="permuted", repeat=number)
        for number in range(1, count + 1)
    ]
    return pa.concat_tables([real, *drawn])


def test_permutations_are_held_against_the_same_procedure_on_the_real_outcome():
    told = controls(permuted(40), 0.25)["permuted"]
    assert told["n"] == len(told["values"]) == 40
    assert told["real"] == pytest.approx(np.mean([auc(Y[fold::5], GOOD[fold::5]) for fold in range(5)]))
    assert told["p"] == (sum(value >= told["real"] for value in told["values"]) + 1) / 41
    assert told["low"] < told["mean"] < told["high"]
    assert told["mean"] == pytest.approx(0.5, abs=4 * np.std(told["values"]) / np.sqrt(40))
    assert told["range_low"] < told["low"]


def test_controls_that_were_not_run_are_none():
    assert controls(predictions(Y, {("radiomics", "logistic"): GOOD}), 0.25) == {"permuted": None, "shuffled": None}


def test_shuffled_voxels_are_a_row_as_any_model():
    table = predictions(Y, {("radiomics", "svm"): POOR}, folds=5, control="shuffled")
    row = controls(table, 0.25)["shuffled"]
    assert row["auc"]["estimate"] == pytest.approx(np.mean([auc(Y[fold::5], POOR[fold::5]) for fold in range(5)]))


# --- as published ----------------------------------------------------------------------------------------------------


def replayed() -> pa.Table:
    same = {"procedure": "as-published"}
    parts = []
    for repeat in (1, 2, 3):
        scores = {("radiomics", "logistic"): GOOD + repeat, ("combined", "logistic"): GOOD}
        parts.append(predictions(Y, scores, repeat=repeat, **same))
        parts.append(predictions(Y, {("radiomics", "svm"): POOR * repeat}, repeat=repeat, chosen=False, **same))
        parts.append(predictions(Y, {("radiomics", "svm"): POOR}, repeat=repeat, control="permuted", **same))
    return pa.concat_tables(parts)


def test_the_papers_auc_is_that_of_the_model_it_chose():
    told = published(replayed(), PAPER, 0.6)
    assert told["auc"] == pytest.approx(auc(Y, GOOD))
    assert (told["divisions"], told["chosen"]) == (3, {"logistic": 3})
    assert told["gap"] == pytest.approx(told["auc"] - 0.6)
    assert told["permuted"]["auc"] == pytest.approx(auc(Y, POOR))
    models = {(row["variables"], row["model"]): row for row in told["models"]}
    assert models["radiomics", "svm"]["auc"] == pytest.approx(auc(Y, POOR))
    assert models["radiomics", "svm"]["chosen_in"] == 0
    assert ("combined", "logistic") in models


def test_leaks_follow_from_the_settings():
    assert [leak["code"] for leak in leaks(PAPER, combined=True)] == ["A2", "A6", "A1", "A11"]
    assert [leak["code"] for leak in leaks(PAPER, combined=False)] == ["A2", "A6", "A1"]
    clean = Published(by="patient", select_on="train", choose_on="inner")
    assert leaks(clean, combined=True) == []


def test_a_paper_that_was_not_replayed_has_nothing():
    assert published(predictions(Y, {("radiomics", "logistic"): GOOD}), PAPER, 0.6) is None
    assert published(replayed(), None, 0.6) is None
