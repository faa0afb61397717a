"""Splits: patients are never divided, everyone is tested once a repeat, strata are even, names decide."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteorad.cohort.config import Splits
from osteorad.cohort.schemas import SAMPLES, SPLITS
from osteorad.cohort.splits import OUTER, folds_of, held_out, inner_folds_of, make_splits, training
from osteorad.errors import AnalysisRefused


def samples(events: int, others: int, lesions: int = 1, seed: int = 0) -> pa.Table:
    """Patients with up to `lesions` samples; a patient with the event has it in one sample at least."""
    rng = np.random.default_rng(seed)
    rows = []
    for at in range(events + others):
        count = int(rng.integers(1, lesions + 1))
        for lesion in range(1, count + 1):
            outcome = int(at < events and (lesion == 1 or rng.random() < 0.5))
            rows.append({"patient": f"p{at:03d}", "lesion": lesion, "outcome": outcome})
    for at, row in enumerate(rows):
        row.update(cohort="c", session="s", roi="marrow", sample=f"k{at:04d}", mask_set="manual", site="")
    return pa.Table.from_pylist(rows, schema=SAMPLES)


def split(table, analysis="a", **wanted):
    return make_splits(
        table, Splits(**{"folds": 5, "inner_folds": 5, "repeats": 2, **wanted}), analysis=analysis, cohort="c"
    )


def divisions(splits):
    found = {}
    for row in splits.to_pylist():
        key = (row["repeat"], row["fold"], row["inner_fold"])
        found.setdefault(key, {"train": [], "test": []})[row["part"]].append((row["patient"], row["sample"]))
    return found


@settings(max_examples=40, deadline=None)
@given(
    st.integers(6, 30), st.integers(6, 30), st.integers(1, 4), st.integers(2, 6), st.integers(2, 6), st.integers(0, 99)
)
def test_properties(events, others, lesions, folds, inner_folds, seed):
    table = samples(events, others, lesions, seed)
    splits = split(table, folds=folds, inner_folds=inner_folds)
    assert splits.schema == SPLITS
    found = divisions(splits)
    everyone = sorted(table["sample"].to_pylist())
    stratum = {}
    for row in table.to_pylist():
        stratum[row["patient"]] = max(stratum.get(row["patient"], 0), row["outcome"])
    for where, sides in found.items():
        train, test = ({patient for patient, _ in sides[part]} for part in ("train", "test"))
        assert not train & test
        counts = [sum(stratum[p] == label for p in test) for label in (0, 1)]
        assert min(counts) >= (3 if where[2] == OUTER else 1)
    for repeat in (1, 2):
        outer = [sides for (r, _, inner), sides in found.items() if r == repeat and inner == OUTER]
        assert sorted(sample for sides in outer for _, sample in sides["test"]) == everyone
        sizes = [len({p for p, _ in sides["test"] if stratum[p]}) for sides in outer]
        assert max(sizes) - min(sizes) <= 1
        totals = [len({p for p, _ in sides["test"]}) for sides in outer]
        assert max(totals) - min(totals) <= 1
        for fold in range(1, len(outer) + 1):
            train = found[(repeat, fold, OUTER)]["train"]
            inner = [sides for (r, f, i), sides in found.items() if (r, f) == (repeat, fold) and i != OUTER]
            assert len(inner) >= 2
            assert sorted(row for sides in inner for row in sides["test"]) == sorted(train)
            assert all(sorted(sides["train"] + sides["test"]) == sorted(train) for sides in inner)


@pytest.mark.parametrize(
    ("events", "others", "asked", "want"), [(6, 6, 5, 2), (8, 40, 5, 2), (9, 40, 5, 3), (18, 22, 5, 5), (40, 15, 9, 5)]
)
def test_folds_are_reduced_until_three_of_each_class_are_tested(events, others, asked, want):
    splits = split(samples(events, others), folds=asked)
    assert len(folds_of(splits)) == 2 * want


@pytest.mark.parametrize(("events", "others"), [(5, 30), (30, 5), (0, 20)])
def test_under_six_of_a_class_is_refused_with_both_counts(events, others):
    with pytest.raises(AnalysisRefused, match=f"{events} with and {others} without"):
        split(samples(events, others))


def test_names_decide_and_the_order_of_rows_does_not():
    table = samples(10, 14, lesions=3)
    base = split(table)
    assert split(table.take(np.random.default_rng(1).permutation(table.num_rows))).equals(base)
    tested = [(row["patient"], row["fold"]) for row in base.to_pylist() if row["inner_fold"] == OUTER]
    for other in (split(table, analysis="b"), split(table, seed=2)):
        assert (
            [(row["patient"], row["fold"]) for row in other.to_pylist() if row["inner_fold"] == OUTER] != [] != tested
        )
        assert not other.drop_columns("analysis").equals(base.drop_columns("analysis"))
    found = divisions(base)
    assert found[(1, 1, OUTER)] != found[(2, 1, OUTER)]  # repeats divide anew


def test_training_gives_training_rows_and_held_out_rows_have_no_outcome():
    table = samples(8, 10)
    splits = split(table)
    for repeat, fold in folds_of(splits):
        train = training(table, splits, repeat=repeat, fold=fold)
        test = held_out(table, splits, repeat=repeat, fold=fold)
        assert not set(train.samples) & set(test.samples)
        assert sorted(train.samples + test.samples) == sorted(table["sample"].to_pylist())
        truth = dict(zip(table["sample"].to_pylist(), table["outcome"].to_pylist(), strict=True))
        assert train.outcome.tolist() == [truth[name] for name in train.samples]
        assert "outcome" not in test.table.column_names
        assert not hasattr(test, "outcome")
        for inner_fold in inner_folds_of(splits, repeat=repeat, fold=fold):
            inside = training(table, splits, repeat=repeat, fold=fold, inner_fold=inner_fold)
            outside = held_out(table, splits, repeat=repeat, fold=fold, inner_fold=inner_fold)
            assert sorted(inside.samples + outside.samples) == sorted(train.samples)


def test_a_fold_or_sample_that_does_not_exist_is_an_error():
    table = samples(8, 10)
    splits = split(table)
    with pytest.raises(ValueError, match="no train rows of repeat 7"):
        training(table, splits, repeat=7, fold=1)
    with pytest.raises(ValueError, match="not in the samples table"):
        training(table.slice(0, 5), splits, repeat=1, fold=1)


def test_infinite_values_are_missing():
    table = samples(8, 10)
    table = table.append_column("ct.x", pa.array([np.inf, -np.inf, None, *range(15)], pa.float64()))
    matrix = training(table, split(table), repeat=1, fold=1).matrix(["ct.x"])
    assert not np.isinf(matrix).any()
