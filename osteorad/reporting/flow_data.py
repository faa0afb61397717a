"""Flow of a cohort or an analysis as its chart draws it, and whether it adds up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from osteorad import reasons
from osteorad.cohort.schemas import FEATURE_KEYS
from osteorad.reporting.wording import count

Rows = Sequence[Mapping[str, Any]]
STAGE_TITLES = {
    "files": "Files of the export",
    "series": "Series",
    "images": "Images",
    "masks": "Contours as masks",
    "features": "Contours measured",
    "patients": "Patients",
}


def chart_stages(stages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Stages of a flow.json (`in`, `used` or `out`, `set_aside` with kind, reason, count) as the chart draws them."""
    return [
        {
            "label": stage.get("title") or STAGE_TITLES.get(stage["stage"], stage["stage"]),
            "unit": stage["unit"],
            "in": stage["in"],
            "used": _used(stage),
            "aside": [
                {
                    "count": loss["count"],
                    "kind": loss["kind"],
                    "reason": loss["reason"],
                    "sentence": loss.get("sentence") or reasons.reason(loss["reason"]).sentence,
                }
                for loss in sorted(stage["set_aside"], key=lambda loss: (-loss["count"], loss["reason"]))
            ],
            "adds_up": stage["in"] == _used(stage) + sum(loss["count"] for loss in stage["set_aside"]),
        }
        for stage in stages
    ]


def _used(stage: Mapping[str, Any]) -> int:
    return int(stage["used"] if "used" in stage else stage["out"])


def flow_desc(stages: Sequence[Mapping[str, Any]]) -> str:
    """What the chart says, for those who do not see it."""
    return " ".join(
        f"{stage['label']}: {count(stage['used'])} of {count(stage['in'])} {stage['unit']} used."
        + (
            " Set aside: "
            + "; ".join(
                f"{count(loss['count'])} {loss['kind'].replace('_', ' ')}, {loss['reason']}" for loss in stage["aside"]
            )
            + "."
            if stage["aside"]
            else ""
        )
        for stage in stages
    )


def _losses(rows: Rows, weight: str | None = None) -> list[dict[str, Any]]:
    """Rows counted by reason; only kinds that leave the flow, and values that could not be computed."""
    counted: dict[tuple[str, str], int] = {}
    for row in rows:
        key = (row["kind"], row["reason"])
        counted[key] = counted.get(key, 0) + (int(row[weight]) if weight else 1)
    return [{"kind": kind, "reason": code, "count": total} for (kind, code), total in sorted(counted.items())]


def cohort_stages(series: Rows, aside: Rows) -> list[dict[str, Any]]:
    """Stages files and series from the rows of the cohort's tables, for a cohort without flow.json.

    Placed files stand in series.parquet, others in quarantine.parquet (`aside`); masks that were drawn are counted by
    `measured_stage` alone.
    """
    left = [row for row in aside if row["kind"] in reasons.SET_ASIDE and row["stage"] == "files"]
    losses = _losses(left, "count")
    used_files = sum(row["files"] or 0 for row in series)
    lost = _losses([{"kind": row["state"], "reason": row["reason"]} for row in series if row["state"] != "used"])
    return [
        _stage("files", "files", used_files + sum(loss["count"] for loss in losses), used_files, losses),
        _stage("series", "series", len(series), sum(1 for row in series if row["state"] == "used"), lost),
    ]


def measured_stage(features: pa.Table, why: pa.Table) -> dict[str, Any]:
    """Contours of the lesion table: rows with a value, and rows that miss every one, by the first reason.

    A region without a contour on one of the images has a row for it (`contour_unpaired`), but no contour came in.
    """
    missing = _distinct([row for row in why.to_pylist() if row["kind"] == "missing" and row["feature_class"] == "all"])
    unpaired = {_keys(row) for row in missing if row["reason"] == "contour_unpaired"}
    drawn = [row for row in features.to_pylist() if _keys(row) not in unpaired]
    losses = _losses([row for row in missing if _keys(row) not in unpaired])
    return _stage("features", "contours", len(drawn), sum(1 for row in drawn if _has_value(row)), losses)


def _stage(name: str, unit: str, entering: int, used: int, losses: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    return {"stage": name, "unit": unit, "in": entering, "used": used, "set_aside": list(losses)}


def _distinct(rows: Rows) -> list[Mapping[str, Any]]:
    """One row a region, the first by reason."""
    found: dict[tuple[Any, ...], Mapping[str, Any]] = {}
    for row in sorted(rows, key=lambda row: row["reason"]):
        found.setdefault(_keys(row), row)
    return list(found.values())


def _keys(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return tuple(row[key] for key in FEATURE_KEYS)


def _has_value(row: Mapping[str, Any]) -> bool:
    return any(isinstance(value, float) and value == value for key, value in row.items() if key not in FEATURE_KEYS)
