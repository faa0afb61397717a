"""Rows of cases and lesions from the reference pair: counts add up and types fit."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.segmentation.lesion_match import components
from osteorad.segmentation.score_case import Lesion, Matching, score_lesions
from osteorad.segmentation.score_tables import (
    CASE_SCORES,
    KEYS,
    LESION_SCORES,
    CaseKey,
    case_table,
    lesion_case_row,
    lesion_rows,
    lesion_table,
)
from tests.unit.segmentation.masks import found, grid_of, pair

KEY = CaseKey(
    cohort="c", analysis="a", network="n", repeat=1, fold=2, procedure="network", patient="p2", session="s1",
    image="ct", roi="lesion", role="external",
)  # fmt: skip
REFERENCE, PREDICTION = pair()
LESIONS = [Lesion(number=n, patch=patch, type="lytic") for n, patch in enumerate(components(REFERENCE), start=1)]
CASE = score_lesions(
    LESIONS,
    found(components(PREDICTION), [0.95, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4]),
    grid_of(),
    Matching(smallest_ml=0.0, smallest_voxels=1),
)
ROW = lesion_case_row(KEY, CASE, lesions_empty=1, contours_lost=2)
ROWS = lesion_rows(KEY, CASE)


def test_case_row_counts_what_the_pair_holds():
    counts = {
        name: ROW[name] for name in ("lesions", "detected", "components", "matched", "false_positives", "dropped")
    }
    assert counts == {
        "lesions": 7, "detected": 5, "components": 7, "matched": 5, "false_positives": 1, "dropped": 0,
    }  # fmt: skip
    assert ROW["missed_ml"] == pytest.approx((9 + 72) * 1.92e-3)
    assert ROW["false_positive_ml"] == pytest.approx(16 * 1.92e-3)
    assert (ROW["surface_dice_1mm"], ROW["lesions_empty"], ROW["contours_lost"]) == (
        pytest.approx(0.778378, abs=1e-6),
        1,
        2,
    )


def test_lesion_rows_add_up_to_the_case():
    reference = [row for row in ROWS if row["side"] == "reference"]
    predicted = [row for row in ROWS if row["side"] == "predicted"]
    assert [row["lesion"] for row in reference] == [row["lesion"] for row in predicted] == list(range(1, 8))
    assert sum(row["found"] for row in reference) == ROW["detected"]
    assert sum(row["false_positive"] for row in predicted) == ROW["false_positives"]
    assert sum(row["volume_ml"] for row in reference) == pytest.approx(ROW["reference_ml"])
    assert sum(row["touching"] > 1 for row in predicted) == ROW["merges"] == 1
    assert sum(row["touching"] > 1 for row in reference) == ROW["splits"] == 1
    common = sum(row["share"] * row["volume_ml"] for row in reference)
    assert common == pytest.approx(ROW["tp"] * 1.92e-3)


def test_lesion_row_of_the_shifted_lesion():
    """L1, 300 voxels, IoU 240 / 360."""
    row = next(row for row in ROWS if row["side"] == "reference" and round(row["volume_ml"] / 1.92e-3) == 300)
    assert (row["share"], row["iou"], row["dice"]) == pytest.approx((0.8, 2 / 3, 0.8))
    assert (row["type"], row["found"], row["false_positive"], row["score"]) == ("lytic", True, None, 0.95)


def test_tables_are_sorted_and_typed():
    other = CaseKey(**{**KEY.columns(), "patient": "p1"})
    empty = score_lesions([], [], None)
    cases = case_table([ROW, lesion_case_row(other, empty, lesions_empty=0, contours_lost=0)])
    assert cases.schema == CASE_SCORES
    assert cases.schema.names[: len(KEYS)] == list(KEYS)
    assert cases["patient"].to_pylist() == ["p1", "p2"]
    assert (cases["dice"].to_pylist()[0], cases["correct_negative"].to_pylist()) == (None, [True, None])
    lesions = lesion_table(reversed(ROWS))
    assert lesions.schema == LESION_SCORES
    assert lesions.to_pylist() == ROWS
    for table in (cases, lesions):
        for column in table.columns:
            assert not any(isinstance(value, float) and np.isnan(value) for value in column.to_pylist())
