"""Cases of networks: every session ends as a case or with a reason; patients are never divided."""

from __future__ import annotations

import pyarrow as pa
import pytest

from osteorad.cohort.cases import Manifests, make_cases
from osteorad.cohort.schemas import PATIENTS, SERIES
from osteorad.cohort.segmentation import CaseSplits, SegmentationRecipe
from osteorad.cohort.splits import OUTER, case_splits, held_out, inner_folds_of, training
from osteorad.errors import AnalysisRefused
from osteorad.files import table_from_rows

NAMES = [f"p{number:012x}" for number in range(16)]
SHA = "ab" * 32


def recipe(**changes):
    base = {
        "name": "r",
        "title": "t",
        "kind": "segmentation",
        "segmentation": {"bone": "bone", "networks": {"unet": {"network": "unet2d_tiny"}}},
        "splits": {"folds": 3},
    }
    return SegmentationRecipe.model_validate({**base, **changes})


def mask(roi, lesion=1, session="s1", image="ct"):
    return {"session": session, "image": image, "roi": roi, "lesion": lesion, "path": "x", "sha256": SHA}


def manifests(patient, masks, sessions=("s1",)):
    images = [{"session": session, "image": "ct", "sha256": SHA, "path": "x"} for session in sessions]
    return Manifests(
        images={"cohort": "c", "patient": patient, "images": images},
        masks={"cohort": "c", "patient": patient, "set": "manual", "masks": masks},
    )


def with_lesion(count):
    """All patients with bone, the first `count` with a lesion."""
    drawn = [[mask("bone"), mask("lesion")]] * count + [[mask("bone")]] * (len(NAMES) - count)
    return {name: manifests(name, masks) for name, masks in zip(NAMES, drawn, strict=True)}


@pytest.fixture
def cohort():
    """Sixteen patients; the last four have bone and no lesion."""
    return with_lesion(12)


def patients(states=None):
    rows = [
        {"cohort": "c", "patient": name, "images": True, "state": "used", "reason": "", **(states or {}).get(name, {})}
        for name in NAMES
    ]
    return table_from_rows(rows, PATIENTS)


def series(sessions=()):
    rows = [{"cohort": "c", "patient": p, "session": s, "session_order": order} for p, s, order in sessions]
    return table_from_rows(rows, SERIES)


def made(cohort, **changes):
    given = {"rejected": {}, "recipe": recipe(), "patients": patients(), "series": series(), **changes}
    return make_cases(
        given["patients"],
        given["series"],
        cohort,
        cohort="c",
        analysis="a",
        recipe=given["recipe"],
        rejected=given["rejected"],
    )


def reasons(cases):
    return {(row["patient"], row["reason"]) for row in cases.set_aside.to_pylist()}


def test_a_case_is_a_session_and_says_whether_a_lesion_was_drawn(cohort):
    table = made(cohort).table
    assert table["patient"].to_pylist() == NAMES
    assert table["outcome"].to_pylist() == [1] * 12 + [0] * 4
    assert set(table["lesion"].to_pylist()) == {0}
    assert len(set(table["sample"].to_pylist())) == 16


def test_every_session_ends_as_a_case_or_with_a_reason(cohort):
    cohort[NAMES[0]] = manifests(NAMES[0], [mask("lesion")])
    cohort[NAMES[1]] = manifests(NAMES[1], [])
    cohort[NAMES[2]] = manifests(NAMES[2], [mask("bone")], sessions=())
    cases = made(cohort, patients=patients({NAMES[3]: {"state": "excluded", "reason": "excluded_by_config"}}))
    assert reasons(cases) == {
        (NAMES[0], "roi_not_drawn"),
        (NAMES[1], "roi_not_drawn"),
        (NAMES[2], "no_image"),
    }
    assert cases.table.num_rows == 12
    for stage in cases.flow["stages"]:
        assert stage["in"] == stage["out"] + sum(group["count"] for group in stage["set_aside"])


def test_a_session_on_which_nothing_was_drawn_is_free_of_lesions_only_by_the_recipes_word(cohort):
    cohort[NAMES[0]] = manifests(NAMES[0], [])
    plain = {"networks": {"unet": {"network": "unet2d_tiny"}}}
    drawn = made(cohort, recipe=recipe(segmentation=plain))
    assert reasons(drawn) == {(NAMES[0], "not_annotated")}
    every = made(cohort, recipe=recipe(segmentation=plain, negatives="all"))
    assert reasons(every) == set()
    assert dict(zip(every.table["patient"].to_pylist(), every.table["outcome"].to_pylist(), strict=True))[NAMES[0]] == 0


@pytest.mark.parametrize(("session", "kept"), [("first", ["s2"]), ("last", ["s1"]), ("all", ["s1", "s2"])])
def test_sessions_follow_the_order_of_time_not_of_names(cohort, session, kept):
    drawn = [mask(roi, session=name) for roi in ("bone", "lesion") for name in ("s1", "s2")]
    cohort[NAMES[0]] = manifests(NAMES[0], drawn, sessions=("s1", "s2"))
    order = series([(NAMES[0], "s2", 1), (NAMES[0], "s1", 2)])
    cases = made(cohort, recipe=recipe(session=session), series=order)
    own = [
        s
        for p, s in zip(cases.table["patient"].to_pylist(), cases.table["session"].to_pylist(), strict=True)
        if p == NAMES[0]
    ]
    assert own == kept
    assert len(reasons(cases)) == (session != "all")


@pytest.mark.parametrize("item", ["s1/ct", "manual/s1/ct/lesion-1", "manual/s1/ct/bone-1"])
def test_a_session_of_which_a_reader_rejected_something_is_no_truth(cohort, item):
    cases = made(cohort, rejected={NAMES[0]: {item: "rejected"}})
    assert reasons(cases) == {(NAMES[0], "rejected_by_reader")}


def test_a_rejected_mask_of_another_region_changes_nothing(cohort):
    cohort[NAMES[0]] = manifests(NAMES[0], [mask("bone"), mask("lesion"), mask("heart")])
    assert reasons(made(cohort, rejected={NAMES[0]: {"manual/s1/ct/heart-1": "rejected"}})) == set()


def test_too_few_patients_with_a_lesion_are_refused():
    few = {
        name: manifests(name, [mask("bone"), *([mask("lesion")] if at < 4 else [])]) for at, name in enumerate(NAMES)
    }
    with pytest.raises(AnalysisRefused) as raised:
        made(few)
    assert str(raised.value) == (
        "a: too few patients with a drawn lesion: 4. Wanted: at least 5, for 3 folds and a held-out part."
    )


def test_patients_are_divided_once_and_held_out_ones_are_in_no_fold(cohort):
    cohort[NAMES[0]] = manifests(
        NAMES[0], [mask(r, session=s) for r in ("bone", "lesion") for s in ("s1", "s2")], ("s1", "s2")
    )
    table = made(cohort).table
    splits = case_splits(table, CaseSplits(test_share=0.25, folds=3), analysis="a", cohort="c")
    outside = set(held_out(table, splits, repeat=1, fold=1).patients)
    inside = set(training(table, splits, repeat=1, fold=1).patients)
    assert len(outside) == 4
    assert outside | inside == set(NAMES)
    assert not outside & inside
    holding = {row["patient"] for row in table.to_pylist() if row["outcome"]}
    assert len(outside & holding) == 3
    assert inner_folds_of(splits, repeat=1, fold=1) == [1, 2, 3]
    skipped = [set(held_out(table, splits, repeat=1, fold=1, inner_fold=i).patients) for i in (1, 2, 3)]
    assert set.union(*skipped) == inside
    assert sum(map(len, skipped)) == len(inside)
    for i in (1, 2, 3):
        seen = set(training(table, splits, repeat=1, fold=1, inner_fold=i).patients)
        assert seen == inside - skipped[i - 1]
    assert pa.compute.min(splits["inner_fold"]).as_py() == OUTER


def test_folds_stay_as_many_as_asked_where_every_patient_has_a_lesion():
    table = made(with_lesion(16)).table
    splits = case_splits(table, CaseSplits(folds=5), analysis="a", cohort="c")
    assert inner_folds_of(splits, repeat=1, fold=1) == [1, 2, 3, 4, 5]
