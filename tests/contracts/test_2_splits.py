"""Contract 2: one source of parts; a patient is never on both sides; learners see training rows only."""

from __future__ import annotations

from collections import defaultdict

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteorad.cohort import schemas
from osteorad.cohort.recipe import Splits
from osteorad.cohort.splits import AS_PUBLISHED, FROZEN, NESTED, make_splits, training
from osteorad.files import read_parquet

ANALYSIS = "results/analyses/marrow"


@pytest.fixture
def splits(run):
    return of_procedure(run, NESTED)


def of_procedure(run, procedure: str) -> pa.Table:
    """Rows of one procedure of the run's splits."""
    return read_parquet(run / ANALYSIS / "splits.parquet").filter(pc.field("procedure") == procedure)


def broken_parts(splits: pa.Table, *, tested_once: bool = True) -> list[str]:
    """Everything that is wrong with a table of splits; in a hold-out not everyone is tested."""
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
    problems += [
        f"tested {len(folds)} times: {key}" for key, folds in tested.items() if tested_once and len(folds) != 1
    ]
    inside = ((at[:2], patient) for (at, patient) in parts if at[2] != -1)
    problems += [f"inner patient is not in training: {p}" for at, p in inside if p not in outer_train[at]]
    return problems


def test_parts_hold(splits):
    assert splits.schema.equals(schemas.SPLITS)
    assert splits.num_rows > 0
    assert broken_parts(splits) == []


def test_the_bundle_learns_from_all_and_its_inner_folds_divide_nobody(run, splits):
    frozen = of_procedure(run, FROZEN)
    assert broken_parts(frozen) == []
    outer = frozen.filter(pc.field("inner_fold") == -1)
    assert set(outer["part"].to_pylist()) == {"train"}
    assert set(outer["sample"].to_pylist()) == set(splits["sample"].to_pylist())


def test_the_papers_own_division_stands_apart(run):
    published = of_procedure(run, AS_PUBLISHED)
    assert published.num_rows > 0
    assert broken_parts(published, tested_once=False) == []  # Zhu divided patients


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


@settings(max_examples=30, deadline=None)
@given(
    st.sampled_from(["folds", "hold-out", "site", "column"]),
    st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2), st.integers(1, 3)), min_size=40, max_size=70),
    st.floats(0.05, 0.9),
)
def test_parts_hold_in_every_kind_of_split(kind, people, share):
    """people : outcome, site and number of samples of each patient; 20 more make each class large enough everywhere."""
    everyone = [*people, *((at % 2, at % 3, 1) for at in range(30))]
    rows = [
        {"patient": f"p{at:03d}", "sample": f"s{at:03d}-{n}", "outcome": outcome, "site": f"site {site}"}
        for at, (outcome, site, count) in enumerate(everyone)
        for n in range(count)
    ]
    table = pa.Table.from_pylist(rows, schema=schemas.SAMPLES)
    table = table.append_column("clinical.centre", table["site"])
    wanted = Splits(kind=kind, column="centre" if kind == "column" else None, test_share=share, repeats=2)
    splits = make_splits(table, wanted, analysis="a", cohort="c")
    assert broken_parts(splits, tested_once=kind != "hold-out") == []
