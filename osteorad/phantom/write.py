"""Writing a digital patient: DICOM as a hospital exports it, mask files, and a manifest with the truth."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.config import Phantom
from osteorad.cohort.pseudonyms import PHANTOM_KEY, session_name
from osteorad.dicom.uids import map_uid
from osteorad.files import write_json, write_text
from osteorad.phantom import tables
from osteorad.phantom.contours import nrrd_bytes
from osteorad.phantom.extras import write_reformat, write_scouts
from osteorad.phantom.facts import MASK_FILE_PATIENT, SCOUT_PATIENT, SEG_PATIENT, facts_of
from osteorad.phantom.headers import Visit, visit_of
from osteorad.phantom.identity import Plants
from osteorad.phantom.names import BONE_NAME, roi_names
from osteorad.phantom.pet import pet_style, pet_unit_per_suv, write_pet
from osteorad.phantom.reader2 import second_reader
from osteorad.phantom.scan import Scan, Session, scan_session
from osteorad.phantom.series import (
    CT_CLASS,
    PET_CLASS,
    DicomFile,
    Volume3D,
    ct_stored,
    geometry_of,
    write_ct,
)
from osteorad.phantom.structures import Roi, write_rtstruct, write_seg
from osteorad.provenance import sha256_bytes

CT_SERIES, SHARP_SERIES, PET_SERIES, CT_CONTOURS, PET_CONTOURS, SCOUT_SERIES, CORONAL_SERIES = 3, 4, 5, 11, 12, 1, 8


def write_patient(settings: Phantom, cohort: str, number: int, out: Path) -> None:
    """Write patient `number` (from 1) to folder `out`: DICOM, mask files, and last manifest.json.

    The folder is emptied first. manifest.json: {"cohort", "patient" (PatientID), "files": [{"path", "sha256"}] sorted,
    "truth": sessions with lesions, marrow, PET; "planted": identifying strings, "planted_at": string -> places,
    "dates": true dates}. It holds identity and belongs under the private folder.
    """
    if out.exists():
        shutil.rmtree(out)
    out.mkdir(parents=True)
    plants = Plants()
    facts = facts_of(settings, number)
    listed: list[dict[str, str]] = []
    sessions: list[dict[str, Any]] = []
    for index in range(facts.sessions):
        visit = visit_of(settings, number, index, plants)
        scan = scan_session(settings, number, index)
        for file in session_files(settings, visit, scan):
            path = out / file.name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
            listed.append({"path": file.name, "sha256": sha256_bytes(file.content)})
        sessions.append(session_truth(settings, visit, scan))
    tables.plant(settings, number, plants)
    write_json(
        out / "manifest.json",
        {
            "cohort": cohort,
            "patient": facts.source_patient_id,
            "files": sorted(listed, key=lambda file: file["path"]),
            "truth": {"patient": patient_truth(settings, number), "sessions": sessions},
            "planted": sorted(plants.places),
            "planted_at": plants.places,
            "dates": sorted(plants.dates),
        },
    )


def write_tables(settings: Phantom, cohort: str, out_clinical: Path, out_lesions: Path, out_truth: Path) -> None:
    """Write the clinical table, the table of lesions (TSV, with identity) and the outcome's truth (JSON, without)."""
    write_text(out_clinical, tables.clinical_text(settings))
    write_text(out_lesions, tables.lesions_text(settings))
    write_json(out_truth, {"cohort": cohort, **tables.outcome_truth(settings)})


def session_files(settings: Phantom, visit: Visit, scan: Session) -> Iterator[DicomFile]:
    """Every file of one session."""
    ct = volume_of(visit, scan.ct, "CT", CT_SERIES)
    vendor = visit.facts.vendor
    yield from write_ct(visit, ct, ct_stored(np.asarray(scan.ct.array), scan.ct.frame, vendor))
    if scan.ct_sharp is not None:
        sharp = volume_of(visit, scan.ct, "CT", SHARP_SERIES)
        yield from write_ct(visit, sharp, ct_stored(scan.ct_sharp, scan.ct.frame, vendor), sharp=True)
    if settings.special_cases and visit.facts.number == SCOUT_PATIENT:
        yield from write_scouts(visit, scan.ct, SCOUT_SERIES)
        yield from write_reformat(visit, ct, scan.ct, CORONAL_SERIES)
    yield from contour_files(settings, visit, ct, scan, scan.ct, CT_CONTOURS)
    if scan.bone is not None:
        yield bone_file(visit, ct, scan.bone)
    if settings.reader2:
        yield from second_reader(settings, visit, ct, scan.ct.masks)
    if scan.pet is not None:
        pet = volume_of(visit, scan.pet, "PT", PET_SERIES)
        yield from write_pet(visit, pet, scan.pet.array.astype(np.float32), pet_style(visit))
        yield from contour_files(settings, visit, pet, scan, scan.pet, PET_CONTOURS)
        if settings.reader2:
            yield from second_reader(settings, visit, pet, scan.pet.masks)


def volume_of(visit: Visit, scan: Scan, modality: str, series: int) -> Volume3D:
    """A scan as a series with its number and place."""
    return Volume3D(
        series=series,
        modality=modality,
        geometry=geometry_of(scan.frame, visit),
        shape=scan.frame.shape,
        sop_class=CT_CLASS if modality == "CT" else PET_CLASS,
        visit=visit,
    )


def rois_of(visit: Visit, scan: Session, masks: dict[str, NDArray[np.bool_]], modality: str) -> list[Roi]:
    """Contoured regions with the names that this hospital gives them."""
    names = roi_names(visit, scan.lesions, modality)
    return [Roi(key=key, number=n, name=name, mask=masks[key]) for n, (key, name) in enumerate(names.items(), start=1)]


def contour_files(
    settings: Phantom, visit: Visit, volume: Volume3D, scan: Session, image: Scan, series: int
) -> Iterator[DicomFile]:
    """RTSTRUCT; for one patient SEG, for another mask files."""
    rois = rois_of(visit, scan, image.masks, volume.modality)
    if settings.special_cases and visit.facts.number == SEG_PATIENT:
        yield write_seg(visit, volume, [roi for roi in rois if roi.mask.any()], series)
    elif settings.special_cases and visit.facts.number == MASK_FILE_PATIENT:
        geometry = volume.geometry
        for roi in rois:
            content = nrrd_bytes(roi.mask, geometry.spacing, geometry.origin)
            yield DicomFile(name=f"masks/{roi.name}.nrrd", content=content)
    else:
        yield write_rtstruct(visit, volume, rois, series)


def bone_file(visit: Visit, ct: Volume3D, mask: NDArray[np.bool_]) -> DicomFile:
    """The mask of all bone of a CT; folders name session and image, since several sessions may share a grid."""
    session = session_name(map_uid(PHANTOM_KEY, visit.study_uid))
    content = nrrd_bytes(mask, ct.geometry.spacing, ct.geometry.origin)
    return DicomFile(name=f"masks/{session}/ct/{BONE_NAME}.nrrd", content=content)


def patient_truth(settings: Phantom, number: int) -> dict[str, Any]:
    """What is true of a patient in any session."""
    facts = facts_of(settings, number)
    return {
        "number": number,
        "vendor": facts.vendor,
        "site": facts.site,
        "marrow_level": facts.marrow_level,
        "texture_hu": facts.texture_hu,
        "density_hu": facts.density_hu,
        "z": {"texture": facts.texture, "density": facts.density, "uptake": facts.uptake, "score": facts.score},
    }


def session_truth(settings: Phantom, visit: Visit, scan: Session) -> dict[str, Any]:
    """What is true of a session: masks by name with voxels, volume and values; lesions; how SUV is stated."""
    images = [("CT", scan.ct)] + ([("PT", scan.pet)] if scan.pet is not None else [])
    found: dict[str, Any] = {"session": visit.session, "study_uid": visit.study_uid, "images": {}}
    for modality, image in images:
        rois = rois_of(visit, scan, image.masks, modality)
        geometry = geometry_of(image.frame, visit)
        found["images"][modality] = {
            "shape_zyx": list(image.frame.shape),
            "spacing_xyz_mm": list(geometry.spacing),
            "origin_lps_mm": list(geometry.origin),
            "rois": [_roi_truth(roi, image) for roi in rois],
        }
    if scan.bone is not None:
        bone = Roi(key="bone", number=0, name=BONE_NAME, mask=scan.bone)
        found["images"]["CT"]["rois"].append(_roi_truth(bone, scan.ct))
    if scan.pet is not None:
        style = pet_style(visit)
        found["pet"] = {
            "style": style.name,
            "units": style.units,
            "decay": style.decay,
            "unit_per_suv": pet_unit_per_suv(visit, style),
            "suv_max": float(scan.pet.array.max()),
        }
    found["lesions"] = [
        {
            "lesion": lesion.number,
            "location": lesion.location,
            "type": lesion.kind,
            "malignant": lesion.malignant,
            "suv_painted": lesion.suv,
        }
        for lesion in scan.lesions
    ]
    return found


def _roi_truth(roi: Roi, image: Scan) -> dict[str, Any]:
    dz, dy, dx = (round(s, 6) for s in image.frame.spacing)
    values = image.array[roi.mask].astype(float)
    return {
        "name": roi.name,
        "roi": roi.key,
        "voxels": int(roi.mask.sum()),
        "volume_ml": float(roi.mask.sum() * dx * dy * dz / 1000),
        "mean": float(values.mean()) if values.size else None,
        "max": float(values.max()) if values.size else None,
    }
