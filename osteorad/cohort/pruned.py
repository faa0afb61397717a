"""What a prune removes, counted, and what it leaves to people."""

from __future__ import annotations

import shutil
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(slots=True)
class Pruned:
    """What was removed: (unit, kind) -> count; and what is left to do by hand. A dry run counts the same."""

    dry_run: bool
    removed: Counter[tuple[str, str]] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    gone: set[Path] = field(default_factory=set)

    def is_gone(self, path: Path) -> bool:
        """True where a file, or a folder that holds it, was removed; in a dry run, where it would be."""
        return path in self.gone or not self.gone.isdisjoint(path.parents)

    def remove(self, path: Path, kind: str) -> None:
        """Remove a file or folder and count its files, once."""
        if self.is_gone(path) or not (path.exists() or path.is_symlink()):
            return
        folder = path.is_dir() and not path.is_symlink()
        inside = [inner for inner in path.rglob("*") if not inner.is_dir()] if folder else [path]
        self.removed["file", kind] += sum(not self.is_gone(inner) for inner in inside)
        self.gone.add(path)
        if not self.dry_run:
            shutil.rmtree(path) if folder else path.unlink()

    def lines(self) -> list[str]:
        """For the command line."""
        word = "would remove" if self.dry_run else "removed"
        counts = [
            f"{word} {count} {unit}{'s' if count > 1 else ''}: {kind}" for (unit, kind), count in self.removed.items()
        ]
        todo = ["Left to do:", *(f"- {line}" for line in self.left)] if self.left else []
        nothing = [] if self.told or counts else ["Nothing to remove."]
        more = ["Run snakemake: it makes the tables, models and pages anew, without them."] if counts else []
        return [*self.told, *counts, *nothing, *todo, *([] if self.dry_run else more)]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        removed = [{"unit": unit, "kind": kind, "count": count} for (unit, kind), count in self.removed.items()]
        return {"dry_run": self.dry_run, "removed": removed, "told": self.told, "left": self.left}
