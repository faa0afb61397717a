"""Days since the index date: which session enters, which lies outside the window, which came after the event."""

from __future__ import annotations

import pytest

from osteorad.cohort.config import Analysis
from osteorad.cohort.timeline import nearest, session_days

from .sample_tables import Cohort, losses, make

HORIZON = {"cohort": "c", "recipe": "toy", "horizon_days": 365}


def with_sessions(days: dict[str, list[int]]) -> Cohort:
    """A cohort in which some patients have sessions on these days, drawn on all of them."""
    cohort = Cohort()
    for patient, found in days.items():
        cohort.drop("series", patient)
        cohort.drop("features", patient)
        for order, day in enumerate(found):
            cohort.series.append(cohort.image(patient, f"s{order}", order, day=day))
            cohort.features.append(cohort.feature(patient, f"s{order}", "ct", value=float(day)))
    return cohort


def taken(made) -> dict[str, float]:
    return dict(zip(made.table["patient"].to_pylist(), made.table["image_day"].to_pylist(), strict=True))


def test_samples_hold_the_days_of_image_and_event():
    cohort = Cohort()
    cohort.row("clinical", "p01")["event_day"] = 200.0
    cohort.row("clinical", "p02")["first_session_day"] = None  # its table gives days, no dates
    rows = {row["patient"]: row for row in make(cohort).table.to_pylist()}
    assert (rows["p01"]["image_day"], rows["p01"]["event_day"]) == (-3.0, 200.0)
    assert (rows["p02"]["image_day"], rows["p02"]["event_day"]) == (None, None)


@pytest.mark.parametrize(("days", "want"), [([-40, -5, 30], -5), ([-7, 7], -7), ([3, 90], 3), ([-90], -90)])
def test_nearest_takes_the_session_nearest_to_the_index_date_and_the_earlier_of_two(days, want):
    made = make(with_sessions({"p00": days}), session="nearest")
    assert taken(made)["p00"] == want
    assert losses(made).get("session_not_asked", []) == ["p00"] * (len(days) > 1)


def test_without_an_index_date_none_of_several_sessions_is_the_nearest():
    cohort = with_sessions({"p00": [0, 60]})
    cohort.row("clinical", "p00")["first_session_day"] = None
    made = make(cohort, session="nearest")
    assert losses(made) == {"index_date_missing": ["p00", "p00"]}  # its sessions, then the patient
    assert "p00" not in taken(made)
    assert nearest(["s0"], "p00", {}) == ["s0"]


def test_the_window_sets_images_aside_and_the_session_is_chosen_among_those_inside():
    cohort = with_sessions({"p00": [-400, -20], "p01": [15], "p02": [-30, 0]})
    cohort.row("clinical", "p03")["first_session_day"] = None
    settings = Analysis(cohort="c", recipe="toy", image_window_days=(-30, 0))
    made = make(cohort, settings=settings)
    assert losses(made) == {
        "image_outside_window": ["p00", "p01", "p01"],  # two sessions, and the patient without another
        "index_date_missing": ["p03", "p03"],
        "session_not_asked": ["p02"],
    }
    assert {patient: taken(made).get(patient) for patient in ("p00", "p01", "p02")} == {
        "p00": -20.0, "p01": None, "p02": -30.0,
    }  # fmt: skip
    details = {row["detail"] for row in made.set_aside.to_pylist() if row["item"].startswith("s")}
    assert "image on day -400, window -30 to 0" in details
    assert "roi_absent" not in losses(made)


def test_the_session_that_enters_is_held_against_the_event_not_the_first_one():
    cohort = with_sessions({"p01": [-10, 250], "p03": [-10, 100]})
    for patient in ("p01", "p03"):
        cohort.row("clinical", patient).update(event_day=200.0, first_session_day=-10.0)
    assert losses(make(cohort)) == {"session_not_asked": ["p01", "p03"]}
    last = make(cohort, session="last")
    assert losses(last)["image_after_event"] == ["p01"]
    assert taken(last)["p03"] == 100.0


def test_horizon_and_window_together():
    cohort = with_sessions({"p00": [-90, -10], "p01": [20], "p05": [-200]})
    for at, row in enumerate(cohort.clinical):
        row.update(event_day=100.0 if at % 2 else None, last_seen_day=900.0)
    cohort.row("clinical", "p00")["last_seen_day"] = 300.0
    made = make(cohort, settings=Analysis(**HORIZON, image_window_days=(-100, 30)))
    assert losses(made) == {
        "censored_before_horizon": ["p00"],
        "image_outside_window": ["p05", "p05"],
        "session_not_asked": ["p00"],
    }
    assert taken(made)["p01"] == 20.0
    assert dict(zip(made.table["patient"].to_pylist(), made.table["outcome"].to_pylist(), strict=True))["p01"] == 1


def test_days_of_sessions_without_a_date_are_not_known():
    cohort = with_sessions({"p00": [5]})
    cohort.series[-1]["session_day"] = None
    tables = cohort.tables()
    days = session_days(tables.series, tables.clinical)
    assert ("p00", "s0") not in days
    assert days["p01", "s1"] == -3.0
