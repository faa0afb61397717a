"""A recipe's grid: fused PET/CT of every session that has both, on the grid of its CT, with the CT's contours."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from osteorad.errors import SetAside
from osteorad.files import read_json, write_json
from osteorad.images.fuse import CT_RANGE_HU, PET_RANGE_SUV, fuse
from osteorad.images.resample import field_of_view
from osteorad.images.volume import Mask, Volume, read_nifti, write_nifti
from osteorad.provenance import sha256_file
from osteorad.reasons import reason

FUSED = "fused"


def build_grid(images: Path, masks: Path, *, grid: Literal["fused"], out_dir: Path) -> None:
    """Write the images of one patient on a recipe's grid, and `grid.json` last.

    images, masks : the manifests images.json and masks.json. out_dir : emptied first; holds `<session>/fused.nii.gz`,
    and `<session>/pet-field-of-view.nii.gz` where PET does not cover the whole CT.
    A session without CT or PET, or with two frames of reference, becomes a row of `set_aside`.
    """
    manifest, drawn = read_json(images), read_json(masks)
    shutil.rmtree(out_dir, ignore_errors=True)
    out_dir.mkdir(parents=True)
    built: list[dict[str, Any]] = []
    set_aside: list[dict[str, Any]] = []
    for session in sorted({image["session"] for image in manifest["images"]}):
        of_session = {image["image"]: image for image in manifest["images"] if image["session"] == session}
        contours = [
            (masks.parent / mask["path"], mask)
            for mask in drawn["masks"]
            if (mask["session"], mask["image"]) == (session, "ct")
        ]
        try:
            built.append(_fused(of_session, images.parent, contours, out_dir / session))
        except SetAside as problem:
            set_aside.append(_row(session, problem))
    write_json(
        out_dir / "grid.json",
        {
            "cohort": manifest["cohort"],
            "patient": manifest["patient"],
            "grid": grid,
            "images": built,
            "set_aside": set_aside,
        },
    )


def read_volume(image: Mapping[str, Any], folder: Path) -> Volume:
    """The image of an entry of images.json; `folder` is the folder of the manifest."""
    array, grid = read_nifti(folder / image["path"])
    return Volume(array=array, grid=grid, units=image["units"])


def _row(session: str, problem: SetAside) -> dict[str, Any]:
    return {
        "session": session,
        "stage": "grids",
        "item": FUSED,
        "count": 1,
        "kind": reason(problem.code).kind,
        "reason": problem.code,
        "detail": problem.detail,
    }


def _fused(
    images: Mapping[str, Mapping[str, Any]], source: Path, contours: list[tuple[Path, Mapping[str, Any]]], folder: Path
) -> dict[str, Any]:
    """Write the fused image of a session; returns its entry of grid.json."""
    if missing := sorted({"ct", "pet"} - set(images)):
        raise SetAside("image_absent", " and ".join(missing))
    ct_entry, pet_entry = images["ct"], images["pet"]
    if ct_entry["frame_of_reference"] != pet_entry["frame_of_reference"]:
        raise SetAside("frame_of_reference_mismatch", "ct and pet")
    ct, pet = read_volume(ct_entry, source), read_volume(pet_entry, source)
    field = field_of_view(pet.grid, ct.grid)
    if not field.array.any():
        raise SetAside("frame_of_reference_mismatch", "ct and pet do not overlap")
    fused = fuse(ct, pet)
    write_nifti(folder / "fused.nii.gz", fused.array, fused.grid.affine_ras)
    facts = {
        "ct_range_hu": list(CT_RANGE_HU),
        "pet_range_suv": list(PET_RANGE_SUV),
        "interpolation": "linear",
        "ct_sha256": ct_entry["sha256"],
        "pet_sha256": pet_entry["sha256"],
        **_field_facts(field, contours, folder),
    }
    return {
        **{key: ct_entry[key] for key in ct_entry if key not in ("facts", "flags", "image", "sop_uids")},
        "image": FUSED,
        "modality": "fused",
        "units": FUSED,
        "path": f"{folder.name}/fused.nii.gz",
        "sha256": sha256_file(folder / "fused.nii.gz"),
        "facts": facts,
        "flags": sorted({*ct_entry["flags"], *pet_entry["flags"]}),
        "mask_image": "ct",
    }


def _field_facts(field: Mask, contours: list[tuple[Path, Mapping[str, Any]]], folder: Path) -> dict[str, Any]:
    """How much of the CT, and of each of its ROIs, PET has measured; writes the field of view where it is not all."""
    share = float(np.count_nonzero(field.array)) / field.array.size
    facts: dict[str, Any] = {"pet_field_share": round(share, 6), "rois_outside_pet_field": []}
    if field.array.all():
        return facts
    name = "pet-field-of-view.nii.gz"
    write_nifti(folder / name, field.array, field.grid.affine_ras)
    facts["pet_field_path"] = f"{folder.name}/{name}"
    for path, mask in contours:
        inside = read_nifti(path)[0] != 0
        outside = int(np.count_nonzero(inside & (field.array == 0)))
        if outside:
            facts["rois_outside_pet_field"].append({"roi": mask["roi"], "lesion": mask["lesion"], "voxels": outside})
    return facts
