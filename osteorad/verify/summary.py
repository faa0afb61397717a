"""What a search leaves for the privacy page of each cohort: counts, never a value, kind of column or place."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osteorad.cohort.load import load
from osteorad.cohort.searched import SUMMARY
from osteorad.files import json_text, write_text_if_changed
from osteorad.verify.report import Report

COMPARED = ("dicom", "phantom")  # sources whose originals are here


def summary(report: Report, cohort: str) -> dict[str, Any]:
    """Counts of one search of a whole working folder, and those of one cohort's own folder. JSON-able.

    Digests of hits differ from search to search, so they are left out.
    """
    told = report.as_dict()
    here = f"results/cohorts/{cohort}/"
    return {
        "cohort": cohort,
        "clean": report.clean,
        "values": report.values,
        "kinds": len(report.kinds),
        "not_looked_for": {reason: sum(kinds.values()) for reason, kinds in sorted(told["values"]["skipped"].items())},
        "opened": report.opened["files"],
        "nested": report.opened["nested in another"],
        "bytes": report.bytes_read,
        "hits": len(report.hits),
        "hit_files": len({hit.file for hit in report.hits}),
        "hit_files_here": len({hit.file for hit in report.hits if hit.file.startswith(here)}),
        "not_opened": len(report.missed),
        "coincident_dates": report.coincidences,
        "searched": report.searched[cohort],
    }


def keep_summaries(folder: Path, root: Path, report: Report) -> list[str]:
    """Write `verify.json` of each cohort that has a private folder and results; returns the cohorts' names.

    folder : the working folder that was searched whole, against all originals that its settings name.
    """
    loaded = load(folder, root)
    kept = []
    for name, cohort in sorted(loaded.config.cohorts.items()):
        private = loaded.private(name)
        if cohort.source in COMPARED and private.is_dir() and name in report.searched:
            write_text_if_changed(private / SUMMARY, json_text(summary(report, name)), mode=0o600)
            kept.append(name)
    return kept
