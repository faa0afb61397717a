"""The answer of an analysis as sentences made by rule: what the numbers show, and what they do not."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NAMES = {"volume": "the volume of the ROI alone", "clinical": "the clinical covariates alone"}
CHANCE = 0.5


def answer(evaluation: Mapping[str, Any]) -> dict[str, Any]:
    """Pieces of the answer and its sentences, from an evaluation without one."""
    primary, counts = evaluation["primary"], evaluation["counts"]
    against = {row["against"]: row for row in evaluation["differences"]}
    kind = "too_few_events" if evaluation["too_few_events"] else "result"
    pieces = {
        "kind": kind,
        "auc": primary["estimate"],
        "low": primary["low"],
        "high": primary["high"],
        "events": counts["events"],
        "patients": counts["patients"],
        "beats_chance": _over_chance(primary),
        "beats_volume": _beats(against.get("volume")),
        "beats_clinical": _beats(against.get("clinical")),
    }
    sentences = _too_few(evaluation) if kind == "too_few_events" else _result(evaluation, pieces, against)
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
    counts, primary = evaluation["counts"], evaluation["primary"]
    scarce = "events" if counts["events"] <= counts["non_events"] else "patients without the event"
    return [
        f"Too few {scarce}: {counts['minority']} of {counts['minority_needed']}. No AUC is given as an answer.",
        f"The procedure ran on {counts['patients']} patients; its mean fold AUC of {_two(primary['estimate'])} "
        f"({_range(primary)}) shows that it works, not that it predicts.",
    ]


def _result(evaluation: Mapping[str, Any], pieces: Mapping[str, Any], against: Mapping[str, Any]) -> list[str]:
    counts, primary = evaluation["counts"], evaluation["primary"]
    first = (
        f"AUC {_two(primary['estimate'])} (95 % interval {_range(primary)}) for {evaluation['outcome_label']}, "
        f"from {counts['events']} events in {counts['patients']} patients."
    )
    chance = {
        "yes": "This is better than chance.",
        "no": "This is worse than chance: look for a mistake in the data before reading on.",
        "not_shown": "The interval holds 0.50: better than chance is not shown.",
    }[pieces["beats_chance"]]
    return [first, chance, *(_against(row) for row in against.values() if row["estimate"] is not None)]


def _against(row: Mapping[str, Any]) -> str:
    name, numbers = (
        NAMES[row["against"]],
        f"difference {_two(row['estimate'], signed=True)}, {_range(row, signed=True)}",
    )
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


def _range(row: Mapping[str, Any], *, signed: bool = False) -> str:
    return f"{_two(row['low'], signed=signed)} to {_two(row['high'], signed=signed)}"
