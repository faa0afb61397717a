"""A frozen bundle elsewhere: applied as it stands, never adapted, and refused where it would mean something else."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from osteorad.cohort import table_source
from osteorad.cohort.config import Analysis
from osteorad.cohort.schemas import PREDICTIONS
from osteorad.cohort.splits import analysis_splits
from osteorad.errors import AnalysisRefused, ConfigError
from osteorad.files import read_json, write_json, write_parquet
from osteorad.modelling.external import apply_bundle
from osteorad.modelling.job_evaluate_external import evaluate_external_job
from osteorad.modelling.job_external import apply_job
from osteorad.modelling.learning import extractor
from osteorad.modelling.learning.bundle import Frozen, freeze
from osteorad.radiomics.tables import METADATA_KEY
from osteorad.reporting.check import check_page
from osteorad.reporting.external_page import write_external_page
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples

ELSEWHERE = "elsewhere"
RECIPE = toy_recipe(("logistic",), baselines=["combined", "clinical"])


def made_by(samples: pa.Table, preset_hash: str, patient: str = "p1") -> pa.Table:
    facts = {"preset": "toy", "preset_hash": preset_hash, "software": {"a": "1"}, "inputs": {patient: "0"}}
    return samples.replace_schema_metadata({extractor.FACTS: json.dumps(facts).encode()})


@pytest.fixture(scope="module")
def bundle():
    samples = made_by(toy_samples(), "abc", patient="p-of-training")
    splits = analysis_splits(samples, RECIPE.splits, analysis=ANALYSIS, cohort=COHORT)
    return json.loads(json.dumps(freeze(samples, splits, RECIPE, analysis=ANALYSIS, cohort=COHORT)))


@pytest.fixture
def others():
    return made_by(toy_samples(seed=5, n=40, events=16), "abc")


def applied(bundle, samples, recipe=RECIPE):
    return apply_bundle(bundle, samples, recipe, analysis=ELSEWHERE, cohort="other")


def test_predictions_are_those_of_the_frozen_parts(bundle, others):
    table = applied(bundle, others).predictions
    assert table.schema == PREDICTIONS
    rows = table.to_pylist()
    assert len(rows) == 3 * others.num_rows  # radiomics, clinical, combined
    own = [row for row in rows if row["variables"] == "radiomics"]
    scored = Frozen(bundle).score(others)
    assert [row["score"] for row in own] == scored.score.tolist()
    assert [row["probability"] for row in own] == scored.probability.tolist()
    assert {row["threshold"] for row in own} == {bundle["parts"]["radiomics"]["threshold"]}
    assert {(row["procedure"], row["part"], row["repeat"], row["fold"]) for row in rows} == {("external", "test", 1, 1)}


def test_the_outcome_elsewhere_changes_nothing_but_itself(bundle, others):
    at = others.schema.get_field_index("outcome")
    turned = others.set_column(
        at, others.schema.field(at), pa.array([1 - o for o in others["outcome"].to_pylist()], pa.int32())
    )
    one, two = applied(bundle, others).predictions, applied(bundle, turned).predictions
    assert one.drop_columns("outcome").equals(two.drop_columns("outcome"))
    assert not one["outcome"].equals(two["outcome"])


def test_one_patient_is_scored_like_in_company(bundle, others):
    """Nothing is standardised over the new cohort."""
    alone = applied(bundle, others.slice(7, 1)).predictions.to_pylist()
    company = [row for row in applied(bundle, others).predictions.to_pylist() if row["sample"] == alone[0]["sample"]]
    for one, other in zip(alone, company, strict=True):
        assert one["predicted"] == other["predicted"]
        assert one["score"] == pytest.approx(other["score"], rel=1e-12)  # sums of other lengths round otherwise


def test_another_recipe_is_refused_with_both_hashes(bundle, others):
    with pytest.raises(AnalysisRefused, match=f"{bundle['recipe_hash'][:12]}.*Wanted: the same recipe"):
        applied(bundle, others, RECIPE.model_copy(update={"trees": 7}))


def test_another_extractor_is_refused_with_both_hashes(bundle, others):
    with pytest.raises(AnalysisRefused, match=r"preset toy \(abc\).*preset toy \(xyz\)"):
        applied(bundle, made_by(others, "xyz"))


def test_another_way_to_judge_is_no_other_recipe(bundle, others):
    assert applied(bundle, others, RECIPE.model_copy(update={"bootstrap": 7})).predictions.num_rows


def test_a_refused_bundle_is_not_applied(others):
    samples = made_by(toy_samples(), "abc")
    recipe = toy_recipe(("knn",), baselines=[])
    splits = analysis_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    refused = freeze(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT)
    with pytest.raises(AnalysisRefused, match=r"holds no model.*knn"):
        applied(refused, others, recipe)


def test_a_missing_column_is_told(bundle, others):
    with pytest.raises(ConfigError, match="lack 1 of 61 columns"):
        applied(bundle, others.drop_columns(["ct.f003"]))


def test_patients_outside_the_training_range_are_counted(bundle, others):
    used = bundle["parts"]["radiomics"]["features"]
    far = others
    for name in used:
        values = others[name].to_numpy().copy()
        values[3] = 1e6
        far = far.set_column(far.column_names.index(name), name, pa.array(values))
    outside = applied(bundle, far).outside
    assert outside[far["sample"].to_pylist()[3]] == 1.0
    assert sum(share == 1.0 for share in outside.values()) < others.num_rows


def test_no_name_of_a_training_patients_file_leaves_in_the_bundle(bundle):
    assert bundle["extractor"] == {"preset": "toy", "preset_hash": "abc", "software": {"a": "1"}}
    assert "p-of-training" not in json.dumps(bundle)


def test_the_rooms_agree_on_where_a_table_tells_what_made_it():
    assert METADATA_KEY == extractor.FACTS == table_source.FACTS


def test_jobs_lead_from_bundle_to_page(bundle, others, tmp_path):
    settings = Analysis(cohort="other", recipe="toy", bundle=ANALYSIS, outcome_label="progression")
    params = {
        "name": ELSEWHERE,
        "settings": settings.model_dump(mode="json"),
        "recipe": RECIPE.model_copy(update={"bootstrap": 50}).model_dump(mode="json"),
    }
    write_json(tmp_path / "bundle.json", bundle)
    write_parquet(tmp_path / "samples.parquet", others)
    paths = {"bundle": tmp_path / "bundle.json", "samples": tmp_path / "samples.parquet"}
    written = {"predictions": tmp_path / "predictions.parquet", "outside": tmp_path / "outside.json"}
    apply_job(**paths, params=params, out_predictions=written["predictions"], out_outside=written["outside"])
    evaluate_external_job(**paths, **written, params=params, out=tmp_path / "evaluation.json")
    evaluation = read_json(tmp_path / "evaluation.json")
    assert evaluation["procedure"] == "external"
    assert evaluation["primary"]["estimate"] is not None
    names = [row["name"] for row in evaluation["external"]["recalibrated"]]
    assert names == ["as frozen", "intercept", "intercept and slope"]
    stage = {"stage": "cohort", "title": "Patients of the cohort", "unit": "patients"}
    stage |= {"in": 40, "out": 40, "set_aside": []}
    flow = {"stages": [stage], "used": {"patients": 40, "samples": 40, "events": 16, "non_events": 24}, "set_aside": []}
    flow |= {"cohort": "other", "analysis": ELSEWHERE, "unit": "patient", "roi": "marrow", "images": ["ct"]}
    flow |= {
        "covariates": {"used": [], "absent": []},
        "quarantined": {"patients": 0, "of": 40, "share": 0.0, "limit": 0.2},
    }
    write_external_page(
        analysis={"name": ELSEWHERE, **params["settings"]},
        evaluation=tmp_path / "evaluation.json",
        flow={**flow, "mask_set": "manual", "second": None},
        recipe=params["recipe"],
        versions={"osteorad": "0"},
        hashes={"bundle.json": "0"},
        out_html=tmp_path / "report.html",
        out_json=tmp_path / "report.json",
    )
    assert check_page((tmp_path / "report.html").read_text(encoding="utf-8"), read_json(tmp_path / "report.json")) == []
    assert np.isfinite(evaluation["calibration"]["slope"]["estimate"])
