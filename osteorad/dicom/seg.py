"""DICOM SEG of any writer to masks on the grid of their own image: BINARY, FRACTIONAL and LABELMAP, sparse or not.

Frames are placed by the instance that they were derived from, else by plane position. A SEG on another grid than its
image is brought over by nearest neighbour and flagged.
"""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError
from pydicom.pixels import pixel_array

from osteorad.cohort.sources import UNREADABLE
from osteorad.dicom.elements import read_dicom
from osteorad.dicom.rtstruct import MODALITY_OF_CLASS, Drawn, Source
from osteorad.errors import SetAside
from osteorad.images.lattice import Placement, merged, place, placement, trimmed
from osteorad.images.resample import resample_patch
from osteorad.images.volume import EMPTY_PATCH, Grid, Patch

FloatArray = NDArray[np.float64]
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0])
HALF = 0.5
# A frame belongs to a slice that it misses by rounding of positions; in the plane the grids must agree.
SLICE_TOLERANCE = 0.1
PLANE_TOLERANCE = 0.02
NATIVE = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.1.99")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One frame: the segment that it shows (0: a label map, all of them), where it lies, what it was drawn on."""

    index: int
    segment: int
    origin_ras: FloatArray
    column_ras: FloatArray  # mm from one column to the next
    row_ras: FloatArray  # mm from one row to the next
    sop_uid: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Segmentation:
    """A SEG object: its segments (number, label) in order of number, its frames, and its pixels, not yet decoded."""

    kind: str  # BINARY | FRACTIONAL | LABELMAP
    segments: tuple[tuple[int, str], ...]
    frames: tuple[Frame, ...]
    source: Source
    size: tuple[int, int]  # columns, rows
    spacing_mm: float  # between frames, 0 where the object does not say
    dataset: Dataset = field(repr=False)


def read_seg(path: Path) -> Segmentation:
    """Read a SEG object; raises SetAside `segmentation_unreadable`."""
    try:
        content = path.read_bytes()
        if (damage := read_dicom(content).damage) is not None:
            raise SetAside("segmentation_unreadable", damage.code)
        with pydicom.config.disable_value_validation():
            return _segmentation(pydicom.dcmread(io.BytesIO(content)))
    except (*UNREADABLE, InvalidDicomError, BytesLengthException) as error:
        raise SetAside("segmentation_unreadable", type(error).__name__) from None


def _segmentation(dataset: Dataset) -> Segmentation:
    kind = str(dataset.SegmentationType).upper()
    if kind not in ("BINARY", "FRACTIONAL", "LABELMAP"):
        raise SetAside("segmentation_unreadable", "unknown segmentation type")
    background = {0, int(dataset.get("PixelPaddingValue") or 0)} if kind == "LABELMAP" else set()
    numbered = {int(item.SegmentNumber): str(item.get("SegmentLabel") or "") for item in dataset.SegmentSequence}
    segments = tuple((number, name.strip()) for number, name in sorted(numbered.items()) if number not in background)
    if not segments:
        raise SetAside("segmentation_unreadable", "no segment")
    shared = (dataset.get("SharedFunctionalGroupsSequence") or [Dataset()])[0]
    groups = list(dataset.get("PerFrameFunctionalGroupsSequence") or ())
    if len(groups) != int(dataset.get("NumberOfFrames") or 1):
        raise SetAside("segmentation_unreadable", "number of frames")
    frames = tuple(_frame(index, group, shared, kind) for index, group in enumerate(groups))
    measures = _group("PixelMeasuresSequence", groups[0], shared)
    spacing = measures.get("SpacingBetweenSlices") or measures.get("SliceThickness") or 0.0
    return Segmentation(
        kind=kind,
        segments=segments,
        frames=frames,
        source=_source(dataset, frames),
        size=(int(dataset.Columns), int(dataset.Rows)),
        spacing_mm=abs(float(spacing)),
        dataset=dataset,
    )


def _group(name: str, own: Dataset, shared: Dataset) -> Dataset:
    """A functional group of a frame: its own, else the shared one; raises KeyError."""
    return (own.get(name) or shared.get(name) or shared[name].value)[0]


def _frame(index: int, group: Dataset, shared: Dataset, kind: str) -> Frame:
    orientation = np.array(_group("PlaneOrientationSequence", group, shared).ImageOrientationPatient, dtype=np.float64)
    between_rows_mm, between_columns_mm = _group("PixelMeasuresSequence", group, shared).PixelSpacing
    position = np.array(_group("PlanePositionSequence", group, shared).ImagePositionPatient, dtype=np.float64)
    segment = 0
    if kind != "LABELMAP":
        segment = int(_group("SegmentIdentificationSequence", group, shared).ReferencedSegmentNumber)
    sop_uids = {
        str(image.ReferencedSOPInstanceUID)
        for derivation in group.get("DerivationImageSequence") or ()
        for image in derivation.get("SourceImageSequence") or ()
    }
    return Frame(
        index=index,
        segment=segment,
        origin_ras=LPS_TO_RAS @ position,
        column_ras=LPS_TO_RAS @ orientation[:3] * float(between_columns_mm),
        row_ras=LPS_TO_RAS @ orientation[3:] * float(between_rows_mm),
        sop_uid=sop_uids.pop() if len(sop_uids) == 1 else "",
    )


def _source(dataset: Dataset, frames: Sequence[Frame]) -> Source:
    series = dataset.get("ReferencedSeriesSequence") or ()
    uids = sorted({str(item.get("SeriesInstanceUID") or "") for item in series} - {""})
    classes = {
        MODALITY_OF_CLASS.get(str(image.get("ReferencedSOPClassUID") or ""), "")
        for item in series
        for image in item.get("ReferencedInstanceSequence") or ()
    }
    return Source(
        series_uid=uids[0] if len(uids) == 1 else "",
        frame_of_reference=str(dataset.get("FrameOfReferenceUID") or ""),
        modality=classes.pop() if len(classes) == 1 else "",
        sop_uids=frozenset(frame.sop_uid for frame in frames) - {""},
    )


def frame_pixels(segmentation: Segmentation, index: int) -> NDArray[np.unsignedinteger]:
    """Decoded pixels (rows, columns) of one frame; raises SetAside `segmentation_unreadable`."""
    dataset = segmentation.dataset
    columns, rows = segmentation.size
    try:
        if int(dataset.BitsAllocated) == 1 and str(dataset.file_meta.TransferSyntaxUID) in NATIVE:
            return _unpacked(dataset.PixelData, index, rows, columns)
        return np.asarray(pixel_array(dataset, index=index)).reshape(rows, columns)
    except (*UNREADABLE, RuntimeError, BytesLengthException) as error:
        raise SetAside("segmentation_unreadable", f"pixels: {type(error).__name__}") from None


def _unpacked(raw: bytes, index: int, rows: int, columns: int) -> NDArray[np.uint8]:
    """One frame of packed bits, lowest bit first; frames follow each other without padding."""
    first, count = index * rows * columns, rows * columns
    packed = np.frombuffer(raw, dtype=np.uint8)[first // 8 : (first + count + 7) // 8]
    bits = np.unpackbits(packed, bitorder="little")[first % 8 : first % 8 + count]
    if len(bits) < count:
        raise ValueError("pixel data are short")
    return bits.reshape(rows, columns)


def _inside(segmentation: Segmentation, frame: Frame, segment: int) -> NDArray[np.uint8]:
    """The segment's pixels of a frame as 0 and 1, indexed (column, row)."""
    pixels = frame_pixels(segmentation, frame.index).T
    if segmentation.kind == "LABELMAP":
        return (pixels == segment).astype(np.uint8)
    if segmentation.kind == "FRACTIONAL":
        full = float(segmentation.dataset.get("MaximumFractionalValue") or 255)
        return (pixels >= HALF * full).astype(np.uint8)
    return (pixels > 0).astype(np.uint8)


def fits_grid(segmentation: Segmentation, grid: Grid) -> bool:
    """True when frames lie on slices of the grid with the same pixels."""
    return any(_frame_placement(segmentation, frame, grid, {}) is not None for frame in segmentation.frames)


def draw_segment(segmentation: Segmentation, segment: int, grid: Grid, sop_uids: Sequence[str] = ()) -> Drawn:
    """Voxels of a segment on the grid of its image.

    sop_uids : instances of the image by slice, where they are known.
    Flags: `roi_empty`, `contour_clipped`, `seg_resampled`. Raises SetAside `roi_outside_image`,
    `segmentation_unreadable`.
    """
    frames = [frame for frame in segmentation.frames if frame.segment in (0, segment)]
    slice_of = {uid: k for k, uid in enumerate(sop_uids)}
    places = [_frame_placement(segmentation, frame, grid, slice_of) for frame in frames]
    if any(where is None for where in places):
        return _resampled(segmentation, segment, frames, grid)
    patches, clipped, voxels = [], False, 0
    for frame, where in zip(frames, places, strict=True):
        inside = trimmed(Patch(start=(0, 0, 0), array=_inside(segmentation, frame, segment)[:, :, None]))
        if inside is None or where is None:
            continue
        voxels += inside.voxels
        patch, cut = place(inside.array, inside.start, where, grid.shape)
        clipped |= cut
        patches += [patch] if patch is not None else []
    patch = merged(patches)
    patch = trimmed(patch) if patch is not None else None
    if patch is None and voxels:
        raise SetAside("roi_outside_image", "all frames lie beyond the image")
    flags = [*(["contour_clipped"] if clipped else []), *(["roi_empty"] if patch is None else [])]
    return Drawn(patch=patch or EMPTY_PATCH, flags=tuple(flags))


def _frame_placement(
    segmentation: Segmentation, frame: Frame, grid: Grid, slice_of: Mapping[str, int]
) -> Placement | None:
    """Where the pixels of a frame lie on the image; None where they are not its pixels."""
    columns, rows = segmentation.size
    axes = grid.affine_ras[:3, :3]
    # The third direction of a single frame is free: the image axis that the frame's own two leave over.
    turned = np.abs(np.linalg.inv(axes) @ np.column_stack([frame.column_ras, frame.row_ras]))
    free = int(turned.sum(axis=1).argmin())
    origin = frame.origin_ras
    if free == 2 and frame.sop_uid in slice_of:
        along = np.linalg.inv(axes) @ (origin - grid.affine_ras[:3, 3])
        if abs(along[2] - slice_of[frame.sop_uid]) <= HALF:
            origin = origin + axes[:, 2] * (slice_of[frame.sop_uid] - along[2])
    affine = np.eye(4)
    affine[:3, :] = np.column_stack([frame.column_ras, frame.row_ras, axes[:, free], origin])
    tolerance = [PLANE_TOLERANCE] * 3
    tolerance[free] = SLICE_TOLERANCE
    source = Grid(shape=(columns, rows, 1), affine_ras=affine)
    return placement(source, grid, (tolerance[0], tolerance[1], tolerance[2]))


def _resampled(segmentation: Segmentation, segment: int, frames: Sequence[Frame], grid: Grid) -> Drawn:
    """The segment by nearest neighbour on a grid that is not its own."""
    volume, own = _stacked(segmentation, segment, frames)
    if not volume.any():
        return Drawn(patch=EMPTY_PATCH, flags=("roi_empty", "seg_resampled"))
    patch = resample_patch(volume, own, grid)
    patch = trimmed(patch) if patch is not None else None
    if patch is None:
        raise SetAside("roi_outside_image", "no voxel of the image lies in the segment")
    return Drawn(patch=patch, flags=("seg_resampled",))


def _stacked(segmentation: Segmentation, segment: int, frames: Sequence[Frame]) -> tuple[NDArray[np.uint8], Grid]:
    """Frames of one segment as a volume; frames that were left out are empty. Raises where they are no even stack."""
    first = frames[0]
    normal = np.cross(first.column_ras, first.row_ras)
    normal /= np.sqrt((normal**2).sum())
    along = np.array([float(normal @ (frame.origin_ras - first.origin_ras)) for frame in frames])
    steps = np.diff(np.unique(np.round(along, 3)))
    gap = segmentation.spacing_mm
    if len(steps) and (not gap or np.abs(steps / gap - np.rint(steps / gap)).max() > SLICE_TOLERANCE):
        gap = float(steps.min())
    if not gap:
        raise SetAside("segmentation_unreadable", "distance of frames unknown")
    index = (along - along.min()) / gap
    base = first.origin_ras + normal * along.min()
    drift = [frame.origin_ras - base - normal * at * gap for frame, at in zip(frames, index, strict=True)]
    same = all(
        np.allclose(frame.column_ras, first.column_ras) and np.allclose(frame.row_ras, first.row_ras)
        for frame in frames
    )
    if (
        not same
        or np.abs(index - np.rint(index)).max() > SLICE_TOLERANCE
        or np.abs(drift).max() > gap * SLICE_TOLERANCE
    ):
        raise SetAside("segmentation_unreadable", "frames are no even stack")
    columns, rows = segmentation.size
    volume = np.zeros((columns, rows, int(np.rint(index.max())) + 1), dtype=np.uint8)
    for frame, at in zip(frames, np.rint(index).astype(int), strict=True):
        volume[:, :, at] |= _inside(segmentation, frame, segment)
    affine = np.eye(4)
    affine[:3, :] = np.column_stack([first.column_ras, first.row_ras, normal * gap, base])
    return volume, Grid(shape=volume.shape, affine_ras=affine)
