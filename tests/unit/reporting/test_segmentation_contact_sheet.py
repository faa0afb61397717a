"""The contact sheet: which cases, which slice, whose outline."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from osteorad.images.volume import Grid
from osteorad.reporting import contact_sheet
from osteorad.reporting.contact_sheet import chosen_cases, ranked_cases, window_words
from osteorad.reporting.pictures import Scan
from osteorad.reporting.planes import Plane
from osteorad.reporting.segmentation_findings import Findings


def _findings(rows: list[dict[str, Any]]) -> Findings:
    usual = {"network": "n", "procedure": "network", "roi": "lesion", "session": "s"}
    cases = [{**usual, "patient": f"p{place:02d}", "false_positive_ml": 0.0, **row} for place, row in enumerate(rows)]
    recipe = {"segmentation": {"lesion": "lesion", "bone": None, "image": "ct"}}
    return Findings(analysis={}, recipe=recipe, scores=[], cases=cases, lesions=[], networks=[], drawn=[], flow={})


def test_the_worst_stands_first_and_an_invented_lesion_is_as_bad_as_a_missed_one() -> None:
    rows = [
        {"dice": 0.9},
        {"dice": None},
        {"dice": 0.0},
        {"dice": None, "false_positive_ml": 2.0},
        {"dice": 0.4},
        {"dice": None, "false_positive_ml": 5.0},
        {"dice": 0.1, "procedure": "threshold"},
        {"dice": 0.1, "network": "other"},
    ]
    assert [row["patient"] for row in ranked_cases(_findings(rows), "n")] == ["p05", "p03", "p02", "p04", "p00", "p01"]


@pytest.mark.parametrize(
    ("count", "places"),
    [(3, [0, 1, 2]), (12, list(range(12))), (13, [*range(8), 8, 9, 11, 12]), (100, [*range(8), 52, 53, 98, 99])],
)
def test_worst_middle_and_best_are_shown(count: int, places: list[int]) -> None:
    ranked = [{"place": place} for place in range(count)]
    assert [row["place"] for row in chosen_cases(ranked)] == places


GRID = Grid(shape=(20, 20, 10), affine_ras=np.diag([-1.0, -1.0, 3.0, 1.0]))


def _region(*voxels: tuple[slice | int, slice | int, int]) -> Any:
    mask = np.zeros(GRID.shape, dtype=bool)
    for place in voxels:
        mask[place] = True
    return contact_sheet._region(mask, GRID, "ct", "lesion")


def _z(scan: Scan, reference: Any, drawn: Any) -> float:
    return contact_sheet._level(scan, reference, drawn)[2]


def test_the_slice_is_the_one_where_they_differ_most() -> None:
    scan = Scan(image="ct", units="HU", array=np.zeros(GRID.shape, np.int16), grid=GRID, regions=())
    block = slice(4, 9)
    reference = _region((block, block, 2), (block, block, 3), (4, 4, 7))
    assert _z(scan, reference, _region((block, block, 2), (4, 4, 7))) == 9  # slice 3 was missed
    assert _z(scan, reference, reference) in (6, 9)  # they agree: the largest cross-section
    assert _z(scan, None, _region((1, 1, 6))) == 18
    assert _z(scan, None, None) == pytest.approx(12)  # the middle of the image


@pytest.mark.parametrize(
    ("units", "dark", "light"), [("HU", -200, 1000), ("grey", 0, 255), ("fused", 0.2, 0.5), ("SUVbw", 4, 0)]
)
def test_greys_run_over_the_stated_window(units: str, dark: float, light: float) -> None:
    array = np.full(GRID.shape, dark, dtype=np.float32)
    array[:, :, 5:] = light
    scan = Scan(image="x", units=units, array=array, grid=GRID, regions=())

    def grey(z: float) -> np.ndarray:
        plane = Plane(middle_ras=(-10.0, -10.0, z), view="axial", width=4, height=4, pixel_mm=1.0)
        return contact_sheet._grey(scan, plane)

    assert set(grey(6.0).ravel()) == {0}
    assert set(grey(21.0).ravel()) == {255}


def test_the_window_is_told() -> None:
    assert window_words("HU") == "window −200 to 1,000 HU"
    assert window_words("SUVbw") == "window SUV 0 to 4, dark is high"
    assert window_words("fused") == "window 0.2 to 0.5"
    assert window_words("grey") == "window grey values 0 to 255"


def test_outlines_lie_on_their_masks() -> None:
    """A square of 5 by 5 voxels of 1 mm, seen at 1 mm a pixel, has a path of that size."""
    plane = Plane(middle_ras=(-6.0, -6.0, 6.0), view="axial", width=16, height=16, pixel_mm=1.0)
    item = contact_sheet._item("n", plane, "p", "reader", 1, _region((slice(4, 9), slice(4, 9), 2)))
    (outline,) = item["outlines"]
    sides = [abs(int(step)) for step in re.findall(r"[hv](-?\d+)", outline["d"])]
    assert sides == [5, 5, 5]  # the fourth closes it
    assert contact_sheet._item("n", plane, "p", "network", 2, None)["label"] == "network: nothing here"
