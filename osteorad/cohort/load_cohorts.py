"""Checks of the cohorts in config.yaml: sources, tables, ROIs, exclusions."""

from __future__ import annotations

import datetime
import re
from collections.abc import Iterator
from os.path import isdir, isfile  # unlike Path's, they answer for names that cannot be one

from osteorad.cohort.config import LESION_COLUMNS, SLICES, TABLE, TABLE_COLUMNS, Cohort
from osteorad.cohort.load_checks import Checks
from osteorad.cohort.pseudonyms import FILE_NAME
from osteorad.cohort.whole import COHORTS, is_whole, looks_whole
from osteorad.errors import shortened, unknown_name

PSEUDONYM = re.compile(r"p[0-9a-f]{12}")
WRITTEN = ("results", "contours", "work", "logs", "benchmarks", ".snakemake")  # folders of a run; contours: of people


class CohortChecks(Checks):
    """Every problem of the cohorts."""

    def cohorts(self) -> Iterator[str]:
        """Problems of every cohort."""
        for name, cohort in self.config.cohorts.items():
            yield from self._source(name, cohort)
            yield from self._tables(name, cohort)
            yield from self._rois(name, cohort)
            yield from self._exclusions(name, cohort)

    def _source(self, name: str, cohort: Cohort) -> Iterator[str]:
        at = ("cohorts", name)
        if cohort.table is not None and cohort.source != TABLE:
            yield f"{self._at(*at, 'table')}: only for source table, here the source is {cohort.source}."
        if cohort.slices is not None and cohort.source != SLICES:
            yield f"{self._at(*at, 'slices')}: only for source slices, here the source is {cohort.source}."
        if cohort.source == "phantom":
            for key in ("path", "clinical", "lesions", "series"):
                if (*at, key) in self.located.lines:
                    yield f"{self._at(*at, key)}: not for source phantom, which writes its own files. Remove it."
            return
        if cohort.phantom is not None:
            yield f"{self._at(*at, 'phantom')}: only for source phantom, here the source is {cohort.source}."
        if cohort.source == TABLE:
            yield from self._feature_table(name, cohort)
            return
        if cohort.source == SLICES:
            yield from self._slices(name, cohort)
            return
        if not is_whole(self.workdir, name, cohort):
            yield from self._head(name, cohort)
        if cohort.path is None:
            yield f"{self._at(*at, 'path')}: this key is missing. Wanted: the folder with the DICOM files."
        elif not isdir(self.workdir / cohort.path):
            yield (
                f"{self._at(*at, 'path')}: the folder '{shortened(cohort.path)}' does not exist "
                "(seen from the working folder)."
            )
        elif is_whole(self.workdir, name, cohort):
            for key in ("clinical", "lesions", "series", "head"):
                if (*at, key) in self.located.lines:
                    place = self._at(*at, key)
                    yield f"{place}: was said where this cohort was ingested, and came along. Remove it."
        elif cohort.source == "deidentified" and looks_whole(self.workdir / cohort.path):
            yield (
                f"{self._at(*at, 'path')}: this cohort was ingested already. "
                f"Wanted: its folder at {COHORTS}/{name}, and  path: {COHORTS}/{name}"
            )
        elif made := self._within(cohort.path):
            place = self._at(*at, "path")
            yield f"{place}: this folder holds '{made}', which a run writes. Wanted: a folder of its own."

    def _head(self, name: str, cohort: Cohort) -> Iterator[str]:
        """What becomes of faces is for the user to say."""
        place = self._at("cohorts", name, "head")
        blank = "blank (every slice above the neck becomes air)"
        if cohort.source == "deidentified":
            blank = "blank needs 'source: dicom', because files of this source are read in place and never rewritten"
        if cohort.head is None or (cohort.head == "blank" and cohort.source == "deidentified"):
            found = "this key is missing" if cohort.head is None else "'blank' is not for source deidentified"
            yield (
                f"{place}: {found}: an image of the head shows a face, which can be matched with photographs. "
                "Wanted: keep (faces stay in the results) or quarantine (series that show a head, or may show one, are "
                f"held back); {blank}."
            )

    def _within(self, path: str) -> str:
        """A folder that a run writes and that lies in the export, or is it; empty where there is none."""
        export = self._real(path)
        own = (self.config.private_dir, *WRITTEN)
        return next((name for name in own if self._real(name).is_relative_to(export)), "")

    def _feature_table(self, name: str, cohort: Cohort) -> Iterator[str]:
        at = ("cohorts", name)
        for key in ("path", "clinical", "lesions", "series", "head"):
            if (*at, key) in self.located.lines:
                yield f"{self._at(*at, key)}: not for source table, where all stands in one file. Remove it."
        if cohort.table is None:
            yield f"{self._at(*at, 'table')}: this key is missing. Wanted:  table: {{path: FILE}}"
        elif not isfile(self.workdir / cohort.table.path):
            yield _no_file(self._at(*at, "table", "path"), cohort.table.path)

    def _slices(self, name: str, cohort: Cohort) -> Iterator[str]:
        """Folders and manifest are looked at by `slice_manifest.problems_of`."""
        at = ("cohorts", name)
        for key in ("path", "clinical", "lesions", "series", "head", "kernel", "modalities", "rois"):
            if (*at, key) in self.located.lines:
                yield f"{self._at(*at, key)}: not for source slices, where 'slices' says all. Remove it."
        if cohort.slices is None:
            yield f"{self._at(*at, 'slices')}: this key is missing. Wanted:  slices: {{path: FOLDER, manifest: FILE}}"
        elif made := self._within(cohort.slices.path):
            place = self._at(*at, "slices", "path")
            yield f"{place}: this folder holds '{made}', which a run writes. Wanted: a folder of its own."

    def _tables(self, name: str, cohort: Cohort) -> Iterator[str]:
        at = ("cohorts", name)
        if cohort.source in ("phantom", TABLE, SLICES) or is_whole(self.workdir, name, cohort):
            return
        files = {
            ("clinical", "path"): cohort.clinical.path if cohort.clinical else None,
            ("lesions", "path"): cohort.lesions.path if cohort.lesions else None,
            ("series",): cohort.series,
        }
        for keys, path in files.items():
            if path is not None and not isfile(self.workdir / path):
                yield _no_file(self._at(*at, *keys), path)
        for key in cohort.lesions.columns if cohort.lesions else ():
            if key not in LESION_COLUMNS:
                yield unknown_name("column", key, LESION_COLUMNS, self._at(*at, "lesions", "columns", key))
        if cohort.clinical is None:
            return
        for key in cohort.clinical.columns:
            if key not in {*TABLE_COLUMNS, *cohort.clinical.keep}:
                where = self._at(*at, "clinical", "columns", key)
                yield unknown_name("column", key, {*TABLE_COLUMNS, *cohort.clinical.keep}, where)
        for index, key in enumerate(cohort.clinical.keep):
            if key in {*TABLE_COLUMNS, "index_day", "first_session_day"} - {"site", "outcome"}:
                where = self._at(*at, "clinical", "keep", str(index))
                yield f"{where}: '{key}' identifies or is written as days already; it cannot be kept. Remove it."

    def _rois(self, name: str, cohort: Cohort) -> Iterator[str]:
        at = ("cohorts", name)
        if not cohort.rois:
            yield f"{self._at(*at, 'rois')}: no ROI is named. Wanted: at least one, such as  lesion: ['*gtv*']."
        if "roi" in cohort.rois:
            yield f"{self._at(*at, 'rois', 'roi')}: 'roi' is what contours without a pattern are called. Rename it."
        for roi, patterns in cohort.rois.items():
            if not patterns or not all(pattern.strip() for pattern in patterns):
                yield f"{self._at(*at, 'rois', roi)}: an empty list or pattern matches nothing. Wanted: ['*{roi}*']."
        if not cohort.modalities and cohort.source != TABLE:
            yield f"{self._at(*at, 'modalities')}: the list is empty. Wanted: CT, PT or both."

    def _exclusions(self, name: str, cohort: Cohort) -> Iterator[str]:
        form = FILE_NAME if cohort.source in ("deidentified", TABLE, SLICES) else PSEUDONYM
        for patient in cohort.exclude:
            if not form.fullmatch(patient):
                place = self._at("cohorts", name, "exclude")
                yield f"{place}: an excluded patient is no pseudonym. Wanted: one as the cohort page shows it."
        if cohort.cutoff is not None and not _is_iso_date(cohort.cutoff):
            place, found = self._at("cohorts", name, "cutoff"), shortened(cohort.cutoff)
            yield f"{place}: found '{found}', wanted a date such as 2026-05-31."


def _no_file(where: str, path: str) -> str:
    return f"{where}: the file '{shortened(path)}' does not exist (seen from the working folder)."


def _is_iso_date(text: str) -> bool:
    try:
        return datetime.date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False
