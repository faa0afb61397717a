"""The numbers of a page: made from predictions only, JSON-able, and equal to a second computation."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest
from sklearn.metrics import roc_auc_score

from osteorad.files import json_text
from osteorad.modelling.evaluation.answer import answer
from osteorad.modelling.evaluation.curves import TestRows, calibration_bins, draw_weights, roc_curve, smooth_curve
from osteorad.modelling.evaluation.evaluate import evaluate
from osteorad.modelling.statistics.metrics import expit, nadeau_bengio
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples
from tests.unit.modelling.conftest import fit_toy


def evaluated(predictions, selection, **more):
    return evaluate(predictions, selection, analysis=ANALYSIS, cohort=COHORT, bootstrap=200, **more)


@pytest.fixture(scope="module")
def found(toy):
    return evaluated(toy.fitted.predictions, toy.fitted.selection)


@pytest.fixture(scope="module")
def chosen(toy):
    table = toy.fitted.predictions
    rows = table.filter((pc.field("variables") == "radiomics") & pc.field("chosen") & (pc.field("part") == "test"))
    return rows.to_pylist()


def test_it_is_json_and_does_not_depend_on_the_order_of_rows(toy, found):
    table = toy.fitted.predictions
    order = np.random.default_rng(0).permutation(table.num_rows)
    models = [row["model"] for row in found["models"]]
    again = evaluated(table.take(order), toy.fitted.selection)
    again["models"].sort(key=lambda row: models.index(row["model"]))
    shuffled = {**again, "models": again["models"]}
    for key in ("counts", "confusion", "selection", "answer"):
        assert json_text(shuffled[key]) == json_text(found[key])
    assert shuffled["primary"]["estimate"] == pytest.approx(found["primary"]["estimate"], abs=1e-12)
    assert len(json_text(found)) < 200_000


def test_primary_is_the_mean_of_fold_aucs_with_nadeau_bengio(found, chosen):
    values = []
    for repeat in (1, 2):
        for fold in (1, 2, 3):
            rows = [row for row in chosen if (row["repeat"], row["fold"]) == (repeat, fold)]
            values.append(roc_auc_score([r["outcome"] for r in rows], [r["score"] for r in rows]))
    want = nadeau_bengio(values, test_share=12 / 24)
    primary = found["primary"]
    assert primary["estimate"] == pytest.approx(np.mean(values))
    assert primary["df"] == 5
    assert primary["se"] == pytest.approx(want.se)
    assert primary["low"] == pytest.approx(max(0, want.low))
    assert primary["high"] == pytest.approx(min(1, want.high))
    assert [fold["auc"] for fold in primary["folds"]] == pytest.approx(values)
    assert "1/6 + 0.500" in primary["formula"]


def test_counts_and_confusion_add_up(found, chosen):
    counts = found["counts"]
    assert (counts["patients"], counts["events"], counts["fits"], counts["minority"]) == (36, 18, 6, 18)
    for item in found["confusion"]["repeats"]:
        assert item["tp"] + item["fn"] == 18
        assert item["fp"] + item["tn"] == 18
        rows = [row for row in chosen if row["repeat"] == item["repeat"]]
        assert item["tp"] == sum(row["outcome"] == 1 and row["predicted"] == 1 for row in rows)
    first = found["confusion"]["repeats"][0]
    by_name = {row["name"]: row for row in found["confusion"]["measures"]}
    assert (by_name["sensitivity"]["k"], by_name["sensitivity"]["n"]) == (first["tp"], 18)
    assert (by_name["ppv"]["k"], by_name["ppv"]["n"]) == (first["tp"], first["tp"] + first["fp"])
    assert (by_name["npv"]["k"], by_name["npv"]["n"]) == (first["tn"], first["tn"] + first["fn"])
    sensitivity = by_name["sensitivity"]
    assert sensitivity["low"] < sensitivity["estimate"] < sensitivity["high"]
    assert sensitivity["estimate"] == pytest.approx(np.mean([i["k"] / i["n"] for i in sensitivity["by_repeat"]]))


def test_pooled_roc_is_that_of_scikit_learn_and_lies_in_its_band(found, chosen):
    areas = [
        roc_auc_score([r["outcome"] for r in rows], [r["probability"] for r in rows])
        for rows in ([row for row in chosen if row["repeat"] == repeat] for repeat in (1, 2))
    ]
    roc = found["roc"]
    assert roc["auc"]["estimate"] == pytest.approx(np.mean(areas))
    assert roc["auc"]["low"] < roc["auc"]["estimate"] < roc["auc"]["high"]
    low, tpr, high = (np.array(roc[name]) for name in ("low", "tpr", "high"))
    assert (low <= high).all()
    assert ((low <= tpr + 0.05) & (tpr <= high + 0.05)).all()
    assert (np.diff(tpr) >= 0).all()
    assert tpr[-1] == 1.0
    assert "conditional" in roc["label"]
    assert np.trapezoid(roc["within_folds"], roc["fpr"]) == pytest.approx(found["primary"]["estimate"], abs=0.02)


def test_differences_are_paired_by_fold(toy, found):
    by_name = {row["against"]: row for row in found["differences"]}
    assert set(by_name) == {"volume", "clinical"}
    models = {(row["variables"], row["model"]): row for row in found["models"]}
    for name, row in by_name.items():
        other = models[(name, "logistic")]["auc"]["estimate"]
        assert row["estimate"] == pytest.approx(found["primary"]["estimate"] - other)
        assert row["df"] == 5
    assert by_name["volume"]["verdict"] == ("better" if by_name["volume"]["low"] > 0 else "not_shown")


def test_models_table_lists_the_procedure_its_models_and_the_baselines(found):
    names = [(row["variables"], row["model"]) for row in found["models"]]
    assert names == [
        ("radiomics", "chosen"), ("radiomics", "logistic"), ("radiomics", "svm"), ("radiomics", "knn"),
        ("clinical", "logistic"), ("volume", "logistic"), ("prevalence", "prevalence"),
    ]  # fmt: skip
    assert sum(row["chosen_in"] or 0 for row in found["models"]) == 6
    assert found["models"][-1]["auc"]["estimate"] == 0.5


def test_selection_frequency_counts_kept_features(toy, found):
    kept = [row for row in toy.fitted.selection.to_pylist() if row["kept"]]
    top = found["selection"]["features"][0]
    assert top["times"] == sum(row["feature"] == top["feature"] for row in kept)
    assert found["selection"]["fits"] == 6
    assert found["selection"]["candidates"] == 61
    assert sum(row["times"] for row in found["selection"]["features"]) <= len(kept)
    assert -1 < found["selection"]["stability"]["estimate"] <= 1


def test_too_few_events_give_no_headline():
    toy = fit_toy(toy_samples(n=30, events=9), toy_recipe(("logistic",)))
    found = evaluated(toy.fitted.predictions, toy.fitted.selection)
    assert found["too_few_events"]
    assert not found["primary"]["headline"]
    assert found["answer"]["kind"] == "too_few_events"
    assert found["answer"]["sentences"][0] == "Too few events: 9 of 10. No AUC is given as an answer."


def test_without_covariates_there_is_no_clinical_row():
    samples = toy_samples()
    bare = samples.select([name for name in samples.column_names if not name.startswith("clinical.")])
    toy = fit_toy(bare, toy_recipe(("logistic",)))
    found = evaluated(toy.fitted.predictions, toy.fitted.selection)
    assert [row["against"] for row in found["differences"]] == ["volume"]
    assert found["answer"]["beats_clinical"] == "not_applicable"


def difference(against, low, high):
    verdict = "better" if low > 0 else "worse" if high < 0 else "not_shown"
    return {"against": against, "estimate": (low + high) / 2, "low": low, "high": high, "verdict": verdict}


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [
        (0.61, 0.85, "This is better than chance."),
        (0.45, 0.85, "The interval holds 0.50: better than chance is not shown."),
        (0.10, 0.45, "This is worse than chance: look for a mistake in the data before reading on."),
    ],
)
def test_answer_follows_its_rules(low, high, want):
    evaluation = {
        "primary": {"estimate": (low + high) / 2, "low": low, "high": high},
        "counts": {"events": 20, "non_events": 30, "patients": 50, "minority": 20, "minority_needed": 10},
        "differences": [difference("volume", 0.02, 0.2), difference("clinical", -0.1, 0.2)],
        "too_few_events": False,
        "outcome_label": "progression",
    }
    found = answer(evaluation)
    assert found["sentences"][0].endswith("for progression, from 20 events in 50 patients.")
    assert found["sentences"][1] == want
    assert found["sentences"][2] == "It is better than the volume of the ROI alone (difference +0.11, +0.02 to +0.20)."
    assert found["sentences"][3].startswith("That it is better than the clinical covariates alone is not shown")
    assert "\N{MINUS SIGN}0.10 to +0.20" in found["sentences"][3]


# --- curves ----------------------------------------------------------------------------------------------------------


def rows(outcome, probability) -> TestRows:
    outcome, probability = np.asarray(outcome), np.asarray(probability, dtype=float)
    return TestRows(
        repeat=1,
        patient=np.arange(len(outcome)),
        outcome=outcome,
        probability=probability,
        predicted=(probability >= 0.5).astype(int),
    )


def test_perfect_and_constant_predictions_have_their_roc():
    weights = draw_weights(20, 50, seed=1)
    y = np.array([0, 1] * 10)
    perfect = roc_curve([rows(y, 0.2 + 0.6 * y)], weights)
    assert perfect["auc"]["estimate"] == 1.0
    assert perfect["tpr"][0] == 1.0
    flat = roc_curve([rows(y, np.full(20, 0.5))], weights)
    assert flat["tpr"] == pytest.approx(flat["fpr"])
    assert flat["auc"]["estimate"] == 0.5


def test_smooth_curve_of_calibrated_predictions_is_near_the_diagonal():
    rng = np.random.default_rng(0)
    p = rng.uniform(0.05, 0.95, 4000)
    y = (rng.uniform(size=4000) < p).astype(int)
    curve = smooth_curve(y, p)
    assert len(curve) == 51
    assert max(abs(point["observed"] - point["predicted"]) for point in curve) < 0.06
    steep = smooth_curve(y, expit(3 * np.log(p / (1 - p))))
    assert max(abs(point["observed"] - point["predicted"]) for point in steep) > 0.1
    assert smooth_curve(y, np.full(4000, 0.4)) == []


def test_bins_hold_every_row_once():
    rng = np.random.default_rng(0)
    p = rng.uniform(size=37)
    y = (rng.uniform(size=37) < p).astype(int)
    bins = calibration_bins(y, p)
    assert len(bins) == 5
    assert sum(item["n"] for item in bins) == 37
    assert sum(item["k"] for item in bins) == y.sum()
    assert all(item["low"] <= item["observed"] <= item["high"] for item in bins)


def test_bootstrap_draws_patients_not_rows_and_repeats_itself():
    weights = draw_weights(12, 300, seed=5)
    assert (weights.sum(axis=1) == 12).all()
    assert np.array_equal(weights, draw_weights(12, 300, seed=5))
    assert weights.mean() == pytest.approx(1.0)


def test_lesions_of_a_patient_move_together_in_the_bootstrap():
    """Doubling every row of every patient changes no interval; treating them as new patients would narrow it."""
    y = np.random.default_rng(0).integers(0, 2, 40)
    p = 0.5 + 0.2 * (y - 0.5) + 0.2 * np.random.default_rng(1).uniform(-1, 1, 40)
    weights = draw_weights(40, 400, seed=1)
    once = roc_curve([rows(y, p)], weights)["auc"]
    doubled = TestRows(
        repeat=1,
        patient=np.repeat(np.arange(40), 2),
        outcome=np.repeat(y, 2),
        probability=np.repeat(p, 2),
        predicted=np.repeat(y, 2),
    )
    assert roc_curve([doubled], weights)["auc"] == pytest.approx(once)
