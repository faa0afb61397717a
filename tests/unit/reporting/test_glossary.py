"""The words of the reports: one list, complete for what the pages print, linked and explained on the page itself."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from osteorad.reporting import glossary
from osteorad.reporting.analysis_page import analysis_report
from osteorad.reporting.check import parse
from osteorad.reporting.external_page import external_report
from osteorad.reporting.render import render_page
from osteorad.reporting.report import parts_of
from tests.conftest import ROOT
from tests.unit.reporting import invented_analysis as invented
from tests.unit.reporting.invented_more import external

ANALYSIS = analysis_report(**invented.arguments())
EXTERNAL = external_report(**external())
# Labels that anybody understands; a new label is either made of a word of the glossary or stands here.
PLAIN = {
    *("Answer", "Patients", "Methods", "Words", "Checklists", "Settings", "Found", "Name", "Question", "Evidence"),
    *("Check", "Looked at", "Verdict", "Setting", "Recipe", "Here", "State", "Package", "Version", "What", "Value"),
    *("Model", "Variables", "Variable", "All", "Without", "Column", "Level", "Note", "Measure", "Share", "k/n", "This"),
    *("Against", "Better?", "Needed", "Enough?", "Patients needed", "Estimate", "Perfect", "Item", "What is asked"),
    *("Weight", "Measured in", "Chosen in", "Mean over repeats", "Selected", "Mean rank", "What it uses"),
    *("Models compared", "Settings and overrides", "Performance", "Flow of patients", "n = 40", "n = 18", "n = 22"),
    *("patients", "of all", "without", "a parameter", "by criterion", "fits", "divisions", "mean, smallest, largest"),
    *("repeat 1", "first repeat", "corrected", "Predictors", "observed", "This analysis", "Combined", "Clinical"),
    *("Volume", "treat all", "age years", "er", "ki67", "subtype", "site", "HER2", "luminal", "Leak"),
    *("What this run proves.", "What is estimated.", "Statements.", "Shift", "log odds", "Stretch", "Probabilities"),
    *("The frozen model here",),
    *("predicted risk", "Events", "outcome", "R²", "Cox-Snell, assumed"),
}


def _labels(told: dict[str, Any]) -> Iterator[str]:
    """Headings, titles, labels of columns, axes, rows and curves of a page."""
    for section in told["sections"]:
        yield section["heading"]
        for part in parts_of(section):
            yield part.get("title", "")
            for column in part.get("columns", []):
                yield column["label"]
                yield column["note"]
            if part["kind"] == "figure":
                yield from _drawn(part["data"])


def _drawn(data: dict[str, Any]) -> Iterator[str]:
    yield str(data.get("label", ""))
    for axis in ("x", "y"):
        yield data.get(axis, {}).get("label", "")
    for curve in data.get("curves", []):
        yield curve["label"]
    for row in data.get("rows", []):
        if isinstance(row, dict) and "group" in row:
            yield row["label"]
            yield row["group"]


@pytest.mark.parametrize("told", [ANALYSIS, EXTERNAL], ids=["analysis", "external"])
def test_every_label_is_a_plain_word_or_in_the_glossary(told: dict[str, Any]) -> None:
    strange = {label for label in _labels(told) if label and label not in PLAIN and not glossary.terms_in(label)}
    assert strange == set()


def test_the_page_of_words_is_the_list() -> None:
    assert (ROOT / glossary.PAGE).read_text() == glossary.markdown(), "run: python -m osteorad schema"


def test_words_and_their_forms_are_unique() -> None:
    forms = [form.lower() for term in glossary.terms() for form in (term.term, *term.also)]
    assert sorted({form for form in forms if forms.count(form) > 1}) == []
    anchors = [term.anchor for term in glossary.terms()]
    assert len(set(anchors)) == len(anchors)


ASKED = (
    *("estimand", "out-of-fold", "nested", "Rad-score", "net benefit", "Nadeau-Bengio", "calibration slope", "ICI"),
    *("Holm", "permuted control", "AUC", "Brier score", "nomogram", "optimism", "DeLong", "lineage", "drift"),
)


def test_words_that_a_reader_will_ask_for() -> None:
    assert set(ASKED) - {term.term for term in glossary.terms()} == set()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("the AUC within each test fold", ["AUC", "fold"]),
        ("AUCs and manifolds", []),
        ("P 0.01, p 0.01", ["P value"]),
        ("95\u00a0% interval", ["interval"]),
        ("Areas of ROI", ["ROI"]),
    ],
)
def test_words_are_found_whole(words: str, found: list[str]) -> None:
    assert [term.term for term in glossary.terms_in(words)] == found


def test_a_word_is_linked_once_and_the_text_stays_escaped() -> None:
    link = glossary.Linker({"term-auc": 'area "under" <the> curve'})
    html = link("<b> AUC of the AUC")
    assert html == (
        '&lt;b&gt; <a class="term" href="#term-auc" title="area &#34;under&#34; &lt;the&gt; curve">AUC</a> of the AUC'
    )


def test_a_page_explains_the_words_that_it_links() -> None:
    root = parse(render_page(ANALYSIS))
    linked = {node.attributes["href"] for node in root.find("a") if node.attributes.get("class") == "term"}
    entries = {"#" + node.attributes["id"] for node in root.find("div") if "term-" in node.attributes.get("id", "")}
    assert len(linked) > 50
    assert linked <= entries


def test_a_page_without_glossary_has_no_links() -> None:
    bare = {**ANALYSIS, "sections": [section for section in ANALYSIS["sections"] if section["id"] != "glossary"]}
    assert 'class="term"' not in render_page(bare)
