"""De-identified DICOM of one patient to volumes: grouping, choice, geometry, units, NIfTI and `images.json`.

Nothing here raises for bad data: a series that cannot be right is set aside with its reason, and every file of the
manifest stands in exactly one row of `series`.
"""

from __future__ import annotations

import logging
import shutil
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from osteorad.dicom.choice import convert_session, failed
from osteorad.dicom.head import blanked_above
from osteorad.dicom.headers import Frame, read_frames
from osteorad.dicom.image_names import read_image_names, write_image_names
from osteorad.dicom.pixels import same_values
from osteorad.dicom.places import frame_name
from osteorad.dicom.series import PREFIX, Candidate, filter_reason, read_overrides
from osteorad.dicom.series_rows import aside_row, series_row, session_flags
from osteorad.dicom.stack import build_stack, drop_duplicates, split_phases, split_stacks
from osteorad.errors import SetAside
from osteorad.files import read_json, write_json

log = logging.getLogger(__name__)
Row = dict[str, Any]


def convert_patient(
    manifest: Path,
    source_root: Path | None,
    *,
    modalities: Sequence[str],
    kernel: str,
    overrides: Sequence[Mapping[str, Any]],
    out_dir: Path,
    names: Path | None = None,
) -> None:
    """Write `<session>/<image>.nii.gz` and `images.json` of one patient under `out_dir`, which is emptied first.

    manifest : images.json of the de-identified or adopted DICOM. source_root : folder to which its paths are relative
    where its `root` is `source`. modalities : CT, PT. kernel : soft, bone or any. overrides : rows of `series.tsv`.
    names : register of this patient's image names, read and kept; without it nothing is known of earlier runs.
    Raises ConfigError for a row of `series.tsv` that means nothing; bad images become rows with a reason.
    """
    listed = read_json(manifest)
    wanted = read_overrides(overrides, listed["patient"])
    root = source_root if listed["root"] == "source" else manifest.parent
    if root is None:
        raise ValueError("the manifest's paths are relative to the source, but no source_root was given")
    shutil.rmtree(out_dir, ignore_errors=True)
    out_dir.mkdir(parents=True)
    candidates = [c for files in _by_series(listed) for c in _candidates(files, root, modalities)]
    for name in sorted(set(wanted) - {c.name for c in candidates}):
        log.info("series.tsv: series %s is not one of this patient", name)
    days = _session_days(candidates, listed)
    register = read_image_names(names)
    planes = blanked_above(listed)
    finished: list[Candidate] = []
    images: list[Row] = []
    flags: list[Row] = []
    for session in days:
        mine = [c for c in candidates if c.session == session]
        done, made = convert_session(mine, kernel, wanted, out_dir)
        for image in made:
            if register.take(session, image["image"], image["series"]):
                image["flags"].append("image_name_moved")
        finished.extend(done)
        for row in made:
            frame = frame_name(row["frame_of_reference"], row["series_uid"])
            images.append({**row, "head_plane_mm": planes.get(frame)})
        flags.extend(session_flags(session, made, done, modalities))
    sessions = [{"session": s, "order": n, "day": day} for n, (s, day) in enumerate(days.items(), start=1)]
    rows = [series_row(c, sessions, images, listed.get("pixel_hashes", {})) for c in finished]
    if names is not None:
        write_image_names(names, listed["patient"], register)
    write_json(
        out_dir / "images.json",
        {
            "cohort": listed["cohort"],
            "patient": listed["patient"],
            "sessions": sessions,
            "images": images,
            "series": rows,
            "set_aside": [*[aside_row(c) for c in finished if c.state != "used"], *flags],
        },
    )


def _by_series(listed: Mapping[str, Any]) -> list[list[Row]]:
    """Files of the manifest by session and series, sorted."""
    groups: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for file in listed["files"]:
        groups[file["session"], file["series"]].append(file)
    return [sorted(groups[key], key=lambda f: str(f["path"])) for key in sorted(groups)]


# --- series to candidates ---------------------------------------------------------------------------------------------


def _candidates(files: Sequence[Row], root: Path, modalities: Sequence[str]) -> list[Candidate]:
    """Stacks of one series; what fails a gate is set aside already."""
    first = files[0]
    whole = Candidate(
        name=first["series"],
        uid=first["series_uid"],
        session=first["session"],
        modality=first["modality"],
        files=len(files),
    )
    if whole.modality not in PREFIX:
        return [whole.aside("quarantined", "modality_unsupported", f"modality {whole.modality}")]
    if len({f["modality"] for f in files}) > 1:
        return [whole.aside("quarantined", "modality_unsupported", "several modalities in one series")]
    if whole.modality not in modalities:
        return [whole.aside("not_chosen", "modality_not_asked")]
    frames: list[Frame] = []
    try:
        for file in files:
            frames.extend(read_frames(root / file["path"]))
    except SetAside as error:
        return [failed(whole, error)]
    return _number(_stacks(replace(whole, frames=tuple(frames))))


def _stacks(whole: Candidate) -> list[Candidate]:
    """Split by geometry, drop copies, split by phase, build; one candidate for each part."""
    groups = split_stacks(whole.frames)
    found: list[Candidate] = []
    for group in groups:
        part = replace(whole, frames=tuple(group), files=0)
        try:
            kept, copies = drop_duplicates(group, same_values)
            if copies:
                found.append(replace(part, frames=tuple(copies)).aside("duplicate", "duplicate_slice_dropped"))
            part = replace(part, frames=tuple(kept))
            for phase in split_phases(kept):
                found.append(_built(replace(part, frames=tuple(phase)), len(groups)))
        except SetAside as error:
            found.append(_unbuilt(part, len(groups), error))
    return found


def _built(part: Candidate, groups: int) -> Candidate:
    try:
        return replace(part, stack=build_stack(part.frames))
    except SetAside as error:
        return _unbuilt(part, groups, error)


def _unbuilt(part: Candidate, groups: int, error: SetAside) -> Candidate:
    """A stack that is no volume; no loss where it would not have been chosen anyway."""
    if unwanted := filter_reason(part):
        return part.aside("not_chosen", *unwanted)
    if error.code == "too_few_slices" and groups > 1:
        return part.aside("quarantined", "mixed_orientation", f"one of {groups} stacks, {error.detail}")
    return failed(part, error)


def _number(parts: Sequence[Candidate]) -> list[Candidate]:
    """Names `e...`, `e...-2`, ... by size, and each file counted in the first part that holds it."""
    order = sorted(range(len(parts)), key=lambda n: (parts[n].state == "duplicate", -len(parts[n].frames), n))
    counted: set[Path] = set()
    named = []
    for number, index in enumerate(order, start=1):
        part = parts[index]
        mine = {frame.path for frame in part.frames} - counted
        counted |= mine
        name = part.name if number == 1 else f"{part.name}-{number}"
        named.append(replace(part, name=name, files=len(mine)))
    return named


def _session_days(candidates: Sequence[Candidate], listed: Mapping[str, Any]) -> dict[str, int | None]:
    """Session -> days since the first one, in order; sessions without date come last, by name."""
    dates: dict[str, int] = {}
    for candidate in candidates:
        for frame in candidate.frames:
            if frame.study_day is not None:
                dates[candidate.session] = min(frame.study_day, dates.get(candidate.session, frame.study_day))
    sessions = sorted({f["session"] for f in listed["files"]}, key=lambda s: (s not in dates, dates.get(s, 0), s))
    start = min(dates.values(), default=0)
    return {s: dates[s] - start if s in dates else None for s in sessions}
