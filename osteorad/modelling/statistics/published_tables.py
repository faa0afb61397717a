"""Which counts can stand behind a printed row of sensitivity, specificity, accuracy and the like.

A share printed with three digits comes from integer counts, so most combinations of printed shares are impossible
for given class sizes. The search is exact: fractions, no floating point. Nothing here says why a table is impossible.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fractions import Fraction

COUNTED: dict[str, Callable[[int, int, int, int], tuple[int, int]]] = {
    # (true positives, true negatives, positives, negatives) -> count and the number that it is a share of
    "sensitivity": lambda tp, tn, p, n: (tp, p),
    "specificity": lambda tp, tn, p, n: (tn, n),
    "accuracy": lambda tp, tn, p, n: (tp + tn, p + n),
    "ppv": lambda tp, tn, p, n: (tp, tp + n - tn),
    "npv": lambda tp, tn, p, n: (tn, tn + p - tp),
    "f1": lambda tp, tn, p, n: (2 * tp, tp + p + n - tn),
}
MEASURES = (*COUNTED, "auc")


@dataclass(frozen=True, slots=True)
class Printed:
    """A share as it was printed, and all values that print so: [low, high], whichever way halves were rounded."""

    value: Fraction
    low: Fraction
    high: Fraction
    digits: int  # after the decimal point, of the share

    @classmethod
    def of(cls, text: str, *, percent: bool = False, digits: int | None = None) -> Printed:
        """Printed share: '0.929', or '92.9' with `percent`. digits : as printed, where zeros at the end were lost."""
        number = Decimal(text)
        exponent = number.as_tuple().exponent
        if not isinstance(exponent, int):
            raise ValueError(f"no number: {text}")
        value = Fraction(number) / (100 if percent else 1)
        places = max(-exponent, digits or 0) + (2 if percent else 0)
        half = Fraction(1, 2 * 10**places)
        return cls(value, max(Fraction(0), value - half), min(Fraction(1), value + half), places)

    def holds(self, count: int, total: int) -> bool:
        """Whether count / total prints so. A share of nothing is taken as printed 0."""
        if total == 0:
            return self.low <= 0
        return self.low * total <= count <= self.high * total

    def counts(self, total: int) -> range:
        """All counts of `total` that print so."""
        return range(math.ceil(self.low * total), math.floor(self.high * total) + 1)

    def __str__(self) -> str:
        return f"{float(self.value):.{self.digits}f}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PrintedRow:
    """One row of a published table. values : measure -> share. intervals : measure -> printed limits."""

    values: Mapping[str, Printed]
    intervals: Mapping[str, tuple[Printed, Printed]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Flaw:
    """Something in a row that cannot be (`impossible`), or that a reader should ask about."""

    check: str
    text: str
    impossible: bool


def solutions(row: PrintedRow, positives: int, negatives: int) -> Iterator[tuple[int, int]]:
    """All (true positives, true negatives) that print as the row does, in rising order."""
    found = row.values
    if auc_granularity(row, positives, negatives) is not None:
        return
    hits = found["sensitivity"].counts(positives) if "sensitivity" in found else range(positives + 1)
    rejections = found["specificity"].counts(negatives) if "specificity" in found else range(negatives + 1)
    others = [(found[name], COUNTED[name]) for name in COUNTED if name in found]
    for tp in hits:
        for tn in rejections:
            if all(printed.holds(*count(tp, tn, positives, negatives)) for printed, count in others):
                yield tp, tn


def auc_granularity(row: PrintedRow, positives: int, negatives: int) -> Flaw | None:
    """An AUC counts pairs, ties half: it is a multiple of 1 / (2 n+ n-)."""
    if "auc" not in row.values or row.values["auc"].counts(2 * positives * negatives):
        return None
    text = f"AUC {row.values['auc']} is no multiple of 1/{2 * positives * negatives}, as it is with these class sizes"
    return Flaw("auc_granularity", text, True)


def class_sizes(rows: Sequence[PrintedRow], most: int) -> list[tuple[int, int]]:
    """All (positives, negatives), each from 1 to `most`, for which every row has a solution; the smallest sum first."""
    positives = [n for n in range(1, most + 1) if _has_counts(rows, "sensitivity", n)]
    negatives = [n for n in range(1, most + 1) if _has_counts(rows, "specificity", n)]
    pairs = sorted(((p, n) for p in positives for n in negatives), key=lambda pair: (sum(pair), pair))
    return [(p, n) for p, n in pairs if all(next(solutions(row, p, n), None) is not None for row in rows)]


def _has_counts(rows: Sequence[PrintedRow], measure: str, total: int) -> bool:
    return all(len(row.values[measure].counts(total)) > 0 for row in rows if measure in row.values)


# --- what needs no class sizes ---------------------------------------------------------------------------------------


def flaws(row: PrintedRow) -> list[Flaw]:
    """Checks that hold for every prevalence and sample size."""
    found = [_accuracy(row), _harmonic_mean(row), _auc_bounds(row)]
    for measure in row.intervals:
        found += [_interval_holds(row, measure), _interval_centre(row, measure)]
    return [flaw for flaw in found if flaw is not None]


def _accuracy(row: PrintedRow) -> Flaw | None:
    """Accuracy is a weighted mean of sensitivity and specificity."""
    v = row.values
    if not {"accuracy", "sensitivity", "specificity"} <= set(v):
        return None
    least = min(v["sensitivity"].low, v["specificity"].low)
    most = max(v["sensitivity"].high, v["specificity"].high)
    if v["accuracy"].high >= least and v["accuracy"].low <= most:
        return None
    text = (
        f"accuracy {v['accuracy']} does not lie between sensitivity {v['sensitivity']} and specificity "
        f"{v['specificity']}: no prevalence allows it"
    )
    return Flaw("accuracy_between", text, True)


def _harmonic_mean(row: PrintedRow) -> Flaw | None:
    """F1 is the harmonic mean of precision (PPV) and recall (sensitivity)."""
    v = row.values
    if not {"f1", "ppv", "sensitivity"} <= set(v):
        return None
    low, high = (
        2 * p * r / (p + r) if p + r else Fraction(0)
        for p, r in ((v["ppv"].low, v["sensitivity"].low), (v["ppv"].high, v["sensitivity"].high))
    )
    if v["f1"].high >= low and v["f1"].low <= high:
        return None
    mean = float((low + high) / 2)
    text = (
        f"F1 {v['f1']} is not the harmonic mean of precision {v['ppv']} and recall {v['sensitivity']}, "
        f"which is {mean:.{v['f1'].digits}f}"
    )
    return Flaw("f1_harmonic_mean", text, True)


def _auc_bounds(row: PrintedRow) -> Flaw | None:
    """The ROC curve rises and passes through (1 - specificity, sensitivity)."""
    v = row.values
    if not {"auc", "sensitivity", "specificity"} <= set(v):
        return None
    least = v["sensitivity"].low * v["specificity"].low
    most = 1 - (1 - v["sensitivity"].high) * (1 - v["specificity"].high)
    if v["auc"].high >= least and v["auc"].low <= most:
        return None
    text = (
        f"AUC {v['auc']} is impossible with sensitivity {v['sensitivity']} and specificity {v['specificity']} of the "
        f"same score: it must lie in {float(least):.3f} to {float(most):.3f}"
    )
    return Flaw("auc_bounds", text, True)


def _interval_holds(row: PrintedRow, measure: str) -> Flaw | None:
    if measure not in row.values:
        return None
    value, (low, high) = row.values[measure], row.intervals[measure]
    if low.low <= value.high and value.low <= high.high:
        return None
    return Flaw("interval_holds", f"the interval of {measure}, {low} to {high}, does not hold {value}", False)


def _interval_centre(row: PrintedRow, measure: str) -> Flaw | None:
    """An AUC's interval by DeLong or Hanley-McNeil is symmetric unless it was cut at 0 or 1; a bootstrap's is not."""
    if measure != "auc" or "auc" not in row.values or _interval_holds(row, measure):
        return None
    value, (low, high) = row.values["auc"], row.intervals["auc"]
    cut = low.low <= 0 or high.high >= 1
    if cut or (low.low + high.low <= 2 * value.high and 2 * value.low <= low.high + high.high):
        return None
    centre = float((low.value + high.value) / 2)
    text = f"the interval of AUC, {low} to {high}, has its centre at {centre:.3f}, not at {value}"
    return Flaw("interval_centre", text, False)
