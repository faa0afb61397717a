"""The sentences follow their rules."""

from __future__ import annotations

import pytest

from osteorad.modelling.evaluation.answer import answer


def difference(against, low, high, *, of="radiomics", p=0.2, verdict="not_shown"):
    row = {"of": of, "against": against, "estimate": (low + high) / 2, "low": low, "high": high}
    return {**row, "p": p, "p_holm": p, "verdict": verdict}


def evaluation(low=0.61, high=0.85, **changes):
    differences = changes.pop("differences", [])
    return {
        "procedure": "nested",
        "unit": "patient",
        "primary": {"estimate": (low + high) / 2, "low": low, "high": high},
        "counts": {
            "events": 20,
            "non_events": 30,
            "patients": 50,
            "tested_patients": 50,
            "tested_events": 20,
            "samples": 50,
            "minority": 20,
            "minority_needed": 10,
        },
        "differences": differences,
        "multiplicity": {"method": "Holm", "comparisons": len(differences), "level": 0.05},
        "patient_level": None,
        "too_few_events": False,
        "outcome_label": "progression",
        **changes,
    }


@pytest.mark.parametrize(
    ("low", "high", "want"),
    [
        (0.61, 0.85, "This is better than chance."),
        (0.45, 0.85, "The interval holds 0.50: better than chance is not shown."),
        (0.10, 0.45, "This is worse than chance: look for a mistake in the data before reading on."),
    ],
)
def test_the_interval_decides_about_chance(low, high, want):
    found = answer(evaluation(low, high))
    assert found["sentences"][0].endswith("for progression, from 20 events in 50 patients.")
    assert found["sentences"][1] == want


def test_comparisons_tell_their_p_after_holm():
    differences = [
        difference("volume", 0.02, 0.2, p=0.0004, verdict="better"),
        difference("clinical", -0.1, 0.2, p=0.4),
    ]
    found = answer(evaluation(differences=differences))
    assert found["sentences"][2] == (
        "It is better than the volume of the ROI alone "
        "(difference +0.11, +0.02 to +0.20; P below 0.001 after Holm over 2 comparisons)."
    )
    assert found["sentences"][3].startswith("That it is better than the clinical covariates alone is not shown")
    assert "\N{MINUS SIGN}0.10 to +0.20; P 0.400" in found["sentences"][3]
    assert (found["beats_volume"], found["beats_clinical"]) == ("yes", "not_shown")
    assert found["adds_to_clinical"] == "not_applicable"


def test_one_comparison_needs_no_holm():
    found = answer(evaluation(differences=[difference("volume", 0.02, 0.2, verdict="better")]))
    assert found["sentences"][2] == "It is better than the volume of the ROI alone (difference +0.11, +0.02 to +0.20)."


@pytest.mark.parametrize(
    ("verdict", "start", "word"),
    [
        ("better", "The Rad-score adds to the clinical covariates", "yes"),
        ("worse", "With the Rad-score the clinical covariates predict worse", "no"),
        ("not_shown", "That the Rad-score adds to the clinical covariates is not shown", "not_shown"),
    ],
)
def test_combined_against_clinical_is_about_what_is_added(verdict, start, word):
    found = answer(evaluation(differences=[difference("clinical", -0.1, 0.2, of="combined", verdict=verdict)]))
    assert found["sentences"][2].startswith(start)
    assert (found["adds_to_clinical"], found["beats_clinical"]) == (word, "not_applicable")


def test_lesions_are_told_beside_patients():
    patients = {"auc": {"estimate": 0.7, "low": 0.55, "high": 0.85}}
    found = answer(evaluation(unit="lesion", patient_level=patients))
    assert "20 events in 50 patients (50 lesions)" in found["sentences"][0]
    assert found["sentences"][1] == "This is the AUC of lesions; that of patients is 0.70 (0.55 to 0.85)."


def test_an_external_answer_is_about_the_frozen_model():
    found = answer(evaluation(procedure="external"))
    assert "of the frozen model in this cohort for progression" in found["sentences"][0]
    few = {"events": 4, "tested_events": 4, "tested_patients": 34, "patients": 34, "minority": 4, "minority_needed": 10}
    scarce = answer(evaluation(procedure="external", too_few_events=True, counts=few))
    assert scarce["kind"] == "too_few_events"
    assert scarce["sentences"][1] == "The frozen model ran on 34 patients; what it reached stands under Performance."


def test_a_hold_out_counts_its_test_patients():
    counts = evaluation()["counts"] | {"tested_patients": 15, "tested_events": 6}
    found = answer(evaluation(counts=counts))
    assert found["sentences"][0].endswith("from 6 events in 15 patients of the test parts.")


def test_without_interval_nothing_is_shown():
    lone = {"estimate": 0.7, "low": None, "high": None}
    found = answer({**evaluation(), "primary": lone})
    assert found["beats_chance"] == "not_applicable"
    assert "unknown to unknown" not in found["sentences"][0]
