"""The slices of one patient to a volume, masks and the account of their files, in the form that DICOM comes to.

images.json, masks.json : as those of `dicom.convert` and `dicom.masks`: one session, one image `ct`, its units `grey`.
account : two manifests of the files as they were taken over, pictures and masks, as for DICOM that stays where it is.
"""

from __future__ import annotations

import hashlib
import logging
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.files import write_json
from osteorad.images.lattice import trimmed
from osteorad.images.slices import BONE, IMAGE, LESION, THRESHOLD, SliceFile, SliceFiles, Sorted, sort_slices, stacked
from osteorad.images.volume import EMPTY_PATCH, Grid, Patch, write_nifti
from osteorad.provenance import sha256_file
from osteorad.reasons import reason

log = logging.getLogger(__name__)
Row = dict[str, Any]
SESSION, NAME, MODALITY, UNITS = "slices", "ct", "CT", "grey"
# Rows run to the back and columns to the patient's left, as radiologists show axial slices: nothing says otherwise.
AFFINE_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
SERIES = (
    "score", "spacing_x_mm", "spacing_y_mm", "spacing_z_mm", "rows", "columns", "kvp", "slice_thickness_mm", "dose_mbq",
    "uptake_min", "weight_kg", "session_day",
)  # fmt: skip
SERIES_TEXTS = ("manufacturer", "model", "kernel", "contrast", "units", "tracer", "pixel_hash", "reason", "detail")


def adopt_slices(
    listed: Mapping[str, Any],
    folder: Path,
    *,
    cohort: str,
    patient: str,
    out_images: Path,
    out_masks: Path,
    out_pictures: Path,
    out_contours: Path,
) -> dict[str, str]:
    """Write volume, masks and account of one patient; returns the hash of each file that was read, by its item.

    listed : what `cohort.slice_source.of_patient` tells: `roles` of masks, `slices` with `item` and `files` (role ->
    item and path below `folder`), `counted` (files of pictures and of masks). out_images, out_masks : images.json and
    masks.json, whose folders are emptied first. out_pictures, out_contours : the manifests of the account.
    Never raises for bad files: each has a row with its reason.
    """
    found = sort_slices(_slices(listed["slices"], folder), listed["roles"])
    for manifest in (out_images, out_masks):
        shutil.rmtree(manifest.parent, ignore_errors=True)
        manifest.parent.mkdir(parents=True)
    head = {"cohort": cohort, "patient": patient}
    write_json(out_images, head | _images(found, out_images.parent))
    write_json(out_masks, head | _masks(found, listed["roles"], out_masks.parent))
    for part, path in (("images", out_pictures), ("contours", out_contours)):
        write_json(path, head | _account(found, part, listed["counted"][part]))
    log.info("%s: %d of %d slices stacked, %d files set aside", patient, len(found.used), found.count, len(found.lost))
    return found.hashes


def _slices(slices: Sequence[Mapping[str, Any]], folder: Path) -> list[SliceFiles]:
    return [
        SliceFiles(
            item=one["item"],
            number=number,
            files={role: SliceFile(item=f["item"], path=folder / f["path"]) for role, f in one["files"].items()},
        )
        for number, one in enumerate(slices, start=1)
    ]


def _images(found: Sorted, folder: Path) -> Row:
    """images.json and the volume."""
    if not found.used:
        return {"sessions": [], "images": [], "series": [], "set_aside": []}
    volume = stacked([one.picture.array for one in found.used], np.int16)
    grid = Grid(shape=_shape(volume), affine_ras=AFFINE_RAS)
    path = f"{SESSION}/{NAME}.nii.gz"
    write_nifti(folder / path, volume, AFFINE_RAS)
    doubts = ["spacing_unknown"]
    entry = {
        "image": NAME,
        "session": SESSION,
        "path": path,
        "sha256": sha256_file(folder / path),
        "units": UNITS,
        "modality": MODALITY,
        "series": IMAGE,
        "series_uid": "",
        "frame_of_reference": "",
        "shape": list(grid.shape),
        "spacing_mm": list(grid.spacing_mm),
        "spacing_known": False,
        "affine_ras": AFFINE_RAS.tolist(),
        "slices": [one.slice.item for one in found.used],
        "facts": {
            "conversion": {
                "source": "pictures of 8 bits",
                "formats": sorted({one.picture.format for one in found.used}),
                "orientation": "assumed: axial, front above, the patient's left on the right",
                "order": "of the manifest; neighbours in it need not be neighbours in the body",
            },
        },
        "flags": doubts,
        "head_plane_mm": None,
    }
    count = len(found.used)
    columns, rows, _ = grid.shape
    series = _series(IMAGE, "image", count, image=NAME, slices=count, rows=rows, columns=columns, units=UNITS)
    return {
        "sessions": [{"session": SESSION, "order": 1, "day": None}],
        "images": [entry],
        "series": [series],
        "set_aside": [_row("series", IMAGE, code, NAME, count=count) for code in doubts],
    }


def _shape(volume: NDArray[np.generic]) -> tuple[int, int, int]:
    i, j, k = volume.shape
    return i, j, k


def _masks(found: Sorted, roles: Sequence[str], folder: Path) -> Row:
    """masks.json and the masks; a region without any voxel has its file, too."""
    drawn = [_mask(found, role, folder) for role in sorted(roles)] if found.used else []
    joined = [_row("masks", f"{LESION}-1", "lesions_joined", "") for mask in drawn if mask["roi"] == LESION]
    series = [_series(role, "segmentation", len(found.used), slices=len(found.used)) for role in sorted(roles)]
    return {
        "set": "manual",
        "rois_in": len(drawn),
        "masks": drawn,
        "series": series if found.used else [],
        "set_aside": joined,
    }


def _mask(found: Sorted, role: str, folder: Path) -> Row:
    array = stacked([one.masks[role] for one in found.used], np.uint8)
    path = f"{SESSION}/{NAME}/{role}-1.nii.gz"
    write_nifti(folder / path, array, AFFINE_RAS)
    voxels = int(np.count_nonzero(array))
    flags = [] if voxels else ["roi_empty"]
    return {
        "session": SESSION,
        "image": NAME,
        "roi": role,
        "lesion": 1,
        "path": path,
        "sha256": sha256_file(folder / path),
        "hash": _voxels_hash(array),
        "voxels": voxels,
        "volume_ml": None,  # the size of a pixel is not known
        "source": "slices",
        "series": role,
        "threshold": THRESHOLD,
        "flags": flags + (["lesions_joined"] if role == LESION else []),
    }


def _voxels_hash(array: NDArray[np.generic]) -> str:
    """As masks from contours have it: of the smallest block that holds the voxels, and its place."""
    tight = trimmed(Patch(start=(0, 0, 0), array=array.astype(np.uint8, copy=False))) or EMPTY_PATCH
    head = f"{tight.start} {tight.array.shape}\n".encode()
    return hashlib.sha256(head + np.packbits(tight.array).tobytes()).hexdigest()[:16]


def _series(name: str, kind: str, files: int, **known: Any) -> Row:
    """A row of the series table; pictures tell nothing of a scanner."""
    return {
        **dict.fromkeys(SERIES),
        **dict.fromkeys(SERIES_TEXTS, ""),
        "session": SESSION,
        "session_order": 1,
        "series": name,
        "modality": MODALITY if kind == "image" else "SEG",
        "kind": kind,
        "image": "",
        "files": files,
        "state": "used",
        **known,
    }


def _account(found: Sorted, part: str, files_in: int) -> Row:
    """The manifest of pictures (`images`) or masks (`contours`): files used and set aside, under their items."""
    roles = (IMAGE,) if part == "images" else (LESION, BONE)
    files = [
        {
            "path": one.slice.files[role].item,
            "sha256": found.hashes[one.slice.files[role].item],
            "modality": MODALITY if role == IMAGE else "SEG",
            "session": SESSION,
            "series": role,
            "series_uid": "",
            "sop_uid": "",
        }
        for one in found.used
        for role in roles
        if role in one.slice.files
    ]
    lost = [
        _row("files" if lost.role else "rows", lost.item, lost.why.code, lost.why.detail)
        for lost in found.lost
        if lost.role in roles or (not lost.role and part == "images")
    ]
    return {
        "part": part,
        "root": "source",
        "roi_names": "assigned",
        "files_in": files_in,
        "policy": {"edition": "", "options": [], "key_check": "", "date_shifted": False},
        "pixel_hashes": {},
        "files": sorted(files, key=lambda row: str(row["path"])),
        "set_aside": sorted(lost, key=lambda row: (row["item"], row["reason"])),
    }


def _row(stage: str, item: str, code: str, detail: str, *, count: int = 1) -> Row:
    return {
        "session": SESSION,
        "stage": stage,
        "item": item,
        "count": count,
        "kind": reason(code).kind,
        "reason": code,
        "detail": detail,
    }
