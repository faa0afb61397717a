"""Stored pixel values of image planes: read, decoded, cleaned of foreign bits; nothing here knows units.

Uncompressed planes are read from their place in the file without parsing it again.
"""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.pixels import pixel_array

from osteorad.dicom.headers import Frame, PixelFormat
from osteorad.errors import SetAside

IMPLICIT, EXPLICIT, BIG = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"
PLAIN = (IMPLICIT, EXPLICIT, BIG)
MONOCHROME = ("MONOCHROME1", "MONOCHROME2")  # the first is a matter of display: HU and SUV come before it
DECODING = (ValueError, RuntimeError, NotImplementedError, AttributeError, KeyError, TypeError, IndexError, OSError)
PIXEL_DATA = 0x7FE00010
LARGEST_SIDE = 8192  # pixels of a side; scanners make up to 2048, and decoders believe what compressed files promise


@dataclass(frozen=True, slots=True)
class Plane:
    """Stored values of one plane as int32 or narrower, shape (rows, columns), and where padding stands."""

    values: NDArray[np.integer]
    padding: NDArray[np.bool_] | None


def read_plane(frame: Frame) -> Plane:
    """Stored values of one plane.

    Raises SetAside: palette_unsupported, pixel_data_truncated, pixel_data_undecodable.
    """
    form = frame.pixels
    refuse_absurd(frame)
    if form.samples != 1 or form.photometric not in MONOCHROME:
        raise SetAside("palette_unsupported", f"{form.photometric or 'no photometric interpretation'}, {form.samples}")
    if form.bits_allocated not in (8, 16, 32) or not 1 <= form.bits_stored <= form.bits_allocated:
        raise SetAside("pixel_data_undecodable", f"{form.bits_stored} of {form.bits_allocated} bits")
    if not form.bits_stored - 1 <= form.high_bit < form.bits_allocated:
        raise SetAside("pixel_data_undecodable", f"high bit {form.high_bit}")
    if form.offset < 0 and form.transfer_syntax != DEFLATED:
        raise SetAside("pixel_data_truncated", "no pixel data")
    plain = form.transfer_syntax in PLAIN or not form.transfer_syntax
    raw = _read_plain(frame) if plain else _decode(frame)
    return Plane(clean_bits(raw, form), find_padding(raw, form))


def refuse_absurd(frame: Frame) -> None:
    """Raise SetAside where the header promises more than the file can hold, before room is made for it.

    Codes: pixel_data_truncated, pixel_data_undecodable.
    """
    form = frame.pixels
    promised = form.rows * form.columns * max(form.bits_allocated, 1) // 8 * form.frames
    plain = form.transfer_syntax in PLAIN or not form.transfer_syntax
    if plain and promised > (there := frame.path.stat().st_size):
        raise SetAside("pixel_data_truncated", f"{promised} bytes promised, the file has {there}")
    if max(form.rows, form.columns) > LARGEST_SIDE or min(form.rows, form.columns) < 1:
        raise SetAside("pixel_data_undecodable", f"{form.rows} x {form.columns} pixels")


def same_values(one: Frame, other: Frame) -> bool:
    """True where two planes hold the same stored values and the same scale."""
    if (one.slope, one.intercept) != (other.slope, other.intercept):
        return False
    return np.array_equal(read_plane(one).values, read_plane(other).values)


def _dtype(form: PixelFormat) -> np.dtype[np.integer]:
    order = ">" if form.transfer_syntax == BIG else "<"
    return np.dtype(f"{order}u{form.bits_allocated // 8}")


def _read_plain(frame: Frame) -> NDArray[np.integer]:
    """Bits of an uncompressed plane as unsigned numbers."""
    form = frame.pixels
    size = form.rows * form.columns * form.bits_allocated // 8
    with frame.path.open("rb") as stream:
        length = _element_length(stream, form)
        if length < size * form.frames:
            raise SetAside("pixel_data_truncated", f"{length} of {size * form.frames} bytes promised")
        stream.seek(size * frame.number, 1)
        content = stream.read(size)
    if len(content) < size:
        raise SetAside("pixel_data_truncated", f"{len(content)} of {size} bytes in a slice")
    raw = np.frombuffer(content, dtype=_dtype(form)).reshape(form.rows, form.columns)
    return raw.astype(raw.dtype.newbyteorder("=")) if form.transfer_syntax == BIG else raw


def _element_length(stream: BinaryIO, form: PixelFormat) -> int:
    """Length of the pixel data element; the stream then stands at its value."""
    stream.seek(form.offset)
    head = stream.read(12)
    order = ">" if form.transfer_syntax == BIG else "<"
    if len(head) < 12:
        raise SetAside("pixel_data_truncated", "no pixel data")
    group, element = struct.unpack(order + "HH", head[:4])
    if (group << 16) + element != PIXEL_DATA:
        raise SetAside("pixel_data_undecodable", "float or other pixel data")
    if form.transfer_syntax != IMPLICIT and head[4:6] in (b"OW", b"OB"):
        return int(struct.unpack(order + "I", head[8:12])[0])
    stream.seek(-4, 1)
    return int(struct.unpack(order + "I", head[4:8])[0])


def _decode(frame: Frame) -> NDArray[np.integer]:
    """Plane of a compressed or deflated file, by the decoders of pydicom."""
    form = frame.pixels
    if form.transfer_syntax != DEFLATED:
        _refuse_cut_fragments(frame.path, form)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            status = frame.path.stat()
            ds = _parsed(frame.path, status.st_size, status.st_mtime_ns)
            array = pixel_array(ds, index=frame.number, raw=True)
    except EOFError:
        raise SetAside("pixel_data_truncated", "compressed pixel data end early") from None
    except DECODING as error:
        short = "actual length" in str(error) or "less than" in str(error)
        code = "pixel_data_truncated" if short else "pixel_data_undecodable"
        raise SetAside(code, f"{pydicom.uid.UID(form.transfer_syntax).name}: {type(error).__name__}") from None
    if array.shape != (form.rows, form.columns) or array.dtype.kind not in "iu":
        raise SetAside("pixel_data_undecodable", f"decoded to {array.shape} of {array.dtype}")
    return array.view(f"u{array.dtype.itemsize}")


@lru_cache(maxsize=1)
def _parsed(path: Path, size: int, mtime_ns: int) -> pydicom.Dataset:
    """A whole file; the last one is kept for the next frame of a multi-frame object."""
    return pydicom.dcmread(path)


def _refuse_cut_fragments(path: Path, form: PixelFormat) -> None:
    """SetAside where the fragments of compressed pixel data run past the end of the file: decoders fill up silently."""
    end = path.stat().st_size
    with path.open("rb") as stream:
        stream.seek(form.offset + 12)
        while True:
            head = stream.read(8)
            if len(head) < 8:
                raise SetAside("pixel_data_truncated", "compressed pixel data end early")
            group, element, length = struct.unpack("<HHI", head)
            if (group, element) == (0xFFFE, 0xE0DD):
                return
            if (group, element) != (0xFFFE, 0xE000) or stream.tell() + length > end:
                raise SetAside("pixel_data_truncated", "compressed pixel data end early")
            stream.seek(length, 1)


def clean_bits(raw: NDArray[np.integer], form: PixelFormat) -> NDArray[np.integer]:
    """Stored values from raw bits: only bits up to the high bit count, the sign bit is the highest of them.

    raw : unsigned, as wide as allocated (or as the decoder gave it).
    """
    width = raw.dtype.itemsize * 8
    signed = raw.view(f"i{raw.dtype.itemsize}")
    if form.bits_stored >= width:
        return signed if form.signed else raw
    left = max(width - 1 - form.high_bit, 0)
    kept = (signed if form.signed else raw) << left  # foreign high bits fall off
    return kept >> (width - form.bits_stored)  # arithmetic for signed numbers: the sign spreads


def find_padding(raw: NDArray[np.integer], form: PixelFormat) -> NDArray[np.bool_] | None:
    """Where voxels are padding; None where there is none. Compared as bits, so a wrong sign does not matter."""
    if form.padding is None:
        return None
    if form.padding_limit is None:
        wanted = form.padding % (1 << (raw.dtype.itemsize * 8))
        found = raw == raw.dtype.type(wanted)
        if form.bits_stored < form.bits_allocated:
            stored = clean_bits(np.array([wanted], dtype=raw.dtype), form)[0]
            fits = int(stored) % (1 << form.bits_allocated) == wanted
            found = found | (clean_bits(raw, form) == stored) if fits else found
    else:
        ends = clean_bits(np.array([form.padding, form.padding_limit]).astype(raw.dtype), form)
        values = clean_bits(raw, form)
        found = (values >= ends.min()) & (values <= ends.max())
    return found if found.any() else None
