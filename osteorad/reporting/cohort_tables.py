"""Rows of the cohort page, from the cohort's tables: lesions, acquisition, what was set aside."""

from __future__ import annotations

import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from osteorad import reasons
from osteorad.cohort.schemas import FEATURE_KEYS

Rows = list[dict[str, Any]]

# column of the lesion table -> image, feature, factor, label, unit, digits
MEASURES: tuple[tuple[str, str, str, float, str, str, int], ...] = (
    ("volume_ml", "ct", "original_shape_VoxelVolume", 0.001, "Volume", "ml, CT", 2),
    ("hu_mean", "ct", "original_firstorder_Mean", 1.0, "Mean", "HU", 0),
    ("hu_maximum", "ct", "original_firstorder_Maximum", 1.0, "Maximum", "HU", 0),
    ("suv_max", "pet", "suv_Max", 1.0, "SUVmax", "", 2),
    ("suv_mean", "pet", "suv_Mean", 1.0, "SUVmean", "", 2),
    ("suv_peak", "pet", "suv_Peak", 1.0, "SUVpeak", "", 2),
    ("mtv_ml", "pet", "suv_MTV-41", 1.0, "MTV", "ml, 41 %", 2),
    ("tlg", "pet", "suv_TLG-41", 1.0, "TLG", "SUV × ml", 1),
)


def lesion_rows(features: pa.Table, why: pa.Table) -> Rows:
    """One row a region: patient, session, roi, lesion, mask_set, the measures, `reasons` (codes)."""
    codes: dict[tuple[Any, ...], set[str]] = defaultdict(set)
    for row in why.to_pylist():
        codes[_region(row)].add(row["reason"])
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for row in features.to_pylist():
        key = _region(row)
        names = ("patient", "session", "roi", "lesion", "mask_set")
        entry = found.setdefault(key, {**{name: row[name] for name in names}, **{m[0]: None for m in MEASURES}})
        for name, image, feature, factor, *_ in MEASURES:
            value = row.get(feature)
            if row["image"] == image and value is not None and value == value:
                entry[name] = value * factor
    for key, entry in found.items():
        entry["reasons"] = sorted(codes.get(key, ()))
    return [found[key] for key in sorted(found)]


def _region(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[name] for name in FEATURE_KEYS if name not in ("cohort", "image"))


def scanner_rows(series: Sequence[Mapping[str, Any]]) -> Rows:
    """One row for each scanner and kernel of the series used: patients, series, slice, tube voltage, PET facts."""
    groups: dict[tuple[str, ...], list[Mapping[str, Any]]] = defaultdict(list)
    for row in series:
        if row["state"] == "used" and row["kind"] == "image":
            key = tuple(str(row[name] or "") for name in ("modality", "manufacturer", "model", "kernel"))
            key = key if key[0] == "CT" else (*key[:3], "")
            groups[key].append(row)
    return [
        {
            "modality": key[0],
            "scanner": " ".join(part for part in key[1:3] if part) or "not stated",
            "kernel": key[3] or "–",
            "patients": len({row["patient"] for row in rows}),
            "series": len(rows),
            "slice": middle_range([row["spacing_z_mm"] for row in rows]),
            "pixel": middle_range([row["spacing_x_mm"] for row in rows]),
            "kvp": middle_range([row["kvp"] for row in rows]),
            "tracer": ", ".join(sorted({row["tracer"] for row in rows if row["tracer"]})) or "–",
            "dose": middle_range([row["dose_mbq"] for row in rows]),
            "uptake": middle_range([row["uptake_min"] for row in rows]),
        }
        for key, rows in sorted(groups.items())
    ]


def middle_range(values: Sequence[float | None]) -> list[float] | None:
    """Median, lowest and highest; the median alone where all agree; None where nothing is stated."""
    stated = [float(value) for value in values if value is not None and value == value]
    if not stated:
        return None
    return [statistics.median(stated), min(stated), max(stated)]


def chosen_rows(series: Sequence[Mapping[str, Any]]) -> Rows:
    """One row a series used as an image, with the other series of its session and modality, by reason."""
    others: dict[tuple[str, ...], dict[str, int]] = defaultdict(lambda: defaultdict(int))
    for row in series:
        if row["kind"] == "image" and row["state"] != "used":
            others[_scan_of(row)][row["reason"]] += 1
    used = [row for row in series if row["state"] == "used" and row["kind"] == "image"]
    return [
        {
            "patient": row["patient"],
            "session": row["session"],
            "day": row["session_day"],
            "image": row["image"],
            "series": row["series"],
            "slices": row["slices"],
            "pixel": row["spacing_x_mm"],
            "slice": row["spacing_z_mm"],
            "kernel": row["kernel"] or "–",
            "contrast": row["contrast"] or "–",
            "uptake": row["uptake_min"],
            "why": row["detail"] or ("highest score" if others.get(_scan_of(row)) else "the only one"),
            "others": "; ".join(
                f"{total} {code.replace('_', ' ')}" for code, total in sorted(others[_scan_of(row)].items())
            )
            or "none",
        }
        for row in sorted(used, key=lambda row: (row["patient"], row["session_order"] or 0, row["image"]))
    ]


def _scan_of(row: Mapping[str, Any]) -> tuple[str, ...]:
    """What competes for one image: the series of one modality in one session."""
    return row["patient"], row["session"], row["modality"]


def aside_summary(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Things set aside or doubtful, counted by stage and reason, with the reason's sentence."""
    counted: dict[tuple[str, str, str], dict[str, Any]] = {}
    for row in rows:
        key = (row["stage"], row["kind"], row["reason"])
        entry = counted.setdefault(key, {"lines": 0, "count": 0, "patients": set()})
        entry["lines"] += 1
        entry["count"] += row["count"] or 0
        entry["patients"].add(row["patient"])
    order = {name: place for place, name in enumerate(("files", "series", "masks", "features", "samples", "patients"))}
    return [
        {
            "stage": stage,
            "kind": kind.replace("_", " "),
            "reason": code,
            "sentence_of": reasons.reason(code).sentence,
            "lines": entry["lines"],
            "count": entry["count"],
            "patients": len(entry["patients"]),
        }
        for (stage, kind, code), entry in sorted(
            counted.items(), key=lambda item: (order.get(item[0][0], 9), item[0][1], item[0][2])
        )
    ]


def aside_rows(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Each thing set aside or doubtful, sorted by patient."""
    return [
        {
            "patient": row["patient"] or "–",
            "session": row["session"] or "–",
            "stage": row["stage"],
            "item": row["item"],
            "count": row["count"],
            "kind": row["kind"].replace("_", " "),
            "reason": row["reason"],
            "detail": row["detail"] or "",
        }
        for row in sorted(
            rows, key=lambda row: tuple(str(row[name] or "") for name in ("patient", "stage", "item", "reason"))
        )
    ]
