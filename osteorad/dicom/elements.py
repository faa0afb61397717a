"""DICOM files as raw elements, read without converting values (written again by `encode`).

Values stay bytes; only the structure (nesting, lengths, value representations) is understood. Pixel data are never
decoded: they are a view of the input, encapsulated ones with their fragment headers. Deflated and big-endian input
becomes explicit little endian; implicit, explicit and compressed syntaxes stay what they are.
Follows PS3.5, chapters 6, 7 and annex A; PS3.10, chapter 7.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import NamedTuple

from pydicom._dicom_dict import DicomDictionary
from pydicom._uid_dict import UID_dictionary

from osteorad.errors import SetAside

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG_ENDIAN = "1.2.840.10008.1.2.2"
PIXEL_DATA = 0x7FE00010
LONG_VRS = frozenset({"OB", "OD", "OF", "OL", "OV", "OW", "SQ", "SV", "UC", "UN", "UR", "UT", "UV"})
SHORT_VRS = ("AE", "AS", "AT", "CS", "DA", "DS", "DT", "FD", "FL", "IS", "LO", "LT", "PN", "SH", "SL", "SS", "ST", "TM")
VRS = {vr.encode(): vr for vr in (*LONG_VRS, *SHORT_VRS, "UI", "UL", "US")}
PLAIN = {code: vr for code, vr in VRS.items() if vr not in LONG_VRS}  # length in two bytes, never a sequence
BINARY_VRS = LONG_VRS - {"UC", "UR", "UT"} | {"AT", "FD", "FL", "SL", "SS", "UL", "US"}
WORD_BYTES = {"US": 2, "SS": 2, "OW": 2, "AT": 2, "UL": 4, "SL": 4, "FL": 4, "OF": 4, "OL": 4}
WORD_BYTES |= dict.fromkeys(("FD", "OD", "SV", "UV", "OV"), 8)
UNDEFINED = 0xFFFFFFFF
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD
DEEPEST = 24
HEADER_BYTES = 1 << 16
LARGEST_INFLATED = 1 << 31


class Element(NamedTuple):
    """One element: value bytes, a view of pixel bytes, or for a sequence its items (lists of elements)."""

    tag: int
    vr: str
    value: bytes | memoryview | list[list[Element]]
    fragments: bool = False  # encapsulated pixel data: undefined length


@dataclass(slots=True)
class DicomFile:
    """What was read; `damage` says why reading stopped early, and then `elements` holds what came before."""

    syntax: str = EXPLICIT  # that of the elements as they will be written
    implicit: bool = False
    elements: list[Element] = field(default_factory=list)
    damage: SetAside | None = None


def tag_text(tag: int) -> str:
    """`(gggg,eeee)`."""
    return f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


@cache
def dictionary_vrs(tag: int) -> tuple[str, ...]:
    """Value representations that the DICOM dictionary allows for a public tag; empty for an unknown one."""
    if tag & 0xFFFF == 0:
        return ("UL",)
    entry = DicomDictionary.get(tag)
    return tuple(entry[0].split(" or ")) if entry and entry[0] != "NONE" else ()


@cache
def _implied_vr(tag: int) -> str:
    if tag >> 16 & 1:
        return "LO" if 0x10 <= tag & 0xFFFF <= 0xFF else "UN"
    options = dictionary_vrs(tag)
    if len(options) > 1:
        return "OW" if "OW" in options else options[0]
    return options[0] if options else "UN"


def read_file(path: Path) -> DicomFile:
    """`read_dicom` of a file; one that cannot be opened is damaged, too."""
    try:
        return read_dicom(path.read_bytes())
    except OSError:
        return DicomFile(damage=SetAside("dicom_unreadable", "the file cannot be opened"))


def read_header(path: Path) -> DicomFile:
    """`read_file`, but native pixels of a large file are left on disk: its Pixel Data are then an empty value."""
    try:
        with path.open("rb") as stream:
            start = stream.read(HEADER_BYTES)
            size = os.fstat(stream.fileno()).st_size
    except OSError:
        return DicomFile(damage=SetAside("dicom_unreadable", "the file cannot be opened"))
    file = read_dicom(start, size)
    return file if len(start) == size or file.damage is None else read_file(path)


def read_dicom(content: bytes, size: int = 0) -> DicomFile:
    """Read the bytes of a whole file, or the beginning of one of `size` bytes.

    Never raises: what cannot be read is told by `damage`.

    Codes: not_dicom, dicom_unreadable, pixel_data_truncated. Bytes after the pixel data that are no element are
    dropped.
    """
    if not content:
        return DicomFile(damage=SetAside("not_dicom", "the file is empty"))
    if content[128:132] != b"DICM":
        return DicomFile(damage=SetAside("not_dicom"))
    result = DicomFile()
    try:
        body, start = _data_set(result, content)
        reader = _Reader(body, big=result.syntax == BIG_ENDIAN, size=size if body is content else 0)
        if reader.big:
            result.syntax = EXPLICIT
        reader.dataset(start, len(body), result.implicit, 0, result.elements)
    except SetAside as damage:
        last = result.elements[-1].tag if result.elements else 0
        if damage.code != "dicom_unreadable" or last < PIXEL_DATA:
            result.damage = damage
    if not result.elements and result.damage is None:
        result.damage = SetAside("dicom_unreadable", "no data set")
    return result


def read_until(content: bytes, last: int) -> list[Element]:
    """Elements before the first whose tag is above `last`, of a whole file or of its beginning.

    Raises SetAside where that part is damaged or is cut off.
    """
    if content[128:132] != b"DICM":
        raise SetAside("not_dicom")
    file = DicomFile()
    body, pos = _data_set(file, content)
    reader, found = _Reader(body, big=file.syntax == BIG_ENDIAN), list[Element]()
    while pos < len(body) and reader.tag(pos) <= last:
        pos = reader.element(pos, len(body), file.implicit, 0, found)
    return found


def inflated_beginning(content: bytes, most: int) -> bytes:
    """A file whose data set is deflated, or the beginning of one, as explicit little endian; other files as they are.

    Of the data set at most `most` bytes. Raises SetAside where the meta information is damaged, zlib.error where the
    data set is.
    """
    meta, start = _read_meta(content)
    if meta.get(0x00020010, b"").rstrip(b"\0 ") != DEFLATED.encode():
        return content
    told = EXPLICIT.encode().ljust(len(DEFLATED), b"\0")
    body = zlib.decompressobj(-15).decompress(content[start:], most)
    return content[:start].replace(DEFLATED.encode(), told) + body


def _read_meta(content: bytes) -> tuple[dict[int, bytes], int]:
    """File meta information (always explicit little endian) and where the data set starts."""
    reader = _Reader(content, big=False)
    meta: dict[int, bytes] = {}
    pos = 132
    while content[pos : pos + 2] == b"\x02\x00":
        found: list[Element] = []
        pos = reader.element(pos, len(content), False, 0, found)
        value = found[0].value
        meta[found[0].tag] = bytes(value) if not isinstance(value, list) else b""
    return meta, pos


def _data_set(result: DicomFile, content: bytes) -> tuple[bytes, int]:
    """The bytes that hold the data set, and where in them it starts; `result` is told the transfer syntax."""
    meta, start = _read_meta(content)
    return _prepare(result, content, start, meta.get(0x00020010, b"").rstrip(b"\0 ").decode("ascii", "replace"))


def _prepare(result: DicomFile, content: bytes, start: int, syntax: str) -> tuple[bytes, int]:
    """Settle the transfer syntax; inflate where needed."""
    if syntax == DEFLATED:
        try:
            content = zlib.decompressobj(-15).decompress(content[start:], LARGEST_INFLATED)
        except zlib.error:
            raise SetAside("dicom_unreadable", "the deflated data set is damaged") from None
        start, syntax = 0, EXPLICIT
    looks_explicit = content[start + 4 : start + 6] in VRS
    if syntax in ("", IMPLICIT, EXPLICIT):  # the bytes decide where the meta information is silent or wrong
        syntax = EXPLICIT if looks_explicit else IMPLICIT
    elif not syntax.startswith("1.2.840.10008.1.2.") or syntax not in UID_dictionary:
        raise SetAside("dicom_unreadable", "unknown transfer syntax")
    result.syntax = syntax
    result.implicit = syntax == IMPLICIT
    return content, start


def _cut() -> SetAside:
    return SetAside("dicom_unreadable", "the file ends within an element")


class _Reader:
    """Walks elements of one buffer; positions are byte offsets."""

    def __init__(self, buffer: bytes, *, big: bool, size: int = 0) -> None:
        self.buffer = buffer
        self.size = max(size, len(buffer))  # of the file that the buffer is the beginning of
        self.view = memoryview(buffer)
        self.big = big
        order = ">" if big else "<"
        self.tag_at = struct.Struct(order + "HH").unpack_from
        self.short_at = struct.Struct(order + "H").unpack_from
        self.long_at = struct.Struct(order + "L").unpack_from
        self.plain_at = struct.Struct(order + "HH2sH").unpack_from

    def dataset(self, pos: int, end: int, implicit: bool, depth: int, into: list[Element]) -> int:
        """Read elements until `end` or an item delimiter; returns the position after them."""
        buffer, plain_at, fast = self.buffer, self.plain_at, not (implicit or self.big)
        while pos < end:
            if end - pos < 8:
                raise _cut()
            group, number, code, length = plain_at(buffer, pos)
            if fast and code in PLAIN and group != 0xFFFE:  # most elements of most files
                stop = pos + 8 + length
                if stop > end:
                    raise _cut()
                into.append(Element(group << 16 | number, PLAIN[code], buffer[pos + 8 : stop]))
                pos = stop
            elif group == 0xFFFE and number == 0xE00D:
                return pos + 8
            else:
                pos = self.element(pos, end, implicit, depth, into)
        return pos

    def tag(self, pos: int) -> int:
        """The tag of the element that starts here."""
        if len(self.buffer) - pos < 8:
            raise _cut()
        group, number = self.tag_at(self.buffer, pos)
        return int(group << 16 | number)

    def element(self, pos: int, end: int, implicit: bool, depth: int, into: list[Element]) -> int:
        """Read one element, append it, return the position after it."""
        if end - pos < 8:
            raise _cut()
        tag = self.tag(pos)
        if implicit:
            vr, length, start = _implied_vr(tag), self.long_at(self.buffer, pos + 4)[0], pos + 8
        else:
            vr, length, start = self._explicit_header(pos, end)
        if tag == PIXEL_DATA:
            return self._pixels(vr, start, length, end, into)
        if length == UNDEFINED:
            if vr not in ("SQ", "UN"):
                raise SetAside("dicom_unreadable", f"undefined length in {tag_text(tag)}")
            items, pos = self.sequence(start, end, implicit or vr == "UN", depth + 1, undefined=True)
            into.append(Element(tag, "SQ", items))
            return pos
        stop = start + length
        if stop > end:
            raise _cut()
        into.append(Element(tag, *self._value(tag, vr, start, stop, implicit, depth)))
        return stop

    def _value(
        self, tag: int, vr: str, start: int, stop: int, implicit: bool, depth: int
    ) -> tuple[str, bytes | list[list[Element]]]:
        """VR and value of an element of known length; private sequences are not entered, they never stay."""
        private = tag >> 16 & 1
        if vr == "SQ" and not private:
            return "SQ", self.sequence(start, stop, implicit, depth + 1, undefined=False)[0]
        if vr == "UN" and not private and "SQ" in dictionary_vrs(tag):
            try:
                return "SQ", self.sequence(start, stop, True, depth + 1, undefined=False)[0]
            except SetAside:
                return "UN", b""
        raw = self.buffer[start:stop]
        return vr, _swapped(raw, WORD_BYTES.get(vr, 1)) if self.big else raw

    def _explicit_header(self, pos: int, end: int) -> tuple[str, int, int]:
        vr = VRS.get(self.buffer[pos + 4 : pos + 6])
        if vr is None:
            raise SetAside("dicom_unreadable", "an unknown value representation")
        if vr not in LONG_VRS:
            return vr, self.short_at(self.buffer, pos + 6)[0], pos + 8
        if end - pos < 12:
            raise _cut()
        return vr, self.long_at(self.buffer, pos + 8)[0], pos + 12

    def sequence(
        self, pos: int, end: int, implicit: bool, depth: int, *, undefined: bool
    ) -> tuple[list[list[Element]], int]:
        """Read the items of a sequence; returns them and the position after the sequence."""
        if depth > DEEPEST:
            raise SetAside("dicom_unreadable", "sequences are nested too deeply")
        items: list[list[Element]] = []
        while pos < end:
            if end - pos < 8:
                raise _cut()
            group, number = self.tag_at(self.buffer, pos)
            length = self.long_at(self.buffer, pos + 4)[0]
            pos += 8
            if (group, number) == (0xFFFE, 0xE0DD):
                return items, pos
            if (group, number) != (0xFFFE, 0xE000):
                raise SetAside("dicom_unreadable", "a sequence holds something else than items")
            stop = end if length == UNDEFINED else pos + length
            if stop > end:
                raise _cut()
            item: list[Element] = []
            pos = self.dataset(pos, stop, implicit, depth, item)
            items.append(item)
        if undefined:
            raise _cut()
        return items, pos

    def _pixels(self, vr: str, start: int, length: int, end: int, into: list[Element]) -> int:
        if length == UNDEFINED:
            stop = self._fragments(start, end)
            into.append(Element(PIXEL_DATA, vr, self.view[start:stop], fragments=True))
            return stop
        stop = start + length
        if stop > end and end == len(self.buffer) and stop <= self.size:
            into.append(Element(PIXEL_DATA, vr, b""))
            return end
        if stop > end:
            raise SetAside("pixel_data_truncated", f"{self.size - start} of {length} bytes are there")
        if self.big:
            into.append(Element(PIXEL_DATA, vr, _swapped(self.buffer[start:stop], WORD_BYTES.get(vr, 1))))
        else:
            into.append(Element(PIXEL_DATA, vr, self.view[start:stop]))
        return stop

    def _fragments(self, pos: int, end: int) -> int:
        """End of encapsulated pixel data, its closing delimiter included."""
        while end - pos >= 8:
            tag, length = self.tag_at(self.buffer, pos), self.long_at(self.buffer, pos + 4)[0]
            pos += 8
            if tag == (0xFFFE, 0xE0DD):
                return pos
            if tag != (0xFFFE, 0xE000):
                raise SetAside("dicom_unreadable", "compressed pixel data hold something else than fragments")
            pos += length
        raise SetAside("pixel_data_truncated", "the compressed pixel data have no end")


def _swapped(raw: bytes, width: int) -> bytes:
    if width == 1 or len(raw) % width:
        return raw
    out = bytearray(len(raw))
    for i in range(width):
        out[i::width] = raw[width - 1 - i :: width]
    return bytes(out)


def by_tag(elements: Iterable[Element]) -> dict[int, Element]:
    """Elements by tag; where a tag is there twice the last one counts, as for most readers."""
    return {e.tag: e for e in elements}
