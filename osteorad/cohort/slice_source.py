"""A cohort of 2D slices: what lies in its folders, and a small state file a patient (contract 9).

Patients are pseudonyms already, as for a feature table; there is no key and no `private/`. Runs in Snakemake's main
process before the graph is built: it lists folders and reads the manifest, never a picture. State lies where that of
DICOM lies which was pseudonymised before, in the same files (`dicom.index`), but for the index:

slices.json : every file with size, time, version and the slice and patient that it belongs to; each patient's slices.
state/<patient>.json : files as [pseudonymous name, size, version], and the pseudonymous names of slices in order.
state/unplaced.json : files of nobody, each with its reason.
known.json, hashes/<patient>.json : see there.
"""

from __future__ import annotations

import fcntl
import os
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Slices
from osteorad.cohort.pseudonyms import file_name
from osteorad.cohort.slice_manifest import (
    IMAGE,
    SUFFIXES,
    UNPLACED,
    SliceRow,
    folders_of,
    problems_of,
    read_manifest,
    stem_of,
)
from osteorad.cohort.sources import KNOWN, Source
from osteorad.errors import ConfigError
from osteorad.files import json_text, read_json, write_json, write_text_if_changed
from osteorad.past import remove_with_past, write_with_past
from osteorad.provenance import sha256_file
from osteorad.reasons import reason

INDEX = "slices.json"
WITHDRAWN = "withdrawn"
NOT_UTF8 = "bytes:"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One thing in a folder: what it is, whose it is, and how often its content changed."""

    role: str
    path: str  # relative to the folder of the folders; of a name that is no UTF-8 the hex of its bytes
    slice: str
    size: int
    mtime_ns: int
    version: int
    patient: str
    reason: str  # why it cannot be placed; empty where it can

    @property
    def item(self) -> str:
        """Pseudonymous name."""
        return file_name(None, self.path)


def update(source: Source, settings: Slices, workdir: Path) -> list[str]:
    """Bring index and states up to date with folders and manifest; returns the patients, sorted.

    source : its folder is that of the folders. Raises ConfigError with every problem of folders and manifest.
    """
    if problems := problems_of(settings, workdir, lambda *keys: ".".join([f"cohort {source.name}: slices", *keys])):
        raise ConfigError(problems)
    rows, _ = read_manifest(settings, workdir, lambda *keys: "")
    source.state.mkdir(parents=True, exist_ok=True)
    with (source.state / ".index.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        before = {entry.path: entry for entry in _read_index(source.state)}
        listed = [_versioned(source, entry, before.get(entry.path)) for entry in _listing(source, settings)]
        entries = _placed(listed, rows, source.withdrawn)
        slices = _in_order(rows, source.withdrawn)
        # the index comes after the states: a run that is killed in between does the same again
        _write_states(source, slices, rows, entries)
        index = {"slices": slices, "files": [asdict(entry) for entry in entries]}
        write_text_if_changed(source.state / INDEX, json_text(index))
    return sorted(slices)


def of_patient(state: Path, settings: Slices, patient: str) -> dict[str, Any]:
    """What a job needs of a patient, as plain values (see `images.job_slices`): roles, slices in order, counts."""
    index = read_json(state / INDEX)
    mine = [entry for entry in _read_index(state) if entry.patient == patient]
    files: dict[str, dict[str, dict[str, str]]] = defaultdict(dict)
    for entry in mine:
        files[entry.slice][entry.role] = {"item": entry.item, "path": entry.path}
    pictures = sum(entry.role == IMAGE for entry in mine)
    return {
        "roles": [role for role in folders_of(settings) if role != IMAGE],
        "slices": [{"item": file_name(None, name), "files": files[name]} for name in index["slices"][patient]],
        "counted": {"images": pictures, "contours": len(mine) - pictures},
    }


def record_hashes(state: Path, patient: str, hashes: Mapping[str, str]) -> None:
    """Called by the job that read the files (item -> SHA-256), so that a later touch is told from a change."""
    write_json(state / "hashes" / f"{patient}.json", dict(hashes))


# --- listing ----------------------------------------------------------------------------------------------------------


def _listing(source: Source, settings: Slices) -> Iterator[Entry]:
    """Everything in the folders, in the same order each time; links are not followed, folders not entered."""
    for role, folder in folders_of(settings).items():
        with os.scandir(source.folder / folder) as inside:
            for item in sorted(inside, key=lambda item: item.name):
                yield _entry(role, folder, item)


def _entry(role: str, folder: str, item: os.DirEntry[str]) -> Entry:
    path = f"{folder}/{item.name}"
    why, size, mtime = "", 0, 0
    if item.is_symlink():
        why = "link_not_followed"
    elif item.is_dir(follow_symlinks=False):
        why = "folder_not_entered"
    elif not item.is_file(follow_symlinks=False):
        why = "file_special"
    else:
        stat = item.stat(follow_symlinks=False)
        size, mtime = stat.st_size, stat.st_mtime_ns
        why = "" if item.name.lower().endswith(SUFFIXES) else "not_picture"
    try:
        path.encode()
    except UnicodeEncodeError:  # no row of a manifest can name it
        path, why = NOT_UTF8 + os.fsencode(path).hex(), why or "slice_unlisted"
    name = "" if why else stem_of(item.name)
    return Entry(role=role, path=path, slice=name, size=size, mtime_ns=mtime, version=0, patient="", reason=why)


def _versioned(source: Source, entry: Entry, old: Entry | None) -> Entry:
    """The entry with a version that is higher where the content changed since the index was written."""
    if entry.reason or old is None:
        return entry
    same = old.size == entry.size and (old.mtime_ns == entry.mtime_ns or _content_known(source, old))
    return replace(entry, version=old.version + (not same))


def _content_known(source: Source, old: Entry) -> bool:
    """True when a file whose time moved still has the content that the reading job recorded."""
    record = source.state / "hashes" / f"{old.patient}.json"
    if not old.patient or not record.is_file():
        return False
    return bool(read_json(record).get(old.item) == sha256_file(source.folder / old.path))


def _placed(listed: Sequence[Entry], rows: Sequence[SliceRow], withdrawn: frozenset[str]) -> list[Entry]:
    """Entries with their patients, or the reason why they have none."""
    patients = {row.name: row.patient for row in rows}
    repeated = Counter((entry.role, entry.slice) for entry in listed)
    placed = []
    for entry in listed:
        patient = patients.get(entry.slice, "")
        why = entry.reason
        if not why and repeated[entry.role, entry.slice] > 1:
            why = "slice_ambiguous"
        elif not why and entry.slice not in patients:
            why = "slice_unlisted"
        elif not why and not patient:
            why = "patient_id_missing"
        elif not why and patient in withdrawn:
            why = WITHDRAWN
        placed.append(replace(entry, patient="" if why else patient, reason=why))
    return placed


def _in_order(rows: Sequence[SliceRow], withdrawn: frozenset[str]) -> dict[str, list[str]]:
    """Patient -> names of the slices in their order; those without any picture, too."""
    found: dict[str, list[str]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.order):
        if row.patient and row.patient not in withdrawn:
            found[row.patient].append(row.name)
    return dict(found)


# --- states -----------------------------------------------------------------------------------------------------------


def _read_index(state: Path) -> list[Entry]:
    path = state / INDEX
    return [Entry(**row) for row in read_json(path)["files"]] if path.is_file() else []


def _write_states(
    source: Source, slices: Mapping[str, Sequence[str]], rows: Sequence[SliceRow], entries: Sequence[Entry]
) -> None:
    files: dict[str, list[list[Any]]] = defaultdict(list)
    for entry in entries:
        if not entry.reason:
            files[entry.patient].append([entry.item, entry.size, entry.version])
    folder = source.state / "state"
    for patient, names in slices.items():
        state = {"patient": patient, "files": sorted(files[patient]), "slices": [file_name(None, n) for n in names]}
        write_with_past(folder / f"{patient}.json", json_text(state))
    write_with_past(folder / f"{UNPLACED}.json", json_text(_unplaced(rows, entries)))
    for stale in set(folder.glob("*.json")) - {folder / f"{name}.json" for name in (*slices, UNPLACED)}:
        remove_with_past(stale)
    known = {"patients": {patient: patient for patient in slices}, "files": len(entries)}
    write_text_if_changed(source.state / KNOWN, json_text(known))


def _unplaced(rows: Sequence[SliceRow], entries: Sequence[Entry]) -> dict[str, Any]:
    """Files of nobody in the form of a manifest, so that they are counted; those of people who withdrew as one row.

    Rows of the manifest that name neither a patient nor a picture stand beside them.
    """
    aside = [entry for entry in entries if entry.reason]
    found = sorted((entry.item, 1, entry.reason) for entry in aside if entry.reason != WITHDRAWN)
    if gone := len(aside) - len(found):
        found.append((WITHDRAWN, gone, WITHDRAWN))
    pictures = {entry.slice for entry in entries if entry.role == IMAGE}
    absent = sorted(file_name(None, row.name) for row in rows if not row.patient and row.name not in pictures)
    lines = [("files", *one) for one in found] + [("rows", item, 1, "slice_absent") for item in absent]
    set_aside = [
        {
            **{"session": "", "stage": stage, "item": item, "count": count},
            **{"kind": reason(code).kind, "reason": code, "detail": ""},
        }
        for stage, item, count, code in lines
    ]
    return {"patient": "", "part": "images", "files": [], "files_in": len(aside), "set_aside": set_aside}
