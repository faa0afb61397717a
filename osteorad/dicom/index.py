"""What lies in a source folder: an index of headers, and a small state file a patient (contract 9).

Runs in Snakemake's main process before the graph is built, so it is light: pyarrow is loaded only where there is a
source folder, pydicom only where there are new files. It lists files and reads headers of new or changed ones; pixel
data are never read, except to hash a file whose time moved while its size stayed.

index.parquet : a row a file (`index_entries`); lies where identity may lie (private folder), or under results/.state
    for sources without identity.
state/<patient>.json : [pseudonymous name, size, version] of each file of that patient; state/past keeps earlier ones.
pseudonyms.tsv : who is who, for identified sources only.
known.json : each person's pseudonym, and the number of files: what checks before a run ask, without the index itself.
listed.json : digest of the listing that index and states are up to date with.
hashes/<patient>.json : SHA-256 of each file as the job that read it last saw it (written by that job).
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from osteorad.active import one_at_a_time
from osteorad.cohort import slice_source
from osteorad.cohort.pseudonyms import FILE_NAME, key_check
from osteorad.cohort.sources import KNOWN, Source
from osteorad.dicom.index_entries import (
    WITHDRAWN,
    Entry,
    entries_of,
    index_path,
    merged,
    read_entries,
    write_entries,
)
from osteorad.dicom.index_listing import NO_FILE, Found, kept, listing, refuse_unlisted, shown
from osteorad.dicom.index_states import UNPLACED, write_states
from osteorad.errors import ConfigError
from osteorad.files import json_text, read_json, write_json, write_text_if_changed
from osteorad.provenance import sha256_bytes, sha256_file

LISTED = "listed.json"
AGAIN = "again"  # in it: some file could not be opened, and is tried again though nothing that is listed changed
CONTOUR_MODALITIES = ("RTSTRUCT", "SEG")


def update(source: Source, *, progress: bool = True) -> list[str]:
    """Bring index and states up to date with the source folder; returns the patients, sorted.

    Raises ConfigError where two people would share a pseudonym or an ID cannot be a file name.
    """
    if source.slices is not None:
        return slice_source.update(source, source.slices, source.workdir)
    refuse_unlisted(source)
    with one_at_a_time(source.state / ".index.lock"):
        unchanged = _unchanged(source)
        if unchanged is not None:
            return unchanged
        found = dict(listing(source.folder))
        before = {entry.path: entry for entry in read_entries(source) if _still_known(source, entry)}
        entries = merged(source, before, found, progress)
        _refuse_clashes(source, entries)
        # the index comes after the states: a run that is killed in between does the same again
        people = write_states(source, entries)
        if entries != sorted(before.values(), key=lambda e: e.path):
            write_entries(source, entries)
        again = {AGAIN: True} if any(e.reason == NO_FILE for e in entries) else {}
        write_text_if_changed(source.state / LISTED, json_text({**_listed(source, found.items()), **again}))
        return people


def _unchanged(source: Source) -> list[str] | None:
    """The patients where neither the listing nor the set of states moved since both were brought up to date.

    Saves reading the index: half a million files cost a listing, and no memory.
    """
    record = source.state / LISTED
    if not all(path.exists() for path in (record, index_path(source), source.state / KNOWN)):
        return None
    return patients(source) if read_json(record) == _listed(source, listing(source.folder)) else None


def _listed(source: Source, files: Iterable[tuple[str, Found]]) -> dict[str, Any]:
    """Digests of the listing, of the names of the states, of the key that made them and of who withdrew."""
    digest = hashlib.sha256()
    for path, (size, mtime, aside) in files:
        digest.update(f"{path}\0{size}\0{mtime}{aside}\n".encode())
    names = sorted(p.name for p in source.state.glob("state/*.json")) + sorted(
        p.name for p in source.state.glob("pseudonyms.tsv")
    )
    return {
        "listing": digest.hexdigest(),
        "states": sha256_bytes("\n".join(names).encode()),
        "key": key_check(source.key) if source.key is not None else "",
        "withdrawn": _withdrawn_digest(source),
    }


def _withdrawn_digest(source: Source) -> str:
    return sha256_bytes("\n".join(sorted(source.withdrawn)).encode()) if source.withdrawn else ""


def _still_known(source: Source, entry: Entry) -> bool:
    """False for a file of somebody who withdrew when the list has changed since: its header is read again.

    The index keeps nothing else of them, so that who was on the list by mistake comes back.
    """
    if entry.reason != WITHDRAWN:
        return True
    record = source.state / LISTED
    return record.exists() and read_json(record).get("withdrawn", "") == _withdrawn_digest(source)


def patients(source: Source) -> list[str]:
    """Patients by their state files alone, as jobs see them: no listing, no index."""
    folder = source.state / "state"
    return sorted(p.stem for p in folder.glob("*.json") if p.stem != UNPLACED) if folder.is_dir() else []


def patient_files(source: Source, patient: str) -> list[Path]:
    """Absolute paths of one patient's files, sorted by relative path."""
    return list(patient_parts(source, patient))


def patient_parts(source: Source, patient: str) -> dict[Path, str]:
    """File -> `contours` (RTSTRUCT, SEG) or `images` (all else), of one patient's files, sorted by relative path.

    The jobs of the two parts go by this: if each told it by reading the file again, a damaged one could fall between.
    """
    return {
        source.folder / shown(e.path): "contours" if e.modality.upper() in CONTOUR_MODALITIES else "images"
        for e in entries_of(source, patient)
    }


def count_files(source: Source, patient: str, *, contours: bool) -> int:
    """How many placed files of a patient are contour objects (RTSTRUCT, SEG), or are not."""
    return sum((part == "contours") == contours for part in patient_parts(source, patient).values())


def record_hashes(source: Source, patient: str, files: Sequence[Path]) -> None:
    """Called by the job that read the files: remember their content, so that a later touch is told from a change."""
    hashes = {kept(p.relative_to(source.folder).as_posix()): sha256_file(p) for p in files}
    write_json(source.state / "hashes" / f"{patient}.json", hashes)


def _refuse_clashes(source: Source, entries: Sequence[Entry]) -> None:
    issuers: dict[str, set[str]] = defaultdict(set)
    people: dict[str, set[tuple[str, str]]] = defaultdict(set)
    for issuer, name in {(e.issuer, e.source_patient_id) for e in entries if not e.reason}:
        issuers[name].add(issuer)
        people[source.pseudonym(name)].add((issuer, name))
    problems = []
    if source.key is not None and (count := sum(len(names) > 1 for names in issuers.values())):
        problems.append(
            f"cohort {source.name}: {count} PatientID(s) carry more than one IssuerOfPatientID: different people? "
            "Split the export by site into cohorts of their own."
        )
    if count := sum(len(ids) > 1 for ids in people.values()):
        problems.append(f"cohort {source.name}: {count} pseudonym(s) would stand for more than one person.")
    if source.key is None:
        bad = sum(p == UNPLACED or not FILE_NAME.fullmatch(p) for p in people)
        if bad:  # they may be real ones, so they are not shown
            problems.append(
                f"cohort {source.name}: {bad} PatientID(s) cannot be names of folders. Wanted: letters, digits, '.', "
                "'_' and '-', at most 64, starting with a letter or digit; or source: dicom, which gives pseudonyms."
            )
    if problems:
        raise ConfigError(problems)
