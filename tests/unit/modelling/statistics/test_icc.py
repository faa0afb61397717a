"""Six forms of the ICC: psych 2.2.9 on table 2 of Shrout & Fleiss 1979."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.modelling.statistics.icc import icc, icc_columns, icc_two

# Shrout & Fleiss 1979, Psychol Bull 86:420, table 2: six targets, four judges; table 4: the six coefficients.
RATINGS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], dtype=float)
PUBLISHED = {"1,1": 0.17, "A,1": 0.29, "C,1": 0.71, "1,k": 0.44, "A,k": 0.62, "C,k": 0.91}
NAMES = {"1,1": "ICC1", "A,1": "ICC2", "C,1": "ICC3", "1,k": "ICC1k", "A,k": "ICC2k", "C,k": "ICC3k"}


@pytest.mark.parametrize(("form", "want"), PUBLISHED.items())
def test_published_coefficients(form, want):
    assert icc(RATINGS, form).estimate[0] == pytest.approx(want, abs=0.005)


@pytest.mark.parametrize("form", NAMES)
def test_estimate_and_limits_equal_those_of_psych(reference, form):
    want = next(row for row in reference("icc_shrout_fleiss")["results"] if row["type"] == NAMES[form])
    found = icc(np.array(reference("icc_shrout_fleiss")["data"], dtype=float), form)
    assert (found.estimate[0], found.lower[0], found.upper[0]) == pytest.approx(
        (want["ICC"], want["lower bound"], want["upper bound"]), rel=1e-10
    )


@pytest.mark.parametrize("form", NAMES)
def test_many_columns_equal_single_ones(form):
    rng = np.random.default_rng(3)
    first = rng.normal(size=(20, 7))
    second = first + rng.normal(size=(20, 7)) * np.linspace(0.05, 3, 7)
    together = icc_two(first, second, form)
    for at in range(7):
        alone = icc(np.column_stack([first[:, at], second[:, at]]), form)
        assert together.estimate[at] == pytest.approx(alone.estimate[0], abs=1e-12)
        assert together.lower[at] == pytest.approx(alone.lower[0], abs=1e-12)
        assert together.lower[at] <= together.estimate[at] <= together.upper[at]


def test_a_shift_of_one_reader_lowers_agreement_but_not_consistency():
    rng = np.random.default_rng(4)
    first = rng.normal(size=(30, 1))
    second = first + 0.1 * rng.normal(size=(30, 1))
    assert icc_two(first, second + 2, "C,1").estimate == pytest.approx(icc_two(first, second, "C,1").estimate)
    assert icc_two(first, second + 2, "A,1").estimate[0] < 0.5 < icc_two(first, second, "A,1").estimate[0]


def test_equal_readers_have_1_and_constant_or_incomplete_columns_none():
    first = np.column_stack([np.arange(5.0), np.full(5, 0.1), np.arange(5.0)])
    second = first.copy()
    second[2, 2] = np.nan
    for form in NAMES:
        found = icc_two(first, second, form)
        assert (found.estimate[0], found.lower[0], found.upper[0]) == (1.0, 1.0, 1.0)
        assert np.isnan([*found.estimate[1:], *found.lower[1:], *found.upper[1:]]).all()


def test_unknown_forms_and_single_readers_are_refused():
    with pytest.raises(ValueError, match="unknown form of the ICC 'ICC2'"):
        icc(RATINGS, "ICC2")
    with pytest.raises(ValueError, match="got 6 and 1"):
        icc_columns(RATINGS[:, :1, None], "A,1")
