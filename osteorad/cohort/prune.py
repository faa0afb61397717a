"""Removes people from a working folder: those who withdrew, and those whom the source no longer holds.

Whoever withdrew goes on the list that ingest obeys before anything is removed, so that a prune that is cut off is
finished by the next one. What was made of several people together is removed whole; the next run makes it without.
"""

from __future__ import annotations

import base64
import binascii
import shutil
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from osteorad.cohort.config import TABLE
from osteorad.cohort.load import Loaded
from osteorad.cohort.sources import add_withdrawn, read_withdrawn, source_of
from osteorad.cohort.tables import lines_text, read_table
from osteorad.errors import ConfigError, UserError, unknown_name
from osteorad.files import read_json, read_parquet, write_text

HISTORY = "history"  # of runs: numbers of patients, no names
RECORDS = ("logs", "benchmarks", ".snakemake")
MADE = ("results", "work", *RECORDS)
WORDS = (".json", ".jsonl", ".html", ".tsv", ".csv", ".log", ".txt", ".yaml", "")
LARGEST = 100_000_000  # bytes of a file of words


@dataclass(slots=True)
class Pruned:
    """What was removed: (unit, kind) -> count; and what is left to do by hand."""

    dry_run: bool
    removed: Counter[tuple[str, str]] = field(default_factory=Counter)
    told: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def remove(self, path: Path, kind: str) -> None:
        """Remove a file or folder and count its files."""
        if path.is_dir() and not path.is_symlink():
            self.removed["file", kind] += sum(1 for inner in path.rglob("*") if not inner.is_dir())
            if not self.dry_run:
                shutil.rmtree(path)
        elif path.exists() or path.is_symlink():
            self.removed["file", kind] += 1
            if not self.dry_run:
                path.unlink()

    def lines(self) -> list[str]:
        """For the command line."""
        word = "would remove" if self.dry_run else "removed"
        counts = [
            f"{word} {count} {unit}{'s' if count > 1 else ''}: {kind}" for (unit, kind), count in self.removed.items()
        ]
        todo = ["Left to do:", *(f"- {line}" for line in self.left)] if self.left else []
        nothing = [] if self.told or counts else ["Nothing to remove."]
        more = ["Run snakemake: it makes the tables, models and pages anew, without them."] if counts else []
        return [*self.told, *counts, *nothing, *todo, *([] if self.dry_run else more)]


def prune(
    loaded: Loaded, patient: str | None, current: Mapping[str, Collection[str]], *, dry_run: bool = False
) -> Pruned:
    """Remove a patient who withdrew (None: nobody), and every orphan: results of people whom no source holds.

    patient : pseudonym. current : cohort -> patients whom its source holds now, withdrawn ones included.
    Raises UserError where nobody has this pseudonym, a run is active, or the cohort was ingested elsewhere.
    """
    _refuse_active(loaded.workdir)
    done = Pruned(dry_run=dry_run)
    cohorts = _cohorts_of(loaded, patient, current) if patient is not None else []
    for cohort in cohorts:
        assert patient is not None
        _withdraw(loaded, cohort, patient, done)
    if patient is not None:
        for folder in sorted(loaded.path("contours").glob("*")):
            done.remove(folder / patient, "mask files that people drew")
        _search(loaded, patient, done)
    for cohort in loaded.config.cohorts:
        _orphans(loaded, cohort, {*current.get(cohort, ())}, done)
    return done


def _refuse_active(workdir: Path) -> None:
    if any((workdir / ".snakemake/locks").glob("*")):
        raise UserError(
            f"{workdir}: a run of Snakemake is active here, or one was killed. "
            "Wait for its end, or after a kill:  snakemake --profile local --unlock"
        )


def _cohorts_of(loaded: Loaded, patient: str, current: Mapping[str, Collection[str]]) -> list[str]:
    people = {cohort: _people(loaded, cohort) | {*current.get(cohort, ())} for cohort in loaded.config.cohorts}
    found = [cohort for cohort, names in people.items() if patient in names]
    if not found:
        everybody = sorted(set().union(*people.values()))
        where = "pseudonyms stand in private/<cohort>/pseudonyms.tsv"
        raise UserError(unknown_name("patient", patient, everybody, where))
    for cohort in found:
        if loaded.whole(cohort) and patient in current.get(cohort, ()):
            raise UserError(
                f"cohort {cohort} was ingested at another site. Withdraw the patient there, copy the folder "
                "again (rsync --delete), then run prune here."
            )
    return found


def _people(loaded: Loaded, cohort: str) -> set[str]:
    """Everybody of whom something may be here."""
    folder = loaded.path(f"results/cohorts/{cohort}")
    state = loaded.state(cohort)
    named = {path.stem for path in state.glob("state/*.json")} - {"unplaced"} | read_withdrawn(state)
    named |= {path.name for path in folder.glob("dicom/*")}
    if (folder / "patients.parquet").is_file():
        named |= set(read_parquet(folder / "patients.parquet", columns=("patient",))["patient"].to_pylist())
    return named


# --- one who withdrew -------------------------------------------------------------------------------------------------


def _withdraw(loaded: Loaded, cohort: str, patient: str, done: Pruned) -> None:
    state = loaded.state(cohort)
    done.told.append(f"withdrawn: {patient} of cohort {cohort}")
    _left_in_source(loaded, cohort, patient, done)
    if not done.dry_run:
        add_withdrawn(state, patient)
    _own_files(loaded, cohort, patient, done)
    _without_rows(state / "pseudonyms.tsv", patient, done)
    _without_rows(state / "review.tsv", patient, done)
    folder, people = loaded.path(f"results/cohorts/{cohort}"), _people(loaded, cohort)
    for path in sorted(folder.rglob("*")):
        shared = not any(part.split(".")[0] in people for part in path.relative_to(folder).parts)
        if path.is_file() and shared and path.stem != HISTORY:
            done.remove(path, f"tables and pages of cohort {cohort}")
    for analysis in _analyses_of(loaded, cohort):
        for path in sorted(loaded.path(f"results/analyses/{analysis}").glob("*")):
            if path.stem != HISTORY:
                done.remove(path, f"models, tables and pages of analysis {analysis}")
        done.remove(loaded.path(f"work/{analysis}"), f"models, tables and pages of analysis {analysis}")
    done.remove(loaded.path("results/index.html"), "index of all pages")
    listed = loaded.path(f"results/.state/patients/{cohort}.json")
    for path in (listed, listed.parent / "past" / cohort):
        done.remove(path, "records of runs")


def _own_files(loaded: Loaded, cohort: str, patient: str, done: Pruned) -> None:
    """Files and folders that carry the patient's name."""
    places = {
        "state and source": loaded.state(cohort),
        f"images, masks, features and pages of cohort {cohort}": loaded.path(f"results/cohorts/{cohort}"),
        "records of runs": loaded.path(f"results/.state/sources/{cohort}"),
        **{f"{name} of jobs": loaded.path(name) for name in ("logs", "benchmarks")},
    }
    for kind, folder in places.items():
        named = [path for path in folder.rglob("*") if path.name.split(".")[0] == patient]
        for path in sorted(named):
            if kind in ("state and source", "records of runs") or cohort in path.parts:
                done.remove(path, kind)


def _analyses_of(loaded: Loaded, cohort: str) -> list[str]:
    """Analyses that learned from the cohort, and those that apply what they learned."""
    analyses = loaded.config.analyses
    learned = {name for name, a in analyses.items() if a.cohort == cohort}
    return sorted(learned | {name for name, a in analyses.items() if a.bundle in learned})


def _without_rows(path: Path, patient: str, done: Pruned) -> None:
    """Rewrite a small table of ours without the patient's lines."""
    if not path.is_file():
        return
    lines = path.read_text(encoding="utf-8").splitlines()
    kept = [line for line in lines if patient not in line]
    if len(kept) < len(lines):
        done.removed["line", path.name] += len(lines) - len(kept)
        if not done.dry_run:
            write_text(path, "\n".join(kept) + "\n", mode=0o600)


def _left_in_source(loaded: Loaded, cohort: str, patient: str, done: Pruned) -> None:
    """What only the hospital can remove: the export, the tables, the settings, copies that left."""
    settings, state = loaded.config.cohorts[cohort], loaded.state(cohort)
    if (own := state / "state" / f"{patient}.json").is_file():
        count = len(read_json(own)["files"])
        done.left.append(f"the source of cohort {cohort} still holds {count} files of this patient; they are not read.")
    if settings.source == TABLE:
        done.left.append(f"the feature table of cohort {cohort} still has rows of this patient; they are not read.")
    if settings.source in ("dicom", "deidentified"):
        private, path = loaded.config.private_dir, settings.path
        source = source_of(cohort, kind=settings.source, path=path, workdir=loaded.workdir, private_dir=private)
        for table in (settings.clinical, settings.lesions):
            if table is None:
                continue
            try:
                read = read_table(loaded.path(table.path), table.path)
            except ConfigError as error:
                done.left += error.problems
                continue
            column = table.columns.get("patient", "patient")
            cells = read.column(column) if column in read.header else []
            if lines := [line for line, text in cells if source.pseudonym(text) == patient]:
                done.left.append(f"{table.path}: {lines_text(lines)} about this patient; they are not read.")
    if patient in settings.exclude:
        done.left.append(f"{loaded.located.where('cohorts', cohort, 'exclude')}: the settings name this patient.")
    if learned := _analyses_of(loaded, cohort):
        done.left.append(f"copies that left this folder: releases and bundles of {', '.join(learned)}, backups.")


# --- whatever else names them -----------------------------------------------------------------------------------------


def _search(loaded: Loaded, patient: str, done: Pruned) -> None:
    """Remove records of runs that name the patient; tell of any other file that does."""
    for top in MADE:
        for path in sorted(loaded.path(top).rglob("*")):
            if not path.is_file() or not _names(path, patient):
                continue
            if top in RECORDS or loaded.path("results/.state") in path.parents:
                done.remove(path, "records of runs")
            elif not done.dry_run:
                done.left.append(f"{path.relative_to(loaded.workdir)} still names this patient.")


def _names(path: Path, patient: str) -> bool:
    """True where a file's name or words hold the pseudonym; Snakemake's records have coded names."""
    if patient in path.name or (path.suffix == "" and patient in _decoded(path.name)):
        return True
    if path.suffix == ".parquet":
        return _in_table(path, patient)
    if path.suffix not in WORDS or path.stat().st_size > LARGEST:
        return False
    return patient.encode() in path.read_bytes()


def _decoded(name: str) -> str:
    try:
        return base64.urlsafe_b64decode(name + "=" * (-len(name) % 4)).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _in_table(path: Path, patient: str) -> bool:
    try:
        schema = pq.read_schema(path)
        table = read_parquet(path, columns=[field.name for field in schema if pa.types.is_string(field.type)])
    except pa.ArrowInvalid:  # half a file is no table, but may name people
        return patient.encode() in path.read_bytes()
    return any(patient in column.to_pylist() for column in table.columns)


# --- people whom the source no longer holds ---------------------------------------------------------------------------


def _orphans(loaded: Loaded, cohort: str, current: set[str], done: Pruned) -> None:
    """Remove results of people who are in no source; nothing where a source is empty, which is rather a mistake."""
    folder = loaded.path(f"results/cohorts/{cohort}")
    made = {path.name for pattern in ("dicom/*", "images/*") for path in folder.glob(pattern) if path.is_dir()}
    gone = sorted(made - current - set(read_withdrawn(loaded.state(cohort))))
    if not gone:
        return
    if not current:
        done.left.append(f"cohort {cohort}: its source holds nobody, so the results of {len(gone)} patients stay.")
        return
    for patient in gone:
        done.told.append(f"orphan: {patient} of cohort {cohort}, whom the source no longer holds")
        _own_files(loaded, cohort, patient, done)
