"""A written SEG read back: every voxel of every segment lies where its mask has it, or the file is refused.

Nothing of the writer is used: frames are placed by their own positions and decoded by pydicom.
"""

from __future__ import annotations

import io
from collections.abc import Sequence

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.pixels import pixel_array

from osteorad.images.volume import Grid, Patch

TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
OFF_VOXELS = 0.1  # at any corner of a frame; more is another voxel's place


class SegDiffersError(Exception):
    """A SEG that was just written does not hold the masks that it was made of."""


def check_seg(content: bytes, patches: Sequence[Patch | None], grid: Grid) -> None:
    """Compare a SEG with the masks of its segments 1, 2, ... voxel for voxel; raises SegDiffersError."""
    dataset = pydicom.dcmread(io.BytesIO(content))
    if len(dataset.SegmentSequence) != len(patches):
        raise SegDiffersError(f"{len(dataset.SegmentSequence)} segments, wanted {len(patches)}")
    seen: set[tuple[int, int]] = set()
    for number, group in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        segment = int(group.SegmentIdentificationSequence[0].ReferencedSegmentNumber)
        k = _slice(dataset, group, grid)
        if (segment, k) in seen:
            raise SegDiffersError(f"segment {segment} has slice {k} twice")
        seen.add((segment, k))
        if not np.array_equal(_frame(dataset, number), _wanted(patches[segment - 1], k, grid)):
            raise SegDiffersError(f"segment {segment} differs on slice {k}")
    for segment, patch in enumerate(patches, start=1):
        if missing := _held(segment, patch) - seen:
            raise SegDiffersError(f"segment {segment} lacks {len(missing)} slices")


def _held(segment: int, patch: Patch | None) -> set[tuple[int, int]]:
    """Slices in which a mask holds voxels, each with the number of its segment."""
    if patch is None:
        return set()
    return {(segment, patch.start[2] + int(k)) for k in np.flatnonzero(patch.array.any(axis=(0, 1)))}


def _slice(dataset: Dataset, group: Dataset, grid: Grid) -> int:
    """The slice on which a frame lies by the patient positions of its four corners."""
    shared = dataset.SharedFunctionalGroupsSequence[0]
    down, across = (float(mm) for mm in shared.PixelMeasuresSequence[0].PixelSpacing)
    orientation = np.array(shared.PlaneOrientationSequence[0].ImageOrientationPatient, dtype=np.float64)
    first = np.array(group.PlanePositionSequence[0].ImagePositionPatient, dtype=np.float64)
    columns, rows = int(dataset.Columns), int(dataset.Rows)
    if (columns, rows) != grid.shape[:2]:
        raise SegDiffersError(f"{columns} x {rows} pixels, wanted {grid.shape[0]} x {grid.shape[1]}")
    to_index = np.linalg.inv(TO_LPS @ grid.affine_ras)
    k = round(float((to_index @ [*first, 1.0])[2]))
    for column, row in ((0, 0), (columns - 1, 0), (0, rows - 1), (columns - 1, rows - 1)):
        corner = first + orientation[:3] * across * column + orientation[3:] * down * row
        off = np.abs((to_index @ [*corner, 1.0])[:3] - (column, row, k))
        if off.max() > OFF_VOXELS or not 0 <= k < grid.shape[2]:
            raise SegDiffersError(f"a corner of a frame lies {off.max():.2f} voxels off slice {k}")
    return k


def _frame(dataset: Dataset, number: int) -> NDArray[np.bool_]:
    """Pixels (rows, columns) of one frame."""
    return np.asarray(pixel_array(dataset, index=number)) != 0


def _wanted(patch: Patch | None, k: int, grid: Grid) -> NDArray[np.bool_]:
    """Slice k of a mask, rows by columns."""
    volume = np.zeros(grid.shape[:2], dtype=bool)
    if patch is not None:
        i, j, here = patch.slices
        if here.start <= k < here.stop:
            volume[i, j] = patch.array[:, :, k - here.start] != 0
    return volume.T
