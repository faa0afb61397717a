"""What a scan found, as text and as JSON. No value is ever shown, not even where it is part of a name."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict, dataclass, field
from itertools import groupby
from typing import Any

SHOWN = 5  # hits of one value in the text; JSON holds all


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Hit:
    """A value found. file : relative path, place : where in it; both masked. digest : keyed, of one scan."""

    file: str
    place: str
    kind: str
    digest: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Missed:
    """A file, or a part of one, that could not be opened; its bytes were searched unless `why` says otherwise."""

    file: str
    place: str
    why: str


@dataclass(slots=True, kw_only=True)
class Report:
    """All of a scan. opened : files and parts by kind. coincidences : moved dates that equal a date of someone else.

    searched : cohort -> digest of its outputs as they were before (`cohort.searched`), where a working folder was
    searched whole.
    """

    values: int = 0
    kinds: dict[str, int] = field(default_factory=dict)
    skipped: dict[tuple[str, str], int] = field(default_factory=dict)
    sources: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    opened: Counter[str] = field(default_factory=Counter)
    missed: list[Missed] = field(default_factory=list)
    hits: list[Hit] = field(default_factory=list)
    coincidences: int = 0
    bytes_read: int = 0
    searched: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """No hit, and nothing that could not be opened."""
        return not self.hits and not self.missed

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        reasons: dict[str, dict[str, int]] = {}
        for (kind, reason), count in self.skipped.items():
            reasons.setdefault(reason, {})[kind] = count
        return {
            "ok": self.clean,
            "values": {"searched": self.values, "kinds": self.kinds, "skipped": reasons, "sources": self.sources},
            "left_out": self.left_out,
            "opened": dict(sorted(self.opened.items())),
            "bytes": self.bytes_read,
            "not_opened": [asdict(missed) for missed in sorted(self.missed)],
            "coincident_dates": self.coincidences,
            "hits": [asdict(hit) for hit in sorted(self.hits)],
        }

    def lines(self) -> list[str]:
        """For people."""
        reasons: Counter[str] = Counter()
        for (_, reason), count in self.skipped.items():
            reasons[reason] += count
        opened = ", ".join(f"{count} {kind}" for kind, count in self.opened.most_common())
        return [
            *self.sources,
            f"looked for: {self.values} values of {len(self.kinds)} kinds",
            *(f"not looked for: {count} values: {reason}" for reason, count in sorted(reasons.items())),
            *(f"left out: {name}" for name in self.left_out),
            f"opened: {opened or 'nothing'}; {self.bytes_read / 1e6:.1f} MB",
            *(f"not opened: {m.file}{_at(m.place)}: {m.why}" for m in sorted(self.missed)),
            *self._coincidences(),
            *self._hits(),
            self._verdict(),
        ]

    def _hits(self) -> list[str]:
        """Hits of one value together, the first few files of each."""
        lines, groups = [], groupby(sorted(self.hits, key=lambda h: (h.kind, h.digest, h)), key=lambda h: h.digest)
        for digest, group in groups:
            hits = list(group)
            for h in hits[:SHOWN]:
                times = f", {h.times} times" if h.times > 1 else ""
                lines.append(f"HIT: {h.file}{_at(h.place)}: {h.kind} #{digest}{times}")
            if len(hits) > SHOWN:
                lines.append(f"HIT: ... {len(hits) - SHOWN} more of {hits[0].kind} #{digest}: see --json")
        return lines

    def _coincidences(self) -> list[str]:
        if not self.coincidences:
            return []
        return [f"note: {self.coincidences} moved dates equal another date of the source; that is chance, no leak"]

    def _verdict(self) -> str:
        if self.hits:
            files = len({hit.file for hit in self.hits})
            return f"{len(self.hits)} hits in {files} files" + (f", {len(self.missed)} not opened" * bool(self.missed))
        return f"no value found, but {len(self.missed)} could not be opened" if self.missed else "no value found"


def _at(place: str) -> str:
    return f" [{place}]" if place else ""
