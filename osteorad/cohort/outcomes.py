"""The outcome of a sample: of its patient (a column 0/1, or an event within a horizon), or of the lesion itself."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from osteorad.cohort.config import Analysis
from osteorad.errors import ConfigError, SetAside, unknown_name

# Columns of clinical.parquet that are no covariates.
STRUCTURE = ("patient", "outcome", "index_day", "event_day", "last_seen_day", "first_session_day", "site")


def lesion_outcome(row: Mapping[str, Any] | None) -> int:
    """Outcome 0 or 1 of a lesion by its row of lesions.parquet; raises SetAside where there is none."""
    if row is None:
        raise SetAside("lesion_without_row")
    if row["outcome"] is None:
        raise SetAside("outcome_missing")
    return int(row["outcome"])


def outcome_of(row: Mapping[str, Any] | None, settings: Analysis, image_day: float | None) -> int:
    """Outcome 0 or 1 of a patient.

    row : the patient's row of clinical.parquet, days since the index date; None where there is none. image_day : of
    the session that enters, on the same axis; None where unknown.
    Raises SetAside where the outcome is unknown, the patient was followed too briefly, or the image came too late;
    ConfigError where the outcome's column does not exist or holds something else than 0 and 1.
    """
    if row is None:
        raise SetAside("images_without_table")
    outcome = _column_outcome(row, settings) if settings.horizon_days is None else _horizon_outcome(row, settings)
    event = _number(row, "event_day")
    if outcome == 1 and event is not None and image_day is not None and image_day > event:
        raise SetAside("image_after_event", f"image on day {image_day:.0f}, event on day {event:.0f}")
    return outcome


def _column_outcome(row: Mapping[str, Any], settings: Analysis) -> int:
    if settings.outcome not in row:
        valid = [name for name in row if name == "outcome" or name not in STRUCTURE]
        raise ConfigError(unknown_name("outcome", settings.outcome, valid, "analysis"))
    value = _number(row, settings.outcome)
    if value is None:
        raise SetAside("outcome_missing")
    if value not in (0.0, 1.0):
        raise ConfigError(f"outcome '{settings.outcome}': found {row[settings.outcome]!r}, wanted 0 or 1.")
    return int(value)


def _horizon_outcome(row: Mapping[str, Any], settings: Analysis) -> int:
    horizon = settings.horizon_days
    assert horizon is not None
    event, seen = _number(row, "event_day"), _number(row, "last_seen_day")
    if _number(row, "index_day") is None:
        raise SetAside("index_date_missing")
    if event is not None:
        if event < 0:
            raise SetAside("event_before_index", f"event on day {event:.0f}")
        return int(event <= horizon)
    if seen is None:
        raise SetAside("outcome_missing", "neither an event nor a last visit is known")
    if seen < horizon:
        raise SetAside("censored_before_horizon", f"followed for {seen:.0f} of {horizon} days")
    return 0


def _number(row: Mapping[str, Any], column: str) -> float | None:
    """A number, or None where it is missing; text that is no number stays an error of the settings."""
    value = row.get(column)
    if value is None or value == "":
        return None
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise ConfigError(f"column '{column}': found {value!r}, wanted a number.") from None
    return None if math.isnan(number) else number
