"""The nested procedure: what test rows hold changes nothing that is learned; records are complete; bad tables pass."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from osteorad.cohort.schemas import PREDICTIONS, SELECTION, STEPS
from osteorad.cohort.splits import make_splits, training
from osteorad.errors import ConfigError
from osteorad.files import json_text
from osteorad.modelling.learning.nested import fit_fold
from osteorad.modelling.learning.plans import fit_encoder, plans_of
from osteorad.modelling.learning.run import fit_analysis
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, replace_rows, toy_recipe, toy_samples


def fit(samples, recipe):
    splits = make_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    return splits, fit_analysis(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT)


def rows_of(table, **where):
    return [row for row in table.to_pylist() if all(row[name] == value for name, value in where.items())]


# --- leaks -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
def test_test_rows_replaced_by_anything_leave_selection_model_and_threshold_identical(toy, seed):
    test = {row["sample"] for row in rows_of(toy.splits, repeat=1, fold=2, inner_fold=-1, part="test")}
    mask = np.array([sample in test for sample in toy.samples["sample"].to_pylist()])
    assert 5 < mask.sum() < len(mask)
    other = replace_rows(toy.samples, mask, np.random.default_rng(seed))
    for plan in plans_of(toy.recipe, toy.samples):
        one, two = (
            fit_fold(table, toy.splits, plan, recipe=toy.recipe, analysis=ANALYSIS, repeat=1, fold=2)
            for table in (toy.samples, other)
        )
        assert one.chosen == two.chosen
        assert [s.trace for s in one.chain.steps] == [s.trace for s in two.chain.steps]
        for before, after in zip(one.models, two.models, strict=True):
            assert (before.features, before.setting) == (after.features, after.setting)
            assert (before.threshold, before.platt) == (after.threshold, after.platt)
            assert before.fitted.coefficients == after.fitted.coefficients
            assert np.array_equal(before.train_score, after.train_score)
        if plan.variables == "radiomics":
            assert not np.array_equal(one.models[0].test_score, two.models[0].test_score)


def test_training_rows_do_change_what_is_learned(toy):
    train = {row["sample"] for row in rows_of(toy.splits, repeat=1, fold=2, inner_fold=-1, part="train")}
    mask = np.array([sample in train for sample in toy.samples["sample"].to_pylist()])
    other = replace_rows(toy.samples, mask, np.random.default_rng(0), outcome=False)
    plan = plans_of(toy.recipe, toy.samples)[0]
    one, two = (
        fit_fold(table, toy.splits, plan, recipe=toy.recipe, analysis=ANALYSIS, repeat=1, fold=2)
        for table in (toy.samples, other)
    )
    assert one.models[0].features != two.models[0].features


def test_two_runs_are_identical_and_the_order_of_rows_is_free(toy_all_models):
    again = fit_analysis(
        toy_all_models.samples,
        toy_all_models.splits,
        toy_all_models.recipe,
        analysis=ANALYSIS,
        cohort=COHORT,
    )
    for name in ("predictions", "steps", "selection"):
        assert getattr(again, name).equals(getattr(toy_all_models.fitted, name))
    assert json_text(again.lineage) == json_text(toy_all_models.fitted.lineage)
    assert json_text(again.models) == json_text(toy_all_models.fitted.models)
    shuffled = toy_all_models.samples.take(np.random.default_rng(0).permutation(36))
    recipe = toy_all_models.recipe
    assert make_splits(shuffled, recipe.splits, analysis=ANALYSIS, cohort=COHORT).equals(toy_all_models.splits)


# --- records ---------------------------------------------------------------------------------------------------------


def test_every_sample_is_predicted_once_a_repeat_by_every_model(toy):
    table = toy.fitted.predictions
    assert table.schema == PREDICTIONS
    models = {("radiomics", name) for name in toy.recipe.models}
    models |= {("clinical", "logistic"), ("volume", "logistic"), ("prevalence", "prevalence")}
    assert {(row["variables"], row["model"]) for row in table.to_pylist()} == models
    for variables, model in models:
        for repeat in (1, 2):
            tested = rows_of(table, variables=variables, model=model, repeat=repeat, part="test")
            assert sorted(row["sample"] for row in tested) == sorted(toy.samples["sample"].to_pylist())
    for row in table.to_pylist():
        assert row["predicted"] == int(row["score"] >= row["threshold"])
        assert 0 < row["probability"] < 1


def test_one_model_is_chosen_in_each_fold_and_outcomes_are_those_of_the_samples(toy):
    outcome = dict(zip(toy.samples["sample"].to_pylist(), toy.samples["outcome"].to_pylist(), strict=True))
    picked: dict[tuple, set] = {}
    for row in toy.fitted.predictions.to_pylist():
        assert row["outcome"] == outcome[row["sample"]]
        if row["chosen"]:
            picked.setdefault((row["repeat"], row["fold"], row["variables"]), set()).add(row["model"])
    assert len(picked) == 2 * 3 * 4
    assert all(len(models) == 1 for models in picked.values())


def test_baselines_share_the_folds_of_the_radiomics_model(toy):
    folds = {}
    for row in toy.fitted.predictions.to_pylist():
        key = (row["variables"], row["model"])
        folds.setdefault(key, set()).add((row["repeat"], row["fold"], row["sample"], row["part"]))
    assert len({frozenset(rows) for rows in folds.values()}) == 1


def test_steps_say_on_whom_they_were_fitted(toy):
    table = toy.fitted.steps
    assert table.schema == STEPS
    for row in table.to_pylist():
        where = {name: row[name] for name in ("repeat", "fold", "inner_fold")}
        train = rows_of(toy.splits, **where, part="train")
        assert row["fit_rows"] == len(train)
        assert row["fit_patients"] == len({item["patient"] for item in train})
        json.loads(row["record"])
    names = [row["step"] for row in rows_of(table, repeat=1, fold=1, inner_fold=-1, variables="radiomics")]
    assert names[:8] == ["impute", "variance", "zscore", "correlation", "mrmr", "logistic", "svm", "knn"]
    assert names[8:] == ["choice", *["calibration", "threshold"] * 3]


def test_every_feature_has_one_fate_a_fold_and_kept_are_those_of_the_chosen_model(toy):
    table = toy.fitted.selection
    assert table.schema == SELECTION
    features = sorted(name for name in toy.samples.column_names if name.startswith("ct."))
    for (repeat, fold), model in (((row["repeat"], row["fold"]), row) for row in toy.fitted.models.values()):
        rows = rows_of(table, repeat=repeat, fold=fold)
        assert sorted(row["feature"] for row in rows) == features
        assert {row["feature"] for row in rows if row["kept"]} == {item["feature"] for item in model["features"]}
        assert all(row["reason"] for row in rows)


def test_model_records_hold_no_training_rows_and_linear_ones_can_be_applied(toy):
    linear = [record for record in toy.fitted.models.values() if record["linear"]]
    assert linear, "no fold chose the logistic model; take another toy"
    names = set(toy.samples["sample"].to_pylist()) | set(toy.samples["patient"].to_pylist())
    for record in toy.fitted.models.values():
        assert not any(name in json_text(record) for name in names)
        assert len(json_text(record)) < 6000
    for record in linear:
        rows = rows_of(
            toy.fitted.predictions, repeat=record["repeat"], fold=record["fold"], part="test", model="logistic",
            variables="radiomics",
        )  # fmt: skip
        place = {sample: at for at, sample in enumerate(toy.samples["sample"].to_pylist())}
        for row in rows:
            score = record["intercept"]
            for item in record["features"]:
                value = toy.samples[item["feature"]][place[row["sample"]]].as_py()
                scaled = (value - item["centre"]) / item["scale"]
                score += item["coefficient"] * max(-item["clip"], min(item["clip"], scaled))
            assert score == pytest.approx(row["score"], abs=1e-9)


def test_lineage_leads_from_inputs_to_predictions(toy):
    graph = toy.fitted.lineage
    ids = {node["id"] for node in graph["nodes"]}
    assert len(ids) == len(graph["nodes"])
    assert {end for edge in graph["edges"] for end in edge} <= ids
    assert sum(node["kind"] == "fit" for node in graph["nodes"]) == 2 * 3 * (1 + 3) * 4
    assert sum(node["kind"] == "predictions" for node in graph["nodes"]) == 2 * 3 * 4


def test_train_rows_carry_inner_scores_not_fitted_ones(toy):
    """A nearest neighbour model would recognise its own rows: in-sample scores beat inner ones by far."""
    plan = plans_of(toy.recipe, toy.samples)[0]
    found = fit_fold(toy.samples, toy.splits, plan, recipe=toy.recipe, analysis=ANALYSIS, repeat=1, fold=1)
    rows = training(toy.samples, toy.splits, repeat=1, fold=1)
    assert found.train.samples == rows.samples
    for inner in found.inner:
        inside = set(training(toy.samples, toy.splits, repeat=1, fold=1, inner_fold=inner.inner_fold).samples)
        assert not inside & set(inner.held_out)
        assert inside | set(inner.held_out) == set(rows.samples)
        for model in found.models:
            at = [setting for setting, _ in model.tried].index(model.setting)
            stored = dict(zip(found.train.samples, model.train_score.tolist(), strict=True))
            assert [stored[s] for s in inner.held_out] == inner.scores[model.name][at].tolist()


# --- bad tables ------------------------------------------------------------------------------------------------------


def test_twelve_patients_with_six_events_give_two_folds():
    splits, fitted = fit(toy_samples(n=12, events=6, features=20), toy_recipe(folds=5, inner_folds=5))
    assert set(splits["fold"].to_pylist()) == {1, 2}
    assert fitted.predictions.filter(pa.compute.equal(fitted.predictions["part"], "test")).num_rows == 6 * 12


def test_missing_infinite_and_constant_values_have_their_rules():
    samples = toy_samples()
    rng = np.random.default_rng(0)

    def put(name, values):
        nonlocal samples
        samples = samples.set_column(samples.column_names.index(name), name, pa.array(values))

    holes = samples["ct.f001"].to_numpy().copy()
    holes[rng.random(36) < 0.4] = np.nan
    put("ct.f001", holes)
    infinite = samples["ct.f002"].to_numpy().copy()
    infinite[:3] = np.inf
    put("ct.f002", infinite)
    put("ct.f003", np.full(36, np.nan))
    put("ct.f004", np.full(36, 7.0))
    put("ct.f006", samples["ct.f005"].to_numpy())
    put("ct.f007", np.r_[np.full(35, 1.0), 2.0])  # constant in most training parts
    put("clinical.age_years", np.full(36, np.nan))
    _, fitted = fit(samples, toy_recipe())
    fates = {row["feature"]: row for row in rows_of(fitted.selection, repeat=1, fold=1)}
    assert fates["ct.f003"]["step"] == "impute"
    assert fates["ct.f004"]["reason"] == "constant in the training rows"
    assert fates["ct.f006"]["reason"] == "equal to ct.f005 in every training row"
    assert np.isfinite(fitted.predictions["score"].to_numpy()).all()


def test_one_feature_is_enough_and_none_is_refused():
    samples = toy_samples(features=1)
    fit(samples, toy_recipe())
    bare = samples.select([name for name in samples.column_names if not name.startswith("ct.")])
    with pytest.raises(ConfigError, match="no feature of the images ct"):
        fit(bare, toy_recipe())


def test_inner_training_part_with_one_event_still_runs():
    samples = toy_samples(n=20, events=6, features=12)
    splits, fitted = fit(samples, toy_recipe(folds=2, inner_folds=5))
    sizes = [
        training(samples, splits, repeat=1, fold=1, inner_fold=inner).outcome.sum()
        for inner in sorted(set(splits["inner_fold"].to_pylist()) - {-1})
    ]
    assert min(sizes) == 2
    assert np.isfinite(fitted.predictions["probability"].to_numpy()).all()


def test_separated_classes_stay_finite():
    samples = toy_samples(features=5)
    at = samples.column_names.index("ct.f000")
    samples = samples.set_column(at, "ct.f000", pa.array(samples["outcome"].to_numpy().astype(float)))
    _, fitted = fit(samples, toy_recipe())
    tested = [row for row in rows_of(fitted.predictions, part="test", variables="radiomics") if row["chosen"]]
    assert all(row["predicted"] == row["outcome"] for row in tested)
    assert np.isfinite(fitted.predictions["score"].to_numpy()).all()


def test_unknown_model_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="Did you mean 'random-forest'"):
        fit(toy_samples(features=4), toy_recipe(("random-forrest",)))


def test_unseen_and_missing_levels_are_coded_by_rule():
    samples = toy_samples()
    splits = make_splits(samples, toy_recipe().splits, analysis=ANALYSIS, cohort=COHORT)
    rows = training(samples, splits, repeat=1, fold=1)
    plan = next(plan for plan in plans_of(toy_recipe(), samples) if plan.variables == "clinical")
    encoder = fit_encoder(plan, rows)
    assert encoder.columns == ("clinical.age_years", "clinical.er=pos")
    odd = rows.table.slice(0, 2).set_column(
        rows.table.column_names.index("clinical.er"), "clinical.er", pa.array(["unheard", None])
    )
    coded = encoder.matrix(type(rows)(odd))[:, 1]
    assert coded[0] == 0.0
    assert np.isnan(coded[1])
