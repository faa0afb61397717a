"""METRICS and TRIPOD+AI: which items a page reports, with the place, and which are left to the authors. No grade."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from osteorad.reporting import report as doc
from osteorad.reporting.wording import listed, none_of, plural

Facts = Mapping[str, Any]
FOLDER = Path(__file__).resolve().parents[2] / "resources/checklists"
FILES = ("metrics.yaml", "tripod-ai.yaml")
STATES = {
    "reported": {"word": "reported", "tone": "ok"},
    "needs author": {"word": "needs author", "tone": "warn"},
    "not applicable": {"word": "not applicable", "tone": "none"},
}
REDUNDANCY = {"correlation", "mrmr", "lasso", "lasso-logistic", "elastic-net", "stability", "pca"}
KEYS = {"code", "group", "asks", "weight", "when", "else", "needs", "shown", "partly", "page", "because"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """An item with its state, what is said of it, and where the evidence stands (empty: nowhere)."""

    item: Facts
    state: str
    words: str
    href: str = ""


def read_checklist(name: str) -> dict[str, Any]:
    """A checklist of `resources/checklists`."""
    read: dict[str, Any] = yaml.safe_load((FOLDER / name).read_text(encoding="utf-8"))
    return read


def facts_of(recipe: Facts, evaluation: Facts, *, external: bool, images: bool) -> set[str]:
    """What is true of an analysis, under the names that the checklists' `when` and `needs` use."""
    steps = {step["step"] for step in recipe["steps"]}
    variables = {row["variables"] for row in evaluation["models"]}
    found = {name for name in ("volume", "clinical") if name in variables}
    found |= {"icc"} & steps
    if steps & REDUNDANCY:
        found.add("redundancy")
    if any(row["variable"] in ("site", "clinical.site") for row in evaluation["table_one"]["rows"]):
        found.add("sites")
    if str(recipe["mask_set"]).startswith("auto-"):
        found.add("automatic")
    return found | ({"external"} if external else set()) | ({"images"} if images else set())


def judge(item: Facts, facts: set[str], anchors: set[str], stated: str, cohort_page: str) -> Judged:
    """State of one item.

    anchors : ids on the page. stated : what the authors write of the item. cohort_page : link to the cohort's page.
    """
    if item.get("when", None) is not None and item["when"] not in facts:
        return Judged(item=item, state="not applicable", words=str(item["else"]))
    because, href = str(item.get("because", "")), ""
    if item.get("needs") is None or item["needs"] in facts:
        place = next((entry for entry in item.get("shown", ()) if entry in anchors), "")
        href = f"#{place}" if place else f"{cohort_page}#{item['page']}" if item.get("page") else ""
    if href:
        return Judged(item=item, state="reported", words=_both(because, stated), href=href)
    part = next((entry for entry in item.get("partly", ()) if entry in anchors), "")
    if stated:
        return Judged(item=item, state="reported", words=_both(because if part else "", stated), href=_link(part))
    return Judged(item=item, state="needs author", words=f"in part: {because}" if part else "", href=_link(part))


def _link(place: str) -> str:
    return f"#{place}" if place else ""


def _both(because: str, stated: str) -> str:
    said = f"The authors state: {stated}" if stated else ""
    return ". ".join(entry for entry in (because, said) if entry)


def anchors_of(sections: Sequence[Facts]) -> set[str]:
    """Ids that the sections have on the page; a table without rows is no evidence."""
    return set(_anchors(sections))


def _anchors(sections: Sequence[Facts]) -> Iterator[str]:
    for section in sections:
        yield section["id"]
        for part in doc.parts_of(section):
            if part["kind"] == "figure":
                yield f"fig-{part['id']}"
            elif part["kind"] == "table":
                yield part["id"]


def checklists_section(
    sections: Sequence[Facts], facts: set[str], statements: Mapping[str, str], *, cohort: str
) -> doc.Section:
    """Both checklists as tables of states with links to the evidence."""
    anchors = anchors_of(sections)
    page = f"../../cohorts/{cohort}/report.html"
    parts: list[doc.Part] = []
    said, counts, known = [], {}, set()
    for name in FILES:
        checklist = read_checklist(name)
        judged = [judge(item, facts, anchors, statements.get(item["code"], ""), page) for item in checklist["items"]]
        known |= {item["code"] for item in checklist["items"]}
        counts[checklist["name"]] = {state: sum(entry.state == state for entry in judged) for state in STATES}
        told = [f"{number} {state}" for state, number in counts[checklist["name"]].items()]
        said.append(f"{checklist['name']}: {listed(told)}")
        parts.append(_table(name.removesuffix(".yaml"), checklist, judged))
    if strange := sorted(set(statements) - known):
        words = f"{plural(len(strange), 'statement')} of the configuration name no item: {', '.join(strange)}."
        parts.append(doc.note(words, title="Statements.", tone="warn", facts={"strange": strange, "n": len(strange)}))
    sentence = "; ".join(said) + ". No score is given: whether what is reported is good is for the reader."
    return doc.section("checklists", "Checklists", sentence, parts, numbers={"counts": counts, "zero": 0})


def _table(name: str, checklist: Facts, judged: Sequence[Judged]) -> doc.Part:
    weighted = any("weight" in entry.item for entry in judged)
    rows = [
        {
            "code": entry.item["code"],
            "asks": entry.item["asks"],
            "weight": entry.item.get("weight"),
            "state": STATES[entry.state],
            "evidence": {"text": entry.words, "href": entry.href},
        }
        for entry in judged
    ]
    columns = [
        doc.column("code", "Item", "code"),
        doc.column("asks", "What is asked", "words"),
        *([doc.column("weight", "Weight", "real", digits=4)] if weighted else []),
        doc.column("state", "State", "state"),
        doc.column("evidence", "Evidence", "link"),
    ]
    caption = f"{checklist['title']} ({checklist['citation']}), in our own words."
    facts = {"title_text": checklist["title"], "citation_text": checklist["citation"]}
    return doc.table(f"checklist-{name}", caption, columns, rows, empty=none_of(0, "item"), facts=facts)
