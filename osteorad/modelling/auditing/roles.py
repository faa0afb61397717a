"""Checks of who is where: A1 (parts of a fold) and A8 (missing patient ids)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from osteorad.cohort.splits import OUTER
from osteorad.modelling.auditing.tables import (
    AuditTables,
    Finding,
    Parts,
    finding,
    parts_of,
    prediction_rows,
)
from osteorad.modelling.learning.lineage import fold_name

# What stands in tables where an id is missing, in lower case.
PLACEHOLDERS = frozenset(
    (
        "",
        "-",
        "--",
        "?",
        ".",
        "nan",
        "none",
        "null",
        "nil",
        "nat",
        "na",
        "n/a",
        "n.a.",
        "<na>",
        "#n/a",
        "unknown",
        "missing",
    )
)
MADE_UP = re.compile(r"row-\d+")  # name of a row without id that a feature table gives as a patient of its own


# --- A1 --------------------------------------------------------------------------------------------------------------


def check_roles(tables: AuditTables) -> Finding:
    """A1: no patient in two roles of a fold; every sample tested once a repeat; predictions keep to the splits.

    Where a repeat has one fold only (hold-out), a sample is tested once or not at all.
    """
    parts = parts_of(tables.splits)
    problems = [*_two_roles(parts), *_not_once(tables, parts), *_beyond_outer(parts), *_other_parts(tables, parts)]
    looked_at = f"{len(parts)} divisions, {tables.splits.num_rows} rows of splits.parquet"
    return finding(
        problems, looked_at=looked_at, clean="No patient has two roles; each sample is tested once a repeat."
    )


def _two_roles(parts: Parts) -> Iterator[str]:
    for where, sides in parts.items():
        for patient in sorted(set(sides["train"].values()) & set(sides["test"].values())):
            yield f"{fold_name(*where)}: patient {patient} is in train and test"


def _not_once(tables: AuditTables, parts: Parts) -> Iterator[str]:
    expected = set(tables.samples["sample"].to_pylist())
    for repeat in sorted({repeat for repeat, _, _ in parts}):
        folds = [sides["test"] for (at, _, inner), sides in parts.items() if at == repeat and inner == OUTER]
        tested = [sample for test in folds for sample in test]
        if len(tested) != len(set(tested)) or set(tested) - expected or (len(folds) > 1 and set(tested) != expected):
            yield f"repeat {repeat}: {len(tested)} samples are tested, {len(set(tested))} different, of {len(expected)}"


def _beyond_outer(parts: Parts) -> Iterator[str]:
    for (repeat, fold, inner_fold), sides in parts.items():
        outer = parts.get((repeat, fold, OUTER), {"train": {}})["train"]
        strangers = {sample for side in sides.values() for sample in side} - set(outer)
        if inner_fold != OUTER and strangers:
            yield f"{fold_name(repeat, fold, inner_fold)}: {len(strangers)} rows are not of the outer training part"


def _other_parts(tables: AuditTables, parts: Parts) -> Iterator[str]:
    for rows in prediction_rows(tables.predictions):
        sides = parts.get((rows.repeat, rows.fold, OUTER), {"train": {}, "test": {}})
        for part in ("train", "test"):
            said = [sample for sample, at in zip(rows.sample, rows.part, strict=True) if at == part]
            if sorted(said) != sorted(sides[part]):
                yield f"{rows.where}: {part} rows of the predictions are not those of the splits"


# --- A8 --------------------------------------------------------------------------------------------------------------


def check_patient_ids(tables: AuditTables) -> Finding:
    """A8: every row names its patient; a placeholder may stand for one person twice, or for several as one."""
    patients = Counter(tables.samples["patient"].to_pylist())
    problems = []
    for patient, rows in sorted(patients.items(), key=lambda item: str(item[0])):
        if str(patient or "").strip().casefold() in PLACEHOLDERS:
            problems.append(f"{rows} rows have '{patient or ''}' in place of a patient id")
    if made_up := sorted(str(patient) for patient in patients if MADE_UP.fullmatch(str(patient))):
        problems.append(
            f"{len(made_up)} rows came without patient id and stand as patients of their own: "
            f"{', '.join(made_up[:5])}{', ...' if len(made_up) > 5 else ''}"
        )
    return finding(
        problems,
        looked_at=f"patient ids of {tables.samples.num_rows} rows",
        clean=f"{len(patients)} different patient ids, none of them a placeholder.",
    )
