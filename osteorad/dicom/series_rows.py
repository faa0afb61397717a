"""Rows of `images.json`: series, things set aside, flags."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osteorad.dicom.series import PREFIX, Candidate
from osteorad.reasons import reason

Row = dict[str, Any]


def session_flags(
    session: str, images: Sequence[Row], done: Sequence[Candidate], modalities: Sequence[str]
) -> list[Row]:
    """What the session lacks, and what is doubtful about its images; counts files only for the latter."""
    names = {image["image"] for image in images}
    rows = []
    if "CT" in modalities and "ct" not in names:
        rows.append(_row(session, "", 0, "no_usable_ct", ""))
    if "PT" in modalities and "pet" not in names:
        rows.append(_row(session, "", 0, "pet_absent", ""))
    files = {candidate.name: candidate.files for candidate in done}
    for image in images:
        rows.extend(
            _row(session, image["series"], files[image["series"]], flag, image["image"])
            for flag in image["flags"]
            if reason(flag).kind in ("flag", "note")
        )
    return rows


def _row(session: str, item: str, count: int, code: str, detail: str) -> Row:
    return {
        "session": session,
        "stage": "series",
        "item": item,
        "count": count,
        "kind": reason(code).kind,
        "reason": code,
        "detail": detail,
    }


def aside_row(candidate: Candidate) -> Row:
    """What became of a stack that was not used."""
    return _row(candidate.session, candidate.name, candidate.files, candidate.reason, candidate.detail)


def series_row(candidate: Candidate, sessions: Sequence[Row], images: Sequence[Row], hashes: Mapping[str, str]) -> Row:
    """Row of schemas.SERIES for one stack."""
    session = next(s for s in sessions if s["session"] == candidate.session)
    first = candidate.frames[0] if candidate.frames else None
    stack = candidate.stack
    image = next((i for i in images if i["series"] == candidate.name and i["session"] == candidate.session), None)
    facts = image["facts"] if image else {}
    return {
        "session": candidate.session,
        "session_order": session["order"],
        "session_day": session["day"],
        "series": candidate.name,
        "modality": candidate.modality,
        "kind": "image" if candidate.modality in PREFIX else "other",
        "image": candidate.image,
        "files": candidate.files,
        "slices": len(candidate.frames),
        "state": candidate.state,
        "reason": candidate.reason,
        "detail": candidate.detail,
        "score": candidate.score,
        "spacing_x_mm": stack.spacing_mm[0] if stack else None,
        "spacing_y_mm": stack.spacing_mm[1] if stack else None,
        "spacing_z_mm": stack.slice_spacing_mm if stack else None,
        "rows": first.pixels.rows if first else None,
        "columns": first.pixels.columns if first else None,
        "manufacturer": first.facts.manufacturer if first else "",
        "model": first.facts.model if first else "",
        "kernel": first.facts.kernel if first else "",
        "kvp": first.facts.kvp if first else None,
        "slice_thickness_mm": first.facts.slice_thickness_mm if first else None,
        "contrast": first.facts.contrast if first else "",
        "units": first.pet.units if first and first.pet else "HU" if first else "",
        "tracer": first.pet.tracer if first and first.pet else "",
        "dose_mbq": facts.get("dose_mbq"),
        "uptake_min": facts.get("uptake_min"),
        "weight_kg": first.facts.weight_kg if first else None,
        "pixel_hash": hashes.get(candidate.name.split("-")[0], ""),
    }
