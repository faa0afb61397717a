import pytest
import yaml
from radiomics import getFeatureClasses

from osteorad.cohort import recipe
from osteorad.errors import ConfigError
from osteorad.radiomics import names, presets

CLASS_COUNTS = {"shape": 14, "firstorder": 18, "glcm": 24, "gldm": 14, "glrlm": 16, "glszm": 16, "ngtdm": 5}


def content(name="zhu2024"):
    return yaml.safe_load((presets.FOLDER / f"{name}.yaml").read_text())


def class_counts(preset, image):
    found = {}
    for column in presets.feature_names(preset, image):
        found[names.parts(column)[1]] = found.get(names.parts(column)[1], 0) + 1
    return found


def test_names_are_those_of_the_installed_pyradiomics():
    for feature_class, ours in names.FEATURES.items():
        theirs = getFeatureClasses()[feature_class].getFeatureNames()
        assert list(ours) == sorted(name for name, deprecated in theirs.items() if not deprecated)
        assert len(ours) == CLASS_COUNTS[feature_class]
        for name in names.ON_REQUEST.get(feature_class, ()):
            assert theirs[name] is True


@pytest.mark.parametrize("image", ["ct", "fused"])
@pytest.mark.parametrize(
    ("preset", "total", "image_types", "glcm"), [("zhu2024", 1197, 13, 22), ("zhao2024", 1316, 14, 24)]
)
def test_counts_of_the_papers(preset, total, image_types, glcm, image):
    want = {name: count * image_types for name, count in CLASS_COUNTS.items()}
    assert class_counts(preset, image) == {**want, "shape": 14, "glcm": glcm * image_types}
    assert len(set(presets.feature_names(preset, image))) == total


def test_pet_has_the_same_features_and_metabolic_ones():
    ct, pet = presets.feature_names("zhu2024", "ct"), presets.feature_names("zhu2024", "pet")
    assert pet[: len(ct)] == ct
    assert {"suv_Max", "suv_Mean", "suv_Peak", "suv_MTV-41", "suv_TLG-41", "suv_MTV-4", "suv_TLG-4"} <= set(pet[1197:])


def test_names_are_known_to_the_settings():
    assert tuple(sorted(recipe.PRESETS)) == tuple(presets.preset_names())


def test_every_preset_says_what_it_assumes():
    for name in ("zhu2024", "zhao2024"):
        assert len(presets.load_preset(name).assumed) >= 3


def test_second_ct_has_the_settings_of_the_first_and_a_mask_none():
    preset = presets.load_preset("zhu2024")
    assert preset.settings("ct-2") is preset.settings("ct")
    assert preset.settings("mr") is None
    assert presets.feature_names("lesion-table", "fused") == []


def test_a_wrong_count_is_refused():
    wrong = content()
    wrong["images"]["ct"]["image_types"] = {"wavelet": "coif1"}
    with pytest.raises(ConfigError, match=r"images\.ct: these settings give 833 features, `count` says 1197"):
        presets.parse_preset(wrong, "here")


@pytest.mark.parametrize(
    ("image", "key", "value", "message"),
    [
        ("pet", "bin_width_hu", 25, "Extra inputs are not permitted"),
        ("pet", "bin_width_suv", 25, "less than or equal to 5"),
        ("ct", "bin_width_hu", 0.25, "greater than or equal to 1"),
        ("fused", "bin_width_fused", 25, "less than 0.5"),
        ("ct", "padd_voxels", 3, "Extra inputs are not permitted"),
        ("ct", "minimum_dimensions", 0, "one voxel has no texture"),
    ],
)
def test_settings_of_another_image_are_refused(image, key, value, message):
    wrong = content()
    wrong["images"][image] = {**wrong["images"][image], key: value}
    with pytest.raises(ConfigError, match=message):
        presets.parse_preset(wrong, "here")


def test_a_misspelt_feature_and_preset_get_the_nearest_name():
    wrong = content()
    wrong["images"]["ct"]["classes"] = {"glcm": ["Contrst"]}
    with pytest.raises(ConfigError, match="Did you mean 'Contrast'"):
        presets.parse_preset(wrong, "here")
    with pytest.raises(ConfigError, match="Did you mean 'zhu2024'"):
        presets.load_preset("zhu2042")


def test_thresholds_that_would_share_a_column_are_refused():
    wrong = content()
    wrong["images"]["pet"]["suv"] = {"fixed": [41], "percent": [41]}
    with pytest.raises(ConfigError, match="share a column"):
        presets.parse_preset(wrong, "here")


def test_hash_follows_values_and_not_words():
    base = presets.parse_preset(content(), "here")
    words, values = content(), content()
    words["title"] = "other words"
    values["images"]["ct"]["pad_voxels"] = 11
    assert presets.parse_preset(words, "here").hash() == base.hash()
    assert presets.parse_preset(values, "here").hash() != base.hash()


@pytest.mark.parametrize(
    ("column", "unit", "ibsi"),
    [
        ("original_shape_VoxelVolume", "mm3", "morph_vol_approx"),
        ("original_shape_MeshVolume", "mm3", "morph_volume"),
        ("original_shape_SurfaceArea", "mm2", "morph_area_mesh"),
        ("original_shape_SurfaceVolumeRatio", "mm-1", "morph_av"),
        ("original_shape_Maximum3DDiameter", "mm", "morph_diam"),
        ("original_firstorder_Mean", "image", "stat_mean"),
        ("wavelet-LLH_firstorder_Variance", "image2", "stat_var"),
        ("log-sigma-1-0-mm-3D_glcm_MCC", "1", None),
        ("suv_Peak", "SUV", "loc_peak_glob"),
        ("suv_TLG-41", "SUV ml", None),
    ],
)
def test_columns_say_what_their_numbers_mean(column, unit, ibsi):
    facts = names.column_metadata(column, ["pet"])
    assert facts["unit"] == unit
    assert facts.get("ibsi") == ibsi
    assert (facts["filter"], facts["class"]) == names.parts(column)[:2]


def test_ibsi_tags_stand_at_names_that_exist():
    known = {f"{group}_{name}" for group, found in names.FEATURES.items() for name in found}
    known |= {f"{group}_{name}" for group, found in names.ON_REQUEST.items() for name in found}
    assert set(names.ibsi_tags()) <= known | set(names.suv_names([], []))
