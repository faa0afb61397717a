"""Closed forms: a cone of SUV = 10 - 0.2 r (r in mm from the centre), a uniform ball, and spheres at the border."""

import numpy as np
import pytest

from osteorad.images.volume import Mask, Volume
from osteorad.radiomics import pet, quality
from osteorad.radiomics.engine import extract_roi
from osteorad.radiomics.presets import load_preset

RADIUS = pet.SPHERE_RADIUS_MM
TABLE = load_preset("lesion-table").images.pet


def cone(build, step_mm, turn_deg=0.0, spacing_mm=None):
    """The cone and a ball of 36 mm about its centre, which is a voxel centre."""
    spacing = spacing_mm or (step_mm,) * 3
    shape = tuple(2 * int(np.ceil(44 / side)) + 1 for side in spacing)
    grid = build.grid(shape=shape, spacing_mm=spacing, turn_deg=turn_deg)
    centre = (np.array(shape) - 1) / 2
    steps = (np.indices(shape) - centre[:, None, None, None]) * np.array(spacing)[:, None, None, None]
    distance = np.sqrt((steps**2).sum(axis=0))
    volume = Volume(array=np.maximum(10 - 0.2 * distance, 0).astype(np.float32), grid=grid, units="SUVbw")
    return volume, Mask(array=(distance <= 36).astype(np.uint8), grid=grid)


def measure(volume, mask):
    return pet.suv_features(volume, quality.locate_roi(volume, mask), fixed=[4], percent=[41])


@pytest.mark.parametrize(("step_mm", "tolerance"), [(1.5, 0.01), (2, 0.01), (4, 0.04)])
def test_cone(step_mm, tolerance, build):
    values, findings = measure(*cone(build, step_mm))
    assert findings == []
    assert values["suv_Max"] == 10
    for name in ("suv_Peak", "suv_Peak-local"):
        assert values[name] == pytest.approx(10 - 0.15 * RADIUS, rel=0.01)
    for name, threshold in (("4", 4.0), ("41", 4.1)):
        reach = (10 - threshold) / 0.2
        ml = 4 / 3 * np.pi * reach**3 / 1000
        assert values[f"suv_MTV-{name}"] == pytest.approx(ml, rel=tolerance)
        assert values[f"suv_TLG-{name}"] == pytest.approx(ml * (10 - 0.15 * reach), rel=tolerance)


def test_figures_of_the_measured_prototype(build):
    """Values measured with an independent prototype (research page, section 8)."""
    four, two = measure(*cone(build, 4))[0], measure(*cone(build, 2))[0]
    assert four["suv_Peak"] == pytest.approx(9.052, abs=6e-4)
    assert two["suv_Peak"] == pytest.approx(9.053, abs=6e-4)
    assert four["suv_MTV-4"] == pytest.approx(114.62, abs=6e-3)
    assert two["suv_MTV-4"] == pytest.approx(113.18, abs=6e-3)
    assert two["suv_TLG-4"] == pytest.approx(622.3, abs=0.06)


def test_cone_on_anisotropic_and_oblique_voxels(build):
    for facts in ({"spacing_mm": (2.0, 2.0, 4.0)}, {"turn_deg": 25.0}):
        values, _ = measure(*cone(build, 2, **facts))
        assert values["suv_Peak"] == pytest.approx(10 - 0.15 * RADIUS, rel=0.01)
        assert values["suv_MTV-4"] == pytest.approx(113.10, rel=0.02)


@pytest.mark.parametrize(("step_mm", "ml"), [(4, 0.968), (2, 1.0), (1, 1.0)])
def test_sphere_holds_one_millilitre(step_mm, ml):
    offsets, weights = pet.sphere_weights((float(step_mm),) * 3)
    assert weights.sum() * step_mm**3 / 1000 == pytest.approx(ml, rel=0.02)
    np.testing.assert_allclose((offsets * weights[:, None]).sum(axis=0), 0, atol=1e-12)


def test_uniform_ball_has_one_value_everywhere(build):
    grid = build.grid(shape=(24, 24, 24), spacing_mm=(4.0, 4.0, 4.0))
    volume = Volume(array=np.full(grid.shape, 3.25, np.float32), grid=grid, units="SUVbw")
    values, findings = measure(volume, build.ball(grid, 16))
    assert findings == []
    assert values["suv_Peak"] == values["suv_Mean"] == values["suv_Max"] == 3.25
    assert values["suv_TLG-41"] == pytest.approx(3.25 * values["suv_MTV-41"], rel=1e-12)
    assert values["suv_MTV-4"] == values["suv_TLG-4"] == 0  # nothing reaches SUV 4: a volume of nought, not missing


def test_voxels_outside_the_roi_count_for_the_peak(build):
    grid = build.grid(shape=(15, 15, 15), spacing_mm=(4.0, 4.0, 4.0))
    array = np.ones(grid.shape, np.float32)
    array[7, 7, 7] = 9
    volume, mask = Volume(array=array, grid=grid, units="SUVbw"), build.mask(grid, (7, 7, 7))
    values, _ = measure(volume, mask)
    _, weights = pet.sphere_weights((4.0, 4.0, 4.0))
    assert values["suv_Peak"] == pytest.approx(1 + 8 * weights.max() / weights.sum(), rel=1e-6)
    assert values["suv_Mean"] == 9


def test_global_peak_may_lie_beside_the_hottest_voxel(build):
    grid = build.grid(shape=(30, 15, 15), spacing_mm=(4.0, 4.0, 4.0))
    array = np.ones(grid.shape, np.float32)
    array[6, 7, 7] = 12  # one noisy voxel
    array[18:25, 4:11, 4:11] = 8  # a real lesion
    volume, mask = Volume(array=array, grid=grid, units="SUVbw"), build.mask(grid, (slice(4, 26), slice(4, 11), 7))
    values, _ = measure(volume, mask)
    assert values["suv_Max"] == 12
    assert values["suv_Peak"] == pytest.approx(8)
    assert values["suv_Peak-local"] < 4


def test_a_sphere_that_leaves_the_image_is_missing(build):
    grid = build.grid(shape=(20, 20, 20), spacing_mm=(4.0, 4.0, 4.0))
    array = np.ones(grid.shape, np.float32)
    array[0, 10, 10] = 20
    volume = Volume(array=array, grid=grid, units="SUVbw")
    values, findings = measure(volume, build.mask(grid, (slice(0, 6), slice(8, 13), slice(8, 13))))
    assert [(finding.feature_class, finding.code) for finding in findings] == [("suv", "suv_peak_outside")]
    assert {"suv_Peak", "suv_Peak-local"}.isdisjoint(values)
    assert values["suv_Max"] == 20


def test_metabolic_features_need_suv(build):
    grid = build.grid(shape=(12, 12, 12))
    volume = build.volume(grid, "HU")
    with pytest.raises(ValueError, match="SUVbw"):
        measure(volume, build.ball(grid))


def test_lesion_table_holds_them_for_a_single_voxel(build):
    grid = build.grid(shape=(15, 15, 15), spacing_mm=(4.0, 4.0, 4.0))
    found = extract_roi(build.volume(grid, "SUVbw"), build.mask(grid, (7, 7, 7)), TABLE)
    assert set(found.values) == {*TABLE.names(), *[n for n in found.values if n.startswith("suv_")]}
    assert found.values["original_shape_VoxelVolume"] == pytest.approx(64.0)
    assert found.values["suv_Max"] == found.values["original_firstorder_Maximum"]
