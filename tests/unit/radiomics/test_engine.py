import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from radiomics.featureextractor import RadiomicsFeatureExtractor

from osteorad.images.volume import Mask, Volume
from osteorad.radiomics.engine import extract_roi
from osteorad.radiomics.presets import load_preset
from osteorad.radiomics.voxels import to_sitk

ZHU = load_preset("zhu2024").images
ZHAO = load_preset("zhao2024").images


def plain_features(image, mask, settings):
    """What pyradiomics itself gives for the settings of a preset."""
    spacing = list(settings.spacing_mm) if settings.spacing_mm else None
    extractor = RadiomicsFeatureExtractor(
        binWidth=settings.bin_width,
        voxelArrayShift=settings.energy_shift,
        resampledPixelSpacing=spacing,
        padDistance=settings.pad_voxels,
        preCrop=True,
        additionalInfo=False,
    )
    extractor.disableAllFeatures()
    extractor.enableFeaturesByName(**{name: list(settings.features(name)) for name in settings.classes})
    extractor.enabledImagetypes = {
        "Original": {},
        "LoG": {"sigma": [float(sigma) for sigma in settings.image_types.log_sigma_mm]},
        "Wavelet": {"wavelet": settings.image_types.wavelet},
    }
    return {name: float(value) for name, value in extractor.execute(image, mask).items()}


def worst(found, want):
    assert set(found) == set(want)
    return max(abs(found[name] - want[name]) / max(abs(want[name]), 1e-12) for name in want)


NATIVE = ZHU.ct.model_copy(update={"spacing_mm": None})
CASES = {
    "fine CT, 1 mm": (ZHU.ct, "HU", {"shape": (64, 60, 40), "spacing_mm": (0.8, 0.8, 1.25)}),
    "half-way points, 1 mm": (ZHU.ct, "HU", {"spacing_mm": (1.5, 1.5, 1.5), "shape": (40, 42, 36)}),
    "thick oblique slices, 1 mm": (ZHU.ct, "HU", {"spacing_mm": (1.2, 1.2, 5.0), "turn_deg": 11.0}),
    "already 1 mm": (ZHU.ct, "HU", {"spacing_mm": (1.0, 1.0, 1.0), "shape": (40, 40, 40)}),
    "own voxels": (NATIVE, "HU", {"spacing_mm": (1.7, 1.7, 3.0)}),
    "PET, 2 mm": (ZHU.pet, "SUVbw", {"spacing_mm": (4.07, 4.07, 3.0), "shape": (24, 26, 30)}),
    "fused, 1 mm": (ZHU.fused, "fused", {"spacing_mm": (1.3, 1.3, 2.5)}),
    "1316 features": (ZHAO.ct, "HU", {"spacing_mm": (2.0, 2.0, 2.0), "shape": (36, 36, 36)}),
}


@pytest.mark.parametrize("name", CASES)
def test_values_are_those_of_plain_pyradiomics(name, build):
    settings, units, facts = CASES[name]
    grid = build.grid(**facts)
    volume, mask = build.volume(grid, units), build.ball(grid)
    found = extract_roi(volume, mask, settings)
    want = plain_features(to_sitk(volume.array.astype(np.float32), grid), to_sitk(mask.array, grid), settings)
    values = {column: found.values[column] for column in settings.names()}
    assert len(want) == settings.count
    assert worst(values, want) <= 1e-9


def test_one_slice_is_as_in_plain_pyradiomics(build):
    """Across a single slice nothing is interpolated: the slice keeps its thickness."""
    grid = build.grid(spacing_mm=(1.7, 1.7, 5.0))
    array = build.ball(grid).array.copy()
    array[:, :, :12], array[:, :, 13:] = 0, 0
    volume, mask = build.volume(grid), Mask(array=array, grid=grid)
    want = plain_features(to_sitk(volume.array.astype(np.float32), grid), to_sitk(array, grid), ZHU.ct)
    assert worst(extract_roi(volume, mask, ZHU.ct).values, want) <= 1e-9


def test_whole_hu_would_give_other_values(build):
    grid = build.grid(spacing_mm=(1.5, 1.5, 3.0))
    volume, mask = build.volume(grid), build.ball(grid)
    rounded = plain_features(to_sitk(volume.array, grid), to_sitk(mask.array, grid), ZHU.ct)
    found = extract_roi(volume, mask, ZHU.ct).values
    as_float = extract_roi(Volume(array=volume.array.astype(np.float32), grid=grid, units="HU"), mask, ZHU.ct).values
    assert found == as_float
    assert rounded["original_firstorder_Mean"] != found["original_firstorder_Mean"]


def test_features_do_not_depend_on_where_the_patient_lay(build):
    """Turning and shifting the grid with its voxels changes nothing: features live in the image's own axes."""
    straight, oblique = build.grid(), build.grid(origin_mm=(12.5, -300.0, -77.7), turn_deg=20.0)
    mask = build.ball(straight)
    first = extract_roi(build.volume(straight), mask, ZHU.ct).values
    second = extract_roi(build.volume(oblique), Mask(array=mask.array, grid=oblique), ZHU.ct).values
    assert worst(second, first) <= 1e-6


def test_volume_is_that_of_the_ball_on_any_grid(build):
    want = 4 / 3 * np.pi * 12.0**3
    for facts in (
        {"spacing_mm": (1, 1, 1)},
        {"spacing_mm": (1.0, 1.0, 2.5)},
        {"spacing_mm": (1, 1, 1), "turn_deg": 30},
    ):
        grid = build.grid(shape=(40, 40, 40), **facts)
        steps = (np.indices(grid.shape) - 19.5) * np.array(grid.spacing_mm)[:, None, None, None]
        ball = Mask(array=((steps**2).sum(axis=0) <= 144).astype(np.uint8), grid=grid)
        values = extract_roi(build.volume(grid), ball, ZHU.ct).values
        assert values["original_shape_MeshVolume"] == pytest.approx(want, rel=0.03)
        assert values["original_shape_Maximum3DDiameter"] == pytest.approx(24.0, abs=2.5)


def test_image_runs_the_way_that_its_affine_says(build):
    grid = build.grid(turn_deg=15.0)
    image = to_sitk(build.volume(grid).array, grid, start=(3, 4, 5))
    ras = (grid.affine_ras @ np.array([3 + 2, 4 + 1, 5 + 6, 1.0]))[:3]
    lps = image.TransformIndexToPhysicalPoint((2, 1, 6))
    np.testing.assert_allclose(np.array(lps) * [-1, -1, 1], ras, atol=1e-5)


def test_noise_of_a_header_does_not_move_the_grid(build):
    clean = build.grid(spacing_mm=(2.0, 2.0, 3.0))
    noisy = build.grid(spacing_mm=(2.0 + 6e-8, 2.0 + 6e-8, 3.0 - 1e-7))
    mask = build.ball(clean)
    first = extract_roi(build.volume(clean), mask, ZHU.ct).values
    second = extract_roi(build.volume(noisy), Mask(array=mask.array, grid=noisy), ZHU.ct).values
    assert worst(second, first) <= 1e-6


@pytest.mark.parametrize(
    ("settings", "units"), [(ZHU.ct, "SUVbw"), (ZHU.pet, "HU"), (ZHU.fused, "SUVbw"), (ZHU.pet, "fused")]
)
def test_settings_of_another_unit_are_refused(settings, units, build):
    grid = build.grid(shape=(16, 16, 16))
    with pytest.raises(ValueError, match=f"settings are for images in {settings.units}, the image is in {units}"):
        extract_roi(build.volume(grid, units), build.ball(grid), settings)


def test_one_thread():
    assert sitk.ProcessObject.GetGlobalDefaultNumberOfThreads() == 1


def test_grey_levels_are_counted_and_few_are_flagged(build):
    grid = build.grid(spacing_mm=(1.0, 1.0, 1.0), shape=(32, 32, 32))
    array = np.where(np.indices(grid.shape)[0] % 2, 110, 140).astype(np.int16)
    settings = load_preset("zhu2024").images.ct.model_copy(
        update={"image_types": ZHU.ct.image_types.model_copy(update={"log_sigma_mm": [], "wavelet": None})}
    )
    found = extract_roi(Volume(array=array, grid=grid, units="HU"), build.ball(grid, 8), settings)
    assert found.levels == {"original": 2}
    assert [(f.feature_class, f.detail) for f in found.findings if f.code == "levels_low"] == [
        ("texture", "original 2")
    ]
