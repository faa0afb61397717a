"""Drawing of a nomogram: points on top, one axis a variable, total points and probability below."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from markupsafe import Markup

from osteorad.reporting import svg
from osteorad.reporting.svg import Scale, element, join, line, text
from osteorad.reporting.wording import real

LEFT, RIGHT, ROW_PX = 190.0, 776.0, 46.0
LETTER_PX = 6.3  # of the small type


def nomogram(name: str, title: str, desc: str, data: Mapping[str, Any]) -> Markup:
    """Axes from top to bottom: points, variables (marks: value, points), total, probability (p, total)."""
    points = Scale(0, 100, LEFT, RIGHT)
    total = Scale(0, data["total"]["most"], LEFT, RIGHT)
    last = 26.0 + ROW_PX * (len(data["variables"]) + 1)
    parts = [line(points(tick), 26.0, points(tick), last - ROW_PX + 12.0, "grid") for tick in data["points"]]
    parts.append(_scale("Points", 26.0, [(points(tick), real(tick, 0)) for tick in data["points"]], strong=True))
    for place, variable in enumerate(data["variables"], 1):
        parts.append(_variable(variable, 26.0 + ROW_PX * place, points))
    parts.append(
        _scale("Total points", last, [(total(tick), real(tick, 0)) for tick in data["total"]["ticks"]], whole=True)
    )
    chances = [(total(entry["total"]), percent_text(entry["p"])) for entry in data["probability"]]
    parts.append(_scale("Probability", last + ROW_PX, chances, strong=True, whole=True))
    height = last + ROW_PX + 30.0
    if data["threshold"]:
        x, y = total(data["threshold"]["total"]), last + ROW_PX
        corners = [(x, y - 2), (x - 5, y - 11), (x + 5, y - 11)]
        parts.append(element("path", d=svg.path_of(corners, close=True), fill=svg.RED, class_="mark"))
        words = f"threshold {percent_text(data['threshold']['p'])}"
        parts.append(text(x + 9, y - 6, words, "tick") if x < 680 else text(x - 9, y - 6, words, "tick", "end"))
    return svg.drawing(name, title, desc, 800.0, height, join(*parts), "wide")


def percent_text(value: float) -> str:
    """A probability in per cent, with a decimal only where it is needed."""
    shown = value * 100
    return f"{real(shown, 0 if abs(shown - round(shown)) < 0.05 else 1)}\u00a0%"


def _scale(
    label: str, y: float, marks: list[tuple[float, str]], *, strong: bool = False, whole: bool = False
) -> Markup:
    """An axis with its name to the left and numbers below the line."""
    first, end = (LEFT, RIGHT) if whole or not marks else (marks[0][0], marks[-1][0])
    parts = [text(0.0, y + 4, label, "lab strong" if strong else "lab"), line(first, y, end, y, "axis-line mark")]
    for x, words in marks:
        parts += [line(x, y, x, y + 5, "axis-line"), text(x, y + 18, words, "tick", "middle")]
    return join(*parts)


def _variable(variable: Mapping[str, Any], y: float, points: Scale) -> Markup:
    levels = variable["levels"]
    marks = sorted((points(m["points"]), m["value"] if levels else value_text(m["value"])) for m in variable["marks"])
    xs = [x for x, _ in marks] if levels else [points(end) for end in variable["ends"]]
    parts = [text(0.0, y + 4, variable["label"], "lab"), line(min(xs), y, max(xs), y, "axis-line heavy")]
    parts += [line(x, y - 4, x, y + 4, "axis-line") for x in (min(xs), max(xs))]
    parts += [line(x, y, x, y + 5, "axis-line") for x, _ in marks]
    if _fits(marks):
        parts += [text(x, y + 18, words, "tick", "middle") for x, words in marks]
    elif len(marks) == 2:
        (_, low), (_, high) = marks
        parts += [text(min(xs) - 8, y + 4, low, "tick", "end"), text(max(xs) + 8, y + 4, high, "tick")]
    else:
        named = [f"{words} {real((x - LEFT) / (RIGHT - LEFT) * 100, 0)}" for x, words in marks]
        parts.append(text(LEFT, y + 18, "points: " + ", ".join(named), "tick"))
    return join(*parts)


def _fits(marks: list[tuple[float, str]]) -> bool:
    """Whether the words below the marks leave room for each other."""
    pairs = pairwise(marks)
    return all((len(one) + len(two) + 2) * LETTER_PX / 2 < right - left for (left, one), (right, two) in pairs)


def value_text(value: float) -> str:
    """A mark's number as short as it can be."""
    return f"{value:g}".replace("-", "\u2212")
