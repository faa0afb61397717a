"""Small SVG figures: text stays text, coordinates are rounded, everything is escaped, nothing is random."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

Points = Sequence[tuple[float, float]]

# Okabe and Ito (2008); darker tones where text or thin lines stand on white.
BLUE, ORANGE, GREEN, RED, PURPLE, SKY, GREY = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#6b7280",
)
MOST_POINTS = 200


def number(value: float) -> str:
    """A coordinate with at most one decimal."""
    text = f"{value:.1f}"
    text = text[:-2] if text.endswith(".0") else text
    return "0" if text == "-0" else text


def element(name: str, inner: Markup | str = "", /, **attributes: object) -> Markup:
    """One element; an underscore at the end of a name falls away, others become hyphens; text inside is escaped."""
    written = Markup("").join(
        Markup(' {}="{}"').format(
            key.rstrip("_").replace("_", "-"), number(value) if isinstance(value, float) else value
        )
        for key, value in attributes.items()
        if value is not None
    )
    if inner == "":
        return Markup("<{}{}/>").format(Markup(name), written)
    return Markup("<{}{}>{}</{}>").format(Markup(name), written, escape(inner), Markup(name))


def join(*pieces: Markup) -> Markup:
    """Elements one after another."""
    return Markup("").join(pieces)


def text(x: float, y: float, words: str, kind: str = "tick", anchor: str = "start", **more: object) -> Markup:
    """A line of text; `kind` is its class in the style sheet."""
    shift = None if anchor == "start" else anchor
    return element("text", words, x=x, y=y, class_=kind, text_anchor=shift, **more)


def line(x1: float, y1: float, x2: float, y2: float, kind: str, **more: object) -> Markup:
    """A straight line."""
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=kind, **more)


def path_of(points: Points, *, close: bool = False) -> str:
    """Path data through points, with relative moves left out for legibility."""
    steps = [f"{'M' if index == 0 else 'L'}{number(x)} {number(y)}" for index, (x, y) in enumerate(points)]
    return "".join(steps) + ("Z" if close else "")


def thinned(points: Points, most: int = MOST_POINTS) -> list[tuple[float, float]]:
    """At most `most` points of a curve, first and last kept, spread evenly over its order."""
    if len(points) <= most:
        return [(float(x), float(y)) for x, y in points]
    last = len(points) - 1
    return [
        (float(points[index][0]), float(points[index][1]))
        for index in (round(step * last / (most - 1)) for step in range(most))
    ]


@dataclass(frozen=True, slots=True)
class Scale:
    """A linear map from values to coordinates."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """Coordinate of a value, kept inside the frame."""
        span = self.high - self.low or 1.0
        inside = min(max(value, min(self.low, self.high)), max(self.low, self.high))
        return self.start + (inside - self.low) / span * (self.end - self.start)


def drawing(name: str, title: str, desc: str, width: float, height: float, inner: Markup, kind: str = "") -> Markup:
    """The SVG itself, with a title and a description that screen readers say."""
    return element(
        "svg",
        join(element("title", title, id=f"{name}-title"), element("desc", desc, id=f"{name}-desc"), inner),
        viewBox=f"0 0 {number(width)} {number(height)}",
        role="img",
        aria_labelledby=f"{name}-title {name}-desc",
        class_=kind or None,
    )
