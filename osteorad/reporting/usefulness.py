"""Parts that show what a decision by the model would bring: decision curve, waterfall; kinds of interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.comparisons import BASELINES
from osteorad.reporting.wording import interval, listed, none_of, percent, plural

Facts = Mapping[str, Any]
LOOKS = {"radiomics": "main", "combined": "combined", "clinical": "clinical"}


def decision_part(evaluation: Facts) -> doc.Part:
    """Net benefit over the declared threshold probabilities, beside treating all and none."""
    told = evaluation["decision"]
    if not told or not told["thresholds"]:
        return doc.note("Not done: 0 threshold probabilities were declared.", title="Decision curve.")
    at = told["thresholds"]
    curves = [_curve(curve, at) for curve in told["curves"]]
    curves.append({"label": "treat all", "tone": "all", "points": _points(at, told["all"]), "band": []})
    useful = _useful(told)
    words = f"Useful, that is above treating all and none, {useful}."
    return doc.figure(
        "decision",
        "decision",
        "Decision curve",
        f"Net benefit of {listed([curve['label'] for curve in curves])}. {words}",
        f"Decision curve at {plural(len(at), 'threshold probability', 'threshold probabilities')} declared beforehand, "
        f"{told['events']} events in {plural(told['n'], 'sample')}. {words} Band: {told['label']}.",
        {
            "curves": curves,
            "x": {"label": "threshold probability", "ticks": _ticks(at), "digits": 1},
            "y": {"label": "net benefit", "ticks": _benefit_ticks(curves, told["prevalence"]), "digits": 1},
            "none": 0,
            "prevalence": told["prevalence"],
            "thresholds": at,
            "events": told["events"],
            "n": told["n"],
            "label_text": told["label"],
        },
    )


def _curve(curve: Facts, at: list[float]) -> dict[str, Any]:
    band = [
        [x, low, high]
        for x, low, high in zip(at, curve["low"] or [], curve["high"] or [], strict=False)
        if low is not None
    ]
    return {
        "label": BASELINES.get(curve["name"], curve["label"]),  # the models' long labels do not fit the key
        "tone": LOOKS.get(curve["name"], "plain"),
        "points": _points(at, curve["net_benefit"]),
        "band": band if curve["name"] == "radiomics" else [],
    }


def _points(at: list[float], values: list[float | None]) -> list[list[float]]:
    return [[x, y] for x, y in zip(at, values, strict=True) if y is not None]


def _ticks(at: list[float]) -> list[float]:
    return [tenth / 10 for tenth in range(int(max(at) * 10 + 0.999) + 1) if tenth % 2 == 0 or max(at) <= 0.5]


def _benefit_ticks(curves: list[dict[str, Any]], prevalence: float) -> list[float]:
    """From just below zero to the prevalence, which no net benefit exceeds."""
    top = max([prevalence, *(y for curve in curves for _, y in curve["points"])])
    return [tenth / 10 for tenth in range(-1, int(top * 10 + 0.999) + 1)]


def _useful(told: Facts) -> str:
    """Where the model lies above both treating all and treating none."""
    own = next(curve for curve in told["curves"] if curve["name"] == "radiomics")["net_benefit"]
    above = [
        x
        for x, model, everyone in zip(told["thresholds"], own, told["all"], strict=True)
        if model is not None and model > max(everyone, 0.0) + 1e-9
    ]
    if not above:
        return "at none of them"
    return f"at {len(above)} of {len(own)} thresholds, from {percent(above[0])} to {percent(above[-1])}"


def waterfall_part(evaluation: Facts) -> doc.Part:
    """One bar a sample, sorted by the distance of its probability from the threshold."""
    told = evaluation["waterfall"]
    rows = [[row["margin"], row["outcome"]] for row in told["rows"]]
    right = sum((row["margin"] >= 0) == bool(row["outcome"]) for row in told["rows"])
    events = sum(row["outcome"] for row in told["rows"])
    where = f", repeat {told['repeat']}" if evaluation["counts"]["repeats"] > 1 else ""
    words = f"{right} of {plural(len(rows), 'bar')} stand on the side of their outcome"
    return doc.figure(
        "waterfall",
        "waterfall",
        "Waterfall of predictions",
        f"Each {evaluation['unit']} by probability minus threshold; {words}.",
        f"Waterfall{where}: one bar a {evaluation['unit']}, its probability minus the threshold "
        f"fixed beforehand. Dark: {events} with the event, should point up; light: {len(rows) - events} without, "
        f"should point down. {words[0].upper()}{words[1:]}.",
        {
            "rows": rows,
            "ticks": _even_ticks(max((abs(row[0]) for row in rows), default=0.0)),
            "label": "probability − threshold",
            "right": right,
            "events": events,
            "others": len(rows) - events,
            "all": len(rows),
            "repeat": told["repeat"],
            "legend": ["event", "no event"],
        },
    )


def _even_ticks(most: float) -> list[float]:
    """Ticks of 0.2 as far as the longest bar, alike above and below zero."""
    reach = max(1, math.ceil(most * 5 - 1e-9))
    return [place / 5 for place in range(-reach, reach + 1)]


def intervals_table(evaluation: Facts) -> doc.Part:
    """Each kind of interval used, and how often it covered the truth in simulations."""
    rows = [
        {"label": kind["label"], "coverage": kind["coverage"] or "not simulated", "setting": kind["setting"] or "–"}
        for kind in evaluation["intervals"].values()
    ]
    columns = [
        doc.column("label", "Interval"),
        doc.column("coverage", "Coverage", "words"),
        doc.column("setting", "Measured in", "words"),
    ]
    caption = "Intervals of this page, and how often they held the truth in simulations."
    return doc.table("intervals-table", caption, columns, rows, empty=none_of(0, "interval"))


def measured(told: Facts) -> str:
    """`0.84 (0.31 to 1.52)` of a measured value."""
    return interval([told["estimate"], told["low"], told["high"]])
