"""Reference data of R (shared data, statistics/README.md), and two small generated tables that need no shared data."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from tests.conftest import ROOT


def _columns(path: Path) -> dict[str, np.ndarray]:
    """Columns of a CSV file by name: numbers where all cells are numbers."""
    with open(path, encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))

    def column(name):
        cells = [row[name] for row in rows]
        try:
            return np.array([float(cell) for cell in cells])
        except ValueError:
            return np.array(cells)

    return {name: column(name) for name in rows[0]}


@pytest.fixture(scope="session")
def reference(shared_data):
    return lambda name: json.loads(shared_data(f"statistics/{name}.json").read_text())


@pytest.fixture(scope="session")
def table(shared_data):
    return lambda name: _columns(shared_data(f"statistics/{name}.csv"))


@pytest.fixture(scope="session")
def asah(table):
    """Outcome (1: poor) and markers of the 113 patients of pROC's aSAH data."""
    columns = table("asah")
    return (columns["outcome"] == "Poor").astype(int), columns


@pytest.fixture(scope="session")
def birthwt(table):
    """The birthwt data of MASS: outcome, and the design of low ~ age + lwt + race + smoke + ptl + ht + ui."""
    c = table("birthwt")
    race = [c["race"] == 2, c["race"] == 3]
    X = np.column_stack([c["age"], c["lwt"], *race, c["smoke"], c["ptl"], c["ht"], c["ui"]]).astype(float)
    return SimpleNamespace(outcome=c["low"].astype(int), X=X, columns=c)


@pytest.fixture(scope="session")
def lesions():
    """125 lesions of 40 patients with two scores; generated."""
    c = _columns(ROOT / "tests/data/lesions_clustered.csv")
    return SimpleNamespace(
        outcome=c["y"].astype(int), first=c["score1"], second=c["score2"], patient=c["patient"].astype(int)
    )


@pytest.fixture(scope="session")
def mrmr_toy():
    """Outcome and the 12 columns of 60 rows; generated."""
    c = _columns(ROOT / "tests/data/mrmr_toy.csv")
    return c["y"].astype(int), np.column_stack([c[f"x{at}"] for at in range(1, 13)])
