"""Where the originals of a working folder lie, and their values."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Cohort
from osteorad.cohort.load import CONFIG, Loaded, load
from osteorad.cohort.pseudonyms import PHANTOM_KEY, patient_pseudonym, read_key
from osteorad.cohort.review import FILE as REVIEW
from osteorad.cohort.searched import outputs_digest
from osteorad.cohort.tables import read_table
from osteorad.errors import UserError
from osteorad.joblog import quiet_pydicom
from osteorad.verify.originals import ExportReader, add_table
from osteorad.verify.progress import Progress
from osteorad.verify.report import Report
from osteorad.verify.scan import Scan
from osteorad.verify.values import Collector, Values, merge, values_of_list

PRIVATE = "private"
LESION_KEEP = ("outcome", "location", "type")  # under their own rules in the table that leaves


def verify(
    folder: Path,
    root: Path,
    *,
    lists: Sequence[Path] = (),
    exports: Sequence[Path] = (),
    tables: Sequence[Path] = (),
    progress: Progress | None = None,
) -> Report:
    """Search `folder` for the values named, or for those of all cohorts of its config.yaml.

    root : the clone. progress : is told what is read and searched. Raises UserError where there is no folder, no
    settings, or nothing to look for.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: the folder does not exist. Wanted: a working folder, or any folder of outputs.")
    left_out = [*lists, *exports, *tables, folder / PRIVATE]
    searched: dict[str, dict[str, Any]] = {}  # before the search: what is written meanwhile may go unseen
    if lists or exports or tables:
        parts, sources = _given(lists, exports, tables)
    else:
        if not (folder / CONFIG).is_file():
            raise UserError(f"{folder}: there is no {CONFIG} here. Name the originals: --dicom, --table or --values.")
        loaded = load(folder, root)
        left_out.append(loaded.path(loaded.config.private_dir))
        parts, sources = [], []
        for name, cohort in sorted(loaded.config.cohorts.items()):
            if progress is not None:
                progress.say(f"reading the originals of {name}")
            part, told, originals = _of_cohort(loaded, name, cohort)
            parts.append(part)
            sources.append(told)
            left_out += originals
            results = loaded.path(f"results/cohorts/{name}")
            searched |= {name: outputs_digest(results)} if results.is_dir() else {}
    values = merge(parts)
    if not values.values:
        raise UserError("\n".join([*sources, f"{folder}: there is no value to look for."]))
    scan = Scan(values, progress)
    inside = [path for path in left_out if path.resolve().is_relative_to(folder.resolve()) and path.exists()]
    _search(scan, folder, inside)
    scan.report.sources, scan.report.searched = sources, searched
    outer = [p for p in inside if not any(q.resolve() in p.resolve().parents for q in inside)]
    scan.report.left_out = sorted({scan.masked(str(p.resolve().relative_to(folder.resolve()))) for p in outer})
    return scan.report


def _search(scan: Scan, folder: Path, left_out: Sequence[Path]) -> None:
    if folder.resolve() in {path.resolve() for path in left_out}:
        raise UserError(f"{folder}: this is the folder of the originals themselves. Wanted: one of outputs.")
    with quiet_pydicom():
        scan.folder(folder, left_out=left_out)


def _given(lists: Sequence[Path], exports: Sequence[Path], tables: Sequence[Path]) -> tuple[list[Values], list[str]]:
    collector, sources = Collector(), [f"values: {len(lists)} lists"] if lists else []
    for export in exports:
        sources.append(_read_export(collector, export, lambda _: "", "the export"))
    for path in tables:
        add_table(collector, read_table(path), kept=(), patient="patient", pseudonym_of=lambda _: "")
        sources.append("values: a table")
    return [*(values_of_list(path) for path in lists), collector.finish()], sources


def _of_cohort(loaded: Loaded, name: str, cohort: Cohort) -> tuple[Values, str, list[Path]]:
    """Values of a cohort, a line that says what was read, and the paths of its originals."""
    if cohort.source not in ("dicom", "phantom"):
        return Collector().finish(), f"cohort {name}: source {cohort.source} holds no originals to compare with", []
    collector = Collector(cutoffs={datetime.date.fromisoformat(cohort.cutoff)} if cohort.cutoff else set())
    own = cohort.source == "phantom"
    pseudonym_of = _pseudonyms(loaded.private(name) / "key", own)
    export = loaded.private(name) / "source" if own else loaded.path(cohort.path or "")
    told = _read_export(collector, export, pseudonym_of, f"cohort {name}")
    paths = [export]
    for table, keep in ((cohort.clinical, None), (cohort.lesions, LESION_KEEP)):
        if table is None:
            continue
        path = export / table.path if own else loaded.path(table.path)
        kept = keep if keep is not None else [*getattr(table, "keep", ()), "outcome"]
        names = {table.columns.get(column, column) for column in kept}
        patient = table.columns.get("patient", "patient")
        add_table(collector, read_table(path), kept=names, patient=patient, pseudonym_of=pseudonym_of)
        paths.append(path)
    if (review := loaded.private(name) / REVIEW).is_file():
        for row in read_table(review).rows:
            collector.name(f"{REVIEW} reader", row.cells.get("reader", ""))
    return collector.finish(), told, paths


def _pseudonyms(key_path: Path, phantom: bool) -> Callable[[str], str]:
    """PatientID to pseudonym; to nothing where there is no key yet."""
    if not phantom and not key_path.exists():
        return lambda _: ""
    key = PHANTOM_KEY if phantom else read_key(key_path)
    return lambda source_id: patient_pseudonym(key, source_id) if source_id else ""


def _read_export(collector: Collector, folder: Path, pseudonym_of: Callable[[str], str], name: str) -> str:
    if not folder.is_dir():
        raise UserError(f"{folder}: the folder does not exist. Wanted: the DICOM export of {name}.")
    reader = ExportReader(collector, pseudonym_of)
    with quiet_pydicom():
        reader.folder(folder)
    return f"values: {name}: {reader.read} DICOM headers; {reader.unread} other files"
