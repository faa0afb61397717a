"""Cases of networks: which sessions are learned from and drawn, which hold a lesion, and the flow that led there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from osteorad.cohort.flow import Flow, Loss, set_aside_rows
from osteorad.cohort.schemas import QUARANTINE, SAMPLES
from osteorad.cohort.segmentation import SegmentationRecipe, SegmentationSettings
from osteorad.cohort.verdicts import BY_READER, LeftOut, Verdicts, left_out
from osteorad.errors import AnalysisRefused
from osteorad.files import table_from_rows
from osteorad.provenance import sample_key

WHOLE = 0  # lesion number of a case: all lesions of its session
Session = tuple[str, str]  # patient, session


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifests:
    """What was ingested of one patient: images.json, and masks.json of the set that networks learn from."""

    images: Mapping[str, Any]
    masks: Mapping[str, Any]

    def on(self, session: str, image: str) -> list[Mapping[str, Any]]:
        """Masks of an image of a session."""
        return [entry for entry in self.masks["masks"] if (entry["session"], entry["image"]) == (session, image)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cases:
    """Cases (schemas.SAMPLES; outcome 1: a lesion was drawn), what was set aside, and the counts of every stage."""

    table: pa.Table
    set_aside: pa.Table
    flow: dict[str, Any]


def make_cases(
    patients: pa.Table,
    series: pa.Table,
    manifests: Mapping[str, Manifests],
    *,
    cohort: str,
    analysis: str,
    recipe: SegmentationRecipe,
    rejected: Verdicts,
) -> Cases:
    """Sessions with the recipe's image on which the regions were drawn; each is one case.

    patients, series : schemas of those names. manifests : of every patient. rejected : readers' verdicts.
    Raises AnalysisRefused where fewer patients with a lesion are left than the division needs.
    """
    flow, settings = Flow(), recipe.segmentation
    used = _used(patients, flow)
    within_cohort = len(flow.losses)
    sessions = _sessions(used, series, manifests, recipe, flow)
    sessions = _not_rejected(sessions, manifests, settings, rejected, flow)
    sessions = _drawn(sessions, manifests, recipe, flow)
    rows = [_row(cohort, case, manifests[case[0]], settings) for case in sorted(sessions)]
    holding = {row["patient"] for row in rows if row["outcome"]}
    if len(holding) < (least := recipe.splits.folds + 2):
        raise AnalysisRefused(
            f"{analysis}: too few patients with a drawn {settings.lesion}: {len(holding)}. Wanted: at least {least}, "
            f"for {recipe.splits.folds} folds and a held-out part."
        )
    aside = table_from_rows(set_aside_rows(flow.losses[within_cohort:], cohort), QUARANTINE)
    facts = {
        "cohort": cohort,
        "analysis": analysis,
        "unit": "case",
        "roi": settings.lesion,
        "mask_set": settings.mask_set,
        "images": [settings.image],
        "stages": flow.stages,
        "used": {
            "patients": len({row["patient"] for row in rows}),
            "samples": len(rows),
            "with_lesion": sum(row["outcome"] for row in rows),
            "without_lesion": sum(not row["outcome"] for row in rows),
        },
        "set_aside": aside.to_pylist(),
    }
    return Cases(table=table_from_rows(rows, SAMPLES), set_aside=aside, flow=facts)


def _used(patients: pa.Table, flow: Flow) -> list[str]:
    rows = patients.to_pylist()
    used = sorted(row["patient"] for row in rows if row["state"] == "used")
    losses = [
        Loss(patient=row["patient"], item=row["patient"], code=row["reason"]) for row in rows if row["state"] != "used"
    ]
    flow.add("cohort", "Patients of the cohort", "patients", entering=len(rows), leaving=len(used), losses=losses)
    return used


def _sessions(
    used: Sequence[str], series: pa.Table, manifests: Mapping[str, Manifests], recipe: SegmentationRecipe, flow: Flow
) -> list[Session]:
    """Sessions that have the image, of those that the recipe asks for."""
    rows = series.select(["patient", "session", "session_order"]).to_pylist()
    order = {(row["patient"], row["session"]): row["session_order"] for row in rows}
    found: list[Session] = []
    losses: list[Loss] = []
    for patient in used:
        own = {e["session"] for e in manifests[patient].images["images"] if e["image"] == recipe.segmentation.image}
        ordered = sorted(own, key=lambda session: (order.get((patient, session)) or 0, session))
        if not ordered:
            losses.append(Loss(patient=patient, item=recipe.segmentation.image, code="no_image"))
        asked = {"first": ordered[:1], "last": ordered[-1:], "all": ordered}[recipe.session]
        found += [(patient, session) for session in asked]
        losses += [
            Loss(patient=patient, item=session, session=session, code="session_not_asked")
            for session in ordered
            if session not in asked
        ]
    entering = len(found) + len(losses)
    flow.add("sessions", "Sessions with the image", "sessions", entering=entering, leaving=len(found), losses=losses)
    return found


def _not_rejected(
    sessions: Sequence[Session],
    manifests: Mapping[str, Manifests],
    settings: SegmentationSettings,
    rejected: Verdicts,
    flow: Flow,
) -> list[Session]:
    """Sessions of whose image and masks no reader rejected any: half of a truth is none."""
    gone = {
        patient: left_out(rejected, manifests[patient].images, manifests[patient].masks)
        for patient in {patient for patient, _ in sessions} & set(rejected)
    }
    kept = [case for case in sessions if not _touched(case, manifests[case[0]], settings, gone.get(case[0], LeftOut()))]
    losses = [_loss(case, settings.image, BY_READER) for case in sessions if case not in kept]
    flow.add("review", "Not rejected in review", "sessions", entering=len(sessions), leaving=len(kept), losses=losses)
    return kept


def _touched(case: Session, manifest: Manifests, settings: SegmentationSettings, left: LeftOut) -> bool:
    regions = (settings.lesion, settings.bone)
    masks = [entry for entry in manifest.on(case[1], settings.image) if entry["roi"] in regions]
    image = {"session": case[1], "image": settings.image}
    return left.has_image(image) or any(left.has_mask(entry) for entry in masks)


def _drawn(
    sessions: Sequence[Session], manifests: Mapping[str, Manifests], recipe: SegmentationRecipe, flow: Flow
) -> list[Session]:
    """Sessions on which the regions were drawn; one without a lesion counts as free of lesions by the recipe's rule."""
    settings = recipe.segmentation
    kept: list[Session] = []
    losses: list[Loss] = []
    for case in sessions:
        rois = {entry["roi"] for entry in manifests[case[0]].on(case[1], settings.image)}
        if settings.bone is not None and settings.bone not in rois:
            losses.append(_loss(case, settings.bone, "roi_not_drawn"))
        elif not rois and recipe.negatives == "drawn":
            losses.append(_loss(case, settings.lesion, "not_annotated"))
        else:
            kept.append(case)
    flow.add("drawn", "Regions were drawn", "sessions", entering=len(sessions), leaving=len(kept), losses=losses)
    return kept


def _loss(case: Session, item: str, code: str) -> Loss:
    return Loss(patient=case[0], session=case[1], item=item, code=code)


def _row(cohort: str, case: Session, manifest: Manifests, settings: SegmentationSettings) -> dict[str, Any]:
    patient, session = case
    lesions = [entry for entry in manifest.on(session, settings.image) if entry["roi"] == settings.lesion]
    return {
        "cohort": cohort,
        "patient": patient,
        "session": session,
        "roi": settings.lesion,
        "lesion": WHOLE,
        "sample": sample_key(cohort, patient, session, settings.lesion, WHOLE),
        "mask_set": settings.mask_set,
        "site": None,
        "image_day": None,
        "event_day": None,
        "outcome": int(bool(lesions)),
    }
