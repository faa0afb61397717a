"""The manifest of a cohort of slices, which says whose each slice is: read, and checked with its folders before a job.

Messages name lines and folders, never what a cell says. Light: runs in every start of Snakemake.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Hashable, Iterator, Sequence
from dataclasses import dataclass
from os.path import isdir, isfile, realpath  # unlike Path's, they answer for names that cannot be one
from pathlib import Path

from osteorad.cohort.config import Slices
from osteorad.cohort.pseudonyms import FILE_NAME
from osteorad.cohort.tables import (
    Table,
    error_lines,
    is_missing,
    lines_text,
    number,
    number_problem,
    read_table,
    unknown_column,
)
from osteorad.errors import ConfigError, shortened

SUFFIXES = (".png", ".jpg", ".jpeg")
IMAGE, LESION, BONE = "image", "lesion", "bone"  # roles of a slice's files
COLUMNS = ("slice", "patient", "order")
UNPLACED = "unplaced"  # the state of files of nobody
SEEN = "(seen from the working folder)"
Where = Callable[..., str]


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceRow:
    """One row of the manifest."""

    line: int
    name: str  # of the slice: its files' names without their endings
    patient: str  # empty where the row names none
    order: float


def folders_of(settings: Slices) -> dict[str, str]:
    """Role -> folder, of the folders that there are."""
    named = {IMAGE: settings.image, LESION: settings.lesion, BONE: settings.bone}
    return {role: folder for role, folder in named.items() if folder is not None}


def stem_of(name: str) -> str:
    """A file's name without the ending of a picture, spelled in one way whatever the file system does to accents."""
    ending = next((end for end in SUFFIXES if name.lower().endswith(end)), "")
    return unicodedata.normalize("NFC", name[: len(name) - len(ending)])


def problems_of(settings: Slices, workdir: Path, where: Where) -> list[str]:
    """Everything that is wrong with folders and manifest.

    where : gives the place of a key (`where("manifest")`).
    """
    found = list(_folder_problems(settings, workdir, where))
    if not isfile(workdir / settings.manifest):
        path = shortened(settings.manifest)
        return [*found, f"{where('manifest')}: the file '{path}' does not exist {SEEN}."]
    try:
        rows, problems = read_manifest(settings, workdir, where)
    except ConfigError as error:
        return [*found, *error.problems]
    found += problems
    if not found and not {row.name for row in rows} & {stem_of(name) for name in _names(settings, workdir)}:
        found.append(
            f"{where('manifest')}: none of its slices has a picture in '{shortened(settings.image)}'. "
            "Wanted: the names of the files as they are, with or without their endings."
        )
    return found


def _names(settings: Slices, workdir: Path) -> list[str]:
    return os.listdir(workdir / settings.path / settings.image)


def _folder_problems(settings: Slices, workdir: Path, where: Where) -> Iterator[str]:
    paths = {role: os.path.join(settings.path, folder) for role, folder in folders_of(settings).items()}
    if not isdir(workdir / settings.path):
        yield f"{where('path')}: the folder '{shortened(settings.path)}' does not exist {SEEN}."
        return
    for role, path in paths.items():
        if not isdir(workdir / path):
            yield f"{where(role)}: the folder '{shortened(path)}' does not exist {SEEN}."
        elif not os.access(workdir / path, os.R_OK | os.X_OK):
            yield f"{where(role)}: the folder '{shortened(path)}' cannot be listed."
    seen: dict[str, str] = {}
    for role, path in paths.items():
        if (other := seen.setdefault(realpath(workdir / path), role)) != role:
            yield f"{where(role)}: this is the folder of '{other}'. Wanted: a folder for each."


def read_manifest(settings: Slices, workdir: Path, where: Where) -> tuple[list[SliceRow], list[str]]:
    """Rows of the manifest, and a message for each problem; ConfigError where it is no table."""
    table = read_table(workdir / settings.manifest, settings.manifest)
    if lacking := [name for name in COLUMNS[:2] if name not in table.header]:
        return [], [unknown_column(table.name, table.header, name, COLUMNS, where("manifest")) for name in lacking]
    orders, problems = _orders(table)
    rows = [
        SliceRow(
            line=row.line,
            name=stem_of(row.cells["slice"]),
            patient="" if is_missing(row.cells["patient"]) else row.cells["patient"],
            order=orders.get(row.line, row.line),
        )
        for row in table.rows
    ]
    return rows, [*problems, *_row_problems(table, rows, ordered="order" in table.header)]


def _orders(table: Table) -> tuple[dict[int, float], list[str]]:
    """Line -> place of the slice, where the table has a column for it."""
    if "order" not in table.header:
        return {}, []
    cells = table.column("order")
    found = {line: value for line, text in cells if (value := number(text)) is not None}
    problems = []
    if bad := [line for line, _ in cells if line not in found]:
        problems.append(f"{table.name}: column 'order' is no number on {lines_text(bad)}.")
    if said := number_problem(cells):
        problems.append(f"{table.name}: column 'order': {said}")
    return found, problems


def _row_problems(table: Table, rows: Sequence[SliceRow], *, ordered: bool) -> Iterator[str]:
    for column in COLUMNS[:2]:
        if bad := error_lines(table.column(column)):
            yield f"{table.name}: column '{column}' shows the error of a formula on {lines_text(bad)}."
    if bad := [row.line for row in rows if not row.name]:
        yield f"{table.name}: no slice on {lines_text(bad)}. Wanted: the name of its files."
    if bad := _again([(row.line, row.name) for row in rows if row.name]):
        yield f"{table.name}: a slice stands again on {lines_text(bad)}. Wanted: one row a slice."
    if bad := [r.line for r in rows if r.patient and (r.patient == UNPLACED or not FILE_NAME.fullmatch(r.patient))]:
        yield (
            f"{table.name}: the patient cannot be a name of folders on {lines_text(bad)}. Wanted: a pseudonym of "
            "letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit."
        )
    if ordered and (bad := _again([(row.line, (row.patient, row.order)) for row in rows if row.patient])):
        yield f"{table.name}: a patient has two slices at one place of column 'order' on {lines_text(bad)}."


def _again(keys: Sequence[tuple[int, Hashable]]) -> list[int]:
    """Lines whose key stood on an earlier one."""
    first: dict[Hashable, int] = {}
    return [line for line, key in keys if first.setdefault(key, line) != line]
