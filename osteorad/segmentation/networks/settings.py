"""Settings of a network that a recipe may set: completed with the defaults, checked, made plain.

Nothing here needs torch, so that a plan can be checked without loading it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from osteorad.errors import ConfigError, unknown_name

UPSAMPLINGS = ("bilinear", "transposed")
LEAST_FEATURES = 2  # an attention gate of MONAI halves the number of feature maps


class _Refused(Exception):
    """What was wanted of a value; becomes a line of a ConfigError."""


def complete(
    network: str,
    defaults: Mapping[str, Any],
    given: Mapping[str, Any] | None,
    *,
    widths: tuple[int, int],
    where: str,
) -> dict[str, Any]:
    """All settings of a network: those given, checked, and the defaults of the others.

    widths : least and largest number of entries in `features`.
    where : stands at the head of each problem.
    Raises ConfigError with a line for each unknown name and each value that does not fit.
    """
    problems: list[str] = []
    settings = dict(defaults)
    for name, value in (given or {}).items():
        if name not in defaults:
            problems.append(unknown_name(f"setting of network '{network}'", str(name), defaults, where))
            continue
        try:
            settings[name] = CHECKS[name](value, widths)
        except _Refused as wanted:
            problems.append(f"{where}: '{name}' of network '{network}' is {value!r}; wanted {wanted}.")
    if problems:
        raise ConfigError(problems)
    return settings


def _features(value: Any, widths: tuple[int, int]) -> tuple[int, ...]:
    least, most = widths
    if not isinstance(value, Sequence) or isinstance(value, str) or not least <= len(value) <= most:
        counts = f"{least}" if least == most else f"{least} to {most}"
        raise _Refused(f"a list of {counts} whole numbers, the feature maps of each level")
    if any(isinstance(count, bool) or not isinstance(count, int) or count < LEAST_FEATURES for count in value):
        raise _Refused(f"whole numbers of {LEAST_FEATURES} or more")
    return tuple(value)


def _dropout(value: Any, widths: tuple[int, int]) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        raise _Refused("a share from 0 to below 1")
    return float(value)


def _upsampling(value: Any, widths: tuple[int, int]) -> str:
    if value not in UPSAMPLINGS:
        raise _Refused(" or ".join(UPSAMPLINGS))
    return str(value)


CHECKS: Mapping[str, Callable[[Any, tuple[int, int]], Any]] = {
    "features": _features,
    "dropout": _dropout,
    "upsampling": _upsampling,
}
