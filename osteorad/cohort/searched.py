"""What a search for leaks has seen, as one digest, so that a later reader can tell whether outputs changed since."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from osteorad.provenance import digest, sha256_file

# manifests name the hash of every DICOM file; pages and features follow from these
SEEN = ("dicom/*/images.json", "dicom/*/contours.json", "*.parquet")
SUMMARY = "verify.json"


def outputs_digest(folder: Path) -> dict[str, Any]:
    """Number of manifests and tables of a cohort's folder under results/, and a digest of their names and contents."""
    paths = sorted(path for pattern in SEEN for path in folder.glob(pattern))
    return {"files": len(paths), "digest": digest([[p.relative_to(folder).as_posix(), sha256_file(p)] for p in paths])}
