"""Volume and Mask: an array, its affine, and what its numbers mean.

Arrays are indexed (i, j, k) as in NIfTI: `affine_ras @ (i, j, k, 1)` is the voxel centre in mm, RAS.
"""

from __future__ import annotations

import io
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import nibabel as nib
import numpy as np
from isal import igzip, isal_zlib
from numpy.typing import NDArray

from osteorad.files import write_bytes

SLAB = 16  # slices worked on at a time
DAMAGED = cast(type[Exception], isal_zlib.error)  # its type stubs declare an instance


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Where voxels lie: size (i, j, k) and affine to RAS mm."""

    shape: tuple[int, int, int]
    affine_ras: NDArray[np.float64]

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Distance between neighbours along i, j, k."""
        i, j, k = np.sqrt((self.affine_ras[:3, :3] ** 2).sum(axis=0))
        return float(i), float(j), float(k)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in millilitres."""
        return float(abs(np.linalg.det(self.affine_ras[:3, :3]))) / 1000.0

    def matches(self, other: Grid, tolerance_mm: float = 1e-3) -> bool:
        """True when both grids have one size and every voxel centre agrees within `tolerance_mm`."""
        if self.shape != other.shape:
            return False
        corners = np.array(
            [
                [i, j, k, 1]
                for i in (0, self.shape[0] - 1)
                for j in (0, self.shape[1] - 1)
                for k in (0, self.shape[2] - 1)
            ]
        ).T
        return bool(np.abs((self.affine_ras - other.affine_ras) @ corners).max() <= tolerance_mm)


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """An image: CT in HU (int16, or float32 where a slope is not whole), PET in SUVbw (float32)."""

    array: NDArray[np.generic]
    grid: Grid
    units: str  # "HU", "SUVbw" or "fused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """A region on the grid of its image: uint8, 0 or 1."""

    array: NDArray[np.uint8]
    grid: Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Patch:
    """The part of a mask that can hold voxels: a block of 0 and 1 and the index (i, j, k) of its first voxel."""

    start: tuple[int, int, int]
    array: NDArray[np.uint8]

    @property
    def voxels(self) -> int:
        """Number of voxels inside."""
        return int(np.count_nonzero(self.array))

    @property
    def slices(self) -> tuple[slice, slice, slice]:
        """Where the block lies in the array of its image."""
        i, j, k = (slice(first, first + size) for first, size in zip(self.start, self.array.shape, strict=True))
        return i, j, k

    def on(self, grid: Grid) -> Mask:
        """The whole mask on the grid of its image."""
        array = np.zeros(grid.shape, dtype=np.uint8, order="F")
        array[self.slices] = self.array
        return Mask(array=array, grid=grid)


EMPTY_PATCH = Patch(start=(0, 0, 0), array=np.zeros((0, 0, 0), dtype=np.uint8))


def nifti_bytes(array: NDArray[np.generic], affine_ras: NDArray[np.float64]) -> bytes:
    """gzip-compressed NIfTI-1 with sform code 1 (and qform where the axes are orthogonal); no time, no name.

    Voxels are compressed slab by slab, so that no second copy of a large volume is held. By zlib, not by the faster
    ISA-L: that one's bytes were seen to differ between two runs on one machine (docs/decisions).
    """
    little = array.dtype.newbyteorder("<")
    head = _nifti_head(array.shape, little, affine_ras)
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    parts = [packer.compress(head)]
    for first in range(0, array.shape[-1], SLAB):
        slab = array[..., first : first + SLAB].astype(little, copy=False)
        parts.append(packer.compress(slab.tobytes(order="F")))
    return b"".join([*parts, packer.flush()])


def _nifti_head(shape: tuple[int, ...], kind: np.dtype, affine_ras: NDArray[np.float64]) -> bytes:
    """The 352 bytes before the voxels."""
    header = nib.Nifti1Header(endianness="<")
    header.set_data_dtype(kind)
    header.set_data_shape(shape)
    header.set_xyzt_units("mm")
    header.set_slope_inter(1.0, 0.0)
    header.set_sform(affine_ras, code=1)
    axes = affine_ras[:3, :3] / np.sqrt((affine_ras[:3, :3] ** 2).sum(axis=0))
    if np.allclose(axes.T @ axes, np.eye(3), atol=1e-4):
        header.set_qform(affine_ras, code=1)
    else:
        header["pixdim"][1:4] = np.sqrt((affine_ras[:3, :3] ** 2).sum(axis=0))
    header["magic"] = b"n+1"
    header["vox_offset"] = 352
    return bytes(header.binaryblock) + b"\0" * 4


def write_nifti(path: str | Path, array: NDArray[np.generic], affine_ras: NDArray[np.float64]) -> None:
    """Write an image or mask atomically as .nii.gz."""
    write_bytes(path, nifti_bytes(array, affine_ras))


def read_nifti(path: str | Path) -> tuple[NDArray[np.generic], Grid]:
    """Array in its stored type, and grid, of a .nii or .nii.gz (NIfTI-1 or -2).

    Raises OSError or EOFError where the compressed stream is damaged.
    """
    raw = Path(path).read_bytes()
    if raw[:2] == b"\x1f\x8b":
        try:
            raw = igzip.decompress(raw)
        except DAMAGED as error:
            raise OSError(f"damaged gzip stream: {error}") from error
    second = 540 in (int.from_bytes(raw[:4], "little"), int.from_bytes(raw[:4], "big"))
    image = (nib.Nifti2Image if second else nib.Nifti1Image).from_stream(io.BytesIO(raw))
    array = np.asanyarray(image.dataobj)
    return array, Grid(shape=tuple(array.shape[:3]), affine_ras=np.asarray(image.affine, dtype=np.float64))
