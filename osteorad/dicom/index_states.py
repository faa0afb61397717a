"""What the index tells others: a small state file a patient, who is who, and counts (contract 9)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from osteorad.cohort.pseudonyms import file_name
from osteorad.cohort.sources import KNOWN, Source
from osteorad.dicom.index_entries import WITHDRAWN, Entry
from osteorad.dicom.index_listing import shown
from osteorad.files import json_text, tsv_text, write_text_if_changed
from osteorad.past import remove_with_past, write_with_past
from osteorad.reasons import reason

UNPLACED = "unplaced"


def write_states(source: Source, entries: Sequence[Entry]) -> list[str]:
    """Bring the states up to date with the table; returns the patients, sorted."""
    grouped: dict[str, list[list[Any]]] = defaultdict(list)
    unplaced: dict[str, list[list[Any]]] = defaultdict(list)
    pseudonym = cache(source.pseudonym)
    for e in entries:
        row = [file_name(source.key, shown(e.path)), e.size, e.version]
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
