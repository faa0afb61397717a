"""Where an image lies in the patient, from its header alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteorad.dicom.elements import DicomFile, Element, by_tag
from osteorad.dicom.gate import Facts
from osteorad.dicom.headers import Frame, read_frames
from osteorad.dicom.values import plain
from osteorad.errors import SetAside

AXIAL = float(np.cos(np.radians(30.0)))
POSITION, ORIENTATION, SPACING, FRAMES = 0x00200032, 0x00200037, 0x00280030, 0x00280008
ROWS, COLUMNS, FRAME_OF_REFERENCE = 0x00280010, 0x00280011, 0x00200052
OF_SERIES = "series "
FUNCTIONAL_GROUPS = (0x52009229, 0x52009230)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where an image lies in the patient: heights (mm) of its lowest and highest corner, None where not known."""

    path: Path
    series_uid: str
    sop_uid: str
    modality: str
    frame_of_reference: str  # of a series without one: its own name
    low_mm: float | None
    high_mm: float | None
    axial: bool  # one plane across the body
    stack: bool  # a multi-frame object

    @property
    def unit(self) -> tuple[str, str]:
        """What stays or goes as one: the slices of a series; anything else on its own."""
        return self.series_uid, "" if self.axial else self.sop_uid


def frame_name(frame_of_reference: str, series_uid: str) -> str:
    """The frame of reference; of a series without one, a name of its own."""
    return frame_of_reference or f"{OF_SERIES}{series_uid}"


def place_of(file: DicomFile, facts: Facts, path: Path) -> Place:
    """Place of an image from its header; multi-frame objects are read once more, frame by frame."""
    found = by_tag(file.elements)
    many = any(tag in found for tag in FUNCTIONAL_GROUPS) or _numbers(found, FRAMES) not in ([], [1.0])
    reach = _corners_of_frames(path) if many else _corners(found)
    return Place(
        path=path,
        series_uid=facts.series_uid,
        sop_uid=facts.sop_uid,
        modality=facts.modality,
        frame_of_reference=frame_name(_text(found, FRAME_OF_REFERENCE), facts.series_uid),
        low_mm=None if reach is None else float(reach[:, 2].min()),
        high_mm=None if reach is None else float(reach[:, 2].max()),
        axial=not many and reach is not None and is_axial(reach),
        stack=many,
    )


def _text(found: Mapping[int, Element], tag: int) -> str:
    element = found.get(tag)
    value = b"" if element is None or isinstance(element.value, list) else bytes(element.value)
    return plain(value).decode("ascii", "replace").strip()


def _numbers(found: Mapping[int, Element], tag: int) -> list[float]:
    text = _text(found, tag)
    try:
        return [float(part) for part in text.split("\\")] if text else []
    except ValueError:
        return []


def _whole(found: Mapping[int, Element], tag: int) -> int:
    element = found.get(tag)
    return 0 if element is None or isinstance(element.value, list) else int.from_bytes(element.value[:2], "little")


def _corners(found: Mapping[int, Element]) -> NDArray[np.float64] | None:
    position, directions = _numbers(found, POSITION), _numbers(found, ORIENTATION)
    return corners(position, directions, _numbers(found, SPACING), (_whole(found, ROWS), _whole(found, COLUMNS)))


def corners(
    position: Sequence[float], directions: Sequence[float], spacing: Sequence[float], shape: tuple[int, int]
) -> NDArray[np.float64] | None:
    """The four corner pixels of a plane, LPS mm; None where the header does not give them."""
    values = [*position, *directions, *spacing]
    if (len(position), len(directions), len(spacing)) != (3, 6, 2) or not np.isfinite(values).all() or not min(shape):
        return None
    down, across = np.array(directions[3:]) * spacing[0], np.array(directions[:3]) * spacing[1]
    ends = [(0, 0), (shape[0] - 1, 0), (0, shape[1] - 1), (shape[0] - 1, shape[1] - 1)]
    return np.array([np.array(position) + down * r + across * c for r, c in ends])


def is_axial(four: NDArray[np.float64]) -> bool:
    """True where the plane of these corners lies across the body."""
    normal = np.cross(four[1] - four[0], four[2] - four[0])
    length = float(np.sqrt((normal**2).sum()))
    return bool(length and abs(normal[2]) >= AXIAL * length)


def _corners_of_frames(path: Path) -> NDArray[np.float64] | None:
    try:
        planes = [corners_of(frame) for frame in read_frames(path)]
    except SetAside:
        return None
    known = [four for four in planes if four is not None]
    return np.concatenate(known) if known and len(known) == len(planes) else None


def corners_of(frame: Frame) -> NDArray[np.float64] | None:
    """`corners` of a frame."""
    shape = frame.pixels.rows, frame.pixels.columns
    return corners(frame.position or (), frame.orientation or (), frame.spacing or (), shape)
