"""Cases: what a network learns from, an image of a session and the labels of its voxels.

Manifests in, arrays out. Labels: 0 background, 1 bone, 2 lesion; lesions lie in bone, and their voxels carry the label
of the lesion. A session that cannot be a case is left out with a reason, never taken for one without lesion.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.segmentation import SegmentationSettings
from osteorad.files import read_json
from osteorad.images.volume import Grid, Volume, read_nifti

log = logging.getLogger(__name__)

BACKGROUND, BONE, LESION = 0, 1, 2
IGNORED = 255  # a voxel that no loss counts
GREY = "grey"  # units of pictures: 0 to 255, without a known spacing
Entry = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class CaseFiles:
    """Files of one case, as the manifests of images and masks name them. Masks: path and SHA-256."""

    patient: str
    session: str
    image: Path
    sha256: str
    units: str
    lesions: tuple[tuple[Path, str], ...]
    bone: tuple[tuple[Path, str], ...]
    lesion_voxels: int

    @property
    def name(self) -> str:
        """Patient and session, as logs and records name a case."""
        return f"{self.patient}/{self.session}"

    @property
    def has_lesion(self) -> bool:
        """Whether a lesion is drawn."""
        return self.lesion_voxels > 0

    @property
    def hashes(self) -> dict[str, Any]:
        """SHA-256 of every file that the case is made from."""
        return {
            "patient": self.patient,
            "session": self.session,
            "image": self.sha256,
            "lesion": [sha256 for _, sha256 in self.lesions],
            "bone": [sha256 for _, sha256 in self.bone],
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """A session that is no case; `reason` is a code of `osteorad.reasons`."""

    patient: str
    session: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """An image and its labels on one grid, indexed (i, j, k) as in the file."""

    patient: str
    session: str
    volume: Volume
    labels: NDArray[np.uint8]

    @property
    def name(self) -> str:
        """Patient and session."""
        return f"{self.patient}/{self.session}"


def find_cases(
    wanted: Iterable[tuple[str, str]], images: Sequence[Path], masks: Sequence[Path], settings: SegmentationSettings
) -> tuple[list[CaseFiles], list[LeftOut]]:
    """Cases of these (patient, session), sorted, and those that cannot be one.

    images : manifests `images.json` of all patients, or `grid.json` for fused images. masks : manifests `masks.json`
    of the mask set that is learned from; files of patients that are not wanted are not looked at.
    ValueError where a wanted patient has no manifest.
    """
    pairs = sorted(set(wanted))
    of_images, of_masks = _by_patient(images), _by_patient(masks)
    found: list[CaseFiles] = []
    left_out: list[LeftOut] = []
    for patient, session in pairs:
        if patient not in of_images or patient not in of_masks:
            raise ValueError(f"{patient} is to be learned from, but its manifests of images and masks are not given")
        case = _case_files(patient, session, of_images[patient], of_masks[patient], settings)
        if isinstance(case, LeftOut):
            log.info("%s/%s is left out: %s", patient, session, case.reason)
            left_out.append(case)
        else:
            found.append(case)
    return found, left_out


def _by_patient(manifests: Sequence[Path]) -> dict[str, Path]:
    """Patient -> manifest; each lies in a folder of the patient's name."""
    return {path.parent.name: path for path in map(Path, manifests)}


def _case_files(
    patient: str, session: str, images: Path, masks: Path, settings: SegmentationSettings
) -> CaseFiles | LeftOut:
    def no_case(reason: str) -> LeftOut:
        return LeftOut(patient=patient, session=session, reason=reason)

    of_image = [e for e in _of_session(images, "images", session) if e["image"] == settings.image]
    if not of_image:
        return no_case("image_absent")
    image = of_image[0]
    drawn = _of_session(masks, "masks", session)
    on_image = [e for e in drawn if e["image"] == image.get("mask_image", image["image"])]
    lesions = [e for e in on_image if e["roi"] == settings.lesion]
    bone = [e for e in on_image if e["roi"] == settings.bone]
    if settings.bone is not None and not bone:
        return no_case("roi_absent")
    if not lesions and any(e["roi"] == settings.lesion for e in drawn):
        return no_case("contour_unpaired")  # drawn on another image only: this one is not known to be without lesion
    return CaseFiles(
        patient=patient,
        session=session,
        image=images.parent / image["path"],
        sha256=image["sha256"],
        units=image["units"],
        lesions=_files(lesions, masks.parent),
        bone=_files(bone, masks.parent),
        lesion_voxels=sum(int(e["voxels"]) for e in lesions),
    )


def _of_session(manifest: Path, what: str, session: str) -> list[Entry]:
    return [entry for entry in read_json(manifest)[what] if entry["session"] == session]


def _files(entries: Sequence[Entry], folder: Path) -> tuple[tuple[Path, str], ...]:
    ordered = sorted(entries, key=lambda e: (e["roi"], int(e["lesion"])))
    return tuple((folder / e["path"], str(e["sha256"])) for e in ordered)


def read_case(files: CaseFiles) -> Case:
    """Read the image and paint its labels, bone first.

    ValueError where a mask lies on another grid than its image.
    """
    array, grid = read_nifti(files.image)
    labels = np.zeros(grid.shape, dtype=np.uint8, order="F")
    for label, masks in ((BONE, files.bone), (LESION, files.lesions)):
        for path, _ in masks:
            labels[_inside(path, grid, files.name)] = label
    return Case(
        patient=files.patient,
        session=files.session,
        volume=Volume(array=array, grid=grid, units=files.units),
        labels=labels,
    )


def _inside(path: Path, grid: Grid, name: str) -> NDArray[np.bool_]:
    mask, own = read_nifti(path)
    if not own.matches(grid):
        raise ValueError(f"{name}: mask {path.name} does not lie on the grid of its image")
    return np.asarray(mask) != 0
