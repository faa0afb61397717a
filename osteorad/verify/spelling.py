"""How a value may be spelled in bytes: letter case, umlauts, accents, encodings; dates in the usual forms."""

from __future__ import annotations

import datetime
import unicodedata
from collections.abc import Iterator, Sequence

from osteorad.verify.search import FOLD, SURE, Guard, Needle, Patterns
from osteorad.verify.values import Value, Values
from osteorad.verify.words import folded, without_accents

DATE_FORMS = ("%Y%m%d", "%Y-%m-%d", "%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y.%m.%d", "%Y_%m_%d", "%d-%m-%Y")
LESS_ZEROS = ("%d.%m.%Y", "%d/%m/%Y", "%m/%d/%Y")  # also written 1.2.2024
ENCODINGS = ("utf-8", "latin-1", "utf-16-le")


def patterns_of(values: Values) -> Patterns:
    """All spellings of all values, ready for the search."""
    encodings = tuple(dict.fromkeys([*ENCODINGS, *values.encodings]))
    return Patterns([n for number, value in enumerate(values.values) for n in needles(number, value, encodings)])


def needles(number: int, value: Value, encodings: Sequence[str] = ENCODINGS) -> Iterator[Needle]:
    """Spellings of one value in bytes."""
    for text in _dates(value.text) if value.is_date else _words(value.text):
        guard = _guard(text)
        for encoding in encodings if not text.isascii() else ("ascii", "utf-16-le"):
            try:
                raw = text.encode(encoding)
            except UnicodeEncodeError:
                continue
            yield Needle(raw.translate(FOLD), number, guard, 2 if encoding == "utf-16-le" else 1)


def _dates(iso: str) -> Iterator[str]:
    day = datetime.date.fromisoformat(iso)
    yield from (day.strftime(form) for form in DATE_FORMS)
    for form in LESS_ZEROS:
        yield day.strftime(form.replace("%d", str(day.day)).replace("%m", str(day.month)))


def _words(text: str) -> list[str]:
    """Spellings with umlauts kept, written as two letters, and without their dots; composed or not; big and small."""
    composed = unicodedata.normalize("NFC", text)
    plain = [composed, folded(composed), without_accents(composed.casefold())]
    if composed.isascii():
        return [composed]
    cases = [t for kept in (composed, unicodedata.normalize("NFD", text)) for t in (kept, kept.lower(), kept.upper())]
    return list(dict.fromkeys([*plain, *cases, composed.title()]))


def _guard(text: str) -> Guard:
    """Numbers never count inside longer ones; long texts with letters count wherever they stand."""
    if not any(c.isalpha() for c in text):
        return "digits"
    if len(text) >= SURE or ord(max(text)) > 0x2E7F:
        return "none"
    return "letters" if all(c.isalpha() for c in text) else "letters and digits"
