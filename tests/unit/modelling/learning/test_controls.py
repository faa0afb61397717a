"""Permuted outcomes: every patient keeps their own, chance is found where nothing is, and steps are shared rightly."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pyarrow as pa
import pytest

from osteorad.cohort.recipe import Controls
from osteorad.cohort.splits import make_splits
from osteorad.modelling.learning.controls import REAL, permuted_fits, permuted_outcome
from osteorad.modelling.learning.drawn import FoldTables
from osteorad.modelling.learning.plans import plans_of
from osteorad.modelling.learning.run import fit_analysis
from osteorad.modelling.statistics.metrics import auc
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples


def fits_of(samples, recipe):
    splits = make_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    plan = plans_of(recipe, samples)[0]
    return splits, permuted_fits(FoldTables(base=samples), splits, plan, recipe=recipe, analysis=ANALYSIS)


@pytest.mark.parametrize("lesions", [1, 3])
def test_a_permutation_deals_out_the_same_outcomes(lesions):
    samples = toy_samples(lesions=lesions)
    real = dict(zip(samples["sample"].to_pylist(), samples["outcome"].to_pylist(), strict=True))
    drawn = permuted_outcome(samples, "a/1")
    assert sorted(drawn) == sorted(real)
    assert Counter(drawn.values()) == Counter(real.values())
    assert drawn != real
    assert drawn == permuted_outcome(samples, "a/1") != permuted_outcome(samples, "a/2")


def test_lesions_of_a_patient_stay_alike():
    samples = toy_samples(lesions=3)
    drawn = permuted_outcome(samples, "a/1")
    by_patient: dict[str, set] = {}
    for patient, sample in zip(samples["patient"].to_pylist(), samples["sample"].to_pylist(), strict=True):
        by_patient.setdefault(patient, set()).add(drawn[sample])
    assert all(len(values) == 1 for values in by_patient.values())


def test_patients_of_unequal_size_share_no_outcome_and_lesion_numbers_keep_none():
    samples = toy_samples(lesions=2)
    rows = [at for at in range(samples.num_rows) if at % 6 != 1]  # every third patient has one lesion
    samples = samples.take(rows)
    place = samples.column_names.index("outcome")
    first = [int(number == 1) for number in samples["lesion"].to_pylist()]
    by_number = samples.set_column(place, samples.schema.field(place), pa.array(first, pa.int32()))
    drawn = permuted_outcome(samples, "a/1")
    patients = dict(zip(samples["sample"].to_pylist(), samples["patient"].to_pylist(), strict=True))
    assert len({(patients[sample], outcome) for sample, outcome in drawn.items()}) == len(set(patients.values()))
    seconds = [sample for sample, number in zip(patients, samples["lesion"].to_pylist(), strict=True) if number == 2]
    moved = [permuted_outcome(by_number, f"a/{number}")[sample] for number in range(20) for sample in seconds]
    assert np.mean(moved) == pytest.approx(2 / 3 * 1 / 2 + 1 / 3, abs=0.05)  # from patients with two lesions, and one


def test_every_permutation_tests_every_sample_once():
    samples = toy_samples()
    _, fits = fits_of(samples, toy_recipe(repeats=2, permutations=5))
    assert sorted({fit.repeat for fit in fits}) == [REAL, 1, 2, 3, 4, 5]
    for number in range(6):
        tested = [sample for fit in fits if fit.repeat == number for sample in fit.samples]
        assert sorted(tested) == sorted(samples["sample"].to_pylist())


def test_permutations_find_chance_and_the_real_outcome_more():
    samples = toy_samples(n=60, events=30, strength=3.0)
    _, fits = fits_of(samples, toy_recipe(permutations=40))
    values: dict[int, list] = {}
    for fit in fits:
        values.setdefault(fit.repeat, []).append(auc(fit.outcome, fit.score))
    means = {number: float(np.mean([v for v in found if v is not None])) for number, found in values.items()}
    drawn = np.array([mean for number, mean in means.items() if number != REAL])
    assert abs(drawn.mean() - 0.5) < 3 * drawn.std(ddof=1) / np.sqrt(len(drawn))
    assert means[REAL] > drawn.max()


def test_shuffled_voxels_give_nothing_where_texture_gave_much():
    samples = toy_samples(n=60, events=30, strength=3.0)
    recipe = toy_recipe(("logistic",), controls=Controls(permutations=0, shuffled=True))
    noise = np.random.default_rng(0)
    for name in [name for name in samples.column_names if name.startswith("ct.")]:
        column = pa.array(noise.permutation(samples[name].to_numpy()))
        samples = samples.append_column(name.replace("ct.", "ct@shuffled."), column)
    splits = make_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    table = fit_analysis(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT).predictions
    values = {}
    for control in ("none", "shuffled"):
        rows = [row for row in table.to_pylist() if (row["control"], row["part"]) == (control, "test")]
        rows = [row for row in rows if row["variables"] == "radiomics" and row["chosen"]]
        assert len(rows) == 60
        values[control] = auc(np.array([row["outcome"] for row in rows]), np.array([row["score"] for row in rows]))
    assert values["none"] > 0.8
    assert abs(values["shuffled"] - 0.5) < 0.25


def test_controls_stand_among_the_predictions_with_their_own_outcome():
    samples, recipe = toy_samples(), toy_recipe(permutations=3)
    splits = make_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    table = fit_analysis(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT).predictions
    rows = [row for row in table.to_pylist() if row["control"] == "permuted"]
    assert {(row["variables"], row["model"], row["part"], row["chosen"]) for row in rows} == {
        ("radiomics", "logistic", "test", True)
    }
    assert sorted({row["repeat"] for row in rows}) == [0, 1, 2, 3]
    for number in (1, 2, 3):
        drawn = permuted_outcome(samples, f"{ANALYSIS}/permuted/{number}")
        assert all(row["outcome"] == drawn[row["sample"]] for row in rows if row["repeat"] == number)
