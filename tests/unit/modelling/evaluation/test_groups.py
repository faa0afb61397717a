"""Subgroups, patients made of lesions, and facts of the samples."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from osteorad.files import json_text
from osteorad.modelling.evaluation.bootstrap import draw_weights
from osteorad.modelling.evaluation.characteristics import missing_values, table_one
from osteorad.modelling.evaluation.optimism import clinical_design, clinical_optimism
from osteorad.modelling.evaluation.patient_level import patient_level, to_patients
from osteorad.modelling.evaluation.planning import largest_r2, sample_size
from osteorad.modelling.evaluation.rows import counts, rows_of
from osteorad.modelling.evaluation.subgroups import subgroup_variables, subgroups
from osteorad.modelling.statistics.metrics import expit
from tests.unit.modelling.analysis_toy import toy_recipe, toy_samples
from tests.unit.modelling.conftest import fit_toy
from tests.unit.modelling.evaluation.predicted import evaluated, predictions, rows_with

N = 40


@pytest.fixture(scope="module")
def samples() -> pa.Table:
    return toy_samples(n=N, events=16, features=5)


@pytest.fixture(scope="module")
def one_repeat(samples):
    outcome = samples["outcome"].to_numpy()
    return rows_with(outcome, expit(outcome + np.random.default_rng(0).normal(size=N)))


def with_column(table: pa.Table, name: str, values) -> pa.Table:
    at = table.column_names.index(name) if name in table.column_names else None
    column = pa.array(values)
    return table.append_column(name, column) if at is None else table.set_column(at, name, column)


# --- counts ----------------------------------------------------------------------------------------------------------


def test_a_patient_with_lesions_of_either_outcome_stands_in_both_classes():
    patient = ["a", "a", "b", "b", "c", "c"]
    table = predictions([1, 0, 1, 0, 1, 1], {("radiomics", "logistic"): np.arange(6.0)}, patient=patient)
    told = counts(table, least=10)
    assert (told["patients"], told["events"], told["samples"], told["sample_events"]) == (3, 3, 6, 4)
    assert told["minority"] == 2  # a and b have a lesion without the event


# --- subgroups -------------------------------------------------------------------------------------------------------


def found_subgroups(samples, one_repeat, column, minimum):
    told = subgroups([one_repeat], draw_weights(N, 100, seed=1), samples, columns=[column], minimum=minimum)
    return {row["level"]: row for row in told["rows"]}


def test_a_level_large_enough_has_the_auc_of_its_rows(samples, one_repeat):
    half = ["a" if at < 25 else "b" for at in range(N)]
    levels = found_subgroups(with_column(samples, "clinical.half", half), one_repeat, "clinical.half", 20)
    want = roc_auc_score(one_repeat.outcome[:25], one_repeat.probability[:25])
    assert levels["a"]["auc"] == pytest.approx(want)
    assert levels["a"]["low"] <= want <= levels["a"]["high"]
    assert (levels["a"]["n"], levels["a"]["events"]) == (25, one_repeat.outcome[:25].sum())
    assert levels["b"]["auc"] is None
    assert levels["b"]["note"] == "15 of 20 patients needed: no AUC is given"


def test_a_level_with_one_class_has_a_reason(samples, one_repeat):
    levels = found_subgroups(
        with_column(samples, "clinical.same", one_repeat.outcome.tolist()), one_repeat, "clinical.same", 5
    )
    assert levels["1"]["note"] == "16 of 16 have the event: both classes are needed"
    assert levels["1"]["auc"] is None


def test_numbers_are_cut_at_their_median_and_the_unknown_are_told(samples, one_repeat):
    age = [None, *np.linspace(40, 80, N - 1).tolist()]
    levels = found_subgroups(with_column(samples, "clinical.age_years", age), one_repeat, "clinical.age_years", 15)
    assert {name: row["n"] for name, row in levels.items()} == {"up to 60": 20, "above 60": 19, "not known": 1}


def test_sites_are_subgroups_where_there_are_several(samples):
    assert subgroup_variables(samples, ["er", "unheard"]) == ["clinical.er"]
    sites = with_column(samples, "site", ["a", "b"] * (N // 2))
    assert subgroup_variables(sites, ["er"]) == ["clinical.er", "site"]


# --- patients --------------------------------------------------------------------------------------------------------

LESIONS = {
    "outcome": [0, 1, 0, 0, 1],
    "probability": [0.2, 0.7, 0.4, 0.1, 0.45],
    "patient": [0, 0, 1, 1, 2],
}


@pytest.mark.parametrize(
    ("aggregate", "probability", "predicted"),
    [
        ("max", [0.7, 0.4, 0.45], [1, 0, 0]),
        ("any", [0.7, 0.4, 0.45], [1, 0, 0]),
        ("mean", [0.45, 0.25, 0.45], [0, 0, 0]),
    ],
)
def test_lesions_become_patients(aggregate, probability, predicted):
    told = to_patients(rows_with(**LESIONS), aggregate)
    assert told.probability == pytest.approx(probability)
    assert told.predicted.tolist() == predicted
    assert told.outcome.tolist() == [1, 0, 1]
    assert told.patient.tolist() == [0, 1, 2]


def test_patient_level_is_within_folds():
    rng = np.random.default_rng(5)
    patient = np.repeat(np.arange(30), 2)
    outcome = np.repeat(rng.integers(0, 2, 30), 2)
    rows = rows_with(outcome, expit(outcome + rng.normal(size=60)), patient=patient, fold=patient % 3 + 1)
    told = patient_level([rows], draw_weights(30, 50, seed=1), aggregate="max", share=0.5, lesion_auc=0.6)
    top = rows.probability.reshape(30, 2).max(axis=1)
    folds = [roc_auc_score(outcome[::2][fold::3], top[fold::3]) for fold in range(3)]
    assert told["auc"]["estimate"] == pytest.approx(np.mean(folds))
    assert told["auc"]["interval"] == "nadeau-bengio"
    assert (told["patients"], told["events"]) == (30, outcome[::2].sum())
    assert {row["name"]: row["n"] for row in told["measures"]}["sensitivity"] == told["events"]
    alone = patient_level([rows], draw_weights(30, 50, seed=1), aggregate="max", share=None, lesion_auc=0.6)
    assert alone["auc"]["interval"] == "delong"


def test_an_analysis_of_lesions_tells_both_levels():
    toy = fit_toy(toy_samples(n=30, events=14, lesions=2), toy_recipe(("logistic",), unit="lesion"))
    found = evaluated(toy)
    counts = found["counts"]
    assert (counts["patients"], counts["samples"], counts["most_samples"]) == (30, 60, 2)
    assert (counts["events"], counts["sample_events"]) == (14, 28)
    assert found["patient_level"]["patients"] == 30
    assert "(60 lesions)" in found["answer"]["sentences"][0]
    assert "that of patients is" in found["answer"]["sentences"][1]


# --- thresholds as probabilities -------------------------------------------------------------------------------------


def test_the_cut_is_the_threshold_as_a_probability():
    score = np.linspace(-2, 2, 10)
    table = predictions([0, 1] * 5, {("radiomics", "logistic"): score}, threshold=0.3)
    assert rows_of(table)[0].cut == pytest.approx(np.full(10, expit(0.3)))
    flat = predictions([0, 1] * 5, {("radiomics", "logistic"): np.zeros(10)}, threshold=0.3)
    assert rows_of(flat)[0].cut == pytest.approx(np.full(10, 0.5))


# --- who the patients are --------------------------------------------------------------------------------------------


def test_table_one_counts_patients_and_prints_no_p(samples):
    told = table_one(samples, "ct.original_shape_VoxelVolume")
    assert told["n"] == {"all": 40, "events": 16, "others": 24}
    rows = {(row["variable"], row["level"]): row for row in told["rows"]}
    assert set(rows) == {
        ("age_years", None), ("er", "neg"), ("er", "pos"), ("ct.original_shape_VoxelVolume", None),
    }  # fmt: skip
    age = samples["clinical.age_years"].to_numpy()
    assert rows["age_years", None]["all"]["median"] == pytest.approx(np.median(age))
    events = samples["outcome"].to_numpy() == 1
    assert rows["age_years", None]["events"]["mean"] == pytest.approx(age[events].mean())
    er = samples["clinical.er"].to_pylist()
    known = sum(value is not None for value in er)
    assert rows["er", "pos"]["all"] == {"k": er.count("pos"), "n": known}
    assert rows["er", "pos"]["missing"] == 40 - known
    assert '"p"' not in json_text(told)


def test_table_one_counts_a_patient_with_many_lesions_once():
    lesions = toy_samples(n=10, events=4, features=2, lesions=3)
    outcome = np.zeros(30, dtype=int)
    outcome[2] = 1  # the last lesion of the first patient
    told = table_one(with_column(lesions, "outcome", outcome), None)
    assert told["n"] == {"all": 10, "events": 1, "others": 9}


def test_missing_values_are_counted_by_outcome(samples):
    values = samples["ct.f001"].to_numpy().copy()
    values[:5] = np.nan
    values[5] = np.inf
    told = missing_values(with_column(samples, "ct.f001", values))
    rows = {row["column"]: row for row in told["columns"]}
    event = samples["outcome"].to_numpy()
    assert rows["ct.f001"]["missing"] == 6
    assert rows["ct.f001"]["missing_events"] == event[:6].sum()
    assert rows["er"]["missing"] == samples["clinical.er"].to_pylist().count(None)
    assert rows["age_years"]["missing"] == 0
    assert told["features"] == {"columns": 6, "with_missing": 1, "values": 240, "missing": 6}
    assert "ct.f002" not in rows


# --- planning and optimism -------------------------------------------------------------------------------------------


def test_sample_size_needs_more_for_more_columns():
    told = sample_size(patients=106, events=37, parameters={"radiomics": 1197, "clinical": 7, "nothing": 0})
    radiomics, clinical = told["rows"]
    assert largest_r2(37 / 106) == pytest.approx(1 - ((37 / 106) ** (37 / 106) * (69 / 106) ** (69 / 106)) ** 2)
    assert clinical["r2"] == pytest.approx(0.15 * largest_r2(37 / 106))
    # By hand: 7 parameters over 0.1 times the log of 1 - R2 / 0.9.
    assert clinical["criteria"][0]["needed"] == int(np.ceil(7 / (-0.1 * np.log(1 - clinical["r2"] / 0.9))))
    assert radiomics["needed"] > 50_000
    assert not radiomics["enough"]
    assert sample_size(patients=20, events=0, parameters={"radiomics": 3}) is None


def test_optimism_takes_away_what_the_fit_flatters():
    noise = toy_samples(n=60, events=24, features=2, strength=0.0)
    design = clinical_design(noise, ["age_years", "er", "unheard"])
    assert design.columns == ("age_years", "er=pos")
    told = clinical_optimism(design, seed=1)
    assert told == clinical_optimism(design, seed=1)
    assert told["optimism"] > 0.01
    assert told["corrected"] == pytest.approx(told["apparent"] - told["optimism"])
    assert told["corrected"] < 0.6
    assert told["b632plus"] < told["apparent"]
    assert told["slope"] < 1
    assert told["bootstraps"] == 200


def test_optimism_is_for_small_models_only(samples):
    wide = samples
    for at in range(10):
        wide = with_column(wide, f"clinical.c{at}", np.random.default_rng(at).normal(size=N))
    assert clinical_optimism(clinical_design(wide, [f"c{at}" for at in range(10)]), seed=1) is None
    assert clinical_optimism(clinical_design(samples, []), seed=1) is None
    assert clinical_optimism(clinical_design(wide, [f"c{at}" for at in range(9)]), seed=1) is not None
