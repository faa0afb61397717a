"""Taking over DICOM that was pseudonymised before: the same account and gate, nothing copied or changed."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad.cohort.pseudonyms import series_name, session_name
from osteorad.dicom import gate
from osteorad.dicom.accounts import item_names, set_aside_row, write_manifest
from osteorad.dicom.blank import cut_object
from osteorad.dicom.elements import read_file, read_header
from osteorad.dicom.head import KEEP, NOTHING_KNOWN, Heads, heads_of, plan_heads
from osteorad.dicom.places import place_of
from osteorad.dicom.policy import Policy, load_policy
from osteorad.errors import SetAside
from osteorad.files import read_json
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
    head: str = KEEP,
    images: Path | None = None,
    parts: Mapping[Path, str] | None = None,
) -> dict[str, Any]:
    """Manifest of the files of a patient that belong to `part`, left where they are (paths relative to `source_root`).

    The gate holds back objects that are no image, contours or segmentation, and what cannot be read or placed; headers
    that speak of burned-in text or faces are the former site's decision and pass. head : keep or quarantine; for
    contours under quarantine, images : the manifest of the patient's images, which tells where the neck is.
    parts : as for `deidentify_patient`.
    """
    policy = load_policy()
    looked_at = {path: _look_at(path, part, source_root, policy) for path in sorted(files)}
    heads = _heads(looked_at, part, head, images)
    rows: dict[str, dict[str, Any]] = {}
    items: dict[str, tuple[str, str]] = {}
    collided: set[str] = set()
    set_aside: list[dict[str, Any]] = []
    for path, item in item_names(sorted(files), source_root, None).items():
        row, facts, refusal = looked_at[path]
        if (parts or {}).get(path, facts.part) != part:
            continue
        refusal = refusal or heads.refusals.get(path)
        if refusal is None and part == "contours" and head != KEEP:
            refusal = _drawn_on_head(path, facts, heads)
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
    account = {
        "cohort": cohort,
        "patient": patient,
        "part": part,
        "root": "source",
        "roi_names": "original",
        "files_in": files_in,
        "policy": {"edition": "", "options": [], "key_check": "", "date_shifted": False},
        "pixel_hashes": {},
        "head": heads.row(lambda uid: uid),
    }
    log.info("%s %s: %d files taken over, %d set aside", patient, part, len(rows), len(set_aside))
    return write_manifest(Path(manifest), account, list(rows.values()), set_aside)


def _heads(
    looked_at: Mapping[Path, tuple[dict[str, Any], gate.Facts, SetAside | None]],
    part: str,
    setting: str,
    images: Path | None,
) -> Heads:
    """What is known of this patient's heads: from the CT at hand, or for contours from the manifest of the images."""
    if images is not None:
        return heads_of(read_json(images), setting)
    passing = [(path, facts) for path, (_, facts, refusal) in looked_at.items() if refusal is None]
    mine = [(path, facts) for path, facts in passing if facts.part == part == "images" and setting != KEEP]
    return plan_heads([place_of(read_header(path), facts, path) for path, facts in mine], setting)


def _drawn_on_head(path: Path, facts: gate.Facts, heads: Heads) -> SetAside | None:
    """Why an object of contours does not pass: it reaches above the neck, or nobody knows whether it does."""
    try:
        cut_object(read_file(path), facts.modality, lambda uid: heads.judged.get(uid, NOTHING_KNOWN), heads.setting)
    except SetAside as why:
        return why
    return None


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
