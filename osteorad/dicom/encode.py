"""Raw elements to the bytes of a DICOM file: the same elements give the same bytes."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence

from osteorad.dicom.elements import BINARY_VRS, IMPLICIT, LONG_VRS, UNDEFINED, Element


def encode(elements: Sequence[Element], *, implicit: bool) -> list[bytes | memoryview]:
    """Chunks of the encoded data set, in the order given; all sequences and items get defined lengths."""
    chunks: list[bytes | memoryview] = []
    for e in elements:
        if isinstance(e.value, list):
            body = b"".join(_encoded_items(e.value, implicit))
            chunks += [_header(e.tag, "SQ", len(body), implicit), body]
        elif e.fragments:
            chunks += [_header(e.tag, e.vr, UNDEFINED, implicit), e.value]
        else:
            pad = len(e.value) & 1
            chunks += [_header(e.tag, e.vr, len(e.value) + pad, implicit), e.value]
            if pad:
                chunks.append(b"\0" if e.vr == "UI" or e.vr in BINARY_VRS else b" ")
    return chunks


def _encoded_items(items: list[list[Element]], implicit: bool) -> Iterable[bytes]:
    for item in items:
        body = b"".join(encode(item, implicit=implicit))
        yield struct.pack("<HHL", 0xFFFE, 0xE000, len(body)) + body


def _header(tag: int, vr: str, length: int, implicit: bool) -> bytes:
    group, number = tag >> 16, tag & 0xFFFF
    if implicit:
        return struct.pack("<HHL", group, number, length)
    if vr not in LONG_VRS and length > 0xFFFE:
        vr = "UN"  # PS3.5 6.2.2: a value too long for its own representation
    if vr in LONG_VRS:
        return struct.pack("<HH2sHL", group, number, vr.encode(), 0, length)
    return struct.pack("<HH2sH", group, number, vr.encode(), length)


def file_bytes(
    elements: Sequence[Element], *, syntax: str, sop_class: str, sop_uid: str, writer: tuple[str, str]
) -> bytes:
    """A whole file: zero preamble, new file meta information, the data set, nothing after it.

    writer : implementation class UID and version name.
    """
    meta = [
        Element(0x00020001, "OB", b"\0\1"),
        Element(0x00020002, "UI", sop_class.encode()),
        Element(0x00020003, "UI", sop_uid.encode()),
        Element(0x00020010, "UI", syntax.encode()),
        Element(0x00020012, "UI", writer[0].encode()),
        Element(0x00020013, "SH", writer[1].encode()),
    ]
    body = b"".join(encode(meta, implicit=False))
    length = b"".join(encode([Element(0x00020000, "UL", struct.pack("<L", len(body)))], implicit=False))
    head = [bytes(128), b"DICM", length, body]
    return b"".join([*head, *encode(elements, implicit=syntax == IMPLICIT)])
