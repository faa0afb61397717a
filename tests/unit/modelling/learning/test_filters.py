"""mRMR against R, the correlation filter against its definition."""

from __future__ import annotations

import csv
import json

import numpy as np
import pytest
from scipy import stats

from osteorad.modelling.learning import filters
from osteorad.modelling.learning.filters import f_scores, mrmr, ranks, redundant


@pytest.fixture(scope="module")
def mrmr_toy(shared_data):
    with open(shared_data("statistics/mrmr_toy.csv"), encoding="utf-8") as stream:
        rows = np.array(list(csv.reader(stream))[1:], dtype=float)
    want = json.loads(shared_data("statistics/mrmr_toy.json").read_text())
    return rows[:, 1:], rows[:, 0].astype(int), want


@pytest.mark.parametrize(("scheme", "key"), [("FCQ", "FCQ"), ("FCD", "FCD"), ("RCD", "RCD_abs_pearson")])
def test_mrmr_order_and_scores_equal_those_of_r(mrmr_toy, scheme, key):
    X, y, want = mrmr_toy
    taken, scores = mrmr(X, y, 6, scheme=scheme, floor=0.0)
    assert [f"x{at + 1}" for at in taken] == want[key]["order"]
    assert scores == pytest.approx(want[key]["score"], rel=1e-9)


def test_f_scores_equal_those_of_r(mrmr_toy):
    X, y, want = mrmr_toy
    assert f_scores(X, y) == pytest.approx([want["F"][f"x{at}"] for at in range(1, 13)], rel=1e-9)


def test_floor_keeps_a_noise_feature_from_second_place(mrmr_toy):
    X, y, _ = mrmr_toy
    assert mrmr(X, y, 2, scheme="FCQ", floor=0.0)[0][1] == 6  # x7, F 4.1, redundancy 0.003
    assert mrmr(X, y, 2, scheme="FCQ", floor=0.1)[0][1] != 6


def test_mrmr_path_of_a_small_k_is_a_prefix():
    rng = np.random.default_rng(3)
    X, y = rng.normal(size=(40, 30)), rng.integers(0, 2, 40)
    assert mrmr(X, y, 4, floor=0.1)[0] == mrmr(X, y, 12, floor=0.1)[0][:4]


def test_mrmr_does_not_fall_over_constant_separating_or_missing_columns():
    y = np.array([0] * 6 + [1] * 6)
    X = np.column_stack([np.ones(12), y.astype(float), np.arange(12.0)])
    taken, scores = mrmr(X, y, 9, floor=0.1)
    assert taken[0] == 1
    assert sorted(taken) == [0, 1, 2]
    assert np.isfinite(scores).all()
    assert mrmr(np.zeros((12, 0)), y, 3) == ([], [])


@pytest.mark.parametrize("block", [1, 7, 512])
def test_redundant_equals_its_definition_whatever_the_block(monkeypatch, block):
    monkeypatch.setattr(filters, "BLOCK", block)
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(50, 6))
    X = latent[:, rng.integers(0, 6, 40)] + 0.3 * rng.normal(size=(50, 40))
    order = rng.permutation(40).tolist()
    kept, dropped = redundant(X, order, 0.9)
    r = np.abs(np.corrcoef(X.T))
    want: list[int] = []
    for at in order:
        if all(r[at, other] <= 0.9 for other in want):
            want.append(at)
    assert kept == want
    assert 5 < len(kept) < 40
    assert sorted([*kept, *dropped]) == list(range(40))
    for at, (partner, value) in dropped.items():
        assert partner in kept
        assert abs(value) == pytest.approx(r[at, partner])
        assert abs(value) > 0.9


def test_ranks_give_spearman():
    rng = np.random.default_rng(1)
    X = rng.integers(0, 5, size=(30, 2)).astype(float)
    ranked = ranks(X)
    assert np.corrcoef(ranked.T)[0, 1] == pytest.approx(stats.spearmanr(X[:, 0], X[:, 1]).statistic)
