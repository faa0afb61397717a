import math

import pytest

from osteorad.cohort import schemas
from osteorad.errors import ConfigError
from osteorad.files import read_json, read_parquet, write_json
from osteorad.radiomics.extract import extract_patient
from osteorad.radiomics.presets import feature_names, load_preset
from osteorad.radiomics.tables import read_facts, software

ROIS = ["lesion", "marrow"]


def run(patient, preset="lesion-table", rois=ROIS, name="out"):
    table, reasons = patient.root / f"{name}.parquet", patient.root / f"{name}.reasons.parquet"
    extract_patient(**patient.write(), preset=preset, rois=rois, out_table=table, out_reasons=reasons)
    return table, reasons


def rows(path):
    return read_parquet(path).to_pylist()


def keys(found):
    return [(row["session"], row["image"], row["roi"], row["lesion"]) for row in found]


def missing(row, names):
    return [name for name in names if math.isnan(row[name])]


def test_every_roi_gets_a_row_on_every_image_and_missing_ones_a_reason(pet_ct):
    table, reasons = run(pet_ct())
    found, why = rows(table), rows(reasons)
    assert keys(found) == [
        ("s01", "ct", "lesion", 1),
        ("s01", "ct", "lesion", 2),
        ("s01", "ct", "marrow", 1),
        ("s01", "pet", "lesion", 1),
        ("s01", "pet", "lesion", 2),
        ("s01", "pet", "marrow", 1),
    ]
    for row in found:
        names = feature_names("lesion-table", row["image"])
        lost = keys([row])[0] == ("s01", "pet", "lesion", 2)
        assert missing(row, names) == (names if lost else [])
    assert [(r["image"], r["lesion"], r["feature_class"], r["kind"], r["reason"]) for r in why] == [
        ("pet", 2, "all", "missing", "contour_unpaired")
    ]


def test_tables_have_the_columns_of_the_contract(pet_ct):
    table, reasons = run(pet_ct())
    schema = read_parquet(table).schema
    assert schema.names == [*schemas.FEATURE_KEYS, *load_preset("lesion-table").columns()]
    assert {str(schema.field(name).type) for name in schema.names[7:]} == {"double"}
    assert read_parquet(reasons).schema.equals(schemas.REASONS)
    row = rows(table)[0]
    assert (row["cohort"], row["patient"], row["mask_set"]) == ("test", "p000000000001", "manual")


def test_fused_images_take_the_contour_of_the_ct(pet_ct):
    patient = pet_ct()
    patient.masks = [mask for mask in patient.masks if mask["roi"] == "lesion"]
    patient.masks = [mask for mask in patient.masks if mask["lesion"] == 1]
    table, _ = run(patient, preset="zhu2024", rois=["lesion"])
    found = {row["image"]: row for row in rows(table)}
    assert sorted(found) == ["ct", "fused", "pet"]
    for image, row in found.items():
        assert missing(row, feature_names("zhu2024", image)) == []
    assert found["fused"]["original_shape_MeshVolume"] == found["ct"]["original_shape_MeshVolume"]
    assert found["fused"]["original_shape_MeshVolume"] != found["pet"]["original_shape_MeshVolume"]
    assert found["fused"]["original_firstorder_Mean"] != found["ct"]["original_firstorder_Mean"]


def test_a_lesion_on_the_pet_alone_is_unpaired_on_the_ct(pet_ct):
    patient = pet_ct()
    patient.masks = [mask for mask in patient.masks if mask["image"] == "pet" and mask["roi"] == "lesion"]
    table, reasons = run(patient)
    assert keys(rows(table)) == [("s01", "ct", "lesion", 1), ("s01", "pet", "lesion", 1)]
    assert [(row["image"], row["reason"]) for row in rows(reasons)] == [("ct", "contour_unpaired")]


def test_a_second_ct_gets_rows_for_its_own_contours_only(build, pet_ct):
    patient = pet_ct()
    grid = build.grid(spacing_mm=(1.5, 1.5, 3.0))
    patient.add_image("ct-2", build.volume(grid))
    patient.add_mask("ct-2", build.ball(grid))
    found = keys(rows(run(patient)[0]))
    assert [key[1:] for key in found if key[1] == "ct-2"] == [("ct-2", "lesion", 1)]


def test_sessions_keep_to_themselves(build, pet_ct):
    patient = pet_ct()
    grid = build.grid()
    patient.add_image("ct", build.volume(grid, seed=4), session="s02")
    patient.add_mask("ct", build.ball(grid), session="s02")
    patient.add_image("ct", build.volume(grid, seed=5), session="s03")
    found = keys(rows(run(patient)[0]))
    assert [key for key in found if key[0] != "s01"] == [("s02", "ct", "lesion", 1)]


def test_only_the_images_that_are_asked_for(pet_ct):
    patient = pet_ct()
    paths = {"out_table": patient.root / "t.parquet", "out_reasons": patient.root / "r.parquet"}
    extract_patient(**patient.write(), preset="lesion-table", rois=ROIS, wanted_images=["pet"], **paths)
    assert [key[1:] for key in keys(rows(paths["out_table"]))] == [
        ("pet", "lesion", 1),
        ("pet", "lesion", 2),
        ("pet", "marrow", 1),
    ]
    assert [row["reason"] for row in rows(paths["out_reasons"])] == ["contour_unpaired"]


def test_only_the_rois_that_are_asked_for(pet_ct):
    assert {key[2] for key in keys(rows(run(pet_ct(), rois=["marrow"])[0]))} == {"marrow"}


def test_a_bad_roi_costs_its_own_row_alone(build, pet_ct):
    patient = pet_ct()
    grid = build.grid()
    patient.add_mask("ct", build.mask(grid), lesion=3)
    patient.add_mask("ct", build.mask(grid, (5, 5, 5), (6, 5, 5), (7, 5, 5)), lesion=4)
    patient.add_mask("ct", build.ball(build.grid(shape=(20, 20, 20))), lesion=5)
    patient.images = [image for image in patient.images if image["image"] == "ct"]
    patient.masks = [mask for mask in patient.masks if mask["roi"] == "lesion" and mask["lesion"] != 1]
    table, reasons = run(patient, preset="zhu2024", rois=["lesion"])
    lost = {(r["lesion"], r["reason"]) for r in rows(reasons) if r["kind"] == "missing" and r["image"] == "ct"}
    assert lost == {(3, "roi_empty"), (4, "roi_too_few_dimensions"), (5, "roi_geometry")}
    names = feature_names("zhu2024", "ct")
    found = {row["lesion"]: len(missing(row, names)) for row in rows(table) if row["image"] == "ct"}
    assert found == {2: 0, 3: 1197, 4: 1197, 5: 1197}


def test_a_patient_without_contours_has_an_empty_table(build, new_patient):
    patient = new_patient()
    patient.add_image("ct", build.volume(build.grid()))
    table, reasons = run(patient)
    assert rows(table) == rows(reasons) == []
    assert read_parquet(table).num_columns == 7 + 18


def test_metadata_say_how_the_table_was_made(pet_ct):
    patient = pet_ct()
    facts = read_facts(read_parquet(run(patient)[0]))
    preset = load_preset("lesion-table")
    assert (facts["preset"], facts["preset_hash"]) == ("lesion-table", preset.hash())
    assert facts["software"] == software()
    assert facts["software"]["pyradiomics-bhklab"] == "3.1.4"
    hashes = {f"{entry['session']}/{entry['image']}": entry["sha256"] for entry in patient.images}
    hashes |= {
        f"{entry['session']}/{entry['image']}/{entry['roi']}-{entry['lesion']}": entry["sha256"]
        for entry in patient.masks
    }
    assert facts["inputs"] == hashes
    assert facts["settings"]["ct"]["bin_width_hu"] == 25
    assert facts["pixel_type"].startswith("float32")


def test_bytes_do_not_depend_on_folder_or_order(pet_ct):
    first, second = pet_ct(folder="a"), pet_ct(folder="b")
    second.images.reverse()
    second.masks.reverse()
    for one, other in zip(run(first), run(second), strict=True):
        assert one.read_bytes() == other.read_bytes()
        assert str(first.root).encode() not in one.read_bytes()


def test_a_pet_under_hu_settings_is_refused(pet_ct):
    patient = pet_ct()
    paths = patient.write()
    manifest = read_json(paths["images"])
    for entry in manifest["images"]:
        entry["units"] = "HU"
    write_json(paths["images"], manifest)
    with pytest.raises(ValueError, match="settings are for images in SUVbw, the image is in HU"):
        extract_patient(
            **paths,
            preset="lesion-table",
            rois=ROIS,
            out_table=patient.root / "t.parquet",
            out_reasons=patient.root / "r.parquet",
        )
    assert not (patient.root / "t.parquet").exists()


def test_an_unknown_preset_is_an_error_of_the_user(pet_ct):
    with pytest.raises(ConfigError, match="Did you mean 'lesion-table'"):
        run(pet_ct(), preset="lesion_table")
