"""What goes with a patient who withdrew: own files, all that was made of several people, records that name them.

An analysis goes whole, with its networks, their checkpoints and the masks that they drew: whatever learned, learned
from everybody. What only people can remove is told.
"""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from osteorad.cohort.config import TABLE
from osteorad.cohort.load import Loaded
from osteorad.cohort.pruned import Pruned
from osteorad.cohort.review import FILE as REVIEW
from osteorad.cohort.sources import add_withdrawn, read_withdrawn, source_of
from osteorad.cohort.tables import lines_text, read_table
from osteorad.cohort.traces import Name, bearer, is_of, name_of
from osteorad.cohort.whole import CAME_ALONG
from osteorad.errors import ConfigError
from osteorad.files import read_json, read_parquet, write_bytes

HISTORY = "history"  # of runs: numbers of patients, no names
BENCHMARKS = "benchmarks"
RECORDS = ("logs", BENCHMARKS, ".snakemake")
ANALYSES, WORK = "results/analyses", "work"
# of .snakemake: environments hold packages, not people; the locks by which it is known that nobody else is here
KEPT = ("conda", "conda-archive", "singularity", "active", "jobs")
OF_RUNS = "records of runs"


def withdraw(loaded: Loaded, patient: str, cohorts: Sequence[str], namesakes: Sequence[str], done: Pruned) -> None:
    """Remove a patient from `cohorts`; namesakes : cohorts where somebody else has the same name."""
    people = set().union(*(people_of(loaded, cohort) for cohort in loaded.config.cohorts))
    name = name_of(patient, people)
    for cohort in cohorts:
        _leave_cohort(loaded, cohort, name, done)
    for folder in sorted(loaded.path("contours").glob("*")):
        if not namesakes:
            done.remove(folder / patient, "mask files that people drew")
        elif (folder / patient).exists():
            done.left.append(
                f"contours/{folder.name}/{patient}: {' and '.join(namesakes)} may need it. Remove it if not."
            )
    _forget(loaded, name, namesakes, done)


def people_of(loaded: Loaded, cohort: str) -> set[str]:
    """Everybody of whom something may be here."""
    folder = loaded.path(f"results/cohorts/{cohort}")
    state = loaded.state(cohort)
    named = {path.stem for path in state.glob("state/*.json")} - {"unplaced"} | read_withdrawn(state)
    named |= {path.name for path in folder.glob("dicom/*")}
    if (folder / "patients.parquet").is_file():
        named |= set(read_parquet(folder / "patients.parquet", columns=("patient",))["patient"].to_pylist())
    return named


def own_files(loaded: Loaded, cohort: str, patient: str, done: Pruned) -> None:
    """Remove files and folders of a cohort that are called after the patient."""
    whole = {
        "state and source": loaded.state(cohort),
        f"images, masks, features and pages of cohort {cohort}": loaded.path(f"results/cohorts/{cohort}"),
        OF_RUNS: loaded.path(f"results/.state/sources/{cohort}"),
    }
    records = [
        (f"{top} of jobs", path) for top in ("logs", BENCHMARKS) for path in loaded.path(top).glob(f"*/{cohort}")
    ]
    for kind, folder in [*whole.items(), *records]:
        for path in sorted(folder.rglob("*")):
            if (path.name if path.is_dir() else bearer(path.name)) == patient:
                done.remove(path, kind)


# --- a cohort, and what learned from it -------------------------------------------------------------------------------


def _leave_cohort(loaded: Loaded, cohort: str, name: Name, done: Pruned) -> None:
    state, patient = loaded.state(cohort), name.patient
    done.told.append(f"withdrawn: {patient} of cohort {cohort}")
    _left_in_source(loaded, cohort, patient, done)
    if not done.dry_run:
        add_withdrawn(state, patient)
    people = people_of(loaded, cohort)
    own_files(loaded, cohort, patient, done)
    _without_rows(state / "pseudonyms.tsv", name, done)
    _without_rows(loaded.private(cohort) / REVIEW, name, done)
    folder = loaded.path(f"results/cohorts/{cohort}")
    kept = CAME_ALONG if loaded.whole(cohort) else ()
    for path in sorted(folder.rglob("*")):
        relative = path.relative_to(folder)
        if path.is_file() and not is_of(relative, people) and path.stem != HISTORY and str(relative) not in kept:
            done.remove(path, f"tables and pages of cohort {cohort}")
    for analysis in _analyses_of(loaded, cohort):
        _remove_analysis(loaded, analysis, done)
    done.remove(loaded.path("results/index.html"), "index of all pages")
    listed = loaded.path(f"results/.state/patients/{cohort}.json")
    for path in (listed, listed.parent / "past" / cohort):
        done.remove(path, OF_RUNS)


def _analyses_of(loaded: Loaded, cohort: str) -> list[str]:
    """Analyses that learned from the cohort, and those that apply what they learned."""
    return _with_followers(loaded, {name for name, a in loaded.config.analyses.items() if a.cohort == cohort})


def _with_followers(loaded: Loaded, learned: set[str]) -> list[str]:
    """These analyses and those that apply a bundle of theirs."""
    bundles = {name: a.bundle for name, a in loaded.config.analyses.items() if a.bundle is not None}
    return sorted(learned | {name for name, bundle in bundles.items() if _maker(loaded, bundle) in learned})


def _maker(loaded: Loaded, bundle: str) -> str:
    """The analysis that made a bundle, which is named or a folder; empty where it came from elsewhere."""
    if bundle in loaded.config.analyses:
        return bundle
    place, base = loaded.path(bundle).resolve(), loaded.path(ANALYSES).resolve()
    return place.relative_to(base).parts[0] if base in place.parents else ""


def _remove_analysis(loaded: Loaded, analysis: str, done: Pruned) -> None:
    """All that an analysis made and keeps for the next run, but the history of its runs."""
    kind = f"models, networks, tables and pages of analysis {analysis}"
    for path in sorted(loaded.path(f"{ANALYSES}/{analysis}").glob("*")):
        if path.stem != HISTORY:
            done.remove(path, kind)
    done.remove(loaded.path(f"{WORK}/{analysis}"), kind)


def _without_rows(path: Path, name: Name, done: Pruned) -> None:
    """Rewrite a small table of ours without the patient's lines."""
    if not path.is_file():
        return
    lines = path.read_bytes().splitlines(keepends=True)  # people may have saved it in another character set
    kept = [line for line in lines if name.patient.encode() not in _cells(line)]
    if len(kept) < len(lines):
        done.removed["line", path.name] += len(lines) - len(kept)
        if not done.dry_run:
            write_bytes(path, b"".join(kept), mode=0o600)
    if not name.is_short and (count := sum(name.is_in(line) for line in kept)):
        done.left.append(f"{path.name}: {count} lines about others mention this patient.")


def _cells(line: bytes) -> list[bytes]:
    return [cell.strip(b" \r\n\"'") for cell in re.split(rb"[\t;,]", line)]


def _left_in_source(loaded: Loaded, cohort: str, patient: str, done: Pruned) -> None:
    """What only the hospital can remove: the export, the tables, the settings, copies that left."""
    settings = loaded.config.cohorts[cohort]
    if (own := loaded.state(cohort) / "state" / f"{patient}.json").is_file():
        count = len(read_json(own)["files"])
        done.left.append(f"the source of cohort {cohort} still holds {count} files of this patient; they are not read.")
    if settings.source == TABLE:
        done.left.append(f"the feature table of cohort {cohort} still has rows of this patient; they are not read.")
    if settings.slices is not None:
        done.left.append(f"the manifest of slices of cohort {cohort} still names this patient; its rows are not read.")
    if settings.source in ("dicom", "deidentified") and not loaded.whole(cohort):
        done.left += _left_in_tables(loaded, cohort, patient)
    if patient in settings.exclude:
        done.left.append(f"{loaded.located.where('cohorts', cohort, 'exclude')}: the settings name this patient.")
    if learned := _analyses_of(loaded, cohort):
        done.left.append(f"copies that left this folder: releases and bundles of {', '.join(learned)}, backups.")


def _left_in_tables(loaded: Loaded, cohort: str, patient: str) -> Iterator[str]:
    settings, private = loaded.config.cohorts[cohort], loaded.config.private_dir
    source = source_of(cohort, kind=settings.source, path=settings.path, workdir=loaded.workdir, private_dir=private)
    for table in (settings.clinical, settings.lesions):
        if table is None:
            continue
        try:
            read = read_table(loaded.path(table.path), table.path)
        except ConfigError as error:
            yield from error.problems
            continue
        column = table.columns.get("patient", "patient")
        cells = read.column(column) if column in read.header else []
        if lines := [line for line, text in cells if source.pseudonym(text) == patient]:
            yield f"{table.path}: {lines_text(lines)} about this patient; they are not read."


# --- whatever else names them -----------------------------------------------------------------------------------------


def _forget(loaded: Loaded, name: Name, namesakes: Sequence[str], done: Pruned) -> None:
    """Remove records of runs, and analyses, that name the patient; tell of anything else that does."""
    learned: set[str] = set()
    told: set[Path] = set()
    for path in _made(loaded, _of_namesakes(loaded, namesakes)):
        relative = path.relative_to(loaded.workdir)
        if done.is_gone(path) or not told.isdisjoint(path.parents) or not _speaks(name, path, relative):
            continue
        if relative.parts[0] in RECORDS or relative.parts[:2] == ("results", ".state"):
            done.remove(path, OF_RUNS)
        elif path.stem != HISTORY and (analysis := _analysis_at(relative)):
            learned.add(analysis)
        else:
            told.add(path)
            done.left.append(f"{relative} still names this patient.")
    for analysis in _with_followers(loaded, learned):
        done.told.append(f"analysis {analysis}: it names this patient, or applies what such a one learned")
        _remove_analysis(loaded, analysis, done)
    if name.is_short:
        done.left.append("a name this short is in every text: it was looked for in paths, tables and JSON alone.")
    done.left += _of_no_settings(loaded, done)


def _speaks(name: Name, path: Path, relative: Path) -> bool:
    """True where a path or what a file holds names the patient; benchmarks hold numbers alone."""
    if name.is_in_path(relative):
        return True
    return path.is_file() and relative.parts[0] != BENCHMARKS and name.is_in_file(path)


def _of_namesakes(loaded: Loaded, cohorts: Sequence[str]) -> set[Path]:
    """Folders where the name means somebody else."""
    analyses = {analysis for cohort in cohorts for analysis in _analyses_of(loaded, cohort)}
    folders = {f"results/cohorts/{cohort}" for cohort in cohorts}
    return {loaded.path(name) for name in folders | {f"{top}/{a}" for top in (ANALYSES, WORK) for a in analyses}}


def _made(loaded: Loaded, spared: Collection[Path]) -> Iterator[Path]:
    """Files and folders that runs made, each folder before what it holds."""
    barred = {*spared, *(loaded.path(f".snakemake/{name}") for name in KEPT)}
    for top in ("results", WORK, *RECORDS):
        base = loaded.path(top)
        for place, folders, files in os.walk(base):
            here = Path(place)
            folders[:] = sorted(name for name in folders if here / name not in barred)
            own = [] if base == here == loaded.path(BENCHMARKS) else sorted(files)  # there, those of the program itself
            yield from (here / name for name in (*folders, *own) if here / name not in barred)


def _analysis_at(relative: Path) -> str:
    """The analysis that a path belongs to; empty where it belongs to none."""
    for top in map(Path, (ANALYSES, WORK)):
        if top in relative.parents:
            return relative.relative_to(top).parts[0]
    return ""


def _of_no_settings(loaded: Loaded, done: Pruned) -> Iterator[str]:
    """Folders of analyses that the settings no longer name: nobody can tell whom they learned from."""
    for top in (ANALYSES, WORK):
        for path in sorted(loaded.path(top).glob("*")):
            held = [inner for inner in path.rglob("*") if inner.is_file() and inner.stem != HISTORY]
            if path.name not in loaded.config.analyses and any(not done.is_gone(inner) for inner in held):
                yield f"{top}/{path.name}: no analysis of the settings. Remove it if it learned from this patient."
