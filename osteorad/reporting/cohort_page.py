"""The page of a cohort: flow, acquisition, contours, lesions, quarantine, settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from osteorad.cohort.config import TABLE
from osteorad.files import read_json, read_parquet, write_csv, write_json, write_text
from osteorad.reporting import cohort_parts, flow_data, table_cohort
from osteorad.reporting import cohort_sections as parts
from osteorad.reporting import cohort_tables as tables
from osteorad.reporting import report as doc
from osteorad.reporting.cohort_parts import OfPatients
from osteorad.reporting.render import render_page
from osteorad.reporting.review_part import review_section
from osteorad.reporting.settings_part import HISTORY, provenance_section, settings_section
from osteorad.reporting.wording import percent, tidy

LEAST_REFUSED = 5
Rows = Sequence[Mapping[str, Any]]


def write_cohort_page(
    *,
    cohort: str,
    title: str,
    patients: Path,
    series: Path,
    quarantine: Path,
    features: Path,
    reasons: Path,
    flow: Path | None,
    thumbs: Sequence[Path],
    settings: Mapping[str, Any],
    out_html: Path,
    out_json: Path,
    out_csv: Path,
    out_parts: Path,
    review: Path | None = None,
) -> None:
    """Write report.html (under 3 MB for 40 patients), report.json, lesions.csv and the folder of parts of a cohort.

    features, reasons : collected tables of the preset `lesion-table`, or those of a feature table.
    flow : JSON {"stages": [...]} as in an analysis, or None, then the flow is counted from the tables.
    thumbs : the patients' JSON of `draw_patient`. review : review.json, where there are images to judge.
    settings : cutoff, citation, source, privacy (sentences), max_quarantined, versions, hashes, and under `settings`
    whatever else was configured.
    """
    behind = Tables(
        features=read_parquet(features),
        reasons=read_parquet(reasons),
        stages=read_json(flow)["stages"] if flow is not None else None,
        review=read_json(review)["numbers"] if review is not None else None,
    )
    shown = _of_patients(behind, settings, patients=patients, series=series, quarantine=quarantine, thumbs=thumbs)
    groups = [] if _is_table(settings) else cohort_parts.divided(shown.patients)
    title = title or f"Cohort {cohort}"
    csv_name = Path(out_csv).name
    page = tidy(cohort_report(cohort, title, shown, behind, settings=settings, groups=groups, csv_name=csv_name))
    cohort_parts.write_parts(out_parts, cohort, title, groups, shown)
    write_text(out_html, render_page(page, shown.pixels))
    write_csv(out_csv, *_csv(shown.lesions))
    write_json(out_json, page)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What stands behind the page beside its patients. stages : of flow.json; review : numbers of review.json."""

    features: pa.Table
    reasons: pa.Table
    stages: Rows | None
    review: Mapping[str, Any] | None


def _is_table(settings: Mapping[str, Any]) -> bool:
    return settings.get("source") == TABLE


def _of_patients(
    behind: Tables,
    settings: Mapping[str, Any],
    *,
    patients: Path,
    series: Path,
    quarantine: Path,
    thumbs: Sequence[Path],
) -> OfPatients:
    """What stands with each patient."""
    pages, pixels = parts.montage_source(thumbs)
    return OfPatients(
        people=read_parquet(patients).to_pylist(),
        series=read_parquet(series).to_pylist(),
        lesions=[] if _is_table(settings) else tables.lesion_rows(behind.features, behind.reasons),
        aside=read_parquet(quarantine).to_pylist(),
        pages=pages,
        pixels=pixels,
    )


def cohort_report(
    cohort: str,
    title: str,
    shown: OfPatients,
    behind: Tables,
    *,
    settings: Mapping[str, Any],
    groups: Sequence[Sequence[str]],
    csv_name: str,
) -> doc.Report:
    """The dict of the page; reads no file. groups : patients of each part, where there are parts."""
    state, stages = _state(shown.people, shown.series, settings), _stages(shown, behind)
    of_kind = (
        [table_cohort.feature_section(behind.features, behind.reasons.to_pylist())]
        if _is_table(settings)
        else _image_sections(shown, state, csv_name, groups)
    )
    return doc.report(
        "cohort",
        cohort,
        title,
        subtitle=_subtitle(cohort, state, settings),
        state=parts.state_line(state),
        sections=[
            table_cohort.overview(state, behind.features)
            if _is_table(settings)
            else parts.overview(state, shown.lesions),
            parts.flow_section(stages),
            *of_kind,
            *([review_section(behind.review, "review.html")] if behind.review is not None else []),
            parts.aside_section(shown.aside, shown.people, [_aside_here(shown.aside, groups)]),
            settings_section(settings.get("settings", {}), settings),
            provenance_section(settings.get("versions", {}), settings.get("hashes", {}), settings.get("citation", "")),
        ],
        chips=_chips(state, stages),
        numbers=state,
        foot=str(settings.get("privacy", "")),
        up={"text": "All reports", "href": "../../index.html"},
        also=[HISTORY, *([] if _is_table(settings) else [("Privacy", "privacy.html")])],
    )


def _image_sections(
    shown: OfPatients, state: Mapping[str, Any], csv_name: str, groups: Sequence[Sequence[str]]
) -> list[doc.Section]:
    """Acquisition, contours and regions of all patients, or where the pages of each group have them."""
    if groups:
        return [
            cohort_parts.where_section(groups, shown),
            parts.acquisition(shown.series, state, []),
            parts.lesion_section(shown.lesions, csv_name, []),
        ]
    return [
        parts.acquisition(shown.series, state, [parts.chosen_table(shown.series)]),
        parts.contours(shown.pages, shown.pixels),
        parts.lesion_section(shown.lesions, csv_name, [parts.lesion_table(shown.lesions)]),
    ]


def _aside_here(aside: Rows, groups: Sequence[Sequence[str]]) -> doc.Part:
    """All lines, or where patients have pages of their own, those of nobody."""
    if not groups:
        return parts.aside_table(aside)
    caption = "Things of no patient, set aside or doubtful. All other lines stand with their patients."
    return parts.aside_table([row for row in aside if not row["patient"]], caption=caption, of=len(aside))


def _whole_series(series: Rows) -> set[tuple[str, str]]:
    """Series, each once: stacks that one was split into are named `<series>-<n>`."""
    return {(row["patient"], row["series"].split("-")[0]) for row in series}


def _stages(shown: OfPatients, behind: Tables) -> list[Mapping[str, Any]]:
    """The stages told, or counted where none were; the regions measured follow images and masks, patients come last."""
    told = behind.stages or flow_data.cohort_stages(shown.series, shown.aside)
    if any(stage["stage"] == "features" for stage in told):
        return list(told)
    measured = flow_data.measured_stage(behind.features, behind.reasons)
    last = [stage for stage in told if stage["stage"] == "patients"]
    return [*(stage for stage in told if stage["stage"] != "patients"), measured, *last]


def _state(people: Rows, series: Rows, settings: Mapping[str, Any]) -> dict[str, Any]:
    """The numbers that head the page, each counted."""
    # a patient of the source whose every series failed has no image left, and counts as quarantined all the same
    with_images = [row for row in people if row["reason"] != "table_without_images"]
    quarantined = sum(1 for row in with_images if row["state"] == "quarantined")
    limit = float(settings.get("max_quarantined", 0.2))
    share = quarantined / len(with_images) if with_images else 0.0
    used = [row for row in people if row["state"] == "used"]
    return {
        "patients": len(people),
        "with_images": len(with_images),
        "used": len(used),
        "quarantined": quarantined,
        "quarantined_share": share,
        "limit": limit,
        "least": LEAST_REFUSED,
        "refused": share > limit and quarantined >= LEAST_REFUSED,
        "series": len(_whole_series(series)),
        "series_used": len(_whole_series([row for row in series if row["state"] == "used"])),
        "sessions": len({(row["patient"], row["session"]) for row in series if row["state"] == "used"}),
        "cutoff": settings.get("cutoff"),
    }


def _subtitle(cohort: str, state: Mapping[str, Any], settings: Mapping[str, Any]) -> str:
    words = f"Cohort {cohort}, source {settings.get('source', 'not stated')}: {parts.state_line(state)}."
    return words + (f" Data cut-off {state['cutoff']}." if state["cutoff"] else "")


def _chips(state: Mapping[str, Any], stages: Rows) -> list[dict[str, str]]:
    whole = all(stage["adds_up"] for stage in flow_data.chart_stages(stages))
    chips = [
        {"text": f"Every {stages[0]['unit'].removesuffix('s')} accounted for", "tone": "ok"}
        if whole
        else {"text": "The flow does not add up", "tone": "bad"}
    ]
    words = f"{percent(state['quarantined_share'], 1)} quarantined, limit {percent(state['limit'])}"
    chips.append({"text": words, "tone": "bad" if state["refused"] else "ok"})
    return chips


def _csv(lesions: Rows) -> tuple[list[str], list[list[Any]]]:
    """Header and rows of lesions.csv."""
    header = ["patient", "session", "roi", "lesion", "mask_set", *(m[0] for m in tables.MEASURES), "reasons"]
    return header, [[*(tidy(row[name]) for name in header[:-1]), " ".join(row["reasons"])] for row in lesions]
