"""The page on which readers judge images and masks: verdicts so far, and a form that saves `review.tsv`, offline.

The only page that runs a script, its own; its content security policy names that script's hash and lets nothing load.
The table of verdicts is private: the page knows verdicts, never who gave them or what they wrote.
"""

from __future__ import annotations

import base64
import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from osteorad.cohort.verdicts import ACCEPTED, REJECTED, Verdicts, image_item, mask_item, verdict_on, version_of
from osteorad.files import read_json, write_json, write_text
from osteorad.reporting import report as doc
from osteorad.reporting import wording
from osteorad.reporting.render import TEMPLATES
from osteorad.reporting.wording import count, plural, tidy

OWN = TEMPLATES / "review"
MOST_ROWS = 18_000  # of about 150 bytes, so that the page keeps below 3 MB
Rows = Sequence[Mapping[str, Any]]


def write_review_page(
    *,
    cohort: str,
    title: str,
    images: Sequence[Path],
    masks: Sequence[Path],
    verdicts: Verdicts,
    out_html: Path,
    out_json: Path,
) -> None:
    """Write review.html and review.json of a cohort.

    images, masks : manifests of all patients, and of all mask sets that are read. verdicts : of readers, by patient.
    """
    rows = list(review_rows([read_json(path) for path in images], [read_json(path) for path in masks], verdicts))
    numbers = review_numbers(rows, verdicts)
    shown, left_out = _that_fit(_by_patient(rows))
    page = tidy(_report(cohort, title, shown, {**numbers, "left_out": left_out}))
    write_text(out_html, render_review(page))
    write_json(out_json, page)


def review_rows(
    images: Sequence[Mapping[str, Any]], masks: Sequence[Mapping[str, Any]], verdicts: Verdicts
) -> Iterator[dict[str, Any]]:
    """Each image and mask: patient, item with the version of its file, volume (of masks), and the verdict on it now.

    `said` is how the table of verdicts names it where that is another way, for any version.
    """
    for manifest in (*images, *masks):
        patient = manifest["patient"]
        for entry in manifest.get("masks", manifest.get("images")):
            name = mask_item(manifest["set"], entry) if "masks" in manifest else image_item(entry)
            item = f"{name}@{version_of(entry['sha256'])}"
            verdict = verdict_on(verdicts, patient, name, entry["sha256"])
            yield {
                "patient": patient,
                "item": item,
                "volume": entry.get("volume_ml"),
                "verdict": verdict,
                "said": name if verdict and item not in verdicts[patient] else "",
            }


def review_numbers(rows: Rows, verdicts: Verdicts) -> dict[str, int]:
    """How many things there are, what was said of them, and how many verdicts are about none of them."""
    said = Counter(row["verdict"] for row in rows)
    meant = {(row["patient"], name) for row in rows for name in (row["item"], row["item"].split("@")[0])}
    earlier = sum((patient, item) not in meant for patient, own in verdicts.items() for item in own)
    return {
        "patients": len({row["patient"] for row in rows}),
        "things": len(rows),
        "accepted": said[ACCEPTED],
        "rejected": said[REJECTED],
        "open": said[""],
        "earlier": earlier,
    }


def numbers_line(numbers: Mapping[str, Any]) -> str:
    """The state of the review in one sentence, for this page and the cohort's."""
    words = (
        f"Of {plural(numbers['things'], 'image or mask', 'images and masks')}, {count(numbers['accepted'])} accepted, "
        f"{count(numbers['rejected'])} rejected, {count(numbers['open'])} without a verdict."
    )
    if numbers["earlier"]:
        about = (
            "verdict is about an earlier version" if numbers["earlier"] == 1 else "verdicts are about earlier versions"
        )
        words += f" {count(numbers['earlier'])} {about}, or about nothing that is here, and counts for nothing."
    return words


def _by_patient(rows: Rows) -> list[dict[str, Any]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        found.setdefault(row["patient"], []).append({key: row[key] for key in row if key != "patient"})
    return [
        {"patient": patient, "line": _line(found[patient]), "rows": sorted(found[patient], key=_image_first)}
        for patient in sorted(found)
    ]


def _image_first(row: Mapping[str, Any]) -> tuple[bool, str]:
    return row["volume"] is not None, row["item"]


def _line(rows: Rows) -> str:
    said = Counter(row["verdict"] for row in rows)
    parts = [f"{said[verdict]} {verdict}" for verdict in (ACCEPTED, REJECTED) if said[verdict]]
    masks = sum(row["volume"] is not None for row in rows)
    return ", ".join([plural(len(rows) - masks, "image"), plural(masks, "mask"), *parts])


def _that_fit(patients: Rows) -> tuple[list[Mapping[str, Any]], int]:
    """Patients, in order, whose lines fit on the page, and how many do not."""
    shown, lines = [], 0
    for patient in patients:
        lines += len(patient["rows"])
        if lines > MOST_ROWS:
            break
        shown.append(patient)
    return shown, len(patients) - len(shown)


def _report(cohort: str, title: str, patients: Rows, numbers: Mapping[str, Any]) -> doc.Report:
    sentence = numbers_line(numbers)
    more = (
        f" No room on this page for {plural(numbers['left_out'], 'patient')} more; write their lines by hand."
        if numbers["left_out"]
        else ""
    )
    listed = (
        f"{plural(numbers['patients'], 'patient')}; a line opens on a click, its pictures in a second window.{more}"
    )
    effect = (
        "A rejected mask or image leaves the next run with the reason rejected_by_reader: its features, its samples, "
        "and with an image every mask on it. A verdict holds for the file that was looked at (the digits behind @): "
        "a corrected mask waits for a verdict of its own. A verdict changes nothing else and deletes no file."
    )
    saving = (
        f"Save the file as review.tsv in this cohort's private folder (private_dir of config.yaml, then {cohort}), and "
        "run again. Where there is a review.tsv already, open it in the form first, so that its readers and comments "
        "stay; this page knows only the verdicts. Choices last as long as this page is open."
    )
    by_hand = (
        "By hand, or where scripts are off: a table with the columns patient, item, verdict, reader and comment, "
        "separated by tabs; item as in the lists here, verdict accepted or rejected. Without @ and what follows it, "
        "a verdict holds for any version. The last line on an item counts."
    )
    return doc.report(
        "review",
        cohort,
        f"Review of {title or f'cohort {cohort}'}",
        subtitle="Images and masks, accepted or rejected by readers.",
        state=sentence,
        sections=[
            doc.section("verdicts", "Verdicts", sentence, [doc.paragraphs([effect, saving, by_hand])], numbers=numbers),
            doc.section(
                *("items", "Images and masks", listed),
                [{"kind": "review", "patients": list(patients)}],
                numbers=numbers,
            ),
        ],
        numbers=numbers,
        up={"text": "Cohort page", "href": "report.html"},
    )


# --- the page ---------------------------------------------------------------------------------------------------------


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(OWN), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made.filters.update(real=wording.real)
    return made


def _token(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def render_review(page: Mapping[str, Any]) -> str:
    """HTML of the review page."""
    style = "".join(
        (folder / name).read_text(encoding="utf-8") for folder, name in ((TEMPLATES, "style.css"), (OWN, "review.css"))
    )
    script = (OWN / "review.js").read_text(encoding="utf-8")
    return (
        _environment()
        .get_template("page.html.j2")
        .render(
            report=page,
            style=Markup(style),
            style_token=_token(style),
            script=Markup(script),
            script_token=_token(script),
        )
    )
