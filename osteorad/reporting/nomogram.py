"""Arithmetic of a nomogram: a fitted logistic model as points a variable, total points, probability.

The model's score is linear in its variables as they are measured, and the calibration is a logistic curve over it, so
the calibrated log odds are a sum of one part a variable. The variable with the widest part gets 0 to 100 points; the
others are drawn on the same scale (Iasonos 2008).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Facts = Mapping[str, Any]
MOST_POINTS = 100.0
REFERENCE = "reference"  # the level of a variable without a column of its own
LEAST_PART = 1e-9  # log odds; below, nothing is left to draw


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    """One axis. A number: `slope` log odds a unit between low and high; levels: log odds a level."""

    name: str
    slope: float = 0.0
    low: float = 0.0
    high: float = 0.0
    levels: tuple[tuple[str, float], ...] = ()

    def part(self, value: float | str) -> float:
        """Log odds of a value. Raises ValueError for one that the axis does not hold."""
        if self.levels:
            return dict(self.levels)[str(value)]
        if not self.low <= float(value) <= self.high:
            raise ValueError(f"{self.name}: {value} lies outside {self.low} to {self.high}")
        return self.slope * float(value)

    @property
    def ends(self) -> tuple[float, float]:
        """Least and largest part."""
        parts = [part for _, part in self.levels] or [self.slope * self.low, self.slope * self.high]
        return min(parts), max(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Nomogram:
    """Variables, and the log odds at 0 total points and a point."""

    variables: tuple[Variable, ...]
    base: float
    per_point: float

    def points(self, name: str, value: float | str) -> float:
        """Points of a variable's value, 0 to 100."""
        variable = next(entry for entry in self.variables if entry.name == name)
        return (variable.part(value) - variable.ends[0]) / self.per_point

    def probability(self, total: float) -> float:
        """Calibrated probability at so many total points."""
        odds = self.base + self.per_point * total
        return 1 / (1 + math.exp(-odds)) if odds >= 0 else math.exp(odds) / (1 + math.exp(odds))

    def total_at(self, probability: float) -> float:
        """Total points at which a probability is reached."""
        return (math.log(probability / (1 - probability)) - self.base) / self.per_point

    @property
    def most(self) -> float:
        """Largest total."""
        return sum(variable.ends[1] - variable.ends[0] for variable in self.variables) / self.per_point


def nomogram_of(part: Facts) -> Nomogram | None:
    """The nomogram of a part of a frozen bundle; None where its model is not linear or tells no patients apart.

    part : `linear` (intercept, columns with coefficient, centre, scale, clip, low, high) and `calibration`.
    """
    linear, calibration = part["linear"], part["calibration"]
    if linear is None:
        return None
    odds = calibration["intercept"] + calibration["slope"] * linear["intercept"]
    numbers: list[Variable] = []
    levels: dict[str, list[tuple[str, float]]] = {}
    for column in linear["columns"]:
        scale, centre = column["scale"] or 1.0, column["centre"] or 0.0
        slope = calibration["slope"] * column["coefficient"] / scale
        odds -= slope * centre
        name, _, level = column["feature"].partition("=")
        if level:
            levels.setdefault(name, [(REFERENCE, 0.0)]).append((level, slope))
        else:
            low, high = _range(column, centre, scale)
            numbers.append(Variable(name=name, slope=slope, low=low, high=high))
    named = [Variable(name=name, levels=tuple(found)) for name, found in levels.items()]
    variables = (*numbers, *named)
    widest = max((high - low for low, high in (entry.ends for entry in variables)), default=0.0)
    if widest < LEAST_PART:
        return None
    base = odds + sum(entry.ends[0] for entry in variables)
    return Nomogram(variables=variables, base=base, per_point=widest / MOST_POINTS)


def _range(column: Facts, centre: float, scale: float) -> tuple[float, float]:
    """The values of the training rows, as far as the step that clips leaves them."""
    reach = math.inf if column["clip"] is None else column["clip"] * scale
    return max(column["low"], centre - reach), min(column["high"], centre + reach)


def nice_ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Round numbers within an interval, about so many; a 0/1 variable has just these two."""
    if (low, high) == (0, 1):
        return [0.0, 1.0]
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * times for times in (1, 2, 2.5, 5, 10) if power * times >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [float(f"{step * place:.10g}") for place in range(first, last + 1)]


PROBABILITIES: Sequence[Sequence[float]] = (
    (0.5, 0.1, 0.9, 0.2, 0.8, 0.3, 0.7, 0.4, 0.6, 0.05, 0.95, 0.01, 0.99),  # the roundest first
    tuple(place / 50 for place in range(1, 50)),
    tuple(place / 200 for place in range(1, 200)),
)
LEAST_GAP = 0.055  # of the axis, between two probabilities that are printed


def probability_ticks(nomogram: Nomogram) -> list[tuple[float, float]]:
    """Probability and total points of the marks of the last axis: few enough to read, at least three if they exist."""
    found: list[tuple[float, float]] = []
    for asked in PROBABILITIES:
        inside = [(p, nomogram.total_at(p)) for p in asked]
        inside = [(p, total) for p, total in inside if -1e-9 <= total <= nomogram.most + 1e-9]
        found = []
        for p, total in inside:
            if all(abs(total - other) >= LEAST_GAP * nomogram.most for _, other in found):
                found.append((p, total))
        if len(found) >= 3:
            break
    return sorted(found)
