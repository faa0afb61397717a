"""A patient's 2D slices to one volume and its masks: the slices that are whole, stacked in the order of the manifest.

Neither the size of a pixel nor the way from slice to slice is known: voxels count as 1 mm, and what is above another
slice is only next to it in the manifest. Every file ends up in the volume, in a mask, or in a row with its reason.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteorad.errors import SetAside
from osteorad.images.pictures import Picture, read_picture
from osteorad.provenance import sha256_bytes

IMAGE, LESION, BONE = "image", "lesion", "bone"  # roles of a slice's files
THRESHOLD = 127  # masks are above it
FAINT = {"PNG": 0, "JPEG": 16}  # a mask without any value above the threshold may hold so much of noise


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFile:
    """One file: its pseudonymous name, and where it lies."""

    item: str
    path: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceFiles:
    """The files of one slice by role; a role without a file is left out."""

    item: str  # pseudonymous name of the slice
    number: int  # in the order of the manifest, from 1
    files: Mapping[str, SliceFile]


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A file of a slice that is not used; `role` is empty for a row of the manifest."""

    role: str
    item: str
    why: SetAside


@dataclass(frozen=True, slots=True, kw_only=True)
class WholeSlice:
    """A slice whose picture and masks could be read and fit each other; masks (rows, columns), True inside."""

    slice: SliceFiles
    picture: Picture
    masks: Mapping[str, NDArray[np.bool_]]


@dataclass(slots=True, kw_only=True)
class Sorted:
    """What became of `count` slices of a patient: those used, in order, losses, and the hash of each file read."""

    count: int
    used: list[WholeSlice] = field(default_factory=list)
    lost: list[Lost] = field(default_factory=list)
    hashes: dict[str, str] = field(default_factory=dict)  # pseudonymous name -> SHA-256

    def leave(self, one: SliceFiles, why: Mapping[str, SetAside], lacking: Sequence[str] = ()) -> None:
        """Set a slice aside: files with a reason of their own, the others because of these or of what lacks."""
        place = f"slice {one.number} of {self.count}"
        because = [*(f"no {role}" for role in lacking), *(f"{role}: {why[role].code}" for role in sorted(why))]
        for role, file in one.files.items():
            problem = why.get(role) or SetAside("slice_incomplete", ", ".join(because))
            detail = ", ".join(filter(None, [place, problem.detail]))
            self.lost.append(Lost(role=role, item=file.item, why=SetAside(problem.code, detail)))
        if IMAGE not in one.files:
            self.lost.append(Lost(role="", item=one.item, why=SetAside("slice_absent", place)))

    def leave_whole(self, one: WholeSlice, problem: SetAside) -> None:
        """Set a slice aside with one reason for all its files."""
        self.leave(one.slice, dict.fromkeys(one.slice.files, problem))


def sort_slices(slices: Sequence[SliceFiles], roles: Sequence[str]) -> Sorted:
    """Read a patient's slices and tell those that can be stacked from the others.

    roles : of the masks that every slice has to have. Of equal pictures the first stays; a slice of another size than
    most (of sizes as frequent, the first) is set aside, since nothing is padded or cut.
    """
    found = Sorted(count=len(slices))
    different = _without_copies([one for each in slices if (one := _read(each, roles, found))], found)
    sizes = Counter(one.picture.size for one in different)
    most = max(sizes, key=sizes.__getitem__, default="")
    for one in different:
        if one.picture.size == most:
            found.used.append(one)
        else:
            found.leave_whole(one, SetAside("picture_size_differs", f"{one.picture.size}, most {most}"))
    return found


def _read(one: SliceFiles, roles: Sequence[str], found: Sorted) -> WholeSlice | None:
    """Picture and masks of a slice; None where it cannot be used, which is noted."""
    pictures: dict[str, Picture] = {}
    why: dict[str, SetAside] = {}
    for role, file in one.files.items():
        try:
            raw = file.path.read_bytes()
            found.hashes[file.item] = sha256_bytes(raw)
            pictures[role] = read_picture(raw)
        except OSError as error:
            why[role] = SetAside("picture_unreadable", type(error).__name__)
        except SetAside as problem:
            why[role] = problem
    for role in sorted(pictures.keys() - {IMAGE}):
        if IMAGE in pictures and (doubt := _mask_problem(pictures[role], pictures[IMAGE])):
            why[role] = doubt
    lacking = [role for role in (IMAGE, *roles) if role not in one.files]
    if why or lacking:
        found.leave(one, why, lacking)
        return None
    masks = {role: pictures[role].array > THRESHOLD for role in roles}
    return WholeSlice(slice=one, picture=pictures[IMAGE], masks=masks)


def _mask_problem(mask: Picture, picture: Picture) -> SetAside | None:
    """Why a mask is none of this picture, or none at all."""
    if mask.array.shape != picture.array.shape:
        return SetAside("mask_no_image", f"{mask.size}, its picture {picture.size}")
    highest = int(mask.array.max(initial=0))
    if FAINT[mask.format] < highest <= THRESHOLD:
        return SetAside("mask_not_binary", f"no value is above {THRESHOLD}, the highest is {highest}")
    return None


def _without_copies(whole: Sequence[WholeSlice], found: Sorted) -> list[WholeSlice]:
    """The first of equal pictures."""
    first: dict[tuple[str, str], WholeSlice] = {}
    for one in whole:
        same = first.setdefault((one.picture.size, sha256_bytes(one.picture.array.tobytes())), one)
        if same is not one:
            alike = all(np.array_equal(mask, same.masks[role]) for role, mask in one.masks.items())
            detail = f"as slice {same.slice.number}" + ("" if alike else ", with other masks")
            found.leave_whole(one, SetAside("duplicate_slice_dropped", detail))
    return list(first.values())


def stacked(planes: Sequence[NDArray[np.generic]], kind: type[np.generic]) -> NDArray[np.generic]:
    """Planes (rows, columns) of one size to a volume (columns, rows, planes), in memory as NIfTI wants it."""
    volume = np.empty((len(planes), *planes[0].shape), dtype=kind)
    for k, plane in enumerate(planes):
        volume[k] = plane
    return volume.T
