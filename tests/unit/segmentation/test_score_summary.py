"""Summaries: pooled numbers by hand, a free-response curve by hand, intervals by patient, no NaN anywhere."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from osteorad.files import json_text
from osteorad.provenance import seed_from
from osteorad.segmentation.score_summary import FROC_AT, draw_patients, froc, summarise, summarise_voxels
from osteorad.segmentation.score_tables import CASE_SCORES, LESION_SCORES


def case(patient: str, session: str = "s1", **facts: Any) -> dict[str, Any]:
    """A row of CASE_SCORES; Dice None: nothing to find."""
    counts = ("lesions", "detected", "components", "dropped", "matched", "false_positives", "merges", "splits")
    row = dict.fromkeys(CASE_SCORES.names) | dict.fromkeys((*counts, "lesions_empty", "contours_lost"), 0)
    row |= {"patient": patient, "session": session, "tp": 0, "fp": 0, "fn": 0, "false_positive_ml": 0.0}
    row["correct_negative"] = None if facts.get("dice") is not None else facts.get("false_positives", 0) == 0
    return row | facts


def lesion(patient: str, score: float | None, volume_ml: float = 1.0, **facts: Any) -> dict[str, Any]:
    row = dict.fromkeys(LESION_SCORES.names)
    found = score is not None
    return (
        row | {"patient": patient, "side": "reference", "volume_ml": volume_ml, "found": found, "score": score} | facts
    )


def component(patient: str, score: float | None, *, false: bool = True) -> dict[str, Any]:
    row = dict.fromkeys(LESION_SCORES.names)
    return row | {"patient": patient, "side": "predicted", "score": score, "false_positive": false, "found": not false}


CASES = [
    case("a", dice=0.8, hd95_mm=2.0, tp=40, fp=10, fn=10, lesions=2, detected=2, false_positives=1, merges=1),
    case("a", "s2", dice=0.0, fn=5, lesions=1),
    case("b", dice=0.4, hd95_mm=8.0, tp=2, fp=4, fn=2, lesions=1, detected=1, splits=1, dropped=2),
    case("c", false_positives=2, false_positive_ml=0.6, fp=20),
    case("d"),
]
LESIONS = [
    lesion("a", 0.9, 0.4, type="lytic", location="T8"),
    lesion("a", 0.5, 2.0, type="lytic"),
    lesion("a", None, 0.5, type="mixed"),
    lesion("b", 0.7, 2.1),
    component("a", 0.9, false=False),
    component("a", 0.8),
    component("b", 0.7, false=False),
    component("c", 0.6),
    component("c", 0.5),
]


@pytest.fixture(scope="module")
def summary() -> dict[str, Any]:
    return summarise(CASES, LESIONS, draws=400, name="a/net/external")


def test_a_sensitivity_of_one_has_an_interval_all_the_same():
    """Wilson 1927: (k/n + z²/2n ± z √(pq/n + z²/4n²)) / (1 + z²/n); for k = n the lower limit is n / (n + z²)."""
    n, z = 18, 1.959963984540054
    cases = [case(f"p{at}", dice=0.9, lesions=1, detected=1) for at in range(n)]
    lesions = [lesion(f"p{at}", 0.9) for at in range(n)]
    told = summarise(cases, lesions, draws=50, name="a/net/external")["lesions"]
    assert told["sensitivity"] == {"estimate": 1.0, "low": 1.0, "high": 1.0}
    assert told["wilson"] == {"low": pytest.approx(n / (n + z**2)), "high": 1.0}


def test_means_are_over_cases_with_something_to_find(summary):
    assert (summary["patients"], summary["cases"], summary["n"], summary["n_negative"]) == (4, 5, 3, 2)
    assert (summary["dice"]["estimate"], summary["dice"]["n"]) == (pytest.approx(0.4), 3)
    assert summary["n_undefined"] == 1
    assert (summary["hd95_mm"]["estimate"], summary["hd95_mm"]["n"]) == (5.0, 2)
    assert summary["correct_negatives"]["estimate"] == 0.5
    assert summary["pooled_dice"]["estimate"] == pytest.approx(84 / (84 + 34 + 17))


def test_sensitivity_is_pooled_over_lesions_and_false_positives_are_per_case(summary):
    lesions = summary["lesions"]
    assert (lesions["n"], lesions["found"], lesions["sensitivity"]["estimate"]) == (4, 3, 0.75)
    assert summary["false_positives"]["n"] == 3
    assert summary["false_positives"]["per_case"]["estimate"] == pytest.approx(3 / 5)
    assert summary["false_positives"]["ml_per_case"]["estimate"] == pytest.approx(0.6 / 5)
    assert (summary["merges"], summary["splits"], summary["dropped"]) == (1, 1, 2)


def test_strata_by_volume_type_and_place(summary):
    strata = summary["lesions"]["by_volume"]
    assert {name: (row["found"], row["n"]) for name, row in strata.items()} == {
        "< 0.5 ml": (1, 1), "0.5 to 2 ml": (1, 2), "> 2 ml": (1, 1),
    }  # fmt: skip
    kinds = summary["lesions"]["by_type"]
    assert {name: (row["found"], row["n"]) for name, row in kinds.items()} == {"lytic": (2, 2), "mixed": (0, 1)}
    assert list(summary["lesions"]["by_location"]) == ["T8"]


def test_free_response_curve_by_hand(summary):
    """From the top: found .9, false .8, found .7, false .6, then found and false at .5; five cases, four lesions."""
    at = {point["false_positives_per_case"]: point["sensitivity"]["estimate"] for point in summary["froc"]["points"]}
    assert at == {0.125: 0.25, 0.25: 0.5, 0.5: 0.5, 1.0: 0.75, 2.0: 0.75, 4.0: 0.75, 8.0: 0.75}
    assert tuple(at) == FROC_AT
    assert summary["froc"]["last"] == {"false_positives_per_case": pytest.approx(0.6), "sensitivity": 0.75}


def test_a_score_that_lesion_and_false_positive_share_counts_for_both():
    drawn = draw_patients(["a", "b"], 10, "x")
    curve = froc([case("a", dice=1.0), case("b")], [lesion("a", 0.5), component("b", 0.5)], drawn)
    at = [point["sensitivity"]["estimate"] for point in curve["points"]]
    assert at == [0.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]  # 0.5 false positives a case from the first threshold on


def test_no_curve_where_a_component_has_no_score():
    assert summarise([case("a")], [component("a", None)], draws=10, name="x")["froc"] is None


def test_a_sample_holds_as_many_patients_as_there_are():
    drawn = draw_patients(["b", "a", "b"], 50, "x")
    assert drawn.patients == {"a": 0, "b": 1}
    assert (drawn.weights.sum(axis=1) == 2).all()


def test_intervals_are_percentiles_over_drawn_patients(summary):
    """The same by a plain loop over the same patients: all of one's cases come along."""
    counts = np.random.default_rng(seed_from("a/net/external")).multinomial(4, [0.25] * 4, size=400)
    dice, sensitivity = [], []
    for weights in counts:
        chosen = [p for p, times in zip("abcd", weights, strict=True) for _ in range(times)]
        values = [row["dice"] for p in chosen for row in CASES if row["patient"] == p and row["dice"] is not None]
        hits = [row["found"] for p in chosen for row in LESIONS if row["patient"] == p and row["side"] == "reference"]
        dice += [np.mean(values)] if values else []
        sensitivity += [np.mean(hits)] if hits else []
    got = summary["dice"], summary["lesions"]["sensitivity"]
    for values, number in zip((dice, sensitivity), got, strict=True):
        assert (number["low"], number["high"]) == pytest.approx(tuple(np.percentile(values, (2.5, 97.5))))


def test_curve_limits_are_percentiles_of_curves(summary):
    counts = np.random.default_rng(seed_from("a/net/external")).multinomial(4, [0.25] * 4, size=400)
    values = []
    for weights in counts:
        times = dict(zip("abcd", weights, strict=True))
        cases, lesions = sum(times[row["patient"]] for row in CASES), 3 * times["a"] + times["b"]
        best = 0.0
        for threshold in (0.9, 0.8, 0.7, 0.6, 0.5):
            rows = [row for row in LESIONS if row["score"] is not None and row["score"] >= threshold]
            false = sum(times[row["patient"]] for row in rows if row["false_positive"])
            found = sum(times[row["patient"]] for row in rows if row["side"] == "reference")
            if false <= 0.5 * cases and lesions:
                best = max(best, found / lesions)
        values += [best] if lesions else []
    half = summary["froc"]["points"][2]["sensitivity"]
    assert (half["low"], half["high"]) == pytest.approx(tuple(np.percentile(values, (2.5, 97.5))))


def test_the_seed_is_the_name():
    again = summarise(CASES, LESIONS, draws=400, name="a/net/external")
    other = summarise(CASES, LESIONS, draws=400, name="a/net/out_of_fold")
    assert again == summarise(CASES[::-1], LESIONS, draws=400, name="a/net/external")
    assert json_text(again) != json_text(other)
    assert again["dice"]["estimate"] == other["dice"]["estimate"]


@pytest.mark.parametrize(
    ("cases", "lesions"),
    [
        ([case("a")], []),
        ([case("a"), case("b", false_positives=1)], [component("b", 0.4)]),
        ([case("a", dice=0.0, lesions=1)], [lesion("a", None)]),
        ([case("a", dice=0.5), case("b", dice=0.7)], [lesion("a", 0.5), lesion("b", None)]),
    ],
)
def test_never_nan(cases, lesions):
    found = summarise(cases, lesions, draws=50, name="x")
    assert "NaN" not in json_text(found)
    assert "NaN" not in json_text(summarise_voxels(cases, draws=50, name="x"))
    if len(cases) == 1:  # of one patient nothing is known about others
        assert found["false_positives"]["per_case"]["low"] is None
