"""A nomogram says what its model says: points add up to the model's own calibrated probability."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sklearn.linear_model import LogisticRegression

from osteorad.cohort.splits import analysis_splits
from osteorad.modelling.learning.bundle import Frozen, freeze
from osteorad.reporting.nomogram import REFERENCE, Variable, nice_ticks, nomogram_of, probability_ticks
from osteorad.reporting.nomogram_part import nomogram_part
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples
from tests.unit.reporting import invented_analysis as invented
from tests.unit.reporting.invented_more import bundle, linear

NAMES = ("clinical.age_years", "clinical.ki67", "radscore", "clinical.subtype=B", "clinical.subtype=C")
CALIBRATION = {"intercept": -0.11, "slope": 0.83}


def _fitted() -> tuple[dict[str, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """A part of a bundle from a fitted model, its rows as measured, and the model's probabilities."""
    rng = np.random.default_rng(3)
    level = rng.integers(0, 3, 120)
    X = np.column_stack(
        [rng.normal(60, 9, 120), rng.gamma(2, 10, 120), rng.normal(0, 1, 120), level == 1, level == 2]
    ).astype(float)
    y = (rng.random(120) < 1 / (1 + np.exp(-(X[:, 2] + 0.05 * (X[:, 0] - 60))))).astype(int)
    centre, scale = X.mean(axis=0), X.std(axis=0)
    model = LogisticRegression(C=1.0).fit((X - centre) / scale, y)
    columns = {
        name: (float(b), float(m), float(s), float(low), float(high))
        for name, b, m, s, low, high in zip(
            NAMES, model.coef_[0], centre, scale, X.min(axis=0), X.max(axis=0), strict=True
        )
    }
    score = model.decision_function((X - centre) / scale)
    part = {"linear": linear(columns, float(model.intercept_[0])), "calibration": CALIBRATION, "threshold": 0.1}
    return part, X, 1 / (1 + np.exp(-(CALIBRATION["intercept"] + CALIBRATION["slope"] * score)))


def test_points_give_the_probability_of_the_model() -> None:
    part, X, wanted = _fitted()
    drawn = nomogram_of(part)
    assert drawn is not None
    for row, probability in zip(X, wanted, strict=True):
        level = "B" if row[3] else "C" if row[4] else "reference"
        total = sum(drawn.points(name, row[at]) for at, name in enumerate(NAMES[:3]))
        total += drawn.points("clinical.subtype", level)
        assert drawn.probability(total) == pytest.approx(probability, rel=1e-10)
        assert drawn.total_at(probability) == pytest.approx(total, abs=1e-8)


def test_the_widest_variable_has_100_points_and_every_one_starts_at_0() -> None:
    drawn = nomogram_of(_fitted()[0])
    assert drawn is not None
    spans = []
    for variable in drawn.variables:
        values = [name for name, _ in variable.levels] or [variable.low, variable.high]
        points = [drawn.points(variable.name, value) for value in values]
        assert min(points) == pytest.approx(0, abs=1e-9)
        spans.append(max(points))
    assert max(spans) == pytest.approx(100)
    assert drawn.most == pytest.approx(sum(spans))


def test_what_the_axis_does_not_hold_cannot_be_read() -> None:
    drawn = nomogram_of(_fitted()[0])
    assert drawn is not None
    with pytest.raises(ValueError, match="outside"):
        drawn.points("clinical.age_years", 400)


def test_an_axis_ends_where_the_step_clips() -> None:
    part = {"linear": linear({"x": (1.0, 0.0, 2.0, -50.0, 7.0)}, 0.0), "calibration": CALIBRATION, "threshold": 0.0}
    drawn = nomogram_of(part)
    assert drawn is not None
    assert (drawn.variables[0].low, drawn.variables[0].high) == (-16.0, 7.0)


@pytest.mark.parametrize(
    "part",
    [
        {"linear": None, "calibration": CALIBRATION},
        {"linear": linear({}, 0.3), "calibration": CALIBRATION},
        {"linear": linear({"x": (1.0, 0.0, 1.0, 0.0, 1.0)}, 0.0), "calibration": {"intercept": 0.1, "slope": 0.0}},
    ],
    ids=["not linear", "no variable", "flat calibration"],
)
def test_no_nomogram_of_a_model_that_tells_no_patients_apart(part: dict[str, Any]) -> None:
    assert nomogram_of(part) is None


def test_combined_model_is_drawn_else_the_clinical_one() -> None:
    whole, evaluation = bundle(), invented.evaluation()
    figure, why = nomogram_part(whole, evaluation)
    assert figure is not None
    assert not why
    assert "combined model" in figure["title"]
    assert "0.76 (0.64 to 0.88)" in figure["caption"]
    del whole["parts"]["combined"]
    figure, _ = nomogram_part(whole, evaluation)
    assert figure is not None
    assert "clinical model" in figure["title"]


def test_the_level_without_a_column_has_its_name() -> None:
    figure, _ = nomogram_part(bundle(), invented.evaluation())
    assert figure is not None
    axis = next(entry for entry in figure["data"]["variables"] if entry["label"] == "subtype")
    assert [mark["value"] for mark in axis["marks"]] == ["luminal", "HER2", "triple-negative"]


@pytest.mark.parametrize("given", [None, {"parts": {}}, {"parts": {"clinical": {"linear": None, "calibration": {}}}}])
def test_why_there_is_no_nomogram_is_said(given: dict[str, Any] | None) -> None:
    figure, why = nomogram_part(given, invented.evaluation())
    assert figure is None
    assert why.startswith("Not done: ")


def test_threshold_stands_at_its_probability() -> None:
    part, _, _ = _fitted()
    drawn = nomogram_of(part)
    figure, _ = nomogram_part(
        {"parts": {"clinical": part}, "card": {"patients": 120, "events": 60}}, invented.evaluation()
    )
    assert drawn is not None
    assert figure is not None
    mark = figure["data"]["threshold"]
    assert mark["p"] == pytest.approx(1 / (1 + math.exp(0.11 - 0.83 * 0.1)))
    assert drawn.probability(mark["total"]) == pytest.approx(mark["p"])


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [(0, 1, [0.0, 1.0]), (34, 83, [40, 50, 60, 70, 80]), (-2.1, 1.9, [-2, -1, 0, 1]), (5, 5, [5])],
)
def test_ticks_are_round(low: float, high: float, ticks: list[float]) -> None:
    assert nice_ticks(low, high) == ticks


def test_probabilities_are_marked_apart_and_in_order() -> None:
    drawn = nomogram_of(_fitted()[0])
    assert drawn is not None
    marks = probability_ticks(drawn)
    assert len(marks) >= 3
    assert marks == sorted(marks)
    gaps = np.diff([total for _, total in marks]) / drawn.most
    assert gaps.min() >= 0.05


@pytest.mark.parametrize("variables", ["clinical", "combined"])
def test_a_frozen_bundle_is_read_off_as_it_scores(variables: str) -> None:
    samples = _older_with_event(toy_samples())
    recipe = toy_recipe(("logistic",), baselines=["combined", "clinical"])
    splits = analysis_splits(samples, recipe.splits, analysis=ANALYSIS, cohort=COHORT)
    frozen = Frozen(freeze(samples, splits, recipe, analysis=ANALYSIS, cohort=COHORT))
    drawn = nomogram_of(frozen.plain["parts"][variables])
    assert drawn is not None
    wanted = frozen.score(samples, variables).probability
    radscore = frozen.score(samples).score
    axes = {variable.name: variable for variable in drawn.variables}
    read = 0
    for place, row in enumerate(samples.to_pylist()):
        values = {**row, "radscore": float(radscore[place])}
        outside = any(not axis.levels and not axis.low <= values[name] <= axis.high for name, axis in axes.items())
        if outside or row["clinical.er"] is None:
            continue
        total = sum(drawn.points(name, _named(axis, values[name])) for name, axis in axes.items())
        assert drawn.probability(total) == pytest.approx(wanted[place], rel=1e-9)
        read += 1
    assert read >= 10


def _older_with_event(samples: pa.Table) -> pa.Table:
    """Samples whose clinical model tells patients apart."""
    outcome = samples["outcome"].to_numpy()
    age = 60 + 8 * outcome + np.random.default_rng(1).normal(0, 9, len(outcome))
    return samples.set_column(samples.column_names.index("clinical.age_years"), "clinical.age_years", pa.array(age))


def _named(axis: Variable, value: Any) -> Any:
    """A value as the axis calls it."""
    return value if not axis.levels or value in dict(axis.levels) else REFERENCE
