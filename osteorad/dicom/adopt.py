"""Taking over DICOM that was pseudonymised before: the same account and gate, nothing copied or changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad.cohort.pseudonyms import series_name, session_name
from osteorad.dicom import gate
from osteorad.dicom.accounts import item_names, set_aside_row, write_manifest
from osteorad.dicom.elements import read_header
from osteorad.dicom.policy import Policy, load_policy
from osteorad.errors import SetAside
from osteorad.provenance import sha256_file

log = logging.getLogger(__name__)


def adopt_patient(
    files: Sequence[Path],
    *,
    cohort: str,
    patient: str,
    part: str,
    source_root: Path,
    manifest: Path,
    files_in: int,
    parts: Mapping[Path, str] | None = None,
) -> dict[str, Any]:
    """Manifest of the files of a patient that belong to `part`, left where they are (paths relative to `source_root`).

    The gate holds back objects that are no image, contours or segmentation, and what cannot be read or placed; headers
    that speak of burned-in text or faces are the former site's decision and pass. parts : as for `deidentify_patient`.
    """
    policy = load_policy()
    rows: dict[str, dict[str, Any]] = {}
    items: dict[str, tuple[str, str]] = {}
    collided: set[str] = set()
    set_aside: list[dict[str, Any]] = []
    for path, item in item_names(sorted(files), source_root, None).items():
        row, facts, refusal = _look_at(path, part, source_root, policy)
        if (parts or {}).get(path, facts.part) != part:
            continue
        before = rows.get(facts.sop_uid)
        if refusal is None and before is not None and before["sha256"] == row["sha256"]:
            refusal = SetAside("duplicate_file")
        elif refusal is None and (before is not None or facts.sop_uid in collided):
            refusal = SetAside("sop_uid_collision")
            collided.add(facts.sop_uid)
            if rows.pop(facts.sop_uid, None) is not None:
                set_aside.append(set_aside_row(items[facts.sop_uid][0], refusal, items[facts.sop_uid][1]))
        if refusal is not None:
            set_aside.append(set_aside_row(item, refusal, row["session"]))
            continue
        rows[facts.sop_uid] = row
        items[facts.sop_uid] = (item, row["session"])
    head = {
        "cohort": cohort,
        "patient": patient,
        "part": part,
        "root": "source",
        "roi_names": "original",
        "files_in": files_in,
        "policy": {"edition": "", "options": [], "key_check": "", "date_shifted": False},
        "pixel_hashes": {},
    }
    log.info("%s %s: %d files taken over, %d set aside", patient, part, len(rows), len(set_aside))
    return write_manifest(Path(manifest), head, list(rows.values()), set_aside)


def _look_at(path: Path, part: str, root: Path, policy: Policy) -> tuple[dict[str, Any], gate.Facts, SetAside | None]:
    file = read_header(path)
    facts = gate.facts_of(file)
    refusal = file.damage
    try:
        if refusal is None:
            gate.refuse_other_part(facts, part)
            gate.refuse_unplaced(facts)
            gate.refuse_objects(facts, policy)
    except SetAside as why:
        refusal = why
    row = {
        "path": path.relative_to(root).as_posix(),
        "sha256": sha256_file(path) if refusal is None else "",
        "modality": facts.modality,
        "session": session_name(facts.study_uid) if facts.study_uid else "",
        "series": series_name(facts.series_uid),
        "series_uid": facts.series_uid,
        "sop_uid": facts.sop_uid,
    }
    return row, facts, refusal
