"""Every problem of a working folder before the first job: settings, recipes, tables; and what a run would cost.

Light: runs in Snakemake's main process. Messages name lines of tables and pseudonyms, never what a cell says,
because they reach logs.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from osteorad.cohort.clinical_table import (
    MIN_PER_CLASS,
    ClinicalRow,
    asked_columns,
    class_problems,
    days_of,
    has_times,
    outcome_at,
    outcome_values,
    read_rows,
    spoiled_ids,
)
from osteorad.cohort.config import Analysis, ClinicalTable
from osteorad.cohort.feature_check import feature_problems
from osteorad.cohort.forecast import Counts, Forecast, forecast, phantom_counts
from osteorad.cohort.lesion_table import LesionRow, class_sizes, read_lesions
from osteorad.cohort.load import Loaded, load
from osteorad.cohort.pseudonyms import FILE_NAME
from osteorad.cohort.review import review_of
from osteorad.cohort.series_table import series_problems
from osteorad.cohort.slice_manifest import problems_of as slice_problems
from osteorad.cohort.tables import Table, lines_text, read_table, unknown_column
from osteorad.cohort.whole import COHORTS, lacking, outcome_problems, whole_patients
from osteorad.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """What an index of the source tells: source patient id -> pseudonym, and the number of files."""

    patients: Mapping[str, str]
    files: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What `check` found. Problems stop a run; notes do not."""

    problems: list[str]
    notes: list[str] = field(default_factory=list)
    forecast: Forecast | None = None

    def as_dict(self) -> dict[str, Any]:
        """For `--json`."""
        costs = None
        if self.forecast is not None:
            costs = {name: getattr(self.forecast, name) for name in ("jobs", "cpu_hours", "disk_gb", "files")}
        return {"ok": not self.problems, "problems": self.problems, "notes": self.notes, "forecast": costs}


def check(workdir: Path, root: Path, known: Mapping[str, Known] | None = None) -> Report:
    """Read the settings and look at everything that can be wrong before the first job.

    known : cohort -> what its index tells, where there is one; without it the lists of patients are not compared.
    """
    try:
        loaded = load(workdir, root)
    except ConfigError as error:
        return Report(problems=error.problems)
    return check_loaded(loaded, known or {})


def check_loaded(loaded: Loaded, known: Mapping[str, Known]) -> Report:
    """`check` of settings that are read already."""
    problems: list[str] = []
    notes: list[str] = []
    for name, cohort in loaded.config.cohorts.items():
        problems += review_of(loaded, name, set(known[name].patients.values()) if name in known else None)[1]
        if cohort.source == "phantom":
            continue
        if cohort.table is not None:
            problems += feature_problems(loaded, name, cohort.table)
            continue
        if cohort.slices is not None:
            where = partial(loaded.located.where, "cohorts", name, "slices")
            problems += slice_problems(cohort.slices, loaded.workdir, where)
            continue
        if loaded.whole(name):
            problems += _whole(loaded, name)
            continue
        for table_check in (_clinical, _lesions, _series):
            found, remarks = table_check(loaded, name, known.get(name))
            problems += found
            notes += remarks
    notes += _covariates(loaded)
    cohorts, analyses = loaded.targets
    counts = {name: _counts(loaded, name, known.get(name)) for name in cohorts}
    for name in cohorts:
        if counts[name].files is None:
            place = loaded.located.where("cohorts", name, "path")
            notes.append(
                f"{place}: the export was not looked through yet, so the forecast leaves it out. "
                "A dry run does it: snakemake -n"
            )
    costs = forecast(loaded.config, loaded.recipes, counts, cohorts, analyses)
    return Report(problems=problems, notes=notes, forecast=costs)


def _covariates(loaded: Loaded) -> Iterator[str]:
    """Covariates of a recipe that a cohort does not keep: its clinical model does without them."""
    for name, recipe in loaded.recipes.items():
        cohort = loaded.config.analyses[name].cohort
        kept = loaded.config.cohorts[cohort].covariates
        if lacking := [covariate for covariate in recipe.covariates if covariate not in kept]:
            place = loaded.located.where("analyses", name, "recipe")
            names = ", ".join(lacking)
            yield f"{place}: the clinical model goes without {names}: cohort '{cohort}' does not keep it."


def require(loaded: Loaded, known: Mapping[str, Known] | None = None) -> None:
    """ConfigError with every problem of the tables; nothing where there is none."""
    if problems := check_loaded(loaded, known or {}).problems:
        raise ConfigError(problems)


def _counts(loaded: Loaded, cohort: str, known: Known | None) -> Counts:
    settings = loaded.config.cohorts[cohort]
    if settings.source == "phantom":
        return phantom_counts(loaded.config, cohort)
    if settings.table is not None:
        return Counts(patients=0, files=0)  # nothing of it costs anything by patient
    if loaded.whole(cohort):
        return Counts(patients=len(whole_patients(loaded.path(f"{COHORTS}/{cohort}"))), files=0)
    return Counts(patients=len(known.patients) if known else None, files=known.files if known else None)


def _whole(loaded: Loaded, cohort: str) -> Iterator[str]:
    """A cohort that another site ingested: all of it came along, and its outcomes allow the analyses."""
    folder = loaded.path(f"{COHORTS}/{cohort}")
    place = loaded.located.where("cohorts", cohort, "path")
    asked = loaded.outcomes_of(cohort)
    sets = sorted({"manual", *(name for recipe in asked.values() for name in recipe.drawn_sets)})
    patients = whole_patients(folder)
    if not patients:
        yield f"{place}: there is no patient in it. Wanted: dicom/<patient>/images.json, as ingest writes them."
        return
    yield from (f"{place}: {said}. Copy the whole folder again." for said in lacking(folder, patients, sets))
    for name, recipe in asked.items():
        analysis = loaded.config.analyses[name]
        if recipe.outcome_of == "patient" and loaded.config.cohorts[cohort].clinical is not None:
            at = loaded.located.where("analyses", name, "outcome")
            yield from outcome_problems(folder, analysis.outcome, analysis.horizon_days, at)


# --- the clinical table -----------------------------------------------------------------------------------------------


def _clinical(loaded: Loaded, cohort: str, known: Known | None) -> tuple[list[str], list[str]]:
    settings = loaded.config.cohorts[cohort].clinical
    if settings is None:
        return [], []

    def where(*keys: str) -> str:
        return loaded.located.where("cohorts", cohort, "clinical", *keys)

    try:
        table = read_table(loaded.path(settings.path), settings.path)
    except ConfigError as error:
        return error.problems, []
    rows, problems = read_rows(table, settings, where)
    sound = not problems
    problems += _spoiled(table, [(row.line, row.source_patient_id) for row in rows], known)
    if loaded.config.cohorts[cohort].source == "deidentified":
        problems += _file_names(table, rows)
    for name, recipe in loaded.outcomes_of(cohort).items():
        if recipe.outcome_of == "patient":
            analysis = loaded.config.analyses[name]
            problems += _outcome(loaded, name, analysis, _Clinical(table, settings, rows, known, sound))
    return list(dict.fromkeys(problems)), _absent(table, rows, known)


@dataclass(frozen=True, slots=True)
class _Clinical:
    table: Table
    settings: ClinicalTable
    rows: list[ClinicalRow]
    known: Known | None
    sound: bool  # False: the table has problems of its own, so counting classes would only add noise


def _file_names(table: Table, rows: list[ClinicalRow]) -> list[str]:
    """Without a key the patient's id is the name of folders."""
    bad = [row.line for row in rows if row.source_patient_id and not FILE_NAME.fullmatch(row.source_patient_id)]
    if not bad:
        return []
    return [
        f"{table.name}: the patient cannot be a file name on {lines_text(bad)}. "
        "Wanted: letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit."
    ]


def _spoiled(table: Table, ids: Sequence[tuple[int, str]], known: Known | None) -> list[str]:
    """Patients whose id a spreadsheet changed, so that nobody's images are found."""
    if not (lines := spoiled_ids(ids, known.patients if known else ())):
        return []
    return [
        f"{table.name}: a spreadsheet changed the patient to a number or a date on {lines_text(lines)}. "
        "Wanted: the PatientID as text; format the column as text, type it again."
    ]


def _absent(table: Table, rows: list[ClinicalRow], known: Known | None) -> list[str]:
    """Patients of the table without images, and the other way round: facts, not mistakes."""
    if known is None:
        return []
    notes = []
    if lines := [row.line for row in rows if row.source_patient_id not in known.patients]:
        notes.append(f"{table.name}: {len(lines)} of {len(rows)} patients have no images: {lines_text(lines)}.")
    listed = {row.source_patient_id for row in rows}
    if absent := sorted(pseudonym for source_id, pseudonym in known.patients.items() if source_id not in listed):
        shown = ", ".join(absent[:10]) + (", ..." if len(absent) > 10 else "")
        notes.append(f"{table.name}: {len(absent)} of {len(known.patients)} patients with images have no row: {shown}.")
    return notes


def _outcome(loaded: Loaded, name: str, analysis: Analysis, clinical: _Clinical) -> list[str]:
    """The outcome of an analysis: there, 0 or 1, with enough patients of each class."""
    place = loaded.located.where("analyses", name, "outcome")
    if analysis.horizon_days is not None:
        if not has_times(clinical.table, clinical.settings):
            names = "event_date, last_seen, event_day, last_seen_day"
            return [f"{place}: horizon_days needs one of the columns {names}; {clinical.table.name} has none."]
        values = _values_at(clinical, analysis.horizon_days)
        return list(class_problems(place, values)) if clinical.sound and values is not None else []
    column = clinical.settings.columns.get(analysis.outcome, analysis.outcome)
    if column not in clinical.table.header:
        if analysis.outcome == "outcome" and "outcome" in clinical.settings.columns:
            return []  # told already, at the mapping
        table = clinical.table
        return [unknown_column(table.name, table.header, column, asked_columns(clinical.settings), place)]
    found, problems = outcome_values(
        clinical.table, clinical.settings, clinical.rows, analysis.outcome, lambda *keys: place
    )
    values = [found[row.line] for row in _with_images(clinical) if row.line in found]
    return problems or (list(class_problems(place, values)) if clinical.sound else [])


def _with_images(clinical: _Clinical) -> Iterator[ClinicalRow]:
    for row in clinical.rows:
        if clinical.known is None or row.source_patient_id in clinical.known.patients:
            yield row


def _values_at(clinical: _Clinical, horizon_days: int) -> list[int] | None:
    """Outcomes at the horizon; None where day 0 is the first session, which the table does not tell."""
    if not any("index_date" in row.dates or row.days for row in clinical.rows):
        return None
    values = []
    for row in _with_images(clinical):
        days = days_of(row, None)
        value = outcome_at(days["event_day"], days["last_seen_day"], horizon_days)
        values += [] if value is None else [value]
    return values


# --- the other tables -------------------------------------------------------------------------------------------------


def _lesions(loaded: Loaded, cohort: str, known: Known | None) -> tuple[list[str], list[str]]:
    settings = loaded.config.cohorts[cohort].lesions
    if settings is None:
        return [], []
    try:
        table = read_table(loaded.path(settings.path), settings.path)
    except ConfigError as error:
        return error.problems, []
    rows, problems = read_lesions(
        table, settings, lambda *keys: loaded.located.where("cohorts", cohort, "lesions", *keys)
    )
    if not problems:
        problems += _spoiled(table, [(row.line, row.source_patient_id) for row in rows], known)
        for name, recipe in loaded.outcomes_of(cohort).items():
            if recipe.outcome_of == "lesion":
                problems += _lesion_classes(loaded.located.where("analyses", name, "outcome"), table, rows, known)
    return list(dict.fromkeys(problems)), []


def _lesion_classes(place: str, table: Table, rows: list[LesionRow], known: Known | None) -> Iterator[str]:
    """Enough patients with a lesion of each outcome; a patient may have lesions of both."""
    events, others = class_sizes([row for row in rows if known is None or row.source_patient_id in known.patients])
    if min(events, others) < MIN_PER_CLASS:
        yield (
            f"{place}: {table.name} tells of {events} patients with a lesion of outcome 1 and {others} with one of 0. "
            f"Wanted: at least {MIN_PER_CLASS} of each, for two folds with 3."
        )


def _series(loaded: Loaded, cohort: str, known: Known | None) -> tuple[list[str], list[str]]:
    path = loaded.config.cohorts[cohort].series
    if path is None:
        return [], []
    try:
        table = read_table(loaded.path(path), path)
    except ConfigError as error:
        return error.problems, []
    return list(series_problems(table, loaded.located.where("cohorts", cohort, "series"))), []
