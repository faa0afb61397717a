"""A frozen model elsewhere: its numbers as it stands, and recalibration apart from them."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.cohort.config import Analysis
from osteorad.files import json_text
from osteorad.modelling.evaluation.external import evaluate_external, recalibrated
from osteorad.modelling.statistics.delong import delong_auc
from osteorad.modelling.statistics.metrics import expit
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples
from tests.unit.modelling.evaluation.predicted import predictions, rows_with

BUNDLE = {
    "analysis": "home",
    "cohort": "home-cohort",
    "recipe": "toy",
    "card": {"patients": 106, "events": 37},
    "parts": {"radiomics": {"model": "logistic"}},
}


def elsewhere(lesions=1, unit="patient"):
    samples = toy_samples(n=50, events=20, features=3, lesions=lesions)
    outcome = samples["outcome"].to_numpy()
    rng = np.random.default_rng(1)
    scores = {("radiomics", "logistic"): outcome + rng.normal(size=len(outcome))}
    scores["volume", "logistic"] = rng.normal(size=len(outcome))
    table = predictions(outcome, scores, patient=samples["patient"].to_pylist(), procedure="external")
    found = evaluate_external(
        table,
        samples,
        bundle=BUNDLE,
        outside={"k0000": 0.4, "k0001": 0.0, "k0002": 0.1},
        recipe=toy_recipe(unit=unit),
        settings=Analysis(cohort=COHORT, recipe="toy"),
        analysis=ANALYSIS,
    )
    return outcome, scores["radiomics", "logistic"], found


def test_patients_get_delongs_interval():
    outcome, score, found = elsewhere()
    want = delong_auc(outcome, score)
    primary = found["primary"]
    assert (primary["estimate"], primary["low"], primary["high"]) == (want.estimate, want.low, want.high)
    assert primary["interval"] == "delong"
    assert primary["estimand"] == "AUC of this frozen model in the patients of this cohort"
    assert [row["against"] for row in found["differences"]] == ["volume"]
    assert "frozen model" in found["answer"]["sentences"][0]
    json_text(found)


def test_lesions_get_obuchowskis_interval_and_patients_their_own():
    _, _, found = elsewhere(lesions=2, unit="lesion")
    assert found["primary"]["interval"] == "obuchowski"
    assert found["patient_level"]["auc"]["interval"] == "delong"
    assert found["counts"]["samples"] == 2 * found["counts"]["patients"] == 100


def test_rows_outside_the_training_ranges_are_told():
    told = elsewhere()[2]["external"]
    assert told["outside_ranges"] == {
        "share": pytest.approx(0.5 / 3),
        "any": 2,
        "n": 3,
        "rows": [{"sample": "k0000", "share": 0.4}, {"sample": "k0002", "share": 0.1}],
    }
    assert told["bundle"] == {
        **{name: BUNDLE[name] for name in ("analysis", "cohort", "recipe")},
        **BUNDLE["card"],
        "model": "logistic",
    }


def test_recalibration_stands_beside_the_frozen_numbers():
    rng = np.random.default_rng(2)
    odds = rng.normal(size=3000)
    outcome = (rng.uniform(size=3000) < expit(odds)).astype(int)
    frozen, level, line = recalibrated(rows_with(outcome, expit(2 * odds + 1)))
    assert (frozen["name"], frozen["intercept"], frozen["slope"]) == ("as frozen", 0.0, 1.0)
    assert frozen["calibration_slope"] == pytest.approx(0.5, abs=0.05)
    assert level["slope"] == 1.0
    assert level["in_the_large"] == pytest.approx(0, abs=1e-9)
    assert line["slope"] == pytest.approx(0.5, abs=0.05)
    assert line["calibration_slope"] == pytest.approx(1)
    assert frozen["brier"] > level["brier"] > line["brier"]


def test_one_probability_for_all_has_no_recalibrated_line():
    line = recalibrated(rows_with([0, 0, 1, 1], [0.3, 0.3, 0.3, 0.3]))[2]
    assert line == dict.fromkeys(line) | {"name": "intercept and slope"}
