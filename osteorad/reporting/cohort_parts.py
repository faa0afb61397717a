"""A cohort of many patients: what stands with each patient moves to pages of at most 100 patients each.

The folder `parts/` holds them and their manifest `parts.json`; of a smaller cohort only the manifest, and everything
stands on report.html.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from osteorad.files import json_text, write_json, write_text
from osteorad.provenance import sha256_bytes
from osteorad.reporting import cohort_sections as parts
from osteorad.reporting import report as doc
from osteorad.reporting.render import render_page
from osteorad.reporting.wording import none_of, plural, tidy

FOLDER, MANIFEST = "parts", "parts.json"
MOST_PATIENTS = 100
MOST_ROWS = 3000  # of a table of a part
PICTURE_CHARACTERS = 3_600_000  # of the 5 MB that a part may have
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class OfPatients:
    """What stands with each patient; every row has `patient`. pages : facts of thumbnails, pixels by name."""

    people: Rows
    series: Rows
    lesions: Rows
    aside: Rows
    pages: Rows
    pixels: Mapping[str, str]

    def of(self, patients: Sequence[str]) -> OfPatients:
        """The same of these patients alone."""
        names = set(patients)
        kept = {
            field: [row for row in getattr(self, field) if row["patient"] in names]
            for field in ("people", "series", "lesions", "aside", "pages")
        }
        return OfPatients(**kept, pixels=self.pixels)

    @property
    def patients(self) -> list[str]:
        """Every patient that a row names, sorted."""
        fields = (self.people, self.series, self.lesions, self.aside, self.pages)
        return sorted({row["patient"] for rows in fields for row in rows if row["patient"]})


def divided(patients: Sequence[str]) -> list[list[str]]:
    """Patients of each part; none where one page holds all. Parts differ by one patient at most."""
    if len(patients) <= MOST_PATIENTS:
        return []
    number = -(-len(patients) // MOST_PATIENTS)
    ends = [place * len(patients) // number for place in range(number + 1)]
    return [list(patients[start:end]) for start, end in pairwise(ends)]


def page_name(number: int) -> str:
    """File name of a part, from 1."""
    return f"part-{number}.html"


# --- on the first page -----------------------------------------------------------------------------------------------


def where_section(groups: Sequence[Sequence[str]], shown: OfPatients) -> doc.Section:
    """Which patient stands on which page; a reader finds a pseudonym with the browser's search."""
    patients = [patient for group in groups for patient in group]
    drawn = {page["patient"] for page in shown.pages}
    states = {row["patient"]: row["state"] for row in shown.people}
    regions, lines = _counted(shown.lesions), _counted(shown.aside)
    overview = [
        {
            "page": {"text": f"Page\u00a0{number}", "href": f"{FOLDER}/{page_name(number)}"},
            "first": group[0],
            "last": group[-1],
            "patients": len(group),
        }
        for number, group in enumerate(groups, 1)
    ]
    rows = [
        {
            "patient": {"text": patient, "href": f"pages/{patient}.html" if patient in drawn else ""},
            "page": {"text": f"Page\u00a0{number}", "href": f"{FOLDER}/{page_name(number)}"},
            "name": patient,
            "state": states.get(patient, "not in the table of patients"),
            "regions": regions.get(patient, 0),
            "lines": lines.get(patient, 0),
        }
        for number, group in enumerate(groups, 1)
        for patient in group
    ]
    sentence = (
        f"{plural(len(patients), 'patient')} on {plural(len(groups), 'page')} of at most {MOST_PATIENTS}: pictures, "
        "series chosen, regions and what was set aside stand there."
    )
    tables = [
        doc.table(
            "part-pages",
            "Pages, in the order of the pseudonyms.",
            [
                doc.column("page", "Page", "link"),
                doc.column("first", "From", "code"),
                doc.column("last", "To", "code"),
                doc.column("patients", "Patients", "count"),
            ],
            overview,
            empty=none_of(0, "page"),
        ),
        doc.table(
            "part-of",
            "Every patient: the page with the others, and a page of its own. The browser's search finds a pseudonym.",
            [
                doc.column("patient", "Patient", "link"),
                doc.column("page", "With the others", "link"),
                doc.column("state", "State"),
                doc.column("regions", "Regions", "count"),
                doc.column("lines", "Lines set aside or doubtful", "count"),
            ],
            rows,
            empty=none_of(0, "patient"),
        ),
    ]
    numbers = {"patients": len(patients), "pages": len(groups), "most": MOST_PATIENTS}
    return doc.section("where", "Patients", sentence, tables, numbers=numbers)


def _counted(rows: Rows) -> dict[str, int]:
    counts: dict[str, int] = {}
    for row in rows:
        counts[row["patient"]] = counts.get(row["patient"], 0) + 1
    return counts


# --- the parts -------------------------------------------------------------------------------------------------------


def patient_sections(shown: OfPatients) -> list[doc.Section]:
    """What stands with each patient of a part: here belongs whatever else is shown or asked a patient."""
    series = [row for row in shown.series if row["state"] == "used"]
    chosen = parts.chosen_table(shown.series, up="../", most=MOST_ROWS)
    return [
        parts.contours(shown.pages, shown.pixels, up="../", most_characters=PICTURE_CHARACTERS),
        doc.section(
            "acquisition",
            "Series chosen",
            f"{plural(len(series), 'row')} of series used.",
            [chosen],
            numbers={"rows": len(series)},
        ),
        parts.lesion_section(
            shown.lesions, "../lesions.csv", [parts.lesion_table(shown.lesions, up="../", most=MOST_ROWS)]
        ),
        doc.section(
            "quarantine",
            "Set aside",
            f"{plural(len(shown.aside), 'line')} of what was set aside or is doubtful.",
            [parts.aside_table(shown.aside, most=MOST_ROWS)],
            numbers={"lines": len(shown.aside), "zero": 0},
        ),
    ]


def part_report(cohort: str, title: str, groups: Sequence[Sequence[str]], number: int, shown: OfPatients) -> doc.Report:
    """The dict of one part. number : from 1; shown : of its patients."""
    group, of = groups[number - 1], len(groups)
    beside = [("Previous page", page_name(number - 1))] * (number > 1) + [("Next page", page_name(number + 1))] * (
        number < of
    )
    sections = patient_sections(shown)
    sections[-1]["parts"].append(doc.links([*beside, ("Cohort page", "../report.html")]))
    return tidy(
        doc.report(
            "part",
            cohort,
            f"{title}: page {number} of {of}",
            subtitle=f"Patients {group[0]} to {group[-1]} of cohort {cohort}: {len(group)} of them.",
            state=plural(len(group), "patient"),
            sections=sections,
            numbers={"page": number, "of": of, "patients": len(group), "ends": [group[0], group[-1]], "cohort": cohort},
            up={"text": "Cohort page", "href": "../report.html"},
            also=beside,
        )
    )


def write_parts(folder: Path, cohort: str, title: str, groups: Sequence[Sequence[str]], shown: OfPatients) -> None:
    """Write the parts and their manifest into an emptied folder, so that no page of a larger cohort stays."""
    shutil.rmtree(folder, ignore_errors=True)
    listed = []
    for number, group in enumerate(groups, 1):
        page = part_report(cohort, title, groups, number, shown.of(group))
        html, name = render_page(page, shown.pixels), page_name(number)
        write_text(folder / name, html)
        write_json((folder / name).with_suffix(".json"), page)
        meaning = f"patients {group[0]} to {group[-1]}"
        files = {name: html, f"{Path(name).stem}.json": json_text(page)}
        listed += [
            {"name": file, "sha256": sha256_bytes(text.encode()), "meaning": meaning, "patients": len(group)}
            for file, text in files.items()
        ]
    write_json(folder / MANIFEST, {"cohort": cohort, "most": MOST_PATIENTS, "files": listed})
