"""Which files of a patient show the head: judged once a frame of reference, from CT, then held against every file.

A plane is a height in mm of the patient coordinates of its frame of reference (z, towards the head), so it holds for
CT, PET, scouts, reformats and contours of that frame alike, whatever the order of slices, head first or feet first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.cohort.pseudonyms import series_name
from osteorad.dicom.head_scan import judge_scan
from osteorad.dicom.neck import Found
from osteorad.dicom.places import OF_SERIES, Place, frame_name
from osteorad.errors import SetAside

KEEP, BLANK, QUARANTINE = "keep", "blank", "quarantine"
SAME_MM = 0.01
BEYOND_MM = 20.0  # what a PET may reach above a CT whose top shows no head


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
            _left(uid, leaving): {
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


def _left(frame: str, leaving: Callable[[str], str]) -> str:
    series = frame.removeprefix(OF_SERIES)
    return leaving(frame) if series == frame else frame_name("", leaving(series))


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
