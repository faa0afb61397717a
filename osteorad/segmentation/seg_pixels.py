"""Pixels of a BINARY SEG: slices of masks as frames, frames as bits (PS3.5 8.1.1)."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from osteorad.images.volume import Grid, Patch


def pixels(patch: Patch | None, k: int, grid: Grid) -> NDArray[np.uint8]:
    """Slice k of a mask as a frame (rows, columns)."""
    frame = np.zeros((grid.shape[1], grid.shape[0]), dtype=np.uint8)
    if patch is not None and 0 <= k - patch.start[2] < patch.array.shape[2]:
        columns, rows, _ = patch.slices
        frame[rows, columns] = patch.array[:, :, k - patch.start[2]].T
    return frame


def packed(frames: Iterable[NDArray[np.uint8]]) -> bytes:
    """Bits of frames one after the other, the lowest first, without gaps between frames, of even length."""
    parts: list[bytes] = []
    rest = np.zeros(0, dtype=np.uint8)
    for frame in frames:
        bits = np.concatenate([rest, frame.ravel()])
        whole = len(bits) // 8 * 8
        parts.append(np.packbits(bits[:whole], bitorder="little").tobytes())
        rest = bits[whole:]
    content = b"".join([*parts, np.packbits(rest, bitorder="little").tobytes()])
    return content + b"\0" * (len(content) % 2)
