"""What lies in a container: a function a kind, from a file that is open at its start to named pieces.

Containers are told by their first bytes, never by their names.
"""

from __future__ import annotations

import base64
import binascii
import bz2
import gzip
import html
import io
import lzma
import re
import struct
import tarfile
import urllib.parse
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO, cast

from isal import igzip

from osteorad.verify.originals import looks_like_dicom

MOST_TEXT = 1 << 28  # bytes that are held in memory at once; what is larger is reported
LARGE = SKIP = 1 << 20
RUN = re.compile(
    rb"[A-Za-z0-9+/_-]{60,}(?:\r?\n[ \t]*[A-Za-z0-9+/_-]{60,})+(?:\r?\n[ \t]*[A-Za-z0-9+/_-]+)?={0,2}"
    rb"|[A-Za-z0-9+/_-]{16,}={0,2}"
)
ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})|\\x([0-9A-Fa-f]{2})")
TAG = re.compile(r"<[^<>]*>")
COMPRESSED_CHUNKS = (b"zTXt", b"iTXt", b"iCCP")


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Named texts; derived : another reading of bytes that were searched before."""

    fields: list[tuple[str, bytes]]
    derived: bool = False
    moved: str | None = None  # dates that were moved on purpose, of the patient named


@dataclass(frozen=True, slots=True, kw_only=True)
class Inner:
    """A container, or any file, within."""

    place: str
    stream: BinaryIO


@dataclass(frozen=True, slots=True, kw_only=True)
class Unopened:
    """Something that could not be opened, and why."""

    place: str
    why: str


Piece = Fields | Inner | Unopened
Opener = Callable[[BinaryIO], Iterator[Piece]]


class TooLargeError(Exception):
    """More than MOST_TEXT bytes would have to be held at once."""


def read_all(stream: BinaryIO) -> bytes:
    """All of a stream, up to MOST_TEXT."""
    content = stream.read(MOST_TEXT + 1)
    if len(content) > MOST_TEXT:
        raise TooLargeError
    return content


# --- text ------------------------------------------------------------------------------------------------------------


def open_text(stream: BinaryIO) -> Iterator[Piece]:
    """Other readings of a text: escapes resolved, tags left out, UTF-16; and what stands in it as base64."""
    raw = read_all(stream)
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raw = raw.decode("utf-16", errors="replace").encode()
    text = raw.decode("utf-8", errors="replace")
    yield from (Fields(fields=[(f"text, {how}", told.encode())], derived=True) for how, told in readings(text))
    yield from base64_runs(raw)


def readings(text: str) -> Iterator[tuple[str, str]]:
    """Texts that a program would show in place of this one, where they differ."""
    resolved = ESCAPE.sub(lambda found: chr(int(found[1] or found[2], 16)), text) if "\\" in text else text
    resolved = html.unescape(resolved) if "&" in resolved else resolved
    resolved = urllib.parse.unquote(resolved, errors="replace") if "%" in resolved else resolved
    if resolved != text:
        yield "escapes resolved", resolved
    if "<" in text and (bare := TAG.sub("", resolved)) != resolved:
        yield "tags left out", bare


def base64_runs(raw: bytes) -> Iterator[Piece]:
    """Decoded runs: containers one by one, all others together, from each of the four places where one may begin."""
    loose: list[tuple[str, bytes]] = []
    for found in RUN.finditer(raw):
        run = re.sub(rb"\s", b"", found[0]).translate(bytes.maketrans(b"-_", b"+/")).rstrip(b"=")
        if run.isdigit():  # of a UID or a number
            continue
        decoded = _decoded(run)
        place = f"base64 at byte {found.start()}"
        if kind_of(decoded[:1024]) not in PLAIN:
            yield Inner(place=place, stream=io.BytesIO(decoded))
        else:
            loose += [(place, d) for shift in range(4) if (d := _decoded(run[shift:]))]
    if loose:
        yield Fields(fields=loose)


def _decoded(run: bytes) -> bytes:
    try:
        return base64.b64decode(run[: len(run) - (len(run) % 4 == 1)] + b"=" * (-len(run) % 4 % 3))
    except binascii.Error:
        return b""


# --- compressed files and archives -----------------------------------------------------------------------------------


def open_gzip(stream: BinaryIO) -> Iterator[Piece]:
    """The unpacked file. Large ones by the faster library, which loses the last bytes before a damage."""
    large = isinstance(stream, io.BufferedReader) and stream.seek(0, io.SEEK_END) > LARGE
    stream.seek(0)
    unpacked = igzip.IGzipFile(fileobj=stream, mode="rb") if large else gzip.GzipFile(fileobj=stream, mode="rb")
    yield Inner(place="gzip", stream=cast(BinaryIO, unpacked))


def open_bz2(stream: BinaryIO) -> Iterator[Piece]:
    """The unpacked file."""
    yield Inner(place="bz2", stream=cast(BinaryIO, bz2.BZ2File(stream)))


def open_xz(stream: BinaryIO) -> Iterator[Piece]:
    """The unpacked file."""
    with lzma.LZMAFile(stream) as unpacked:
        yield Inner(place="xz", stream=cast(BinaryIO, unpacked))


def open_zip(stream: BinaryIO) -> Iterator[Piece]:
    """Names, comments and members; .xlsx and .npz are zips too."""
    with zipfile.ZipFile(stream) as archive:
        names = [(f"name of member {number}", info.filename.encode()) for number, info in enumerate(archive.infolist())]
        notes = [(f"comment of member {number}", info.comment) for number, info in enumerate(archive.infolist())]
        yield Fields(fields=[*names, *notes, ("comment", archive.comment)])
        for info in archive.infolist():
            if info.flag_bits & 1:
                yield Unopened(place=info.filename, why="it is encrypted")
            elif not info.is_dir():
                with archive.open(info) as member:
                    yield Inner(place=info.filename, stream=cast(BinaryIO, member))


def open_tar(stream: BinaryIO) -> Iterator[Piece]:
    """Names, owners and members."""
    with tarfile.open(fileobj=stream) as archive:
        for number, info in enumerate(archive):
            told = f"{info.name}\n{info.linkname}\n{info.uname}\n{info.gname}"
            yield Fields(fields=[(f"name of member {number}", told.encode())])
            if info.isfile():
                yield Inner(place=info.name, stream=cast(BinaryIO, archive.extractfile(info)))


def open_pdf(stream: BinaryIO) -> Iterator[Piece]:
    """Streams that can be inflated; text drawn with glyph numbers of embedded fonts stays hidden."""
    raw = read_all(stream)
    for number, found in enumerate(re.finditer(rb"stream\r?\n", raw)):
        unpacker = zlib.decompressobj()
        try:
            yield Inner(place=f"stream {number}", stream=io.BytesIO(unpacker.decompress(raw[found.end() :], MOST_TEXT)))
        except zlib.error:
            continue  # not deflated: its bytes were searched as they stand
    yield Unopened(place="PDF", why="text may be drawn with glyphs; look at it")


# --- images ----------------------------------------------------------------------------------------------------------

NIFTI_TEXTS = {
    348: {"data_type": (4, 14), "db_name": (14, 32), "descrip": (148, 228), "aux_file": (228, 252),
          "intent_name": (328, 344)},
    540: {"descrip": (240, 320), "aux_file": (320, 344), "intent_name": (508, 524)},
}  # fmt: skip


def open_nifti(stream: BinaryIO) -> Iterator[Piece]:
    """Texts of the header, extensions, and what stands behind the voxels."""
    head = stream.read(540)
    order = "<" if head[:4] in (b"\x5c\x01\0\0", b"\x1c\x02\0\0") else ">"
    size = struct.unpack(order + "i", head[:4])[0]
    old = size == 348
    shape = struct.unpack_from(order + ("8h" if old else "8q"), head, 40 if old else 16)
    bits = struct.unpack_from(order + "h", head, 72 if old else 14)[0]
    start = int(struct.unpack_from(order + ("f" if old else "q"), head, 108 if old else 168)[0])
    voxels = bits
    for length in shape[1 : 1 + max(0, min(shape[0], 7))]:
        voxels *= max(length, 1)
    known = [(f"header, {name}", head[low:high]) for name, (low, high) in NIFTI_TEXTS[size].items()]
    rest = head[size:] + stream.read(max(0, min(start, MOST_TEXT) - len(head)))
    yield Fields(fields=[*known, ("header", head[:size]), ("extension", rest[: max(0, start - size)])])
    yield Inner(place="extension", stream=io.BytesIO(rest[: max(0, start - size)].strip(b"\0")))
    left = voxels // 8 - len(rest[max(0, start - size) :])
    while left > 0 and (skipped := stream.read(min(left, SKIP))):
        left -= len(skipped)
    if behind := read_all(stream):
        yield Fields(fields=[("behind the voxels", behind)])


def open_png(stream: BinaryIO) -> Iterator[Piece]:
    """Chunks of text, unpacked; all that is no pixel; what stands behind the end."""
    raw = read_all(stream)
    at, name, fields = 8, b"", []
    while at + 12 <= len(raw) and name != b"IEND":
        length, name = struct.unpack_from(">I4s", raw, at)
        chunk = raw[at + 8 : at + 8 + length]
        place = f"chunk {name.decode('latin-1')}"
        if name != b"IDAT":
            fields.append((place, chunk))
        if name in COMPRESSED_CHUNKS:
            fields += [(place, text) for text in _inflated(chunk)]
        at += 12 + length
    fields.append(("behind the end", raw[at:]))
    yield Fields(fields=fields)


def _inflated(chunk: bytes) -> Iterator[bytes]:
    for found in re.finditer(rb"\x78[\x01\x5e\x9c\xda]", chunk):
        try:
            yield zlib.decompressobj().decompress(chunk[found.start() :], MOST_TEXT)
        except zlib.error:
            continue  # two bytes that only look like the begin of a stream


def open_webp(stream: BinaryIO) -> Iterator[Piece]:
    """All chunks but the pixels, and what stands behind the end."""
    raw = read_all(stream)
    end = 8 + struct.unpack_from("<I", raw, 4)[0]
    at, fields = 12, []
    while at + 8 <= min(end, len(raw)):
        name, length = struct.unpack_from("<4sI", raw, at)
        if name not in (b"VP8 ", b"VP8L", b"ALPH", b"ANMF"):
            fields.append((f"chunk {name.decode('latin-1')}", raw[at + 8 : at + 8 + length]))
        at += 8 + length + length % 2
    yield Fields(fields=[*fields, ("behind the end", raw[end:])])


# --- kinds -----------------------------------------------------------------------------------------------------------


def _parquet(stream: BinaryIO) -> Iterator[Piece]:
    from osteorad.verify.parquet_file import open_parquet

    return open_parquet(stream)


def _dicom(stream: BinaryIO) -> Iterator[Piece]:
    from osteorad.verify.dicom_file import open_dicom

    return open_dicom(stream)


OPENERS: dict[str, Opener] = {
    "dicom": _dicom,
    "nifti": open_nifti,
    "parquet": _parquet,
    "gzip": open_gzip,
    "bz2": open_bz2,
    "xz": open_xz,
    "zip": open_zip,
    "tar": open_tar,
    "pdf": open_pdf,
    "png": open_png,
    "webp": open_webp,
    "text": open_text,
}
PLAIN = ("text", "bytes", "empty")  # kinds that hold nothing to open, or only themselves
CLOSED = {b"7z\xbc\xaf\x27\x1c": "7z", b"Rar!": "rar", b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4"}
_MAGIC = {
    b"\x1f\x8b": "gzip",
    b"BZh": "bz2",
    b"\xfd7zXZ\0": "xz",
    b"PK\x03\x04": "zip",
    b"PK\x05\x06": "zip",
    b"%PDF-": "pdf",
    b"\x89PNG\r\n\x1a\n": "png",
    b"PAR1": "parquet",
    **CLOSED,
}


def kind_of(head: bytes) -> str:
    """Kind of a file from its first 1024 bytes; `text` or `bytes` where no container is known."""
    for magic, kind in _MAGIC.items():
        if head.startswith(magic):
            return kind
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "webp"
    if _is_nifti(head):
        return "nifti"
    if head[257:262] == b"ustar":
        return "tar"
    if looks_like_dicom(head):
        return "dicom"
    if not head:
        return "empty"
    return "text" if _is_text(head) else "bytes"


def _is_nifti(head: bytes) -> bool:
    old = head[:4] in (b"\x5c\x01\0\0", b"\0\0\x01\x5c") and head[344:348] in (b"n+1\0", b"ni1\0")
    return len(head) >= 348 and (
        old or (head[:4] in (b"\x1c\x02\0\0", b"\0\0\x02\x1c") and head[4:7] in (b"n+2", b"ni2"))
    )


def _is_text(head: bytes) -> bool:
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return True
    odd = sum(byte < 9 or 13 < byte < 32 for byte in head)
    return bool(head) and b"\0" not in head and odd <= len(head) // 50
