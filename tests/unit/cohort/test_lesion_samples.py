"""Samples of lesions: outcomes of the table of lesions, and a second reader's features."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from osteorad.cohort.config import Analysis
from osteorad.cohort.samples import NO_CLINICAL, make_samples
from osteorad.cohort.schemas import FEATURES, LESIONS, SAMPLES
from osteorad.errors import AnalysisRefused

from .sample_tables import NAMES, Cohort, losses, make, patients, recipe

LESION = {"roi": "lesion", "unit": "lesion", "outcome_of": "lesion"}


def lesion_row(patient, lesion=1, outcome=1, **texts):
    place = {"patient": patient, "session": "s1", "roi": "lesion", "lesion": lesion}
    return {**dict.fromkeys(LESIONS.names), **place, "outcome": outcome, "location": "T8", "type": "lytic", **texts}


def with_lesions(n=8) -> Cohort:
    """Two lesions a patient: one with outcome 1, one with 0."""
    cohort = Cohort(n)
    cohort.features = [
        cohort.feature(p, "s1", "ct", roi="lesion", lesion=lesion, value=float(lesion))
        for p in patients(n)
        for lesion in (1, 2)
    ]
    cohort.lesions = [lesion_row(p, lesion, outcome=2 - lesion) for p in patients(n) for lesion in (1, 2)]
    return cohort


def test_every_lesion_has_its_own_outcome_place_and_kind():
    cohort = with_lesions()
    cohort.lesions[1]["type"] = None
    cohort.row("clinical", "p00")["event_day"] = 10.0
    made = make(cohort, **LESION)
    assert losses(made) == {}
    first, second = made.table.to_pylist()[:2]
    assert (first["patient"], first["lesion"], first["outcome"], first["lesion.location"]) == ("p00", 1, 1, "T8")
    assert (second["outcome"], second["lesion.type"]) == (0, None)
    assert first["event_day"] is None  # the patient's event is not the lesion's outcome
    assert made.table.schema.names[len(SAMPLES.names) :] == [
        "clinical.age_years", "clinical.er", "lesion.location", "lesion.type", *(f"ct.{n}" for n in NAMES[:2]),
    ]  # fmt: skip
    assert made.flow["used"] == {"patients": 8, "samples": 16, "events": 8, "non_events": 8}


def test_a_rejected_lesion_brings_no_outcome():
    cohort = with_lesions()
    gone = next(row for row in cohort.features if (row["patient"], row["lesion"]) == ("p00", 1))
    cohort.features.remove(gone)
    keys = {name: gone[name] for name in FEATURES.names}
    cohort.reasons.append({**keys, "feature_class": "all", "kind": "rejected", "reason": "rejected_by_reader"})
    made = make(cohort, **LESION)
    assert losses(made) == {"rejected_by_reader": ["p00"]}
    assert made.flow["used"] == {"patients": 8, "samples": 15, "events": 7, "non_events": 8}


def test_lesions_without_row_or_outcome_are_set_aside():
    cohort = with_lesions()
    del cohort.lesions[0]
    cohort.lesions[4]["outcome"] = None
    made = make(cohort, **LESION)
    assert losses(made) == {"lesion_without_row": ["p00"], "outcome_missing": ["p02"]}
    assert made.table.num_rows == 14


def test_a_row_about_another_roi_or_session_is_no_outcome():
    cohort = with_lesions()
    cohort.lesions[0]["roi"] = "marrow"
    cohort.lesions[2]["session"] = "s2"
    assert losses(make(cohort, **LESION)) == {"lesion_without_row": ["p00", "p01"]}


def test_a_patient_without_clinical_row_keeps_its_lesions():
    cohort = with_lesions()
    cohort.drop("clinical", "p00")
    row = make(cohort, **LESION).table.to_pylist()[0]
    assert (row["patient"], row["outcome"], row["clinical.age_years"], row["site"]) == ("p00", 1, None, None)


def test_lesions_need_no_clinical_table():
    made = make_samples(
        replace(with_lesions().tables(), clinical=NO_CLINICAL),
        cohort="c",
        analysis="a",
        recipe=recipe(**LESION),
        settings=Analysis(cohort="c", recipe="toy"),
        max_quarantined=0.2,
    )
    assert made.table.num_rows == 16
    assert not [name for name in made.table.column_names if name.startswith("clinical.")]


def test_six_patients_with_a_lesion_of_each_outcome_are_enough():
    assert make(with_lesions(6), **LESION).table.num_rows == 12
    with pytest.raises(AnalysisRefused, match="5 with and 5 without the event in any lesion"):
        make(with_lesions(5), **LESION)


def test_lesions_with_the_outcome_of_their_patient_show_place_and_kind_where_told():
    cohort = with_lesions(16)
    cohort.lesions = cohort.lesions[:3]
    made = make(cohort, roi="lesion", unit="lesion")
    assert made.table["lesion.location"].to_pylist()[:4] == ["T8", "T8", "T8", None]
    assert "lesion.location" not in make(cohort, roi="lesion").table.column_names


# --- a second reader -------------------------------------------------------------------------------------------------


def second(cohort: Cohort, without=()) -> list[dict]:
    rows = [{**row, "mask_set": "reader2"} for row in cohort.features if row["patient"] not in without]
    for row in rows:
        row["original_firstorder_Mean"] += 0.5
    return rows


def test_the_second_reader_stands_beside_the_same_sample():
    cohort = with_lesions()
    cohort.second = list(reversed(second(cohort, without=("p03",))))
    made = make(cohort, **LESION, second_set="reader2")
    rows = {(row["patient"], row["lesion"]): row for row in made.table.to_pylist()}
    for (patient, lesion), row in rows.items():
        value = row["ct@reader2.original_firstorder_Mean"]
        assert math.isnan(value) if patient == "p03" else value == lesion + 0.5
        assert row["ct.original_firstorder_Mean"] == lesion
    assert made.flow["second"] == {"mask_set": "reader2", "samples": 14, "without": 2}
    assert losses(made) == {}
    names = [name for name in made.table.column_names if name.startswith("ct")]
    assert names == [*(f"ct.{n}" for n in NAMES[:2]), *(f"ct@reader2.{n}" for n in NAMES[:2])]
    assert made.table.schema.field("ct@reader2.original_firstorder_Mean").metadata == {b"unit": b"mm3"}


def test_a_contour_of_the_second_reader_without_features_does_not_count_as_drawn():
    cohort = with_lesions()
    cohort.second = second(cohort)
    cohort.second[0].update(dict.fromkeys(NAMES, np.nan))
    assert make(cohort, **LESION, second_set="reader2").flow["second"]["samples"] == 15


def test_without_second_set_nothing_is_said_of_it():
    assert make(Cohort()).flow["second"] is None
