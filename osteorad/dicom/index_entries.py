"""The table of an index: a row a file, whose it is, and how often its content changed.

index.parquet lies where identity may lie (private folder), or with the state of a source without identity. Of people
who withdrew it keeps their files as such, and nothing about them.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

from osteorad.cohort.sources import Source
from osteorad.dicom import index_headers
from osteorad.dicom.index_listing import NO_FILE, Found, shown
from osteorad.files import read_json
from osteorad.joblog import quiet_pydicom
from osteorad.provenance import sha256_file

CONFLICT = "study_patient_conflict"
WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a source: where it is, whose it is, and how often its content changed."""

    path: str  # relative to the source folder, with forward slashes; see `index_listing.kept`
    size: int
    mtime_ns: int
    source_patient_id: str
    issuer: str
    modality: str
    study_uid: str  # of who withdrew: only where it is somebody else's, too
    reason: str  # why the file cannot be placed; empty where it can
    version: int


# --- the table --------------------------------------------------------------------------------------------------------


def index_path(source: Source) -> Path:
    """Where the table lies."""
    return source.state / "index.parquet"


def read_entries(source: Source) -> list[Entry]:
    """All rows; none where there is no table yet."""
    path = index_path(source)
    if not path.exists():
        return []
    from osteorad.files import read_parquet

    return [Entry(**row) for row in read_parquet(path).to_pylist()]


def entries_of(source: Source, patient: str) -> list[Entry]:
    """Rows of one patient's placed files; no others become objects, of which an export may have half a million."""
    path = index_path(source)
    if not path.exists():
        return []
    import pyarrow as pa
    import pyarrow.compute as pc

    from osteorad.files import read_parquet

    table = read_parquet(path)
    ids = table["source_patient_id"]
    theirs = [name for name in ids.unique().to_pylist() if name and source.pseudonym(name) == patient]
    rows = table.filter(pc.is_in(ids, value_set=pa.array(theirs, ids.type))).to_pylist()
    return [Entry(**row) for row in rows if not row["reason"]]


def write_entries(source: Source, entries: Sequence[Entry]) -> None:
    """Write all rows."""
    import pyarrow as pa

    from osteorad.files import write_parquet

    names = list(Entry.__dataclass_fields__)
    write_parquet(index_path(source), pa.table({name: [getattr(e, name) for e in entries] for name in names}))


# --- what changed -----------------------------------------------------------------------------------------------------


def merged(source: Source, before: Mapping[str, Entry], found: Mapping[str, Found], progress: bool) -> list[Entry]:
    """The new rows, sorted by path: known files kept, new and changed ones read, vanished ones gone."""
    new = [path for path in found if path not in before or before[path].size != found[path][0]]
    read = 0
    entries = []
    with quiet_pydicom():
        for path in sorted(found):
            entry = _known(source, path, before.get(path), found[path])
            if entry is None:
                entry = _read(source.folder, path, found[path], before.get(path))
                read += 1
                if progress and read % 2000 == 0:
                    print(f"  headers read: {read} of about {len(new)}", file=sys.stderr)
            entries.append(entry)
    return _settled(source, entries)


def _known(source: Source, path: str, old: Entry | None, found: Found) -> Entry | None:
    """The row of what needs no reading; None where it does."""
    size, mtime, aside = found
    if aside:
        return Entry(path, size, mtime, "", "", "", "", aside, 0)
    if old is None or old.size != size or old.reason == NO_FILE:  # a file that was closed may have been opened
        return None
    if old.mtime_ns == mtime:
        return old
    return replace(old, mtime_ns=mtime) if _same_content(source, old) else None


def _same_content(source: Source, entry: Entry) -> bool:
    """True when a file whose time moved still has the content that the reading job recorded."""
    record = source.state / "hashes" / f"{source.pseudonym(entry.source_patient_id)}.json"
    if entry.reason or not record.is_file():
        return False
    try:
        return bool(read_json(record).get(entry.path) == sha256_file(source.folder / shown(entry.path)))
    except OSError:  # told where its header is read
        return False


def _read(folder: Path, path: str, found: Found, old: Entry | None) -> Entry:
    size, mtime, _ = found
    reason, values = index_headers.read_identity(folder / shown(path))
    version = 0 if old is None else old.version + 1
    patient, issuer = values["PatientID"], values["IssuerOfPatientID"]
    return Entry(path, size, mtime, patient, issuer, values["Modality"], values["StudyInstanceUID"], reason, version)


# --- people -----------------------------------------------------------------------------------------------------------


def _settled(source: Source, entries: Iterable[Entry]) -> list[Entry]:
    """Rows without what tells of who withdrew; files of studies that carry more than one PatientID get a reason.

    Nobody can tell whose images such a study holds, also when one of its people has withdrawn since.
    """
    pseudonym = cache(source.pseudonym)

    def withdrew(entry: Entry) -> bool:
        known = bool(source.withdrawn and entry.source_patient_id)
        return entry.reason == WITHDRAWN or (known and pseudonym(entry.source_patient_id) in source.withdrawn)

    clear = [replace(e, reason="") if e.reason == CONFLICT else e for e in entries]
    gone = [withdrew(e) for e in clear]
    owners: dict[str, set[str]] = defaultdict(set)
    for e, left in zip(clear, gone, strict=True):
        if left or not e.reason:
            owners[e.study_uid].add(WITHDRAWN if left else f"id {e.source_patient_id}")
    shared = {study for study, people in owners.items() if study and len(people) > 1}
    return [_without_identity(e, shared) if left else _marked(e, shared) for e, left in zip(clear, gone, strict=True)]


def _without_identity(entry: Entry, shared: set[str]) -> Entry:
    study = entry.study_uid if entry.study_uid in shared else ""
    return replace(entry, source_patient_id="", issuer="", modality="", study_uid=study, reason=WITHDRAWN)


def _marked(entry: Entry, shared: set[str]) -> Entry:
    return replace(entry, reason=CONFLICT) if not entry.reason and entry.study_uid in shared else entry
