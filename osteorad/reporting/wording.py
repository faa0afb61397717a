"""Numbers and words as a page prints them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

NOTHING = "–"
LARGE = 1000  # medians from here on are printed without decimals
LEAST_P = 0.001  # smaller ones are printed as less than this


def real(value: Any, digits: int = 2) -> str:
    """A number with fixed digits and a true minus; a dash where there is none."""
    if value is None or (isinstance(value, float) and not math.isfinite(value)):
        return NOTHING
    text = f"{float(value):,.{digits}f}"
    if float(text.replace(",", "")) == 0:
        text = text.lstrip("-")
    return text.replace("-", "−")


def p_value(value: Any) -> str:
    """A P value with three digits, `<0.001` where it is smaller."""
    return f"<{LEAST_P}" if value is not None and value < LEAST_P else real(value, 3)


def count(value: Any) -> str:
    """A whole number with thousands separated; a dash where there is none."""
    return real(value, 0)


def interval(values: Sequence[Any] | None, digits: int = 2) -> str:
    """Estimate and limits: `0.71 (0.60 to 0.82)`."""
    if not values or values[0] is None:
        return NOTHING
    middle, low, high = values
    if low is None or high is None:
        return real(middle, digits)
    return f"{real(middle, digits)} ({real(low, digits)} to {real(high, digits)})"


def limits(values: Sequence[Any] | None, digits: int = 2) -> str:
    """Limits without their estimate: `0.60 to 0.82`."""
    if not values or None in values:
        return NOTHING
    low, high = values
    return f"{real(low, digits)} to {real(high, digits)}"


def middle_range(values: Sequence[Any] | None, digits: int = 2) -> str:
    """Median and range, `3.0 (1.0 to 5.0)`; the median alone where all agree."""
    if values and values[1] == values[2]:
        return real(values[0], digits)
    return interval(values, digits)


def summary(value: Mapping[str, Any] | None) -> str:
    """A group in table 1: `61.0 (52.0 to 68.0)` of a number, `12/40 (30 %)` of a level."""
    if not value:
        return NOTHING
    if "k" in value:
        return f"{share([value['k'], value['n']])} ({percent(value['share'])})"
    large = (value["q3"] or 0) >= LARGE
    return interval([value["median"], value["q1"], value["q3"]], 0 if large else 1)


def share(values: Sequence[Any] | None) -> str:
    """`k/n`."""
    return NOTHING if not values or values[0] is None else f"{count(values[0])}/{count(values[1])}"


def percent(value: Any, digits: int = 0) -> str:
    """A share as per cent with a no-break space."""
    return NOTHING if value is None else f"{real(float(value) * 100, digits)}\u00a0%"


def plural(number: int, one: str, many: str | None = None) -> str:
    """`1 patient`, `2 patients`."""
    return f"{count(number)}\u00a0{one if number == 1 else many or one + 's'}"


def none_of(total: int, what: str, many: str | None = None) -> str:
    """The statement that stands where there is nothing to show."""
    return f"None: 0 of {plural(total, what, many)}."


def plain_name(column: str) -> str:
    """A column of the samples as a reader would say it: `clinical.age_years` as `age years`."""
    if column == "radscore":
        return "Rad-score"
    if column.endswith("original_shape_VoxelVolume"):
        return "ROI volume, mm³"
    return column.removeprefix("clinical.").replace("_", " ")


def listed(words: Sequence[str]) -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(words) < 2:
        return "".join(words)
    return ", ".join(words[:-1]) + " and " + words[-1]


def tidy(value: Any) -> Any:
    """A value for report.json: floats to 6 significant digits, NaN and infinities to None, numpy scalars to Python."""
    if hasattr(value, "item") and not isinstance(value, str | bytes):
        value = value.item()
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {str(key): tidy(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple):
        return [tidy(entry) for entry in value]
    return value
