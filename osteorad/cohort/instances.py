"""ROI instances of an analysis: which session, which instance, which images (the middle stages of the flow)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from osteorad.cohort.config import TABLE
from osteorad.cohort.flow import Flow, Loss
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.schemas import FEATURE_KEYS
from osteorad.cohort.timeline import Days, nearest
from osteorad.cohort.verdicts import BY_READER
from osteorad.errors import ConfigError, unknown_name

MOST_MISSING = 0.5  # a sample with a larger share of missing features in an image is set aside

Candidate = tuple[str, str, int]  # patient, session, lesion


class FeatureRows:
    """The feature table by image: which row holds which ROI instance, and which a reader rejected.

    reasons : the table beside it, which tells of rows that were left out. An instance that was rejected on one image of
    the recipe is rejected. Raises ConfigError where the recipe asks for an image that the table does not have.
    """

    def __init__(self, features: pa.Table, recipe: Recipe, mask_set: str, reasons: pa.Table | None = None) -> None:
        self.table = features
        self.roi = recipe.roi
        self.names = [name for name in features.column_names if name not in FEATURE_KEYS]
        keys = features.select(list(FEATURE_KEYS)).to_pylist()
        gone = [row for row in ([] if reasons is None else reasons.to_pylist()) if row["reason"] == BY_READER]
        present = sorted({row["image"] for row in (*keys, *gone)})
        if missing := [image for image in recipe.images if image not in present]:
            raise ConfigError(
                [unknown_name("image", name, present, f"mask set {mask_set}: images") for name in missing]
            )
        self.rows: dict[str, dict[Candidate, int]] = {image: {} for image in recipe.images}
        for row, key in enumerate(keys):
            if key["image"] in self.rows and key["roi"] == recipe.roi and key["mask_set"] == mask_set:
                self.rows[key["image"]][(key["patient"], key["session"], key["lesion"])] = row
        self.rejected: set[Candidate] = {
            (row["patient"], row["session"], row["lesion"])
            for row in gone
            if row["image"] in self.rows and row["roi"] == recipe.roi and row["mask_set"] == mask_set
        }
        self.columns: dict[str, list[str]] = {}
        self._missing: dict[str, NDArray[np.float64]] = {}
        for image in recipe.images:
            self._count(image, np.array([key["image"] == image for key in keys]))

    def _count(self, image: str, rows: NDArray[np.bool_]) -> None:
        """Features that this image has at all (other images' are empty in its rows), and what each row lacks."""
        self.columns[image] = []
        missing = np.zeros(len(rows))
        for name in self.names:
            lacking = np.isnan(self.values(name))
            if not lacking[rows].all():
                self.columns[image].append(name)
                missing += lacking
        self._missing[image] = missing / max(1, len(self.columns[image]))

    def values(self, name: str) -> NDArray[np.float64]:
        """A feature over all rows, missing as NaN."""
        return np.asarray(self.table[name].to_numpy(), dtype=np.float64)

    def instances(self) -> set[Candidate]:
        """ROI instances with a row for any image of the recipe, and those that a reader rejected."""
        return {instance for rows in self.rows.values() for instance in rows} | self.rejected

    def measured(self, image: str, instance: Candidate) -> bool:
        """True where the instance was drawn on an image and has most of its features."""
        return instance in self.rows[image] and self.missing_share(image, instance) <= MOST_MISSING

    def missing_share(self, image: str, instance: Candidate) -> float:
        """Share of an image's features that could not be computed for an instance."""
        return float(self._missing[image][self.rows[image][instance]]) if self.columns[image] else 1.0


def sessions_of(
    series: pa.Table, patients: Sequence[str], recipe: Recipe, window: tuple[int, int] | None, days: Days, flow: Flow
) -> dict[str, list[str]]:
    """Sessions of each patient that the recipe asks for, of those with a usable image, in order of time.

    window : first and last day, from the index date, between which a session has to lie; None: any day.
    A feature table knows no sessions: its rows are in one.
    """
    if recipe.images == [TABLE]:
        return {patient: [TABLE] for patient in patients}
    known = set(patients)
    order: dict[str, dict[str, int]] = {patient: {} for patient in patients}
    for row in series.select(["patient", "session", "session_order", "kind", "state"]).to_pylist():
        if row["patient"] in known and row["kind"] == "image" and row["state"] == "used":
            order[row["patient"]][row["session"]] = row["session_order"]
    usable = {
        patient: [name for _, name in sorted((rank, name) for name, rank in at.items())]
        for patient, at in order.items()
    }
    if window is not None:
        usable = _within(usable, window, days, flow)
    chosen: dict[str, list[str]] = {}
    losses = []
    for patient, names in usable.items():
        chosen[patient] = _asked(names, patient, recipe, days)
        code = "session_not_asked" if chosen[patient] else "index_date_missing"
        losses += [
            Loss(patient=patient, session=name, item=name, code=code) for name in names if name not in chosen[patient]
        ]
    leaving, entering = _count(chosen), _count(usable)
    flow.add("session", "Sessions with a usable image", "sessions", entering=entering, leaving=leaving, losses=losses)
    return chosen


def _asked(names: list[str], patient: str, recipe: Recipe, days: Days) -> list[str]:
    """The sessions that a recipe asks for, of those that a patient has in order of time."""
    if recipe.session == "nearest":
        return nearest(names, patient, days)
    return {"first": names[:1], "last": names[-1:], "all": names}[recipe.session]


def _within(sessions: Mapping[str, list[str]], window: tuple[int, int], days: Days, flow: Flow) -> dict[str, list[str]]:
    """Sessions inside the window; one without a day from the index date cannot be told to be."""
    inside: dict[str, list[str]] = {}
    losses = []
    for patient, names in sessions.items():
        inside[patient] = []
        for name in names:
            day = days.get((patient, name))
            if day is not None and window[0] <= day <= window[1]:
                inside[patient].append(name)
                continue
            code = "index_date_missing" if day is None else "image_outside_window"
            detail = "" if day is None else f"image on day {day:.0f}, window {window[0]} to {window[1]}"
            losses.append(Loss(patient=patient, session=name, item=name, code=code, detail=detail))
    title = "Sessions inside the window"
    flow.add("window", title, "sessions", entering=_count(sessions), leaving=_count(inside), losses=losses)
    return inside


def _count(sessions: Mapping[str, Sequence[str]]) -> int:
    return sum(len(names) for names in sessions.values())


def instances_of(
    found: FeatureRows, patients: Sequence[str], sessions: Mapping[str, Sequence[str]], recipe: Recipe, flow: Flow
) -> list[Candidate]:
    """ROI instances in the chosen sessions; for unit `patient` the one with the lowest number.

    A patient without any session left goes by the reason of its last session, not as one without the ROI, and one
    whose instances were all rejected by that.
    """
    gone = {loss.patient: loss.code for loss in flow.losses if loss.item == loss.session}
    unasked = {(loss.patient, loss.session) for loss in flow.losses if loss.item == loss.session}
    by_patient: dict[str, list[Candidate]] = {patient: [] for patient in patients}
    rejected: dict[str, list[Candidate]] = {patient: [] for patient in patients}
    elsewhere: dict[str, set[str]] = {patient: set() for patient in patients}
    for instance in sorted(found.instances()):
        patient, session, _ = instance
        # where every image of a session was rejected, the session itself is not usable any more
        if patient in rejected and instance in found.rejected and (patient, session) not in unasked:
            rejected[patient].append(instance)
        elif patient in by_patient and session in sessions[patient]:
            by_patient[patient].append(instance)
        elif patient in elsewhere:
            elsewhere[patient].add(session)
    having = [patient for patient in patients if by_patient[patient]]
    codes = {patient: "roi_absent" if sessions[patient] else gone.get(patient, "roi_absent") for patient in patients}
    absent = [
        Loss(
            patient=patient,
            item=recipe.roi,
            code=BY_READER if rejected[patient] else codes[patient],
            detail=_elsewhere(elsewhere[patient]),
        )
        for patient in patients
        if not by_patient[patient]
    ]
    title = f"Patients with the ROI {recipe.roi}"
    flow.add("roi", title, "patients", entering=len(patients), leaving=len(having), losses=absent)
    every = [instance for patient in having for instance in sorted([*by_patient[patient], *rejected[patient]])]
    drawn = [instance for instance in every if instance not in found.rejected]
    chosen = [by_patient[patient][0] for patient in having] if recipe.unit == "patient" else drawn
    losses = [
        Loss(
            patient=instance[0],
            session=instance[1],
            item=f"{recipe.roi}-{instance[2]}",
            code=BY_READER if instance in found.rejected else "roi_not_first",
        )
        for instance in every
        if instance not in set(chosen)
    ]
    flow.add("instance", "ROI instances", "ROIs", entering=len(every), leaving=len(chosen), losses=losses)
    return chosen


def _elsewhere(sessions: Iterable[str]) -> str:
    names = sorted(sessions)
    return f"drawn only in session {', '.join(names)}" if names else ""


def with_features(
    found: FeatureRows, candidates: Sequence[Candidate], reasons: pa.Table, flow: Flow
) -> list[Candidate]:
    """Instances that have every image of the recipe, and most of its features."""
    complete, absent = [], []
    for candidate in candidates:
        lacking = [image for image, rows in found.rows.items() if candidate not in rows]
        if lacking:
            absent.append(_loss(found, candidate, "image_absent", ", ".join(lacking)))
        else:
            complete.append(candidate)
    flow.add("image", "All images there", "samples", entering=len(candidates), leaving=len(complete), losses=absent)
    codes = _missing_codes(reasons)
    usable, losses = [], []
    for candidate in complete:
        poor = [image for image in found.rows if found.missing_share(image, candidate) > MOST_MISSING]
        if poor:
            why = sorted({code for image in poor for code in codes.get((*candidate, found.roi, image), ())})
            losses.append(_loss(found, candidate, "features_missing", "; ".join([", ".join(poor), *why])))
        else:
            usable.append(candidate)
    title = "Most features computed"
    flow.add("features", title, "samples", entering=len(complete), leaving=len(usable), losses=losses)
    return usable


def _missing_codes(reasons: pa.Table) -> dict[tuple[Any, ...], set[str]]:
    codes: dict[tuple[Any, ...], set[str]] = {}
    for row in reasons.to_pylist():
        if row["kind"] == "missing":
            key = (row["patient"], row["session"], row["lesion"], row["roi"], row["image"])
            codes.setdefault(key, set()).add(row["reason"])
    return codes


def _loss(found: FeatureRows, candidate: Candidate, code: str, detail: str) -> Loss:
    patient, session, lesion = candidate
    return Loss(patient=patient, session=session, item=f"{found.roi}-{lesion}", code=code, detail=detail)
