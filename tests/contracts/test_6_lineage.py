"""Contract 6: everything learned says what it was fitted on, and the audit finds a test patient upstream."""

from __future__ import annotations

from collections import defaultdict

from osteorad.cohort import schemas
from osteorad.files import read_json, read_parquet

ANALYSIS = "results/analyses/marrow"


def test_every_fitted_step_names_its_rows(run):
    steps = read_parquet(run / ANALYSIS / "steps.parquet")
    assert steps.schema.equals(schemas.STEPS)
    splits = read_parquet(run / ANALYSIS / "splits.parquet").to_pylist()
    size: dict[tuple[int, int, int], int] = defaultdict(int)
    for row in splits:
        size[row["repeat"], row["fold"], row["inner_fold"]] += row["part"] == "train"
    rows = steps.to_pylist()
    assert {r["step"] for r in rows} >= {"impute", "zscore", "correlation", "mrmr"}
    assert all(len(r["fit_hash"]) == 32 for r in rows)
    assert [r["step"] for r in rows if r["fit_rows"] != size[r["repeat"], r["fold"], r["inner_fold"]]] == []


def test_lineage_reaches_back_to_the_images(run):
    lineage = read_json(run / ANALYSIS / "lineage.json")
    text = str(lineage)
    for name in ("samples", "splits", "features"):
        assert name in text


def test_audit_passes_with_evidence(run):
    audit = read_json(run / ANALYSIS / "audit.json")
    assert [(c["code"], c["verdict"]) for c in audit["checks"] if c["verdict"] not in ("pass", "not applicable")] == []
    assert {c["code"] for c in audit["checks"] if c["verdict"] == "pass"} >= {"A1", "A2", "A3", "A6", "A7"}
    assert all(c["finding"] for c in audit["checks"])
