"""Pages of a finished run: sound, small, complete on their own, and with links that lead somewhere."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from osteorad.files import read_json
from osteorad.reporting.check import check_page, parse
from osteorad.reporting.history import read_runs
from osteorad.reporting.history_page import history_report
from osteorad.reporting.index_page import index_report
from osteorad.reporting.render import TEMPLATES, render_page
from osteorad.reporting.report import parts_of

pytestmark = pytest.mark.workflow
LIMITS = {"cohort": 3_000_000, "review": 3_000_000, "analysis": 2_000_000, "patient": 1_000_000, "index": 200_000}
LIMITS |= {"privacy": 200_000, "history": 200_000}
SCRIPT = (TEMPLATES / "review/review.js").read_text(encoding="utf-8")
PICTURE = re.compile(r'"data:image/[a-z]+;base64,[A-Za-z0-9+/=]*"')
LOADS = re.compile(r"https?:|//|@import|<script|javascript:|url\(|<link|<iframe|<object|<embed", re.IGNORECASE)
NAMESPACE = re.compile(r'xmlns(:\w+)?="http://www\.w3\.org/[^"]*"')


@dataclass(frozen=True, slots=True)
class Page:
    """A page and what it was written from."""

    path: Path
    html: str
    told: Mapping[str, Any]


def pages_of(run: Path) -> dict[str, Page]:
    """Kind -> page: index, cohort, analysis, privacy, history of runs, and the first and the last patient."""
    results = run / "results"
    cohort, analysis = results / "cohorts/small", results / "analyses/marrow"
    told = {
        "index": (results / "index.html", _index(run)),
        "cohort": (cohort / "report.html", read_json(cohort / "report.json")),
        "analysis": (analysis / "report.html", read_json(analysis / "report.json")),
        "privacy": (cohort / "privacy.html", read_json(cohort / "privacy.json")),
    }
    for name, folder in (("history", analysis), ("other history", cohort)):
        report, runs = read_json(folder / "report.json"), read_runs(folder / "history.jsonl")
        told[name] = (
            folder / "history.html",
            history_report(report["kind"], report["name"], report["title"], runs),
        )
    patients = sorted((cohort / "pages").glob("*.html"))
    for name, path in (("patient", patients[0]), ("other patient", patients[-1])):
        told[name] = (path, read_json(path.with_suffix(".json"))["page"])
    return {name: Page(path, path.read_text(encoding="utf-8"), report) for name, (path, report) in told.items()}


def _index(run: Path) -> dict[str, Any]:
    """The dict of the index page, which has no report.json of its own: made again from those of the others."""
    results = run / "results"
    cohorts, analyses = (sorted(results.glob(f"{kind}/*/report.json")) for kind in ("cohorts", "analyses"))
    return index_report(cohorts, analyses, results / "index.html", title="Twelve digital patients")


@pytest.fixture(scope="module")
def pages(run) -> dict[str, Page]:
    return pages_of(run)


KINDS = ["index", "cohort", "analysis", "patient", "other patient", "privacy", "history", "other history"]


@pytest.mark.parametrize("kind", KINDS)
def test_page_is_sound(pages, kind):
    assert check_page(pages[kind].html, pages[kind].told) == []


def test_pages_stay_small(run):
    paths = sorted((run / "results").rglob("*.html"))
    kinds = {"report.html": lambda p: p.parents[1].name.removesuffix("s").replace("analyse", "analysis")}
    sizes = {p: kinds[p.name](p) if p.name in kinds else p.stem if p.stem in LIMITS else "patient" for p in paths}
    assert sorted(set(sizes.values())) == sorted(LIMITS)
    assert len(paths) == 19
    assert {str(p): p.stat().st_size for p, kind in sizes.items() if p.stat().st_size >= LIMITS[kind]} == {}


def dead_links(page: Path, html: str) -> list[str]:
    """Links of a page that lead to no file and no place in the page."""
    root = parse(html)
    ids = {node.attributes["id"] for node in root.walk() if "id" in node.attributes}
    targets = [node.attributes["href"] for node in root.find("a") if node.attributes.get("href")]
    dead = [t for t in targets if t.startswith("#") and t[1:] not in ids]
    files = [t for t in targets if not t.startswith("#")]
    return dead + [t for t in files if not (page.parent / t.split("#")[0]).is_file()]


def test_links_lead_somewhere(run, pages):
    paths = sorted((run / "results").rglob("*.html"))
    dead = {str(p): dead_links(p, p.read_text(encoding="utf-8")) for p in paths}
    assert {page: links for page, links in dead.items() if links} == {}
    assert 'href="cohorts/small/report.html"' in pages["index"].html
    assert 'href="analyses/marrow/report.html"' in pages["index"].html
    assert 'href="lesions.csv"' in pages["cohort"].html
    assert len(set(re.findall(r'href="(pages/p[0-9a-f]{12}\.html)"', pages["cohort"].html))) == 12


def test_a_dead_link_is_found(pages):
    page = pages["cohort"]
    assert dead_links(page.path, page.html.replace('href="lesions.csv"', 'href="lost.csv"', 1)) == ["lost.csv"]


def loaded(html: str) -> list[str]:
    """What a page would fetch or run; embedded pictures and names of XML vocabularies are neither."""
    text = NAMESPACE.sub("", PICTURE.sub('""', html))
    return [text[max(0, m.start() - 30) : m.end() + 30] for m in LOADS.finditer(text)]


def test_no_page_loads_or_runs_anything(run):
    """But that of the review, whose form is its own script (tests/unit/reporting/test_review_page.py)."""
    texts = {str(p.relative_to(run)): p.read_text(encoding="utf-8") for p in sorted((run / "results").rglob("*.html"))}
    review = f"<script>{SCRIPT}</script>"
    assert texts["results/cohorts/small/review.html"].count(review) == 1
    assert not re.search(r"\b(fetch|XMLHttpRequest|WebSocket|sendBeacon|EventSource|import|eval)\b", SCRIPT)
    assert {name: loaded(text.replace(review, "")) for name, text in texts.items()} == {name: [] for name in texts}


@pytest.mark.parametrize(
    "planted",
    [
        '<img src="https://example.org/a.png">',
        '<img src="//example.org/a.png">',
        "<style>@import 'a.css'</style>",
        "<script>1</script>",
        '<p style="background: url(a.png)">',
        '<link rel="stylesheet" href="a.css">',
    ],
)
def test_what_loads_is_found(pages, planted):
    assert len(loaded(pages["analysis"].html.replace("</main>", planted + "</main>", 1))) >= 1


# --- the check itself, on the pages of this run -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_changed_number_is_found(pages, kind):
    """The first number of the first table, or of the first sentence where there is no table."""
    html = pages[kind].html
    cell = re.search(r'(<td class="r">|<p class="lead">[^<0-9]*)(\d+)', html)
    broken = f"{html[: cell.start(2)]}98761{html[cell.end(2) :]}"
    assert any("98761 stands on the page" in p for p in check_page(broken, pages[kind].told))


@pytest.mark.parametrize(("kind", "name"), [("cohort", "flow"), ("analysis", "roc"), ("analysis", "calibration")])
def test_a_figure_without_data_is_found(pages, kind, name):
    told = copy.deepcopy(pages[kind].told)
    figures = [p for s in told["sections"] for p in parts_of(s) if p["kind"] == "figure" and p["id"] == name]
    assert len(figures) == 1
    figures[0]["data"] = {key: [] if isinstance(v, list) else v for key, v in figures[0]["data"].items()}
    assert any(f"figure {name} has no data" in p for p in check_page(pages[kind].html, told))


@pytest.mark.parametrize("kind", ["cohort", "analysis", "patient"])
def test_a_figure_without_drawing_is_found(pages, kind):
    broken = re.sub(r"<svg.*?</svg>", "", pages[kind].html, count=0, flags=re.DOTALL)
    assert any("no drawing with role img" in p for p in check_page(broken, pages[kind].told))


@pytest.mark.parametrize("kind", ["cohort", "patient"])
def test_a_gallery_without_pictures_is_found(pages, kind):
    told = copy.deepcopy(pages[kind].told)
    galleries = [p for s in told["sections"] for p in parts_of(s) if p["kind"] == "gallery"]
    assert galleries
    galleries[0]["groups"] = []
    assert any("has no picture" in p for p in check_page(pages[kind].html, told))


@pytest.mark.parametrize("kind", KINDS)
def test_a_section_without_number_or_sentence_is_found(pages, kind):
    told = copy.deepcopy(pages[kind].told)
    first = told["sections"][0]
    first.update(sentence="Nothing to say.", parts=[], numbers={})
    problems = check_page(render_page({**told, "sections": [first]}), {**told, "sections": [first]})
    assert f"section {first['id']}: no number, and no statement that there is none" in problems
    bare = {**first, "sentence": ""}
    problems = check_page(render_page({**told, "sections": [bare]}), {**told, "sections": [bare]})
    assert f"section {first['id']}: no sentence" in problems


def test_a_page_of_other_results_is_found(pages):
    """A page that was not written from its report.json."""
    told = copy.deepcopy(pages["analysis"].told)
    told["sections"] = [s for s in told["sections"] if s["id"] != "audit"]
    assert any("are not those of the report" in p for p in check_page(pages["analysis"].html, told))
