"""RTSTRUCT: contours in mm to voxels of their own image.

A contour is placed by the position of its points, never by the instance UIDs that it names; a voxel is inside when its
centre is (see `polygons`). Coordinates of DICOM are LPS; everything here is RAS.
"""

from __future__ import annotations

import hashlib
import io
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from osteorad.cohort.sources import UNREADABLE
from osteorad.dicom.elements import read_dicom
from osteorad.dicom.polygons import Planes, fill_slices, has_keyhole, in_plane, plane_position, planes_of
from osteorad.errors import SetAside
from osteorad.images.volume import EMPTY_PATCH, Grid, Patch

FloatArray = NDArray[np.float64]

CLOSED = ("CLOSED_PLANAR", "CLOSEDPLANAR_XOR")
LPS_TO_RAS = np.array([-1.0, -1.0, 1.0])

# Two contour planes closer than this share of a slice are one plane; further apart they compete for the slice.
ONE_PLANE = 0.1
# Leaving a plane by less than this is the rounding of decimal strings.
FLAT_MM = 0.05
FLAT_SHARE = 0.01
# Halfway between slices counts as the upper one, whatever the rounding.
HALFWAY = 1e-3
MAX_SKIPPED = 0.05

MODALITY_OF_CLASS = {
    "1.2.840.10008.5.1.4.1.1.2": "CT",
    "1.2.840.10008.5.1.4.1.1.2.1": "CT",
    "1.2.840.10008.5.1.4.1.1.2.2": "CT",
    "1.2.840.10008.5.1.4.1.1.128": "PT",
    "1.2.840.10008.5.1.4.1.1.128.1": "PT",
    "1.2.840.10008.5.1.4.1.1.130": "PT",
    "1.2.840.10008.5.1.4.1.1.4": "MR",
    "1.2.840.10008.5.1.4.1.1.4.1": "MR",
    "1.2.840.10008.5.1.4.1.1.4.4": "MR",
}


@dataclass(frozen=True, slots=True)
class Contour:
    """One contour: its geometric type and its points (n, 3), RAS mm."""

    kind: str
    points_ras: FloatArray


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """What an object says about the image that it was drawn on; empty where it says nothing."""

    series_uid: str = ""
    frame_of_reference: str = ""
    modality: str = ""
    sop_uids: frozenset[str] = frozenset()  # instances that the contours themselves name
    listed: int = 0  # instances that the object lists for the series


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """One ROI of a structure set; `problem` tells why its contours cannot be read."""

    number: int
    name: str
    source: Source
    contours: tuple[Contour, ...]
    problem: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A mask on the grid of its image, and what was noticed while it was drawn."""

    patch: Patch
    flags: tuple[str, ...]


def read_rtstruct(path: Path) -> list[Roi]:
    """ROIs of an RTSTRUCT in the order of their numbers; raises SetAside `rtstruct_unreadable`."""
    try:
        content = path.read_bytes()
        # pydicom takes a file that ends early for a shorter one; a contour less would be a plausible wrong mask.
        if (damage := read_dicom(content).damage) is not None:
            raise SetAside("rtstruct_unreadable", damage.code)
        with pydicom.config.disable_value_validation():
            return _rois(pydicom.dcmread(io.BytesIO(content)))
    except (*UNREADABLE, InvalidDicomError, BytesLengthException) as error:
        # The text of such an error may repeat header values; its type is enough.
        raise SetAside("rtstruct_unreadable", type(error).__name__) from None


def _rois(dataset: Dataset) -> list[Roi]:
    names: dict[int, tuple[str, str]] = {}
    for item in dataset.get("StructureSetROISequence") or ():
        frame = str(item.get("ReferencedFrameOfReferenceUID") or "")
        names[int(item.ROINumber)] = (str(item.get("ROIName") or "").strip(), frame)
    contours = {int(item.ReferencedROINumber): item for item in dataset.get("ROIContourSequence") or ()}
    if "ROIContourSequence" not in dataset or not (names or contours):
        raise SetAside("rtstruct_unreadable", "no contours")
    series = _series(dataset)
    only_frame = str(dataset.get("FrameOfReferenceUID") or "")
    frames = sorted({frame for _, frame in series.values() if frame})
    if not only_frame and len(frames) == 1:
        only_frame = frames[0]
    rois = []
    for number in sorted({*names, *contours}):
        name, frame = names.get(number, ("", ""))
        sequence = contours[number].get("ContourSequence") or () if number in contours else ()
        source = _source(sequence, series, frame or only_frame)
        try:
            read, problem = tuple(_contour(item) for item in sequence), ""
        except (ValueError, TypeError, AttributeError) as error:
            read, problem = (), type(error).__name__
        rois.append(Roi(number=number, name=name, source=source, contours=read, problem=problem))
    return rois


def _series(dataset: Dataset) -> dict[str, tuple[frozenset[str], str]]:
    """Series that the object names: UID -> the instances that it lists, and the frame of reference."""
    series: dict[str, tuple[frozenset[str], str]] = {}
    for frame in dataset.get("ReferencedFrameOfReferenceSequence") or ():
        for study in frame.get("RTReferencedStudySequence") or ():
            for item in study.get("RTReferencedSeriesSequence") or ():
                uid = str(item.get("SeriesInstanceUID") or "")
                listed = {str(image.ReferencedSOPInstanceUID) for image in item.get("ContourImageSequence") or ()}
                before = series.get(uid, (frozenset(), ""))[0]
                series[uid] = (before | listed, str(frame.get("FrameOfReferenceUID") or ""))
    series.pop("", None)
    return series


def _source(
    sequence: Iterable[Dataset], series: Mapping[str, tuple[frozenset[str], str]], frame_of_reference: str
) -> Source:
    """The series of a ROI: the one that lists the images of most of its contours, else the only one of the object."""
    images = [image for contour in sequence for image in contour.get("ContourImageSequence") or ()]
    sop_uids = [str(image.get("ReferencedSOPInstanceUID") or "") for image in images]
    classes = Counter(MODALITY_OF_CLASS.get(str(image.get("ReferencedSOPClassUID") or ""), "") for image in images)
    votes = Counter(uid for sop in sop_uids for uid, (listed, _) in series.items() if sop in listed)
    here = sorted(uid for uid, (_, frame) in series.items() if frame in ("", frame_of_reference))
    series_uid = ""
    if votes:
        series_uid = min(votes, key=lambda uid: (-votes[uid], uid))
    elif len(here) == 1:
        series_uid = here[0]
    modality = classes.most_common(1)[0][0] if classes else ""
    return Source(
        series_uid=series_uid,
        frame_of_reference=frame_of_reference,
        modality=modality,
        sop_uids=frozenset(sop_uids) - {""},
        listed=len(series[series_uid][0]) if series_uid else 0,
    )


def _contour(item: Dataset) -> Contour:
    """Type and points of one contour; the decimal strings are parsed all at once."""
    element = item.get_item("ContourData") if "ContourData" in item else None
    raw = element.value if element is not None else None
    if isinstance(raw, bytes):
        text = raw.decode("ascii").strip(" \0")
        numbers = np.array(text.split("\\"), dtype=np.float64) if text else np.zeros(0)
    else:
        numbers = np.array([] if raw is None else raw, dtype=np.float64).reshape(-1)
    if len(numbers) % 3 or not np.isfinite(numbers).all():
        raise ValueError("points")
    kind = str(item.get("ContourGeometricType") or "").strip().upper()
    return Contour(kind, numbers.reshape(-1, 3) * LPS_TO_RAS)


def contours_hash(roi: Roi) -> str:
    """Hash of the contours of a ROI: the same for the same points in the same order, to a tenth of a micrometre."""
    head = hashlib.sha256()
    for contour in roi.contours:
        head.update(f"{contour.kind} {len(contour.points_ras)}\n".encode())
        head.update(np.rint(contour.points_ras * 1e4).astype("<i8").tobytes())
    return head.hexdigest()[:16]


def lies_on_slices(roi: Roi, grid: Grid) -> bool:
    """True when the contours lie on slices of the grid, so that they can have been drawn on it; True for no contour."""
    planes = planes_of(grid)
    at = [plane_position(planes, contour.points_ras)[0] for contour in _closed(roi)]
    if not at:
        return True
    off = np.abs(np.asarray(at) - np.rint(at))
    inside = (np.rint(at) >= 0) & (np.rint(at) < grid.shape[2])
    return bool(np.median(off) <= ONE_PLANE and inside.any())


def draw_roi(roi: Roi, grid: Grid) -> Drawn:
    """Voxels of a ROI on the grid of its image.

    A contour belongs to the nearest slice, at most half a spacing away. Where several planes of contours compete for
    a slice, the nearest is drawn and the others are skipped; over 5 % skipped raises SetAside `contour_off_grid`.
    Raises SetAside `contour_oblique`, `roi_outside_image`, `rtstruct_unreadable` as well.
    """
    if roi.problem:
        raise SetAside("rtstruct_unreadable", f"contour data: {roi.problem}")
    closed = _closed(roi)
    flags = {"contour_points_ignored"} if len(closed) < len(roi.contours) else set()
    if not closed:
        return Drawn(patch=EMPTY_PATCH, flags=tuple(sorted({*flags, "roi_empty"})))
    planes = planes_of(grid)
    placed, beyond, skipped = _by_slice(closed, planes, grid.shape[2])
    if not placed:
        raise SetAside("roi_outside_image", f"{beyond} contours beyond the slices")
    polygons = {k: [in_plane(planes, contour.points_ras, k) for contour in group] for k, group in placed.items()}
    clipped = _clipped(polygons, grid)
    if clipped == "all":
        raise SetAside("roi_outside_image", "all contours lie beside the image")
    if beyond or clipped:
        flags.add("contour_clipped")
    if skipped:
        flags.add("contour_skipped")
    if max(placed) - min(placed) >= len(placed):
        flags.add("contour_gap")
    if any(has_keyhole(points) for group in polygons.values() for points in group):
        flags.add("contour_keyhole")
    patch = fill_slices(polygons, grid)
    if patch is None:
        flags.add("roi_empty")
    return Drawn(patch=patch or EMPTY_PATCH, flags=tuple(sorted(flags)))


def _closed(roi: Roi) -> list[Contour]:
    """Contours that enclose an area: closed, of at least three points."""
    return [contour for contour in roi.contours if contour.kind in CLOSED and len(contour.points_ras) >= 3]


def _by_slice(contours: list[Contour], planes: Planes, slices: int) -> tuple[dict[int, list[Contour]], int, int]:
    """Contours of each slice, how many lie beyond the first or last slice, and how many were skipped."""
    at: dict[int, list[tuple[float, Contour]]] = defaultdict(list)
    beyond = oblique = 0
    flat_mm = max(FLAT_MM, FLAT_SHARE * planes.gap_mm)
    for contour in contours:
        position, spread_mm = plane_position(planes, contour.points_ras)
        k = int(np.floor(position + 0.5 + HALFWAY))
        if spread_mm > flat_mm:
            oblique += 1
        elif 0 <= k < slices:
            at[k].append((position, contour))
        else:
            beyond += 1
    if oblique > MAX_SKIPPED * len(contours):
        raise SetAside("contour_oblique", f"{oblique} of {len(contours)} contours")
    placed: dict[int, list[Contour]] = {}
    skipped = 0
    for k, group in at.items():
        nearest = min((position for position, _ in group), key=lambda position: (abs(position - k), position))
        placed[k] = [contour for position, contour in group if abs(position - nearest) <= ONE_PLANE]
        skipped += len(group) - len(placed[k])
    if skipped > MAX_SKIPPED * (len(contours) - beyond):
        raise SetAside("contour_off_grid", f"{skipped} of {len(contours)} contours share a slice with a nearer plane")
    return placed, beyond, skipped + oblique


def _clipped(polygons: Mapping[int, list[FloatArray]], grid: Grid) -> str:
    """'all' when every contour lies beside the image, 'some' when a point does, '' otherwise."""
    limit = np.asarray(grid.shape[:2]) - 0.5
    noise = 1e-6
    beside = [
        bool((points.max(axis=0) < -0.5).any() or (points.min(axis=0) > limit).any())
        for group in polygons.values()
        for points in group
    ]
    if all(beside):
        return "all"
    over = any(
        (points < -0.5 - noise).any() or (points > limit + noise).any()
        for group in polygons.values()
        for points in group
    )
    return "some" if over else ""
