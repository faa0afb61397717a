"""Cleaning of single values: what may stay of a date, an age, a number, a code string, a free text.

Every function takes raw bytes and returns bytes that may stand in an output, or None where the value is not what its
representation promises: the caller then removes or empties the attribute. Bytes after a NUL are never kept.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from pydicom.charset import convert_encodings, decode_bytes

OLDEST_AGE_YEARS = 89
NUMBERS = re.compile(rb"[0-9+\-.eE\\ ]*")
TIME = re.compile(rb"(?:\d{2}(?::?\d{2}(?::?\d{2}(?:\.\d{0,9})?)?)?)? *")
CODES = re.compile(rb"[A-Z0-9_\\ ]*")
UNSAFE_IN_CODE = re.compile(r"[^A-Z0-9_ ]")
AGE = re.compile(rb"(\d{3})([DWMY])")
OFFSET_FROM_UTC = re.compile(rb"[+-]\d{4}")
DAY = re.compile(rb"(\d{4})(\d{2})(\d{2})")
OLD_DAY = re.compile(rb"(\d{4})[.:/-](\d{2})[.:/-](\d{2})")
MOMENT = re.compile(rb"(\d{8})(\d{0,6}(?:\.\d{0,9})?(?:[+-]\d{4})?)")
DEVICE = re.compile(r"[A-Za-z0-9 .,:;+*/()_^&%#<>=\[\]-]*")
CODE_VALUE = re.compile(r"[A-Za-z0-9.^{}/\[\]'%*()_-]{1,16}")
LONG_DIGITS = re.compile(r"\d{6,}")
BETWEEN_WORDS = re.compile(r"[\s_,;:|()\[\]=\"'<>?!&]+")
WITHIN_WORDS = re.compile(r"[-/.+^*]+")
EDGES = "-/.+^*"
LONGER = 8  # a text is looked at up to so many times what may be kept of it: one of megabytes would take minutes


def plain(value: bytes) -> bytes:
    """A text value without what stands after a NUL and without padding."""
    return value.split(b"\0", 1)[0].strip(b" ")


def numbers(value: bytes, own: frozenset[bytes] = frozenset()) -> bytes | None:
    """DS or IS: kept when it holds characters of numbers only, and is none of the patient's `own` numbers."""
    value = plain(value)
    return value if NUMBERS.fullmatch(value) and value not in own else None


def times(value: bytes) -> bytes | None:
    """TM: unchanged when it is one."""
    value = plain(value)
    return value if all(TIME.fullmatch(part) for part in value.split(b"\\")) else None


def code_strings(value: bytes) -> bytes | None:
    """CS: values of capitals, digits, blank and underscore stay; others are emptied, None when none is left."""
    value = plain(value)
    if CODES.fullmatch(value):
        return value
    parts = [p if CODES.fullmatch(p) else b"" for p in value.upper().split(b"\\")]
    return b"\\".join(parts) if any(parts) else None


def age(value: bytes) -> bytes | None:
    """AS with ages over 89 years as 090Y."""
    value = plain(value)
    if not value:
        return value
    found = AGE.fullmatch(value)
    if not found:
        return None
    years = int(found[1]) * {b"D": 1 / 365.25, b"W": 7 / 365.25, b"M": 1 / 12, b"Y": 1}[found[2]]
    return b"090Y" if years >= OLDEST_AGE_YEARS + 1 else value


def shifted_dates(value: bytes, days: int) -> bytes | None:
    """DA, one or more, moved by whole days."""
    parts = [_shifted_day(p.strip(), days) for p in plain(value).split(b"\\")]
    return b"\\".join(parts) if all(p is not None for p in parts) else None  # type: ignore[arg-type]


def shifted_moments(value: bytes, days: int) -> bytes | None:
    """DT, one or more, moved by whole days; time of day and offset from UTC stay. Needs at least a whole date."""
    result: list[bytes] = []
    for part in plain(value).split(b"\\"):
        part = part.strip()
        if not part:
            result.append(part)
            continue
        found = MOMENT.fullmatch(part)
        day = _shifted_day(found[1], days) if found else None
        if found is None or day is None:
            return None
        result.append(day + found[2])
    return b"\\".join(result)


def _shifted_day(text: bytes, days: int) -> bytes | None:
    if not text:
        return text
    found = DAY.fullmatch(text) or OLD_DAY.fullmatch(text)
    if not found:
        return None
    try:
        moved = date(int(found[1]), int(found[2]), int(found[3])) + timedelta(days=days)
    except (ValueError, OverflowError):
        return None
    return f"{moved.year:04d}{moved.month:02d}{moved.day:02d}".encode()


def decoder(charset: bytes) -> Callable[[bytes], str]:
    """Function from bytes of text to str under a Specific Character Set (0008,0005); broken bytes become U+FFFD."""
    names = [p.strip().decode("ascii", "replace") for p in charset.split(b"\\")]

    def decode(value: bytes) -> str:
        if value.isascii() and b"\x1b" not in value:
            return value.decode("ascii")
        with warnings.catch_warnings():  # they quote the value
            warnings.simplefilter("ignore")
            try:
                return decode_bytes(value, convert_encodings(names), {0x5C, 0x5E, 0x3D})
            except (LookupError, UnicodeError, ValueError):
                return value.decode("utf-8", "replace")

    return decode


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Words of descriptions that say nothing about a person, and patterns of such words; all case-folded."""

    words: frozenset[str]
    patterns: tuple[re.Pattern[str], ...]

    def knows(self, word: str) -> bool:
        """True when a word may stay."""
        plain_word = word.casefold()
        return plain_word in self.words or any(p.fullmatch(plain_word) for p in self.patterns)

    def clean(self, text: str, own: frozenset[str] = frozenset()) -> str:
        """The known words of a text, joined by blanks; words of `own` (the person's names) never stay."""
        return _known_words(self, text, own)

    def known_words(self, text: str, own: frozenset[str]) -> str:
        """`clean`, without its memory."""
        kept = []
        for chunk in BETWEEN_WORDS.split(text):
            whole = chunk.strip(EDGES)
            pieces = [whole] if self.knows(whole) else WITHIN_WORDS.split(whole)
            kept += [p for p in pieces if p and p.casefold() not in own and self.knows(p)]
        return " ".join(kept)


@lru_cache(maxsize=4096)
def _known_words(vocabulary: Vocabulary, text: str, own: frozenset[str]) -> str:
    return vocabulary.known_words(text, own)


def clean_words(texts: Iterable[str], vocabulary: Vocabulary, own: frozenset[str], longest: int) -> bytes | None:
    """Values of a descriptor with known words only; None when nothing is left of a value that held something."""
    texts = [t[: longest * LONGER] for t in texts]
    kept = [vocabulary.clean(t, own)[:longest].rstrip() for t in texts]
    if not any(kept) and any(t.strip() for t in texts):
        return None
    return "\\".join(kept).encode()


def device_text(texts: Sequence[str], own: frozenset[str], longest: int) -> bytes | None:
    """Names of products, kernels and methods: plain characters, no long runs of digits, no name of the person."""
    kept = []
    for text in texts:
        text = text.strip()
        words = {w.casefold() for w in re.split(r"[^A-Za-z]+", text)}
        if len(text) > longest or not DEVICE.fullmatch(text) or LONG_DIGITS.search(text) or words & own:
            return None
        kept.append(text)
    return "\\".join(kept).encode()
