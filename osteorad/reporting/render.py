"""From a report's dict to one self-contained page: no script, no network, no style outside the style sheet."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from markupsafe import Markup

from osteorad.reporting import charts, nomogram_chart, plots, wording
from osteorad.reporting.flowchart import flow
from osteorad.reporting.gallery import tile
from osteorad.reporting.glossary import Linker, known_terms

TEMPLATES = Path(__file__).parent / "templates"
CHARTS: dict[str, Callable[[str, str, str, Mapping[str, Any]], Markup]] = {
    "forest": charts.forest,
    "roc": charts.roc,
    "calibration": charts.calibration,
    "bars": charts.bars,
    "confusion": charts.confusion,
    "decision": plots.decision,
    "waterfall": plots.waterfall,
    "histogram": plots.histogram,
    "nomogram": nomogram_chart.nomogram,
    "flow": flow,
}


def draw_figure(part: Mapping[str, Any]) -> Markup:
    """The SVG of a figure part."""
    return CHARTS[part["chart"]](part["id"], part["title"], part["desc"], part["data"])


@cache
def _environment() -> Environment:
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        limits=wording.limits,
        middle_range=wording.middle_range,
        real=wording.real,
        count=wording.count,
        interval=wording.interval,
        share=wording.share,
        summary=wording.summary,
        p_value=wording.p_value,
        percent=wording.percent,
    )
    made.globals.update(draw_figure=draw_figure, draw_tile=tile)
    return made


@cache
def _template(name: str) -> Template:
    return _environment().get_template(name)


@cache
def _style() -> tuple[Markup, str]:
    """The style sheet and its hash for the page's own content security policy."""
    text = (TEMPLATES / "style.css").read_text(encoding="utf-8").strip() + "\n"
    token = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return Markup(text), f"sha256-{token}"


def render_page(report: Mapping[str, Any], pictures: Mapping[str, str] | None = None) -> str:
    """HTML of a report; `pictures` maps the names that its galleries use to base64 WebP."""
    style, token = _style()
    known = known_terms(report)
    return _template("page.html.j2").render(
        report=report, style=style, token=token, pictures=dict(pictures or {}), linker=lambda: Linker(known)
    )
