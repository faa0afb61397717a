"""The nomogram as a figure of the page, from the frozen bundle's linear model."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.nomogram import (
    LEAST_GAP,
    REFERENCE,
    Nomogram,
    Variable,
    nice_ticks,
    nomogram_of,
    probability_ticks,
)
from osteorad.reporting.wording import interval, percent, plain_name, plural

Facts = Mapping[str, Any]
DRAWN = ("combined", "clinical")
NAMES = {"combined": "combined model (clinical variables and Rad-score)", "clinical": "clinical model"}


def nomogram_part(bundle: Facts | None, evaluation: Facts) -> tuple[doc.Part | None, str]:
    """The figure of the combined model, else of the clinical one; or None and why there is none."""
    if bundle is None:
        return None, "Not done: 0 models were fitted on all patients."
    for variables in DRAWN:
        part = bundle["parts"].get(variables)
        drawn = nomogram_of(part) if part else None
        if part and drawn:
            return _figure(drawn, part, variables, bundle, evaluation), ""
    return None, (
        "Not done: of the models fitted on all patients, 0 are logistic with clinical variables and tell patients "
        "apart."
    )


def _figure(drawn: Nomogram, part: Facts, variables: str, bundle: Facts, evaluation: Facts) -> doc.Part:
    auc = next((row["auc"] for row in evaluation["models"] if row["variables"] == variables), None)
    known = "its nested AUC was not computed"
    if auc is not None:
        known = f"its nested AUC is {interval([auc['estimate'], auc['low'], auc['high']])}"
    card = bundle["card"]
    ends = [drawn.probability(0), drawn.probability(drawn.most)]
    return doc.figure(
        "nomogram",
        "nomogram",
        f"Nomogram of the {NAMES[variables]}",
        f"{plural(len(drawn.variables), 'variable')}; from {percent(ends[0])} at 0 points to {percent(ends[1])} at "
        f"{drawn.most:.0f}.",
        f"Nomogram of the {NAMES[variables]}: read the points of each value on the first axis, add them up, and read "
        f"the probability below the total. This is the procedure fitted once on all "
        f"{plural(card['patients'], 'patient')} ({card['events']} with the event), so it has "
        f"no test of its own; {known}, and that is what is known of it. "
        "It is no aid for treatment before it was tested elsewhere.",
        {
            "variables": [_axis(entry, drawn, evaluation["table_one"]["rows"]) for entry in drawn.variables],
            "count": len(drawn.variables),
            "points": list(range(0, 101, 10)),
            "total": {"ticks": [t for t in nice_ticks(0, drawn.most, 8) if t <= drawn.most], "most": drawn.most},
            "probability": [{"p": p, "total": total} for p, total in probability_ticks(drawn)],
            "threshold": _threshold(part, drawn),
            "auc": auc,
            "card": {"patients": card["patients"], "events": card["events"]},
            "ends": ends,
            "base": drawn.base,
            "per_point": drawn.per_point,
        },
    )


def _axis(variable: Variable, drawn: Nomogram, known: Sequence[Facts]) -> dict[str, Any]:
    if variable.levels:
        named = _reference(variable, known)
        marks = [
            {"value": named if level == REFERENCE else level, "points": drawn.points(variable.name, level)}
            for level, _ in variable.levels
        ]
        return {"label": plain_name(variable.name), "levels": True, "marks": marks}
    values = nice_ticks(variable.low, variable.high)
    marks = [{"value": value, "points": drawn.points(variable.name, value)} for value in values]
    ends = [drawn.points(variable.name, value) for value in (variable.low, variable.high)]
    return {"label": plain_name(variable.name), "levels": False, "marks": _apart(marks), "ends": ends}


def _reference(variable: Variable, known: Sequence[Facts]) -> str:
    """The level without a column of its own, by name where it is the only one left in table 1."""
    own = {level for level, _ in variable.levels}
    name = variable.name.removeprefix("clinical.")
    left = [str(row["level"]) for row in known if row["variable"] == name and str(row["level"]) not in own]
    return left[0] if len(left) == 1 else REFERENCE


def _apart(marks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Marks that can be printed side by side; on a short axis only some, of two both, which stand at its ends."""
    if len(marks) <= 2:
        return marks
    kept: list[dict[str, Any]] = []
    for mark in marks:
        if not kept or abs(mark["points"] - kept[-1]["points"]) >= 100 * LEAST_GAP:
            kept.append(mark)
    return kept


def _threshold(part: Facts, drawn: Nomogram) -> dict[str, float] | None:
    """Where the frozen threshold lies, if on the axis."""
    calibration = part["calibration"]
    odds = calibration["intercept"] + calibration["slope"] * part["threshold"]
    total = (odds - drawn.base) / drawn.per_point
    if not (math.isfinite(total) and 0 <= total <= drawn.most):
        return None
    return {"p": drawn.probability(total), "total": total}
