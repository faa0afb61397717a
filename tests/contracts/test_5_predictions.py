"""Contract 5: every figure of performance is computed from predictions.parquet and nothing else."""

from __future__ import annotations

import json
from collections import Counter, defaultdict

import pyarrow as pa
import pytest
from sklearn.metrics import roc_auc_score

from osteorad.cohort import schemas
from osteorad.files import read_json, read_parquet

ANALYSIS = "results/analyses/marrow"


@pytest.fixture
def predictions(run):
    return read_parquet(run / ANALYSIS / "predictions.parquet")


def broken_predictions(table: pa.Table, splits: pa.Table) -> list[str]:
    """Everything wrong with the nested rows of a table of predictions, controls apart, against their splits."""
    problems = []
    rows = [r for r in table.to_pylist() if (r["procedure"], r["control"]) == ("nested", "none")]
    nested = [r for r in splits.to_pylist() if r["procedure"] == "nested"]
    times = Counter(
        (r["repeat"], r["model"], r["variables"], r["control"], r["sample"]) for r in rows if r["part"] == "test"
    )
    problems += [f"predicted {n} times: {key}" for key, n in times.items() if n != 1]
    parts = {(r["repeat"], r["fold"], r["sample"]): r["part"] for r in nested if r["inner_fold"] == -1}
    problems += [
        f"part differs from the split: {r['sample']}"
        for r in rows
        if parts[r["repeat"], r["fold"], r["sample"]] != r["part"]
    ]
    chosen = defaultdict(set)
    for r in rows:
        if r["chosen"] and r["variables"] == "radiomics":
            chosen[r["repeat"], r["fold"]].add(r["model"])
    problems += [f"{len(models)} chosen models in {at}" for at, models in chosen.items() if len(models) != 1]
    tested = {r["sample"] for r in nested}
    done = {r["sample"] for r in rows if r["chosen"] and r["variables"] == "radiomics" and r["part"] == "test"}
    problems += [f"never predicted: {s}" for s in sorted(tested - done)]
    return problems


def test_predictions_hold(run, predictions):
    assert predictions.schema.equals(schemas.PREDICTIONS)
    assert broken_predictions(predictions, read_parquet(run / ANALYSIS / "splits.parquet")) == []
    models = {r["model"] for r in predictions.to_pylist() if r["variables"] == "radiomics"}
    assert models == {"logistic", "svm", "knn", "random-forest", "extra-trees", "lightgbm", "mlp"}
    assert {"volume", "clinical", "combined", "prevalence"} <= set(predictions["variables"].to_pylist())


def test_controls_are_rows_like_any_other(run, predictions):
    rows = [r for r in predictions.to_pylist() if (r["procedure"], r["control"]) == ("nested", "permuted")]
    samples = {r["sample"] for r in predictions.to_pylist()}
    times = Counter((r["repeat"], r["sample"]) for r in rows)
    assert len({repeat for repeat, _ in times}) >= 100
    assert set(times.values()) == {1}
    assert {sample for _, sample in times} == samples
    events = Counter(r["repeat"] for r in rows if r["outcome"])
    assert len(set(events.values())) == 1  # a permutation deals out the same outcomes


def test_the_papers_own_order_keeps_to_its_own_division(run, predictions):
    splits = read_parquet(run / ANALYSIS / "splits.parquet").to_pylist()
    parts = {
        (r["repeat"], r["fold"], r["sample"]): r["part"]
        for r in splits
        if r["procedure"] == "as-published" and r["inner_fold"] == -1
    }
    rows = [r for r in predictions.to_pylist() if (r["procedure"], r["control"]) == ("as-published", "none")]
    assert rows
    assert [r for r in rows if parts[r["repeat"], r["fold"], r["sample"]] != r["part"]] == []


@pytest.mark.parametrize("change", ["drop", "double", "part"])
def test_a_broken_table_is_found(run, predictions, change):
    rows = predictions.to_pylist()
    first = next(i for i, r in enumerate(rows) if r["chosen"] and r["variables"] == "radiomics" and r["part"] == "test")
    match change:
        case "drop":
            gone = rows[first]["sample"]
            rows = [r for r in rows if r["sample"] != gone]
        case "double":
            rows.append(rows[first])
        case "part":
            rows[first] = {**rows[first], "part": "train"}
    table = pa.Table.from_pylist(rows, schema=schemas.PREDICTIONS)
    assert broken_predictions(table, read_parquet(run / ANALYSIS / "splits.parquet"))


def test_the_headline_is_the_mean_auc_within_folds(run, predictions):
    by_fold = defaultdict(list)
    for r in predictions.to_pylist():
        nested = (r["procedure"], r["control"]) == ("nested", "none")
        if nested and r["chosen"] and r["variables"] == "radiomics" and r["part"] == "test":
            by_fold[r["repeat"], r["fold"]].append((r["outcome"], r["score"]))
    aucs = [roc_auc_score(*zip(*rows, strict=True)) for rows in by_fold.values()]
    evaluation = read_json(run / ANALYSIS / "evaluation.json")
    assert evaluation["primary"]["estimate"] == pytest.approx(sum(aucs) / len(aucs), abs=1e-12)
    shown = numbers_of(read_json(run / ANALYSIS / "report.json"))  # six digits
    assert min(abs(number - evaluation["primary"]["estimate"]) for number in shown) < 1e-6


def numbers_of(value: object) -> set[float]:
    """Every number that stands anywhere in a JSON value."""
    found: set[float] = set()
    json.loads(json.dumps(value), parse_float=lambda text: found.add(float(text)) or 0.0)
    return found
