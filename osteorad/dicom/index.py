"""What lies in a source folder: an index of headers, and a small state file a patient (contract 9).

Runs in Snakemake's main process before the graph is built, so it is light: pyarrow is loaded only where there is a
source folder, pydicom only where there are new files. It lists files and reads headers of new or changed ones; pixel
data are never read, except to hash a file whose time moved while its size stayed.

index.parquet : a row a file; lies where identity may lie (private folder), or under results/.state for sources
    without identity.
state/<patient>.json : [pseudonymous name, size, version] of each file of that patient; state/past keeps earlier ones.
pseudonyms.tsv : who is who, for identified sources only.
known.json : each person's pseudonym, and the number of files: what checks before a run ask, without the index itself.
listed.json : digest of the listing that index and states are up to date with.
hashes/<patient>.json : SHA-256 of each file as the job that read it last saw it (written by that job).
"""

from __future__ import annotations

import fcntl
import hashlib
import io
import os
import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from osteorad.cohort.pseudonyms import FILE_NAME, file_name, key_check
from osteorad.cohort.sources import KNOWN, UNREADABLE, Source
from osteorad.errors import ConfigError, SetAside
from osteorad.files import json_text, read_json, tsv_text, write_json, write_text_if_changed
from osteorad.past import remove_with_past, write_with_past
from osteorad.provenance import sha256_bytes, sha256_file
from osteorad.reasons import reason

if TYPE_CHECKING:
    import pydicom
    from pydicom.tag import BaseTag

UNPLACED = "unplaced"
NOT_UTF8 = "bytes:"
LISTED = "listed.json"
PLAIN = re.compile(rb"[A-Za-z0-9._ -]*\0?")
CONTOUR_MODALITIES = ("RTSTRUCT", "SEG")
CONFLICT = "study_patient_conflict"
WITHDRAWN = "withdrawn"
PACKED = (
    b"PK\3\4",
    b"PK\5\6",
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ\0",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!\x1a",
    b"\x28\xb5\x2f\xfd",
)
Found = tuple[int, int, str]  # size, mtime, and why it is not looked into; empty for a regular file
DEFLATED = b"1.2.840.10008.1.2.1.99"
META_BYTES = 1 << 10  # in which the transfer syntax stands
IDENTITY_BYTES = 1 << 22  # in which the identity of a deflated file has to stand, before and after inflating
REQUIRED = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
HEADER_TAGS = ("PatientID", "IssuerOfPatientID", "Modality", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source: where it is, whose it is, and how often its content changed."""

    path: str  # relative to the source folder, with forward slashes; see `_kept`
    size: int
    mtime_ns: int
    source_patient_id: str
    issuer: str
    modality: str
    study_uid: str
    reason: str  # why the file cannot be placed; empty where it can
    version: int


def update(source: Source, *, progress: bool = True) -> list[str]:
    """Bring index and states up to date with the source folder; returns the patients, sorted.

    Raises ConfigError where two people would share a pseudonym or an ID cannot be a file name.
    """
    _refuse_unlisted(source)
    with _locked(source.state):
        unchanged = _unchanged(source)
        if unchanged is not None:
            return unchanged
        listing = dict(_listing(source.folder))
        before = {entry.path: entry for entry in _read_index(source) if _still_known(source, entry)}
        entries = _mark_conflicts(_merge(source, before, listing, progress))
        _refuse_clashes(source, entries)
        # the index comes after the states: a run that is killed in between does the same again
        found = _write_states(source, entries)
        if entries != sorted(before.values(), key=lambda e: e.path):
            _write_index(source, entries)
        write_text_if_changed(source.state / LISTED, json_text(_listed(source, listing.items())))
        return found


def _unchanged(source: Source) -> list[str] | None:
    """The patients where neither the listing nor the set of states moved since both were brought up to date.

    Saves reading the index: half a million files cost a listing, and no memory.
    """
    record = source.state / LISTED
    if not all(path.exists() for path in (record, _index_path(source), source.state / KNOWN)):
        return None
    return patients(source) if read_json(record) == _listed(source, _listing(source.folder)) else None


def _listed(source: Source, listing: Iterable[tuple[str, Found]]) -> dict[str, str]:
    """Digests of the listing, of the names of the states, of the key that made them and of who withdrew."""
    digest = hashlib.sha256()
    for path, (size, mtime, aside) in listing:
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
        source.folder / _shown(e.path): "contours" if e.modality.upper() in CONTOUR_MODALITIES else "images"
        for e in _read_index(source)
        if not e.reason and source.pseudonym(e.source_patient_id) == patient
    }


def count_files(source: Source, patient: str, *, contours: bool) -> int:
    """How many placed files of a patient are contour objects (RTSTRUCT, SEG), or are not."""
    return sum((part == "contours") == contours for part in patient_parts(source, patient).values())


def record_hashes(source: Source, patient: str, files: Sequence[Path]) -> None:
    """Called by the job that read the files: remember their content, so that a later touch is told from a change."""
    hashes = {_kept(p.relative_to(source.folder).as_posix()): sha256_file(p) for p in files}
    write_json(source.state / "hashes" / f"{patient}.json", hashes)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".index.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _listing(folder: Path) -> Iterator[tuple[str, Found]]:
    """Relative path, size, mtime of everything that is no folder, in the same order each time.

    Links are not followed, pipes and sockets not opened, folders that cannot be listed not entered: they are told, with
    their reason, as they stand.
    """
    todo = [str(folder)]
    start = len(os.path.join(todo[0], ""))
    while todo:
        here = todo.pop()
        try:
            with os.scandir(here) as items:
                inside = sorted(items, key=lambda item: item.name)
        except OSError:
            yield _kept(here[start:]), (0, 0, "folder_unreadable")
            continue
        for item in inside:
            if item.is_dir(follow_symlinks=False):
                todo.append(item.path)
            else:
                yield _kept(item.path[start:]), _found(item)


def _found(item: os.DirEntry[str]) -> Found:
    if item.is_symlink():
        return 0, 0, "link_not_followed"
    if not item.is_file(follow_symlinks=False):
        return 0, 0, "file_special"
    stat = item.stat(follow_symlinks=False)
    return stat.st_size, stat.st_mtime_ns, ""


def _refuse_unlisted(source: Source) -> None:
    """ConfigError where the source folder itself cannot be listed: all patients would seem to be gone."""
    try:
        os.scandir(source.folder).close()
    except OSError as error:
        raise ConfigError(f"cohort {source.name}: its folder cannot be listed: {error.strerror}.") from None


def _kept(path: str) -> str:
    """A relative path as the index keeps it: a name that is no UTF-8 (old exports) as the hex of its bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return NOT_UTF8 + os.fsencode(path).hex()
    return NOT_UTF8 + path.encode().hex() if path.startswith(NOT_UTF8) else path


def _shown(kept: str) -> str:
    """The relative path again."""
    return os.fsdecode(bytes.fromhex(kept.removeprefix(NOT_UTF8))) if kept.startswith(NOT_UTF8) else kept


def _merge(source: Source, before: Mapping[str, Entry], found: Mapping[str, Found], progress: bool) -> list[Entry]:
    """The new index: known files kept, new and changed ones read, vanished ones gone."""
    unread = [p for p, (size, *_) in found.items() if p not in before or before[p].size != size]
    done = 0
    entries = []
    for path in sorted(found):
        size, mtime, aside = found[path]
        old = before.get(path)
        if aside:
            entry = Entry(path, size, mtime, "", "", "", "", aside, 0)
        elif old is not None and (old.size, old.mtime_ns) == (size, mtime):
            entry = old
        elif old is not None and old.size == size and _content_known(source, old):
            entry = replace(old, mtime_ns=mtime)
        else:
            entry = _read_header(source.folder, path, size, mtime, 0 if old is None else old.version + 1)
            done += 1
            if progress and done % 2000 == 0:
                print(f"  headers read: {done} of about {len(unread)}", file=sys.stderr)
        entries.append(_without_withdrawn(source, entry))
    return entries


def _without_withdrawn(source: Source, entry: Entry) -> Entry:
    """The entry, with nothing about the person in it where they withdrew."""
    if not source.withdrawn or entry.reason == WITHDRAWN or not entry.source_patient_id:
        return entry
    if source.pseudonym(entry.source_patient_id) not in source.withdrawn:
        return entry
    return replace(entry, source_patient_id="", issuer="", modality="", study_uid="", reason=WITHDRAWN)


def _content_known(source: Source, entry: Entry) -> bool:
    """True when a file whose time moved still has the content that the reading job recorded."""
    record = source.state / "hashes" / f"{source.pseudonym(entry.source_patient_id)}.json"
    if entry.reason or not record.is_file():
        return False
    return bool(read_json(record).get(entry.path) == sha256_file(source.folder / _shown(entry.path)))


def _read_header(folder: Path, path: str, size: int, mtime: int, version: int) -> Entry:
    from pydicom.errors import BytesLengthException, InvalidDicomError

    def entry(reason: str, values: Mapping[str, str] | None = None) -> Entry:
        v = values or dict.fromkeys(HEADER_TAGS, "")
        return Entry(
            path,
            size,
            mtime,
            v["PatientID"],
            v["IssuerOfPatientID"],
            v["Modality"],
            v["StudyInstanceUID"],
            reason,
            version,
        )

    try:
        values = _header_values(folder / _shown(path))
    except InvalidDicomError:
        return entry("archive_packed" if _is_archive(folder / _shown(path)) else "not_dicom")
    except (*UNREADABLE, BytesLengthException, SetAside):  # the file is set aside, not lost
        return entry("dicom_unreadable")
    if not any(values[tag] for tag in REQUIRED) and not values["Modality"]:
        return entry("not_dicom")
    return entry("" if all(values[tag] for tag in REQUIRED) else "identity_missing", values)


def _is_archive(path: Path) -> bool:
    """True for a packed file by its first bytes; files of office programs are packed, too, but no archives."""
    with path.open("rb") as stream:
        start = stream.read(512)
    office = any(name in start for name in (b"[Content_Types].xml", b"mimetypeapplication", b"_rels/.rels"))
    return not office and (start.startswith(PACKED) or start[257:262] == b"ustar")


def _header_values(path: Path) -> dict[str, str]:
    """The values of HEADER_TAGS as text.

    Elements stand in the order of their tags (PS3.5 7.1), so reading ends at the last one wanted. Where the identity is
    not found so, the file is out of order or damaged, and everything before the pixels is read.
    """
    from pydicom import dcmread
    from pydicom.filereader import read_partial

    wanted = _wanted_tags()
    tags: list[BaseTag | int] = list(wanted.values())
    last = max(tags)
    header: pydicom.Dataset
    with _opened(path) as stream:
        # the integers' own comparison: that of pydicom's tags costs more than reading them
        header = read_partial(stream, lambda tag, vr, length: int.__gt__(tag, last), specific_tags=tags)
        if any(wanted[name] not in header for name in REQUIRED):
            stream.seek(0)
            header = dcmread(stream, stop_before_pixels=True, specific_tags=tags)
        return {name: _value(header, tag) for name, tag in wanted.items()}


def _opened(path: Path) -> BinaryIO:
    """A file for reading; of a deflated one just the beginning, inflated, because a small file may hold any size."""
    stream = open(path, "rb")  # noqa: SIM115  (the caller closes it)
    start = stream.read(META_BYTES)
    stream.seek(0)
    if DEFLATED not in start:
        return stream
    from osteorad.dicom.elements import inflated_beginning

    with stream:
        return io.BytesIO(inflated_beginning(stream.read(IDENTITY_BYTES), IDENTITY_BYTES))


def _value(header: pydicom.Dataset, tag: BaseTag) -> str:
    """A value as text. Plain bytes mean the same in every character set and are not handed through pydicom."""
    if tag not in header:
        return ""
    raw = header.get_item(tag).value
    if isinstance(raw, bytes) and PLAIN.fullmatch(raw):
        return raw.rstrip(b"\0").decode("ascii").strip()
    return str(header[tag].value or "").strip()


@cache
def _wanted_tags() -> dict[str, BaseTag]:
    from pydicom.tag import Tag

    return {name: Tag(name) for name in HEADER_TAGS}


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


def _mark_conflicts(entries: Sequence[Entry]) -> list[Entry]:
    """Files of studies that carry more than one PatientID get a reason: nobody can tell whose images they are."""
    clear = [replace(e, reason="") if e.reason == CONFLICT else e for e in entries]
    owners: dict[str, set[str]] = defaultdict(set)
    for e in clear:
        if not e.reason:
            owners[e.study_uid].add(e.source_patient_id)
    return [replace(e, reason=CONFLICT) if not e.reason and len(owners[e.study_uid]) > 1 else e for e in clear]


def _write_states(source: Source, entries: Sequence[Entry]) -> list[str]:
    grouped: dict[str, list[list[Any]]] = defaultdict(list)
    unplaced: dict[str, list[list[Any]]] = defaultdict(list)
    pseudonym = cache(source.pseudonym)
    for e in entries:
        row = [file_name(source.key, _shown(e.path)), e.size, e.version]
        (unplaced[e.reason] if e.reason else grouped[pseudonym(e.source_patient_id)]).append(row)
    folder = source.state / "state"
    for patient, rows in grouped.items():
        write_with_past(folder / f"{patient}.json", json_text({"patient": patient, "files": sorted(rows)}))
    write_with_past(folder / f"{UNPLACED}.json", json_text(_unplaced_manifest(unplaced)))
    for stale in set(folder.glob("*.json")) - {folder / f"{name}.json" for name in (*grouped, UNPLACED)}:
        remove_with_past(stale)
    if source.key is not None:
        _write_people(source, entries)
    people = {e.source_patient_id: pseudonym(e.source_patient_id) for e in entries if not e.reason}
    known = {"patients": people, "files": len(entries)}
    write_text_if_changed(source.state / KNOWN, json_text(known), mode=0o644 if source.key is None else 0o600)
    return sorted(grouped)


def _write_people(source: Source, entries: Sequence[Entry]) -> None:
    """pseudonyms.tsv: for the data manager, who finds a patient again by it; stays where identity may stand."""
    names = {e.source_patient_id for e in entries if not e.reason}
    people = sorted((source.pseudonym(name), name) for name in names)
    text = tsv_text(["pseudonym", "patient_id"], people)
    write_text_if_changed(source.state / "pseudonyms.tsv", text, mode=0o600)


def _unplaced_manifest(unplaced: Mapping[str, Sequence[list[Any]]]) -> dict[str, Any]:
    """Files that belong to no patient, in the form of a de-identification manifest, so that they are counted.

    Those of people who withdrew are one row together.
    """
    found = [(str(row[0]), 1, code) for code in sorted(unplaced) if code != WITHDRAWN for row in sorted(unplaced[code])]
    if gone := unplaced.get(WITHDRAWN):
        found.append((WITHDRAWN, len(gone), WITHDRAWN))
    rows = [
        {
            **{"session": "", "stage": "files", "item": item, "count": count},
            **{"kind": reason(code).kind, "reason": code, "detail": ""},
        }
        for item, count, code in found
    ]
    return {
        "patient": "",
        "part": "images",
        "files": [],
        "files_in": sum(row["count"] for row in rows),
        "set_aside": rows,
    }


def _index_path(source: Source) -> Path:
    return source.state / "index.parquet"


def _read_index(source: Source) -> list[Entry]:
    path = _index_path(source)
    if not path.exists():
        return []
    from osteorad.files import read_parquet

    return [Entry(**row) for row in read_parquet(path).to_pylist()]


def _write_index(source: Source, entries: Sequence[Entry]) -> None:
    import pyarrow as pa

    from osteorad.files import write_parquet

    names = list(Entry.__dataclass_fields__)
    write_parquet(_index_path(source), pa.table({name: [getattr(e, name) for e in entries] for name in names}))
