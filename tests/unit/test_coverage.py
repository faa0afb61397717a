"""The simulations behind the coverage that a report prints: they count rightly, and code and page tell the same."""

from __future__ import annotations

import re

import numpy as np
import pytest

from benchmarks import coverage
from benchmarks.coverage import Setting, coverage_of, frozen_coverage, lesion_coverage, nested_coverage, wilson_coverage
from osteorad.modelling.evaluation.coverage import INTERVALS
from tests.conftest import ROOT


def test_coverage_counts_intervals_that_hold_the_truth():
    rows = np.array([[0.1, 0.5, 0.3], [0.4, 0.6, 0.3], [np.nan, np.nan, 0.3], [0.3, 0.4, 0.3]])
    found = coverage_of("setting", "interval", "target", rows)
    assert found.coverage == 0.5
    assert found.error == pytest.approx(0.25)
    assert found.width == pytest.approx((0.4 + 0.2 + 0.1) / 3)


def test_wilson_is_exact():
    """Brown, Cai and DasGupta 2001: on average near 95 %, never far below 92 % away from the ends."""
    found = wilson_coverage(37)
    assert found.coverage == pytest.approx(0.95, abs=0.006)
    assert "from 0.93" in found.interval


def test_delong_covers_about_as_often_as_it_says():
    found = frozen_coverage(106, 0.6, 400)
    assert found.truth == pytest.approx(0.664, abs=0.001)
    assert found.coverage == pytest.approx(0.95, abs=4 * found.error + 0.01)


def test_lesions_taken_for_patients_cover_less():
    found = {row.interval: row for row in lesion_coverage(100, 60)}
    assert found["AUC, DeLong on lesions"].width < found["AUC, Obuchowski"].width
    assert found["AUC, DeLong on lesions"].coverage <= found["AUC, Obuchowski"].coverage


def test_nested_simulation_measures_every_interval_for_both_truths(monkeypatch):
    monkeypatch.setattr(coverage, "POPULATION", 300)
    rows = list(nested_coverage(Setting(name="tiny", patients=60, effect=3.0, simulations=2), 2))
    assert {row.target for row in rows} == {"procedure", "models"}
    names = {row.interval for row in rows}
    assert {"AUC, Nadeau-Bengio", "pooled AUC, patient bootstrap", "slope, patient bootstrap"} <= names
    assert all(row.simulations == 2 and 0 <= row.coverage <= 1 for row in rows)
    assert {row.truth > 0.5 for row in rows if row.interval == "AUC, Nadeau-Bengio"} == {True}


@pytest.mark.parametrize("key", INTERVALS)
def test_the_page_prints_the_figures_of_the_code(key):
    kind = INTERVALS[key]
    assert re.fullmatch(r"95 % interval; covers \d+ to \d+ % in simulations", kind.coverage)
    page = " ".join((ROOT / "docs/benchmarks.md").read_text(encoding="utf-8").split())
    assert kind.coverage.removeprefix("95 % interval; ") in page
    assert kind.setting
