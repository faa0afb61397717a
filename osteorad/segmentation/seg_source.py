"""The DICOM series that an image was made of: its headers, and which of its planes lies on which slice of the image.

Planes are placed by their position alone; Instance Number, file names and their order play no part.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from osteorad.images.lattice import placement
from osteorad.images.volume import Grid

FloatArray = NDArray[np.float64]
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
# Positions of accepted series stray from an even grid by up to 5 % of a pixel or 1 % of a slice: that is rounding.
TOLERANCE_VOXELS = (0.06, 0.06, 0.1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """One image plane; position, orientation (LPS) and spacing (between rows, between columns) as DICOM has them."""

    sop_class: str
    sop_uid: str
    frame: int | None  # number from 1 in a multi-frame instance
    position: tuple[float, ...]
    orientation: tuple[float, ...]
    spacing: tuple[float, ...]
    rows: int
    columns: int

    def slice_on(self, grid: Grid) -> int | None:
        """The slice of the grid on whose voxels its pixels lie; None where they lie on none."""
        affine = np.eye(4)
        affine[:3, 0] = LPS_TO_RAS @ np.array(self.orientation[:3]) * self.spacing[1]
        affine[:3, 1] = LPS_TO_RAS @ np.array(self.orientation[3:]) * self.spacing[0]
        affine[:3, 2] = grid.affine_ras[:3, 2]
        affine[:3, 3] = LPS_TO_RAS @ np.array(self.position)
        size = (self.columns, self.rows)
        where = placement(Grid(shape=(*size, 1), affine_ras=affine), grid, TOLERANCE_VOXELS)
        if where is None or where.axes != (0, 1, 2) or where.signs[:2] != (1, 1):
            return None
        column, row, at = where.offset
        return at if (column, row) == (0, 0) and size == grid.shape[:2] and 0 <= at < grid.shape[2] else None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceSeries:
    """A series: the header of its first instance (patient, study, series), and all its planes."""

    header: Dataset
    planes: tuple[Plane, ...]

    def slices(self, grid: Grid, told: Collection[str] = ()) -> list[Plane | None]:
        """For each slice of the grid the plane that it was made of.

        None where no plane lies there (the image was straightened after a tilt of the gantry), or where several do and
        nothing tells which was taken. told : instances of the image, where images.json tells them.
        """
        found: list[list[Plane]] = [[] for _ in range(grid.shape[2])]
        for plane in self.planes:
            at = plane.slice_on(grid)
            if at is not None and (not told or plane.sop_uid in told):
                found[at].append(plane)
        return [planes[0] if len(planes) == 1 else None for planes in found]


def read_series(paths: Sequence[Path]) -> SourceSeries:
    """Headers of the files of one series, in any order. ValueError where there is none."""
    headers = [pydicom.dcmread(path, stop_before_pixels=True) for path in paths]
    if not headers:
        raise ValueError("a series without files")
    headers.sort(key=lambda header: str(header.SOPInstanceUID))
    planes = [plane for header in headers for plane in _planes(header)]
    return SourceSeries(header=headers[0], planes=tuple(sorted(planes, key=lambda p: (p.sop_uid, p.frame or 0))))


def _planes(header: Dataset) -> Iterator[Plane]:
    """Planes of an instance, itself or each of its frames; one that has no place in space is left out."""
    shared = (header.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    groups = header.get("PerFrameFunctionalGroupsSequence")
    for number, own in enumerate(groups or [Dataset()], start=1):
        placed = [
            _numbers(_group(header, own, shared, sequence).get(name))
            for sequence, name in (
                ("PlanePositionSequence", "ImagePositionPatient"),
                ("PlaneOrientationSequence", "ImageOrientationPatient"),
                ("PixelMeasuresSequence", "PixelSpacing"),
            )
        ]
        if [len(numbers) for numbers in placed] == [3, 6, 2]:
            yield Plane(
                sop_class=str(header.SOPClassUID),
                sop_uid=str(header.SOPInstanceUID),
                frame=number if groups else None,
                position=placed[0],
                orientation=placed[1],
                spacing=placed[2],
                rows=int(header.Rows),
                columns=int(header.Columns),
            )


def _group(header: Dataset, own: Dataset, shared: Dataset, sequence: str) -> Dataset:
    """Where a frame's values stand: in its own functional group, in the shared one, or in the header."""
    return (own.get(sequence) or shared.get(sequence) or [header])[0]


def _numbers(values: Any) -> tuple[float, ...]:
    return tuple(float(value) for value in values or ())
