"""One data set without identity: the policy applied to every element at every level."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from osteorad.dicom import values
from osteorad.dicom.elements import BINARY_VRS, PIXEL_DATA, Element, by_tag, dictionary_vrs
from osteorad.dicom.policy import NO_TYPES, TEXT_VRS, Action, Policy
from osteorad.dicom.uids import map_uid

KINSHIP = ({"LO", "SH", "LT", "ST", "UC", "UT"}, {"DS", "IS"}, {"US", "SS"}, {"UL", "SL"}, {"OB", "OW"}, {"DA", "DT"})
LONGEST = {"SH": 16, "LO": 64, "ST": 1024, "LT": 10240}
DUMMIES = {"DA": b"19000101", "DT": b"19000101", "TM": b"000000", "AS": b"000D", "DS": b"0", "IS": b"0", "CS": b"ANON"}
DUMMIES |= {"AE": b"ANON", "UR": b"about:blank"} | dict.fromkeys(TEXT_VRS, b"ANONYMOUS")
ZEROS = {"US": 2, "SS": 2, "OB": 2, "OW": 2, "UN": 2, "UL": 4, "SL": 4, "FL": 4, "AT": 4, "OF": 4, "OL": 4}
ZEROS |= dict.fromkeys(("FD", "OD", "SV", "UV", "OV"), 8)
BULK_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "UN"})
SHORT = 128  # bytes of values that are remembered
CODING_SCHEME = 0x00080102
MANUFACTURER = 0x00080070


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What is put in the place of a patient's identity.

    names : words of the person's names, case-folded. rare_names : those that are no word of the vocabulary.
    numbers : identifiers and dates of the person that could stand in a numeric attribute.
    """

    key: bytes
    pseudonym: str
    days: int
    names: frozenset[str] = frozenset()
    rare_names: frozenset[str] = frozenset()
    numbers: frozenset[bytes] = frozenset()


@dataclass(slots=True)
class Trace:
    """UIDs and dates written in the place of a patient's own; the check of the outputs rests on it."""

    uids_out: set[str] = field(default_factory=set)
    dates_out: set[bytes] = field(default_factory=set)


@dataclass(slots=True, kw_only=True)
class Scrubber:
    """Applies a policy to the files of one patient that are of one kind, character set and maker.

    Most values repeat in every slice, so what became of a short one is remembered.
    """

    policy: Policy
    person: Person
    top: Mapping[int, Action]
    nested: Mapping[int, Action]
    decode: Callable[[bytes], str]
    manufacturer: str = ""
    trace: Trace
    roi_labels: frozenset[str] = frozenset()
    memory: dict[tuple[bool, int, str, bytes], Element | None] = field(default_factory=dict)

    def dataset(self, elements: list[Element], *, nested: bool = False) -> list[Element]:
        """The elements that may stay, cleaned and sorted by tag."""
        found = by_tag(elements)
        actions = self.nested if nested else self.top
        foreign_codes = CODING_SCHEME not in found or self._foreign(found[CODING_SCHEME])
        out: list[Element] = []
        private: list[Element] = []
        for tag in sorted(found):
            group = tag >> 16
            if group & 1:
                private.append(found[tag])
            elif not _dropped_group(group, tag):
                action = actions.get(tag)
                if action is not None and action.verb == "code" and foreign_codes:
                    continue
                kept = self._remembered(found[tag], action, nested)
                if kept is not None:
                    out.append(kept)
        if private:
            out = sorted(out + self._private(private))
        return out

    def _foreign(self, element: Element) -> bool:
        return self._text(element.value) not in self.policy.coding_schemes

    def _text(self, value: bytes | memoryview | list[list[Element]]) -> str:
        return "" if isinstance(value, list) else self.decode(values.plain(bytes(value))).strip()

    def _remembered(self, element: Element, action: Action | None, nested: bool) -> Element | None:
        tag, vr, value = element.tag, element.vr, element.value
        if not isinstance(value, bytes) or len(value) > SHORT or (action is not None and action.verb == "roi"):
            return self._element(element, action, nested)
        key = (nested, tag, vr, value)
        if key not in self.memory:
            self.memory[key] = self._element(element, action, nested)
        return self.memory[key]

    def _element(self, element: Element, action: Action | None, nested: bool) -> Element | None:
        tag = element.tag
        if action is not None and action.verb in ("remove", "ours"):
            return None
        vr = _true_vr(element) or (self.policy.rows[tag]["vr"] if tag in self.policy.rows else "")
        if not vr:
            return None  # unknown to the standard, or not what the standard says
        if action is None:
            action = self._default(tag, vr, nested)
        if action.verb == "remove":
            return None
        if isinstance(element.value, list):
            return self._sequence(element, action)
        if tag == PIXEL_DATA:
            return element if not nested else None
        cleaned = self._cleaned(vr, bytes(element.value), action, nested)
        if cleaned is None:
            cleaned = self._instead(vr, action.fallback)
        return None if cleaned is None else Element(tag, vr, cleaned)

    def _default(self, tag: int, vr: str, nested: bool) -> Action:
        """What becomes of an attribute that no table lists: text and bytes go, the rest is checked by its VR."""
        if vr in BULK_VRS:
            return Action("keep" if tag in self.policy.bulk else "remove")
        if vr in TEXT_VRS or vr in ("PN", "AE", "UR"):
            return Action("remove")
        return Action("shift", "empty") if vr in ("DA", "DT") else Action("keep")

    def _sequence(self, element: Element, action: Action) -> Element:
        """A sequence that stays is walked; one that the table empties or replaces keeps nothing of its content."""
        if action.verb in ("keep", "uid"):
            items = [self.dataset(item, nested=True) for item in element.value if isinstance(item, list)]
            return Element(element.tag, "SQ", items)
        return Element(element.tag, "SQ", [] if action.verb == "empty" else [[]])

    def _instead(self, vr: str, fallback: str) -> bytes | None:
        if fallback == "remove":
            return None
        if fallback == "empty":
            return b""
        if vr == "PN":
            return self.person.pseudonym.encode()
        if vr == "UI":
            return self._uids(b"dummy")
        value = DUMMIES.get(vr) or bytes(ZEROS.get(vr, 2))
        if vr in ("DA", "DT"):
            self.trace.dates_out.add(value)
        return value

    def _cleaned(self, vr: str, value: bytes, action: Action, nested: bool) -> bytes | None:
        """The value that may stay under `action`; None where it fails the check."""
        verb = action.verb
        if verb in ("empty", "dummy"):
            return self._uids(value) if vr == "UI" and verb == "dummy" else self._instead(vr, verb)
        if verb == "pseudonym":
            return None if nested else self.person.pseudonym.encode()
        if verb in ("words", "device"):
            return self._descriptor(vr, value, verb)
        if verb == "code":
            text = self._text(value)
            return text.encode() if values.CODE_VALUE.fullmatch(text) else None
        if verb == "roi":
            label = value.strip().decode("utf-8", "replace")
            return value.strip() if label in self.roi_labels else None
        if verb == "utc_offset":
            value = values.plain(value)
            return value if values.OFFSET_FROM_UTC.fullmatch(value) else None
        return self._by_vr(vr, value)

    def _descriptor(self, vr: str, value: bytes, verb: str) -> bytes | None:
        text = self.decode(value.split(b"\0", 1)[0])
        texts = text.split("\\") if vr in ("LO", "SH", "UC") else [text]
        longest = LONGEST.get(vr, 10240)
        if verb == "device":
            return values.device_text(texts, self.person.rare_names, longest)
        return values.clean_words(texts, self.policy.vocabulary, self.person.names, longest)

    def _by_vr(self, vr: str, value: bytes) -> bytes | None:
        if vr == "CS":
            return values.code_strings(value)
        if vr in ("DS", "IS"):
            return values.numbers(value, self.person.numbers)
        if vr == "UI":
            return self._uids(value)
        if vr in ("DA", "DT"):
            return self._dates(vr, value)
        if vr == "TM":
            return values.times(value)
        if vr == "AS":
            return values.age(value)
        if vr in TEXT_VRS or vr in ("PN", "AE", "UR", "SQ"):
            return None
        return value

    def _dates(self, vr: str, value: bytes) -> bytes | None:
        shift = values.shifted_dates if vr == "DA" else values.shifted_moments
        moved = shift(value, self.person.days)
        if moved is None:
            return None
        self.trace.dates_out.update(moved.split(b"\\"))
        return moved

    def _uids(self, value: bytes) -> bytes:
        before = [p.strip() for p in values.plain(value).decode("latin-1").split("\\")]
        after = [map_uid(self.person.key, uid) for uid in before]
        self.trace.uids_out.update(after)
        return "\\".join(after).encode()

    def _private(self, elements: list[Element]) -> list[Element]:
        """Private attributes of the safe list, under their creators; all others go."""
        creators = {
            (e.tag >> 16, e.tag & 0xFF): self._text(e.value) for e in elements if 0x10 <= e.tag & 0xFFFF <= 0xFF
        }
        out: dict[int, Element] = {}
        for e in elements:
            group, block, low = e.tag >> 16, e.tag >> 8 & 0xFF, e.tag & 0xFF
            if block < 0x10 or isinstance(e.value, list):
                continue
            creator = creators.get((group, block)) or self._implied_creator(group, low)
            safe = self.policy.safe_private.get((group, creator, low))
            if safe is None or e.vr not in (safe.vr, "UN"):
                continue
            value = self._private_value(safe.vr, bytes(e.value))
            if value is not None:
                out[group << 16 | block] = Element(group << 16 | block, "LO", creator.encode())
                out[e.tag] = Element(e.tag, safe.vr, value)
        return list(out.values())

    def _implied_creator(self, group: int, low: int) -> str:
        creator, maker = self.policy.without_creator.get((group, low), ("", ""))
        return creator if maker and self.manufacturer.casefold().startswith(maker) else ""

    def _private_value(self, vr: str, value: bytes) -> bytes | None:
        if vr in BULK_VRS or vr in ("SQ", ""):
            return None
        if vr in TEXT_VRS:
            return self._descriptor(vr, value, "device" if vr in ("LO", "SH") else "words")
        size = ZEROS.get(vr)
        if size and len(value) % size:
            return None
        return self._by_vr(vr, value)


def _dropped_group(group: int, tag: int) -> bool:
    """Groups that never stay: commands, file sets, curves, overlays, group lengths, what follows the pixel data."""
    return (
        group < 0x0008 or tag & 0xFFFF == 0 or group > 0x7FE0 or 0x5000 <= group <= 0x50FF or 0x6000 <= group <= 0x60FF
    )


def _true_vr(element: Element) -> str:
    """The VR by which a public element is judged; empty where the file's and the standard's cannot be reconciled."""
    options = dictionary_vrs(element.tag)
    if element.vr in options:
        return element.vr
    if not options:
        return ""
    if element.vr == "UN":
        return "OW" if "OW" in options else options[0]
    if any(element.vr in kin and kin.intersection(options) for kin in KINSHIP):
        return element.vr if element.vr in BINARY_VRS else options[0]
    return ""


@dataclass(slots=True, kw_only=True)
class Scrubbers:
    """The scrubbers of one patient's job, made when the first file of a kind comes."""

    policy: Policy
    person: Person
    trace: Trace = field(default_factory=Trace)
    made: dict[tuple[str, bool, bytes, bytes], Scrubber] = field(default_factory=dict)

    def of(self, elements: list[Element], *, types_column: str, descriptors: bool) -> Scrubber:
        """Scrubber for a file: by its IOD's column of attribute types, its character set and its maker."""
        found = by_tag(elements)
        charset, maker = _raw(found.get(0x00080005)), _raw(found.get(MANUFACTURER))
        key = (types_column, descriptors, charset, maker)
        if key not in self.made:
            decode = values.decoder(charset)
            self.made[key] = Scrubber(
                policy=self.policy,
                person=self.person,
                top=self.policy.actions(types_column, descriptors),
                nested=self.policy.actions(NO_TYPES, descriptors),
                decode=decode,
                trace=self.trace,
                manufacturer=decode(values.plain(maker)),
            )
        return self.made[key]


def _raw(element: Element | None) -> bytes:
    return b"" if element is None or isinstance(element.value, list) else bytes(element.value)
