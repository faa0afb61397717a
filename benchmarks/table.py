"""The table that a run prints, in Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks.measure import Cost

HEAD = ("measurement", "CPU s", "peak MB", "figure", "peer", "its CPU s", "its MB", "peer / ours", "bar", "verdict")
NUMBERS = ("CPU s", "peak MB", "its CPU s", "its MB", "peer / ours")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One measurement: our cost, the peer's where there is one, and whether a bar is met.

    figure : what the cost means in the units of the task, or what a check found. met : None where there is no bar.
    """

    subject: str
    ours: Cost | None = None
    figure: str = ""
    peer: str = ""
    theirs: Cost | None = None
    bar: str = ""
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """How many times our CPU time the peer takes."""
        return self.theirs.cpu_s / self.ours.cpu_s if self.ours and self.theirs else None

    @property
    def verdict(self) -> str:
        """In a word."""
        return "" if self.met is None else ("met" if self.met else "MISSED")

    def cells(self) -> tuple[str, ...]:
        """Texts in the order of HEAD."""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}"
        return (
            self.subject,
            *_cost(self.ours),
            self.figure,
            self.peer,
            *_cost(self.theirs),
            ratio,
            self.bar,
            self.verdict,
        )


def at_least(subject: str, times: float, *, ours: Cost, peer: str, theirs: Cost, figure: str = "") -> Line:
    """A line whose bar is a ratio to the peer."""
    met = theirs.cpu_s >= times * ours.cpu_s
    return Line(subject=subject, ours=ours, figure=figure, peer=peer, theirs=theirs, bar=f"ratio >= {times:g}", met=met)


def render(lines: Sequence[Line]) -> str:
    """A Markdown table with aligned columns, and a sentence that counts the bars."""
    rows = [HEAD, *(line.cells() for line in lines)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(HEAD))]
    right = [name in NUMBERS for name in HEAD]
    rule = ["-" * (width - end) + ":" * end for width, end in zip(widths, right, strict=True)]
    texts = [_row(row, widths, right) for row in [HEAD, rule, *rows[1:]]]
    judged = [line.met for line in lines if line.met is not None]
    missed = [f"{line.subject} ({line.peer or line.bar})" for line in lines if line.met is False]
    count = f"Bars: {judged.count(True)} met, {len(missed)} missed" + (f": {'; '.join(missed)}." if missed else ".")
    return "\n".join([*texts, "", count])


def _row(cells: Sequence[str], widths: Sequence[int], right: Sequence[bool]) -> str:
    padded = [
        cell.rjust(width) if end else cell.ljust(width) for cell, width, end in zip(cells, widths, right, strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def _cost(cost: Cost | None) -> tuple[str, str]:
    return ("", "") if cost is None else (f"{cost.cpu_s:.2f}", f"{cost.peak_mb:.0f}")
