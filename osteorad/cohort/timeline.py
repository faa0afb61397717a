"""The time axis: on which day, counted from the index date, each session of a patient was taken."""

from __future__ import annotations

from collections.abc import Mapping

import pyarrow as pa

Days = Mapping[tuple[str, str], float]  # (patient, session) -> days since the index date


def session_days(series: pa.Table, clinical: pa.Table) -> dict[tuple[str, str], float]:
    """Day of every session whose distance to the index date is known.

    series : schemas.SERIES; its `session_day` counts from the index date where the clinical table gives one, or, where
    that table has no dates at all, from the first session, which then is day 0. Patients whose table gives days
    without dates, and sessions without a date, are left out.
    """
    first = dict(zip(clinical["patient"].to_pylist(), clinical["first_session_day"].to_pylist(), strict=True))
    rows = series.select(["patient", "session", "session_day"]).to_pylist()
    return {
        (row["patient"], row["session"]): float(row["session_day"])
        for row in rows
        if row["session_day"] is not None and first.get(row["patient"]) is not None
    }


def nearest(sessions: list[str], patient: str, days: Days) -> list[str]:
    """The session nearest to the index date (the earlier of two as near), of sessions in order of time.

    A single session needs no dates; of several without any, none is the nearest.
    """
    if len(sessions) < 2:
        return sessions
    dated = [session for session in sessions if (patient, session) in days]
    return sorted(dated, key=lambda session: (abs(days[patient, session]), days[patient, session]))[:1]
