"""Splits: patients are never divided, everyone is tested once a repeat, strata are even, names decide."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from osteorad.cohort.recipe import Published, Splits
from osteorad.cohort.schemas import SAMPLES, SPLITS
from osteorad.cohort.splits import (
    AS_PUBLISHED,
    OUTER,
    folds_of,
    held_out,
    inner_folds_of,
    make_splits,
    refuse_fewer_folds,
    training,
)
from osteorad.errors import AnalysisRefused, ConfigError


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
    classes = {}  # a patient with lesions of both outcomes counts for both
    for row in table.to_pylist():
        classes.setdefault(row["patient"], set()).add(row["outcome"])
    for where, sides in found.items():
        train, test = ({patient for patient, _ in sides[part]} for part in ("train", "test"))
        assert not train & test
        counts = [sum(label in classes[p] for p in test) for label in (0, 1)]
        assert min(counts) >= (3 if where[2] == OUTER else 1)
    for repeat in (1, 2):
        outer = [sides for (r, _, inner), sides in found.items() if r == repeat and inner == OUTER]
        assert sorted(sample for sides in outer for _, sample in sides["test"]) == everyone
        for label in (0, 1):
            sizes = [len({p for p, _ in sides["test"] if label in classes[p]}) for sides in outer]
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


def test_patients_with_lesions_of_both_outcomes_count_for_both_classes():
    rows = [(f"p{at:02d}", outcome) for at in range(6) for outcome in (0, 1)] + [("p06", 1), ("p07", 1), ("p08", 0)]
    facts = {"cohort": "c", "session": "s", "roi": "lesion", "lesion": 1, "mask_set": "manual", "site": ""}
    table = pa.Table.from_pylist(
        [{**facts, "patient": p, "sample": f"k{at}", "outcome": outcome} for at, (p, outcome) in enumerate(rows)],
        schema=SAMPLES,
    )
    assert len(folds_of(split(table, repeats=1))) == 2
    hold_out = split(table, kind="hold-out", repeats=3)
    for sides in divisions(hold_out).values():
        test = {patient for patient, _ in sides["test"]}
        assert {outcome for patient, outcome in rows if patient in test} == {0, 1}


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
    with pytest.raises(ValueError, match="no train rows of nested repeat 7"):
        training(table, splits, repeat=7, fold=1)
    with pytest.raises(ValueError, match="not in the samples table"):
        training(table.slice(0, 5), splits, repeat=1, fold=1)


def test_infinite_values_are_missing():
    table = samples(8, 10)
    table = table.append_column("ct.x", pa.array([np.inf, -np.inf, None, *range(15)], pa.float64()))
    matrix = training(table, split(table), repeat=1, fold=1).matrix(["ct.x"])
    assert not np.isinf(matrix).any()


# --- hold-out, sites, columns


def patients_tested(splits, repeat=1, fold=1, procedure="nested"):
    rows = (row for row in splits.to_pylist() if row["procedure"] == procedure)
    return {
        row["patient"]
        for row in rows
        if (row["repeat"], row["fold"], row["inner_fold"], row["part"]) == (repeat, fold, OUTER, "test")
    }


def with_column(table, name, value_of):
    return table.append_column(name, pa.array([value_of(p) for p in table["patient"].to_pylist()]))


def at_sites(table, site_of):
    at = table.schema.get_field_index("site")
    return table.set_column(at, "site", pa.array([site_of(p) for p in table["patient"].to_pylist()], pa.string()))


@pytest.mark.parametrize(("share", "events", "others"), [(0.3, 6, 12), (0.05, 3, 3), (0.9, 17, 36)])
def test_a_hold_out_tests_the_share_of_each_class_and_leaves_three_on_either_side(share, events, others):
    table = samples(20, 40)
    splits = split(table, kind="hold-out", test_share=share, repeats=3)
    assert folds_of(splits) == [(1, 1), (2, 1), (3, 1)]
    for repeat in (1, 2, 3):
        tested = patients_tested(splits, repeat)
        assert sum(p < "p020" for p in tested) == events
        assert sum(p >= "p020" for p in tested) == others
        assert len(inner_folds_of(splits, repeat=repeat, fold=1)) >= 2
    assert patients_tested(splits, 1) != patients_tested(splits, 2)


def test_each_site_is_left_out_once_and_small_ones_together():
    """Patients by number modulo 10: sites a (0 to 4), b (5 to 7), c (8), d (9); c and d are too small alone."""
    table = at_sites(samples(20, 20), lambda p: "aaaaabbbcd"[int(p[1:]) % 10])
    splits = split(table, kind="site")
    site = dict(zip(table["patient"].to_pylist(), table["site"].to_pylist(), strict=True))
    left_out = [{site[p] for p in patients_tested(splits, fold=fold)} for _, fold in folds_of(splits)]
    assert left_out == [{"a"}, {"b"}, {"c", "d"}]


def test_a_site_with_one_class_is_a_part_of_its_own():
    table = at_sites(samples(12, 18), lambda p: "a" if p < "p006" else "b" if p < "p020" else "c")
    splits = split(table, kind="site")
    assert [len(patients_tested(splits, fold=fold)) for _, fold in folds_of(splits)] == [14, 16]


@pytest.mark.parametrize(
    ("site_of", "message"),
    [
        (lambda p: "a", "all patients are in one part, 'a'"),
        (lambda p: "" if p < "p003" else "a" if p < "p010" else "b", "3 of 20 patients have no value"),
        (lambda p: "a" if p < "p008" else "b", "training part of fold 1: 2 with and 10 without"),
    ],
)
def test_sites_that_cannot_be_left_out_are_refused(site_of, message):
    with pytest.raises(AnalysisRefused, match=message):
        split(at_sites(samples(10, 10), site_of), kind="site")


def test_a_column_of_fold_numbers_is_taken_at_its_word():
    table = with_column(samples(12, 12), "clinical.part", lambda p: float(int(p[1:]) % 12 + 1))
    splits = split(table, kind="column", column="part", repeats=5)
    assert folds_of(splits) == [(1, fold) for fold in range(1, 13)]  # 10 after 9, not after 1
    assert patients_tested(splits, fold=10) == {"p009", "p021"}


def test_a_column_of_train_and_test_is_one_division():
    table = with_column(samples(12, 12), "clinical.part", lambda p: "Test" if int(p[1:]) % 3 == 0 else "train")
    splits = split(table, kind="column", column="part")
    assert folds_of(splits) == [(1, 1)]
    assert patients_tested(splits) == {f"p{at:03d}" for at in range(0, 24, 3)}


def test_a_column_that_is_not_there_names_the_nearest():
    table = with_column(samples(12, 12), "clinical.part", lambda p: "train")
    with pytest.raises(ConfigError, match=r"Did you mean 'clinical\.part'"):
        split(table, kind="column", column="parts")


def test_a_test_part_of_one_class_only_gives_no_auc_and_is_refused():
    table = with_column(samples(12, 12), "clinical.part", lambda p: "test" if p < "p004" else "train")
    with pytest.raises(AnalysisRefused, match="no test part holds patients of both classes"):
        split(table, kind="column", column="part")


# --- the division of a paper


def published(table, **wanted):
    return make_splits(table, Splits(), analysis="a", cohort="c", procedure=AS_PUBLISHED, published=Published(**wanted))


def test_lesions_of_a_patient_fall_apart_only_where_the_paper_divided_lesions():
    table = samples(30, 30, lesions=4)
    for by, divided in (("patient", False), ("sample", True)):
        rows = published(table, split="folds", by=by, repeats=1).to_pylist()
        parts = {}
        for row in rows:
            parts.setdefault((row["fold"], row["patient"]), set()).add(row["part"])
        assert any(len(found) == 2 for found in parts.values()) == divided
        tested = sorted(row["sample"] for row in rows if row["part"] == "test")
        assert tested == sorted(table["sample"].to_pylist())


def test_a_published_hold_out_has_the_share_and_repeats_of_the_paper():
    splits = published(samples(37, 69), test_share=0.2, repeats=3)
    assert folds_of(splits) == []  # the nested procedure is another one
    assert folds_of(splits, AS_PUBLISHED) == [(1, 1), (2, 1), (3, 1)]
    assert len(patients_tested(splits, procedure=AS_PUBLISHED)) == 7 + 14


@pytest.mark.parametrize(("choose_on", "inner"), [("test", []), ("inner", [1, 2, 3, 4, 5])])
def test_a_paper_has_inner_folds_only_where_it_chose_inside(choose_on, inner):
    splits = published(samples(20, 20), choose_on=choose_on)
    assert inner_folds_of(splits, repeat=1, fold=1, procedure=AS_PUBLISHED) == inner


def test_procedures_in_one_table_do_not_mix():
    table = samples(12, 12)
    both = pa.concat_tables([split(table), published(table)])
    assert folds_of(both) == folds_of(split(table))
    nested, paper = (training(table, both, repeat=1, fold=1, procedure=p) for p in ("nested", AS_PUBLISHED))
    assert nested.samples == training(table, split(table), repeat=1, fold=1).samples
    assert nested.samples != paper.samples


@pytest.mark.parametrize(
    ("events", "asked", "message"),
    [
        (
            9,
            {"folds": 5, "inner_folds": 2, "repeats": 2},
            "a: 5 folds are asked, and the patients suffice for 3. Networks are planned for each fold before patients "
            "are counted. Wanted: splits.folds: 3.",
        ),
        (
            6,
            {"folds": 2, "inner_folds": 4, "repeats": 1},
            "a: 4 inner folds are asked, and the patients suffice for 3. Wanted: splits.inner_folds: 3.",
        ),
    ],
)
def test_networks_are_planned_beforehand_so_fewer_folds_are_refused(events, asked, message):
    table, settings = samples(events, 30), Splits(**asked)
    splits = make_splits(table, settings, analysis="a", cohort="c")
    with pytest.raises(AnalysisRefused) as raised:
        refuse_fewer_folds(splits, settings, "a")
    assert str(raised.value) == message


def test_as_many_folds_as_asked_are_not_refused():
    settings = Splits(folds=3, inner_folds=3, repeats=1)
    refuse_fewer_folds(make_splits(samples(12, 12), settings, analysis="a", cohort="c"), settings, "a")
