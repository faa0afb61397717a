"""The answer of an analysis as sentences made by rule: what the numbers show, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = {
    "volume": "the volume of the ROI alone",
    "clinical": "the clinical covariates alone",
    "combined": "the covariates with the Rad-score",
    "metabolic": "the metabolic parameters alone",
    "site": "the site alone",
    "prevalence": "the prevalence",
}
CHANCE = 0.5


def answer(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Pieces of the answer and its sentences, from an evaluation without one."""
    primary, counts = evaluation["primary"], evaluation["counts"]
    rows = {(row["of"], row["against"]): row for row in evaluation["differences"]}
    kind = "too_few_events" if evaluation["too_few_events"] else "result"
    pieces = {
        "kind": kind,
        "auc": primary["estimate"],
        "low": primary["low"],
        "high": primary["high"],
        "events": counts["events"],
        "patients": counts["patients"],
        "beats_chance": _over_chance(primary),
        "beats_volume": _beats(rows.get(("radiomics", "volume"))),
        "beats_clinical": _beats(rows.get(("radiomics", "clinical"))),
        "adds_to_clinical": _beats(rows.get(("combined", "clinical"))),
    }
    sentences = _too_few(evaluation) if kind == "too_few_events" else _result(evaluation, pieces)
    return {**pieces, "sentences": sentences}


def _over_chance(primary: Mapping[str, Any]) -> str:
    if primary["low"] is None:
        return "not_applicable"
    if primary["low"] > CHANCE:
        return "yes"
    return "no" if primary["high"] < CHANCE else "not_shown"


def _beats(difference: Mapping[str, Any] | None) -> str:
    if difference is None or difference["estimate"] is None:
        return "not_applicable"
    return {"better": "yes", "worse": "no"}.get(difference["verdict"], "not_shown")


def _too_few(evaluation: Mapping[str, Any]) -> list[str]:
    counts = evaluation["counts"]
    scarce = "events" if counts["minority"] == counts["tested_events"] else "patients without the event"
    first = f"Too few {scarce}: {counts['minority']} of {counts['minority_needed']}. No AUC is given as an answer."
    ran = "The frozen model" if evaluation["procedure"] == "external" else "The procedure"
    return [first, f"{ran} ran on {counts['patients']} patients; what it reached stands under Performance."]


def _result(evaluation: Mapping[str, Any], pieces: Mapping[str, Any]) -> list[str]:
    chance = {
        "yes": "This is better than chance.",
        "no": "This is worse than chance: look for a mistake in the data before reading on.",
        "not_shown": "The interval holds 0.50: better than chance is not shown.",
        "not_applicable": "There is no interval, so better than chance is not shown.",
    }[pieces["beats_chance"]]
    rows = [row for row in evaluation["differences"] if row["estimate"] is not None]
    compared = [_compared(row, evaluation["multiplicity"]["comparisons"]) for row in rows]
    return [_headline(evaluation), *_patients(evaluation), chance, *compared]


def _headline(evaluation: Mapping[str, Any]) -> str:
    counts, primary = evaluation["counts"], evaluation["primary"]
    whose = "of the frozen model in this cohort " if evaluation["procedure"] == "external" else ""
    known = "(no interval)" if primary["low"] is None else f"(95 % interval {_range(primary)})"
    whom = "patients" if counts["tested_patients"] == counts["patients"] else "patients of the test parts"
    samples = f" ({counts['samples']} lesions)" if evaluation["unit"] == "lesion" else ""
    return (
        f"AUC {_two(primary['estimate'])} {known} {whose}for {evaluation['outcome_label']}, "
        f"from {counts['tested_events']} events in {counts['tested_patients']} {whom}{samples}."
    )


def _patients(evaluation: Mapping[str, Any]) -> list[str]:
    """What lesions say about their patients."""
    told = evaluation["patient_level"]
    if told is None or told["auc"]["estimate"] is None:
        return []
    return [f"This is the AUC of lesions; that of patients is {_with_range(told['auc'])}."]


def _compared(row: Mapping[str, Any], comparisons: int) -> str:
    name = NAMES[row["against"]]
    numbers = f"difference {_two(row['estimate'], signed=True)}, {_range(row, signed=True)}"
    if comparisons > 1 and row["p_holm"] is not None:
        numbers += f"; P {_p(row['p_holm'])} after Holm over {comparisons} comparisons"
    if (row["of"], row["against"]) == ("combined", "clinical"):
        return {
            "better": f"The Rad-score adds to the clinical covariates ({numbers}).",
            "worse": f"With the Rad-score the clinical covariates predict worse ({numbers}).",
            "not_shown": f"That the Rad-score adds to the clinical covariates is not shown ({numbers}).",
        }[row["verdict"]]
    return {
        "better": f"It is better than {name} ({numbers}).",
        "worse": f"It is worse than {name} ({numbers}).",
        "not_shown": f"That it is better than {name} is not shown ({numbers}).",
    }[row["verdict"]]


def _two(value: float | None, *, signed: bool = False) -> str:
    """Two decimals, with a minus sign; never a signed zero."""
    if value is None:
        return "unknown"
    text = f"{abs(value):.2f}"
    if value < 0 and text != "0.00":
        return "\N{MINUS SIGN}" + text
    return "+" + text if signed and text != "0.00" else text


def _p(value: float) -> str:
    return "below 0.001" if value < 0.001 else f"{value:.3f}"


def _range(row: Mapping[str, Any], *, signed: bool = False) -> str:
    return f"{_two(row['low'], signed=signed)} to {_two(row['high'], signed=signed)}"


def _with_range(row: Mapping[str, Any]) -> str:
    return f"{_two(row['estimate'])} ({_range(row)})"
