"""Shuffled voxels: the ROI keeps its shape and histogram and loses its texture; nothing outside moves."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.images.volume import Grid, Mask, Volume
from osteorad.radiomics.engine import extract_roi
from osteorad.radiomics.presets import load_preset
from osteorad.radiomics.shuffle import shuffle_inside


@pytest.fixture(scope="module")
def ball():
    grid = Grid(shape=(24, 24, 24), affine_ras=np.diag([1.0, 1.0, 1.0, 1.0]))
    z, y, x = np.indices(grid.shape)
    inside = (z - 12) ** 2 + (y - 12) ** 2 + (x - 12) ** 2 < 64
    wave = 100 + 80 * np.sin(x / 2.0)
    volume = Volume(array=wave.astype(np.int16), grid=grid, units="HU")
    return volume, Mask(array=inside.astype(np.uint8), grid=grid)


def test_voxels_move_inside_the_mask_only_and_stay_the_same_voxels(ball):
    volume, mask = ball
    moved = shuffle_inside(volume, mask, "a")
    inside = mask.array > 0
    assert np.array_equal(moved.array[~inside], volume.array[~inside])
    assert not np.array_equal(moved.array[inside], volume.array[inside])
    assert np.array_equal(np.sort(moved.array[inside]), np.sort(volume.array[inside]))
    assert np.array_equal(moved.array, shuffle_inside(volume, mask, "a").array)
    assert not np.array_equal(moved.array, shuffle_inside(volume, mask, "b").array)


def test_histogram_and_shape_stay_and_texture_changes(ball):
    volume, mask = ball
    settings = load_preset("lesion-table").settings("ct")
    assert settings is not None
    texture = load_preset("zhu2024").settings("ct").model_copy(update={"spacing_mm": None, "pad_voxels": 0})
    moved = shuffle_inside(volume, mask, "a")
    assert extract_roi(volume, mask, settings).values == extract_roi(moved, mask, settings).values
    before, after = (extract_roi(image, mask, texture).values for image in (volume, moved))
    name = "original_glcm_Correlation"
    assert before[name] > 0.5
    assert abs(after[name]) < 0.1
    assert before["original_shape_MeshVolume"] == after["original_shape_MeshVolume"]


def test_the_preset_says_so_and_has_a_hash_of_its_own():
    plain, shuffled = load_preset("zhu2024"), load_preset("zhu2024-shuffled")
    assert (plain.shuffled, shuffled.shuffled) == (False, True)
    assert plain.hash() != shuffled.hash()
    assert plain.columns() == shuffled.columns()
