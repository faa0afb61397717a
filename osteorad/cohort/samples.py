"""Samples of an analysis: features and clinical table paired, one row a sample, and the flow that led there.

For unit `patient`, one ROI instance stands for a patient: the one with the lowest number, of the session that the
recipe asks for. The first session is the first with a usable image, drawn on or not: a later image never steps in
silently. For unit `lesion` every instance is a sample, with its patient's outcome.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from osteorad.cohort.config import Analysis, Recipe
from osteorad.cohort.divisions import LEAST_PATIENTS
from osteorad.cohort.flow import Flow, Loss, set_aside_rows
from osteorad.cohort.instances import Candidate, FeatureRows, instances_of, sessions_of, with_features
from osteorad.cohort.outcomes import STRUCTURE, outcome_of
from osteorad.cohort.schemas import QUARANTINE, SAMPLES
from osteorad.errors import AnalysisRefused, SetAside
from osteorad.files import json_text, table_from_rows
from osteorad.provenance import sample_key

LEAST_QUARANTINED = 5  # fewer than this never stop an analysis


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortTables:
    """What an analysis reads of its cohort.

    features, reasons : contract 4. patients, series : schemas of those names. clinical : days since the index date.
    inputs : name -> SHA-256 of the files, for lineage.
    """

    features: pa.Table
    reasons: pa.Table
    patients: pa.Table
    series: pa.Table
    clinical: pa.Table
    inputs: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSet:
    """Samples, what was set aside on the way, and the counts of every stage."""

    table: pa.Table
    set_aside: pa.Table
    flow: dict[str, Any]


def make_samples(
    tables: CohortTables, *, cohort: str, analysis: str, recipe: Recipe, settings: Analysis, max_quarantined: float
) -> SampleSet:
    """Pair features with outcomes; count every stage.

    Raises AnalysisRefused where too many patients are quarantined or too few of a class are left, ConfigError where
    the recipe asks for an image or outcome that the tables do not have.
    """
    quarantined = _refuse_quarantined(tables.patients, max_quarantined)
    flow = Flow()
    patients = _patients(tables.patients, flow)
    within_cohort = len(flow.losses)
    found = FeatureRows(tables.features, recipe)
    sessions = sessions_of(tables.series, patients, recipe, flow)
    candidates = instances_of(found, patients, sessions, recipe, flow)
    candidates = with_features(found, candidates, tables.reasons, flow)
    outcomes = _outcomes(candidates, tables.clinical, settings, flow)
    events, others = _class_sizes(outcomes)
    if min(events, others) < LEAST_PATIENTS:
        raise AnalysisRefused(
            f"{analysis}: too few patients: {events} with and {others} without the event are left after "
            f"{len(flow.stages)} stages. Wanted: at least {LEAST_PATIENTS} of each. {_largest_loss(flow)}"
        )
    table = _table(found, outcomes, tables.clinical, cohort=cohort, recipe=recipe, inputs=tables.inputs)
    aside = table_from_rows(set_aside_rows(flow.losses[within_cohort:], cohort), QUARANTINE)
    present = set(tables.clinical.column_names)
    facts = {
        "cohort": cohort,
        "analysis": analysis,
        "unit": recipe.unit,
        "roi": recipe.roi,
        "mask_set": recipe.mask_set,
        "images": list(recipe.images),
        "stages": flow.stages,
        "used": {
            "patients": events + others,
            "samples": table.num_rows,
            "events": int(sum(outcomes.values())),
            "non_events": len(outcomes) - int(sum(outcomes.values())),
        },
        "quarantined": quarantined,
        "covariates": {
            "used": [name for name in recipe.covariates if name in present],
            "absent": [name for name in recipe.covariates if name not in present],
        },
        "set_aside": aside.to_pylist(),
    }
    return SampleSet(table=table, set_aside=aside, flow=facts)


def _refuse_quarantined(patients: pa.Table, limit: float) -> dict[str, Any]:
    rows = [row for row in patients.to_pylist() if row["reason"] != "table_without_images"]
    found = sum(row["state"] == "quarantined" for row in rows)
    share = found / len(rows) if rows else 0.0
    if found >= LEAST_QUARANTINED and share > limit:
        raise AnalysisRefused(
            f"{found} of {len(rows)} patients are quarantined ({share:.0%}); above {limit:.0%} no analysis is run. "
            "See the cohort page for their reasons, or raise max_quarantined."
        )
    return {"patients": found, "of": len(rows), "share": share, "limit": limit}


def _patients(patients: pa.Table, flow: Flow) -> list[str]:
    rows = patients.to_pylist()
    used = sorted(row["patient"] for row in rows if row["state"] == "used")
    losses = [
        Loss(patient=row["patient"], item=row["patient"], code=row["reason"]) for row in rows if row["state"] != "used"
    ]
    flow.add("cohort", "Patients of the cohort", "patients", entering=len(rows), leaving=len(used), losses=losses)
    return used


def _outcomes(
    candidates: Sequence[Candidate], clinical: pa.Table, settings: Analysis, flow: Flow
) -> dict[Candidate, int]:
    rows = {row["patient"]: row for row in clinical.to_pylist()}
    outcomes: dict[Candidate, int] = {}
    losses = []
    for candidate in candidates:
        patient, session, _ = candidate
        try:
            outcomes[candidate] = outcome_of(rows.get(patient), settings)
        except SetAside as aside:
            losses.append(Loss(patient=patient, session=session, item="outcome", code=aside.code, detail=aside.detail))
    title = "Outcome known"
    flow.add("outcome", title, "samples", entering=len(candidates), leaving=len(outcomes), losses=losses)
    return outcomes


def _class_sizes(outcomes: Mapping[Candidate, int]) -> tuple[int, int]:
    """Patients with the event in any sample, and those without."""
    events = {patient for (patient, _, _), outcome in outcomes.items() if outcome}
    return len(events), len({patient for patient, _, _ in outcomes} - events)


def _largest_loss(flow: Flow) -> str:
    groups = [group for stage in flow.stages for group in stage["set_aside"]]
    if not groups:
        return "Nothing was set aside."
    most = max(groups, key=lambda group: group["count"])
    return f"The largest loss: {most['count']} by '{most['reason']}' ({most['sentence']})"


def _table(
    found: FeatureRows,
    outcomes: Mapping[Candidate, int],
    clinical: pa.Table,
    *,
    cohort: str,
    recipe: Recipe,
    inputs: Mapping[str, str],
) -> pa.Table:
    """The samples table: keys and outcome, `clinical.<name>`, `<image>.<feature>`; metadata of columns is kept."""
    order = sorted(outcomes)
    place = {patient: row for row, patient in enumerate(clinical["patient"].to_pylist())}
    clinical_rows = pa.array([place[patient] for patient, _, _ in order], pa.int64())
    covariates = [name for name in clinical.column_names if name not in STRUCTURE]
    site = clinical["site"].take(clinical_rows) if "site" in clinical.column_names else None
    keys: dict[str, Any] = {
        "cohort": [cohort] * len(order),
        "patient": [patient for patient, _, _ in order],
        "session": [session for _, session, _ in order],
        "roi": [recipe.roi] * len(order),
        "lesion": [lesion for _, _, lesion in order],
        "sample": [sample_key(cohort, patient, session, recipe.roi, lesion) for patient, session, lesion in order],
        "mask_set": [recipe.mask_set] * len(order),
        "site": site.cast(pa.string()) if site is not None else pa.nulls(len(order), pa.string()),
        "image_day": pa.nulls(len(order), pa.float64()),
        "event_day": pa.nulls(len(order), pa.float64()),
        "outcome": [outcomes[candidate] for candidate in order],
    }
    fields = list(SAMPLES)
    ready = ("site", "image_day", "event_day")
    columns = [keys[name] if name in ready else pa.array(keys[name], SAMPLES.field(name).type) for name in keys]
    for name in covariates:
        fields.append(clinical.schema.field(name).with_name(f"clinical.{name}"))
        columns.append(clinical[name].take(clinical_rows))
    for image in recipe.images:
        rows = pa.array([found.rows[image][candidate] for candidate in order], pa.int64())
        for name in found.columns[image]:
            fields.append(found.table.schema.field(name).with_name(f"{image}.{name}"))
            columns.append(found.table[name].take(rows))
    metadata = {**(found.table.schema.metadata or {}), b"inputs": json_text(dict(inputs)).encode()}
    return pa.table(columns, schema=pa.schema(fields, metadata=metadata))
