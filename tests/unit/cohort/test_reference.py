"""Schemas and reference page are generated from the models."""

from __future__ import annotations

import json

import jsonschema
import pytest
import yaml

from osteorad.cohort import config, recipe, reference, segmentation, settings, steps
from tests.conftest import ROOT


@pytest.mark.parametrize("path", sorted(reference.texts()))
def test_generated_files_agree_with_the_models(path):
    assert (ROOT / path).read_text() == reference.texts()[path], "run: python -m osteorad schema"


def test_every_setting_has_a_description():
    models = [model for _, _, model in reference.SECTIONS] + list(steps.STEP_SETTINGS.values())
    bare = [f"{m.__name__}.{key}" for m in models for key, field in m.model_fields.items() if not field.description]
    assert bare == []


def test_every_model_of_the_settings_is_on_the_page():
    page = (ROOT / reference.PAGE).read_text()
    models = [
        m
        for m in settings.Settings.__subclasses__()
        if m.__module__ in {one.__name__ for one in (config, recipe, segmentation)}
    ]
    keys = {key for model in models for key in model.model_fields}
    assert sorted(key for key in keys if f"| `{key}` |" not in page) == []


def test_a_schema_checker_accepts_the_shipped_settings():
    schema = json.loads((ROOT / "resources/schemas/config.json").read_text())
    settings = yaml.safe_load((ROOT / "config.yaml").read_text())
    jsonschema.validate(settings, schema)
    settings["cohorts"]["phantom"]["sorce"] = "dicom"
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(settings, schema)
