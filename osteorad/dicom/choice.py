"""Which candidates of a session become images: filters, ranking, conversion of the best one that passes its gates."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from osteorad.dicom.series import PREFIX, Candidate, Override, filter_reason, lost_reason, override_of, score
from osteorad.dicom.volume import Converted, convert_ct, convert_pet, pet_suv
from osteorad.errors import SetAside
from osteorad.images.volume import write_nifti
from osteorad.provenance import sha256_file
from osteorad.reasons import reason

log = logging.getLogger(__name__)
Row = dict[str, Any]
OLDEST = 89.0  # years; above it age is told as 90
TAKEN = 1000.0  # part of the score of a series that `series.tsv` asks for


def convert_session(
    candidates: Sequence[Candidate], kernel: str, overrides: Mapping[str, Override], out_dir: Path
) -> tuple[list[Candidate], list[Row]]:
    """Candidates of a session with their fate, and its images; CT first, because PET is measured against it."""
    done: list[Candidate] = []
    images: list[Row] = []
    open_ = [_filtered(c, override_of(c, overrides)) for c in candidates]
    for modality in ("CT", "PT"):
        mine = [c for c in open_ if c.modality == modality]
        partner = [c for c in open_ if c.modality != modality and not c.state]
        if modality == "PT" and images:
            frames_of_reference = {images[0]["frame_of_reference"]}
        else:
            frames_of_reference = {c.frames[0].frame_of_reference for c in partner}
        ranked = _ranked([c for c in mine if not c.state], kernel, frames_of_reference, overrides)
        finished, made = _take(ranked, overrides, out_dir, images)
        done.extend([*[_uncorrected(c, made) for c in mine if c.state], *finished])
        images.extend(made)
    done.extend(c for c in open_ if c.modality not in PREFIX)
    return sorted(done, key=lambda c: c.name), images


def _uncorrected(candidate: Candidate, made: Sequence[Row]) -> Candidate:
    """A PET without attenuation correction is not a loss where a corrected one of the session was taken."""
    if candidate.reason != "pet_not_attenuation_corrected" or not made:
        return candidate
    return candidate.aside("not_chosen", "not_attenuation_corrected", f"{made[0]['series']} was taken")


def failed(candidate: Candidate, error: SetAside) -> Candidate:
    """The candidate, set aside for what a gate found."""
    return candidate.aside(reason(error.code).kind, error.code, error.detail)


def _filtered(candidate: Candidate, override: Override) -> Candidate:
    """Hard filters and the PET gate; `series.tsv` lifts the filters of choice, never a gate."""
    if candidate.state:
        return candidate
    if override.take is False:
        return candidate.aside("not_chosen", "override_excluded")
    found = filter_reason(candidate) if override.take is None else None
    if found:
        return candidate.aside("not_chosen", *found)
    if candidate.modality == "PT" and candidate.stack is not None:
        try:
            pet_suv(candidate.stack)
        except SetAside as error:
            return failed(candidate, error)
    return candidate


def _ranked(
    candidates: Sequence[Candidate], kernel: str, partner_frames: set[str], overrides: Mapping[str, Override]
) -> list[Candidate]:
    """Candidates with scores, best first; equal ones by series UID."""
    scored = []
    for candidate in candidates:
        parts = score(candidate, kernel=kernel, partner_frames=partner_frames)
        override = override_of(candidate, overrides)
        if override.take and override.image in ("", PREFIX[candidate.modality]):
            parts["series_tsv"] = TAKEN
        scored.append(replace(candidate, score=round(sum(parts.values()), 2), parts=parts))
    return sorted(scored, key=lambda c: (-(c.score or 0.0), c.uid, c.name))


def _take(
    ranked: Sequence[Candidate], overrides: Mapping[str, Override], out_dir: Path, before: Sequence[Row]
) -> tuple[list[Candidate], list[Row]]:
    """Convert the best candidate that passes; further ones only where `series.tsv` names an image for them."""
    done: list[Candidate] = []
    images: list[Row] = []
    winner: Candidate | None = None
    for candidate in ranked:
        asked = override_of(candidate, overrides).image
        name = PREFIX[candidate.modality]
        extra = asked not in ("", name)
        if winner is not None and not extra:
            done.append(candidate.aside("not_chosen", *lost_reason(candidate, winner)))
            continue
        name = asked if extra else name
        if any(image["image"] == name for image in images):
            done.append(candidate.aside("not_chosen", "score_lower", f"{name} is taken"))
            continue
        try:
            converted = _convert(candidate)
        except SetAside as error:
            done.append(failed(candidate, error))
            continue
        candidate = replace(candidate, state="used", image=name)
        images.append(_write_image(candidate, converted, out_dir, [*before, *images]))
        done.append(candidate)
        winner = winner if extra else candidate
    return done, images


def _convert(candidate: Candidate) -> Converted:
    if candidate.stack is None:
        raise SetAside("geometry_missing", "no stack")
    return convert_ct(candidate.stack) if candidate.modality == "CT" else convert_pet(candidate.stack)


def _write_image(candidate: Candidate, converted: Converted, out_dir: Path, before: Sequence[Row]) -> Row:
    volume = converted.volume
    path = f"{candidate.session}/{candidate.image}.nii.gz"
    write_nifti(out_dir / path, volume.array, volume.grid.affine_ras)
    frame = candidate.frames[0]
    flags = list(converted.flags)
    if (frame.facts.age_years or 0) > OLDEST:
        flags.append("age_capped")
    ct = next((row for row in before if row["image"] == "ct"), None)
    shared = ct is not None and frame.frame_of_reference and ct["frame_of_reference"] == frame.frame_of_reference
    if candidate.modality == "PT" and ct is not None and not shared:
        flags.append("frame_of_reference_mismatch")
    log.info("%s %s: %s voxels from %s", candidate.session, candidate.image, volume.grid.shape, candidate.name)
    return {
        "image": candidate.image,
        "session": candidate.session,
        "path": path,
        "sha256": sha256_file(out_dir / path),
        "units": volume.units,
        "modality": candidate.modality,
        "series": candidate.name,
        "series_uid": candidate.uid,
        "frame_of_reference": frame.frame_of_reference,
        "shape": list(volume.grid.shape),
        "spacing_mm": list(volume.grid.spacing_mm),
        "affine_ras": volume.grid.affine_ras.tolist(),
        "facts": _facts(candidate, converted),
        "flags": flags,
    }


def _facts(candidate: Candidate, converted: Converted) -> Row:
    """Scanner and patient facts, and how the values were made."""
    frame = candidate.frames[0]
    age = frame.facts.age_years
    facts: Row = {**asdict(frame.facts), "conversion": converted.conversion, "score": dict(candidate.parts)}
    facts["age_years"] = age if age is None or age <= OLDEST else OLDEST + 1.0
    suv = converted.suv
    facts.update({"tracer": "", "nuclide": "", "dose_mbq": None, "uptake_min": None, "suv": None})
    if suv is not None and frame.pet is not None:
        facts.update(tracer=frame.pet.tracer, nuclide=frame.pet.nuclide, dose_mbq=suv.dose_mbq)
        facts.update(uptake_min=suv.uptake_min, weight_kg=suv.weight_kg or facts["weight_kg"])
        facts["suv"] = {
            "factor_min": min(suv.factors),
            "factor_max": max(suv.factors),
            "units": suv.units,
            "decay": suv.decay,
            "reference_rule": suv.rule,
            "reference_difference": suv.reference_difference,
        }
    return facts
