"""Figures of the segmentation page: free-response curves, training curves, Dice with intervals, lesions by group."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.charts import interval_text
from osteorad.reporting.segmentation_findings import (
    BASELINE,
    LEVEL,
    NETWORK,
    OUT_OF_FOLD,
    ROLES,
    THRESHOLD,
    Findings,
    Rows,
)
from osteorad.reporting.segmentation_sentences import found_words, rule_words
from osteorad.reporting.svg import thinned
from osteorad.reporting.wording import listed, percent, real

TONES = ("main", "combined", "clinical", "plain")  # lines of networks; the baseline is dotted
A_FIGURE = len(TONES)
FOLD_TONES = ("main", "combined", "clinical", "all", "plain")
RATES = (0.5, 1.0, 2.0, 4.0, 8.0)  # ends of the axis of false positives a case
UNIT_TICKS = [0, 0.2, 0.4, 0.6, 0.8, 1]
NO_NUMBER = {"estimate": None, "low": None, "high": None}


# --- Dice -------------------------------------------------------------------------------------------------------------


def dice_forest(findings: Findings) -> doc.Part:
    """Mean Dice of every network and of the baseline, on one axis."""
    rows: list[dict[str, Any]] = []
    best = findings.best()
    for role, words in ROLES.items():
        group = [_row(name, findings.score(name, role), "main" if name == best else "plain") for name in findings.names]
        baseline = findings.score(best, role, procedure=THRESHOLD)
        group += [_row(f"{BASELINE} in the bone of {best}", baseline, "control")] if baseline else []
        rows += [{**row, "group": "" if place else f"Patients {words}"} for place, row in enumerate(group)]
    return doc.figure(
        "dice-forest",
        "forest",
        "Mean Dice of the networks and of what they are held against",
        ". ".join(f"{row['label']}: {interval_text(row)}" for row in rows) + ".",
        f"Mean Dice over cases with a {findings.lesion}, with {percent(LEVEL)} interval by patient bootstrap.",
        {
            "rows": rows,
            "ticks": UNIT_TICKS,
            "chance": 0,
            "chance_label": "no overlap",
            "label": "mean Dice",
            "level": LEVEL,
        },
    )


def _row(label: str, found: Mapping[str, Any] | None, tone: str) -> dict[str, Any]:
    number = found["dice"] if found else NO_NUMBER
    sub = f"n = {found['n']}" if found else ""
    return {"label": label, "sub": sub, "group": "", "tone": tone, **{key: number[key] for key in NO_NUMBER}}


# --- free-response curves ---------------------------------------------------------------------------------------------


def froc_parts(findings: Findings) -> list[doc.Part]:
    """A figure a role; several where there are more networks than a figure can tell apart."""
    figures = []
    for role in ROLES:
        names = [name for name in findings.names if findings.score(name, role)]
        for place in range(0, len(names), A_FIGURE):
            figures.append(_froc(findings, role, names[place : place + A_FIGURE], place // A_FIGURE))
    return [doc.row_of(figures)] if figures else []


def _froc(findings: Findings, role: str, names: Sequence[str], place: int) -> doc.Part:
    told = [(name, NETWORK, tone) for name, tone in zip(names, TONES, strict=False)]
    best = findings.best()
    if best in names and findings.score(best, role, procedure=THRESHOLD):
        told.append((best, THRESHOLD, "all"))
    curves = [_curve(findings, role, *one) for one in told]
    most = max((x for curve in curves for x, _ in curve["points"]), default=0.0)
    end = next((rate for rate in RATES if most <= rate), RATES[-1])
    for curve in curves:
        curve["points"] = _up_to(curve["points"], end)
        curve["band"] = [row for row in curve["band"] if row[0] <= end]
    ends = [f"{curve['label']} ends at {real(curve['points'][-1][1])}" for curve in curves]
    return doc.figure(
        f"froc-{role.replace('_', '-')}" + (f"-{place + 1}" if place else ""),
        "decision",
        f"Lesion sensitivity against false positives a case, {ROLES[role]}",
        f"Free-response curves of patients {ROLES[role]}: {listed(ends)}.",
        f"Free-response curves (FROC), patients {ROLES[role]}: the lower the score from which a component counts, the "
        f"further right. Band: {percent(LEVEL)} interval. {rule_words(findings)}",
        {
            "curves": curves,
            "x": {"label": "false positives a case", "ticks": [0, end / 2, end], "digits": 2},
            "y": {"label": "lesion sensitivity", "ticks": UNIT_TICKS, "digits": 1},
            "none": 0,
            "level": LEVEL,
            "rule": findings.scores[0]["rule"],
        },
    )


def _curve(findings: Findings, role: str, name: str, procedure: str, tone: str) -> dict[str, Any]:
    """Steps of a curve from the lesion table, and its band where intervals exist."""
    keys = ("network", "role", "procedure", "roi")
    own = (name, role, procedure, findings.lesion)
    lesions = [row for row in findings.lesions if tuple(row[key] for key in keys) == own]
    cases = sum(tuple(row[key] for key in keys) == own for row in findings.cases)
    found = findings.score(name, role, procedure=procedure)
    froc = found["froc"] if found else None
    band = [
        [point["false_positives_per_case"], point["sensitivity"]["low"], point["sensitivity"]["high"]]
        for point in (froc["points"] if froc else [])
        if point["sensitivity"]["low"] is not None
    ]
    label = name if procedure == NETWORK else BASELINE
    points = [list(pair) for pair in thinned(steps(lesions, cases))]
    return {"label": label, "tone": tone, "points": points, "band": band if tone == "main" else []}


def steps(lesions: Rows, cases: int) -> list[tuple[float, float]]:
    """(False positives a case, lesion sensitivity) after each score, from the highest down; begins at (0, 0)."""
    reference = [row for row in lesions if row["side"] == "reference"]
    events = [(row["score"], 1, 0) for row in reference if row["found"] and row["score"] is not None]
    events += [(row["score"], 0, 1) for row in lesions if row["false_positive"] and row["score"] is not None]
    points, found, false = [(0.0, 0.0)], 0, 0
    for _, same in groupby(sorted(events, key=lambda event: -event[0]), key=lambda event: event[0]):
        for _, hit, stray in same:
            found, false = found + hit, false + stray
        points.append((false / max(cases, 1), found / max(len(reference), 1)))
    return points


def _up_to(points: list[list[float]], end: float) -> list[list[float]]:
    """A rising curve up to the end of the axis, and on to it: beyond its last step it is flat."""
    kept = [point for point in points if point[0] <= end]
    return kept if kept[-1][0] == end else [*kept, [end, kept[-1][1]]]


# --- lesions by group -------------------------------------------------------------------------------------------------

GROUPS = ("by_volume", "by_type", "by_location")


def groups_of(lesions: Mapping[str, Any]) -> list[tuple[int, str, str]]:
    """(Order, group, label) of every group of lesions: volumes from small to large, then types and places by name."""
    found = []
    for place, group in enumerate(GROUPS):
        labels = sorted(lesions[group], key=_volume_order if place == 0 else str)
        found += [(place, group, label) for label in labels]
    return found


def _volume_order(label: str) -> int:
    return {"<": 0, ">": 2}.get(label[:1], 1)


def label_words(label: str) -> str:
    """A group's label as a page prints it."""
    return label.replace(" ml", " mL")


def lesion_bars(findings: Findings) -> list[doc.Part]:
    """Found and missed lesions of the best network out of fold, by volume and type; places stand in a table."""
    best = findings.best()
    found = findings.score(best, OUT_OF_FOLD)
    if not found or not found["lesions"]["n"]:
        return []
    rows = [
        {"label": label_words(label), "sub": real(told["sensitivity"]["estimate"]), "k": told["found"], "n": told["n"]}
        for _, group, label in groups_of(found["lesions"])
        if group != "by_location" and (told := found["lesions"][group][label])["n"]
    ]
    words = listed([f"{row['k']} of {row['n']} {row['label']}" for row in rows])
    return [
        doc.figure(
            "lesion-bars",
            "bars",
            f"{findings.lesion.capitalize()}s found, by group",
            f"{best}, out of fold, found {words}.",
            f"{findings.lesion.capitalize()}s that {best} found out of fold: {found_words(found)}. "
            f"{rule_words(findings)}",
            {"rows": rows, "lesions": found["lesions"], "false_positives": found["false_positives"],
             "rule": findings.scores[0]["rule"]},
        )
    ]  # fmt: skip


# --- training ---------------------------------------------------------------------------------------------------------


def training_parts(findings: Findings) -> list[doc.Part]:
    """Validation Dice and loss by epoch of each compared network, a line an inner fold."""
    by_name = {name: [r for r in findings.networks if r["network"] == name] for name in findings.names}
    dice = [figure for name, records in by_name.items() if (figure := _dice_by_epoch(name, records)) is not None]
    losses = [_loss_by_epoch(name, records) for name, records in by_name.items()]
    return [doc.row_of(figures) for figures in (dice, losses) if figures]


def _dice_by_epoch(name: str, records: Rows) -> doc.Part | None:
    curves = [_epochs(record, "validation_dice") for record in records]
    if not any(curve["points"] for curve in curves):
        return None
    best = listed([f"{record['best_epoch']}" for record in records])
    return doc.figure(
        f"epochs-dice-{_id(name)}",
        "decision",
        f"{name}: Dice on the patients who choose the epoch",
        f"Validation Dice of {name} by epoch; best at epoch {best}.",
        f"{name}: mean Dice on the training patients who choose the epoch, a line a fold; taken: epoch {best}. Since "
        "they chose it, this is no result.",
        {
            "curves": _main_first(curves),
            "x": _epoch_axis(records),
            "y": {"label": "validation Dice", "ticks": UNIT_TICKS, "digits": 1},
            "none": 0,
            "best_epochs": [record["best_epoch"] for record in records],
        },
    )


def _loss_by_epoch(name: str, records: Rows) -> doc.Part:
    curves = [_epochs(record, "train_loss") for record in records]
    last = [curve["points"][-1][1] for curve in curves if curve["points"]]
    most = max((y for curve in curves for _, y in curve["points"]), default=1.0)
    top = nice_above(most)
    return doc.figure(
        f"epochs-loss-{_id(name)}",
        "decision",
        f"{name}: training loss",
        f"Training loss of {name} by epoch; last {real(min(last))} to {real(max(last))}.",
        f"{name}: training loss, a line a fold.",
        {
            "curves": _main_first(curves),
            "x": _epoch_axis(records),
            "y": {
                "label": "training loss",
                "ticks": [top * part / 5 for part in range(6)],
                "digits": 1 if top >= 0.5 else 2,
            },
            "none": 0,
        },
    )


def _epochs(record: Mapping[str, Any], value: str) -> dict[str, Any]:
    points = [(float(row["epoch"]), float(row[value])) for row in record["curves"] if row[value] is not None]
    return {"label": f"i{record['inner_fold']}", "points": [list(p) for p in thinned(points)], "band": []}


def _main_first(curves: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """A look each; curves without a point are not drawn."""
    drawn = [curve for curve in curves if curve["points"]]
    return [{**curve, "tone": FOLD_TONES[place % len(FOLD_TONES)]} for place, curve in enumerate(drawn)]


def _epoch_axis(records: Rows) -> dict[str, Any]:
    most = max((row["epoch"] for record in records for row in record["curves"]), default=1)
    end = max(most, 2)
    return {"label": "epoch", "ticks": sorted({1, (1 + end) // 2, end}), "digits": 0, "last": most}


def nice_above(value: float) -> float:
    """The least of 1, 2, 4, 5 or 10 times a power of ten that is not below a value."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(power * step for step in (1, 2, 4, 5, 10) if power * step >= value * (1 - 1e-9))


def _id(name: str) -> str:
    return "".join(letter if letter.isalnum() else "-" for letter in name)
