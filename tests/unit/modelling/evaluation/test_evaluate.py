"""The numbers of a page: made from predictions only, JSON-able, and equal to a second computation."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest
from scipy import stats
from sklearn.metrics import f1_score, roc_auc_score

from osteorad.cohort.recipe import Splits
from osteorad.files import json_text
from osteorad.modelling.statistics.metrics import nadeau_bengio
from tests.unit.modelling.analysis_toy import toy_recipe, toy_samples
from tests.unit.modelling.conftest import fit_toy
from tests.unit.modelling.evaluation.predicted import evaluated


@pytest.fixture(scope="module")
def found(toy):
    return evaluated(toy)


@pytest.fixture(scope="module")
def chosen(toy):
    table = toy.fitted.predictions
    rows = table.filter((pc.field("variables") == "radiomics") & pc.field("chosen") & (pc.field("part") == "test"))
    return rows.to_pylist()


def test_it_is_json_and_does_not_depend_on_the_order_of_rows(toy, found):
    table = toy.fitted.predictions
    order = np.random.default_rng(0).permutation(table.num_rows)
    models = [row["model"] for row in found["models"]]
    again = evaluated(toy, predictions=table.take(order))
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
    rows = [row for row in chosen if row["repeat"] == 1]
    f1 = by_name["f1"]
    assert f1["k"] / f1["n"] == pytest.approx(f1_score([r["outcome"] for r in rows], [r["predicted"] for r in rows]))
    assert f1["wilson_low"] is None
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


def test_differences_are_paired_by_fold(found):
    by_name = {row["against"]: row for row in found["differences"]}
    assert {row["of"] for row in found["differences"]} == {"radiomics"}
    assert set(by_name) == {"volume", "clinical"}
    models = {(row["variables"], row["model"]): row for row in found["models"]}
    for name, row in by_name.items():
        other = models[(name, "logistic")]["auc"]["estimate"]
        assert row["estimate"] == pytest.approx(found["primary"]["estimate"] - other)
        assert row["df"] == 5
        p = 2 * stats.t.sf(abs(row["estimate"] / row["se"]), 5)
        assert row["p"] == pytest.approx(p)
        assert row["verdict"] == ("not_shown" if row["p_holm"] > 0.05 else "better" if row["estimate"] > 0 else "worse")
    first, last = sorted(row["p"] for row in by_name.values())
    assert min(row["p_holm"] for row in by_name.values()) == pytest.approx(min(1, 2 * first))
    assert max(row["p_holm"] for row in by_name.values()) == pytest.approx(max(min(1, 2 * first), last))
    assert found["multiplicity"] == {"method": "Holm", "comparisons": 2, "level": 0.05}


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
    found = evaluated(toy)
    assert found["too_few_events"]
    assert not found["primary"]["headline"]
    assert found["answer"]["kind"] == "too_few_events"
    assert found["answer"]["sentences"][0] == "Too few events: 9 of 10. No AUC is given as an answer."


def test_without_covariates_there_is_no_clinical_row():
    samples = toy_samples()
    bare = samples.select([name for name in samples.column_names if not name.startswith("clinical.")])
    toy = fit_toy(bare, toy_recipe(("logistic",)))
    found = evaluated(toy)
    assert [row["against"] for row in found["differences"]] == ["volume"]
    assert found["answer"]["beats_clinical"] == "not_applicable"


def test_one_hold_out_is_judged_on_its_test_patients():
    recipe = toy_recipe(("logistic",)).model_copy(update={"splits": Splits(kind="hold-out", repeats=1, inner_folds=3)})
    toy = fit_toy(toy_samples(n=40), recipe)
    found = evaluated(toy)
    counts, primary = found["counts"], found["primary"]
    assert (counts["patients"], counts["tested_patients"]) == (40, 12)
    assert counts["minority"] == min(counts["tested_events"], 12 - counts["tested_events"])
    assert found["too_few_events"]
    assert (primary["interval"], primary["formula"], primary["n_folds"]) == ("delong", "", 1)
    assert set(found["intervals"]) == {"delong", "patient-bootstrap", "wilson"}
    assert found["differences"][0]["method"].startswith("DeLong")
    assert "test part" in primary["estimand"]


def test_combined_models_and_permutations_find_their_places():
    recipe = toy_recipe(("logistic",), permutations=4, baselines=["clinical", "combined", "volume"])
    found = evaluated(fit_toy(toy_samples(), recipe), recipe=recipe)
    assert [(row["of"], row["against"]) for row in found["differences"]] == [
        ("radiomics", "volume"), ("radiomics", "clinical"), ("combined", "clinical"),
    ]  # fmt: skip
    assert found["multiplicity"]["comparisons"] == 3
    assert [curve["name"] for curve in found["decision"]["curves"]] == ["radiomics", "combined", "clinical", "volume"]
    assert len(found["decision"]["added"]) == 3
    permuted = found["controls"]["permuted"]
    assert len(permuted["values"]) == 4
    assert permuted["p"] in (1 / 5, 2 / 5, 3 / 5, 4 / 5, 1.0)
    assert found["answer"]["adds_to_clinical"] in ("yes", "no", "not_shown")
    assert found["optimism"]["predictors"] == 2
    assert found["published"] is None
