"""Charts of the analysis page: forest, ROC, calibration, bars, confusion. Each takes the `data` of its figure part.

A chart draws only what stands in its data, ticks included, so that report.json holds every number of the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from osteorad.reporting import svg
from osteorad.reporting.svg import Scale, element, join, line, text
from osteorad.reporting.wording import count, interval, real

TONES = {
    "main": svg.BLUE,
    "clinical": "#b07700",
    "combined": "#00785a",
    "plain": svg.GREY,
    "candidate": "#7aa7cc",
    "control": "#8c3208",
    "published": "#8c3208",
    "truth": "#7a3f68",
}
ROW_PX, GROUP_PX = 24.0, 22.0


def forest(name: str, title: str, desc: str, data: Mapping[str, Any]) -> Markup:
    """Estimates with intervals on one axis; rows: label, sub, group (heading above it), estimate, low, high, tone."""
    rows, ticks = data["rows"], data["ticks"]
    across = Scale(ticks[0], ticks[-1], 296.0, 560.0)
    drawn, y = [], 20.0
    for row in rows:
        if row["group"]:
            y += GROUP_PX
            drawn.append(text(0.0, y - 18.0, row["group"], "group-head"))
        drawn.append(_forest_row(row, y, across))
        y += ROW_PX
    floor = y - 6.0
    parts = [line(across(tick), 6.0, across(tick), floor, "grid") for tick in ticks]
    parts.append(line(across(data["chance"]), 6.0, across(data["chance"]), floor, "chance"))
    parts += [text(across(tick), floor + 16, real(tick, 1), "tick", "middle") for tick in ticks]
    parts.append(text(across(data["chance"]), floor + 30, data["chance_label"], "tick", "middle"))
    parts.append(text(560.0, floor + 30, data["label"], "tick", "end"))
    return svg.drawing(name, title, desc, 700.0, floor + 36.0, join(*parts, *drawn), "wide")


def _forest_row(row: Mapping[str, Any], y: float, across: Scale) -> Markup:
    strong = " strong" if row["tone"] == "main" else ""
    label = join(
        Markup("{}").format(row["label"]),
        element("tspan", " " + row["sub"], class_="sub") if row["sub"] else Markup(""),
    )
    pieces = [element("text", label, x=0 if strong else 12.0, y=y + 4, class_="lab" + strong)]
    middle, low, high = row["estimate"], row["low"], row["high"]
    if middle is None:
        return join(*pieces, text(574.0, y + 4, "not estimated", "tick"))
    limits = f"{real(low)} to {real(high)}" if low is not None else ""
    words = join(
        Markup("{}").format(real(middle)), element("tspan", " " + limits, class_="sub") if limits else Markup("")
    )
    pieces += _estimate(row, y, across)
    pieces.append(element("text", words, x=574, y=y + 4, class_="lab" + strong))
    return join(*pieces)


def _estimate(row: Mapping[str, Any], y: float, across: Scale) -> list[Markup]:
    """Interval and mark of a row; the shape says what it is without its colour."""
    color, x = TONES[row["tone"]], across(row["estimate"])
    bars = []
    if row["low"] is not None:
        kind = "bar dotted" if row["tone"] in ("control", "published") else "bar"
        bars.append(line(across(row["low"]), y, across(row["high"]), y, kind, stroke=color))
    if row["tone"] == "main":
        mark = element("rect", x=x - 5, y=y - 5, width=10.0, height=10.0, fill=color, class_="mark")
    elif row["tone"] == "truth":
        corners = [(x, y - 6.5), (x + 6.5, y), (x, y + 6.5), (x - 6.5, y)]
        mark = element("path", d=svg.path_of(corners, close=True), fill="#fff", stroke=color, class_="bar mark")
    elif row["tone"] in ("control", "published"):
        mark = element("circle", cx=x, cy=y, r=4.5, fill="#fff", stroke=color, class_="bar mark")
    elif row["tone"] == "candidate":
        mark = element("circle", cx=x, cy=y, r=3.2, fill=color, class_="mark")
    else:
        mark = element("circle", cx=x, cy=y, r=4.5, fill=color, class_="mark")
    return [*bars, mark]


def square(data: Mapping[str, Any]) -> tuple[Scale, Scale, Markup]:
    """Frame, ticks and axis names of a small square chart."""
    xs, ys = data["x"], data["y"]
    across = Scale(xs["ticks"][0], xs["ticks"][-1], 46.0, 286.0)
    up = Scale(ys["ticks"][0], ys["ticks"][-1], 216.0, 16.0)
    parts = [line(46.0, up(tick), 286.0, up(tick), "grid") for tick in ys["ticks"]]
    parts += [text(across(tick), 232.0, real(tick, xs["digits"]), "tick", "middle") for tick in xs["ticks"]]
    parts += [text(40.0, up(tick) + 4, real(tick, ys["digits"]), "tick", "end") for tick in ys["ticks"]]
    parts.append(text(166.0, 250.0, xs["label"], "axis", "middle"))
    parts.append(text(12.0, 116.0, ys["label"], "axis", "middle", transform="rotate(-90 12 116)"))
    return across, up, join(*parts)


def band_of(band: Sequence[Sequence[float]], across: Scale, up: Scale, color: str = svg.BLUE) -> Markup:
    """Area between a lower and an upper curve; band rows are x, low, high."""
    upper = [(across(x), up(high)) for x, _, high in band]
    lower = [(across(x), up(low)) for x, low, _ in reversed(band)]
    return element("path", d=svg.path_of(upper + lower, close=True), class_="band", fill=color)


def roc(name: str, title: str, desc: str, data: Mapping[str, Any]) -> Markup:
    """ROC curve (data `curve`: x, y), optionally with a band (x, low, high) and the operating point."""
    across, up, frame = square(data)
    parts = [frame, line(across(0), up(0), across(1), up(1), "chance")]
    if data.get("band"):
        parts.append(band_of(data["band"], across, up))
    curve = [(across(x), up(y)) for x, y in data["curve"]]
    parts.append(element("path", d=svg.path_of(curve), class_="curve mark", stroke=svg.BLUE))
    if data.get("folds"):
        mean = [(across(x), up(y)) for x, y in data["folds"]]
        parts.append(element("path", d=svg.path_of(mean), class_="curve thin", stroke=svg.BLUE))
    if data.get("point"):
        x, y = data["point"]
        parts.append(element("circle", cx=across(x), cy=up(y), r=5.0, class_="point", stroke=svg.RED))
    return svg.drawing(name, title, desc, 300.0, 258.0, join(*parts))


def calibration(name: str, title: str, desc: str, data: Mapping[str, Any]) -> Markup:
    """Calibration: smooth curve with a band where given, grouped points with intervals, ticks for patients."""
    across, up, frame = square(data)
    parts = [frame, line(across(0), up(0), across(1), up(1), "chance")]
    if data.get("band"):
        parts.append(band_of(data["band"], across, up))
    if data.get("curve"):
        curve = [(across(x), up(y)) for x, y in data["curve"]]
        parts.append(element("path", d=svg.path_of(curve), class_="curve mark", stroke=svg.BLUE))
    for group in data.get("groups", []):
        x, y = across(group["predicted"]), up(group["observed"])
        if group.get("low") is not None:
            parts.append(line(x, up(group["low"]), x, up(group["high"]), "bar", stroke=svg.BLUE))
        parts.append(element("circle", cx=x, cy=y, r=4.0, fill=svg.BLUE, class_="mark"))
    for entry in data.get("rug", []):
        parts.append(line(across(entry), 216.0, across(entry), 210.0, "rug"))
    return svg.drawing(name, title, desc, 300.0, 258.0, join(*parts))


def bars(name: str, title: str, desc: str, data: Mapping[str, Any]) -> Markup:
    """Horizontal bars; rows: label, sub, k, n."""
    rows = data["rows"]
    longest = max((row["n"] for row in rows), default=1) or 1
    across = Scale(0, longest, 0.0, 210.0)
    parts = []
    for order, row in enumerate(rows):
        y = 10.0 + 26.0 * order
        parts.append(text(292.0, y + 12, row["label"], "lab", "end"))
        parts.append(
            element(
                "rect",
                x=302.0,
                y=y,
                width=max(across(row["k"]), 1.0),
                height=16.0,
                rx=2.0,
                fill=svg.BLUE,
                class_="mark",
            )
        )
        words = join(
            Markup("{}").format(f"{count(row['k'])} of {count(row['n'])}"),
            element("tspan", " · " + row["sub"], class_="sub") if row["sub"] else Markup(""),
        )
        parts.append(element("text", words, x=310.0 + across(row["k"]), y=y + 12, class_="tick"))
    return svg.drawing(name, title, desc, 800.0, 26.0 * len(rows) + 14.0, join(*parts), "wide")


def confusion(name: str, title: str, desc: str, data: Mapping[str, Any]) -> Markup:
    """Four counts of a decision against the outcome; data: tp, fp, fn, tn and the labels."""
    parts = [
        text(182.0, 20.0, data["columns_label"], "axis", "middle"),
        text(122.0, 42.0, data["labels"][1], "tick", "middle"),
        text(242.0, 42.0, data["labels"][0], "tick", "middle"),
    ]
    cells = ((62.0, 52.0, "tp"), (182.0, 52.0, "fp"), (62.0, 134.0, "fn"), (182.0, 134.0, "tn"))
    for x, y, key in cells:
        right = key in ("tp", "tn")
        parts.append(
            element("rect", x=x, y=y, width=118.0, height=80.0, class_="cell good mark" if right else "cell miss mark")
        )
        parts.append(text(x + 59, y + 40, count(data[key]), "figure", "middle"))
        parts.append(text(x + 59, y + 62, "right" if right else "wrong", "tick", "middle"))
    parts.append(text(56.0, 96.0, data["row_labels"][0], "tick", "end"))
    parts.append(text(56.0, 178.0, data["row_labels"][1], "tick", "end"))
    return svg.drawing(name, title, desc, 304.0, 226.0, join(*parts))


def interval_text(row: Mapping[str, Any]) -> str:
    """Estimate and limits of a forest row in words."""
    return interval([row["estimate"], row["low"], row["high"]])
