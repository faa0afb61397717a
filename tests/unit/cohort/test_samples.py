"""Features and clinical table to samples: who is in, who left at which stage, and why."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.cohort.analysis_jobs import samples_job, splits_job
from osteorad.cohort.config import Analysis
from osteorad.cohort.flow import Flow, Loss
from osteorad.cohort.outcomes import outcome_of
from osteorad.cohort.schemas import FEATURES, QUARANTINE, SAMPLES
from osteorad.errors import AnalysisRefused, ConfigError, SetAside
from osteorad.files import json_text, read_json, read_parquet, write_parquet
from osteorad.provenance import sample_key

from .sample_tables import NAMES, Cohort, losses, make, patients, recipe


def test_clean_cohort_gives_one_sample_a_patient():
    made = make(Cohort())
    assert losses(made) == {}
    assert made.table.schema.names == [
        *SAMPLES.names, "clinical.age_years", "clinical.er", *(f"ct.{name}" for name in NAMES[:2]),
    ]  # fmt: skip
    row = made.table.to_pylist()[3]
    assert row["sample"] == sample_key("c", "p03", "s1", "marrow", 1)
    assert (row["outcome"], row["site"], row["clinical.age_years"]) == (1, "north", 53.0)
    assert made.table.schema.field("ct.original_firstorder_Mean").metadata == {b"unit": b"mm3"}
    assert made.table.schema.metadata[b"inputs"] == json_text({"features": "abc"}).encode()
    assert made.flow["used"] == {"patients": 20, "samples": 20, "events": 10, "non_events": 10}
    assert made.flow["covariates"] == {"used": ["age_years"], "absent": ["ki67"]}
    json_text(made.flow)


def test_each_loss_has_its_reason_and_its_stage():
    cohort = Cohort(24)
    cohort.row("patients", "p00").update(state="quarantined", reason="no_image")
    cohort.row("patients", "p01").update(state="withdrawn", reason="withdrawn")
    cohort.drop("features", "p02")
    cohort.row("features", "p03")["roi"] = "lesion"
    cohort.row("features", "p04").update(dict.fromkeys(NAMES, np.nan))
    keys = {name: cohort.row("features", "p04")[name] for name in FEATURES.names}
    cohort.reasons.append({**keys, "feature_class": "all", "kind": "missing", "reason": "roi_empty", "detail": ""})
    cohort.row("clinical", "p05")["outcome"] = None
    cohort.drop("clinical", "p06")
    made = make(cohort)
    assert losses(made) == {
        "no_image": ["p00"],
        "withdrawn": ["p01"],
        "roi_absent": ["p02", "p03"],
        "features_missing": ["p04"],
        "outcome_missing": ["p05"],
        "images_without_table": ["p06"],
    }
    assert [stage["in"] for stage in made.flow["stages"] if stage["unit"] == "patients"] == [24, 22]
    assert made.set_aside.schema == QUARANTINE
    aside = {row["reason"]: row for row in made.set_aside.to_pylist()}
    assert set(aside) == {"roi_absent", "features_missing", "outcome_missing", "images_without_table"}
    assert aside["features_missing"]["detail"] == "ct; roi_empty"
    assert set(made.table["patient"].to_pylist()) == set(patients(24)) - {f"p0{at}" for at in range(7)}


def reject(cohort, patient, lesion=1, *, image="ct", session="s1", roi="marrow", mask_set="manual"):
    """A row that a reader's verdict took out of the feature table."""
    keys = {"cohort": "c", "patient": patient, "session": session, "image": image, "roi": roi, "lesion": lesion}
    same = {**keys, "mask_set": mask_set}
    cohort.features = [row for row in cohort.features if {name: row[name] for name in same} != same]
    cohort.reasons.append({**same, "feature_class": "all", "kind": "rejected", "reason": "rejected_by_reader"})


def test_a_patient_whose_roi_was_rejected_is_not_said_to_lack_it():
    cohort = Cohort(24)
    reject(cohort, "p00")
    cohort.drop("features", "p01")
    reject(cohort, "p02", roi="lesion")  # another ROI than the recipe's
    reject(cohort, "p03", mask_set="reader2")
    made = make(cohort)
    assert losses(made) == {"rejected_by_reader": ["p00"], "roi_absent": ["p01"]}
    aside = {row["patient"]: (row["item"], row["kind"]) for row in made.set_aside.to_pylist()}
    assert aside["p00"] == ("marrow", "rejected")
    assert made.table.num_rows == 22


def test_of_several_instances_the_rejected_one_is_a_loss_of_its_own():
    cohort = Cohort()
    cohort.features += [cohort.feature("p00", "s1", "ct", lesion=lesion, value=float(lesion)) for lesion in (2, 3)]
    reject(cohort, "p00")
    made = make(cohort)
    assert losses(made) == {"rejected_by_reader": ["p00"], "roi_not_first": ["p00"]}
    assert (made.table["lesion"][0].as_py(), made.table["ct.original_firstorder_Mean"][0].as_py()) == (2, 2.0)
    lesions = make(cohort, unit="lesion")
    assert losses(lesions) == {"rejected_by_reader": ["p00"]}
    assert [row["item"] for row in lesions.set_aside.to_pylist()] == ["marrow-1"]
    assert lesions.table.num_rows == 21


def test_an_instance_rejected_on_one_image_of_the_recipe_is_rejected():
    cohort = Cohort()
    cohort.features += [cohort.feature(p, "s1", "pet", value=4.0) for p in patients()]
    reject(cohort, "p00", image="pet")
    assert losses(make(cohort)) == {}
    assert losses(make(cohort, images=["ct", "pet"])) == {"rejected_by_reader": ["p00"]}


def test_a_roi_on_a_rejected_session_does_not_count_as_never_drawn():
    """The session's only image was rejected: the later one is the first now, and nothing was drawn on it."""
    cohort = Cohort()
    cohort.series.append(cohort.image("p00", "s2", 1))
    cohort.row("series", "p00").update(state="rejected", reason="rejected_by_reader")
    reject(cohort, "p00")
    assert losses(make(cohort)) == {"rejected_by_reader": ["p00"]}


def test_a_roi_rejected_in_a_session_that_is_not_asked_is_absent():
    cohort = Cohort()
    cohort.series.append(cohort.image("p00", "s2", 1))
    reject(cohort, "p00")
    assert losses(make(cohort, session="last")) == {"session_not_asked": ["p00"], "roi_absent": ["p00"]}


def test_a_rejected_patient_leaves_by_that_and_is_not_quarantined():
    cohort = Cohort(24)
    for patient in patients()[:6]:
        cohort.row("patients", patient).update(state="rejected", reason="rejected_by_reader")
    made = make(cohort)
    assert losses(made) == {"rejected_by_reader": patients()[:6]}
    assert made.flow["quarantined"]["patients"] == 0


def test_a_few_missing_features_stay_missing():
    cohort = Cohort()
    cohort.row("features", "p00")["original_firstorder_Mean"] = np.nan
    made = make(cohort)
    assert losses(made) == {}
    assert np.isnan(made.table["ct.original_firstorder_Mean"][0].as_py())


def test_the_first_session_with_an_image_counts_and_a_later_one_never_steps_in():
    cohort = Cohort()
    for patient, order in (("p00", 1), ("p01", -1)):
        cohort.series.append(cohort.image(patient, "s2", order))
        cohort.features.append(cohort.feature(patient, "s2", "ct", value=7.0))
    cohort.series.append(cohort.image("p02", "s0", -1))  # an earlier session where nothing was drawn
    cohort.series.append(cohort.image("p03", "s0", -1, state="quarantined"))  # an earlier one without usable image
    made = make(cohort)
    rows = {row["patient"]: row for row in made.table.to_pylist()}
    assert [rows[p]["session"] for p in ("p00", "p01", "p03")] == ["s1", "s2", "s1"]
    assert rows["p01"]["ct.original_firstorder_Mean"] == 7.0
    assert losses(made) == {"session_not_asked": ["p00", "p01", "p02"], "roi_absent": ["p02"]}
    absent = next(row for row in made.set_aside.to_pylist() if row["reason"] == "roi_absent")
    assert absent["detail"] == "drawn only in session s1"
    last = {row["patient"]: row["session"] for row in make(cohort, session="last").table.to_pylist()}
    assert (last["p00"], last["p01"]) == ("s2", "s1")


def test_of_several_instances_the_lowest_number_stands_for_the_patient():
    cohort = Cohort()
    cohort.features.append(cohort.feature("p00", "s1", "ct", lesion=2))
    cohort.row("features", "p01")["lesion"] = 3
    made = make(cohort)
    assert losses(made) == {"roi_not_first": ["p00"]}
    assert made.table["lesion"].to_pylist()[:2] == [1, 3]
    lesions = make(cohort, unit="lesion")
    assert losses(lesions) == {}
    assert lesions.table.num_rows == 21
    assert lesions.flow["used"] == {"patients": 20, "samples": 21, "events": 10, "non_events": 11}


def test_images_are_paired_by_lesion_and_a_missing_one_is_a_loss():
    cohort = Cohort()
    cohort.features += [cohort.feature(p, "s1", "pet", value=4.0) for p in patients()[1:]]
    made = make(cohort, images=["ct", "pet"])
    assert losses(made) == {"image_absent": ["p00"]}
    assert "pet.suv_Max" in made.table.column_names
    assert "ct.suv_Max" not in made.table.column_names  # a PET feature, empty on CT
    row = made.table.to_pylist()[0]
    assert (row["patient"], row["ct.original_firstorder_Mean"], row["pet.suv_Max"]) == ("p01", 1.0, 4.0)


def test_other_mask_sets_do_not_enter():
    cohort = Cohort()
    cohort.features += [cohort.feature(p, "s1", "ct", mask_set="reader2", value=9.0) for p in patients()]
    assert set(make(cohort).table["ct.original_firstorder_Mean"].to_pylist()) == {1.0}
    assert set(make(cohort, mask_set="reader2").table["ct.original_firstorder_Mean"].to_pylist()) == {9.0}


def test_an_image_that_no_patient_has_is_a_mistake_in_the_recipe():
    with pytest.raises(ConfigError, match="unknown image 'fused'"):
        make(Cohort(), images=["fused"])


# --- refusals --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("quarantined", "n", "refused"), [(4, 12, False), (5, 40, False), (5, 24, True)])
def test_too_many_quarantined_patients_refuse_the_analysis(quarantined, n, refused):
    cohort = Cohort(max(n, 16) + (4 if not refused else 0))
    for patient in patients()[:quarantined]:
        cohort.row("patients", patient).update(state="quarantined", reason="no_image")
    if refused:
        with pytest.raises(AnalysisRefused, match="5 of 24 patients are quarantined"):
            make(cohort)
    else:
        make(cohort)


def test_under_six_events_are_refused_and_the_largest_loss_is_named():
    cohort = Cohort()
    for at, row in enumerate(cohort.clinical):
        row["outcome"] = 1 if at < 6 else 0
    make(cohort)
    cohort.row("clinical", "p00")["outcome"] = None
    with pytest.raises(AnalysisRefused, match=r"5 with and 14 without the event.*outcome_missing"):
        make(cohort)


def test_a_flow_that_loses_something_silently_is_an_error():
    flow = Flow()
    loss = Loss(patient="p", item="p", code="roi_absent")
    with pytest.raises(ValueError, match="3 in, 1 out, 1 set aside"):
        flow.add("roi", "ROI", "patients", entering=3, leaving=1, losses=[loss])


# --- outcomes --------------------------------------------------------------------------------------------------------

HORIZON = Analysis(cohort="c", recipe="toy", horizon_days=365)


@pytest.mark.parametrize(
    ("event", "seen", "want"),
    [
        (365.0, None, 1),
        (366.0, None, 0),
        (0.0, 10.0, 1),
        (None, 365.0, 0),
        (None, 364.0, "censored_before_horizon"),
        (None, None, "outcome_missing"),
        (-1.0, 900.0, "event_before_index"),
    ],
)
def test_outcome_by_horizon(event, seen, want):
    row = {"patient": "p", "outcome": None, "index_day": 0, "event_day": event, "last_seen_day": seen}
    if isinstance(want, int):
        assert outcome_of(row, HORIZON, -3.0) == want
    else:
        with pytest.raises(SetAside) as aside:
            outcome_of(row, HORIZON, -3.0)
        assert aside.value.code == want


def test_without_index_date_time_at_risk_is_unknown():
    with pytest.raises(SetAside, match="index_date_missing"):
        outcome_of({"index_day": None, "event_day": 3.0, "last_seen_day": 3.0}, HORIZON, None)


def test_an_image_after_the_event_is_excluded():
    row = {"outcome": 1, "index_day": 0, "event_day": 20.0, "last_seen_day": 90.0, "first_session_day": -30.0}
    with pytest.raises(SetAside, match="image_after_event: image on day 30, event on day 20"):
        outcome_of(row, HORIZON, 30.0)
    assert outcome_of(row, HORIZON, 20.0) == 1


def test_outcome_column_is_named_and_checked():
    settings = Analysis(cohort="c", recipe="toy", outcome="progresion")
    with pytest.raises(ConfigError, match="Did you mean 'progression'"):
        outcome_of({"patient": "p", "progression": 1.0, "site": ""}, settings, None)
    named = Analysis(cohort="c", recipe="toy", outcome="progression")
    assert outcome_of({"progression": 1.0}, named, None) == 1
    with pytest.raises(SetAside, match="outcome_missing"):
        outcome_of({"progression": float("nan")}, named, None)
    with pytest.raises(ConfigError, match=r"found 2\.0, wanted 0 or 1"):
        outcome_of({"progression": 2.0}, named, None)


def test_horizon_losses_stand_in_the_flow():
    cohort = Cohort()
    for at, row in enumerate(cohort.clinical):
        row.update(event_day=100.0 if at % 2 else None, last_seen_day=900.0)
    cohort.row("clinical", "p02")["last_seen_day"] = 200.0
    made = make(cohort, settings=HORIZON)
    assert losses(made) == {"censored_before_horizon": ["p02"]}
    group = made.flow["stages"][-1]["set_aside"][0]
    assert group["kind"] == "censored"


# --- jobs ------------------------------------------------------------------------------------------------------------


def test_jobs_write_the_declared_files_and_the_same_bytes_twice(tmp_path):
    tables = Cohort().tables()
    names = ("features", "reasons", "patients", "series", "clinical")
    for name in names:
        write_parquet(tmp_path / f"{name}.parquet", getattr(tables, name))
    params = {
        "name": "a",
        "settings": Analysis(cohort="c", recipe="toy").model_dump(mode="json"),
        "recipe": recipe().model_dump(mode="json"),
        "as_published": False,
        "max_quarantined": 0.2,
    }
    for run in ("one", "two"):
        out = tmp_path / run
        samples_job(
            **{name: tmp_path / f"{name}.parquet" for name in names},
            params=params,
            out_samples=out / "samples.parquet",
            out_set_aside=out / "set_aside.parquet",
            out_flow=out / "flow.json",
        )
        splits_job(samples=out / "samples.parquet", params=params, out=out / "splits.parquet")
    written = sorted(path.name for path in (tmp_path / "one").iterdir())
    assert written == ["flow.json", "samples.parquet", "set_aside.parquet", "splits.parquet"]
    for name in written:
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
    assert read_json(tmp_path / "one" / "flow.json")["used"]["patients"] == 20
    assert set(read_parquet(tmp_path / "one" / "splits.parquet")["analysis"].to_pylist()) == {"a"}
