"""check_page finds what a reader would miss: each test breaks a sound page in one way."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import pytest

from osteorad.reporting.analysis_page import analysis_report
from osteorad.reporting.check import DRAWN, check_page
from osteorad.reporting.render import TEMPLATES, render_page
from tests.unit.reporting import invented_analysis as invented

TOLD = analysis_report(**invented.arguments())
HTML = render_page(TOLD)


def _broken(change: str, to: str) -> list[str]:
    assert change in HTML
    return check_page(HTML.replace(change, to, 1), TOLD)


def test_the_page_itself_is_sound() -> None:
    assert check_page(HTML, TOLD) == []


@pytest.mark.parametrize(
    ("change", "to", "problem"),
    [
        ("pooled predictions", "pooled predictions 0.7319", "0.7319 stands on the page but not in report.json"),
        ("18 events in 40", "17 events in 40", "17 stands on the page"),
        ('<h2 id="audit-heading">Audit</h2>', '<h2 id="audit-heading"></h2>', "section audit: no heading"),
        ('id="fig-roc"', 'id="fig-forest"', "used 2 times"),
        ('<html lang="en">', "<html>", "no lang"),
        ('scope="col"', "", "no scope"),
        ("<h2", '<h2 style="color:red"', "content security policy"),
        ("<h2", '<h2 onclick="x()"', "content security policy"),
        ("<header>", '<header><img src="https://example.org/a.png">', "points outside"),
        ("<header>", "<header><script>1</script>", "loads or runs"),
        ('href="#audit"', 'href="#nowhere"', "which is not there"),
        ("<b>Figure 3.</b>", "", "no numbered caption"),
        ('role="img"', 'role="none"', "no drawing with role img"),
        ('<section id="audit"', '<section id="other"', "are not those of the report"),
    ],
)
def test_each_break_is_found(change: str, to: str, problem: str) -> None:
    assert any(problem in found for found in _broken(change, to)), _broken(change, to)


def test_section_without_sentence_is_found() -> None:
    html = re.sub(r'(<section id="audit".*?<p class="lead">).*?</p>', r"\1</p>", HTML, count=1, flags=re.S)
    assert "section audit: no sentence" in check_page(html, TOLD)


def test_section_without_number_is_found() -> None:
    told = copy.deepcopy(TOLD)
    told["sections"] = [{"id": "bare", "heading": "Bare", "sentence": "Nothing.", "numbers": {}, "parts": []}]
    assert "section bare: no number, and no statement that there is none" in check_page(render_page(told), told)


@pytest.mark.parametrize(
    "chart", ["forest", "roc", "decision", "waterfall", "permuted", "nomogram", "selection", "flow"]
)
def test_figure_without_data_is_found(chart: str) -> None:
    told = copy.deepcopy(TOLD)
    for part in _figures(told):
        if part["id"] == chart:
            part["data"].update({key: [] for key in (*DRAWN, "band", "folds") if key in part["data"]})
            if "point" in part["data"]:
                part["data"]["point"] = None
    problems = check_page(render_page(told), told)
    assert any(f"figure {chart} has no data" in problem for problem in problems), problems


def _figures(told: dict[str, Any]) -> list[dict[str, Any]]:
    from osteorad.reporting.report import parts_of

    return [part for entry in told["sections"] for part in parts_of(entry) if part["kind"] == "figure"]


def test_prose_alone_is_no_source_of_a_number() -> None:
    told = copy.deepcopy(TOLD)
    told["sections"][0]["sentence"] += " Also 0.4321."
    assert any("0.4321" in problem for problem in check_page(render_page(told), told))


def test_a_number_of_another_section_is_no_source() -> None:
    told = copy.deepcopy(TOLD)
    told["sections"][1]["numbers"]["stray"] = 0.98765
    html = render_page(told).replace('<h2 id="audit-heading">Audit', '<h2 id="audit-heading">Audit 0.98765', 1)
    assert any("section audit: 0.98765" in problem for problem in check_page(html, told))


def _luminance(color: str) -> float:
    digits = color.lstrip("#")
    digits = "".join(letter * 2 for letter in digits) if len(digits) == 3 else digits
    channels = [int(digits[place : place + 2], 16) / 255 for place in (0, 2, 4)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def test_text_colours_have_contrast() -> None:
    style = Path(TEMPLATES / "style.css").read_text(encoding="utf-8")
    named = dict(re.findall(r"--(\w+):(#[0-9a-f]{3,6})", style))
    for name in ("ink", "soft", "ok", "bad", "warn", "accent"):
        for ground in (named["paper"], named["wash"]):
            assert _contrast(named[name], ground) >= 4.5, name
    for text, ground in (
        ("#8c3208", "#fffaf6"),
        ("#5a4300", "#fff1c9"),
        ("#565f6d", "#fdeee5"),
        ("#565f6d", "#e3eff8"),
    ):
        assert text in style
        assert ground in style
        assert _contrast(text, ground) >= 4.5


def test_style_loads_nothing_and_page_names_its_hash() -> None:
    assert "url(" not in (TEMPLATES / "style.css").read_text(encoding="utf-8")
    assert re.search(
        r"default-src 'none'; img-src data:; style-src 'sha256-[A-Za-z0-9+/=]{44}'", HTML.replace("&#39;", "'")
    )
