"""What scores come to: means, lesion sensitivity, false positives, FROC, with intervals by patient bootstrap.

Patients are drawn with all their sessions, lesions and false positives; intervals are conditional on the networks as
they are. Sensitivity is pooled over lesions, false positives are counted per case, cases without lesion included.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import binomtest

from osteorad.provenance import seed_from
from osteorad.segmentation.score_tables import PREDICTED, REFERENCE, SURFACE_DICE
from osteorad.segmentation.surface import FloatArray, IntArray

Row = Mapping[str, Any]
Number = dict[str, float | None]
Curve = tuple[FloatArray, FloatArray]  # false positives a case, sensitivity

LEVEL = 0.95
TAILS = (2.5, 97.5)
LEAST_USABLE = 0.5  # share of draws in which a number has to exist
LEAST_PATIENTS = 2  # of one patient nothing is known about others
FROC_AT = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)  # false positives a case
STRATA_ML = (0.5, 2.0)
DISTANCES = ("hd95_mm", "hd_mm", "assd_mm")
RATIOS = ("dice", "iou", "recall", *SURFACE_DICE, "volume_error_ml", "volume_error_percent")
ROUNDING = 1e-9


@dataclass(frozen=True, slots=True, kw_only=True)
class Draws:
    """How often each patient stands in each bootstrap sample: weights, shape (draws, patients)."""

    patients: Mapping[str, int]  # patient -> column
    weights: FloatArray


def draw_patients(patients: Iterable[str], draws: int, name: str) -> Draws:
    """Bootstrap samples of patients; the seed comes from a name such as `analysis/network/role`."""
    ordered = sorted(set(patients))
    generator = np.random.default_rng(seed_from(name))
    counts = generator.multinomial(len(ordered), np.full(len(ordered), 1 / len(ordered)), size=draws)
    columns = {patient: at for at, patient in enumerate(ordered)}
    return Draws(patients=columns, weights=counts.astype(np.float64))


def summarise(cases: Sequence[Row], lesions: Sequence[Row], *, draws: int, name: str) -> dict[str, Any]:
    """Numbers of one ROI of lesions in one group of cases (a procedure, a role); JSON-able, without NaN.

    cases, lesions : rows of CASE_SCORES and LESION_SCORES of the same cases; at least one case.
    """
    drawn = draw_patients((row["patient"] for row in cases), draws, name)
    return {
        **_voxel_numbers(cases, drawn),
        "lesions": _lesion_numbers(lesions, drawn),
        "false_positives": {
            "n": _total(cases, "false_positives"),
            "per_case": _ratio(cases, _value("false_positives"), _one, drawn),
            "ml_per_case": _mean(cases, "false_positive_ml", drawn),
        },
        **{
            name: _total(cases, name)
            for name in ("components", "dropped", "matched", "merges", "splits", "lesions_empty", "contours_lost")
        },
        "froc": froc(cases, lesions, drawn),
    }


def summarise_voxels(cases: Sequence[Row], *, draws: int, name: str) -> dict[str, Any]:
    """Numbers of a ROI that has no lesions, such as bone."""
    return _voxel_numbers(cases, draw_patients((row["patient"] for row in cases), draws, name))


def _voxel_numbers(cases: Sequence[Row], drawn: Draws) -> dict[str, Any]:
    """Means over cases with something to find; cases where a number does not exist are counted, never filled in."""
    positive = [row for row in cases if row["correct_negative"] is None]
    negative = [row for row in cases if row["correct_negative"] is not None]
    return {
        "patients": len(drawn.patients),
        "cases": len(cases),
        "n": len(positive),
        "n_negative": len(negative),
        "n_undefined": sum(row["hd95_mm"] is None for row in positive),
        "correct_negatives": _ratio(negative, _value("correct_negative"), _one, drawn),
        **{name: _mean(positive, name, drawn) for name in (*RATIOS, "precision", *DISTANCES)},
        "pooled_dice": _ratio(
            cases, lambda row: 2.0 * row["tp"], lambda row: 2.0 * row["tp"] + row["fp"] + row["fn"], drawn
        ),
    }


def _mean(cases: Sequence[Row], name: str, drawn: Draws) -> dict[str, Any]:
    known = [row for row in cases if row[name] is not None]
    return {**_ratio(known, _value(name), _one, drawn), "n": len(known)}


def _lesion_numbers(lesions: Sequence[Row], drawn: Draws) -> dict[str, Any]:
    """Sensitivity in all, by volume, type and place."""
    reference = [row for row in lesions if row["side"] == REFERENCE]
    return {
        **_sensitivity(reference, drawn),
        "by_volume": {name: _sensitivity(rows, drawn) for name, rows in _by_volume(reference).items()},
        "by_type": _by_text(reference, "type", drawn),
        "by_location": _by_text(reference, "location", drawn),
    }


def _sensitivity(lesions: Sequence[Row], drawn: Draws) -> dict[str, Any]:
    """Share of lesions found, with limits over patients and with Wilson's.

    Where all is found, or nothing, every bootstrap sample says the same and its interval has no width. Wilson's has
    one, but takes the lesions of a patient for independent.
    """
    found = sum(bool(row["found"]) for row in lesions)
    wilson = binomtest(found, len(lesions)).proportion_ci(LEVEL, method="wilson") if lesions else None
    return {
        "n": len(lesions),
        "found": found,
        "sensitivity": _ratio(lesions, _value("found"), _one, drawn),
        "wilson": {"low": float(wilson.low) if wilson else None, "high": float(wilson.high) if wilson else None},
    }


def _by_volume(lesions: Sequence[Row]) -> dict[str, list[Row]]:
    low, high = STRATA_ML
    names = (f"< {low:g} ml", f"{low:g} to {high:g} ml", f"> {high:g} ml")
    strata: dict[str, list[Row]] = {name: [] for name in names}
    for row in lesions:
        volume = row["volume_ml"]
        if volume is None:
            continue
        at = 0 if volume < low - ROUNDING else 2 if volume > high + ROUNDING else 1
        strata[names[at]].append(row)
    return strata


def _by_text(lesions: Sequence[Row], name: str, drawn: Draws) -> dict[str, Any]:
    told = sorted({row[name] for row in lesions if row[name]})
    return {text: _sensitivity([row for row in lesions if row[name] == text], drawn) for text in told}


# --- free-response curve ----------------------------------------------------------------------------------------------


def froc(cases: Sequence[Row], lesions: Sequence[Row], drawn: Draws) -> dict[str, Any] | None:
    """Sensitivity at false positives a case; None where a component has no score.

    A component counts from its score down. At a rate x stands the highest sensitivity of a threshold with at most x
    false positives a case; beyond the last component the curve is flat, and `last` tells where it ends.
    """
    components = [row for row in lesions if row["side"] == PREDICTED]
    if any(row["score"] is None for row in components):
        return None
    reference = [row for row in lesions if row["side"] == REFERENCE]
    events = _events(reference, [row for row in components if row["false_positive"]], drawn)
    all_cases, all_lesions = _counts(cases, _one, drawn), _counts(reference, _one, drawn)
    everyone = np.ones((1, len(drawn.patients)))
    whole = _curve(events, everyone[0], all_cases, all_lesions)
    rows = np.array([_read(_curve(events, weights, all_cases, all_lesions)) for weights in drawn.weights])
    measured = _read(whole)
    points = [
        {"false_positives_per_case": at, "sensitivity": _number(float(measured[n]), rows[:, n], all_lesions)}
        for n, at in enumerate(FROC_AT)
    ]
    rates, sensitivities = whole
    last = {"false_positives_per_case": float(rates[-1]), "sensitivity": _finite(float(sensitivities[-1]))}
    return {"points": points, "last": last}


@dataclass(frozen=True, slots=True, kw_only=True)
class Events:
    """Lesions found and false positives from the highest score down: whose they are, and where a score ends."""

    patient: IntArray
    false: FloatArray  # 1: a false positive; 0: a lesion found
    last: IntArray  # index of the last event of each score


def _events(reference: Sequence[Row], false: Sequence[Row], drawn: Draws) -> Events:
    rows = [(row, 0.0) for row in reference if row["score"] is not None] + [(row, 1.0) for row in false]
    rows.sort(key=lambda one: -one[0]["score"])
    scores = np.array([row["score"] for row, _ in rows])
    return Events(
        patient=np.array([drawn.patients[row["patient"]] for row, _ in rows], dtype=np.int64),
        false=np.array([kind for _, kind in rows]),
        last=np.flatnonzero(np.append(scores[1:] != scores[:-1], True)) if len(rows) else np.zeros(0, dtype=np.int64),
    )


def _curve(
    events: Events, weights: FloatArray, cases: FloatArray, lesions: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """False positives a case and sensitivity after each score, from (0, 0) on; NaN where no lesion was drawn."""
    each = weights[events.patient]
    false = np.concatenate([[0.0], np.cumsum(each * events.false)[events.last]])
    found = np.concatenate([[0.0], np.cumsum(each * (1 - events.false))[events.last]])
    there = float(weights @ lesions)
    return false / float(weights @ cases), found / there if there else np.full(len(found), np.nan)


def _read(curve: Curve) -> FloatArray:
    """Sensitivity at the rates of FROC_AT."""
    rates, sensitivities = curve
    return sensitivities[np.searchsorted(rates, np.add(FROC_AT, ROUNDING), side="right") - 1]


# --- ratios of sums and their intervals -------------------------------------------------------------------------------


def _value(name: str) -> Callable[[Row], float]:
    return lambda row: float(row[name])


def _one(_: Row) -> float:
    return 1.0


def _total(rows: Sequence[Row], name: str) -> int:
    return sum(row[name] for row in rows)


def _counts(rows: Sequence[Row], value: Callable[[Row], float], drawn: Draws) -> FloatArray:
    """Sum of a value over the rows of each patient."""
    sums = np.zeros(len(drawn.patients))
    for row in rows:
        sums[drawn.patients[row["patient"]]] += value(row)
    return sums


def _ratio(rows: Sequence[Row], above: Callable[[Row], float], below: Callable[[Row], float], drawn: Draws) -> Number:
    """Sum of one value over sum of another, with its interval; None where the second is 0."""
    tops, bottoms = _counts(rows, above, drawn), _counts(rows, below, drawn)
    with np.errstate(divide="ignore", invalid="ignore"):
        values = (drawn.weights @ tops) / (drawn.weights @ bottoms)
        estimate = float(tops.sum() / bottoms.sum()) if bottoms.sum() else float("nan")
    return _number(estimate, values, bottoms)


def _number(estimate: float, values: FloatArray, bottoms: FloatArray) -> Number:
    """An estimate with the percentiles of its bootstrap values, None where too few draws or patients have one."""
    usable = np.isfinite(values)
    enough = usable.mean() >= LEAST_USABLE and np.count_nonzero(bottoms) >= LEAST_PATIENTS
    low, high = (float(limit) for limit in np.percentile(values[usable], TAILS)) if enough else (None, None)
    return {"estimate": _finite(estimate), "low": low, "high": high}


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
