"""Masks of one image: what is drawn lies where the patient has it, on the image's own grid."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from osteorad.cohort.segmentation import PredictionSettings
from osteorad.segmentation.draw import Gate, draw
from tests.unit.segmentation.invented_networks import CPU, Bright, Constant, grid, trained, with_balls

# RAS mm: one lesion to the patient's left, head and front, a smaller one in the middle, bone around it
LARGE, SMALL = ((-5.0, 3.0, 10.0), 4.5, 950), ((2.0, -1.0, -8.0), 3.3, 950)
BONE = ((2.0, -1.0, -8.0), 6.0, 600)
FLIPS = [(-1, -1, 1), (1, 1, 1), (1, -1, -1)]
LIMITS = {"smallest_ml": 0.0, "smallest_voxels": 1}


def _drawn(volume: Any, *, gate: Gate | None = None, **limits: Any) -> Any:
    settings = PredictionSettings(**{**LIMITS, **limits})
    return draw(volume, [trained(Bright(), spacing_mm=(0.8, 0.8, None))], CPU, settings, gate)


@pytest.mark.parametrize("flips", FLIPS)
def test_lesions_lie_where_the_balls_are(flips: tuple[int, int, int]) -> None:
    volume = with_balls(grid(flips=flips), LARGE, BONE, SMALL)
    drawn = _drawn(volume)
    assert [lesion.patch.on(volume.grid).array.sum() for lesion in drawn.lesions] == [
        lesion.voxels for lesion in drawn.lesions
    ]
    union = sum(lesion.patch.on(volume.grid).array for lesion in drawn.lesions)
    np.testing.assert_array_equal(union, volume.array == 950)
    np.testing.assert_array_equal(drawn.bone.on(volume.grid).array, volume.array >= 600)
    assert [round(lesion.volume_ml, 6) for lesion in drawn.lesions] == sorted(
        (round(lesion.voxels * 0.8 * 0.8 * 3 / 1000, 6) for lesion in drawn.lesions), reverse=True
    )


def test_numbers_do_not_hang_on_the_order_of_axes_in_the_file() -> None:
    equal = [((x, y, z), 2.5, 950) for x, y, z in ((-4.8, 3.2, 9.0), (4.8, 3.2, 9.0), (0.0, -3.2, -9.0))]
    middles = []
    for flips in FLIPS:
        volume = with_balls(grid(flips=flips), *equal)
        drawn = _drawn(volume)
        found = []
        for lesion in drawn.lesions:
            index = np.argwhere(lesion.patch.array).mean(axis=0) + lesion.patch.start
            found.append(np.round(volume.grid.affine_ras[:3, :3] @ index + volume.grid.affine_ras[:3, 3], 3).tolist())
        middles.append(found)
    assert len({lesion.voxels for lesion in drawn.lesions}) == 1  # ties: the order is that of the slices
    assert middles[0] == middles[1] == middles[2]
    assert [z for _, _, z in middles[0]] == sorted(z for _, _, z in middles[0])


@pytest.mark.parametrize(("threshold", "voxels"), [(0.5, 24 * 20 * 12), (0.5001, 0)])
def test_a_voxel_at_the_threshold_is_lesion(threshold: float, voxels: int) -> None:
    volume = with_balls(grid())
    network = trained(Constant(0.0, 0.0), labels=2, bone=None)
    drawn = draw(volume, [network], CPU, PredictionSettings(**LIMITS, threshold=threshold))
    assert sum(lesion.voxels for lesion in drawn.lesions) == voxels
    assert drawn.bone is None
    assert drawn.lost is None


def test_small_ones_are_dropped_by_volume_and_by_voxels() -> None:
    volume = with_balls(grid(), LARGE, BONE, SMALL)
    large, small = (lesion.volume_ml for lesion in _drawn(volume).lesions)
    assert [x.volume_ml for x in _drawn(volume, smallest_ml=(large + small) / 2).lesions] == [large]
    assert _drawn(volume, smallest_ml=(large + small) / 2).dropped == 1
    assert _drawn(volume, smallest_voxels=10_000).lesions == ()


def test_scores_are_probabilities() -> None:
    drawn = _drawn(with_balls(grid(), LARGE, BONE, SMALL))
    assert all(0.99 < lesion.score <= 1 for lesion in drawn.lesions)


@pytest.mark.parametrize("flips", FLIPS)
def test_outside_the_gate_no_lesion_is_drawn_and_the_loss_is_counted(flips: tuple[int, int, int]) -> None:
    volume = with_balls(grid(flips=flips), LARGE, BONE, SMALL)
    bone = ((volume.array == 600) | ((volume.array == 950) & _near(volume, SMALL))).astype(np.uint8)
    drawn = _drawn(volume, gate=Gate(bone=bone, by_mm=1.0))
    np.testing.assert_array_equal(
        drawn.lesions[0].patch.on(volume.grid).array, (volume.array == 950) & _near(volume, SMALL)
    )
    assert len(drawn.lesions) == drawn.lost == 1
    everywhere = _drawn(volume, gate=Gate(bone=bone, by_mm=100.0))
    assert (len(everywhere.lesions), everywhere.lost) == (2, 0)
    nowhere = _drawn(volume, gate=Gate(bone=bone * 0, by_mm=100.0))
    assert (len(nowhere.lesions), nowhere.lost) == (0, 2)


def test_scores_stay_with_their_lesions_behind_a_gate() -> None:
    """The small lesion lies below, at 712 HU: (712 - 400) / 600 is 0.52, of which the network makes 0.69."""
    volume = with_balls(grid(), LARGE, (*SMALL[:2], 712))
    small = 1 / (1 + np.exp(-40 * 0.02))
    assert [lesion.score for lesion in _drawn(volume).lesions] == pytest.approx([1.0, small], abs=1e-4)
    gate = Gate(bone=(volume.array == 950).astype(np.uint8), by_mm=0.0)
    assert [lesion.score for lesion in _drawn(volume, gate=gate).lesions] == pytest.approx([1.0], abs=1e-4)


def _near(volume: Any, ball: tuple[tuple[float, float, float], float, float]) -> np.ndarray:
    (middle, radius, _) = ball
    return with_balls(volume.grid, (middle, radius, 1)).array == 1


def test_an_empty_bone_is_an_empty_block() -> None:
    drawn = _drawn(with_balls(grid()))
    assert drawn.lesions == ()
    assert drawn.bone is not None
    assert drawn.bone.voxels == 0
