"""The page of one patient: key slices with contours, regions with their volumes, and what was set aside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad import reasons
from osteorad.files import read_json, write_json, write_text
from osteorad.reporting import pictures, planes
from osteorad.reporting import report as doc
from osteorad.reporting.patient_pictures import LEAST_FIELD_MM, MOST_FIELD_MM, Drawn, draw_session, main_scans
from osteorad.reporting.pictures import Scan, slug
from osteorad.reporting.render import render_page
from osteorad.reporting.wording import none_of, plural, tidy

PAGE_BYTES = 1_000_000
PICTURE_CHARACTERS = 780_000  # leaves room for outlines, tables and the style sheet
# pixels of a region's tile by how many tiles the page holds
TILE_PX = ((45, 240), (90, 196), (10_000, 140))


def draw_patient(images: Path, masks: Path | None, *, out_page: Path, out_thumb: Path) -> None:
    """Draw a patient's page (at most 1 MB) and the thumbnails that the cohort page shows.

    images : images.json. masks : masks.json, or None where nobody drew. Paths in both are relative to their folders.
    out_thumb : JSON {"cohort", "patient", "items", "page"}; `page` holds every number of the page.
    """
    facts = read_json(images)
    drawn_by: dict[str, Any] = read_json(masks) if masks is not None else {"masks": [], "set_aside": [], "set": "none"}
    mask_root = Path(masks).parent if masks is not None else Path()
    order = {entry["session"]: entry for entry in facts["sessions"]}
    sessions = sorted(
        {entry["session"] for entry in facts["images"]}, key=lambda name: (order.get(name, {}).get("order", 0), name)
    )
    tile_px = _tile_px(facts["images"], drawn_by["masks"])
    sections, pixels, thumbs = [], {}, []
    for session in sessions:
        scans = _read_session(Path(images).parent, facts["images"], mask_root, drawn_by["masks"], session)
        drawn = draw_session(facts["patient"], session, scans, tile_px)
        sections.append(_session_section(session, order.get(session, {}), scans, drawn))
        pixels.update(drawn.pixels)
        thumbs += drawn.thumbs
    whole = _report(facts, drawn_by, sections)
    _fit(whole, pixels)
    page = tidy(whole)
    write_text(out_page, render_page(page, pixels))
    write_json(out_thumb, {"cohort": facts["cohort"], "patient": facts["patient"], "items": tidy(thumbs), "page": page})


def _tile_px(images: Sequence[Mapping[str, Any]], masks: Sequence[Mapping[str, Any]]) -> int:
    regions = {(entry["session"], entry["roi"], entry["lesion"]) for entry in masks}
    looks = {entry["session"]: 0 for entry in images}
    for entry in images:
        looks[entry["session"]] += 1
    tiles = sum(5 * (looks.get(session, 0) + (looks.get(session, 0) > 1)) for session, _, _ in regions)
    return next(pixels for most, pixels in TILE_PX if tiles <= most)


def _read_session(
    image_root: Path,
    images: Sequence[Mapping[str, Any]],
    mask_root: Path,
    masks: Sequence[Mapping[str, Any]],
    session: str,
) -> list[Scan]:
    """Images of a session, `ct` and `pet` first, each with its own regions that hold a voxel."""
    found = []
    for entry in sorted(images, key=lambda row: (row["image"] not in ("ct", "pet"), row["image"])):
        if entry["session"] != session:
            continue
        own = [row for row in masks if row["session"] == session and row["image"] == entry["image"]]
        regions = [
            region
            for row in sorted(own, key=lambda row: (row["roi"], row["lesion"]))
            if (region := pictures.read_region(mask_root / row["path"], row)) is not None
        ]
        found.append(pictures.read_scan(image_root / entry["path"], entry, regions))
    return found


def _session_section(session: str, facts: Mapping[str, Any], scans: Sequence[Scan], drawn: Drawn) -> doc.Section:
    regions = {(region.roi, region.lesion) for scan in scans for region in scan.regions}
    ct, pet = main_scans(scans)
    day = facts.get("day")
    numbers = {
        "images": len(scans),
        "regions": len(regions),
        "day": day,
        "window_hu": list(planes.BONE_WINDOW_HU) if ct is not None and ct.units == "HU" else None,
        "suv": [0, pictures.top_suv(pet)] if pet is not None else None,
        "field_mm": [LEAST_FIELD_MM, MOST_FIELD_MM],
        "quarters": [1, 3, 4],
    }
    when = f", day {day}" if day is not None else ""
    sentence = f"{plural(len(scans), 'image')}{when}, {plural(len(regions), 'region')} with contours."
    if ct is not None and ct.units == pictures.GREY:
        sentence += " Slices as pictures, in the order of the manifest; neighbours need not be neighbours in the body."
    elif pet is None:
        sentence += " No PET in this session."
    elif ct is None:
        sentence += " No CT in this session."
    elif not pet.regions and ct.regions:
        sentence += " The contours were drawn on the CT; the PET shows the same."
    parts: list[doc.Part] = list(drawn.galleries)
    if not regions:
        parts.append(doc.note(none_of(len(scans), "image") + " No contour was drawn on this session."))
    return doc.section(slug("session", session), f"Session {session}", sentence, parts, numbers=numbers)


def _report(facts: Mapping[str, Any], drawn_by: Mapping[str, Any], sessions: Sequence[doc.Section]) -> doc.Report:
    aside = [*facts["set_aside"], *drawn_by["set_aside"]]
    empty = [entry for entry in drawn_by["masks"] if not entry["voxels"]]
    state = f"{plural(len(facts['images']), 'image')}, {plural(len(drawn_by['masks']), 'mask')}, {len(aside)} set aside"
    return doc.report(
        "patient",
        facts["patient"],
        f"Patient {facts['patient']}",
        subtitle=f"Cohort {facts['cohort']}, contours of {drawn_by['set']}: {state}.",
        state=state,
        sections=[_image_section(facts), *sessions, _region_section(drawn_by, empty), _aside_section(aside)],
        chips=[{"text": "pseudonymous", "tone": "plain"}],
        numbers={"images": len(facts["images"]), "masks": len(drawn_by["masks"]), "set_aside": len(aside)},
        up={"text": "Cohort page", "href": "../report.html"},
    )


def _image_section(facts: Mapping[str, Any]) -> doc.Section:
    rows = [
        {
            "session": entry["session"],
            "image": entry["image"],
            "units": entry["units"],
            "shape": "\u00a0×\u00a0".join(str(size) for size in entry["shape"]),
            "spacing": "\u00a0×\u00a0".join(f"{step:.2f}" for step in entry["spacing_mm"])
            if entry.get("spacing_known", True)
            else "unknown",
            "series": entry["series"],
            "doubts": " ".join(reasons.reason(code).sentence for code in entry["flags"]) or "none",
        }
        for entry in sorted(facts["images"], key=lambda row: (row["session"], row["image"]))
    ]
    columns = [
        doc.column("session", "Session", "code"),
        doc.column("image", "Image"),
        doc.column("units", "Units"),
        doc.column("shape", "Voxels"),
        doc.column("spacing", "Spacing", note="mm"),
        doc.column("series", "Series", "code"),
        doc.column("doubts", "Doubts"),
    ]
    count = len(facts["images"])
    sentence = f"{plural(count, 'image')} in {plural(len(facts['sessions']), 'session')}."
    caption = "Images of this patient and the series that each was made from."
    body = doc.table("images-table", caption, columns, rows, empty=none_of(count, "usable image"), head="image")
    return doc.section(
        "images", "Images", sentence, [body], numbers={"images": count, "sessions": len(facts["sessions"])}
    )


def _region_section(drawn_by: Mapping[str, Any], empty: Sequence[Mapping[str, Any]]) -> doc.Section:
    masks = drawn_by["masks"]
    rows = [
        {
            "region": f"{entry['roi']}\u00a0{entry['lesion']}",
            "session": entry["session"],
            "image": entry["image"],
            "voxels": entry["voxels"],
            "volume": entry["volume_ml"],
            "source": entry["source"],
            "doubts": " ".join(reasons.reason(code).sentence for code in entry["flags"]) or "none",
        }
        for entry in sorted(masks, key=lambda row: (row["session"], row["image"], row["roi"], row["lesion"]))
    ]
    columns = [
        doc.column("region", "Region"),
        doc.column("session", "Session", "code"),
        doc.column("image", "Image"),
        doc.column("voxels", "Voxels", "count"),
        doc.column("volume", "Volume", "real", note="ml"),
        doc.column("source", "Drawn as"),
        doc.column("doubts", "Doubts"),
    ]
    sentence = f"{plural(len(masks), 'mask')}, {len(empty)} of them without a voxel."
    body = doc.table("regions-table", "Contours as masks.", columns, rows, empty=none_of(0, "mask"))
    return doc.section(
        "regions", "Regions", sentence, [body], numbers={"masks": len(masks), "empty": len(empty), "none": 0}
    )


def _aside_section(aside: Sequence[Mapping[str, Any]]) -> doc.Section:
    rows = [
        {
            "stage": row["stage"],
            "item": row["item"],
            "count": row["count"],
            "kind": row["kind"].replace("_", " "),
            "why": reasons.reason(row["reason"]).sentence,
            "detail": row.get("detail") or "",
        }
        for row in sorted(aside, key=lambda row: (row["stage"], row["item"], row["reason"]))
    ]
    columns = [
        doc.column("stage", "Stage"),
        doc.column("item", "Item", "code"),
        doc.column("count", "Count", "count"),
        doc.column("kind", "Became"),
        doc.column("why", "Reason"),
        doc.column("detail", "Detail"),
    ]
    sentence = f"{plural(len(rows), 'line')}: what was not used, or is doubtful, and why."
    body = doc.table(
        "aside-table", "Set aside or doubtful.", columns, rows, empty=none_of(0, "thing set aside"), head="item"
    )
    return doc.section("set-aside", "Set aside", sentence, [body], numbers={"lines": len(rows), "none": 0})


def _fit(whole: doc.Report, pixels: dict[str, str]) -> None:
    """Take the smallest regions' pictures off the page until it keeps its size, and say so."""
    total = sum(len(text) for text in pixels.values())
    for entry in whole["sections"]:
        for part in entry["parts"]:
            if part["kind"] != "gallery" or part["size"] != "strip":
                continue
            of = len(part["groups"])
            while total > PICTURE_CHARACTERS and len(part["groups"]) > 1:
                for item in part["groups"].pop()["items"]:
                    total -= len(pixels.pop(item["picture"]))
            if len(part["groups"]) < of:
                shown = len(part["groups"])
                part["caption"] += f" Shown: the {shown} largest of {of} regions; all stand in the table."
                entry["numbers"].update(regions_shown=shown, regions_of=of)
