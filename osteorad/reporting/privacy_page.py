"""The page for the data protection officer: what was removed and kept, what was searched, and what remains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteorad.cohort.searched import outputs_digest
from osteorad.files import read_json, read_parquet, write_json, write_text
from osteorad.reporting import privacy_sections as parts
from osteorad.reporting import report as doc
from osteorad.reporting.privacy_method import done_section
from osteorad.reporting.privacy_search import search_section, search_word
from osteorad.reporting.rare import Variable, variables_of
from osteorad.reporting.render import render_page
from osteorad.reporting.wording import plural, tidy

KEYS = {"cohort", "patient", "images", "in_table", "sessions", "state", "reason"}
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What the page is made from.

    policies : what each manifest says of its policy, and the patient. stages : of flow.json. aside : of
    quarantine.parquet. columns : of the clinical table as it left. search : what the last search said (None: there was
    none). searched : what it would see now.
    """

    people: Rows
    policies: Sequence[Mapping[str, Any]]
    stages: Rows
    aside: Rows
    columns: Sequence[str]
    variables: Sequence[Variable]
    search: Mapping[str, Any] | None
    searched: Mapping[str, Any]


def write_privacy_page(
    *,
    cohort: str,
    settings: Mapping[str, Any],
    manifests: Sequence[Path],
    patients: Path,
    quarantine: Path,
    flow: Path,
    clinical: Path | None,
    lesions: Path | None,
    search: Path | None,
    out_html: Path,
    out_json: Path,
) -> None:
    """Write privacy.html and privacy.json beside the cohort page.

    manifests : images.json and contours.json of every patient. search : what `verify-deid` left, or None. settings :
    title, source, cutoff, head (keep, blank or quarantine), keep (columns that the settings name).
    """
    people = read_parquet(patients)
    rows = people.to_pylist()
    columns, variables = _variables(rows, people.column_names, clinical, lesions)
    facts = Facts(
        people=rows,
        policies=[{"patient": told["patient"], **told["policy"]} for told in map(read_json, manifests)],
        stages=read_json(flow)["stages"],
        aside=read_parquet(quarantine).to_pylist(),
        columns=columns,
        variables=variables,
        search=read_json(search) if search is not None else None,
        searched=outputs_digest(Path(patients).parent),
    )
    page = privacy_report(cohort, settings, facts)
    write_text(out_html, render_page(page))
    write_json(out_json, page)


def _variables(
    people: Rows, of_people: Sequence[str], clinical: Path | None, lesions: Path | None
) -> tuple[list[str], list[Variable]]:
    """Columns of the clinical table as it left, and all variables; of that table only patients of the cohort."""
    variables = variables_of(people, [name for name in of_people if name not in KEYS])
    columns: list[str] = []
    if clinical is not None:
        table = read_parquet(clinical)
        columns = [name for name in table.column_names if name != "patient"]
        known = {row["patient"] for row in people}
        told = [row for row in table.to_pylist() if row["patient"] in known]
        variables += variables_of(told, [name for name in columns if name not in of_people])
    if lesions is not None:
        variables += variables_of(read_parquet(lesions).to_pylist(), ["location", "type"], prefix="lesion ")
    return columns, variables


def privacy_report(cohort: str, settings: Mapping[str, Any], facts: Facts) -> doc.Report:
    """The dict of the page; reads no file."""
    source = str(settings["source"])
    searched = search_word(source, facts.search, facts.searched)
    whole = doc.report(
        "privacy",
        cohort,
        f"Privacy: {settings.get('title') or f'cohort {cohort}'}",
        subtitle=(
            f"For the data protection officer. Cohort {cohort}, source {source}: what was removed and kept, "
            "what was searched, and what remains to be judged."
        ),
        state=f"{plural(len(facts.people), 'patient')}; {searched['text']}",
        sections=[
            parts.answer_section(source, len(facts.people), facts.stages, facts.variables),
            done_section(source, facts.policies),
            parts.files_section(source, facts.stages, facts.aside),
            parts.tables_section(source, facts.columns, settings),
            parts.rare_section(facts.variables, len(facts.people)),
            search_section(source, facts.search, facts.searched),
            parts.duties_section(source, settings),
        ],
        chips=[parts.kind_chip(source), searched, parts.head_chip(settings)],
        notice="Digital patients: these are nobody's data." if source == "phantom" else "",
        numbers={
            "patients": len(facts.people),
            "cohort": cohort,
            **{name: (facts.search or {}).get(name) for name in ("hits", "not_opened")},
        },
        foot="Written by rule from this cohort's files. It does not replace a judgement.",
        up={"text": "Cohort page", "href": "report.html"},
    )
    return tidy(whole)
