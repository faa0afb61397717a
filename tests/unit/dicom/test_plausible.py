"""Gates for values that look like an image but cannot be HU or SUV: mixtures of tissues, right and wrong."""

from __future__ import annotations

import numpy as np
import pytest

from osteorad.dicom.plausible import refuse_hu, refuse_suv
from osteorad.errors import SetAside

# parts of the voxels and their HU (mean, width)
CHEST = [(0.40, -1000, 10), (0.15, -850, 60), (0.02, -500, 150), (0.15, -100, 15), (0.25, 45, 20), (0.03, 400, 200)]
SMALL_LEG = [(0.97, -1000, 10), (0.01, -100, 15), (0.018, 50, 15), (0.002, 1000, 200)]
CROPPED_THIGH = [(0.30, -100, 15), (0.60, 55, 15), (0.10, 900, 250)]
BRAIN = [(0.05, -90, 20), (0.80, 35, 12), (0.15, 900, 300)]  # no air
OUTSIDE = [(0.21, -3024, 0.01), (0.40, -1000, 10), (0.38, 40, 60), (0.01, 500, 200)]


def mixture(parts: list[tuple[float, float, float]]) -> np.ndarray:
    rng = np.random.default_rng(7)
    return np.concatenate([rng.normal(mean, width, int(60_000 * share)) for share, mean, width in parts])


BODIES = [CHEST, SMALL_LEG, CROPPED_THIGH, BRAIN, OUTSIDE]


@pytest.mark.parametrize("parts", BODIES)
def test_hu_of_bodies_pass(parts):
    assert refuse_hu(np.rint(mixture(parts)).astype(np.int16)) is None  # raises where it refuses


LOST, SLOPE_TWICE, SLOPE_HALF, TWICE = (1, 1024), (2, 1024), (0.5, -512), (1, -1024)
WRONG = [(parts, scale) for parts in BODIES for scale in (LOST, SLOPE_TWICE, SLOPE_HALF, TWICE)]
WRONG.remove((BRAIN, TWICE))  # without air and fat it cannot be told apart


@pytest.mark.parametrize(("parts", "scale"), WRONG)
def test_hu_on_a_wrong_scale_are_refused(parts, scale):
    with pytest.raises(SetAside, match="hu_out_of_range"):
        refuse_hu(mixture(parts) * scale[0] + scale[1])


FDG = [(0.70, 0.01, 0.01), (0.25, 0.7, 0.2), (0.04, 2.2, 0.5), (0.0095, 6, 2), (0.0005, 60, 20)]  # hot bladder
PSMA = [(0.75, 0.01, 0.01), (0.20, 0.35, 0.1), (0.04, 4, 1), (0.01, 50, 15)]
CROP = [(0.2, 0.3, 0.05), (0.7, 0.6, 0.1), (0.1, 2.0, 0.6)]


@pytest.mark.parametrize("parts", [FDG, PSMA, CROP])
def test_suv_of_bodies_pass(parts):
    assert refuse_suv(mixture(parts).astype(np.float32)) is None


@pytest.mark.parametrize("parts", [FDG, PSMA, CROP])
@pytest.mark.parametrize("factor", [94.0, 1 / 94, 2.8e-4, 3500.0])
def test_suv_on_a_wrong_scale_are_refused(parts, factor):
    with pytest.raises(SetAside, match="suv_out_of_range"):
        refuse_suv((mixture(parts) * factor).astype(np.float32))


def test_negative_suv_are_refused():
    suv = mixture(FDG)
    suv[:2000] = -1.0
    with pytest.raises(SetAside, match=r"below -0\.5"):
        refuse_suv(suv)
