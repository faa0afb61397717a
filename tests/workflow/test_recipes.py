"""Every recipe from DICOM to its page: nested and audited, as published beside it, frozen and applied elsewhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from osteorad.files import read_json, read_parquet
from tests.workflow.snake import ROOT, planned, snakemake, working_folder

pytestmark = [pytest.mark.slow, pytest.mark.workflow]
RECIPES = {"marrow": "zhu2024", "primary": "zhao2024", "lesions": "lu2025", "own-choice": "best"}
PUBLISHED = ("marrow", "primary", "lesions")


@pytest.fixture(scope="module")
def finished(tmp_path_factory) -> Path:
    folder = working_folder(tmp_path_factory.mktemp("recipes"), ROOT / "tests/configs/recipes/config.yaml")
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    return folder / "results/analyses"


@pytest.mark.parametrize("analysis", RECIPES)
def test_nested_result_is_audited_and_clean(finished, analysis):
    audit = read_json(finished / analysis / "audit.json")
    assert audit["verdict"] in ("pass", "warn"), [c for c in audit["checks"] if c["verdict"] == "fail"]
    assert [check["code"] for check in audit["checks"]] == [f"A{number}" for number in range(1, 14)]
    assert audit["passed"] >= 9


@pytest.mark.parametrize("analysis", PUBLISHED)
def test_the_papers_own_order_is_flagged_and_stands_below(finished, analysis):
    audit = read_json(finished / analysis / "audit.json")["as_published"]
    assert audit["verdict"] == "fail"
    failed = {check["code"] for check in audit["checks"] if check["verdict"] == "fail"}
    assert {"A2", "A6"} <= failed
    assert ("A1" in failed) == (analysis != "marrow")  # Zhu divided patients, the others lesions
    evaluation = read_json(finished / analysis / "evaluation.json")
    assert evaluation["published"]["permuted"]["values"]
    page = (finished / analysis / "report.html").read_text(encoding="utf-8")
    assert page.index('id="answer"') < page.index('id="as-published"')


def test_our_own_choice_replays_no_paper(finished):
    assert read_json(finished / "own-choice/audit.json")["as_published"] is None
    assert read_json(finished / "own-choice/evaluation.json")["published"] is None


@pytest.mark.parametrize(
    ("analysis", "variables"),
    [
        ("marrow", {"radiomics", "clinical", "combined", "volume", "prevalence"}),
        ("primary", {"radiomics", "clinical", "volume", "prevalence"}),
        ("lesions", {"radiomics", "metabolic", "volume", "prevalence"}),
        ("own-choice", {"radiomics", "clinical", "combined", "volume", "site", "prevalence"}),
    ],
)
def test_baselines_and_controls_are_rows_like_any_other(finished, analysis, variables):
    rows = read_parquet(finished / analysis / "predictions.parquet").to_pylist()
    nested = [row for row in rows if row["procedure"] == "nested"]
    assert {row["variables"] for row in nested if row["control"] == "none"} == variables
    assert {row["repeat"] for row in nested if row["control"] == "permuted"} == set(range(121))
    assert any(row["control"] == "shuffled" for row in nested) == (analysis == "marrow")


def test_lesions_of_a_patient_are_never_divided_and_have_their_own_outcome(finished):
    splits = read_parquet(finished / "lesions/splits.parquet").to_pylist()
    sides: dict[tuple, set[str]] = {}
    for row in splits:
        if row["procedure"] == "nested":
            key = (row["repeat"], row["fold"], row["inner_fold"], row["patient"])
            sides.setdefault(key, set()).add(row["part"])
    assert all(len(parts) == 1 for parts in sides.values())
    samples = read_parquet(finished / "lesions/samples.parquet")
    outcomes: dict[str, set[int]] = {}
    for patient, outcome in zip(samples["patient"].to_pylist(), samples["outcome"].to_pylist(), strict=True):
        outcomes.setdefault(patient, set()).add(outcome)
    assert any(values == {0, 1} for values in outcomes.values())
    assert read_json(finished / "lesions/evaluation.json")["patient_level"]["aggregate"] == "any"
    names = samples.column_names
    assert {"pet.suv_Max", "pet.suv_MTV-41", "pet.suv_TLG-41"} <= set(names)
    assert any(name.startswith("fused.") for name in names)


def test_the_second_reader_decides_what_is_stable(finished):
    selection = read_parquet(finished / "primary/selection.parquet").to_pylist()
    dropped = [row for row in selection if row["step"] == "icc"]
    assert dropped
    assert all("ICC" in row["reason"] for row in dropped)


def test_a_frozen_model_is_applied_elsewhere_or_refused_with_its_reason(finished):
    bundle = read_json(finished / "own-choice/bundle/bundle.json")
    assert bundle["state"] == "frozen"
    rows = read_parquet(finished / "transported/predictions.parquet").to_pylist()
    assert {(row["procedure"], row["part"]) for row in rows} == {("external", "test")}
    assert len({row["patient"] for row in rows}) == 12
    page = (finished / "transported/report.html").read_text(encoding="utf-8")
    assert re.search("frozen", page)


def test_a_second_run_has_nothing_to_do(finished):
    assert planned(finished.parents[1]) == {}
