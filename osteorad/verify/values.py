"""What must not appear: names, identifiers, dates, UIDs, free text of originals. What is not looked for, and why."""

from __future__ import annotations

import datetime
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from osteorad.errors import UserError
from osteorad.verify.words import WORD, folded, is_standard, vocabulary

SHORTEST_WORD = 5  # letters of a word of free text
SHORTEST_NAME = 4  # letters of a part of a name
SHORTEST_ID = 4  # characters, one of them a letter
SHORTEST_NUMBER = 6  # digits of a number alone
SHORTEST_UID = 12
LONGEST = 100  # characters that are compared
SHARED = 0.25  # share of the patients, at least three, from which a word of free text is a habit of the house
WELL_KNOWN = "1.2.840.10008."
TOKEN = re.compile(r"[^\s,;:()\[\]{}\"'=^\\|<>?!*]+")
NAME_JOINTS = (" ", "^", ", ", ",", "_", "-", ".", "")

TOO_SHORT = "too short to tell"
TERM = "a standard term or common word"
HABIT = "in the free text of many patients"
CUTOFF = "the data cut-off of the settings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Value:
    """One value. kind : where it comes from, such as PatientName. text : never shown.

    origins : for dates, (pseudonym, attribute) of each place in the source; empty where not known.
    """

    kind: str
    text: str
    is_date: bool = False
    origins: frozenset[tuple[str, str]] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Values:
    """Values to look for; skipped : (kind, reason) -> how many were not; encodings : of the originals' texts."""

    values: tuple[Value, ...]
    skipped: dict[tuple[str, str], int]
    encodings: tuple[str, ...] = ()


@dataclass(slots=True)
class Collector:
    """Gathers values; `finish` returns them once each."""

    cutoffs: set[datetime.date] = field(default_factory=set)
    encodings: set[str] = field(default_factory=set)
    harmless: set[str] = field(default_factory=set)  # words of products: makers, models
    _found: dict[str, Value] = field(default_factory=dict)
    _dates: dict[datetime.date, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    _date_kinds: dict[datetime.date, str] = field(default_factory=dict)
    _words: dict[str, tuple[str, set[str]]] = field(default_factory=dict)
    _patients: set[str] = field(default_factory=set)
    _skipped: dict[tuple[str, str], set[str]] = field(default_factory=lambda: defaultdict(set))

    def name(self, kind: str, text: str) -> None:
        """A person's name with its parts: components apart, and together where one is too short or a common word."""
        for group in text.split("="):
            parts = [part for part in re.split(r"[\^,\s]+", group) if part]
            kept = [part for part in parts if self._name_part(kind, part)]
            if len(parts) > 1 and len(kept) < len(parts):
                for first, second in ((parts[0], parts[1]), (parts[1], parts[0])):
                    for joint in NAME_JOINTS:
                        self._add(kind, first + joint + second)

    def _name_part(self, kind: str, part: str) -> bool:
        letters = "".join(WORD.findall(part))
        wide = any(ord(c) > 0x2E7F for c in part)  # two characters are a whole name in Chinese, Japanese and Korean
        if len(part) < (2 if wide else SHORTEST_NAME) or (part.isdigit() and len(part) < SHORTEST_NUMBER):
            return self._skip(kind, TOO_SHORT, part)
        if letters and letters == part and folded(part) in vocabulary():
            return self._skip(kind, TERM, part)
        self._add(kind, part)
        for word in re.split(r"[-'`’.]", part):
            if word != part and len(word) >= SHORTEST_NAME and folded(word) not in vocabulary():
                self._add(kind, word)
        return True

    def identifier(self, kind: str, text: str) -> None:
        """An identifier, searched as a whole."""
        text = text.strip()
        if not text:
            return
        digits = sum(c.isdigit() for c in text)
        if len(text) < SHORTEST_ID or (not any(c.isalpha() for c in text) and digits < SHORTEST_NUMBER):
            self._skip(kind, TOO_SHORT, text)
        elif is_standard(text) and not digits:
            self._skip(kind, TERM, text)
        else:
            self._add(kind, text)

    def uid(self, kind: str, text: str) -> None:
        """A UID, unless it is one of the standard's."""
        if text.startswith(WELL_KNOWN):
            self._skip(kind, TERM, text)
        elif len(text) < SHORTEST_UID:
            self._skip(kind, TOO_SHORT, text)
        else:
            self._add(kind, text)

    def date(self, kind: str, text: str, *, owner: str = "", attribute: str = "") -> bool:
        """A date in any of the usual spellings; False where the text holds none."""
        found = date_of(text)
        if found is None:
            return False
        if found in self.cutoffs:
            return not self._skip(kind, CUTOFF, str(found))
        self._date_kinds.setdefault(found, kind)
        self._dates[found].update([(owner, attribute)] if owner else [])
        return True

    def text(self, kind: str, text: str, *, owner: str = "") -> None:
        """Free text: all of it, and its words that are no common ones."""
        text = " ".join(text.split())
        if not text:
            return
        if owner:
            self._patients.add(owner)
        if self.date(kind, text, owner=owner, attribute=kind):
            return
        if is_standard(text):
            self._skip(kind, TERM, text)
            return
        if len(text) >= 2 * SHORTEST_WORD or " " not in text:
            self.identifier(kind, text)
        for token in TOKEN.findall(text):
            self._token(kind, token.strip("-_/.+&#"), owner)

    def place(self, kind: str, text: str, *, owner: str = "") -> None:
        """Address or institution: as free text, but no word of it is a habit, however many share it."""
        self.text(kind, text, owner=owner)
        for word in WORD.findall(text):
            if len(word) >= SHORTEST_WORD and folded(word) not in vocabulary():
                self._add(kind, word)

    def _token(self, kind: str, token: str, owner: str) -> None:
        if date_of(token) is not None:
            self.date(kind, token, owner=owner, attribute=kind)
            return
        mixed = any(c.isdigit() for c in token) and len(token) >= SHORTEST_NUMBER and not is_standard(token)
        if mixed and not re.fullmatch(r"[\d.,+-]+", token):
            self._word(kind, token, owner)
        elif token.isdigit() and len(token) >= SHORTEST_NUMBER:
            self._add(kind, token)
        for word in WORD.findall(token):
            if len(word) >= SHORTEST_WORD and folded(word) not in vocabulary():
                self._word(kind, word, owner)

    def _word(self, kind: str, word: str, owner: str) -> None:
        self._words.setdefault(word, (kind, set()))[1].add(owner)

    def _add(self, kind: str, text: str) -> None:
        if any(c.isalnum() for c in text) and len(text) >= (2 if not text.isascii() else SHORTEST_ID):
            self._found.setdefault(text[:LONGEST], Value(kind=kind, text=text[:LONGEST]))

    def _skip(self, kind: str, reason: str, text: str) -> bool:
        self._skipped[kind, reason].add(text)
        return False

    def finish(self) -> Values:
        """All values, each once; words that are habits of the house or belong to products are left out, and counted."""
        for word, (kind, owners) in self._words.items():
            if word not in self._found and folded(word) in self.harmless:
                self._skip(kind, TERM, word)
            elif word not in self._found and len(owners) >= max(3, SHARED * len(self._patients)) and word.isalpha():
                self._skip(kind, HABIT, word)
            else:
                self._add(kind, word)
        dates = [
            Value(kind=self._date_kinds[day], text=day.isoformat(), is_date=True, origins=frozenset(origins))
            for day, origins in self._dates_in_order()
        ]
        skipped = {key: len(texts) for key, texts in sorted(self._skipped.items())}
        return Values(values=(*self._found.values(), *dates), skipped=skipped, encodings=tuple(sorted(self.encodings)))

    def _dates_in_order(self) -> Iterator[tuple[datetime.date, set[tuple[str, str]]]]:
        for day in sorted(self._date_kinds):
            yield day, self._dates[day]


_DATES = (
    (re.compile(r"^(\d{4})-?(\d{2})-?(\d{2})(?:[T ]?\d.*)?$"), (1, 2, 3)),
    (re.compile(r"^(\d{4})[./](\d{1,2})[./](\d{1,2})$"), (1, 2, 3)),
    (re.compile(r"^(\d{1,2})[.](\d{1,2})[.](\d{4})$"), (3, 2, 1)),
    (re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4})$"), (3, 2, 1)),
    (re.compile(r"^(\d{1,2})/(\d{1,2})/(\d{4})$"), (3, 1, 2)),
)


def date_of(text: str) -> datetime.date | None:
    """The date that a text begins with or is, from 1850 to 2100; day before month where both would do."""
    for pattern, order in _DATES:
        if found := pattern.match(text.strip()):
            year, month, day = (int(found[at]) for at in order)
            if 1850 <= year <= 2100 and 1 <= month <= 12 and 1 <= day <= 31:
                try:
                    return datetime.date(year, month, day)
                except ValueError:  # 31 April
                    continue
    return None


def values_of_list(path: Path) -> Values:
    """Values of a file with one a line, UTF-8; `kind<TAB>value` names the kind."""
    if not path.is_file():
        raise UserError(f"{path}: the file does not exist. Wanted: a list with one value a line.")
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError:
        raise UserError(f"{path}: this is no UTF-8 text. Save the list as UTF-8, one value a line.") from None
    collector = Collector()
    for line in lines:
        kind, _, text = line.rpartition("\t")
        add_listed(collector, kind.strip() or "listed value", text.strip())
    return collector.finish()


def add_listed(collector: Collector, kind: str, text: str) -> None:
    """A value whose kind is not known: a date, or taken as it stands."""
    if not collector.date(kind, text):
        collector.identifier(kind, text)


def merge(parts: Sequence[Values]) -> Values:
    """Values of several sources, each once; dates with all their origins."""
    found: dict[tuple[str, bool], Value] = {}
    skipped: Counter[tuple[str, str]] = Counter()
    for value in _all(parts):
        key = (value.text, value.is_date)
        before = found.get(key)
        origins = value.origins if before is None else before.origins | value.origins
        kind = value.kind if before is None else before.kind
        found[key] = Value(kind=kind, text=value.text, is_date=value.is_date, origins=origins)
    for part in parts:
        skipped.update(part.skipped)
    encodings = sorted({name for part in parts for name in part.encodings})
    return Values(values=tuple(found.values()), skipped=dict(skipped), encodings=tuple(encodings))


def _all(parts: Iterable[Values]) -> Iterator[Value]:
    for part in parts:
        yield from part.values
