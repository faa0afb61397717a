"""True dates of sessions; sees identity: only `import_clinical` and `import_lesions` call it."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path

from pydicom import dcmread

from osteorad.dicom.deidentify import date_offset_days
from osteorad.files import read_json


def first_session_dates(manifests: Sequence[Path], source_root: Path, key: bytes | None) -> dict[str, str]:
    """Patient -> true date (ISO) of the first session; patients without any dated image are left out."""
    found = session_dates(manifests, source_root, key)
    return {patient: min(dates.values()) for patient, dates in found.items() if dates}


def session_dates(manifests: Sequence[Path], source_root: Path, key: bytes | None) -> dict[str, dict[str, str]]:
    """Patient -> session -> true date (ISO), from one file a session of de-identification manifests.

    De-identified dates are moved back by the patient's own offset; without key they are taken as they stand.
    Sessions without a date are left out.
    """
    dates: dict[str, dict[str, str]] = {}
    for path in manifests:
        manifest = read_json(path)
        root = source_root if manifest["root"] == "source" else path.parent
        one_file = {row["session"]: root / row["path"] for row in reversed(manifest["files"])}
        offset = datetime.timedelta(days=date_offset_days(key, manifest["patient"]) if key else 0)
        dates[manifest["patient"]] = {
            session: (day - offset).isoformat()
            for session, file in sorted(one_file.items())
            if (day := _study_date(file))
        }
    return dates


def _study_date(file: Path) -> datetime.date | None:
    text = str(dcmread(file, specific_tags=["StudyDate"], stop_before_pixels=True).get("StudyDate", "") or "")
    try:
        return datetime.datetime.strptime(text, "%Y%m%d").date()
    except ValueError:
        return None
