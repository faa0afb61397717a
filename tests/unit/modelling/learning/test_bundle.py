"""The frozen bundle: what it says of new rows is what the fitted procedure says, and no training row is in it."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from osteorad.cohort.splits import FROZEN, HeldOutRows, analysis_splits
from osteorad.errors import ConfigError
from osteorad.files import json_text
from osteorad.modelling.learning.bundle import Frozen, freeze, recipe_hash
from osteorad.modelling.learning.nested import learn_fold, score_test
from osteorad.modelling.learning.plans import COMBINED, plans_of
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples

FREEZABLE = ("logistic", "random-forest", "extra-trees", "xgboost", "lightgbm", "mlp")


def frozen_of(samples, recipe):
    splits = analysis_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    return splits, freeze(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT)


@pytest.mark.parametrize("model", FREEZABLE)
def test_new_rows_get_the_scores_of_the_procedure_itself(model):
    samples, others = toy_samples(), toy_samples(seed=5, n=20, events=8)
    recipe = toy_recipe((model,), baselines=["combined", "clinical"])
    splits, bundle = frozen_of(samples, recipe)
    again = Frozen(json.loads(json_text(bundle)))
    plan = plans_of(recipe, samples)[0]
    learned = learn_fold(samples, splits, plan, recipe=recipe, analysis=ANALYSIS, repeat=0, fold=0, procedure=FROZEN)
    direct = score_test(learned, HeldOutRows(others)).chosen_model
    scored = again.score(others)
    assert np.array_equal(scored.score, direct.test_score)
    assert np.array_equal(scored.predicted, (direct.test_score >= direct.threshold).astype(int))
    assert np.isfinite(again.score(others, COMBINED).probability).all()


def test_all_patients_are_in_it_and_no_row_is():
    samples = toy_samples()
    recipe = toy_recipe(("logistic",))
    splits, bundle = frozen_of(samples, recipe)
    rows = [row for row in splits.to_pylist() if row["procedure"] == FROZEN and row["inner_fold"] == -1]
    assert {row["part"] for row in rows} == {"train"}
    assert sorted(row["sample"] for row in rows) == sorted(samples["sample"].to_pylist())
    text = json_text(bundle)
    assert bundle["state"] == "frozen"
    assert not any(name in text for name in [*samples["sample"].to_pylist(), *samples["patient"].to_pylist()])


@pytest.mark.parametrize("model", ["svm", "knn", "knn-weighted"])
def test_a_model_that_keeps_its_rows_is_refused(model):
    samples = toy_samples()
    _, bundle = frozen_of(samples, toy_recipe((model,)))
    assert bundle["state"] == "refused"
    assert model in bundle["why"]
    assert "radiomics" not in bundle["parts"]
    with pytest.raises(ConfigError, match=model):
        Frozen(bundle).score(samples)


def test_a_column_that_is_missing_elsewhere_is_named():
    samples = toy_samples()
    _, bundle = frozen_of(samples, toy_recipe(("logistic",)))
    with pytest.raises(ConfigError, match=r"lack 1 of 61 columns, ct\.f003"):
        Frozen(bundle).score(samples.drop_columns(["ct.f003"]))


def test_rows_outside_the_training_range_are_counted():
    samples = toy_samples()
    _, bundle = frozen_of(samples, toy_recipe(("logistic",)))
    used = bundle["parts"]["radiomics"]["features"][0]
    values = samples[used].to_numpy().copy()
    row = int(np.argsort(values)[len(values) // 2])
    values[row] = 1e6
    moved = samples.set_column(samples.column_names.index(used), used, pa.array(values))
    before, after = (Frozen(bundle).outside_ranges(table)[f"k{row:04d}"] for table in (samples, moved))
    assert after > before


def test_the_recipe_hash_sees_what_is_learned_and_not_how_it_is_judged():
    one = toy_recipe()
    assert recipe_hash(one) == recipe_hash(one.model_copy(update={"bootstrap": 5, "title": "other"}))
    assert recipe_hash(one) != recipe_hash(one.model_copy(update={"trees": 11}))


def test_the_linear_part_gives_the_score_from_raw_values():
    samples = toy_samples()
    _, bundle = frozen_of(samples, toy_recipe(("logistic",), baselines=["combined", "clinical"]))
    part = bundle["parts"]["clinical"]["linear"]
    rows = [row for row in samples.to_pylist() if row["clinical.er"] is not None]
    at = {sample: place for place, sample in enumerate(samples["sample"].to_pylist())}
    scores = Frozen(bundle).score(samples, "clinical").score
    for row in rows:
        total = part["intercept"]
        for item in part["columns"]:
            name, _, level = item["feature"].partition("=")
            value = float(row[name] == level) if level else row[name]
            total += item["coefficient"] * (value - item["centre"]) / item["scale"]
        assert total == pytest.approx(scores[at[row["sample"]]], abs=1e-9)
