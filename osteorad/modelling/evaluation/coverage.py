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
        coverage="95 % interval; covers 84 to 87 % in simulations",
        setting="nested analyses of 106 and 312 patients, 5 times 5 folds, mRMR and logistic regression, AUC 0.61 to "
        "0.78; truth: the mean over training sets. For the models at hand it covers 91 to 96 %, for differences of AUC "
        "90 to 96 %",
    ),
    PATIENT_BOOTSTRAP: Kind(
        label="95 % patient bootstrap, conditional on the fitted models",
        coverage="95 % interval; covers 80 to 99 % in simulations",
        setting="nested analyses of 106 and 312 patients, 5 times 5 folds; truth: the models at hand. Pooled AUC 80 to "
        "90 %, Brier score 92 to 93 %, calibration slope 88 to 94 %, calibration in the large 94 to 97 %, sensitivity "
        "and specificity 97 to 99 %, net benefit 96 to 97 %. For new training sets less: pooled AUC 73 to 81 %",
    ),
    DELONG: Kind(
        label="DeLong, DeLong and Clarke-Pearson 1988",
        coverage="95 % interval; covers 90 to 95 % in simulations",
        setting="a frozen model in 60 and 106 other patients, AUC 0.66 and 0.86",
    ),
    OBUCHOWSKI: Kind(
        label="Obuchowski 1997, lesions of a patient together",
        coverage="95 % interval; covers 92 to 95 % in simulations",
        setting="a frozen model in 40 and 100 other patients with one to six lesions, AUC 0.74. DeLong's interval of "
        "the lesions covers 86 to 89 %",
    ),
    WILSON: Kind(
        label="Wilson 1927, of a proportion",
        coverage="95 % interval; covers 88 to 98 % in simulations",
        setting="a frozen threshold, 14 to 69 counted, true share 0.50 to 0.95: 92 to 98 %, computed exactly. First "
        "repeat of nested analyses, truth: its models: 88 to 95 %",
    ),
}


def described(keys: Iterable[str]) -> dict[str, Any]:
    """Kinds of interval by their keys, as data."""
    return {key: asdict(INTERVALS[key]) for key in keys}
