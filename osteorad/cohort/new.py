"""A working folder drafted from an export: settings with what was found, an empty clinical table in the private part.

Reads headers only. Whatever may identify (patient ids, series descriptions, contour names that are not plainly
anatomical) is written under `private/`, mode 0600; `config.yaml` holds counts, suggested patterns and known words.
"""

from __future__ import annotations

import os
import re
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import BytesLengthException, InvalidDicomError

from osteorad.cohort.settings import PROJECT_NAME
from osteorad.cohort.sources import UNREADABLE
from osteorad.errors import UserError
from osteorad.files import tsv_text

TAGS = (
    *("PatientID", "Modality", "SeriesInstanceUID", "SeriesDescription"),
    *("Manufacturer", "SliceThickness", "PatientIdentityRemoved", "StructureSetROISequence", "SegmentSequence"),
)
# Suggested ROI -> words that contour names hold; the order decides where a name fits two.
SUGGESTIONS: dict[str, tuple[str, ...]] = {
    "marrow": ("marrow",),
    "lesion": ("lesion", "met", "mets", "metastasis", "gtv", "tumor", "tumour"),
    "bone": ("bone", "vertebra", "spine", "skeleton", "femur", "pelvis", "sacrum", "rib"),
    "liver": ("liver",),
    "lung": ("lung",),
    "heart": ("heart",),
    "body": ("body", "external", "skin"),
}
PLAIN_WORDS = frozenset(
    {word for words in SUGGESTIONS.values() for word in words}
    | {"left", "right", "l", "r", "lt", "rt", "ct", "pet", "mass", "roi", "seg", "ctv", "ptv", "itv", "primary", "node"}
    | {
        f"{region}{number}"
        for region, last in (("c", 7), ("t", 12), ("l", 5), ("s", 5))
        for number in range(1, last + 1)
    }
)


@dataclass(slots=True)
class Series:
    """One series of an export, as its headers tell."""

    patient: str
    modality: str
    description: str
    manufacturer: str
    thickness_mm: str
    files: int = 0


@dataclass(slots=True)
class Survey:
    """What an export holds."""

    series: dict[str, Series] = field(default_factory=dict)
    rois: Counter[str] = field(default_factory=Counter)
    files: int = 0
    unreadable: int = 0
    deidentified: int = 0

    @property
    def patients(self) -> list[str]:
        """Source patient ids, sorted."""
        return sorted({series.patient for series in self.series.values()})


def new_folder(folder: Path, export: Path) -> list[str]:
    """Look through `export` and write `folder`; returns the lines that tell the user what to do next.

    Raises UserError where the folder holds settings already, or the export holds no image.
    """
    if (folder / "config.yaml").exists():
        raise UserError(f"{folder}/config.yaml exists already. Name another folder, or remove the file.")
    if not export.is_dir():
        raise UserError(f"{export}: the folder does not exist. Wanted: the folder of the DICOM export.")
    survey = look_through(export)
    if not any(series.modality in ("CT", "PT") for series in survey.series.values()):
        raise UserError(f"{export}: no CT or PET image among {survey.files} files ({survey.unreadable} are not DICOM).")
    cohort = _cohort_name(folder.resolve().name)
    private = folder / "private" / cohort
    private.mkdir(parents=True, exist_ok=True)
    for guarded in (folder / "private", private):
        guarded.chmod(0o700)
    _write_private(private / "clinical.tsv", _clinical_text(survey))
    _write_private(private / "overview.tsv", _overview_text(survey))
    (folder / "config.yaml").write_text(config_text(survey, cohort, _shown(export, folder)), encoding="utf-8")
    return [
        f"{folder}/config.yaml: drafted; look at rois, then run: python -m osteorad check --directory {folder}",
        f"{private}/clinical.tsv: {len(survey.patients)} patients without outcome; fill it in for an analysis",
        f"{private}/overview.tsv: every series and contour name found",
        f"Then, in the clone: snakemake --profile local --directory {folder}",
    ]


def look_through(export: Path) -> Survey:
    """Read the headers below a folder; progress goes to stderr."""
    survey = Survey()
    for path in _files(export):
        survey.files += 1
        if survey.files % 1000 == 0:
            print(f"  {survey.files} files read", file=sys.stderr)
        try:
            header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS))
            _count(survey, header)
        except (*UNREADABLE, InvalidDicomError, BytesLengthException):  # ingest sets such files aside with a reason
            survey.unreadable += 1
    return survey


def _files(folder: Path) -> Iterator[Path]:
    for here, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(here) / name
            if path.is_file() and not path.is_symlink():  # a pipe would wait for a writer
                yield path


def _count(survey: Survey, header: Any) -> None:
    uid = str(header.SeriesInstanceUID)
    if uid not in survey.series:
        survey.series[uid] = Series(
            patient=str(header.PatientID),
            modality=str(header.Modality),
            description=str(header.get("SeriesDescription", "") or ""),
            manufacturer=str(header.get("Manufacturer", "") or ""),
            thickness_mm=str(header.get("SliceThickness", "") or ""),
        )
    survey.series[uid].files += 1
    survey.deidentified += str(header.get("PatientIdentityRemoved", "")) == "YES"
    names = [str(item.get("ROIName", "")) for item in header.get("StructureSetROISequence") or ()]
    names += [str(item.get("SegmentLabel", "")) for item in header.get("SegmentSequence") or ()]
    survey.rois.update(" ".join(name.split()) for name in names)


def suggested_rois(names: Sequence[str]) -> dict[str, list[str]]:
    """ROI -> patterns that match contour names of this export, from words that are common in such names."""
    found: dict[str, list[str]] = defaultdict(list)
    for roi, words in SUGGESTIONS.items():
        for word in words:
            if any(word in name.lower() for name in names) and not any(p.strip("*") in word for p in found[roi]):
                found[roi].append(f"*{word}*")
    return {roi: patterns for roi, patterns in found.items() if patterns}


def is_plain(name: str) -> bool:
    """True when a contour's name holds only known words and numbers, so that it may stand outside `private/`."""
    words = re.findall(r"[a-z]+\d*|\d+", name.lower())
    return bool(words) and all(
        word.isdigit() or word in PLAIN_WORDS or word.rstrip("0123456789") in PLAIN_WORDS for word in words
    )


def config_text(survey: Survey, cohort: str, export: str) -> str:
    """The drafted config.yaml."""
    modalities = [name for name in ("CT", "PT") if any(s.modality == name for s in survey.series.values())]
    rois = suggested_rois(list(survey.rois)) or {"lesion": ["*lesion*"]}
    removed = bool(survey.files - survey.unreadable) and survey.deidentified == survey.files - survey.unreadable
    source = "deidentified" if removed else "dicom"
    why = (
        "all headers say that identity was removed"
        if removed
        else "headers may identify: pseudonyms are made, with a key"
    )
    head, fate = (
        ("quarantine", "series that show a head, or may show one, are held back; keep: faces stay in the results")
        if removed
        else (
            "blank",
            "slices above the neck become air; keep: faces stay in the results; quarantine: series held back",
        )
    )
    lines = [
        "# Drafted by `python -m osteorad new`. All keys: docs/reference.md. Check: python -m osteorad check",
        "",
        f"title: {cohort}",
        "private_dir: private              # identity stays here; may lie elsewhere",
        "",
        "cohorts:",
        f"  {cohort}:",
        f"    source: {source}".ljust(34) + f"# {why}",
        f"    path: {_quoted(export)}",
        f"    head: {head}".ljust(34) + f"# {fate}",
        f"    modalities: [{', '.join(modalities)}]",
        *_series_comments(survey),
        "    rois:                         # ROI: patterns of contour names; correct these suggestions",
        *(f"      {roi}: [{', '.join(_quoted(p) for p in patterns)}]" for roi, patterns in rois.items()),
        *_roi_comments(survey),
        "    clinical:",
        f"      path: private/{cohort}/clinical.tsv",
        "      keep: []                    # covariates that may leave the private folder, such as age_years",
        "",
        "analyses: {}",
        "# analyses:                       # once the clinical table holds outcomes",
        "#   question:",
        f"#     cohort: {cohort}",
        "#     recipe: zhu2024",
        "#     outcome: outcome",
        f"#     overrides: {{roi: {next(iter(rois))}}}",
    ]
    return "\n".join(lines) + "\n"


def _series_comments(survey: Survey) -> Iterator[str]:
    """Counts a modality: series, files a series, patients."""
    yield f"    # found: {len(survey.patients)} patients, {survey.files} files, {survey.unreadable} of them not DICOM"
    for modality in sorted({series.modality for series in survey.series.values()}):
        mine = [series for series in survey.series.values() if series.modality == modality]
        files = sorted(series.files for series in mine)
        extent = f"{files[0]}" if files[0] == files[-1] else f"{files[0]} to {files[-1]}"
        patients = len({series.patient for series in mine})
        kind = modality if re.fullmatch(r"[A-Z]{2,12}", modality) else "other"
        yield f"    #   {kind}: {len(mine)} series of {patients} patients, {extent} files a series"


def _roi_comments(survey: Survey) -> Iterator[str]:
    plain = {name: count for name, count in survey.rois.items() if is_plain(name)}
    for name in sorted(plain, key=lambda name: (-plain[name], name))[:40]:
        yield f"    #   {name}: {plain[name]}"
    hidden = len(survey.rois) - min(len(plain), 40)
    if hidden:
        yield f"    #   and {hidden} other names, in the private folder (overview.tsv)"


def _clinical_text(survey: Survey) -> str:
    header = ["patient", "outcome", "index_date", "event_date", "last_seen"]
    return tsv_text(header, [[patient, "", "", "", ""] for patient in survey.patients])


def _overview_text(survey: Survey) -> str:
    header = ["what", "patient", "modality", "name", "manufacturer", "slice_thickness_mm", "count"]
    ordered = sorted(survey.series.values(), key=lambda s: (s.patient, s.modality, s.description, s.files))
    rows = [["series", s.patient, s.modality, s.description, s.manufacturer, s.thickness_mm, s.files] for s in ordered]
    rows += [["contour", "", "", name, "", "", survey.rois[name]] for name in sorted(survey.rois)]
    return tsv_text(header, rows)


def _write_private(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.chmod(0o600)
    path.write_text(text, encoding="utf-8")


def _cohort_name(folder: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-")[:41]
    return name if re.match(PROJECT_NAME, name) else "cohort"


def _shown(export: Path, folder: Path) -> str:
    """The export as the drafted settings name it: relative where it lies below the folder, else absolute."""
    export, folder = export.resolve(), folder.resolve()
    return str(export.relative_to(folder)) if export.is_relative_to(folder) else str(export)


def _quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
