"""Jobs read and write files: all that is declared, nothing left from before, the same bytes twice."""

from __future__ import annotations

from pathlib import Path

from osteorad.cohort.config import Analysis
from osteorad.files import read_json, write_json, write_parquet
from osteorad.modelling.job_audit import audit_job
from osteorad.modelling.job_evaluate import evaluate_job
from osteorad.modelling.job_fit import fit_job
from osteorad.provenance import sha256_file
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT


def run(toy, folder: Path) -> None:
    write_parquet(folder / "samples.parquet", toy.samples)
    write_parquet(folder / "splits.parquet", toy.splits)
    settings = Analysis(cohort=COHORT, recipe="toy", outcome_label="progression")
    params = {
        "name": ANALYSIS,
        "settings": settings.model_dump(mode="json"),
        "recipe": toy.recipe.model_dump(mode="json"),
    }
    write_json(folder / "models" / "r9f9.json", {"left": "from an earlier run"})
    paths = {name: folder / f"{name}.parquet" for name in ("samples", "splits", "predictions", "steps", "selection")}
    fit_job(
        samples=paths["samples"],
        splits=paths["splits"],
        params=params,
        out_predictions=paths["predictions"],
        out_steps=paths["steps"],
        out_selection=paths["selection"],
        out_lineage=folder / "lineage.json",
        out_models=folder / "models",
    )
    audit_job(**paths, lineage=folder / "lineage.json", params=params, out=folder / "audit.json")
    evaluate_job(
        predictions=paths["predictions"],
        selection=paths["selection"],
        samples=paths["samples"],
        params=params,
        out=folder / "evaluation.json",
    )


def test_jobs_write_what_they_declare_and_the_same_bytes_twice(toy, tmp_path):
    written = []
    for name in ("one", "two"):
        run(toy, tmp_path / name)
        files = sorted(path for path in (tmp_path / name).rglob("*") if path.is_file())
        written.append({str(path.relative_to(tmp_path / name)): sha256_file(path) for path in files})
    assert written[0] == written[1]
    folds = {f"models/r{repeat}f{fold}.json" for repeat in (1, 2) for fold in (1, 2, 3)}
    tables = {f"{name}.parquet" for name in ("samples", "splits", "predictions", "steps", "selection")}
    assert set(written[0]) == {
        *folds, *tables, "models/models.json", "lineage.json", "audit.json", "evaluation.json",
    }  # fmt: skip
    manifest = read_json(tmp_path / "one" / "models" / "models.json")
    assert {f"models/{item['path']}" for item in manifest["files"]} == folds
    for item in manifest["files"]:
        assert item["sha256"] == written[0][f"models/{item['path']}"]
    assert read_json(tmp_path / "one" / "audit.json")["verdict"] == "pass"
    assert read_json(tmp_path / "one" / "evaluation.json")["outcome_label"] == "progression"
