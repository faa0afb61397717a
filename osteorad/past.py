"""Small text files whose earlier texts are kept, so that a later reader can say what changed (contract 9).

`keys/fit_models.marrow.json` leaves what it said before in `keys/past/fit_models.marrow/<time>.json`; the time, in ns,
is that at which the text was written. A file's own time may be lost by copying, the name is not.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from osteorad.files import write_bytes, write_text_if_changed

FOLDER = "past"
KEPT = 50  # earlier texts of one file; a few KB each


def write_with_past(path: str | Path, text: str) -> bool:
    """Write where the text differs, and keep what stood there; True when written."""
    path = Path(path)
    if path.exists() and path.read_bytes() != text.encode():
        folder = _folder(path)
        write_bytes(folder / f"{path.stat().st_mtime_ns}{path.suffix}", path.read_bytes())
        for old in _times(path)[:-KEPT]:
            (folder / f"{old}{path.suffix}").unlink(missing_ok=True)
    return write_text_if_changed(path, text)


def text_at(path: str | Path, time_ns: int) -> str | None:
    """What a file said at a time: its own text where that is not newer, else the last one before; None if not kept."""
    path = Path(path)
    if path.exists() and path.stat().st_mtime_ns <= time_ns:
        return path.read_text(encoding="utf-8")
    earlier = [time for time in _times(path) if time <= time_ns]
    return (_folder(path) / f"{earlier[-1]}{path.suffix}").read_text(encoding="utf-8") if earlier else None


def remove_with_past(path: str | Path) -> None:
    """Remove a file and all that it said before."""
    Path(path).unlink(missing_ok=True)
    shutil.rmtree(_folder(Path(path)), ignore_errors=True)


def _folder(path: Path) -> Path:
    return path.parent / FOLDER / path.stem


def _times(path: Path) -> list[int]:
    return sorted(int(old.stem) for old in _folder(path).glob(f"[0-9]*{path.suffix}"))
