"""Names in the settings are those of the registries; overrides do what they say."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from osteorad.cohort import config, recipe
from osteorad.cohort import steps as step_settings
from osteorad.modelling.learning import models, steps

RECIPE = {"trees": 500, "splits": {"repeats": 5}, "steps": [{"step": "mrmr", "settings": {"k": [20]}}]}


def test_models_are_those_of_the_registry():
    assert sorted(recipe.MODELS) == sorted(models.REGISTRY)


def test_steps_are_those_of_the_registry():
    assert sorted(step_settings.STEPS) == sorted(steps.REGISTRY) == sorted(step_settings.STEP_SETTINGS)


def test_overrides_leave_the_recipe_alone():
    changed = recipe.apply_overrides(RECIPE, {"splits.repeats": 2, "steps.mrmr.k": [10], "trees": 20})
    assert (changed["splits"], changed["trees"], changed["steps"][0]["settings"]["k"]) == ({"repeats": 2}, 20, [10])
    assert RECIPE["splits"] == {"repeats": 5}
    assert RECIPE["steps"][0]["settings"] == {"k": [20]}


def test_the_grid_of_a_model_can_be_given():
    changed = recipe.apply_overrides({**RECIPE, "grids": {}}, {"grids": {"svm": [{"C": 2.0}]}})
    assert changed["grids"] == {"svm": [{"C": 2.0}]}
    with pytest.raises(KeyError):
        recipe.apply_overrides({**RECIPE, "grids": {}}, {"grids.svn": []})


@pytest.mark.parametrize(
    ("key", "part", "valid"),
    [
        ("tree", "tree", ["splits", "steps", "trees"]),
        ("splits.fold", "fold", ["repeats"]),
        ("steps.mrm.k", "mrm", ["mrmr"]),
        ("trees.deep", "deep", []),
    ],
)
def test_an_override_that_leads_nowhere_says_where(key, part, valid):
    with pytest.raises(KeyError) as raised:
        recipe.apply_overrides(RECIPE, {key: 1})
    assert raised.value.args == (part, valid)


def test_nested_and_dotted_overrides_are_one():
    assert recipe.flat_overrides({"splits": {"repeats": 2}, "trees": 5, "a.b": 1, "empty": {}}) == {
        "splits.repeats": 2,
        "trees": 5,
        "a.b": 1,
        "empty": {},
    }


def test_settings_do_not_change_after_reading():
    with pytest.raises(ValidationError):
        config.Phantom().patients = 3
