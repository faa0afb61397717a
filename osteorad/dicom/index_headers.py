"""Whose a file is, by its header: the six values that the index holds, and why a file has none.

Pixel data are never read. pydicom is loaded only where there is a file to read.
"""

from __future__ import annotations

import io
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from osteorad.cohort.sources import UNREADABLE
from osteorad.dicom.index_listing import NO_FILE
from osteorad.errors import SetAside

if TYPE_CHECKING:
    import pydicom
    from pydicom.tag import BaseTag

PLAIN = re.compile(rb"[A-Za-z0-9._ -]*\0?")
PACKED = (
    b"PK\3\4",
    b"PK\5\6",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a",
    b"\x28\xb5\x2f\xfd",
)
DEFLATED = b"1.2.840.10008.1.2.1.99"
BEGINNING_BYTES = 1 << 14  # in which the identity of most files stands
META_BYTES = 1 << 10  # in which the transfer syntax stands
IDENTITY_BYTES = 1 << 22  # in which the identity of a deflated file has to stand, before and after inflating
REQUIRED = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
HEADER_TAGS = ("PatientID", "IssuerOfPatientID", "Modality", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


def read_identity(path: Path) -> tuple[str, Mapping[str, str]]:
    """Why a file cannot be placed (empty where it can), and the values of HEADER_TAGS (empty where it is no DICOM)."""
    from pydicom.errors import BytesLengthException, InvalidDicomError

    nothing = dict.fromkeys(HEADER_TAGS, "")
    try:
        values = header_values(path)
    except InvalidDicomError:
        return ("archive_packed" if _is_archive(path) else "not_dicom"), nothing
    except (*UNREADABLE, BytesLengthException, SetAside) as error:  # the file is set aside, not lost
        refused = isinstance(error, OSError) and error.errno is not None  # by the system, not by what the file holds
        return (NO_FILE if refused else "dicom_unreadable"), nothing
    if not any(values[tag] for tag in REQUIRED) and not values["Modality"]:
        return "not_dicom", nothing
    return ("" if all(values[tag] for tag in REQUIRED) else "identity_missing"), values


def _is_archive(path: Path) -> bool:
    """True for a packed file by its first bytes; files of office programs are packed, too, but no archives."""
    with path.open("rb") as stream:
        start = stream.read(512)
    office = any(name in start for name in (b"[Content_Types].xml", b"mimetypeapplication", b"_rels/.rels"))
    return not office and (start.startswith(PACKED) or start[257:262] == b"ustar")


def header_values(path: Path) -> dict[str, str]:
    """The values of HEADER_TAGS as text.

    Elements stand in the order of their tags (PS3.5 7.1), so reading ends at the last one wanted. What our own reader
    of elements does not make out, in a file that is damaged, out of order or not plain text, is left to pydicom.
    """
    from pydicom import dcmread
    from pydicom.filereader import read_partial

    wanted = _wanted_tags()
    tags: list[BaseTag | int] = list(wanted.values())
    last = max(tags)
    header: pydicom.Dataset
    with _opened(path) as stream:
        plain = _plain_values(stream.read(BEGINNING_BYTES))
        if plain is not None:
            return plain
        stream.seek(0)
        # the integers' own comparison: that of pydicom's tags costs more than reading them
        header = read_partial(stream, lambda tag, vr, length: int.__gt__(tag, last), specific_tags=tags)
        if any(wanted[name] not in header for name in REQUIRED):
            stream.seek(0)
            header = dcmread(stream, stop_before_pixels=True, specific_tags=tags)
        return {name: _value(header, tag) for name, tag in wanted.items()}


def _plain_values(beginning: bytes) -> dict[str, str] | None:
    """The values, where a file's first bytes hold all that are required, as plain text; None where they do not."""
    from osteorad.dicom.elements import read_until

    wanted = _wanted_numbers()
    try:
        found = {element.tag: element.value for element in read_until(beginning, max(wanted.values()))}
    except SetAside:
        return None
    raw = {name: found.get(tag, b"") for name, tag in wanted.items()}
    texts = {name: _text(value) for name, value in raw.items() if isinstance(value, bytes) and PLAIN.fullmatch(value)}
    return texts if len(texts) == len(wanted) and all(texts[name] for name in REQUIRED) else None


def _opened(path: Path) -> BinaryIO:
    """A file for reading; of a deflated one just the beginning, inflated, because a small file may hold any size."""
    stream = open(path, "rb")  # noqa: SIM115  (the caller closes it)
    start = stream.read(META_BYTES)
    stream.seek(0)
    if DEFLATED not in start:
        return stream
    from osteorad.dicom.elements import inflated_beginning

    with stream:
        return io.BytesIO(inflated_beginning(stream.read(IDENTITY_BYTES), IDENTITY_BYTES))


def _value(header: pydicom.Dataset, tag: BaseTag) -> str:
    """A value as text. Plain bytes mean the same in every character set and are not handed through pydicom."""
    if tag not in header:
        return ""
    raw = header.get_item(tag).value
    if isinstance(raw, bytes) and PLAIN.fullmatch(raw):
        return _text(raw)
    return str(header[tag].value or "").strip()


def _text(plain: bytes) -> str:
    return plain.rstrip(b"\0").decode("ascii").strip()


@cache
def _wanted_tags() -> dict[str, BaseTag]:
    from pydicom.tag import Tag

    return {name: Tag(name) for name in HEADER_TAGS}


@cache
def _wanted_numbers() -> dict[str, int]:
    return {name: int(tag) for name, tag in _wanted_tags().items()}
