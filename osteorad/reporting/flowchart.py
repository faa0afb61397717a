"""The flow chart: what came in at each stage, what was used, and each loss with its reason."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from markupsafe import Markup

from osteorad.reporting import svg
from osteorad.reporting.svg import element, join, text
from osteorad.reporting.wording import count

LINE_PX = 17.0
LETTERS = 74
BOX_PX, LOSS_X, WIDTH = 250.0, 296.0, 800.0


def flow(name: str, title: str, desc: str, data: Mapping[str, Any]) -> Markup:
    """Stages from top to bottom (`label`, `unit`, `in`, `used`, `aside`, `adds_up`), losses to the right."""
    parts: list[Markup] = []
    y = 6.0
    stages = data["stages"]
    for order, stage in enumerate(stages):
        drawn, height = _stage(stage, y)
        parts.append(drawn)
        if order + 1 < len(stages):
            foot = y + height
            parts.append(element("path", d=_arrow_down(BOX_PX / 2, y + 62.0, foot + 16.0), class_="arrow"))
        y += height + 18.0
    return svg.drawing(name, title, desc, WIDTH, y - 10.0, join(*parts), "wide")


def _arrow_down(x: float, top: float, bottom: float) -> str:
    n = svg.number
    return (
        f"M{n(x)} {n(top)}L{n(x)} {n(bottom)}M{n(x - 5)} {n(bottom - 6)}L{n(x)} {n(bottom)}L{n(x + 5)} {n(bottom - 6)}"
    )


def _stage(stage: Mapping[str, Any], y: float) -> tuple[Markup, float]:
    """One stage's boxes and their height."""
    lines = _loss_lines(stage["aside"])
    loss_height = LINE_PX * len(lines) + 16.0 if lines else 0.0
    parts = [
        element("rect", x=2.0, y=y, width=BOX_PX, height=62.0, rx=7.0, class_="box mark"),
        text(16.0, y + 22.0, stage["label"], "lab"),
        element(
            "text",
            join(
                Markup("{} ").format(count(stage["used"])),
                element("tspan", f"of {count(stage['in'])} {stage['unit']}", class_="sub"),
            ),
            x=16.0,
            y=y + 47.0,
            class_="num",
        ),
    ]
    if lines:
        middle = y + 31.0
        parts.append(element("path", d=_arrow_right(BOX_PX + 4, middle, LOSS_X - 4), class_="arrow"))
        parts.append(
            element(
                "rect", x=LOSS_X, y=y, width=WIDTH - LOSS_X - 2, height=max(loss_height, 62.0), rx=7.0, class_="loss"
            )
        )
        top = y + (20.0 if loss_height >= 62.0 else 12.0 + (62.0 - loss_height) / 2 + 9.0)
        for order, (words, kind) in enumerate(lines):
            shift = 14.0 if kind == "loss-count" else 30.0
            parts.append(text(LOSS_X + shift, top + LINE_PX * order, words, kind))
    else:
        parts.append(text(LOSS_X, y + 36.0, f"none set aside: 0 of {count(stage['in'])}", "tick"))
    if not stage["adds_up"]:
        parts.append(text(16.0, y + 59.0, "does not add up", "tick out"))
    return join(*parts), max(loss_height, 62.0)


def _arrow_right(left: float, y: float, right: float) -> str:
    n = svg.number
    return f"M{n(left)} {n(y)}L{n(right)} {n(y)}M{n(right - 6)} {n(y - 5)}L{n(right)} {n(y)}L{n(right - 6)} {n(y + 5)}"


def _loss_lines(losses: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    """Wrapped lines of all losses: a line with count and kind, then the reason."""
    lines: list[tuple[str, str]] = []
    for loss in losses:
        head = f"{count(loss['count'])} {loss['kind'].replace('_', ' ')}: "
        wrapped = textwrap.wrap(head + loss["sentence"], LETTERS, break_long_words=True) or [head]
        lines.append((wrapped[0], "loss-count"))
        lines += [(words, "loss-text") for words in wrapped[1:]]
    return lines
