"""Contract 6: everything learned says what it was fitted on, and the audit finds a test patient upstream."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import pyarrow as pa

from osteorad.cohort import schemas
from osteorad.cohort.load import load
from osteorad.files import read_json, read_parquet
from osteorad.modelling.auditing.certificate import audit_analysis
from osteorad.modelling.auditing.tables import AuditTables
from tests.workflow.snake import ROOT

ANALYSIS = "results/analyses/marrow"


def audited(run: Path, **broken: pa.Table) -> dict[str, str]:
    """Check -> verdict of the run's own tables, some of them replaced by broken ones."""
    names = ("samples", "splits", "predictions", "steps", "selection")
    loaded = load(run, ROOT)
    tables = {name: read_parquet(run / ANALYSIS / f"{name}.parquet") for name in names} | broken
    lineage = read_json(run / ANALYSIS / "lineage.json")
    found = AuditTables(**tables, lineage=lineage, recipe=loaded.recipes["marrow"], analysis="marrow")
    return {check["code"]: check["verdict"] for check in audit_analysis(found, cohort="small")["checks"]}


def test_a_test_patient_upstream_is_found(run):
    """The breaker: one test patient of the outer fold enters its training part."""
    rows = read_parquet(run / ANALYSIS / "splits.parquet").to_pylist()
    leaked = next(r for r in rows if r["inner_fold"] == -1 and r["part"] == "test")
    here = [r for r in rows if (r["repeat"], r["fold"]) == (leaked["repeat"], leaked["fold"])]
    inner = sorted({r["inner_fold"] for r in here} - {-1})
    rows += [{**leaked, "inner_fold": i, "part": "test" if i == inner[0] else "train"} for i in inner]
    rows.append({**leaked, "part": "train"})
    verdicts = audited(run, splits=pa.Table.from_pylist(rows, schema=schemas.SPLITS))
    assert verdicts["A1"] == "fail"


def test_a_step_fitted_on_other_rows_is_found(run):
    """The breaker: a step says that it was fitted on something else."""
    rows = read_parquet(run / ANALYSIS / "steps.parquet").to_pylist()
    rows[0] = {**rows[0], "fit_hash": "0" * 32}
    verdicts = audited(run, steps=pa.Table.from_pylist(rows, schema=schemas.STEPS))
    assert verdicts["A2"] == "fail"
    assert verdicts["A1"] == "pass"


def test_every_fitted_step_names_its_rows(run):
    steps = read_parquet(run / ANALYSIS / "steps.parquet")
    assert steps.schema.equals(schemas.STEPS)
    splits = read_parquet(run / ANALYSIS / "splits.parquet").to_pylist()
    size: dict[tuple[int, int, int], int] = defaultdict(int)
    for row in splits:
        if row["procedure"] == "nested":
            size[row["repeat"], row["fold"], row["inner_fold"]] += row["part"] == "train"
    every = steps.to_pylist()
    rows = [row for row in every if row["procedure"] == "nested"]
    assert {r["step"] for r in rows} >= {"impute", "zscore", "correlation", "mrmr"}
    assert all(len(r["fit_hash"]) == 32 for r in rows)
    assert [r["step"] for r in rows if r["fit_rows"] != size[r["repeat"], r["fold"], r["inner_fold"]]] == []
    leaky = [row for row in every if row["procedure"] == "as-published" and row["step"] == "mrmr"]
    assert {row["fit_rows"] for row in leaky} == {len({row["sample"] for row in splits})}  # and says so


def test_lineage_reaches_back_to_the_images(run):
    lineage = read_json(run / ANALYSIS / "lineage.json")
    text = str(lineage)
    for name in ("samples", "splits", "features"):
        assert name in text


def test_audit_passes_with_evidence(run):
    audit = read_json(run / ANALYSIS / "audit.json")
    assert [(c["code"], c["verdict"]) for c in audit["checks"] if c["verdict"] not in ("pass", "not applicable")] == []
    passed = {c["code"] for c in audit["checks"] if c["verdict"] == "pass"}
    assert passed >= {"A1", "A2", "A3", "A5", "A6", "A7", "A8", "A10"}
    assert all(c["finding"] for c in audit["checks"])
