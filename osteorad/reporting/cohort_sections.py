"""Sections of the cohort page: overview, flow, acquisition, contours, regions, what was set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad import reasons
from osteorad.files import read_json
from osteorad.reporting import cohort_tables as tables
from osteorad.reporting import flow_data
from osteorad.reporting import report as doc
from osteorad.reporting.gallery import look_of
from osteorad.reporting.planes import BONE_WINDOW_HU
from osteorad.reporting.wording import count, none_of, percent, plural, real

MOST_ROWS = 400
PICTURE_CHARACTERS = 1_900_000  # of the 3 MB that the page may have
Rows = Sequence[Mapping[str, Any]]


def state_line(state: Mapping[str, Any]) -> str:
    """One line of state, also for the index page."""
    words = f"{count(state['used'])} of {plural(state['patients'], 'patient')} used, {state['quarantined']} quarantined"
    return words + ("; analyses are refused" if state["refused"] else "")


def overview(state: Mapping[str, Any], lesions: Rows) -> doc.Section:
    """What is there, in five numbers."""
    regions = len(lesions)
    sentence = f"{state_line(state)[:1].upper()}{state_line(state)[1:]}."
    if state["refused"]:
        sentence = (
            f"Analyses of this cohort are refused: {state['quarantined']} of {state['with_images']} patients "
            f"are quarantined ({percent(state['quarantined_share'], 1)}), more than {percent(state['limit'])} and at "
            f"least {state['least']}."
        )
    items = [
        {"value": state["used"], "of": state["patients"], "digits": 0, "label": "patients used"},
        {"value": state["quarantined"], "of": state["with_images"], "digits": 0, "label": "patients quarantined"},
        {"value": state["sessions"], "of": None, "digits": 0, "label": "sessions"},
        {"value": state["series_used"], "of": state["series"], "digits": 0, "label": "series used"},
        {"value": regions, "of": None, "digits": 0, "label": "regions, CT and PET together"},
    ]
    return doc.section("overview", "Overview", sentence, [doc.tiles(items)], numbers={**state, "regions": regions})


def flow_section(stages: Rows) -> doc.Section:
    """The flow chart of the cohort."""
    drawn = flow_data.chart_stages(stages)
    wrong = [stage["label"] for stage in drawn if not stage["adds_up"]]
    sentence = (
        f"At each of {len(drawn)} stages, in = used + set aside; each loss has its reason."
        if not wrong
        else f"Numbers do not add up at {len(wrong)} of {len(drawn)} stages: {', '.join(wrong)}."
    )
    chart = doc.figure(
        "flow",
        "flow",
        f"Flow from {stages[0]['unit']} to {'measured regions' if stages[0]['stage'] == 'files' else 'patients'}",
        flow_data.flow_desc(drawn),
        "What came in at each stage, what was used, and each loss with its reason.",
        {"stages": drawn},
    )
    return doc.section("flow", "Flow", sentence, [chart], numbers={"stages": len(drawn), "wrong": len(wrong)})


def acquisition(series: Rows, state: Mapping[str, Any], of_patients: Sequence[doc.Part]) -> doc.Section:
    """Scanners, and with `of_patients` the series chosen for each image, where they stand on this page."""
    scanners = tables.scanner_rows(series)
    models = len({row["scanner"] for row in scanners})
    sentence = (
        f"{plural(state['series_used'], 'series', 'series')} of {count(state['series'])} are used; "
        f"images come from {plural(models, 'scanner model')}."
    )
    first = _scanner_table("CT", [row for row in scanners if row["modality"] == "CT"], state)
    other = _scanner_table("PET", [row for row in scanners if row["modality"] != "CT"], state)
    numbers = {"used": state["series_used"], "series": state["series"], "models": models}
    return doc.section("acquisition", "Acquisition", sentence, [first, other, *of_patients], numbers=numbers)


def chosen_table(series: Rows, *, up: str = "", most: int = MOST_ROWS) -> doc.Part:
    """The series chosen for each image. up : path from the page to the cohort's folder."""
    chosen = tables.chosen_rows(series)
    shown = chosen[:most]
    rows = [{**row, "patient": _link(row["patient"], up)} for row in shown]
    more = f" The first {count(len(shown))} of {count(len(chosen))} rows." if len(shown) < len(chosen) else ""
    return doc.table(
        "chosen",
        "The series chosen for each image, and the other image series of the session." + more,
        [
            doc.column("patient", "Patient", "link"),
            doc.column("day", "Day", "count"),
            doc.column("image", "Image"),
            doc.column("series", "Series", "code"),
            doc.column("kernel", "Kernel"),
            doc.column("slices", "Slices", "count"),
            doc.column("slice", "Distance", "real", note="mm"),
            doc.column("why", "Chosen because", "words"),
            doc.column("others", "Not taken", "words"),
        ],
        rows,
        empty=none_of(len(series), "series", "series"),
        facts={"shown": len(shown), "of": len(chosen), "series": len(series)},
    )


def _scanner_table(modality: str, rows: Rows, state: Mapping[str, Any]) -> doc.Part:
    """Scanners of one modality, with the columns that matter to it."""
    own = (
        [
            doc.column("kernel", "Kernel"),
            doc.column("kvp", "Tube voltage", "range", digits=0, note="kV"),
        ]
        if modality == "CT"
        else [
            doc.column("tracer", "Tracer"),
            doc.column("dose", "Dose", "range", digits=0, note="MBq"),
            doc.column("uptake", "Uptake", "range", digits=0, note="min"),
        ]
    )
    columns = [
        doc.column("scanner", "Scanner"),
        doc.column("patients", "Patients", "count"),
        doc.column("series", "Series", "count"),
        doc.column("pixel", "Pixel", "range", note="mm"),
        doc.column("slice", "Slice distance", "range", note="mm"),
        *own,
    ]
    by = "by scanner and kernel" if modality == "CT" else "by scanner"
    caption = f"{modality} series used, {by}: median (lowest to highest)."
    empty = none_of(state["series"], "series", "series") + f" No {modality} is used."
    return doc.table(f"scanners-{modality.lower()}", caption, columns, rows, empty=empty)


def _link(patient: str, up: str = "") -> dict[str, str]:
    return {"text": patient, "href": f"{up}pages/{patient}.html"}


def montage_source(thumbs: Sequence[Path]) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Patients with their thumbnails' facts, and the pixels by name."""
    pages, pixels = [], {}
    for path in sorted(thumbs, key=lambda path: path.name):
        content = read_json(path)
        for item in content["items"]:
            pixels[item["picture"]] = item.pop("webp_base64")
        pages.append(content)
    return pages, pixels


def contours(
    pages: Sequence[Mapping[str, Any]],
    pixels: Mapping[str, str],
    *,
    up: str = "",
    most_characters: int = PICTURE_CHARACTERS,
) -> doc.Section:
    """Every patient's contours, as many as the page can hold. up : path from the page to the cohort's folder."""
    groups, total, left_out = [], 0, 0
    rois: set[str] = set()
    for page in pages:
        by_session: dict[str, list[dict[str, Any]]] = {}
        for item in page["items"]:
            by_session.setdefault(item["session"], []).append(item)
        size = sum(len(pixels[item["picture"]]) for item in page["items"])
        if total + size > most_characters:
            left_out += 1
            continue
        total += size
        for session, items in by_session.items():
            rois.update(entry["roi"] for item in items for entry in item["outlines"])
            groups.append(
                {
                    "label": page["patient"],
                    "sub": session if len(by_session) > 1 else "",
                    "href": f"{up}pages/{page['patient']}.html",
                    "items": items,
                }
            )
    with_contour = sum(1 for page in pages if any(item["outlines"] for item in page["items"]))
    sentence = f"{with_contour} of {plural(len(pages), 'patient')} with a contour in the slice shown."
    numbers = {
        "with_contour": with_contour,
        "patients": len(pages),
        "left_out": left_out,
        "groups": len(groups),
        "zero": 0,
        "window_hu": list(BONE_WINDOW_HU),
    }
    if not groups:
        parts = [doc.note(none_of(len(pages), "patient") + " No picture could be drawn.")]
        return doc.section("contours", "Contours", sentence, parts, numbers=numbers)
    legend = [{"roi": roi, "color": look_of(roi)[0], "dash": look_of(roi)[1] or "none"} for roi in sorted(rois)]
    more = f" {plural(left_out, 'patient')} more on their own pages." if left_out else ""
    gallery = {
        "kind": "gallery",
        "id": "montage",
        "size": "small",
        "legend": legend,
        "groups": groups,
        "caption": "Each patient's axial slice that cuts the most regions, cut to their surroundings. "
        f" CT from {real(BONE_WINDOW_HU[0], 0)} to {real(BONE_WINDOW_HU[1], 0)} HU; PET inverted. R: the "
        "patient's right." + more,
    }
    return doc.section("contours", "Contours", sentence, [gallery], numbers=numbers)


def lesion_section(lesions: Rows, csv_name: str, of_patients: Sequence[doc.Part]) -> doc.Section:
    """The regions counted, with `of_patients` their table where it stands on this page, and a link to it as CSV."""
    patients = len({row["patient"] for row in lesions})
    with_pet = sum(1 for row in lesions if row["suv_max"] is not None)
    sentence = f"{plural(len(lesions), 'region')} in {plural(patients, 'patient')}, {with_pet} with PET values."
    parts = [*of_patients, doc.links([("The regions as a table for spreadsheets (lesions.csv)", csv_name)])]
    numbers = {"regions": len(lesions), "patients": patients, "with_pet": with_pet, "zero": 0}
    return doc.section("lesions", "Regions measured", sentence, parts, numbers=numbers)


def lesion_table(lesions: Rows, *, up: str = "", most: int = MOST_ROWS) -> doc.Part:
    """The table of regions. up : path from the page to the cohort's folder."""
    shown = lesions[:most]
    rows = [
        {
            **{key: value for key, value in row.items() if key not in ("reasons", "session", "mask_set")},
            "patient": _link(row["patient"], up),
            "region": f"{row['roi']}\u00a0{row['lesion']}",
            "doubts": ", ".join(code.replace("_", " ") for code in row["reasons"]) or "none",
        }
        for row in shown
    ]
    columns = [
        doc.column("patient", "Patient", "link"),
        doc.column("region", "Region"),
        *(doc.column(m[0], m[4], "real", digits=m[6], note=m[5]) for m in tables.MEASURES),
        doc.column("doubts", "Doubts"),
    ]
    more = (
        f" The first {count(len(shown))} of {count(len(lesions))} rows; all in the file."
        if len(shown) < len(lesions)
        else ""
    )
    caption = "Regions with volume, attenuation and uptake; MTV and TLG above 41 % of SUVmax." + more
    facts = {"shown": len(shown), "of": len(lesions), "mtv": 0.41}
    return doc.table("lesion-table", caption, columns, rows, empty=none_of(0, "region"), facts=facts)


def aside_section(aside: Rows, people: Rows, of_patients: Sequence[doc.Part]) -> doc.Section:
    """What was set aside or is doubtful: by reason, by patient, and with `of_patients` line by line on this page."""
    summary = tables.aside_summary(aside)
    left = sum(1 for row in people if row["state"] != "used")
    gone_of = f"{left} of {plural(len(people), 'patient')} not used"
    sentence = f"{plural(len(aside), 'line')} under {plural(len(summary), 'reason')}; {gone_of}."
    by_reason = doc.table(
        "aside-reasons",
        "Why things were set aside or are doubtful.",
        [
            doc.column("sentence_of", "Reason"),
            doc.column("reason", "Code", "code"),
            doc.column("stage", "Stage"),
            doc.column("kind", "Became"),
            doc.column("lines", "Lines", "count"),
            doc.column("count", "Files or things", "count"),
            doc.column("patients", "Patients", "count"),
        ],
        summary,
        empty=none_of(len(people), "patient") + " Nothing was set aside.",
    )
    gone = [
        {"patient": row["patient"], "state": row["state"], "reason": _sentence(row["reason"])}
        for row in people
        if row["state"] != "used"
    ]
    lost = doc.table(
        "aside-patients",
        "Patients not used.",
        [doc.column("patient", "Patient", "code"), doc.column("state", "State"), doc.column("reason", "Reason")],
        gone,
        empty=none_of(len(people), "patient"),
    )
    numbers = {"lines": len(aside), "reasons": len(summary), "left": left, "patients": len(people), "zero": 0}
    return doc.section("quarantine", "Set aside", sentence, [by_reason, lost, *of_patients], numbers=numbers)


def aside_table(
    aside: Rows, *, most: int = MOST_ROWS, caption: str = "Each thing set aside or doubtful.", of: int = 0
) -> doc.Part:
    """Each thing set aside or doubtful, a line each. of : lines of which these are all that belong here."""
    rows = tables.aside_rows(aside)
    shown = rows[:most]
    more = f" The first {count(len(shown))} of {count(len(rows))}." if len(shown) < len(rows) else ""
    return doc.table(
        "aside-lines",
        caption + more,
        [
            doc.column("patient", "Patient", "code"),
            doc.column("session", "Session", "code"),
            doc.column("stage", "Stage"),
            doc.column("item", "Item", "code"),
            doc.column("count", "Count", "count"),
            doc.column("kind", "Became"),
            doc.column("reason", "Code", "code"),
            doc.column("detail", "Detail"),
        ],
        shown,
        empty=none_of(of, "line"),
        facts={"shown": len(shown), "rows": len(rows), "of": of},
    )


def _sentence(code: str | None) -> str:
    return reasons.reason(code).sentence if code else ""
