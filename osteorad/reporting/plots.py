"""Charts of use and controls: decision curve, waterfall, histogram. Readable without colour, on paper too."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from markupsafe import Markup

from osteorad.reporting import svg
from osteorad.reporting.charts import TONES, band_of, square
from osteorad.reporting.svg import Scale, element, join, line, text
from osteorad.reporting.wording import count, real

DASHES = {"main": None, "combined": "9 3", "clinical": "5 3", "all": "1.5 3", "plain": "2 4"}
COLORS = {**TONES, "all": "#1d2430"}
EVENT, NO_EVENT = "#1d4e79", "#dce6f0"


def decision(name: str, title: str, desc: str, data: Mapping[str, Any]) -> Markup:
    """Net benefit over threshold probability; curves: label, tone, points (x, y), band (x, low, high)."""
    across, up, frame = square(data)
    parts = [frame, line(across(data["x"]["ticks"][0]), up(data["none"]), 286.0, up(data["none"]), "axis-line")]
    for curve in data["curves"]:
        color = COLORS[curve["tone"]]
        if curve["band"]:
            parts.append(band_of(curve["band"], across, up, color))
        path = svg.path_of([(across(x), up(y)) for x, y in _within(curve["points"], data["y"]["ticks"][0])])
        kind = "curve mark" if curve["tone"] == "main" else "curve even"
        parts.append(element("path", d=path, class_=kind, stroke=color, stroke_dasharray=DASHES[curve["tone"]]))
    keys = [_key(curve, 272.0 + 17.0 * place) for place, curve in enumerate(data["curves"])]
    height = 272.0 + 17.0 * len(keys)
    return svg.drawing(name, title, desc, 300.0, height, join(*parts, *keys))


def _within(points: list[list[float]], least: float) -> list[tuple[float, float]]:
    """A falling curve up to where it leaves the frame at the bottom."""
    kept: list[tuple[float, float]] = []
    for x, y in points:
        if y < least:
            if kept and kept[-1][1] > least:
                before = kept[-1]
                kept.append((before[0] + (x - before[0]) * (before[1] - least) / (before[1] - y), least))
            break
        kept.append((x, y))
    return kept


def _key(curve: Mapping[str, Any], y: float) -> Markup:
    color = COLORS[curve["tone"]]
    sample = element(
        "line",
        x1=46.0,
        y1=y - 4,
        x2=74.0,
        y2=y - 4,
        class_="curve" if curve["tone"] == "main" else "curve even",
        stroke=color,
        stroke_dasharray=DASHES[curve["tone"]],
    )
    return join(sample, text(82.0, y, curve["label"], "tick"))


def waterfall(name: str, title: str, desc: str, data: Mapping[str, Any]) -> Markup:
    """One bar a row (margin, outcome) from the zero line; dark with the event, light with a rim without."""
    rows, ticks = data["rows"], data["ticks"]
    across, up = Scale(0, max(len(rows), 1), 64.0, 790.0), Scale(ticks[0], ticks[-1], 214.0, 30.0)
    parts = [line(64.0, up(tick), 790.0, up(tick), "grid") for tick in ticks]
    parts += [text(58.0, up(tick) + 4, real(tick, 1), "tick", "end") for tick in ticks]
    step = across(1) - across(0)
    gap = min(3.0, step * 0.2)
    for place, (margin, outcome) in enumerate(rows):
        top, bottom = sorted((up(margin), up(0)))
        parts.append(
            element(
                "rect",
                x=across(place) + gap / 2,
                y=top,
                width=step - gap,
                height=max(bottom - top, 0.8),
                class_="fall mark" if outcome else "fall rim mark",
                fill=EVENT if outcome else NO_EVENT,
            )
        )
    parts.append(line(64.0, up(0), 790.0, up(0), "axis-line"))
    looks = zip(data["legend"], (EVENT, NO_EVENT), ("fall", "fall rim"), strict=True)
    for place, (label, color, kind) in enumerate(looks):
        x = 64.0 + 90.0 * place
        parts.append(element("rect", x=x, y=6.0, width=12.0, height=12.0, fill=color, class_=kind))
        parts.append(text(x + 18.0, 16.0, label, "tick"))
    parts.append(text(790.0, 16.0, "called positive above the line, negative below", "tick", "end"))
    parts.append(text(12.0, 122.0, data["label"], "axis", "middle", transform="rotate(-90 12 122)"))
    return svg.drawing(name, title, desc, 800.0, 222.0, join(*parts), "wide")


def histogram(name: str, title: str, desc: str, data: Mapping[str, Any]) -> Markup:
    """Counts in bins (from, to, k) with a line at `mark` and one at chance."""
    bins, ticks = data["bars"], data["ticks"]
    most = max((entry["k"] for entry in bins), default=1) or 1
    across, up = Scale(ticks[0], ticks[-1], 20.0, 780.0), Scale(0, most, 150.0, 30.0)
    parts = [text(across(tick), 166.0, real(tick, 1), "tick", "middle") for tick in ticks]
    parts.append(line(20.0, 150.0, 780.0, 150.0, "axis-line"))
    for entry in bins:
        if entry["k"]:
            left, right, top = across(entry["from"]), across(entry["to"]), up(entry["k"])
            shape = {"x": left + 0.6, "y": top, "width": right - left - 1.2, "height": 150.0 - top}
            parts.append(element("rect", **shape, fill=NO_EVENT, class_="fall rim mark"))
    parts.append(line(across(data["chance"]), 24.0, across(data["chance"]), 150.0, "chance"))
    parts.append(text(across(data["chance"]), 18.0, data["chance_label"], "tick", "middle"))
    if data["mark"] is not None:
        x = across(data["mark"])
        parts.append(line(x, 24.0, x, 150.0, "bar", stroke=svg.BLUE))
        shift, anchor = (6.0, "start") if x < 620 else (-6.0, "end")
        parts.append(text(x + shift, 36.0, data["mark_label"], "lab strong", anchor))
    parts.append(text(780.0, 184.0, data["label"], "axis", "end"))
    parts.append(text(20.0, 184.0, f"most in a bar: {count(most)}", "tick"))
    return svg.drawing(name, title, desc, 800.0, 190.0, join(*parts), "wide")
