"""One cohort from the manifests of its patients: three tables, and the flow in which nothing is lost (contract 7).

Every stage is counted twice, from different files: what went in from the stage before, what came out from its own
rows. Where the two disagree the job stops with the numbers, because a page with a hole in it is worse than none.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.cohort import schemas
from osteorad.files import read_json, read_parquet, table_from_rows, write_json, write_parquet
from osteorad.reasons import SET_ASIDE, reason

Manifest = Mapping[str, Any]
Row = dict[str, Any]


class FlowError(Exception):
    """A stage lost or invented something: a bug, told with its numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The manifests of a cohort, read."""

    cohort: str
    patients: Sequence[str]
    dicom: Sequence[Manifest]  # images.json and contours.json of dicom/, and what could not be placed
    images: Sequence[Manifest]
    masks: Sequence[Manifest]
    clinical: Mapping[str, Row] | None  # patient -> row of clinical.parquet; None where there is no table
    exclude: Mapping[str, str]
    modalities: Sequence[str]
    lesions: Manifest | None = None  # account of the table of lesions
    withdrawn: int = 0  # patients who withdrew, of whom nothing else is known


def collect_cohort(
    *,
    cohort: str,
    patients: Sequence[str],
    dicom_manifests: Sequence[Path],
    images: Sequence[Path],
    masks: Sequence[Path],
    clinical: Path | None,
    exclude: Mapping[str, str],
    out_patients: Path,
    out_series: Path,
    out_quarantine: Path,
    out_flow: Path,
    modalities: Sequence[str] = ("CT", "PT"),
    lesions: Path | None = None,
    withdrawn: int = 0,
) -> None:
    """Write patients.parquet, series.parquet, quarantine.parquet and flow.json of a cohort.

    patients : pseudonyms of the source. exclude : pseudonym -> the configuration's reason. lesions : the account of
    the table of lesions, where there is one. withdrawn : number of patients who withdrew.
    Raises FlowError where a stage's numbers do not add up.
    """
    collected = Collected(
        cohort=cohort,
        patients=sorted(patients),
        dicom=_read(dicom_manifests),
        images=_read(images),
        masks=_read(masks),
        clinical=None if clinical is None else {row["patient"]: row for row in read_parquet(clinical).to_pylist()},
        exclude=exclude,
        modalities=modalities,
        lesions=None if lesions is None else read_json(lesions),
        withdrawn=withdrawn,
    )
    series = series_rows(collected)
    people = patient_rows(collected)
    stages = flow(collected, series, people)
    aside = sorted([*quarantine_rows(collected), *_patient_quarantine(people)], key=_quarantine_order)
    write_parquet(out_patients, table_from_rows(people, schemas.PATIENTS))
    write_parquet(out_series, table_from_rows(series, schemas.SERIES))
    write_parquet(out_quarantine, table_from_rows(aside, schemas.QUARANTINE))
    write_json(out_flow, {"cohort": cohort, "stages": stages})


def _read(paths: Iterable[Path]) -> list[Manifest]:
    manifests: list[Manifest] = [read_json(path) for path in paths]
    return sorted(manifests, key=lambda m: (m["patient"], m.get("part", ""), m.get("set", "")))


# --- tables -----------------------------------------------------------------------------------------------------------


def series_rows(collected: Collected) -> list[Row]:
    """A row a series: those of the images, and those of contours from the mask set that reads them."""
    rows: dict[tuple[str, str, int], Row] = {}
    for manifest in (*collected.images, *collected.masks):
        repeats: Counter[str] = Counter()
        for series in manifest["series"]:
            patient = manifest["patient"]
            # several stacks of one series follow each other; several mask sets tell of the same contour series
            key = (patient, series["series"], repeats[series["series"]])
            repeats[series["series"]] += 1
            rows.setdefault(key, {**series, "cohort": collected.cohort, "patient": patient})
    offsets = {p: row.get("first_session_day") for p, row in (collected.clinical or {}).items()}
    for row in rows.values():
        if row.get("session_day") is not None and (offset := offsets.get(row["patient"])) is not None:
            row["session_day"] = round(row["session_day"] + offset)
    return [rows[key] for key in sorted(rows)]


def quarantine_rows(collected: Collected) -> list[Row]:
    """Everything that a manifest set aside or flagged, and rows of the table of lesions that were not used."""
    return [
        {**row, "cohort": collected.cohort, "patient": manifest["patient"]}
        for manifest in (*collected.dicom, *collected.images, *collected.masks)
        for row in manifest["set_aside"]
    ] + [{**row, "cohort": collected.cohort} for row in (collected.lesions or {}).get("set_aside", ())]


def patient_rows(collected: Collected) -> list[Row]:
    """A row a person: of the source, and of the clinical table."""
    images = {manifest["patient"]: manifest for manifest in collected.images}
    table = collected.clinical or {}
    return [
        _patient_row(collected, patient, images.get(patient), table.get(patient))
        for patient in sorted({*collected.patients, *table})
    ]


def _patient_row(collected: Collected, patient: str, manifest: Manifest | None, row: Row | None) -> Row:
    state, code = _patient_state(collected, patient, manifest)
    facts = [image["facts"] for image in manifest["images"]] if manifest else []
    age = _first([(row or {}).get("age_years"), *(fact.get("age_years") for fact in facts)])
    sex = _first([(row or {}).get("sex"), *(fact.get("sex") for fact in facts)])
    return {
        "cohort": collected.cohort,
        "patient": patient,
        "images": bool(facts),
        "in_table": row is not None,
        "sessions": len({image["session"] for image in manifest["images"]}) if manifest else 0,
        "state": state,
        "reason": code,
        "age_years": float(age) if isinstance(age, int | float) else None,
        "sex": str(sex or ""),
    }


def _first(values: Iterable[Any]) -> Any:
    return next((value for value in values if value not in (None, "")), None)


def _patient_state(collected: Collected, patient: str, manifest: Manifest | None) -> tuple[str, str]:
    if patient in collected.exclude:
        return "excluded", "excluded_by_config"
    if patient not in collected.patients:
        return "excluded", "table_without_images"
    names = {image["image"].split("-")[0] for image in manifest["images"]} if manifest else set()
    if not names:
        return "quarantined", "no_image"
    if "CT" in collected.modalities and "ct" not in names:
        return "quarantined", "no_usable_ct"
    return "used", ""


def _patient_quarantine(people: Sequence[Row]) -> Iterator[Row]:
    """People who leave the cohort, among the things set aside."""
    for row in people:
        if row["state"] != "used":
            yield {
                **{"cohort": row["cohort"], "patient": row["patient"], "session": "", "stage": "patients"},
                **{"item": row["patient"], "count": 1, "kind": row["state"], "reason": row["reason"], "detail": ""},
            }


def _quarantine_order(row: Row) -> tuple[str, ...]:
    stages = ("files", "series", "masks", "lesions", "patients")
    stage = str(stages.index(row["stage"])) if row["stage"] in stages else row["stage"]
    return (row["patient"], stage, row["session"], row["item"], row["reason"], row["detail"])


# --- flow -------------------------------------------------------------------------------------------------------------


def flow(collected: Collected, series: Sequence[Row], people: Sequence[Row]) -> list[Row]:
    """Stages files, series, images, masks, lesions (of the table), patients: unit, in, used, set aside by reason.

    Raises FlowError where in is not used + set aside, or where a series has other files than its manifest.
    """
    _same_files(collected, series)
    return [
        _files_stage(collected),
        _series_stage(collected, series),
        _images_stage(collected, series),
        _masks_stage(collected),
        *([_lesions_stage(collected.lesions)] if collected.lesions is not None else []),
        _patients_stage(collected, people),
    ]


def _stage(stage: str, unit: str, into: int, used: int, aside: Mapping[str, int]) -> Row:
    listed = [{"reason": code, "kind": reason(code).kind, "count": aside[code]} for code in sorted(aside)]
    out = sum(aside.values())
    if into != used + out:
        raise FlowError(f"stage {stage}: {into} {unit} in, but {used} used + {out} set aside = {used + out}")
    return {"stage": stage, "unit": unit, "in": into, "used": used, "set_aside": listed}


def _set_aside(manifests: Iterable[Manifest], stage: str) -> Counter[str]:
    """Reason -> count of the rows that leave the flow at a stage; flags and notes stay in it."""
    counts: Counter[str] = Counter()
    for manifest in manifests:
        for row in manifest["set_aside"]:
            if row["stage"] == stage and row["kind"] in SET_ASIDE:
                counts[row["reason"]] += row["count"]
    return counts


def _files_stage(collected: Collected) -> Row:
    into = sum(manifest["files_in"] for manifest in collected.dicom)
    used = sum(len(manifest["files"]) for manifest in collected.dicom)
    return _stage("files", "files", into, used, _set_aside(collected.dicom, "files"))


def _manifest_series(collected: Collected) -> Counter[tuple[str, str]]:
    """(patient, series) -> number of files, as the de-identified folders have them."""
    return Counter((m["patient"], file["series"]) for m in collected.dicom for file in m["files"])


def _whole(series: str) -> str:
    """The series that a stack (`e0123abcd-2`) was split from."""
    return series.split("-")[0]


def _same_files(collected: Collected, series: Sequence[Row]) -> None:
    told: Counter[tuple[str, str]] = Counter()
    for row in series:
        told[row["patient"], _whole(row["series"])] += row["files"]
    held = _manifest_series(collected)
    for key in sorted({*told, *held}):
        if told[key] != held[key]:
            raise FlowError(f"series {key[1]} of {key[0]}: {held[key]} files in its folder, {told[key]} in its rows")


def _series_stage(collected: Collected, series: Sequence[Row]) -> Row:
    """A series counts as used when one of its stacks is; else the first stack's reason stands for it."""
    stacks: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in series:
        stacks[row["patient"], _whole(row["series"])].append(row)
    used = [key for key, rows in stacks.items() if any(row["state"] == "used" for row in rows)]
    aside = Counter(rows[0]["reason"] for key, rows in stacks.items() if key not in set(used))
    return _stage("series", "series", len(_manifest_series(collected)), len(used), aside)


def _images_stage(collected: Collected, series: Sequence[Row]) -> Row:
    """Volumes: a used image series must have become exactly one; those of patients who leave are set aside."""
    states = {manifest["patient"] for manifest in collected.images if manifest["patient"] in collected.exclude}
    into = sum(row["state"] == "used" and row["kind"] == "image" for row in series)
    made = [(m["patient"], image["session"], image["image"]) for m in collected.images for image in m["images"]]
    if len(made) != len(set(made)):
        raise FlowError(f"stage images: {len(made)} images, but only {len(set(made))} names")
    excluded = sum(patient in states for patient, _, _ in made)
    aside = {"excluded_by_config": excluded} if excluded else {}
    return _stage("images", "images", into, len(made) - excluded, aside)


def _masks_stage(collected: Collected) -> Row:
    """Contours of ROIs: those found in the objects and mask files (`rois_in`), against the masks that were drawn."""
    used = sum(len(manifest["masks"]) for manifest in collected.masks)
    aside = _set_aside(collected.masks, "masks")
    into = 0
    for manifest in collected.masks:
        listed = len(manifest["masks"]) + sum(_set_aside([manifest], "masks").values())
        into += int(manifest.get("rois_in", listed))
    return _stage("masks", "contours", into, used, aside)


def _lesions_stage(account: Manifest) -> Row:
    return _stage("lesions", "rows", account["rows_in"], account["used"], _set_aside([account], "lesions"))


def _patients_stage(collected: Collected, people: Sequence[Row]) -> Row:
    into = len({*collected.patients, *(collected.clinical or {})}) + collected.withdrawn
    used = sum(row["state"] == "used" for row in people)
    aside = Counter(row["reason"] for row in people if row["state"] != "used")
    if collected.withdrawn:
        aside["withdrawn"] = collected.withdrawn
    return _stage("patients", "patients", into, used, aside)
