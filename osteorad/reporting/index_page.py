"""The index page: links every report, one line of state each."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from osteorad.files import read_json, write_text
from osteorad.reporting import report as doc
from osteorad.reporting.gravest import gravest
from osteorad.reporting.render import render_page
from osteorad.reporting.wording import plural, tidy


def write_index(cohorts: Sequence[Path], analyses: Sequence[Path], out: Path, *, title: str = "osteorad") -> None:
    """Write the index page from the report.json of every cohort and analysis; links are relative to `out`."""
    write_text(out, render_page(index_report(cohorts, analyses, out, title=title)))


def index_report(
    cohorts: Sequence[Path], analyses: Sequence[Path], out: Path, *, title: str = "osteorad"
) -> doc.Report:
    """The dict of the index page."""
    found = [_row(path, out) for path in sorted(map(Path, analyses))]
    sources = [_row(path, out) for path in sorted(map(Path, cohorts))]
    state = f"{plural(len(found), 'analysis', 'analyses')} of {plural(len(sources), 'cohort')}"
    whole = doc.report(
        "index",
        "Reports",
        title,
        subtitle=f"{state}. Each page is one file that can be sent and printed.",
        state=state,
        sections=[
            _section("analyses", "Analyses", found, "analysis", "analyses"),
            _section("cohorts", "Cohorts", sources, "cohort", "cohorts"),
        ],
        numbers={"analyses": len(found), "cohorts": len(sources)},
    )
    return tidy(whole)


def _row(path: Path, out: Path) -> dict[str, Any]:
    told = read_json(path)
    href = os.path.relpath(path.with_name("report.html"), Path(out).parent).replace(os.sep, "/")
    return {
        "name": {"text": told["name"], "href": href},
        "title": told["title"],
        "line": told["state"],
        "verdict": gravest(told),
    }


def _section(name: str, heading: str, rows: list[dict[str, Any]], one: str, many: str) -> doc.Section:
    columns = [
        doc.column("name", "Report", "link"),
        doc.column("title", "Question" if name == "analyses" else "Title"),
        doc.column("line", "State"),
        doc.column("verdict", "Verdict", "state"),
    ]
    sentence = f"{plural(len(rows), one, many)}, sorted by name."
    table = doc.table(f"{name}-table", f"{heading} and their state.", columns, rows, empty=f"None: 0 {many}.")
    return doc.section(name, heading, sentence, [table], numbers={"rows": len(rows), "zero": 0})
