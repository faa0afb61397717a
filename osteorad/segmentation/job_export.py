"""The job that writes predicted masks of one patient as DICOM SEG. Paths in, files out; its script calls this alone.

A module of its own, so that a change elsewhere in the room does not run this job again (contract 9).
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from osteorad.files import read_json, write_bytes, write_json
from osteorad.images.volume import Grid
from osteorad.provenance import sha256_bytes, sha256_file
from osteorad.segmentation.export_seg import BONE, LESION, Drawn, Origin, export_image
from osteorad.segmentation.mask_sets import MaskSet, read_mask_set, read_patches, same_grid
from osteorad.segmentation.seg_source import SourceSeries, read_series

log = logging.getLogger(__name__)
OWN_NAMES = {LESION: LESION, BONE: BONE}
FOLD_KEYS = ("cohort", "analysis", "network", "repeat", "fold")


def export_fold_job(
    *,
    masks: Path,
    images: Sequence[Path],
    dicom: Sequence[Path],
    source_root: Path | None,
    settings: Mapping[str, Any],
    out: Path,
) -> None:
    """Write the SEG of every patient of a fold below the folder of `out`, which is emptied first, and `out` last.

    images, dicom : manifests of all patients of the cohort. settings : image, and ROI of lesion and bone. `out` lists
    each patient's manifest.
    """
    fold = read_json(masks)
    pictures = {read_json(path)["patient"]: path for path in images}
    listed = {read_json(path)["patient"]: path for path in dicom}
    shutil.rmtree(out.parent, ignore_errors=True)
    patients = []
    for number, entry in enumerate(fold["patients"], start=1):
        patient = entry["patient"]
        export_patient(
            masks=masks,
            patient=patient,
            images=pictures[patient],
            dicom=listed[patient],
            source_root=source_root,
            out_dir=out.parent / patient,
            image=settings["image"],
            rois={LESION: settings["lesion"], BONE: settings["bone"]},
        )
        path = f"{patient}/seg.json"
        patients.append({"patient": patient, "path": path, "sha256": sha256_file(out.parent / path)})
        log.info("%d of %d patients", number, len(fold["patients"]))
    write_json(out, {**{key: fold[key] for key in FOLD_KEYS}, "patients": patients})


def export_patient(
    *,
    masks: Path,
    patient: str,
    images: Path,
    dicom: Path,
    source_root: Path | None,
    out_dir: Path,
    image: str = "ct",
    rois: Mapping[str, str | None] | None = None,
) -> None:
    """Write `<session>/<image>.dcm` for every session of a patient in a fold, and `seg.json` last.

    masks : masks.json of the fold. images : the patient's images.json. dicom : images.json of the patient's DICOM;
    source_root : folder to which its paths are relative where its root is "source". out_dir : emptied first. rois :
    lesion and bone -> the cohort's names of these regions; None: just these.
    ValueError where a session has no such image or its series no files.
    """
    fold = read_json(masks)
    entry = next(one for one in fold["patients"] if one["patient"] == patient)
    predicted = read_mask_set(masks.parent / entry["path"])
    listed, pictures = read_json(dicom), read_json(images)["images"]
    root = source_root if listed["root"] == "source" else dicom.parent
    if root is None:
        raise ValueError("the manifest's paths are relative to the source, but no source_root was given")
    shutil.rmtree(out_dir, ignore_errors=True)
    out_dir.mkdir(parents=True)
    files = []
    for session in entry["sessions"]:
        picture = _picture(pictures, session, image)
        origin = Origin(
            **{key: fold[key] for key in FOLD_KEYS},
            patient=patient,
            session=session,
            image=image,
            role=entry["role"],
            members=tuple(entry["networks"]),
        )
        series = _series(listed, root, picture["series_uid"])
        exported = export_image(
            _drawn(predicted, session, image, picture, rois or OWN_NAMES),
            series,
            _grid(picture),
            origin,
            picture.get("sop_uids") or (),
        )
        path = f"{session}/{image}.dcm"
        write_bytes(out_dir / path, exported.content)
        files.append({**exported.facts, "path": path, "sha256": sha256_bytes(exported.content)})
        log.info("%s %s %s: %d segments", patient, session, image, len(exported.facts["segments"]))
    head = {**{key: fold[key] for key in FOLD_KEYS}, "set": fold["set"], "patient": patient, "role": entry["role"]}
    write_json(out_dir / "seg.json", {**head, "files": files})


def _picture(pictures: list[dict[str, Any]], session: str, image: str) -> dict[str, Any]:
    found = [one for one in pictures if (one["session"], one["image"]) == (session, image)]
    if not found:
        raise ValueError(f"session {session} has no image {image}")
    return found[0]


def _grid(picture: Mapping[str, Any]) -> Grid:
    return Grid(shape=tuple(picture["shape"]), affine_ras=np.array(picture["affine_ras"], dtype=np.float64))


def _series(listed: Mapping[str, Any], root: Path, series_uid: str) -> SourceSeries:
    return read_series([root / file["path"] for file in listed["files"] if file["series_uid"] == series_uid])


def _drawn(
    predicted: MaskSet, session: str, image: str, picture: Mapping[str, Any], rois: Mapping[str, str | None]
) -> list[Drawn]:
    """Bone and lesions of an image; ValueError where they lie on another grid than it."""
    named = {name: roi for roi, name in rois.items() if name is not None}
    entries = [entry for name in named for entry in predicted.of(session, image, name)]
    patches, own = read_patches(predicted, entries)
    same_grid(_grid(picture), own)
    return [
        Drawn(
            roi=named[entry["roi"]],
            number=int(entry["lesion"]),
            patch=patch,
            sha256=entry["sha256"],
            score=entry.get("score"),
        )
        for entry, patch in zip(entries, patches, strict=True)
    ]
