"""Checks of what stands in the samples table: A5 (duplicates), A10 (standardised before) and A12 (days)."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.splits import OUTER
from osteorad.modelling.auditing.tables import (
    AuditTables,
    Finding,
    feature_columns,
    feature_tables,
    finding,
    matrix,
    not_applicable,
    parts_of,
)
from osteorad.modelling.learning.block import FloatArray

EQUAL = 1e-6  # SD of a column: what two readings of one number may differ by
LEAST_TELLING = 3  # columns whose values are nearly all different: fewer do not tell patients apart
MOST_TELLING = 64  # as many are compared in all pairs, the others only where these are equal
STANDARD = 0.02  # a mean this near to 0 and an SD this near to 1 count as standardised
STANDARD_SHARE = 0.9
STANDARDISED_ORDER = ("not applicable", "pass", "warn")
LEAST_COLUMNS, LEAST_ROWS = 3, 10  # of a table that can be called standardised


# --- A5 --------------------------------------------------------------------------------------------------------------


def check_duplicates(tables: AuditTables) -> Finding:
    """A5: no two patients have the same features; one person under two names may stand in both parts of a fold.

    Values count as equal within EQUAL SD of their column; missing ones are passed over, but half have to be there.
    Where networks draw inside each fold, every fold's features are looked at.
    """
    every = feature_tables(tables)
    names = feature_columns(every[0][1])
    looked_at = f"{tables.samples.num_rows} rows x {len(names)} features, all pairs of patients"
    looked_at += f", in {len(every)} folds" if tables.folds else ""
    folds = [set(sides["test"]) for where, sides in parts_of(tables.splits).items() if where[2] == OUTER]
    problems: list[str] = []
    telling_columns = []
    for where, own in every:
        X = matrix(own.samples, names)
        telling = _telling(X)
        telling_columns.append(len(telling))
        if len(telling) >= LEAST_TELLING:
            problems += [f"{where}{problem}" for problem in _same_patients(own, X, telling, folds)]
    if max(telling_columns) < LEAST_TELLING:
        most = max(telling_columns)
        reason = f"Only {most} columns have values that tell patients apart; at least {LEAST_TELLING} needed."
        return not_applicable(reason, looked_at=looked_at)
    return finding(problems, looked_at=looked_at, clean="No two patients have the same features.")


def _same_patients(tables: AuditTables, X: FloatArray, telling: list[int], folds: list[set[str]]) -> Iterator[str]:
    """Pairs of patients with equal rows, and in how many folds they stand in different parts."""
    patients = tables.samples["patient"].to_pylist()
    samples = tables.samples["sample"].to_pylist()
    for one, other in _equal_pairs(X, telling):
        if patients[one] != patients[other]:
            apart = sum((samples[one] in test) != (samples[other] in test) for test in folds)
            yield (
                f"patients {patients[one]} and {patients[other]} have the same {X.shape[1]} features; "
                f"they are in different parts in {apart} of {len(folds)} folds"
            )


def _telling(X: FloatArray) -> list[int]:
    """Places of columns in which at least half of the rows have a value of their own, spread over the table."""
    found: list[int] = []
    order = np.random.default_rng(0).permutation(X.shape[1])
    for at in order:
        known = X[~np.isnan(X[:, at]), at]
        if 2 * len(np.unique(known)) >= len(X):
            found.append(int(at))
        if len(found) == MOST_TELLING:
            break
    return found


def _equal_pairs(X: FloatArray, telling: list[int]) -> Iterator[tuple[int, int]]:
    """Pairs of rows that are equal in all columns where both have a value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # columns without any value
        within = EQUAL * np.nanstd(X, axis=0)
    few = X[:, telling]
    for one in range(len(X) - 1):
        near = _same(few[one], few[one + 1 :], within[telling])
        for other in (np.flatnonzero(near) + one + 1).tolist():
            both = ~np.isnan(X[one]) & ~np.isnan(X[other])
            if 2 * both.sum() >= X.shape[1] and (np.abs(X[one] - X[other]) <= within)[both].all():
                yield one, other


def _same(row: FloatArray, rows: FloatArray, within: FloatArray) -> NDArray[np.bool_]:
    """Which rows are equal to one wherever both have a value, in LEAST_TELLING columns at least."""
    distance = np.abs(rows - row)
    missing = np.isnan(distance)
    same = (missing | (distance <= within)).all(axis=1)
    return np.asarray(same & ((~missing).sum(axis=1) >= LEAST_TELLING))


# --- A10 -------------------------------------------------------------------------------------------------------------


def check_standardised(tables: AuditTables) -> Finding:
    """A10 (warns): features that have mean 0 and SD 1 over all rows were scaled before the split.

    Population and sample SD both count, and rounding to few digits does not hide it (STANDARD). Where networks draw
    inside each fold, the fold that looks most like it is told.
    """
    found = [_standardised(own, where) for where, own in feature_tables(tables)]
    return max(found, key=lambda one: STANDARDISED_ORDER.index(one.verdict))


def _standardised(tables: AuditTables, where: str) -> Finding:
    X = matrix(tables.samples, feature_columns(tables))
    X = X[:, (~np.isnan(X)).sum(axis=0) >= LEAST_ROWS]
    spread = X.std(axis=0) if not np.isnan(X).any() else np.nanstd(X, axis=0)
    X, spread = X[:, spread > 0], spread[spread > 0]
    looked_at = f"{where}mean and SD of {X.shape[1]} features with spread over all {X.shape[0]} rows"
    if X.shape[1] < LEAST_COLUMNS:
        return not_applicable(f"Fewer than {LEAST_COLUMNS} features with values.", looked_at=looked_at)
    standard = (np.abs(np.nanmean(X, axis=0)) <= STANDARD) & (np.abs(spread - 1) <= STANDARD + 0.5 / len(X))
    said = f"{where}{int(standard.sum())} of {X.shape[1]} features have mean 0 and SD 1 over all rows"
    if standard.mean() < STANDARD_SHARE:
        return finding([], looked_at=looked_at, clean=f"{said}.", proof=[said])
    text = f"{said}: they were standardised with the test rows, which cannot be undone"
    return Finding(verdict="warn", looked_at=looked_at, text=text, evidence=(text,))


# --- A12 -------------------------------------------------------------------------------------------------------------


def check_days(tables: AuditTables) -> Finding:
    """A12: the image lies before the event, and inside the window that the analysis asks for.

    A day of event counts where the outcome is 1: else it is not the event that the analysis is about.
    """
    image, event = tables.samples["image_day"].to_pylist(), tables.samples["event_day"].to_pylist()
    known = sum(day is not None for day in image)
    both = sum(a is not None and b is not None for a, b in zip(image, event, strict=True))
    window = tables.window_days
    looked_at = f"day of the image of {known} of {len(image)} samples, {both} of them with a day of the event; " + (
        f"window {window[0]} to {window[1]} days" if window else "no window asked for"
    )
    if window is None and not both:
        missing = "image" if not known else "event"
        return not_applicable(
            f"No sample has the day of its {missing}, and no window is asked for.", looked_at=looked_at
        )
    problems = []
    for row in tables.samples.select(["patient", "sample", "image_day", "event_day", "outcome"]).to_pylist():
        problems += [f"patient {row['patient']}, sample {row['sample']}: {what}" for what in _wrong_day(row, window)]
    return finding(problems, looked_at=looked_at, clean="Every image lies before the event and inside the window.")


def _wrong_day(row: dict[str, Any], window: tuple[int, int] | None) -> Iterator[str]:
    image, event = row["image_day"], row["event_day"]
    if image is None:
        if window:
            yield "the day of the image is not known, and a window is asked for"
        return
    if row["outcome"] == 1 and event is not None and image > event:
        yield f"image on day {image:g}, event on day {event:g}"
    if window and not window[0] <= image <= window[1]:
        yield f"image on day {image:g}, outside {window[0]} to {window[1]}"
