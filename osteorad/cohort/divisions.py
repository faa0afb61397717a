"""Who is tested when: the outer divisions of each kind of split, as pure functions of names.

Nothing here depends on the order of rows: every draw follows from analysis, seed, repeat, fold and the unit's own name.
A unit is a patient; only the replay of a paper that divided lesions has samples as units.
"""

from __future__ import annotations

import hashlib
import logging
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import pyarrow as pa

from osteorad.cohort.recipe import Published, Splits
from osteorad.errors import AnalysisRefused, ConfigError, unknown_name

log = logging.getLogger(__name__)

LEAST_IN_TEST = 3  # patients of each class in the smallest outer test part
LEAST_FOLDS = 2
LEAST_PATIENTS = LEAST_IN_TEST * LEAST_FOLDS
SMALL_SITES = "small sites"
# Strata: all samples of a unit without the event, all with it, or some of each (lesions with their own outcomes).
WITHOUT, WITH, MIXED = 0, 1, 2
DEALT = (WITH, MIXED, WITHOUT)  # units that hold a class stand side by side, so that dealing in turn spreads it evenly


@dataclass(frozen=True, slots=True, kw_only=True)
class Division:
    """One outer split: unit -> True where it is tested, False where it is learned from.

    name : what the draws inside the training part start from.
    """

    repeat: int
    fold: int
    tested: Mapping[str, bool]
    name: str

    @property
    def training(self) -> list[str]:
        """Units of the training part, sorted."""
        return sorted(unit for unit, tested in self.tested.items() if not tested)


def divisions(samples: pa.Table, settings: Splits, name: str) -> list[Division]:
    """Outer divisions of an analysis, by patient.

    samples : schemas.SAMPLES, with the column that `settings` names. name : of the draws, `<analysis>/<seed>`.
    Raises AnalysisRefused where a part would be left with too few patients of a class, or a patient without a part.
    """
    strata = patient_strata(samples)
    match settings.kind:
        case "folds":
            return list(fold_divisions(strata, settings.repeats, outer_folds(strata, settings.folds), name))
        case "hold-out":
            refuse_few(strata)
            return list(hold_out_divisions(strata, settings.repeats, settings.test_share, LEAST_IN_TEST, name))
        case "site":
            groups = _merged(_values(samples, "site", "splits: kind site"), strata)
        case "column":
            groups = _values(samples, f"clinical.{settings.column}", f"splits: column '{settings.column}'")
    found = list(group_divisions(groups, name))
    _refuse_thin(found, strata)
    return found


def published_divisions(samples: pa.Table, published: Published, name: str) -> list[Division]:
    """Outer divisions as a paper made them, by patient or by sample: at least one unit of each class in a part.

    Raises AnalysisRefused where a class has a single unit.
    """
    strata = unit_strata(samples, published.by)
    fewest = min(class_sizes(strata.values()))
    if fewest < LEAST_FOLDS:
        raise AnalysisRefused(f"too few {published.by}s of a class for the published division: {fewest}, wanted 2.")
    if published.split == "folds":
        return list(fold_divisions(strata, published.repeats, min(published.folds, fewest), name))
    return list(hold_out_divisions(strata, published.repeats, published.test_share, 1, name))


# --- units and strata -------------------------------------------------------------------------------------------------


def patient_strata(samples: pa.Table) -> dict[str, int]:
    """Patient -> stratum, sorted by patient."""
    return unit_strata(samples, "patient")


def unit_strata(samples: pa.Table, unit: str) -> dict[str, int]:
    """Unit (`patient` or `sample`) -> stratum: WITH or WITHOUT the event, or MIXED; sorted."""
    strata: dict[str, int] = {}
    for key, outcome in zip(samples[unit].to_pylist(), samples["outcome"].to_pylist(), strict=True):
        strata[key] = int(outcome) if strata.get(key, outcome) == outcome else MIXED
    return dict(sorted(strata.items()))


def class_sizes(strata: Iterable[int]) -> tuple[int, int]:
    """Units with the event in any sample, and units without it in any; a mixed one is among both."""
    counts = Counter(strata)
    return counts[WITH] + counts[MIXED], counts[WITHOUT] + counts[MIXED]


def refuse_few(strata: Mapping[str, int]) -> None:
    """AnalysisRefused under six patients of a class."""
    events, others = class_sizes(strata.values())
    if min(events, others) < LEAST_PATIENTS:
        raise AnalysisRefused(
            f"too few patients: {events} with and {others} without the event. "
            f"Wanted: at least {LEAST_PATIENTS} of each, for {LEAST_FOLDS} folds with {LEAST_IN_TEST} of each."
        )


def outer_folds(strata: Mapping[str, int], asked: int) -> int:
    """Outer folds that leave three patients of each class in the smallest test part; at most those asked for."""
    refuse_few(strata)
    return min(asked, min(class_sizes(strata.values())) // LEAST_IN_TEST)


def inner_folds(strata: Mapping[str, int], asked: int) -> int:
    """Inner folds that leave at least one patient of each class in every part; at most those asked for."""
    return max(LEAST_FOLDS, min(asked, *class_sizes(strata.values())))


# --- draws ------------------------------------------------------------------------------------------------------------


def divide(strata: Mapping[str, int], folds: int, name: str) -> dict[str, int]:
    """Fold (from 1) of each unit: by stratum, in an order drawn from `name`, dealt out in turn."""
    dealt = [unit for stratum in DEALT for unit in _drawn(strata, stratum, name)]
    place = {unit: turn % folds + 1 for turn, unit in enumerate(dealt)}
    return dict(sorted(place.items()))


def _drawn(strata: Mapping[str, int], stratum: int, name: str) -> list[str]:
    """Units of a stratum in an order drawn from `name`."""

    def drawn(unit: str) -> str:
        return hashlib.sha256(f"{name}/{unit}".encode()).hexdigest()

    return sorted((unit for unit, label in strata.items() if label == stratum), key=drawn)


def fold_divisions(strata: Mapping[str, int], repeats: int, folds: int, name: str) -> Iterator[Division]:
    """Repeated folds: every unit is tested once a repeat."""
    for repeat in range(1, repeats + 1):
        place = divide(strata, folds, f"{name}/{repeat}")
        for fold in range(1, folds + 1):
            tested = {unit: at == fold for unit, at in place.items()}
            yield Division(repeat=repeat, fold=fold, tested=tested, name=f"{name}/{repeat}/{fold}")


def hold_out_divisions(
    strata: Mapping[str, int], repeats: int, test_share: float, least: int, name: str
) -> Iterator[Division]:
    """Repeated hold-out: the share of each stratum, at least `least` units (or half of it) in either part."""
    for repeat in range(1, repeats + 1):
        tested = {}
        for stratum in DEALT:
            drawn = _drawn(strata, stratum, f"{name}/{repeat}")
            fewest = min(least, len(drawn) // 2)
            count = min(max(fewest, round(test_share * len(drawn))), len(drawn) - fewest)
            tested.update({unit: turn < count for turn, unit in enumerate(drawn)})
        yield Division(repeat=repeat, fold=1, tested=dict(sorted(tested.items())), name=f"{name}/{repeat}/1")


# --- groups: sites, and columns of the clinical table -----------------------------------------------------------------


def group_divisions(groups: Mapping[str, str], name: str) -> Iterator[Division]:
    """Each group tested once by what was learned on the others; `train` and `test` make one division."""
    names = sorted(set(groups.values()), key=_in_order)
    sides = {text: text.strip().lower() for text in names}
    if set(sides.values()) == {"train", "test"}:
        tested_together = [{text for text in names if sides[text] == "test"}]
    elif len(names) < LEAST_FOLDS:
        raise AnalysisRefused(f"all patients are in one part, '{names[0]}'. Wanted: at least two.")
    else:
        tested_together = [{text} for text in names]
    for fold, those in enumerate(tested_together, 1):
        tested = {patient: text in those for patient, text in sorted(groups.items())}
        yield Division(repeat=1, fold=fold, tested=tested, name=f"{name}/1/{fold}")


def _in_order(text: str) -> tuple[int, float, str]:
    """Numbers by value and before text; the small sites last."""
    number = float(text) if re.fullmatch(r"-?\d+(\.\d+)?", text) else None
    return (2 if text == SMALL_SITES else int(number is None), number or 0.0, text)


def _values(samples: pa.Table, column: str, what: str) -> dict[str, str]:
    """Patient -> text of a column that is one value a patient.

    Raises ConfigError for a column that is not there, AnalysisRefused for patients without a value or with several.
    """
    if column not in samples.column_names:
        covariates = [name for name in samples.column_names if name.startswith("clinical.")]
        raise ConfigError(unknown_name("column", column, covariates, what))
    found: dict[str, set[str]] = {}
    for patient, value in zip(samples["patient"].to_pylist(), samples[column].to_pylist(), strict=True):
        text = f"{value:g}" if isinstance(value, float) and value == value else str(value or "").strip()
        found.setdefault(patient, set()).add("" if text in ("nan", "NaN") else text)
    if empty := [patient for patient, texts in found.items() if texts == {""}]:
        raise AnalysisRefused(f"{what}: {len(empty)} of {len(found)} patients have no value. Wanted: one for each.")
    if several := [patient for patient, texts in found.items() if len(texts) > 1]:
        raise AnalysisRefused(f"{what}: {len(several)} patients have several values. Wanted: one for each.")
    return {patient: next(iter(texts)) for patient, texts in found.items()}


def _merged(sites: Mapping[str, str], strata: Mapping[str, int]) -> dict[str, str]:
    """Sites with fewer than three patients of a class are left out together, as one part, if any other is larger."""
    held: dict[str, list[int]] = {}
    for patient, site in sites.items():
        held.setdefault(site, []).append(strata[patient])
    small = {site for site, found in held.items() if min(class_sizes(found)) < LEAST_IN_TEST}
    if 1 < len(small) < len(set(sites.values())):
        log.warning("%d sites with fewer than %d patients of a class form one part", len(small), LEAST_IN_TEST)
        return {patient: SMALL_SITES if site in small else site for patient, site in sites.items()}
    return dict(sites)


def _refuse_thin(found: list[Division], strata: Mapping[str, int]) -> None:
    """Every training part needs three of each class; one test part at least needs both, or there is no AUC at all."""
    scored = 0
    for division in found:
        events, others = class_sizes(strata[patient] for patient in division.training)
        if min(events, others) < LEAST_IN_TEST:
            raise AnalysisRefused(
                f"too few patients in the training part of fold {division.fold}: {events} with and {others} without "
                f"the event. Wanted: at least {LEAST_IN_TEST} of each."
            )
        scored += min(class_sizes(strata[patient] for patient, tested in division.tested.items() if tested)) > 0
    if not scored:
        raise AnalysisRefused("no test part holds patients of both classes, so there is no AUC.")
