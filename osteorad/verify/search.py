"""Search of bytes for thousands of strings at once, letter case of ASCII ignored.

Every position's four bytes are hashed and looked up in a table of the needles' last four, with numpy over whole
chunks; what is left is compared on eight bytes, then on all. On voxels nearly nothing is left after the first look.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, Literal

import numpy as np
from numpy.typing import NDArray

CHUNK = 1 << 18  # bytes; the arrays of a chunk stay in the processor's cache
SHORTEST = 4  # bytes of a needle
SURE = 8  # characters from which a needle with letters counts wherever it stands; shorter ones must be whole words
FOLD = bytes(range(256)).lower()
_BITS = 20
_FACTOR = np.uint32(0x9E3779B1)  # multiplicative hashing, Knuth, The Art of Computer Programming 3, 6.4
_SHIFT = np.uint32(32 - _BITS)

Guard = Literal["none", "letters", "letters and digits", "digits"]
LETTERS = frozenset(b"abcdefghijklmnopqrstuvwxyz")
DIGITS = frozenset(b"0123456789")
BARRED: dict[Guard, frozenset[int]] = {
    "none": frozenset(),
    "letters": LETTERS,
    "letters and digits": LETTERS | DIGITS,
    "digits": DIGITS,
}


@dataclass(frozen=True, slots=True)
class Needle:
    """One spelling of a value. raw : bytes, ASCII letters small. width : bytes a character (2 in UTF-16)."""

    raw: bytes
    value: int  # number of the value
    guard: Guard  # characters that must not stand beside it
    width: int = 1


@dataclass(frozen=True, slots=True)
class Match:
    """Where a needle stands: offsets of its first byte and past its last."""

    start: int
    end: int
    value: int


class Patterns:
    """Needles made ready for the search."""

    def __init__(self, needles: Sequence[Needle]) -> None:
        usable = [needle for needle in dict.fromkeys(needles) if len(needle.raw) >= SHORTEST]
        self.longest = max((len(needle.raw) for needle in usable), default=0)
        self._short: dict[bytes, list[Needle]] = defaultdict(list)
        self._long: dict[bytes, list[Needle]] = defaultdict(list)
        for needle in usable:
            if len(needle.raw) < 8:
                self._short[needle.raw[-4:]].append(needle)
            else:
                self._long[needle.raw[-8:]].append(needle)
        self._fours = np.unique(np.frombuffer(b"".join(self._short), dtype="<u4"))
        self._eights = np.unique(np.frombuffer(b"".join(self._long), dtype="<u8"))
        self._table = np.zeros(1 << _BITS, dtype=bool)
        ends = np.frombuffer(b"".join(needle.raw[-4:] for needle in usable), dtype="<u4")
        self._table[(ends * _FACTOR) >> _SHIFT] = True

    def find(self, data: bytes) -> Iterator[Match]:
        """Matches in the order of their ends; data of any length."""
        folded = data.translate(FOLD)
        for place in self._candidates(folded):
            end = place + 4
            for needle in (*self._short.get(folded[place:end], ()), *self._long.get(folded[max(end - 8, 0) : end], ())):
                start = end - len(needle.raw)
                if start >= 0 and folded.startswith(needle.raw, start) and _stands_alone(folded, start, end, needle):
                    yield Match(start, end, needle.value)

    def _candidates(self, folded: bytes) -> Iterator[int]:
        """Offsets of four bytes with which a needle may end."""
        for start in range(0, max(len(folded) - 3, 0), CHUNK):
            part = folded[max(start - 4, 0) : start + CHUNK + 3]
            shift = min(start, 4)
            words = np.ndarray((len(part) - 3 - shift,), "<u4", part, shift, (1,))
            hashed = words * _FACTOR
            hashed >>= _SHIFT
            near = np.flatnonzero(self._table.take(hashed))
            if near.size:
                yield from (int(at) for at in start + near[self._exact(part, words, near, shift)])

    def _exact(self, part: bytes, words: NDArray[np.uint32], near: NDArray[np.intp], shift: int) -> NDArray[np.bool_]:
        kept = _among(words[near], self._fours)
        whole = near + shift >= 4
        if self._eights.size and whole.any():
            eights = np.ndarray((len(part) - 7,), "<u8", part, 0, (1,))
            kept[whole] |= _among(eights[near[whole] + shift - 4], self._eights)
        return kept


def _among(found: NDArray[np.unsignedinteger], known: NDArray[np.unsignedinteger]) -> NDArray[np.bool_]:
    if not known.size:
        return np.zeros(found.shape, dtype=bool)
    at = np.minimum(np.searchsorted(known, found), known.size - 1)
    return known[at] == found


def _stands_alone(folded: bytes, start: int, end: int, needle: Needle) -> bool:
    barred = BARRED[needle.guard]
    if not barred:
        return True
    before = folded[start - needle.width] if start >= needle.width else 0
    after = folded[end] if end < len(folded) else 0
    if before in barred or after in barred:
        return False
    return needle.guard != "digits" or not _is_fraction(folded, start, end)


def _is_fraction(folded: bytes, start: int, end: int) -> bool:
    """Digits behind the point of a decimal number; a component of a UID has points further on or before."""
    if folded[start - 1 : start] != b"." or folded[end : end + 1] == b".":
        return False
    whole = start - 1
    while whole > 0 and folded[whole - 1] in DIGITS:
        whole -= 1
    return whole < start - 1 and folded[whole - 1 : whole] != b"."


def find_in_stream(patterns: Patterns, stream: BinaryIO) -> Iterator[Match]:
    """Matches in a stream, in bounded memory; offsets count from where the stream stands."""
    margin = patterns.longest + 64
    data, offset, told = b"", 0, 0
    while True:
        read = stream.read(4 * CHUNK)
        data += read
        settled = offset + len(data) - (margin if read else 0)  # the bytes behind a later end may still guard it
        for match in patterns.find(data):
            if told < match.end + offset <= settled:
                yield Match(match.start + offset, match.end + offset, match.value)
        if not read:
            return
        told = max(told, settled)
        kept = min(len(data), 2 * margin)
        data, offset = data[len(data) - kept :], offset + len(data) - kept
