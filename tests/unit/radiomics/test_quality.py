"""Every row of the table of degenerate ROIs (research page radiomics.md, section 9)."""

import numpy as np
import pytest

from osteorad.images.volume import Grid, Mask, Volume
from osteorad.radiomics import quality
from osteorad.radiomics.engine import extract_roi
from osteorad.radiomics.presets import load_preset
from osteorad.reasons import reason

ZHU = load_preset("zhu2024").images
# Original image only, so that a case costs little; the checks come before any filter.
CT = ZHU.ct.model_copy(update={"image_types": load_preset("lesion-table").images.ct.image_types})
SHAPE = (30, 30, 20)


def found_in(volume, mask, settings=CT):
    found = extract_roi(volume, mask, settings)
    return found, {finding.code for finding in found.findings}


@pytest.fixture(scope="module")
def ct(build):
    return build.volume(build.grid(shape=SHAPE))


MISSING = {
    "roi_empty": [],
    "roi_single_voxel": [(10, 10, 10)],
    "roi_too_few_dimensions": [(slice(5, 9), 10, 10)],
}


@pytest.mark.parametrize("code", MISSING)
def test_roi_that_cannot_be_measured_has_no_value(code, build, ct):
    found, codes = found_in(ct, build.mask(ct.grid, *MISSING[code]))
    assert codes == {code}
    assert reason(code).kind == "missing"
    assert found.values == {}
    assert [finding.feature_class for finding in found.findings] == ["all"]


def test_voxel_without_finite_value(build):
    volume = build.volume(build.grid(shape=SHAPE), "SUVbw")
    volume.array[15, 15, 10] = np.nan
    found, codes = found_in(volume, build.ball(volume.grid), ZHU.pet)
    assert codes == {"roi_non_finite"}
    assert found.values == {}


def test_voxel_without_finite_value_beside_the_roi(build):
    """Interpolation would spread it into the ROI; what needs no interpolation stays."""
    volume = build.volume(build.grid(shape=SHAPE), "SUVbw")
    volume.array[2, 2, 2] = np.inf
    found, codes = found_in(volume, build.ball(volume.grid), ZHU.pet)
    assert "roi_non_finite" in codes
    assert set(found.values) == {name for name in found.values if name.startswith("suv_")} != set()
    lost = {finding.feature_class for finding in found.findings if finding.code == "roi_non_finite"}
    assert lost == {"shape", "firstorder", "glcm", "gldm", "glrlm", "glszm", "ngtdm"}


@pytest.mark.parametrize(("shift_mm", "refused"), [(5e-4, False), (2e-3, True)])
def test_grids_must_agree_within_a_micrometre(shift_mm, refused, build, ct):
    affine = ct.grid.affine_ras.copy()
    affine[0, 3] += shift_mm
    found, codes = found_in(ct, Mask(array=build.ball(ct.grid).array, grid=Grid(shape=SHAPE, affine_ras=affine)))
    assert ("roi_geometry" in codes) is refused
    assert (found.values == {}) is refused
    if refused:
        assert found.findings[0].detail.count("30 x 30 x 20 voxels of 2 x 2 x 3 mm") == 2  # both sides are shown


def test_mask_of_another_size(build, ct):
    other = build.grid(shape=(30, 30, 21))
    assert found_in(ct, build.ball(other))[1] == {"roi_geometry"}


def test_one_slice_is_measured_and_flagged(build, ct):
    plane = build.ball(ct.grid).array.copy()
    plane[:, :, :10] = 0
    plane[:, :, 11:] = 0
    found, codes = found_in(ct, Mask(array=plane, grid=ct.grid))
    assert "roi_single_slice" in codes
    assert set(found.values) == set(CT.names())
    assert found.values["original_shape_Flatness"] == 0


def test_flat_roi_keeps_pyradiomics_values_and_is_flagged(build, ct):
    flat = Volume(array=np.full(SHAPE, 40, np.int16), grid=ct.grid, units="HU")
    found, codes = found_in(flat, build.ball(ct.grid))
    assert "roi_flat" in codes
    for name, value in {
        "firstorder_Kurtosis": 0,
        "firstorder_Skewness": 0,
        "glcm_Correlation": 1,
        "ngtdm_Coarseness": 1e6,
    }.items():
        assert found.values[f"original_{name}"] == value
    assert {f.detail for f in found.findings if f.code == "levels_low"} == {"original 1"}


def test_two_parts_are_one_roi_and_flagged(build, ct):
    two = build.mask(ct.grid, (slice(5, 9), slice(5, 9), slice(5, 9)), (slice(20, 24), slice(5, 9), slice(5, 9)))
    found, codes = found_in(ct, two)
    assert "roi_components" in codes
    assert {f.detail for f in found.findings if f.code == "roi_components"} == {"2 parts"}
    assert found.values["original_shape_Maximum3DDiameter"] > 30


def test_parts_that_meet_at_a_corner_are_one(build, ct):
    corner = build.mask(ct.grid, (slice(5, 9), slice(5, 9), slice(5, 9)), (slice(9, 13), slice(9, 13), slice(9, 13)))
    assert "roi_components" not in found_in(ct, corner)[1]


@pytest.mark.parametrize(
    "slices", [(slice(0, 5), slice(8, 14), slice(8, 14)), (slice(8, 14), slice(8, 14), slice(15, 20))]
)
def test_roi_at_the_border_is_flagged(slices, build, ct):
    found, codes = found_in(ct, build.mask(ct.grid, slices))
    assert "roi_touches_border" in codes
    assert set(found.values) == set(CT.names())


@pytest.mark.parametrize(("side", "small"), [(3, True), (4, False)])
def test_small_is_under_64_voxels_of_the_image(side, small, build, ct):
    cube = build.mask(ct.grid, (slice(10, 10 + side),) * 3)
    assert ("roi_small" in found_in(ct, cube)[1]) is small


def test_roi_of_three_voxels_is_small_and_not_an_exception(build, ct):
    corner = build.mask(ct.grid, (10, 10, 10), (11, 10, 10), (10, 11, 10))
    found, codes = found_in(ct, corner, ZHU.ct)
    assert {"roi_small", "roi_single_slice"} <= codes
    assert len(found.values) == 1197


def test_roi_that_vanishes_in_resampling_is_missing_class_by_class(build):
    grid = build.grid(shape=(60, 60, 60), spacing_mm=(0.4, 0.4, 0.4))
    settings = CT.model_copy(update={"spacing_mm": (5.0, 5.0, 5.0)})
    found, codes = found_in(build.volume(grid), build.mask(grid, (slice(3, 5), slice(3, 5), slice(3, 5))), settings)
    assert codes & {"roi_empty", "roi_single_voxel", "roi_too_few_dimensions"}
    assert found.values == {}
    assert {"shape", "glcm"} <= {finding.feature_class for finding in found.findings}


def test_an_image_too_thin_for_a_filter_loses_that_filter_only(build):
    grid = build.grid(shape=(40, 40, 3))
    native = ZHU.ct.model_copy(update={"spacing_mm": None})
    found, codes = found_in(build.volume(grid), build.mask(grid, (slice(10, 25), slice(10, 25), slice(0, 3))), native)
    assert "feature_undefined" in codes
    assert not any(name.startswith("log-") for name in found.values)
    assert sum(name.startswith("wavelet-") for name in found.values) == 8 * 91
    details = {f.feature_class: f.detail for f in found.findings if f.code == "feature_undefined"}
    assert details["glcm"].endswith("(88 in all)")


def test_a_good_roi_has_no_finding(build):
    grid = build.grid(shape=(40, 40, 30))
    found, codes = found_in(build.volume(grid), build.ball(grid))
    assert codes == set()
    assert set(found.values) == set(CT.names())


def test_bounding_box(build):
    grid = build.grid(shape=(9, 8, 7))
    mask = build.mask(grid, (2, 3, 4), (5, 3, 6))
    assert quality.bounding_box(mask.array) == (slice(2, 6), slice(3, 4), slice(4, 7))
    assert quality.bounding_box(np.zeros((3, 3, 3), np.uint8)) is None


def test_every_code_that_is_used_has_a_sentence():
    flags = ("roi_single_slice", "roi_flat", "roi_components", "roi_touches_border", "roi_small", "levels_low")
    assert {reason(code).kind for code in flags} == {"flag"}
    missing = (*MISSING, "roi_non_finite", "roi_geometry", "contour_unpaired", "feature_undefined", "suv_peak_outside")
    assert {reason(code).kind for code in missing} == {"missing"}
