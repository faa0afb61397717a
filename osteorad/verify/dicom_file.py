"""DICOM and DICOM-SEG: preamble, file meta, every attribute at every level, private ones and padding included."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any, BinaryIO

import pydicom
from pydicom.charset import decode_bytes
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset

from osteorad.verify.openers import MOST_TEXT, PLAIN, Fields, Inner, Piece, Unopened, base64_runs, kind_of

TEXT = frozenset({"AE", "AS", "CS", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UC", "UI", "UR", "UT"})
FREE = frozenset({"LO", "LT", "SH", "ST", "UC", "UR", "UT"})
DATES = frozenset({"DA", "DT"})
BYTES = frozenset({"OB", "OW", "OL", "OD", "OF", "OV", "UN"})
PIXELS = frozenset({0x7FE00010, 0x7FE00008, 0x7FE00009})
LARGE = 1 << 20  # bytes from which an attribute is read only when it is needed
LEAST_BASE64 = 32


def open_dicom(stream: BinaryIO) -> Iterator[Piece]:
    """Texts, dates and bytes of all attributes, and containers in them; pixels are searched with the file's bytes."""
    preamble = stream.read(132)
    large = stream.seek(0, io.SEEK_END) > MOST_TEXT
    stream.seek(0)
    data = pydicom.dcmread(stream, force=True, stop_before_pixels=large)
    if large:
        yield Unopened(place="attributes behind the pixels", why="too large; searched as bytes only")
    if not len(data):
        raise ValueError("no attribute can be read")
    found = _Found(pydicom.charset.convert_encodings(data.get("SpecificCharacterSet") or "ISO_IR 100"))
    found.walk(data.file_meta, "")
    found.walk(data, "")
    if preamble[128:] == b"DICM":
        found.texts.append(("preamble", preamble[:128]))
    found.texts += _beyond_pixels(data)
    yield Fields(fields=found.texts)
    moved = data.get("LongitudinalTemporalInformationModified") == "MODIFIED"
    yield Fields(fields=found.dates, moved=str(data.get("PatientID", "")) if moved else None)
    for place, content in found.inner:
        yield Inner(place=place, stream=io.BytesIO(content))
    for place, text in found.free:
        yield from (_at(place, piece) for piece in base64_runs(text))


class _Found:
    """What a data set holds, sorted by how it is searched."""

    def __init__(self, encodings: list[str]) -> None:
        self.encodings = encodings
        self.texts: list[tuple[str, bytes]] = []
        self.dates: list[tuple[str, bytes]] = []
        self.inner: list[tuple[str, bytes]] = []
        self.free: list[tuple[str, bytes]] = []  # long enough to hold base64

    def walk(self, data: Dataset, above: str) -> None:
        """Take up all attributes; `above` is the place of the sequence that holds them."""
        for raw in list(data.values()):
            place = f"{above}({raw.tag.group:04X},{raw.tag.element:04X}) {keyword_for_tag(raw.tag)}".rstrip()
            if isinstance(raw, RawDataElement) and raw.VR not in ("SQ", None, "UN"):
                self._raw(place, raw.tag, str(raw.VR), raw.value or b"")
                continue
            element = data[raw.tag]
            if element.VR == "SQ":
                for item in element.value or ():
                    self.walk(item, f"{place} > ")
            else:
                self._raw(place, raw.tag, element.VR, _as_bytes(element.value))

    def _raw(self, place: str, tag: int, vr: str, value: Any) -> None:
        content = value if isinstance(value, bytes) else _as_bytes(value)
        if vr in DATES:
            self.dates.append((place, content))
        elif vr in TEXT:
            self.texts.append((place, content if content.isascii() else self._decoded(content)))
            if b"\x1b" in content:
                self.texts.append((place, self._decoded(content)))
            if len(content) >= LEAST_BASE64 and vr in FREE:
                self.free.append((place, content))
        elif vr in BYTES and tag not in PIXELS:
            self.texts.append((place, content[:LARGE]))
            if len(content) >= LEAST_BASE64:
                self.free.append((place, content[:LARGE]))
            if kind_of(content[:1024]) not in PLAIN:
                self.inner.append((place, content))

    def _decoded(self, content: bytes) -> bytes:
        return content + b"\n" + decode_bytes(content, self.encodings, {ord("\\"), ord("^"), ord("=")}).encode()


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else b"" if value is None else str(value).encode("utf-8", "replace")


def _beyond_pixels(data: Dataset) -> list[tuple[str, bytes]]:
    """Bytes of native pixel data that lie behind the last pixel."""
    syntax = data.file_meta.get("TransferSyntaxUID", pydicom.uid.ImplicitVRLittleEndian)
    if "PixelData" not in data or syntax.is_encapsulated:
        return []
    counts = [data.get(name) or 1 for name in ("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "BitsAllocated")]
    size = 1
    for count in counts:
        size *= int(count)
    return [("behind the last pixel", data.get_item("PixelData").value[(size + 7) // 8 :])]


def _at(place: str, piece: Piece) -> Piece:
    if isinstance(piece, Inner):
        return Inner(place=f"{place}, {piece.place}", stream=piece.stream)
    assert isinstance(piece, Fields)
    return Fields(fields=[(f"{place}, {name}", text) for name, text in piece.fields])
