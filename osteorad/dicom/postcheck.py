"""The check of every output before it is written: read it again and look for what must not be there.

Two looks. By structure: every UID, date, person name and private attribute of the output is one that was put or let
there. By search: no string that tells who the patient is stands anywhere in the bytes. Both work on the finished bytes,
with a reader that knows nothing of how they were made.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from osteorad.dicom.elements import PIXEL_DATA, Element, by_tag, read_dicom, tag_text
from osteorad.dicom.policy import TEXT_VRS, Policy
from osteorad.dicom.scrub import Trace
from osteorad.dicom.uids import is_well_known
from osteorad.dicom.values import decoder, plain
from osteorad.errors import SetAside

SURE = 8  # from this length on a hit counts wherever it stands; shorter strings must be whole words of a text
SHORTEST_OTHER_NAME = 5  # of people other than the patient: shorter ones are often codes such as TECH or MTA
SHORTEST_NUMBER = 6  # numbers shorter than this may as well be the number of a product
SHORTEST_IN_CODE = 5  # in code strings, whose short values are the standard's own words
GATHERED = frozenset({"PN", "DA", "DT", "UI"})
PRODUCTS = frozenset({0x00080070, 0x00081090})
PATIENT_NAMES = frozenset({0x00100010, 0x00101001, 0x00101005, 0x00101060})
READ_AS_TEXT = TEXT_VRS | {"PN", "CS", "AE", "UR", "UN", "OB"}
NAME_PARTS = re.compile(r"[^\W\d_]+")
DATE = re.compile(rb"(?:^|\\)\s*((?:18|19|20)\d{6})")
UID = re.compile(rb"\d+(?:\.\d+){3,}")
OUR_UID = re.compile(rb"2\.25\.\d+")


@dataclass(slots=True)
class Needles:
    """Strings that tell who a patient is, gathered from all of the patient's files; lower case."""

    names: set[bytes] = field(default_factory=set)
    ids: set[bytes] = field(default_factory=set)
    dates: set[bytes] = field(default_factory=set)
    uids: set[bytes] = field(default_factory=set)
    own_words: set[str] = field(default_factory=set)  # all parts of the patient's names, case-folded
    seen: set[tuple[int, bytes]] = field(default_factory=set)  # values gathered before: most repeat in every slice

    def numbers(self) -> frozenset[bytes]:
        """Identifiers of six and more digits, and dates: no numeric attribute may carry them."""
        return frozenset(n for n in self.ids if len(n) >= SHORTEST_NUMBER and n.isdigit()) | frozenset(self.dates)

    def gather(self, elements: list[Element], policy: Policy) -> None:
        """Add what one file says about people, at every level."""
        charset = next((e.value for e in elements if e.tag == 0x00080005 and not isinstance(e.value, list)), b"")
        decode = decoder(bytes(charset))
        products = b" ".join(
            bytes(e.value) for e in _walk(elements) if e.tag in PRODUCTS and not isinstance(e.value, list)
        )
        product_words = decode(products).casefold()
        for e in _walk(elements):
            if (e.vr not in GATHERED and e.tag not in policy.searched) or not isinstance(e.value, bytes):
                continue
            if (e.tag, e.value) in self.seen:
                continue
            self.seen.add((e.tag, e.value))
            if e.vr == "PN":
                own = e.tag in PATIENT_NAMES
                self._names(decode(plain(bytes(e.value))), own, "" if own else product_words, policy)
            elif e.tag in policy.searched:
                self._ids(decode(plain(bytes(e.value))), policy.searched[e.tag] == "own", product_words, policy)
            elif e.vr in ("DA", "DT"):
                self.dates.update(DATE.findall(plain(bytes(e.value))))
            elif e.vr == "UI":
                found = plain(bytes(e.value)).decode("latin-1").split("\\")
                self.uids.update(u.strip().encode() for u in found if len(u) >= 12 and not is_well_known(u.strip()))

    def _names(self, text: str, own: bool, products: str, policy: Policy) -> None:
        shortest = policy.shortest_name if own else SHORTEST_OTHER_NAME
        for part in NAME_PARTS.findall(text):
            if len(part) >= shortest:
                self.own_words.update([part.casefold()] if own else [])
                if not policy.vocabulary.knows(part) and part.casefold() not in (*policy.neutral, *products.split()):
                    self.names.update(_forms(part))

    def _ids(self, text: str, own: bool, products: str, policy: Policy) -> None:
        for value in text.split("\\"):
            value = value.strip()
            telling = own and not (value.isdigit() and len(value) < SHORTEST_NUMBER)
            if len(value) < policy.shortest_id or (not telling and value.casefold() in products):
                continue
            if policy.vocabulary.clean(value) != value and value.casefold() not in policy.neutral:
                self.ids.update(_forms(value))


def _forms(text: str) -> Iterator[bytes]:
    yield text.lower().encode()
    yield text.encode().lower()


def _walk(elements: Iterable[Element]) -> Iterator[Element]:
    for e in elements:
        yield e
        if isinstance(e.value, list):
            for item in e.value:
                yield from _walk(item)


def check(content: bytes, *, needles: Needles, trace: Trace, policy: Policy, pseudonym: str) -> None:
    """Raise SetAside `identity_left` where an output still tells who the patient is.

    content : bytes of the whole file. The detail names kind and place of the hit, never the string.
    """
    if any(content[:128]):
        raise SetAside("identity_left", "in the preamble")
    file = read_dicom(content)
    if file.damage is not None:
        raise SetAside("deidentification_failed", "the output cannot be read again")
    _check_structure(file.elements, trace, policy, pseudonym)
    _search(content, file.elements, needles, trace)


def _check_structure(elements: list[Element], trace: Trace, policy: Policy, pseudonym: str) -> None:
    for e in _walk(elements):
        if isinstance(e.value, list) or e.tag == PIXEL_DATA:
            continue
        if e.tag >> 16 & 1:
            _check_private(e, policy)
        elif e.vr in ("UI", "DA", "DT", "PN"):
            for part in plain(bytes(e.value)).split(b"\\"):
                if not _expected(e.vr, part, trace, pseudonym):
                    raise SetAside("identity_left", f"an unexpected {e.vr} in {tag_text(e.tag)}")


def _expected(vr: str, part: bytes, trace: Trace, pseudonym: str) -> bool:
    if not part:
        return True
    if vr == "UI":
        uid = part.decode("latin-1")
        return uid in trace.uids_out or is_well_known(uid)
    if vr == "PN":
        return part.decode("latin-1") == pseudonym
    return part in trace.dates_out


def _check_private(element: Element, policy: Policy) -> None:
    group, low = element.tag >> 16, element.tag & 0xFF
    creator = 0x10 <= element.tag & 0xFFFF <= 0xFF
    if (group if creator else (group, low)) not in policy.private_places:
        raise SetAside("identity_left", f"a private attribute in {tag_text(element.tag)}")


def _search(content: bytes, elements: list[Element], needles: Needles, trace: Trace) -> None:
    pixels = next((e for e in elements if e.tag == PIXEL_DATA), None)
    size = 0 if pixels is None else len(pixels.value)
    head = (content[: len(content) - size] if size else content).lower()
    suspects = [
        ("a part of a name", needles.names),
        ("an identifier", needles.ids),
        ("a date", needles.dates - {d[:8] for d in trace.dates_out}),
        ("a UID", needles.uids.intersection(UID.findall(head))),
    ]
    hits = [(kind, n) for kind, strings in suspects for n in sorted(strings) if n in head]
    if hits:
        _confirm(hits, elements, OUR_UID.sub(b"", head))
    if pixels is not None:
        _search_pixels(pixels, elements, needles)


def _confirm(hits: list[tuple[str, bytes]], elements: list[Element], head: bytes) -> None:
    """A hit counts when the string is long, or a whole word of a text; not inside our own UIDs or numbers."""
    texts = [
        (e.tag, e.vr, bytes(e.value).lower())
        for e in _walk(elements)
        if not isinstance(e.value, list) and e.tag != PIXEL_DATA and (e.vr in READ_AS_TEXT or e.tag >> 16 & 1)
    ]
    for kind, needle in hits:
        word = re.compile(rb"(?<![0-9a-z])" + re.escape(needle) + rb"(?![0-9a-z])")
        for tag, vr, text in texts:
            if word.search(text) and (vr != "CS" or len(needle) >= SHORTEST_IN_CODE):
                raise SetAside("identity_left", f"{kind} in {tag_text(tag)}")
        if len(needle) >= SURE and not needle.isdigit() and needle in head:
            raise SetAside("identity_left", f"{kind} in the bytes of the file")


def _search_pixels(pixels: Element, elements: list[Element], needles: Needles) -> None:
    """Compressed pixels may carry comments, and native ones more bytes than pixels; the pixels themselves are numbers.

    Long strings only: short ones occur in noise by chance.
    """
    value = b"" if isinstance(pixels.value, list) else pixels.value
    if not pixels.fragments:
        value = value[native_size(elements) :]
    if len(value) < SURE:
        return
    folded = bytes(value).lower()
    for kind, strings in (("a part of a name", needles.names), ("an identifier", needles.ids)):
        if any(len(n) >= SURE and n in folded for n in strings):
            raise SetAside("identity_left", f"{kind} in the pixel data")


def native_size(elements: list[Element]) -> int:
    """Bytes that native pixel data of this header fill; 0 where the header does not say."""
    found = by_tag(elements)
    size = 1
    for tag in (0x00280002, 0x00280010, 0x00280011, 0x00280100):  # samples, rows, columns, bits
        element = found.get(tag)
        raw = b"" if element is None or isinstance(element.value, list) else bytes(element.value)
        size *= int.from_bytes(raw[:2], "little")
    frames = found.get(0x00280008)
    text = b"1" if frames is None or isinstance(frames.value, list) else plain(bytes(frames.value))
    return (size * int(text) + 7) // 8 if text.isdigit() and len(text) < 10 else 0
