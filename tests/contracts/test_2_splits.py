"""Contract 2: one source of parts; a patient is never on both sides; learners see training rows only."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from osteorad.cohort import schemas
from osteorad.cohort.splits import training
from osteorad.files import read_parquet

ANALYSIS = "results/analyses/marrow"


@pytest.fixture
def splits(run):
    return read_parquet(run / ANALYSIS / "splits.parquet")


def broken_parts(splits: pa.Table) -> list[str]:
    """Everything that is wrong with a table of splits."""
    problems = []
    parts = defaultdict(set)
    tested = defaultdict(list)
    outer_train = defaultdict(set)
    for row in splits.to_pylist():
        at = (row["repeat"], row["fold"], row["inner_fold"])
        parts[at, row["patient"]].add(row["part"])
        if row["inner_fold"] == -1 and row["part"] == "test":
            tested[row["repeat"], row["sample"]].append(row["fold"])
        if row["inner_fold"] == -1 and row["part"] == "train":
            outer_train[at[:2]].add(row["patient"])
    problems += [f"patient in two parts: {key}" for key, names in parts.items() if len(names) > 1]
    problems += [f"tested {len(folds)} times: {key}" for key, folds in tested.items() if len(folds) != 1]
    inside = ((at[:2], patient) for (at, patient) in parts if at[2] != -1)
    problems += [f"inner patient is not in training: {p}" for at, p in inside if p not in outer_train[at]]
    return problems


def test_parts_hold(splits):
    assert splits.schema.equals(schemas.SPLITS)
    assert splits.num_rows > 0
    assert broken_parts(splits) == []


@pytest.mark.parametrize("inner", [False, True])
def test_a_patient_on_both_sides_is_found(splits, inner):
    rows = splits.to_pylist()
    row = next(r for r in rows if (r["inner_fold"] != -1) == inner and r["part"] == "test")
    rows.append({**row, "part": "train"})
    assert broken_parts(pa.Table.from_pylist(rows, schema=schemas.SPLITS))


def test_training_rows_are_those_of_the_split(run, splits):
    samples = read_parquet(run / ANALYSIS / "samples.parquet")
    rows = training(samples, splits, repeat=1, fold=1)
    here = splits.filter((pc.field("fold") == 1) & (pc.field("inner_fold") == -1) & (pc.field("part") == "train"))
    assert set(rows.samples) == set(here["sample"].to_pylist())
    test = splits.filter((pc.field("fold") == 1) & (pc.field("inner_fold") == -1) & (pc.field("part") == "test"))
    assert not set(rows.patients) & set(test["patient"].to_pylist())
