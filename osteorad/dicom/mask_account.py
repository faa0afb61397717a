"""The account of a patient's masks: what was written under which lesion number, and what was set aside and why."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from osteorad.cohort.schemas import SERIES
from osteorad.dicom.head import SAME_MM
from osteorad.dicom.lesion_numbers import Box, Claim, Contour, Given, Place, box_of, number_lesions
from osteorad.dicom.mask_images import Target
from osteorad.dicom.rtstruct import Drawn
from osteorad.errors import SetAside
from osteorad.images.lattice import trimmed
from osteorad.images.volume import EMPTY_PATCH, Patch, write_nifti
from osteorad.provenance import sha256_file
from osteorad.reasons import reason

KIND_OF_SERIES = {"RTSTRUCT": "contours", "SEG": "segmentation"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Labelled:
    """A ROI that is about to be drawn: what it is of, where it comes from, and how to draw it."""

    roi: str
    item: str  # what its row is called where it is set aside
    number: int | None  # lesion number that its name fixes; None: what it had before, else its rank
    source: str  # rtstruct | seg | file
    series: str
    hash: str  # of the contour; empty: that of the voxels is taken
    draw: Callable[[Target], Drawn]
    corrects: bool = False  # a mask file called `<roi>-<n>`: takes the place of the DICOM contour n
    flags: tuple[str, ...] = ()
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """A ROI that waits for its number; `record`, that of its mask, is None where it was rejected."""

    labelled: Labelled
    claim: Claim
    record: dict[str, Any] | None

    @property
    def used(self) -> bool:
        """True once its mask has a number: neither rejected nor replaced."""
        return self.record is not None and "lesion" in self.record


@dataclass(slots=True)
class Account:
    """Masks under their numbers, things set aside, ROIs that came in and wait for numbers, contours that were seen."""

    folder: Path
    masks: list[dict[str, Any]] = field(default_factory=list)
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    rois_in: int = 0
    waiting: list[Waiting] = field(default_factory=list)
    voxels_seen: set[tuple[str, str, str, str]] = field(default_factory=set)

    def leave(self, stage: str, session: str, item: str, problem: SetAside) -> None:
        """Add a row for what cannot be used: stage "masks" for one ROI or mask file, "series" for one DICOM object."""
        self.set_aside.append(
            {
                "session": session,
                "stage": stage,
                "item": item,
                "count": 1,
                "kind": reason(problem.code).kind,
                "reason": problem.code,
                "detail": problem.detail,
            }
        )

    def keep(self, labelled: Labelled, target: Target) -> tuple[Patch, dict[str, Any]]:
        """Draw a ROI, write its mask without a number, and record it; raises SetAside.

        A ROI that is rejected gets a number, so that the contours of CT and PET stay paired; a repeated one does not.
        """
        place = (target.session, target.image, labelled.roi)
        try:
            drawn = below_head(labelled.draw(target), target)
        except SetAside:
            self._wait(labelled, place, labelled.hash, None, None)
            raise
        seen = voxels_hash(drawn.patch)
        if drawn.patch.voxels:
            if (*place, seen) in self.voxels_seen:
                raise SetAside("contour_duplicate")
            self.voxels_seen.add((*place, seen))
        record = self._write(labelled, target, drawn)
        record["hash"] = labelled.hash or seen
        self._wait(labelled, place, record["hash"], box_of(drawn.patch, target.grid), record)
        return drawn.patch, record

    def _wait(
        self, labelled: Labelled, place: Place, known_by: str, box_mm: Box | None, record: dict[str, Any] | None
    ) -> None:
        claim = Claim(
            place=place,
            contour=Contour(hash=known_by, roi_number=labelled.facts.get("number"), box_mm=box_mm),
            wanted=labelled.number,
            corrects=labelled.corrects and record is not None,
        )
        self.waiting.append(Waiting(labelled=labelled, claim=claim, record=record))

    def number(self, given: Given) -> Given:
        """Number what waits, and let files that correct take the places of contours; returns the new register."""
        numbered = number_lesions([one.claim for one in self.waiting], given)
        for file, contour in numbered.replaced.items():
            self._replace(self.waiting[contour], self.waiting[file], numbered.numbers[file])
        for at, (one, lesion) in enumerate(zip(self.waiting, numbered.numbers, strict=True)):
            if one.record is not None and at not in numbered.replaced.values():
                self._name(one.labelled, one.record, lesion)
        return numbered.given

    def _replace(self, contour: Waiting, file: Waiting, lesion: int) -> None:
        """Take the mask of a contour away for the file that corrects it; one that was rejected has its row already."""
        labelled = contour.labelled
        if file.record is not None:
            before = {"series": labelled.series, "hash": contour.claim.contour.hash, **labelled.facts}
            file.record["replaces"] = before
        if contour.record is not None:
            (self.folder / contour.record["path"]).unlink()
            problem = SetAside("contour_replaced", f"{labelled.roi}-{lesion}")
            self.leave("masks", contour.record["session"], labelled.item, problem)

    def _name(self, labelled: Labelled, record: dict[str, Any], lesion: int) -> None:
        """Give a record its number, and its mask the name that goes with it."""
        written = self.folder / record["path"]
        record["lesion"] = lesion
        record["path"] = f"{record['session']}/{record['image']}/{record['roi']}-{lesion}.nii.gz"
        written.rename(self.folder / record["path"])
        if labelled.number not in (None, lesion):
            record["flags"] = sorted({*record["flags"], "roi_name_duplicate"})
        self.masks.append(record)

    def _write(self, labelled: Labelled, target: Target, drawn: Drawn) -> dict[str, Any]:
        path = f"{target.session}/{target.image}/.waiting-{len(self.waiting)}.nii.gz"
        write_nifti(self.folder / path, drawn.patch.on(target.grid).array, target.grid.affine_ras)
        voxels = drawn.patch.voxels
        return {
            "session": target.session,
            "image": target.image,
            "roi": labelled.roi,
            "path": path,
            "sha256": sha256_file(self.folder / path),
            "voxels": voxels,
            "volume_ml": round(voxels * target.grid.voxel_ml, 9),
            "source": labelled.source,
            "series": labelled.series,
            "flags": sorted({*labelled.flags, *drawn.flags}),
            **labelled.facts,
        }


def below_head(drawn: Drawn, target: Target) -> Drawn:
    """The mask without voxels above the neck, where its image is blanked there: their outline is a face, too."""
    if target.head_plane_mm is None or not drawn.patch.voxels:
        return drawn
    across = target.grid.affine_ras[2]
    steps = [across[n] * (drawn.patch.start[n] + np.arange(drawn.patch.array.shape[n])) for n in range(3)]
    height = across[3] + steps[0][:, None, None] + steps[1][:, None] + steps[2]
    above = height > target.head_plane_mm + SAME_MM
    if not drawn.patch.array[above].any():
        return drawn
    left = trimmed(Patch(start=drawn.patch.start, array=np.where(above, 0, drawn.patch.array).astype(np.uint8)))
    flags = {*drawn.flags, "contour_above_neck", *([] if left else ["roi_empty"])}
    return Drawn(patch=left or EMPTY_PATCH, flags=tuple(sorted(flags)))


def voxels_hash(patch: Patch) -> str:
    """Hash of the voxels of a patch, whatever the block that holds them."""
    tight = trimmed(patch) or EMPTY_PATCH
    head = f"{tight.start} {tight.array.shape}\n".encode()
    return hashlib.sha256(head + np.packbits(tight.array).tobytes()).hexdigest()[:16]


def series_row(
    session: str,
    series: str,
    modality: str,
    outcome: tuple[str, str],
    files: int,
    sessions: Mapping[str, Mapping[str, Any]],
) -> dict[str, Any]:
    """Row of SERIES (without cohort and patient) for files of a contour series that had one outcome (state, reason)."""
    row: dict[str, Any] = {name: None for name in SERIES.names if name not in ("cohort", "patient")}
    at = sessions.get(session, {})
    return row | {
        "session": session,
        "session_order": at.get("order"),
        "session_day": at.get("day"),
        "series": series,
        "modality": modality,
        "kind": KIND_OF_SERIES[modality],
        "image": "",
        "files": files,
        "state": outcome[0],
        "reason": outcome[1],
        "detail": "",
    }
