"""Grey values of a PNG or JPEG: the pixels as they are stored, and nothing else of the file.

A picture may hold identity beside its pixels (EXIF, text chunks, comments): of all that only the orientation is looked
at, and nothing is passed on. Whatever leaves doubt about a grey value is refused.
"""

from __future__ import annotations

import io
import struct
import warnings
import zlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from osteorad.errors import SetAside

FORMATS = ("PNG", "JPEG")
PNG_START = b"\x89PNG\r\n\x1a\n"
PNG_DEPTH_AT = 24  # byte of the header chunk; Pillow makes 8 bits of 16 without a word
ORIENTATION, UPRIGHT = 0x0112, 1  # of EXIF
LARGEST = 64_000_000  # pixels; a slice has a million at most
DEEP = ("I", "F")  # first letters of Pillow's modes of more than 8 bits
TRANSPARENT = ("LA", "PA", "RGBA")
# What Pillow raises on damaged pictures; where it only warns, of the orientation for one, it is in doubt, too.
DOUBTS = (UserWarning, Image.DecompressionBombWarning)
BROKEN = (
    OSError, EOFError, SyntaxError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError, MemoryError,
    struct.error, zlib.error, Image.DecompressionBombError, *DOUBTS,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """Grey values (rows, columns), and the format that they came in."""

    array: NDArray[np.uint8]
    format: str

    @property
    def size(self) -> str:
        """`640 x 512`: columns and rows."""
        rows, columns = self.array.shape
        return f"{columns} x {rows}"


def read_picture(raw: bytes) -> Picture:
    """Decode a file; SetAside `picture_unreadable`, `picture_deep`, `picture_colour` or `picture_turned`."""
    try:
        with warnings.catch_warnings():
            for doubt in DOUBTS:
                warnings.simplefilter("error", doubt)
            array = _decoded(raw)
    except BROKEN as error:
        raise SetAside("picture_unreadable", type(error).__name__) from None
    return Picture(array=array, format="PNG" if raw.startswith(PNG_START) else "JPEG")


def _decoded(raw: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(raw), formats=FORMATS) as image:
        _refuse_unusual(image, raw)
        image.load()
        if image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT:
            raise SetAside("picture_turned")
        return _grey(image)


def _refuse_unusual(image: Image.Image, raw: bytes) -> None:
    """What can be told before any pixel is decoded."""
    if image.width * image.height > LARGEST:
        raise SetAside("picture_unreadable", f"{image.width} x {image.height} pixels")
    if (frames := getattr(image, "n_frames", 1)) > 1:
        raise SetAside("picture_unreadable", f"{frames} pictures in one file")
    if image.mode.startswith(DEEP) or (raw.startswith(PNG_START) and raw[PNG_DEPTH_AT] > 8):
        raise SetAside("picture_deep")


def _grey(image: Image.Image) -> NDArray[np.uint8]:
    """Grey values of a decoded picture; a colour picture has them where its three channels are equal everywhere."""
    if image.mode in TRANSPARENT or "transparency" in image.info:
        channels = np.asarray(image.convert("RGBA"))
        if clear := int(np.count_nonzero(channels[..., 3] < 255)):
            raise SetAside("picture_colour", f"{clear} pixels are transparent")
    elif image.mode in ("1", "L"):
        return np.array(image.convert("L"), dtype=np.uint8)
    elif image.mode in ("P", "RGB"):
        channels = np.asarray(image.convert("RGB"))
    else:
        raise SetAside("picture_colour", f"stored as {image.mode}")
    grey = channels[..., 0]
    if coloured := int(np.count_nonzero((channels[..., 1] != grey) | (channels[..., 2] != grey))):
        raise SetAside("picture_colour", f"{coloured} of {grey.size} pixels are not grey")
    return np.ascontiguousarray(grey)
