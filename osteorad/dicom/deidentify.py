"""De-identification of one patient: DICOM with identity in, DICOM without out, an account of every file.

Two passes over a patient's files. The first reads headers: who is named, what each object is, whether it may pass. The
second rewrites what passes: policy tables on every element (scrub), then a check of the finished bytes (postcheck).
Pixel bytes are copied as they are, but for a head that the configuration wants blanked. What cannot pass becomes a row
with a reason; nothing here raises for bad data, and no header value, file name or path goes into a log, a manifest or a
message.
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import os
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import osteorad
from osteorad.cohort.pseudonyms import key_check, keyed, patient_pseudonym, series_name, session_name
from osteorad.dicom import gate
from osteorad.dicom.accounts import item_names, set_aside_row, write_manifest
from osteorad.dicom.blank import Cut, blanked, cut_object
from osteorad.dicom.contour_names import rename_contours, write_own_names
from osteorad.dicom.elements import PIXEL_DATA, DicomFile, Element, read_file, read_header
from osteorad.dicom.encode import file_bytes
from osteorad.dicom.head import KEEP, NOTHING_KNOWN, Heads, Judged, heads_of, plan_heads
from osteorad.dicom.method import RECOGNIZABLE, method_elements
from osteorad.dicom.places import Place, place_of
from osteorad.dicom.policy import Policy, load_policy
from osteorad.dicom.postcheck import Needles, check
from osteorad.dicom.scrub import Person, Scrubbers
from osteorad.dicom.uids import map_uid
from osteorad.errors import SetAside
from osteorad.files import read_json, write_bytes
from osteorad.provenance import sha256_bytes

log = logging.getLogger(__name__)

WEEKS_BACK = (53, 1043)  # between one and twenty years
# implementation class UID and version name, the same in every installation
WRITER = ("2.25.185975198117143077281674851152394535237", "OSTEORAD")
PARTS = ("images", "contours")


@dataclass(frozen=True, slots=True)
class Handled:
    """One file after the first pass."""

    path: Path
    item: str
    facts: gate.Facts
    refusal: SetAside | None
    place: Place | None  # of an image, where heads matter


@dataclass(frozen=True, slots=True, kw_only=True)
class Made:
    """One file after the second pass.

    pixels : hash of the stored pixels as they came, so that it does not depend on what becomes of heads; empty where
    none is wanted. names : own names of ROIs. above_neck : ROI (segment) -> contours (frames) that went with the head.
    """

    content: bytes
    pixels: str
    names: tuple[tuple[int, str], ...]
    above_neck: Mapping[int, int]


@dataclass(slots=True, kw_only=True)
class Job:
    """What the second pass works with, and what it made so far."""

    person: Person
    policy: Policy
    needles: Needles
    rois: Mapping[str, list[str]]
    out_dir: Path
    manifest: Path
    scrubbers: Scrubbers
    hash_pixels: bool
    heads: Heads
    files: dict[str, dict[str, Any]] = field(default_factory=dict)  # de-identified SOP instance UID -> row
    pixels: dict[str, dict[str, str]] = field(default_factory=lambda: defaultdict(dict))  # series -> instance -> hash
    items: dict[str, tuple[str, str]] = field(default_factory=dict)  # instance -> item, session
    set_aside: list[dict[str, Any]] = field(default_factory=list)
    collided: set[str] = field(default_factory=set)
    names: dict[str, tuple[tuple[int, str], ...]] = field(default_factory=dict)  # instance -> own names of its ROIs


def date_offset_days(key: bytes, patient: str) -> int:
    """Days by which all dates of a patient move: whole weeks back, the same in every job, known only with the key."""
    first, last = WEEKS_BACK
    weeks = first + int.from_bytes(keyed(key, "days", patient)[:8], "big") % (last - first)
    return -7 * weeks


def deidentify_patient(
    files: Sequence[Path],
    *,
    cohort: str,
    patient: str,
    key: bytes,
    project_key: bytes | None,
    part: str,
    rois: Mapping[str, list[str]],
    out_dir: Path,
    manifest: Path,
    files_in: int,
    source_root: Path | None = None,
    names: Path | None = None,
    head: str = KEEP,
    images: Path | None = None,
    parts: Mapping[Path, str] | None = None,
) -> dict[str, Any]:
    """De-identify the files of one patient that belong to `part`; write DICOM under `out_dir` and the manifest.

    files : all files of the patient, whatever they are. part : `images` (all but RTSTRUCT and SEG, junk included) or
    `contours` (RTSTRUCT and SEG). rois : ROI -> name patterns, for contours. files_in : how many files of this part
    the source index counts. source_root : folder that file names are taken relative to before they are hashed.
    names : private file for the contours' own names, which the table of lesions uses. head : keep, blank or quarantine;
    for contours under the latter two, images : the manifest of the patient's images, which tells where the neck is.
    parts : to which part each file belongs, as the source index counts them; without it the files themselves tell.
    Returns the manifest. Raises ValueError for an unknown part; never for bad data.
    """
    if part not in PARTS:
        raise ValueError(f"unknown part {part!r}; valid: {', '.join(PARTS)}")
    policy, needles = load_policy(), Needles()
    _empty(Path(out_dir), part)
    items = item_names(sorted(files), source_root, key)
    survey = _refuse_strangers(list(_survey(items, part, parts or {}, policy, needles, head)), key, patient)
    person = _person(key, patient, policy, needles)
    job = Job(
        person=person,
        policy=policy,
        needles=needles,
        rois=rois,
        out_dir=Path(out_dir),
        manifest=Path(manifest),
        scrubbers=Scrubbers(policy=policy, person=person),
        hash_pixels=project_key is not None and part == "images",
        heads=_heads(survey, head, images),
    )
    for handled in survey:
        _handle(handled, job)
    if names is not None:
        write_own_names(names, patient, {uid: job.names[uid] for uid in job.files})
    log.info("%s %s: %d files written, %d set aside", patient, part, len(job.files), len(job.set_aside))
    account = {
        "cohort": cohort,
        "patient": patient,
        "part": part,
        "root": "here",
        "roi_names": "assigned",
        "files_in": files_in,
        "policy": _policy_in_force(policy, key),
        "pixel_hashes": _pixel_hashes(job, project_key),
        # frames of reference that came with a manifest of images have left already
        "head": job.heads.row(lambda uid: uid if images is not None else map_uid(key, uid)),
    }
    return write_manifest(job.manifest, account, list(job.files.values()), job.set_aside)


def _person(key: bytes, patient: str, policy: Policy, needles: Needles) -> Person:
    """What the second pass replaces and moves, from what the first one gathered."""
    return Person(
        key=key,
        pseudonym=patient,
        days=date_offset_days(key, patient),
        names=frozenset(needles.own_words),
        rare_names=frozenset(w for w in needles.own_words if not policy.vocabulary.knows(w)),
        numbers=needles.numbers(),
    )


def _policy_in_force(policy: Policy, key: bytes) -> dict[str, Any]:
    return {
        "edition": policy.edition,
        "options": [code for code, _ in policy.options],
        "key_check": key_check(key),
        "date_shifted": True,
    }


def _empty(out_dir: Path, part: str) -> None:
    """Remove what an earlier run of this part left; the other part's files, perhaps being written now, stay."""
    for path in sorted(out_dir.rglob("*.dcm")):
        file = read_header(path)
        # files here are written whole: one that cannot be read was removed a moment ago by the job of the other part
        if file.damage is None and gate.facts_of(file).part == part:
            path.unlink()


def _heads(survey: Sequence[Handled], setting: str, images: Path | None) -> Heads:
    """What is known of this patient's heads: from the CT at hand, or for contours from the manifest of the images."""
    if images is not None:
        return heads_of(read_json(images), setting)
    return plan_heads([h.place for h in survey if h.place is not None and h.refusal is None], setting)


def _survey(
    names: Mapping[Path, str], part: str, parts: Mapping[Path, str], policy: Policy, needles: Needles, head: str
) -> Iterator[Handled]:
    """First pass: facts and refusals of the files that belong to the part."""
    for path, item in names.items():
        file = read_header(path)
        facts = gate.facts_of(file)
        needles.gather(file.elements, policy)  # also from the other part: the same person
        if parts.get(path, facts.part) == part:
            refusal = file.damage or _refusal(facts, part, policy)
            place = place_of(file, facts, path) if head != KEEP and part == "images" and refusal is None else None
            yield Handled(path, item, facts, refusal, place)


def _refusal(facts: gate.Facts, part: str, policy: Policy) -> SetAside | None:
    try:
        gate.refuse_other_part(facts, part)
        gate.refuse_unplaced(facts)
        gate.refuse_objects(facts, policy)
        gate.refuse_pixels(facts)
    except SetAside as refusal:
        return refusal
    return None


def _refuse_strangers(survey: list[Handled], key: bytes, patient: str) -> list[Handled]:
    """Where files carry several PatientIDs, only those of the patient asked for pass; none under several issuers."""
    passing = [h.facts for h in survey if h.refusal is None]
    if len({f.source_patient_id for f in passing}) > 1:
        strangers = {f.source_patient_id for f in passing if patient_pseudonym(key, f.source_patient_id) != patient}
    elif len({f.issuer for f in passing if f.issuer}) > 1:
        strangers = {f.source_patient_id for f in passing}
    else:
        return survey
    refusal = SetAside("patient_id_collision", "files handed over as one patient's are of several")
    return [
        replace(h, refusal=refusal) if h.refusal is None and h.facts.source_patient_id in strangers else h
        for h in survey
    ]


def _handle(handled: Handled, job: Job) -> None:
    """Second pass for one file: write it, or account for it."""
    facts, key = handled.facts, job.person.key
    session = session_name(map_uid(key, facts.study_uid)) if facts.study_uid else ""
    try:
        if refusal := handled.refusal or job.heads.refusals.get(handled.path):
            raise refusal
        made = _rewritten(handled.path, facts, job)
    except SetAside as why:
        job.set_aside.append(set_aside_row(handled.item, why, session))
        return
    series_uid, sop_uid = map_uid(key, facts.series_uid), map_uid(key, facts.sop_uid)
    series = series_name(series_uid)
    path = job.out_dir / session / series / f"{sop_uid}.dcm"
    row = {
        "path": Path(os.path.relpath(path, job.manifest.parent)).as_posix(),
        "sha256": sha256_bytes(made.content),
        "modality": facts.modality,
        "session": session,
        "series": series,
        "series_uid": series_uid,
        "sop_uid": sop_uid,
        **(
            {"above_neck": {str(number): count for number, count in made.above_neck.items()}} if made.above_neck else {}
        ),
    }
    if _is_first(row, handled.item, job):
        write_bytes(path, made.content)
        job.files[sop_uid] = row
        job.items[sop_uid] = (handled.item, session)
        job.pixels[series][sop_uid] = made.pixels
        job.names[sop_uid] = made.names


def _is_first(row: Mapping[str, Any], item: str, job: Job) -> bool:
    """False where the instance was there before: an equal output is a duplicate, of unequal ones none may stay."""
    sop_uid = row["sop_uid"]
    before = job.files.get(sop_uid)
    if before is None and sop_uid not in job.collided:
        return True
    if before is not None and before["sha256"] == row["sha256"]:
        job.set_aside.append(set_aside_row(item, SetAside("duplicate_file"), row["session"]))
        return False
    collision = SetAside("sop_uid_collision")
    job.set_aside.append(set_aside_row(item, collision, row["session"]))
    if before is not None:
        job.collided.add(sop_uid)
        job.set_aside.append(set_aside_row(job.items[sop_uid][0], collision, job.items[sop_uid][1]))
        (job.manifest.parent / before["path"]).unlink(missing_ok=True)
        job.pixels[before["series"]].pop(sop_uid, None)
        del job.files[sop_uid]
    return False


def _rewritten(path: Path, facts: gate.Facts, job: Job) -> Made:
    """The de-identified file, checked, without what the head's setting takes out of it."""
    file = read_file(path)
    if file.damage is not None:
        raise file.damage
    pixels = _pixel_digest(file.elements) if job.hash_pixels else ""
    contours = facts.part == "contours"
    above_neck: dict[int, int] = {}
    if path in job.heads.blanked:
        file = blanked(file, facts.modality)
    elif contours and job.heads.setting != KEEP:
        cut = _cut(file, facts, job)
        file.elements, above_neck = cut.elements, cut.lost
    column = job.policy.iods[facts.sop_class][1]
    scrubber = job.scrubbers.of(file.elements, types_column=column, descriptors=not contours)
    elements = file.elements
    names: tuple[tuple[int, str], ...] = ()
    if contours:
        renamed = rename_contours(elements, job.rois, scrubber.decode)
        elements, scrubber.roi_labels, names = renamed.elements, renamed.labels, renamed.names
    faceless = job.heads.setting != KEEP
    kept = [e for e in scrubber.dataset(elements) if e.tag != RECOGNIZABLE or not faceless]
    kept += method_elements(job.policy, osteorad.__version__, faceless=faceless)
    kept.sort(key=lambda e: e.tag)
    sop_uid = map_uid(job.person.key, facts.sop_uid)
    content = file_bytes(kept, syntax=file.syntax, sop_class=facts.sop_class, sop_uid=sop_uid, writer=WRITER)
    check(content, needles=job.needles, trace=scrubber.trace, policy=job.policy, pseudonym=job.person.pseudonym)
    return Made(content=content, pixels=pixels, names=names, above_neck=above_neck)


def _cut(file: DicomFile, facts: gate.Facts, job: Job) -> Cut:
    """Contours or a segmentation without what lies above the neck; raises SetAside where all of it has to go."""

    def look(frame_of_reference: str) -> Judged:
        return job.heads.judged.get(map_uid(job.person.key, frame_of_reference), NOTHING_KNOWN)

    return cut_object(file, facts.modality, look, job.heads.setting)


def _pixel_digest(elements: Sequence[Element]) -> str:
    pixels = next((e.value for e in elements if e.tag == PIXEL_DATA), b"")
    return "" if isinstance(pixels, list) else hashlib.sha256(pixels).hexdigest()


def _pixel_hashes(job: Job, project_key: bytes | None) -> dict[str, str]:
    """Keyed hash of the stored pixel bytes of each series, in no order: tells the same person in two cohorts."""
    if project_key is None or not job.hash_pixels:
        return {}
    return {
        series: hmac.new(project_key, "\n".join(sorted(found.values())).encode(), "sha256").hexdigest()
        for series, found in sorted(job.pixels.items())
        if found
    }
