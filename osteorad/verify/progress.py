"""How far a search is, on one line of a terminal."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import TextIO

EVERY_S = 0.5


def size_of(path: Path) -> int:
    """Bytes of a file; 0 of what is none, or went away while it was looked at."""
    try:
        return path.stat().st_size if path.is_file() else 0
    except OSError:
        return 0


class Progress:
    """Counts files and bytes that were searched, and rewrites one line at most twice a second."""

    def __init__(self, stream: TextIO, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream, self._clock = stream, clock
        self._files = self._bytes = self._all_files = self._all_bytes = 0
        self._began = self._told = clock()
        self._width = 0

    def say(self, words: str) -> None:
        """Replace what stands on the line."""
        self._stream.write(f"\r{words:<{self._width}}")
        self._stream.flush()
        self._width = len(words)

    def begin(self, root: Path, barred: Collection[Path]) -> None:
        """Count what lies below a folder, but for `barred` (resolved) and what links lead to."""
        for place, folders, names in os.walk(root):
            here = Path(place)
            folders[:] = [n for n in folders if not (here / n).is_symlink() and (here / n).resolve() not in barred]
            plain = [here / name for name in names if not (here / name).is_symlink()]
            self._all_files += len(plain)
            self._all_bytes += sum(map(size_of, plain))
        self._began = self._told = self._clock()

    def file(self, size: int) -> None:
        """One more file of so many bytes is done."""
        self._files += 1
        self._bytes += size
        now = self._clock()
        if now - self._told >= EVERY_S:
            self._told = now
            self.say(self._line(now - self._began))

    def _line(self, seconds: float) -> str:
        done = f"searched {self._files:,} of {self._all_files:,} files, {self._bytes / 1e6:,.0f} MB"
        done += f" of {self._all_bytes / 1e6:,.0f} MB"
        if not 0 < self._bytes < self._all_bytes:
            return done
        left_s = seconds * (self._all_bytes - self._bytes) / self._bytes
        return f"{done}, {f'{left_s:.0f} s' if left_s < 90 else f'{left_s / 60:.0f} min'} left"

    def end(self) -> None:
        """Leave the line empty."""
        self.say("")
        self._stream.write("\r")
        self._stream.flush()
