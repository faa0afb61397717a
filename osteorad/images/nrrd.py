"""NRRD files: array, grid and header fields (format description: teem.sourceforge.net/nrrd/format.html)."""

from __future__ import annotations

import bz2
import gzip
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteorad.images.volume import Grid

# Sense of each axis of a space against RAS.
SPACES = {
    "right-anterior-superior": (1, 1, 1),
    "ras": (1, 1, 1),
    "left-anterior-superior": (-1, 1, 1),
    "las": (-1, 1, 1),
    "left-posterior-superior": (-1, -1, 1),
    "lps": (-1, -1, 1),
}

TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
CODES = {name: code for code, names in TYPES.items() for name in names}


@dataclass(frozen=True, slots=True, kw_only=True)
class Nrrd:
    """A NRRD volume: one array (i, j, k) a layer, and the header's fields and key/value pairs."""

    layers: tuple[NDArray[np.generic], ...]
    grid: Grid
    fields: dict[str, str]


def read_nrrd(path: str | Path) -> Nrrd:
    """Read a .nrrd or .nhdr of three axes, or of three and a leading list of layers (segmentations of 3D Slicer).

    Raises ValueError where the file is no NRRD, has no place in space, or is of a kind that is not read here.
    """
    path = Path(path)
    raw = path.read_bytes()
    head, separator, content = _split(raw)
    fields = _fields(head)
    data_file = fields.get("data file", fields.get("datafile"))
    if data_file is not None:
        if "/" in data_file or "%" in data_file or data_file.upper().startswith("LIST"):
            raise ValueError("data in another folder or in several files")
        content = (path.parent / data_file).read_bytes()
    elif not separator:
        raise ValueError("no data")
    sizes = tuple(int(size) for size in fields["sizes"].split())
    array = _array(fields, content, sizes)
    directions, grid = _grid(fields, sizes)
    lists = [axis for axis, direction in enumerate(directions) if direction is None]
    layers = (array,) if not lists else tuple(np.moveaxis(array, lists[0], 0))
    return Nrrd(layers=layers, grid=grid, fields=fields)


def read_fields(path: str | Path) -> dict[str, str]:
    """Header fields of a NRRD alone; raises ValueError where the file is none."""
    return _fields(_split(Path(path).read_bytes())[0])


def _split(raw: bytes) -> tuple[str, bool, bytes]:
    """Header text, whether a blank line ended it, and what follows."""
    if not raw.startswith(b"NRRD000"):
        raise ValueError("not NRRD")
    end = re.search(rb"\r?\n\r?\n", raw)
    if end is None:
        return raw.decode("utf-8", "replace"), False, b""
    return raw[: end.start()].decode("utf-8", "replace"), True, raw[end.end() :]


def _fields(head: str) -> dict[str, str]:
    """Fields (names in lower case) and key/value pairs (names as they are)."""
    fields = {}
    for line in head.splitlines()[1:]:
        if line.startswith("#"):
            continue
        if ":=" in line:
            name, value = line.split(":=", 1)
            fields[name.strip()] = value
        elif ": " in line or line.endswith(":"):
            name, value = line.split(":", 1)
            fields[name.strip().lower()] = value.strip()
    return fields


def _array(fields: dict[str, str], content: bytes, sizes: tuple[int, ...]) -> NDArray[np.generic]:
    kind = np.dtype(CODES[fields["type"].lower()])
    if kind.itemsize > 1:
        kind = kind.newbyteorder(">" if fields.get("endian", "little").lower() == "big" else "<")
    if any(fields.get(skip, "0") != "0" for skip in ("line skip", "lineskip", "byte skip", "byteskip")):
        raise ValueError("data that do not begin at once")
    encoding = fields["encoding"].lower()
    if encoding in ("gzip", "gz"):
        content = gzip.decompress(content)
    elif encoding in ("bzip2", "bz2"):
        content = bz2.decompress(content)
    elif encoding in ("text", "txt", "ascii"):
        content = np.array(content.split(), dtype=kind).tobytes()
    elif encoding != "raw":
        raise ValueError("unknown encoding")
    count = int(np.prod(sizes))
    if len(content) < count * kind.itemsize:
        raise ValueError("data are short")
    return np.frombuffer(content, dtype=kind, count=count).reshape(sizes, order="F")


def _grid(fields: dict[str, str], sizes: tuple[int, ...]) -> tuple[list[list[float] | None], Grid]:
    """Direction of each axis (None: a list of layers) and the grid of the three that lie in space."""
    signs = np.array(SPACES[fields["space"].lower()], dtype=np.float64)
    directions = [
        None if text == "none" else [float(value) for value in text[1:-1].split(",")]
        for text in re.findall(r"none|\([^)]*\)", fields["space directions"])
    ]
    spatial = [axis for axis, direction in enumerate(directions) if direction is not None]
    if len(directions) != len(sizes) or len(spatial) != 3 or len(sizes) > 4:
        raise ValueError("not three axes in space")
    affine = np.eye(4)
    for column, axis in enumerate(spatial):
        affine[:3, column] = signs * np.array(directions[axis])
    affine[:3, 3] = signs * np.array([float(value) for value in fields["space origin"].strip("() ").split(",")])
    i, j, k = (sizes[axis] for axis in spatial)
    return directions, Grid(shape=(i, j, k), affine_ras=affine)
