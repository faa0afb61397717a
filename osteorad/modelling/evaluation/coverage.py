"""The kinds of interval that an evaluation gives, and how often each covers the truth where that was measured.

`python -m benchmarks.coverage` measures the figures; docs/decisions/09-which-intervals.md says in which settings.
Report and documentation take the sentences from here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """A kind of 95 % interval: its name, its measured coverage as a sentence, and the simulations behind it."""

    label: str
    coverage: str
    setting: str


NADEAU_BENGIO = "nadeau-bengio"
PATIENT_BOOTSTRAP = "patient-bootstrap"
DELONG = "delong"
OBUCHOWSKI = "obuchowski"
WILSON = "wilson"

INTERVALS: dict[str, Kind] = {
    NADEAU_BENGIO: Kind(
        label="corrected resampled t interval (Nadeau and Bengio 2003)",
        coverage="95 % interval; covers 86 to 93 % in simulations",
        setting="",
    ),
    PATIENT_BOOTSTRAP: Kind(
        label="95 % patient bootstrap, conditional on the fitted models",
        coverage="95 % interval; covers 78 to 83 % in simulations",
        setting="",
    ),
    DELONG: Kind(label="DeLong, DeLong and Clarke-Pearson 1988", coverage="", setting=""),
    OBUCHOWSKI: Kind(label="Obuchowski 1997, lesions of a patient together", coverage="", setting=""),
    WILSON: Kind(label="Wilson 1927, of a proportion", coverage="", setting=""),
}


def described(keys: Iterable[str]) -> dict[str, Any]:
    """Kinds of interval by their keys, as data."""
    return {key: asdict(INTERVALS[key]) for key in keys}
