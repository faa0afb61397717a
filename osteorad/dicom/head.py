"""Which files of a patient show the head: judged once a frame of reference, from CT, then held against every file.

A plane is a height in mm of the patient coordinates of its frame of reference (z, towards the head), so it holds for
CT, PET, scouts, reformats and contours of that frame alike, whatever the order of slices, head first or feet first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.pseudonyms import series_name
from osteorad.dicom.elements import DicomFile, Element, by_tag
from osteorad.dicom.gate import Facts
from osteorad.dicom.headers import Frame, read_frames
from osteorad.dicom.neck import PIXEL_MM, Found, Outline, judge, levels_of, outline
from osteorad.dicom.pixels import read_plane
from osteorad.dicom.values import plain
from osteorad.errors import SetAside

KEEP, BLANK, QUARANTINE = "keep", "blank", "quarantine"
EVERY_MM, FAR_MM = 10.0, 25.0  # distance of the slices that are looked at: near the top, further down
NEAR_MM = 600.0  # raised arms, head, neck and chest lie so near the top
AXIAL = float(np.cos(np.radians(30.0)))
SAME_MM = 0.01
BEYOND_MM = 20.0  # what a PET may reach above a CT whose top shows no head
AIR_HU = -1000.0
POSITION, ORIENTATION, SPACING, FRAMES = 0x00200032, 0x00200037, 0x00280030, 0x00280008
ROWS, COLUMNS, FRAME_OF_REFERENCE = 0x00280010, 0x00280011, 0x00200052
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What is known of one frame of reference; `state` is none, shown or unknown.

    plane_mm : nothing of the head lies below it. clear_to_mm : up to here nothing of a head was seen.
    """

    state: str
    plane_mm: float | None
    clear_to_mm: float | None
    why: str

    def at(self, high_mm: float | None) -> str:
        """What something shows that reaches up to `high_mm`: `clear`, `head` or `unknown`."""
        if high_mm is None:
            return "unknown"
        if self.plane_mm is not None:
            return "clear" if high_mm <= self.plane_mm + SAME_MM else "head"
        if self.clear_to_mm is not None and high_mm <= self.clear_to_mm + BEYOND_MM:
            return "clear"
        return "head" if self.state == "shown" else "unknown"


NOTHING_KNOWN = Judged(state="unknown", plane_mm=None, clear_to_mm=None, why="no CT of this frame of reference")


@dataclass(frozen=True, slots=True, kw_only=True)
class Heads:
    """The setting, what is known of each frame of reference, and what becomes of each file."""

    setting: str
    judged: Mapping[str, Judged]
    refusals: Mapping[Path, SetAside]
    blanked: frozenset[Path]
    series: Mapping[str, Mapping[str, Any]]  # Series Instance UID -> what became of its head

    def row(self, leaving: Callable[[str], str]) -> dict[str, Any]:
        """For the manifest. leaving : UID -> the one under which it leaves."""
        frames = {
            leaving(uid): {
                "state": j.state,
                "plane_mm": _rounded(j.plane_mm),
                "clear_to_mm": _rounded(j.clear_to_mm),
                "why": j.why,
            }
            for uid, j in self.judged.items()
        }
        series = {series_name(leaving(uid)): row for uid, row in self.series.items()}
        return {
            "setting": self.setting,
            "frames_of_reference": dict(sorted(frames.items())),
            "series": dict(sorted(series.items())),
        }


def _rounded(mm: float | None) -> float | None:
    return None if mm is None else round(mm, 3)


def heads_of(manifest: Mapping[str, Any], setting: str) -> Heads:
    """What a manifest of images says of each frame of reference, under the names that left."""
    frames = manifest["head"]["frames_of_reference"]
    judged = {uid: Judged(**row) for uid, row in frames.items()}
    return Heads(setting=setting, judged=judged, refusals={}, blanked=frozenset(), series={})


def blanked_above(manifest: Mapping[str, Any]) -> dict[str, float]:
    """Frame of reference -> height above which its images are blanked; for mask files, which people draw later."""
    head = manifest.get("head") or {"setting": KEEP}
    if head["setting"] != BLANK:
        return {}
    found = {uid: row["plane_mm"] for uid, row in head["frames_of_reference"].items()}
    return {uid: plane for uid, plane in found.items() if plane is not None}


# --- where a file lies ------------------------------------------------------------------------------------------------


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
        frame_of_reference=_text(found, FRAME_OF_REFERENCE) or f"series {facts.series_uid}",
        low_mm=None if reach is None else float(reach[:, 2].min()),
        high_mm=None if reach is None else float(reach[:, 2].max()),
        axial=not many and reach is not None and _is_axial(reach),
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


def _is_axial(four: NDArray[np.float64]) -> bool:
    normal = np.cross(four[1] - four[0], four[2] - four[0])
    length = float(np.sqrt((normal**2).sum()))
    return bool(length and abs(normal[2]) >= AXIAL * length)


def _corners_of_frames(path: Path) -> NDArray[np.float64] | None:
    try:
        planes = [_corners_of(frame) for frame in read_frames(path)]
    except SetAside:
        return None
    known = [four for four in planes if four is not None]
    return np.concatenate(known) if known and len(known) == len(planes) else None


def _corners_of(frame: Frame) -> NDArray[np.float64] | None:
    shape = frame.pixels.rows, frame.pixels.columns
    return corners(frame.position or (), frame.orientation or (), frame.spacing or (), shape)


# --- what a patient's CT shows ----------------------------------------------------------------------------------------


def plan_heads(places: Sequence[Place], setting: str) -> Heads:
    """Judge every frame of reference of a patient, and settle what becomes of each image."""
    judged = {} if setting == KEEP else judge_frames(places)
    refusals: dict[Path, SetAside] = {}
    blanked: set[Path] = set()
    units: dict[tuple[str, str], list[Place]] = defaultdict(list)
    for place in places:
        units[place.unit].append(place)
    for unit in units.values() if setting != KEEP else ():
        refused, blank = _settled(unit, judged, setting)
        refusals |= refused
        blanked |= blank
    left = [place for place in places if place.path not in refusals]
    series = {uid: _series_row(uid, left, blanked, judged) for uid in sorted({p.series_uid for p in left})}
    return Heads(setting=setting, judged=judged, refusals=refusals, blanked=frozenset(blanked), series=series)


def _series_row(uid: str, places: Sequence[Place], blanked: set[Path], judged: Mapping[str, Judged]) -> dict[str, Any]:
    """What became of the head in a series that leaves: `none`, or `blanked` from a height above its lowest slice."""
    mine = [p for p in places if p.series_uid == uid]
    cut = [p for p in mine if p.path in blanked]
    if not cut:
        return {"head": "none", "slices_blanked": 0, "above_mm": None}
    plane = judged[cut[0].frame_of_reference].plane_mm
    return {"head": "blanked", "slices_blanked": len(cut), "above_mm": _rounded((plane or 0.0) - _range(mine)[0])}


def _settled(
    unit: Sequence[Place], judged: Mapping[str, Judged], setting: str
) -> tuple[dict[Path, SetAside], set[Path]]:
    """Refusals and files to blank, of what stays or goes as one."""
    shows = {p.path: judged[p.frame_of_reference].at(p.high_mm) for p in unit}
    above = [p for p in unit if shows[p.path] == "head"]
    can_blank = [p for p in above if p.axial and judged[p.frame_of_reference].plane_mm is not None]
    if setting == BLANK and "unknown" not in shows.values() and above == can_blank and len(above) < len(unit):
        return {}, {p.path for p in above}
    if above:
        detail = "nothing of it lies below the neck" if above == can_blank else judged[above[0].frame_of_reference].why
        return dict.fromkeys(shows, SetAside("head_shown", detail)), set()
    doubtful = [p for p in unit if shows[p.path] == "unknown"]
    if doubtful:
        return dict.fromkeys(shows, SetAside("head_unknown", judged[doubtful[0].frame_of_reference].why)), set()
    return {}, set()


def judge_frames(places: Iterable[Place]) -> dict[str, Judged]:
    """Frame of reference -> what its CT shows; one that holds no CT is unknown."""
    frames: dict[str, list[Place]] = defaultdict(list)
    for place in places:
        frames[place.frame_of_reference].append(place)
    return {uid: _judge_frame(members) for uid, members in sorted(frames.items())}


def _judge_frame(members: Sequence[Place]) -> Judged:
    """The longest CT first; another one only where it reaches beyond what is known, or nothing is."""
    scans: dict[str, list[Place]] = defaultdict(list)
    for place in members:
        if place.modality == "CT" and place.high_mm is not None and (place.axial or place.stack):
            scans[place.series_uid].append(place)
    verdicts: list[tuple[float, float, Found]] = []
    for uid in sorted(scans, key=lambda uid: (-_extent(scans[uid]), -len(scans[uid]), uid)):
        low, high = _range(scans[uid])
        if any(v.state != "unknown" and lo - BEYOND_MM <= low and high <= hi + BEYOND_MM for lo, hi, v in verdicts):
            continue
        verdicts.append((low, high, judge_scan(scans[uid])))
    return _combined(verdicts)


def _range(places: Sequence[Place]) -> tuple[float, float]:
    return min(p.low_mm or 0.0 for p in places), max(p.high_mm or 0.0 for p in places)


def _extent(places: Sequence[Place]) -> float:
    low, high = _range(places)
    return high - low


def _combined(verdicts: Sequence[tuple[float, float, Found]]) -> Judged:
    """One answer for the frame: the lowest plane; else what is surely without a head; else the doubt."""
    if not verdicts:
        return NOTHING_KNOWN
    planes = [(found.plane_mm, found.why) for _, _, found in verdicts if found.plane_mm is not None]
    clear = [high for _, high, found in verdicts if found.state == "none"]
    rest = [found for _, _, found in verdicts if found.state != "none"]
    worst = next((found for found in rest if found.state == "shown"), rest[0] if rest else verdicts[0][2])
    if planes:
        plane, why = min(planes)
        return Judged(state="shown", plane_mm=plane, clear_to_mm=plane, why=why)
    return Judged(state=worst.state, plane_mm=None, clear_to_mm=max(clear, default=None), why=worst.why)


# --- pixels -----------------------------------------------------------------------------------------------------------


def judge_scan(places: Sequence[Place]) -> Found:
    """What the slices of one CT show; of each ten millimetres one is decoded."""
    try:
        outlines = [_outline(frame) for frame in _chosen(places)]
    except SetAside as problem:
        return Found("unknown", None, f"the CT cannot be read: {problem.code}")
    return judge(levels_of(outlines))


def _chosen(places: Sequence[Place]) -> Iterator[Frame]:
    """Frames at least `EVERY_MM` or `FAR_MM` apart from the lowest to the highest, the highest always."""
    at: list[tuple[float, str, int]] = []
    for place in places:
        if place.stack:
            at += [(_height(frame), str(place.path), frame.number) for frame in read_frames(place.path)]
        else:
            at.append((((place.low_mm or 0.0) + (place.high_mm or 0.0)) / 2.0, str(place.path), 0))
    at.sort()
    chosen = at[:1]
    for one in at:
        every = EVERY_MM if at[-1][0] - one[0] <= NEAR_MM else FAR_MM
        if one[0] - chosen[-1][0] >= every - SAME_MM:
            chosen.append(one)
    if at[-1][0] > chosen[-1][0]:
        chosen.append(at[-1])
    for _, path, number in chosen:
        yield read_frames(Path(path))[number]


def _height(frame: Frame) -> float:
    """Height of the middle of a plane; raises SetAside where the header does not place it."""
    four = _corners_of(frame)
    if four is None or not _is_axial(four):
        raise SetAside("geometry_missing", "not axial or not placed")
    return float(four[:, 2].mean())


def _outline(frame: Frame) -> Outline:
    """A plane in HU, averaged to about 4 mm and turned to columns leftwards, rows backwards."""
    four = _corners_of(frame)
    if four is None or frame.spacing is None or frame.slope is None or frame.intercept is None:
        raise SetAside("geometry_missing", "not placed, or without a scale")
    plane = read_plane(frame)
    values = plane.values
    if plane.padding is not None:
        values = np.where(plane.padding, (AIR_HU - frame.intercept) / (frame.slope or 1.0), values)
    block = [max(1, round(PIXEL_MM / mm)) for mm in frame.spacing]
    hu = averaged(values, block[0], block[1]) * np.float32(frame.slope) + np.float32(frame.intercept)
    pixel = frame.spacing[0] * block[0], frame.spacing[1] * block[1]
    down, across = four[1] - four[0], four[2] - four[0]
    if abs(across[0]) < abs(down[0]):
        hu, pixel, down, across = hu.T, pixel[::-1], across, down
    hu = hu[:, ::-1] if across[0] < 0 else hu
    hu = hu[::-1] if down[1] < 0 else hu
    return outline(hu, z_mm=float(four[:, 2].mean()), pixel_mm=(pixel[0], pixel[1]), x_mm=float(four[:, 0].min()))


def averaged(values: NDArray[Any], rows: int, columns: int) -> NDArray[np.floating[Any]]:
    """Means of blocks of `rows` by `columns` pixels; what is left over at the far edges is dropped."""
    high, wide = (values.shape[0] // rows) * rows, (values.shape[1] // columns) * columns
    total = np.zeros((high // rows, wide // columns), dtype=np.float32)
    for row in range(rows):
        for column in range(columns):
            total += values[row:high:rows, column:wide:columns]
    return total / np.float32(rows * columns)
