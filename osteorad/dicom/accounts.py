"""The account that a job gives of the files it was handed: files passed on, and a row for everything set aside."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad.cohort.pseudonyms import file_name
from osteorad.errors import SetAside
from osteorad.files import write_json
from osteorad.reasons import reason


def item_names(files: Sequence[Path], root: Path | None, key: bytes | None) -> dict[Path, str]:
    """Pseudonymous name of each file: a keyed hash of its path relative to `root`, as the source index makes it.

    root None: relative to the deepest folder that holds them all. A cohort without key gets a plain hash.
    """
    if root is None:
        root = Path(os.path.commonpath([str(p.parent) for p in files])) if files else Path()
    return {p: file_name(key, p.relative_to(root).as_posix() if root in p.parents else p.name) for p in files}


def set_aside_row(item: str, why: SetAside, session: str = "") -> dict[str, Any]:
    """Row of one file that does not go on (columns of schemas.QUARANTINE without cohort and patient)."""
    return {
        "session": session,
        "stage": "files",
        "item": item,
        "count": 1,
        "kind": reason(why.code).kind,
        "reason": why.code,
        "detail": why.detail,
    }


def write_manifest(
    path: Path, head: Mapping[str, Any], files: Sequence[Mapping[str, Any]], set_aside: Sequence[Mapping[str, Any]]
) -> dict[str, Any]:
    """Write the manifest of a part, sorted, as the last file of the job; returns what was written."""
    manifest = {
        **head,
        "files": sorted(files, key=lambda row: row["path"]),
        "set_aside": sorted(set_aside, key=lambda row: (row["item"], row["reason"])),
    }
    write_json(path, manifest)
    return manifest
