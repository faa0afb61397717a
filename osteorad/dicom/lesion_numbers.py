"""Lesion numbers that stay with their contours from run to run (docs/decisions/11).

A contour that was drawn before keeps its number; an edited one too, where it lies in the same place; a new one gets the
lowest number that no contour of its image ever had, and that no contour of the session lost. The register is no input
and no output of a rule: a lost one makes nothing run, and the next job counts by rank, as on the first run.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osteorad.files import json_text, read_json, write_text_if_changed
from osteorad.images.lattice import corners, trimmed
from osteorad.images.volume import Grid, Patch

Place = tuple[str, str, str]  # session, image, roi
Box = tuple[float, ...]  # lowest x, y, z, highest x, y, z in RAS mm
# A contour that shares half of the smaller box with a former one is that one, edited; neighbours share less.
SAME_PLACE = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Contour:
    """What a contour is known by."""

    hash: str  # empty where it could not be drawn and has no points
    roi_number: int | None  # in its DICOM object; None in a mask file
    box_mm: Box | None  # None without voxels


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """A contour that asks for its number."""

    place: Place
    contour: Contour
    wanted: int | None = None  # number that a mask file's name gives
    corrects: bool = False  # a drawn mask file called `<roi>-<n>`: takes the place of the DICOM contour n


Given = dict[Place, dict[int, Contour]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Numbered:
    """A number for each claim, in their order; which claims take the place of which; the register after it."""

    numbers: list[int]
    replaced: dict[int, int]  # index of the mask file's claim -> index of the DICOM contour's
    given: Given


def read_numbers(path: Path | None) -> Given:
    """The register of a patient and mask set; empty where there is none."""
    given: Given = {}
    for row in read_json(path)["lesions"] if path is not None and path.is_file() else ():
        box = None if row["box_mm"] is None else tuple(row["box_mm"])
        contour = Contour(hash=row["hash"], roi_number=row["roi_number"], box_mm=box)
        given.setdefault((row["session"], row["image"], row["roi"]), {})[row["lesion"]] = contour
    return given


def write_numbers(path: Path, patient: str, mask_set: str, given: Given) -> None:
    """Write the register where it differs."""
    rows: list[dict[str, Any]] = [
        {"session": session, "image": image, "roi": roi, "lesion": lesion, **asdict(contour)}
        for (session, image, roi), contours in sorted(given.items())
        for lesion, contour in sorted(contours.items())
    ]
    write_text_if_changed(path, json_text({"patient": patient, "set": mask_set, "lesions": rows}))


def box_of(patch: Patch, grid: Grid) -> Box | None:
    """Box about the voxels of a patch in RAS mm, to a tenth of a millimetre; None without voxels."""
    tight = trimmed(patch)
    if tight is None:
        return None
    i, j, k = tight.array.shape
    edges = corners((i + 1, j + 1, k + 1)) + np.array(tight.start)[:, None] - 0.5
    points = grid.affine_ras[:3, :3] @ edges + grid.affine_ras[:3, 3:]
    return tuple(round(float(mm), 1) for mm in (*points.min(axis=1), *points.max(axis=1)))


def number_lesions(claims: Sequence[Claim], given: Given) -> Numbered:
    """Number claims, DICOM contours before mask files; without history by rank, in their order.

    A number in a file's name holds unless another contour has it: then a file that corrects takes the place of a DICOM
    contour, and any other gets the next number.
    """
    known = _known(claims, given)
    held: dict[Place, dict[int, int]] = {claim.place: {} for claim in claims}  # number -> index of its claim
    kept = {at: number for at, number in known.items() if claims[at].wanted is None}
    for at, lesion in kept.items():
        held[claims[at].place][lesion] = at
    lost = _lost(claims, given, held)
    numbers: list[int] = []
    replaced: dict[int, int] = {}
    for at, claim in enumerate(claims):
        mine = held[claim.place]
        number = kept.get(at)
        if claim.wanted is not None:
            holder = mine.get(claim.wanted)
            if holder is None:
                number = claim.wanted
            elif claim.corrects and claims[holder].contour.roi_number is not None:
                number = claim.wanted
                replaced[at] = holder
            elif known.get(at) not in mine:
                number = known.get(at)
        if number is None:
            number = _next(claim.wanted or 1, mine, given.get(claim.place, {}), lost[claim.place])
        mine[number] = at
        numbers.append(number)
    return Numbered(numbers=numbers, replaced=replaced, given=_after(claims, numbers, given))


def _known(claims: Sequence[Claim], given: Given) -> dict[int, int]:
    """Index of a claim -> the number that its contour had before; the likest pairs first."""
    pairs = [
        (likeness, lesion, at)
        for at, claim in enumerate(claims)
        for lesion, former in given.get(claim.place, {}).items()
        if (likeness := _likeness(claim.contour, former)) is not None
    ]
    known: dict[int, int] = {}
    taken: set[tuple[Place, int]] = set()
    for _, lesion, at in sorted(pairs):
        if at not in known and (claims[at].place, lesion) not in taken:
            known[at] = lesion
            taken.add((claims[at].place, lesion))
    return known


def _likeness(now: Contour, former: Contour) -> tuple[int, float] | None:
    """Rank of a pair that is one contour, lower is likelier: the same points, the same place, the same ROI number.

    The ROI number decides only where one of the two has no voxels: some programs count anew at each export.
    """
    if (now.roi_number is None) != (former.roi_number is None):
        return None
    same_number = now.roi_number == former.roi_number
    if now.hash and now.hash == former.hash:
        return 0, 0.0 if same_number else 1.0
    if now.box_mm is not None and former.box_mm is not None:
        shared = _shared(now.box_mm, former.box_mm)
        sizes = _shared(now.box_mm, now.box_mm), _shared(former.box_mm, former.box_mm)
        return (1, -shared / (sum(sizes) - shared)) if shared >= SAME_PLACE * min(sizes) else None
    return (2, 0.0) if same_number and now.roi_number is not None else None


def _shared(one: Box, other: Box) -> float:
    """Volume that two boxes share, mm3."""
    low, high = np.maximum(one[:3], other[:3]), np.minimum(one[3:], other[3:])
    return float(np.prod(np.maximum(high - low, 0.0)))


def _lost(claims: Sequence[Claim], given: Given, held: Mapping[Place, Collection[int]]) -> dict[Place, set[int]]:
    """Numbers that a contour of the session and ROI had, on whatever image, and that none has now."""
    had: dict[tuple[str, str], set[int]] = {}
    for (session, _, roi), contours in given.items():
        had.setdefault((session, roi), set()).update(contours)
    now: dict[tuple[str, str], set[int]] = {}
    for (session, _, roi), lesions in held.items():
        now.setdefault((session, roi), set()).update(lesions)
    for claim in claims:
        if claim.wanted is not None:
            now[claim.place[0], claim.place[2]].add(claim.wanted)
    return {(session, image, roi): had.get((session, roi), set()) - now[session, roi] for session, image, roi in held}


def _next(first: int, *taken: Collection[int]) -> int:
    number = first
    while any(number in one for one in taken):
        number += 1
    return number


def _after(claims: Sequence[Claim], numbers: Sequence[int], given: Given) -> Given:
    """The register with what the claims got; a DICOM contour stays known while a file stands for it."""
    after = {place: dict(contours) for place, contours in given.items()}
    for claim, number in zip(claims, numbers, strict=True):
        contours = after.setdefault(claim.place, {})
        former = contours.get(number)
        stands_in = claim.wanted is not None and former is not None and former.roi_number is not None
        if not stands_in and (claim.contour.hash or claim.contour.roi_number is not None):
            contours[number] = claim.contour
    return {place: contours for place, contours in after.items() if contours}
