"""A paper's own order of steps: it leaks as the paper does, finds much in noise, and never touches the nested rows."""

from __future__ import annotations

import numpy as np
import pyarrow.compute as pc
import pytest

from osteorad.cohort.recipe import EVALUATED, TOLD, Published, Splits
from osteorad.cohort.splits import AS_PUBLISHED, analysis_splits
from osteorad.modelling.learning.bundle import freeze
from osteorad.modelling.learning.run import fit_analysis
from osteorad.modelling.statistics.metrics import auc
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples

PAPER = Published(split="hold-out", by="patient", test_share=0.25, repeats=3)


def fitted(samples, paper=PAPER, **changes):
    recipe = toy_recipe(published=paper, baselines=["clinical", "combined", "volume"], **changes)
    splits = analysis_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT, published=paper)
    return splits, fit_analysis(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT)


def published_auc(table, *, control="none"):
    rows = table.filter(
        (pc.field("procedure") == AS_PUBLISHED)
        & (pc.field("control") == control)
        & (pc.field("variables") == "radiomics")
        & (pc.field("part") == "test")
        & pc.field("chosen")
    ).to_pylist()
    values = []
    for key in sorted({(row["repeat"], row["fold"]) for row in rows}):
        own = [row for row in rows if (row["repeat"], row["fold"]) == key]
        values.append(auc(np.array([row["outcome"] for row in own]), np.array([row["score"] for row in own])))
    return float(np.mean([value for value in values if value is not None]))


def test_selection_before_the_split_and_choice_on_the_test_set_find_much_in_noise():
    found = []
    for seed in range(3):
        samples = toy_samples(n=60, events=24, features=200, strength=0.0, blocks=100, seed=seed)
        _, result = fitted(samples)
        found.append(published_auc(result.predictions))
    assert np.mean(found) >= 0.75


def test_nested_rows_are_the_same_with_and_without_it():
    samples = toy_samples()
    _, with_it = fitted(samples)
    recipe = toy_recipe(baselines=["clinical", "combined", "volume"])
    splits = analysis_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    without = fit_analysis(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT)
    nested = with_it.predictions.filter(pc.field("procedure") == "nested")
    assert nested.equals(without.predictions)
    assert with_it.selection.equals(without.selection)
    assert with_it.lineage["as_published"] is not None
    assert without.lineage["as_published"] is None


def test_the_chosen_model_is_the_best_on_the_test_rows():
    _, result = fitted(toy_samples())
    rows = [r for r in result.predictions.to_pylist() if r["procedure"] == AS_PUBLISHED and r["part"] == "test"]
    rows = [row for row in rows if row["variables"] == "radiomics"]
    for repeat in (1, 2, 3):
        values = {}
        for model in {row["model"] for row in rows}:
            own = [row for row in rows if row["repeat"] == repeat and row["model"] == model]
            values[model] = auc(np.array([r["outcome"] for r in own]), np.array([r["score"] for r in own]))
        chosen = {row["model"] for row in rows if row["repeat"] == repeat and row["chosen"]}
        assert values[chosen.pop()] == max(values.values())


@pytest.mark.parametrize("select_on", ["all", "train"])
def test_steps_say_on_how_many_rows_they_were_fitted(select_on):
    _, result = fitted(toy_samples(), PAPER.model_copy(update={"select_on": select_on}))
    rows = [r for r in result.steps.to_pylist() if r["procedure"] == AS_PUBLISHED and r["step"] == "mrmr"]
    counted = {row["fit_rows"] for row in rows}
    assert counted == {36} if select_on == "all" else max(counted) < 30


def test_lesions_of_a_patient_may_stand_on_both_sides_where_the_paper_divided_lesions():
    paper = PAPER.model_copy(update={"by": "sample"})
    splits, _ = fitted(toy_samples(n=24, events=12, lesions=3), paper)
    parts: dict = {}
    for row in splits.to_pylist():
        if row["procedure"] == AS_PUBLISHED:
            parts.setdefault((row["repeat"], row["patient"]), set()).add(row["part"])
    assert any(sides == {"train", "test"} for sides in parts.values())


def test_inner_choice_uses_folds_inside_the_training_rows():
    paper = PAPER.model_copy(update={"choose_on": "inner"})
    splits, result = fitted(toy_samples(), paper)
    assert any(row["inner_fold"] > 0 for row in splits.to_pylist() if row["procedure"] == AS_PUBLISHED)
    rows = [r for r in result.steps.to_pylist() if r["procedure"] == AS_PUBLISHED and r["step"] == "choice"]
    assert rows
    assert np.isfinite(published_auc(result.predictions))


def test_permuted_labels_are_put_beside_it():
    samples = toy_samples(n=60, events=24, features=200, strength=0.0, blocks=100)
    _, result = fitted(samples, permutations=4)
    assert published_auc(result.predictions, control="permuted") > 0.6


OTHER = {
    **{"title": "Another", "citation": "Somebody", "assumed": ["nothing"], "bootstrap": 7, "comparisons": ["volume"]},
    **{"decision_thresholds": [0.3], "subgroup_minimum": 99, "splits": Splits(folds=3, repeats=1, seed=77)},
}


def test_what_the_keys_leave_out_changes_nothing_that_is_learned():
    """Contract 9: a job does not run again for settings that it does not use."""
    assert set(OTHER) == {*TOLD, *EVALUATED, "splits"}
    samples = toy_samples()
    splits, before = fitted(samples)
    recipe = toy_recipe(published=PAPER, baselines=["clinical", "combined", "volume"])
    changed = recipe.model_copy(update=OTHER)
    assert all(getattr(changed, name) != getattr(recipe, name) for name in OTHER)
    after = fit_analysis(samples, splits, changed, analysis=ANALYSIS, cohort=COHORT)
    assert after == before
    frozen = [freeze(samples, splits, each, analysis=ANALYSIS, cohort=COHORT) for each in (recipe, changed)]
    assert frozen[0] == frozen[1]
