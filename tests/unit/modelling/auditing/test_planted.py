"""Thirteen planted leaks, each found under its own code; no code fires that has no business there."""

from __future__ import annotations

import pytest

from osteorad.files import json_text
from osteorad.modelling.auditing.certificate import CHECKS, audit_analysis
from tests.unit.modelling.analysis_toy import COHORT
from tests.unit.modelling.auditing.plants import PLANTS, clean, with_control

WARNS = {"A9", "A10"}


def fired(tables) -> dict[str, str]:
    """Code -> verdict of the checks that found something."""
    found = audit_analysis(tables, cohort=COHORT)
    json_text(found)
    rows = {row["code"]: row for row in found["checks"] if row["verdict"] in ("fail", "warn")}
    assert all(row["evidence"] and row["finding"] for row in rows.values())
    return {code: row["verdict"] for code, row in rows.items()}


def test_every_check_has_a_plant():
    assert list(PLANTS) == [check.code for check in CHECKS]


def test_the_same_analysis_without_a_leak_passes_every_check():
    toy = clean()
    found = audit_analysis(toy.audit_tables(predictions=with_control(toy, before_split=False)), cohort=COHORT)
    verdicts = {row["code"]: row["verdict"] for row in found["checks"]}
    assert {code for code, verdict in verdicts.items() if verdict != "pass"} == {"A13"}  # no network
    assert found["as_published"] is None


@pytest.mark.parametrize(
    ("code", "plant", "others"),
    [(code, *found) for code, plants in PLANTS.items() for found in plants],
    ids=lambda value: getattr(value, "__name__", None) or (value if isinstance(value, str) else ""),
)
def test_a_planted_leak_is_found_under_its_code(code, plant, others, monkeypatch):
    found = fired(plant(monkeypatch))
    assert found.get(code) == ("warn" if code in WARNS else "fail")
    assert set(found) <= {code, *others}
