"""Who draws whom: no patient by a network that saw the patient."""

from __future__ import annotations

import pyarrow as pa
import pytest

from osteorad.cohort.schemas import SAMPLES, SPLITS
from osteorad.segmentation.ensemble import EXTERNAL, OUT_OF_FOLD, InFoldMask, assignments, refuse_in_fold
from tests.unit.segmentation.invented_fold import INNER, TESTED, samples_table, splits_table

SEEN = {inner: frozenset(p for other, held in INNER.items() if other != inner for p in held) for inner in INNER}


def test_training_patients_get_the_one_that_skipped_them_and_test_patients_all() -> None:
    found = {one.patient: one for one in assignments(samples_table(), splits_table(), repeat=1, fold=1)}
    assert set(found) == {*TESTED, *(patient for held in INNER.values() for patient in held)}
    for patient in TESTED:
        assert (found[patient].role, found[patient].networks) == (EXTERNAL, ("i1", "i2", "i3"))
    for inner, held in INNER.items():
        for patient in held:
            assert (found[patient].role, found[patient].networks) == (OUT_OF_FOLD, (f"i{inner}",))
    refuse_in_fold(list(found.values()), SEEN)


def test_all_sessions_of_a_patient_go_together() -> None:
    found = {one.patient: one for one in assignments(samples_table(), splits_table(), repeat=1, fold=1)}
    assert found["p1"].sessions == ("s1", "s2")
    assert found["p2"].sessions == ("s1",)


@pytest.mark.parametrize(("inner", "patient"), [(1, "p1"), (3, "t1"), (2, "t2")])
def test_a_network_that_saw_the_patient_is_refused(inner: int, patient: str) -> None:
    """p1 is held out by inner fold 1; t1 and t2 are test patients of the outer fold."""
    chosen = assignments(samples_table(), splits_table(), repeat=1, fold=1)
    seen = {**SEEN, inner: SEEN[inner] | {patient}}
    with pytest.raises(InFoldMask, match=f"network i{inner} saw patient {patient}"):
        refuse_in_fold(chosen, seen)


def test_a_patient_held_out_twice_is_refused() -> None:
    rows = splits_table().to_pylist()
    rows += [{**row, "inner_fold": 2} for row in rows if row["inner_fold"] == 1 and row["patient"] == "p1"]
    with pytest.raises(InFoldMask, match="patient p1 is held out by"):
        assignments(samples_table(), pa.Table.from_pylist(rows, schema=SPLITS), repeat=1, fold=1)


def test_a_patient_whom_no_network_is_left_for_is_refused() -> None:
    rows = [row for row in splits_table().to_pylist() if row["inner_fold"] == -1]
    chosen = assignments(samples_table(), pa.Table.from_pylist(rows, schema=SPLITS), repeat=1, fold=1)
    with pytest.raises(InFoldMask, match="no network is left that did not see patient t1"):
        refuse_in_fold(chosen, {})


def test_an_unknown_fold_is_refused() -> None:
    with pytest.raises(ValueError, match="splits hold no test rows"):
        assignments(samples_table(), splits_table(), repeat=1, fold=2)


def test_tables_are_those_of_the_cohort() -> None:
    assert samples_table().schema == SAMPLES
