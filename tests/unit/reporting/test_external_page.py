"""The page of an external validation: the frozen model first, recalibration apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osteorad.files import read_json
from osteorad.reporting.check import check_page
from osteorad.reporting.external_page import external_report, write_external_page
from osteorad.reporting.render import render_page
from tests.unit.modelling.evaluation.test_external import elsewhere
from tests.unit.reporting.invented_more import external


def _section(told: dict[str, Any], name: str) -> dict[str, Any]:
    return next(entry for entry in told["sections"] if entry["id"] == name)


def test_page_is_sound_and_written(tmp_path: Path) -> None:
    write_external_page(**external(), out_html=tmp_path / "a.html", out_json=tmp_path / "a.json")
    html, told = (tmp_path / "a.html").read_text(encoding="utf-8"), read_json(tmp_path / "a.json")
    assert check_page(html, told) == []
    assert len(html.encode()) < 2_000_000


def test_recalibration_stands_below_the_frozen_model() -> None:
    section = _section(external_report(**external()), "transport")
    rows = section["parts"][0]["rows"]
    assert [row["name"] for row in rows] == ["as frozen", "intercept", "intercept and slope"]
    assert [row["tone"] for row in rows] == ["main", "", ""]
    assert "Only the first row is a test" in section["parts"][0]["caption"]


def test_samples_outside_the_training_ranges_are_listed() -> None:
    ranges = _section(external_report(**external()), "transport")["parts"][2]
    assert [row["share"] for row in ranges["rows"]] == [0.4, 0.12]


def test_too_few_events_have_no_headline() -> None:
    given = external()
    given["evaluation"]["answer"]["kind"] = "too_few_events"
    given["evaluation"]["too_few_events"] = True
    told = external_report(**given)
    assert not [part for part in _section(told, "answer")["parts"] if part["kind"] == "big"]
    assert told["state"].startswith("too few events")
    assert check_page(render_page(told), told) == []


def test_external_testing_is_reported_in_the_checklist() -> None:
    section = _section(external_report(**external()), "checklists")
    rows = {row["code"]: row for part in section["parts"] if "rows" in part for row in part["rows"]}
    assert rows["METRICS-27"]["evidence"]["href"] == "#transport"
    assert rows["TRIPOD-24"]["evidence"]["href"] == "#recalibration-table"


@pytest.mark.parametrize(("lesions", "unit"), [(1, "patient"), (2, "lesion")])
def test_the_page_reads_what_the_evaluation_writes(lesions: int, unit: str) -> None:
    _, _, evaluation = elsewhere(lesions=lesions, unit=unit)
    told = external_report(**external() | {"evaluation": evaluation})
    assert check_page(render_page(told), told) == []
