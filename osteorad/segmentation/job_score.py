"""The job that scores the predicted masks of one fold. Paths in, files out; its script calls this and nothing else.

A module of its own, so that a change elsewhere in the room does not run this job again (contract 9).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from osteorad.files import read_json, read_parquet, write_json, write_parquet
from osteorad.images.volume import Grid, Patch, read_nifti
from osteorad.segmentation.cases import GREY
from osteorad.segmentation.hu_threshold import hu_threshold
from osteorad.segmentation.lesion_match import Component, Rule
from osteorad.segmentation.mask_sets import MaskSet, read_mask_set, read_patches, same_grid
from osteorad.segmentation.score_case import Lesion, LesionCase, Matching, score_lesions, score_patches
from osteorad.segmentation.score_summary import summarise, summarise_voxels
from osteorad.segmentation.score_tables import (
    NETWORK,
    THRESHOLD,
    CaseKey,
    case_row,
    case_table,
    lesion_case_row,
    lesion_rows,
    lesion_table,
    unmeasured,
)

log = logging.getLogger(__name__)
Row = dict[str, Any]
LesionFacts = Mapping[tuple[str, str, int], Mapping[str, Any]]  # patient, session, lesion -> type, location


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreSettings:
    """What is scored and how: the image whose contours are the reference, its ROIs, the lesion rule."""

    image: str = "ct"
    lesion_roi: str = "lesion"
    bone_roi: str = "bone"
    matching: Matching = field(default_factory=Matching)
    bootstrap: int = 2000


def settings_of(params: Mapping[str, Any]) -> ScoreSettings:
    """Settings by plain values; a name that is none of them raises TypeError.

    Valid: image, lesion_roi, bone_roi, bootstrap, rule, at_least, smallest_ml, smallest_voxels.
    """
    given = dict(params)
    rule = Rule(**{own: given.pop(name) for name, own in (("rule", "name"), ("at_least", "at_least")) if name in given})
    sizes = {name: given.pop(name) for name in ("smallest_ml", "smallest_voxels") if name in given}
    return ScoreSettings(matching=Matching(rule=rule, **sizes), **given)


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A case to be scored: its keys, predicted and reference masks, and the image where the baseline is wanted.

    measured : False for pictures, of whose voxels nobody knows the size.
    """

    key: CaseKey
    predicted: MaskSet
    reference: MaskSet
    image: Path | None
    measured: bool


def score_job(
    *,
    masks: Path,
    manual: Sequence[Path],
    out_cases: Path,
    out_lesions: Path,
    out_scores: Path,
    lesions: Path | None = None,
    images: Sequence[Path] = (),
    params: Mapping[str, Any] | None = None,
) -> None:
    """Score the masks of a fold: `out_cases`, `out_lesions` (score_tables) and `out_scores` (their summary).

    masks : masks.json of the fold. manual : manifests of the reference masks, of every patient in it. lesions :
    lesions.parquet, for type and location. images : manifests of the patients' images; with them a threshold of HU
    inside the predicted bone is scored beside the network. params : see `settings_of`.
    """
    settings = settings_of(params or {})
    fold = read_json(masks)
    sessions = list(_sessions(fold, masks.parent, manual, images, settings))
    facts = _lesion_facts(lesions, settings.lesion_roi)
    cases: list[Row] = []
    found: list[Row] = []
    started = time.monotonic()
    for number, session in enumerate(sessions, start=1):
        for case_rows, of_lesions in _score_session(session, facts, settings):
            cases += case_rows
            found += of_lesions
        left = (time.monotonic() - started) / number * (len(sessions) - number)
        where = f"{session.key.patient} {session.key.session}"
        log.info("%s: %d of %d cases, %.0f s left", where, number, len(sessions), left)
    case_scores, lesion_scores = case_table(cases), lesion_table(found)
    with threadpool_limits(limits=1):
        summary = _summary(case_scores.to_pylist(), lesion_scores.to_pylist(), fold, settings)
    write_parquet(out_cases, case_scores)
    write_parquet(out_lesions, lesion_scores)
    write_json(out_scores, summary)


def _sessions(
    fold: Mapping[str, Any], folder: Path, manual: Sequence[Path], images: Sequence[Path], settings: ScoreSettings
) -> Iterator[Session]:
    """Cases of a fold, in the order of its manifest; ValueError for a patient without reference manifest."""
    references = {found.manifest["patient"]: found for found in map(read_mask_set, manual)}
    pictures = {found["patient"]: (path.parent, found) for path, found in ((path, read_json(path)) for path in images)}
    for entry in fold["patients"]:
        patient = entry["patient"]
        if patient not in references:
            raise ValueError(f"no manifest of reference masks of {patient}")
        predicted = read_mask_set(folder / entry["path"])
        for session in entry["sessions"]:
            key = CaseKey(
                cohort=fold["cohort"],
                analysis=fold["analysis"],
                network=fold["network"],
                repeat=fold["repeat"],
                fold=fold["fold"],
                procedure=NETWORK,
                patient=patient,
                session=session,
                image=settings.image,
                roi=settings.lesion_roi,
                role=entry["role"],
            )
            beside, found = _image(pictures, key)
            yield Session(
                key=key,
                predicted=predicted,
                reference=references[patient],
                image=beside / found["path"] if found else None,
                measured=found.get("units") != GREY,
            )


def _image(manifests: Mapping[str, tuple[Path, Mapping[str, Any]]], key: CaseKey) -> tuple[Path, Mapping[str, Any]]:
    """Folder and entry of a case's image; an empty entry where there is none."""
    folder, manifest = manifests.get(key.patient, (Path(), {"images": ()}))
    found = [one for one in manifest["images"] if (one["session"], one["image"]) == (key.session, key.image)]
    return folder, found[0] if found else {}


def _lesion_facts(lesions: Path | None, roi: str) -> LesionFacts:
    if lesions is None:
        return {}
    rows = read_parquet(lesions).to_pylist()
    return {(row["patient"], row["session"], row["lesion"]): row for row in rows if row["roi"] == roi}


def _score_session(
    session: Session, facts: LesionFacts, settings: ScoreSettings
) -> Iterator[tuple[list[Row], list[Row]]]:
    """Rows of a case: its lesions, the baseline where its image is known, its bone where bone was drawn."""
    for cases, lesions in _rows(session, facts, settings):
        if session.measured:
            yield cases, lesions
        else:
            yield [unmeasured(row) for row in cases], [unmeasured(row) for row in lesions]


def _rows(session: Session, facts: LesionFacts, settings: ScoreSettings) -> Iterator[tuple[list[Row], list[Row]]]:
    key = session.key
    matching = settings.matching if session.measured else replace(settings.matching, smallest_ml=0.0)
    drawn = session.reference.of(key.session, settings.image, settings.lesion_roi)
    patches, grid = read_patches(session.reference, drawn)
    reference = [
        _lesion(key, entry, facts, patch) for entry, patch in zip(drawn, patches, strict=True) if patch is not None
    ]
    account = {"lesions_empty": patches.count(None), "contours_lost": session.reference.lost(key.session)}
    found, own = _predicted(session, settings)
    case = score_lesions(reference, found, same_grid(grid, own), matching)
    yield [lesion_case_row(key, case, **account)], lesion_rows(key, case)
    if found_by_hu := _baseline(session, reference, settings):
        baseline = replace(key, procedure=THRESHOLD)
        yield [lesion_case_row(baseline, found_by_hu, **account)], lesion_rows(baseline, found_by_hu)
    if row := _bone(session, settings):
        yield [row], []


def _predicted(session: Session, settings: ScoreSettings) -> tuple[list[Component], Grid | None]:
    """Predicted lesions with their scores, and their grid."""
    entries = session.predicted.of(session.key.session, settings.image, settings.lesion_roi)
    patches, grid = read_patches(session.predicted, entries)
    pairs = zip(entries, patches, strict=True)
    found = [
        Component(number=int(entry["lesion"]), patch=patch, score=entry.get("score"))
        for entry, patch in pairs
        if patch is not None
    ]
    return found, grid


def _lesion(key: CaseKey, entry: Mapping[str, Any], facts: LesionFacts, patch: Patch) -> Lesion:
    told = facts.get((key.patient, key.session, int(entry["lesion"])), {})
    return Lesion(number=int(entry["lesion"]), patch=patch, type=told.get("type"), location=told.get("location"))


def _baseline(session: Session, reference: Sequence[Lesion], settings: ScoreSettings) -> LesionCase | None:
    """Lesions by a threshold of HU inside the bone that the network drew; None without image of HU or bone."""
    patches, own = read_patches(
        session.predicted, session.predicted.of(session.key.session, settings.image, settings.bone_roi)
    )
    inside = [patch for patch in patches if patch is not None]
    if session.image is None or not session.measured or not inside:
        return None
    hu, grid = read_nifti(session.image)
    same_grid(grid, own)
    bone = np.zeros(hu.shape, dtype=bool)
    for patch in inside:
        bone[patch.slices] |= patch.array != 0
    return score_lesions(reference, hu_threshold(hu, bone, grid.spacing_mm), grid, settings.matching)


def _bone(session: Session, settings: ScoreSettings) -> Row | None:
    """Voxel scores of bone; None where no bone was drawn, which does not mean that there is none."""
    where = (session.key.session, settings.image, settings.bone_roi)
    drawn, grid = read_patches(session.reference, session.reference.of(*where))
    reference = [patch for patch in drawn if patch is not None]
    if not reference:
        return None
    found, own = read_patches(session.predicted, session.predicted.of(*where))
    scores = score_patches(reference, [patch for patch in found if patch is not None], same_grid(grid, own))
    return case_row(replace(session.key, roi=settings.bone_roi), scores)


def _summary(cases: Sequence[Row], lesions: Sequence[Row], fold: Mapping[str, Any], settings: ScoreSettings) -> Row:
    """scores.json: what was scored by which rule, and numbers by procedure, role and ROI."""
    groups = sorted({(row["procedure"], row["role"], row["roi"]) for row in cases})
    how = settings.matching
    return {
        **{name: fold[name] for name in ("cohort", "analysis", "network", "repeat", "fold")},
        "image": settings.image,
        "rule": {
            "name": how.rule.name,
            "at_least": how.rule.at_least,
            "words": how.rule.words,
            "smallest_ml": how.smallest_ml,
            "smallest_voxels": how.smallest_voxels,
        },
        "bootstrap": settings.bootstrap,
        "scores": [_group(group, cases, lesions, fold, settings) for group in groups],
    }


def _group(
    group: tuple[str, str, str],
    cases: Sequence[Row],
    lesions: Sequence[Row],
    fold: Mapping[str, Any],
    settings: ScoreSettings,
) -> Row:
    procedure, role, roi = group
    keys = ("procedure", "role", "roi")
    mine = [row for row in cases if tuple(row[name] for name in keys) == group]
    own = [row for row in lesions if tuple(row[name] for name in keys) == group]
    # one seed for network and baseline, so that both see the same patients
    name = f"{fold['analysis']}/r{fold['repeat']}f{fold['fold']}/{fold['network']}/{role}/scores"
    if roi == settings.lesion_roi:
        numbers = summarise(mine, own, draws=settings.bootstrap, name=name)
    else:
        numbers = summarise_voxels(mine, draws=settings.bootstrap, name=name)
    return {"procedure": procedure, "role": role, "roi": roi, **numbers}
