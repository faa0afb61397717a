"""METRICS and TRIPOD+AI: what the page reports with its place, what the authors have to say, and no grade."""

from __future__ import annotations

import re
from typing import Any

import pytest

from osteorad.reporting.analysis_page import analysis_report
from osteorad.reporting.checklists import FILES, KEYS, facts_of, judge, read_checklist
from osteorad.reporting.report import parts_of
from tests.unit.reporting import invented_analysis as invented


def _rows(**more: Any) -> dict[str, dict[str, Any]]:
    told = analysis_report(**invented.arguments(**more))
    section = next(entry for entry in told["sections"] if entry["id"] == "checklists")
    return {row["code"]: row for part in parts_of(section) if part["kind"] == "table" for row in part["rows"]}


@pytest.mark.parametrize(("name", "items", "weight"), [("metrics.yaml", 30, 1.0), ("tripod-ai.yaml", 27, 0.0)])
def test_items_and_weights(name: str, items: int, weight: float) -> None:
    listed = read_checklist(name)["items"]
    assert [int(re.sub(r"\D", "", item["code"])) for item in listed] == list(range(1, items + 1))
    assert sum(item.get("weight", 0) for item in listed) == pytest.approx(weight, abs=1e-9)
    assert [set(item) - KEYS for item in listed if set(item) - KEYS] == []


@pytest.mark.parametrize("name", FILES)
def test_evidence_always_has_words(name: str) -> None:
    listed = read_checklist(name)["items"]
    pointing = [item for item in listed if {"shown", "partly", "page"} & set(item) and "when" not in item]
    assert [item["code"] for item in pointing if not item.get("because")] == []
    assert [item["code"] for item in listed if ("when" in item) != ("else" in item)] == []


def test_evidence_is_linked_and_the_rest_is_left_to_the_authors() -> None:
    rows = _rows()
    assert rows["METRICS-22"]["state"]["word"] == "reported"
    assert rows["METRICS-22"]["evidence"]["href"] == "#fig-calibration"
    assert rows["METRICS-3"]["state"]["word"] == "needs author"
    assert rows["METRICS-27"]["state"]["word"] == "needs author"
    assert rows["METRICS-17"]["state"]["word"] == "not applicable"
    assert rows["METRICS-14"]["state"]["word"] == "needs author"
    assert rows["METRICS-6"]["evidence"]["href"] == "../../cohorts/phantom/report.html#acquisition"


def test_what_the_authors_state_is_reported_as_theirs() -> None:
    assert _rows()["METRICS-2"]["evidence"]["text"] == ("The authors state: Women with breast cancer and a staging CT.")
    assert _rows(analysis={**invented.ANALYSIS, "statements": {}})["METRICS-2"]["state"]["word"] == "needs author"


def test_evidence_that_is_not_there_is_not_reported() -> None:
    assert _rows(bundle=None)["TRIPOD-22"]["state"]["word"] == "needs author"
    assert _rows()["TRIPOD-22"]["evidence"]["href"] == "#fig-nomogram"


def test_a_statement_without_item_is_told() -> None:
    told = analysis_report(**invented.arguments(analysis={**invented.ANALYSIS, "statements": {"METRICS-31": "x"}}))
    section = next(entry for entry in told["sections"] if entry["id"] == "checklists")
    assert any("METRICS-31" in part.get("text", "") for part in section["parts"])


def test_no_grade_is_given() -> None:
    told = analysis_report(**invented.arguments())
    section = next(entry for entry in told["sections"] if entry["id"] == "checklists")
    assert "No score is given" in section["sentence"]
    assert not re.search(r"\d %", section["sentence"])


def test_facts_come_from_recipe_and_evaluation() -> None:
    recipe = {**invented.recipe_used(), "steps": [{"step": "icc", "settings": {}}], "mask_set": "auto-net"}
    facts = facts_of(recipe, invented.evaluation(), external=False, images=False)
    assert facts == {"volume", "clinical", "icc", "sites", "automatic"}


def test_partial_evidence_needs_the_author() -> None:
    item = {"code": "X-1", "partly": ["flow"], "because": "the flow"}
    assert judge(item, set(), {"flow"}, "", "").words == "in part: the flow"
    assert judge(item, set(), {"flow"}, "All were asked.", "").state == "reported"
