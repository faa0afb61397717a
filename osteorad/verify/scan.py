"""The scan of a folder: every file by its bytes, by what it holds, and by its name."""

from __future__ import annotations

import bisect
import hashlib
import hmac
import io
import os
import secrets
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO, cast

from osteorad.verify.openers import (
    CLOSED,
    OPENERS,
    Fields,
    Inner,
    Piece,
    TooLargeError,
    Unopened,
    kind_of,
    open_text,
)
from osteorad.verify.progress import Progress, size_of
from osteorad.verify.report import Hit, Missed, Report
from osteorad.verify.search import find_in_stream
from osteorad.verify.spelling import patterns_of
from osteorad.verify.values import Values

MASK = "<masked>"
DEEPEST = 8  # containers in containers
SURE_IN_BYTES = 6  # bytes from which a value counts among numbers, where chance writes short words
STEP = 1 << 16  # bytes of one read
MOST_BYTES = 1 << 37  # of one unpacked stream


class Scan:
    """A search of files for values; the report grows with each file."""

    def __init__(self, values: Values, progress: Progress | None = None) -> None:
        self._progress = progress
        self._values = values.values
        self._patterns = patterns_of(values)
        self._key = secrets.token_bytes(32)  # of this scan alone: nobody can try names against the digests later
        self._found: Counter[tuple[str, str, int]] = Counter()
        self.report = Report(
            values=len(values.values), kinds=dict(Counter(v.kind for v in values.values)), skipped=values.skipped
        )

    def folder(self, root: Path, *, left_out: Sequence[Path] = ()) -> None:
        """All files below `root` but those in `left_out`; links are named, and not followed into folders."""
        barred = {path.resolve() for path in left_out}
        if self._progress is not None:
            self._progress.begin(root, barred)
        for place, folders, names in os.walk(root, onerror=lambda error: self._no_folder(root, error)):
            here = Path(place)
            for name in sorted(n for n in folders if (here / n).is_symlink()):
                self._name(here / name, root)
                self._miss(str((here / name).relative_to(root)), "", "a link to a folder: its content was not read")
            folders[:] = sorted(
                n for n in folders if not (here / n).is_symlink() and (here / n).resolve() not in barred
            )
            for name in folders:
                self._name(here / name, root)
            for name in sorted(names):
                if (here / name).resolve() not in barred:
                    self.file(here / name, root)
                    self._count(here / name)
        if self._progress is not None:
            self._progress.end()
        self._tell()

    def _count(self, path: Path) -> None:
        if self._progress is not None:
            self._progress.file(size_of(path))

    def file(self, path: Path, root: Path) -> None:
        """One file and its name."""
        self._name(path, root)
        relative = str(path.relative_to(root))
        if not path.is_file():
            self._miss(relative, "", "not a plain file: not read")
            return
        try:
            with path.open("rb") as stream:
                self._content(relative, "", stream, 0)
        except OSError as error:
            self._miss(relative, "", f"not read: {error.strerror or 'input error'}")

    def _no_folder(self, root: Path, error: OSError) -> None:
        self._miss(os.path.relpath(error.filename, root), "", f"not read: {error.strerror}")

    def _name(self, path: Path, root: Path) -> None:
        """The path as it stands, resolved escapes, and base64 as Snakemake names its records."""
        relative = path.relative_to(root).as_posix().encode("utf-8", "surrogateescape")
        parent = path.parent.relative_to(root).as_posix()
        last = [relative if parent == "." else relative[len(os.fsencode(parent)) + 1 :]]
        last += _rejoined(relative)
        if path.is_symlink():
            last.append(os.fsencode(os.readlink(path)))
        self._fields(str(path.relative_to(root)), "name", Fields(fields=[("", text) for text in last]), set())
        for text in last:
            for piece in open_text(io.BytesIO(text)):
                self._piece(str(path.relative_to(root)), "name", piece, 0, set())

    def _content(self, file: str, place: str, stream: BinaryIO, depth: int) -> None:
        begin = _Counted(stream)
        kind = kind_of(begin.read(1024))
        if kind == "empty" and begin.damage is not None:
            raise begin.damage
        stream.seek(0)
        self.report.opened[kind] += 1
        self.report.opened["nested in another" if depth else "files"] += 1
        seen: set[int] = set()
        whole = self._open(file, place, kind, stream, depth, seen)
        if kind != "text" or not whole:
            stream.seek(0)
            self._bytes(file, place, stream, kind, seen, dates=not (kind == "dicom" and whole))

    def _open(self, file: str, place: str, kind: str, stream: BinaryIO, depth: int, seen: set[int]) -> bool:
        """Hand over to the opener of the kind; False where it could not read all."""
        if kind in CLOSED.values():
            self._miss(file, place, f"{kind} is not unpacked: searched as bytes only")
        opener = OPENERS.get(kind)
        if opener is None:
            return False
        if depth >= DEEPEST:
            self._miss(file, place, f"more than {DEEPEST} containers in containers: searched as bytes only")
            return False
        try:
            if kind == "text":  # first as it stands, so that other readings tell only what is new
                self._bytes(file, place, stream, kind, seen, dates=True)
                stream.seek(0)
            for piece in opener(stream):
                self._piece(file, place, piece, depth, seen)
        except TooLargeError:
            self._miss(file, place, f"{kind} too large to be opened: searched as bytes only")
            return False
        except Exception as error:  # damaged in any way: told, and searched as bytes
            self._miss(file, place, f"damaged or unknown {kind} ({type(error).__name__}): searched as bytes only")
            return False
        return True

    def _piece(self, file: str, place: str, piece: Piece, depth: int, seen: set[int]) -> None:
        match piece:
            case Fields():
                self._fields(file, place, piece, seen)
            case Inner():
                self._content(file, _joined(place, piece.place), piece.stream, depth + 1)
            case Unopened():
                self._miss(file, _joined(place, piece.place), piece.why)

    def _fields(self, file: str, place: str, piece: Fields, seen: set[int]) -> None:
        """Texts, searched in one go; a line feed between them lets no value reach over."""
        starts, at = [], 0
        for _, text in piece.fields:
            starts.append(at)
            at += len(text) + 1
        known = set(seen)
        for match in self._patterns.find(b"\n".join(text for _, text in piece.fields)):
            name = piece.fields[bisect.bisect_right(starts, match.start) - 1][0]
            if piece.derived and match.value in known:
                continue
            if piece.moved is not None and self._coincides(match.value, name, piece.moved):
                self.report.coincidences += 1
                continue
            seen.add(match.value)
            self._found[file, _joined(place, name), match.value] += 1

    def _coincides(self, number: int, attribute: str, patient: str) -> bool:
        """A moved date that equals a date of another patient, or of another attribute of this one."""
        value = self._values[number]
        return bool(value.origins) and (patient, attribute.rpartition(" ")[2]) not in value.origins

    def _bytes(self, file: str, place: str, stream: BinaryIO, kind: str, seen: set[int], *, dates: bool) -> None:
        """All bytes of a stream; values that were found in a named place before are not told again."""
        counted = _Counted(stream)
        known, shortest = set(seen), 0 if kind == "text" else SURE_IN_BYTES
        for match in find_in_stream(self._patterns, cast(BinaryIO, counted)):
            is_date = self._values[match.value].is_date
            if match.value in known or match.end - match.start < shortest or (is_date and not dates):
                continue
            seen.add(match.value)
            self._found[file, _joined(place, "text" if kind == "text" else "bytes"), match.value] += 1
        self.report.bytes_read += counted.read_bytes
        if counted.damage is not None:
            raise counted.damage
        if counted.read_bytes >= MOST_BYTES:
            self._miss(file, place, f"more than {MOST_BYTES >> 30} GB when unpacked: only the begin was searched")

    def _miss(self, file: str, place: str, why: str) -> None:
        self.report.missed.append(Missed(file=self.masked(file), place=self.masked(place), why=why))

    def _tell(self) -> None:
        self.report.hits = [
            Hit(
                file=self.masked(file),
                place=self.masked(place),
                kind=self._values[number].kind,
                digest=self.digest(number),
                times=times,
            )
            for (file, place, number), times in self._found.items()
        ]

    def digest(self, number: int) -> str:
        """Eight hex digits that tell values apart within this scan, and say nothing of them."""
        return hmac.new(self._key, self._values[number].text.encode(), hashlib.sha256).hexdigest()[:8]

    def masked(self, text: str) -> str:
        """A name with the values in it replaced; all of a part of a path where it is an encoding of one."""
        parts = [self._masked_part(part) for part in text.split("/")]
        if any(self._masked_part(os.fsdecode(joined)) == MASK for joined in _rejoined(os.fsencode(text))):
            parts = [MASK if part.startswith("@") else part for part in parts[:-1]] + [MASK]
        return "/".join(parts)

    def _masked_part(self, part: str) -> str:
        raw = os.fsencode(part)
        encoded = [p for p in open_text(io.BytesIO(raw)) if isinstance(p, Fields)]
        if any(True for p in encoded for _, t in p.fields for _ in self._patterns.find(t)):
            return MASK
        spans = sorted((match.start, match.end) for match in self._patterns.find(raw))
        for start, end in reversed(spans):
            raw = raw[:start] + MASK.encode() + raw[end:]
        return raw.decode("utf-8", "replace")


def _rejoined(path: bytes) -> list[bytes]:
    """A long base64 name, which Snakemake cuts into folders that begin with @, in one piece again."""
    *folders, name = path.split(b"/")
    cut = [part[1:] for part in folders if part.startswith(b"@")]
    return [b"".join([*cut, name])] if cut else []


class _Counted:
    """A stream that counts what is read, ends at MOST_BYTES, and hands over what stands before a damage."""

    def __init__(self, stream: BinaryIO) -> None:
        self._read = getattr(stream, "read1", stream.read)
        self.damage: Exception | None = None
        self.read_bytes = 0

    def read(self, size: int) -> bytes:
        parts, left = [], 0 if self.damage is not None else min(size, MOST_BYTES - self.read_bytes)
        try:
            while left > 0 and (part := self._read(min(left, STEP))):
                parts.append(part)
                left -= len(part)
        except Exception as damage:  # raised by the reader when all before it has been searched
            self.damage = damage
        content = b"".join(parts)
        self.read_bytes += len(content)
        return content


def _joined(place: str, name: str) -> str:
    return f"{place} > {name}" if place and name else place or name
