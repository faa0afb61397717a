"""Samples of an analysis: features and clinical table paired, one row a sample, and the flow that led there.

For unit `patient`, one ROI instance stands for a patient: the one with the lowest number, of the session that the
recipe asks for. The first session is the first with a usable image, drawn on or not: a later image never steps in
silently. For unit `lesion` every instance is a sample, with its patient's outcome or its own.

Where networks draw inside each fold (recipe: segmentation), there is no automatic mask yet: the masks that they learn
from decide who is a sample, and the table holds their features only, as another set's (`<image>@<set>.<name>`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from osteorad.cohort.config import Analysis
from osteorad.cohort.divisions import LEAST_PATIENTS
from osteorad.cohort.flow import Flow, Loss, set_aside_rows
from osteorad.cohort.instances import Candidate, FeatureRows, instances_of, sessions_of, with_features
from osteorad.cohort.outcomes import STRUCTURE, lesion_outcome, outcome_of
from osteorad.cohort.recipe import SHUFFLED, Recipe
from osteorad.cohort.schemas import QUARANTINE, SAMPLES
from osteorad.cohort.timeline import Days, session_days
from osteorad.errors import AnalysisRefused, ConfigError, SetAside
from osteorad.files import json_text, table_from_rows
from osteorad.provenance import sample_key

LEAST_QUARANTINED = 5  # fewer than this never stop an analysis
LESION_FACTS = ("location", "type")
NO_CLINICAL = pa.table(
    {name: pa.array([], pa.string() if name in ("patient", "site") else pa.float64()) for name in STRUCTURE}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class CohortTables:
    """What an analysis reads of its cohort.

    features, reasons : contract 4, of `reference_set`. patients, series : schemas of those names. clinical : days
    since the index date. inputs : name -> SHA-256 of the files, for lineage. lesions : schemas.LESIONS, where the
    cohort has such a table. second : features from the recipe's second mask set. shuffled : those of its own set with
    shuffled voxels.
    """

    features: pa.Table
    reasons: pa.Table
    patients: pa.Table
    series: pa.Table
    clinical: pa.Table
    inputs: Mapping[str, str]
    lesions: pa.Table | None = None
    second: pa.Table | None = None
    shuffled: pa.Table | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleSet:
    """Samples, what was set aside on the way, and the counts of every stage."""

    table: pa.Table
    set_aside: pa.Table
    flow: dict[str, Any]


def reference_set(recipe: Recipe) -> str:
    """The mask set that decides who is a sample: the recipe's own, or that from which its networks learn."""
    return recipe.mask_set if recipe.segmentation is None else str(recipe.second_set)


def make_samples(
    tables: CohortTables, *, cohort: str, analysis: str, recipe: Recipe, settings: Analysis, max_quarantined: float
) -> SampleSet:
    """Pair features with outcomes; count every stage.

    Raises AnalysisRefused where too many patients are quarantined or too few of a class are left, ConfigError where
    the recipe asks for an image or outcome that the tables do not have, or for lesions of networks.
    """
    if recipe.segmentation is not None and recipe.unit == "lesion":
        raise ConfigError(
            f"{analysis}: unit lesion needs masks that people drew: numbers of lesions that a network finds are not "
            "those of readers. Wanted: unit: patient, with one region a patient, such as roi: bone."
        )
    quarantined = _refuse_quarantined(tables.patients, max_quarantined)
    flow = Flow()
    patients = _patients(tables.patients, flow)
    within_cohort = len(flow.losses)
    found = FeatureRows(tables.features, recipe, reference_set(recipe), tables.reasons)
    days = session_days(tables.series, tables.clinical)
    sessions = sessions_of(tables.series, patients, recipe, settings.image_window_days, days, flow)
    candidates = instances_of(found, patients, sessions, recipe, flow)
    candidates = with_features(found, candidates, tables.reasons, flow)
    outcomes = _outcomes(candidates, tables, recipe, settings, days, flow)
    events, others = _class_sizes(outcomes)
    if min(events, others) < LEAST_PATIENTS:
        raise AnalysisRefused(
            f"{analysis}: too few patients: {events} with and {others} without {_event(recipe)} are left after "
            f"{len(flow.stages)} stages. Wanted: at least {LEAST_PATIENTS} of each. {_largest_loss(flow)}"
        )
    second = None if tables.second is None else FeatureRows(tables.second, recipe, str(recipe.second_set))
    shuffled = None if tables.shuffled is None else FeatureRows(tables.shuffled, recipe, recipe.mask_set)
    beside = {str(recipe.second_set): second, SHUFFLED: shuffled}
    table = _table(found, outcomes, tables, cohort=cohort, recipe=recipe, days=days, beside=beside)
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
            "patients": len({patient for patient, _, _ in outcomes}),
            "samples": table.num_rows,
            "events": int(sum(outcomes.values())),
            "non_events": len(outcomes) - int(sum(outcomes.values())),
        },
        "quarantined": quarantined,
        "covariates": {
            "used": [name for name in recipe.covariates if name in present],
            "absent": [name for name in recipe.covariates if name not in present],
        },
        "second": _second_counts(second, outcomes, recipe),
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
    candidates: Sequence[Candidate],
    tables: CohortTables,
    recipe: Recipe,
    settings: Analysis,
    days: Days,
    flow: Flow,
) -> dict[Candidate, int]:
    rows = {row["patient"]: row for row in tables.clinical.to_pylist()}
    lesions = _lesion_rows(tables.lesions, recipe.roi)
    outcomes: dict[Candidate, int] = {}
    losses = []
    for candidate in candidates:
        patient, session, _ = candidate
        try:
            if recipe.outcome_of == "lesion":
                outcomes[candidate] = lesion_outcome(lesions.get(candidate))
            else:
                outcomes[candidate] = outcome_of(rows.get(patient), settings, days.get((patient, session)))
        except SetAside as aside:
            losses.append(Loss(patient=patient, session=session, item="outcome", code=aside.code, detail=aside.detail))
    title = "Outcome known"
    flow.add("outcome", title, "samples", entering=len(candidates), leaving=len(outcomes), losses=losses)
    return outcomes


def _lesion_rows(lesions: pa.Table | None, roi: str) -> dict[Candidate, dict[str, Any]]:
    rows = [] if lesions is None else lesions.to_pylist()
    return {(row["patient"], row["session"], row["lesion"]): row for row in rows if row["roi"] == roi}


def _event(recipe: Recipe) -> str:
    return "the event in any lesion" if recipe.outcome_of == "lesion" else "the event"


def _second_counts(
    second: FeatureRows | None, outcomes: Mapping[Candidate, int], recipe: Recipe
) -> dict[str, Any] | None:
    """How many samples a second reader drew on every image of the recipe, well enough for features."""
    if second is None:
        return None
    drawn = sum(all(second.measured(image, candidate) for image in recipe.images) for candidate in outcomes)
    return {"mask_set": recipe.second_set, "samples": drawn, "without": len(outcomes) - drawn}


def _class_sizes(outcomes: Mapping[Candidate, int]) -> tuple[int, int]:
    """Patients with the event in any sample, and patients without it in any; one with both kinds counts twice."""
    found = {value: {patient for (patient, _, _), outcome in outcomes.items() if outcome == value} for value in (1, 0)}
    return len(found[1]), len(found[0])


def _largest_loss(flow: Flow) -> str:
    groups = [group for stage in flow.stages for group in stage["set_aside"]]
    if not groups:
        return "Nothing was set aside."
    most = max(groups, key=lambda group: group["count"])
    return f"The largest loss: {most['count']} by '{most['reason']}' ({most['sentence']})"


def _table(
    found: FeatureRows,
    outcomes: Mapping[Candidate, int],
    tables: CohortTables,
    *,
    cohort: str,
    recipe: Recipe,
    days: Days,
    beside: Mapping[str, FeatureRows | None],
) -> pa.Table:
    """The samples table: keys, days and outcome, `clinical.<name>`, `lesion.<name>`, `<image>.<feature>`, and of the
    tables beside it (a second reader's set, shuffled voxels) `<image>@<name>.<feature>`; metadata of columns is kept.
    Where networks draw, `found` itself is another set's.
    """
    own = "" if recipe.segmentation is None else f"@{reference_set(recipe)}"
    order, clinical = sorted(outcomes), tables.clinical
    place = {patient: row for row, patient in enumerate(clinical["patient"].to_pylist())}
    clinical_rows = pa.array([place.get(patient) for patient, _, _ in order], pa.int64())
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
        "image_day": [days.get((patient, session)) for patient, session, _ in order],
        "event_day": _event_days(clinical, clinical_rows, recipe),
        "outcome": [outcomes[candidate] for candidate in order],
    }
    fields = list(SAMPLES)
    ready = ("site", "event_day")
    columns = [keys[name] if name in ready else pa.array(keys[name], SAMPLES.field(name).type) for name in keys]
    for name in covariates:
        fields.append(clinical.schema.field(name).with_name(f"clinical.{name}"))
        columns.append(clinical[name].take(clinical_rows))
    if recipe.unit == "lesion" and tables.lesions is not None:
        lesions = _lesion_rows(tables.lesions, recipe.roi)
        for name in LESION_FACTS:
            fields.append(pa.field(f"lesion.{name}", pa.string()))
            columns.append(pa.array([lesions.get(candidate, {}).get(name) for candidate in order], pa.string()))
    for image in recipe.images:
        rows = pa.array([found.rows[image][candidate] for candidate in order], pa.int64())
        for name in found.columns[image]:
            fields.append(found.table.schema.field(name).with_name(f"{image}{own}.{name}"))
            columns.append(found.table[name].take(rows))
    for other, table in beside.items():
        for image in recipe.images if table is not None else ():
            assert table is not None
            rows = pa.array([table.rows[image].get(candidate) for candidate in order], pa.int64())
            for name in found.columns[image]:
                fields.append(found.table.schema.field(name).with_name(f"{image}@{other}.{name}"))
                columns.append(_values_beside(table, name, rows))
    metadata = {**(found.table.schema.metadata or {}), b"inputs": json_text(dict(tables.inputs)).encode()}
    return pa.table(columns, schema=pa.schema(fields, metadata=metadata))


def _event_days(clinical: pa.Table, rows: pa.Array, recipe: Recipe) -> pa.ChunkedArray | pa.Array:
    """Day of the event of each sample; the outcome of a lesion is no event in time."""
    if recipe.outcome_of == "lesion":
        return pa.nulls(len(rows), pa.float64())
    return clinical["event_day"].take(rows).cast(pa.float64())


def _values_beside(other: FeatureRows, name: str, rows: pa.Array) -> pa.ChunkedArray | pa.Array:
    """A feature of another table, such as a second reader's; NaN where that reader drew nothing."""
    if name not in other.names:
        return pa.array([float("nan")] * len(rows), pa.float64())
    return other.table[name].take(rows).fill_null(float("nan"))
