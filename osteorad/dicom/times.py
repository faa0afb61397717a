"""DICOM dates and times as seconds, so that intervals are plain subtraction.

A moment is a float: seconds since day 1 of the calendar (proleptic Gregorian), local time of the scanner.
"""

from __future__ import annotations

import math
import re
from datetime import date

DAY = 86400.0
_TIME = re.compile(r"^(\d{2}):?(\d{2})?:?(\d{2})?(\.\d*)?$")
_ZONE = re.compile(r"([+-])(\d{2})(\d{2})$")


def day_number(text: str | None) -> int | None:
    """Ordinal of a DA value (`YYYYMMDD`, also `YYYY.MM.DD` and `YYYY-MM-DD`); None where it is no date."""
    digits = re.sub(r"[.\-/]", "", (text or "").strip())
    if not re.fullmatch(r"\d{8}", digits):
        return None
    try:
        return date(int(digits[:4]), int(digits[4:6]), int(digits[6:])).toordinal()
    except ValueError:
        return None


def second_of_day(text: str | None) -> float | None:
    """Seconds since midnight of a TM value (`HHMMSS.FFFFFF` or shorter); None where it is no time."""
    found = _TIME.match((text or "").strip())
    if not found:
        return None
    hours, minutes, seconds = (int(part or 0) for part in found.groups()[:3])
    fraction = found.group(4)
    if hours > 23 or minutes > 59 or seconds > 60:
        return None
    return hours * 3600.0 + minutes * 60.0 + seconds + (float(fraction) if fraction and fraction != "." else 0.0)


def zone_offset(text: str | None) -> float | None:
    """Seconds east of UTC of a `+HHMM` suffix; None where there is none."""
    found = _ZONE.search((text or "").strip())
    if not found:
        return None
    sign, hours, minutes = found.groups()
    return (1.0 if sign == "+" else -1.0) * (int(hours) * 3600.0 + int(minutes) * 60.0)


def moment(day: str | None, time: str | None) -> float | None:
    """Moment of a DA and a TM value; None where either is missing."""
    ordinal, seconds = day_number(day), second_of_day(time)
    return None if ordinal is None or seconds is None else ordinal * DAY + seconds


def moment_of_datetime(text: str | None, local_zone: float | None = None) -> float | None:
    """Moment of a DT value with at least the hour; a zone suffix is moved to `local_zone` where both are known."""
    text = (text or "").strip()
    zone = zone_offset(text)
    if zone is not None:
        text = text[:-5]
    found = moment(text[:8], text[8:]) if len(text) >= 10 else None
    if found is None or zone is None or local_zone is None:
        return found
    return found - zone + local_zone


def day_of(when: float) -> int:
    """Ordinal of the day of a moment."""
    return math.floor(when / DAY)
