"""Features of the masks that one fold's networks drew."""

from __future__ import annotations

import math

import pytest

from osteorad.cohort import fold_samples
from osteorad.cohort.fold_facts import FoldFacts, fold_facts
from osteorad.errors import UserError
from osteorad.files import read_json, read_parquet, write_json
from osteorad.images.volume import write_nifti
from osteorad.provenance import sha256_file
from osteorad.radiomics import tables
from osteorad.radiomics.extract import extract_patient
from osteorad.radiomics.fold_features import extract_fold_features
from osteorad.radiomics.presets import feature_names
from osteorad.radiomics.tables import read_facts

NAMES = ("p00000000000a", "p00000000000b", "p00000000000c", "p00000000000d")
PRESET = "lesion-table"
ROI = "bone"


@pytest.fixture
def fold(build, new_patient, tmp_path):
    """Four patients: a region, none found, an empty file, no image to draw on. Arguments of the extraction."""
    grid = build.grid()
    folder = tmp_path / "folds/r1f2/masks/unet"
    images, entries = [], []
    for seed, name in enumerate(NAMES):
        patient = new_patient(name)
        patient.add_image("ct", build.volume(grid, seed=seed))
        images.append(patient.write()["images"])
        masks = []
        if seed in (0, 2):
            mask = build.ball(grid) if seed == 0 else build.mask(grid)
            path = folder / name / "s01/ct/bone-1.nii.gz"
            write_nifti(path, mask.array, mask.grid.affine_ras)
            entry = {"session": "s01", "image": "ct", "roi": ROI, "lesion": 1, "path": "s01/ct/bone-1.nii.gz"}
            masks.append({**entry, "sha256": sha256_file(path), "flags": []})
        own = folder / name / "masks.json"
        write_json(own, {"cohort": "test", "patient": name, "set": "auto-unet", "masks": masks})
        left_out = [{"session": "s01", "reason": "image_absent"}] if seed == 3 else []
        entries.append(
            {
                "patient": name,
                "sessions": [] if left_out else ["s01"],
                "role": "external",
                "networks": ["i1"],
                "sha256": sha256_file(own),
                "path": f"{name}/masks.json",
                "left_out": left_out,
            }
        )
    manifest = {"cohort": "test", "network": "unet", "repeat": 1, "fold": 2, "set": "auto-unet", "patients": entries}
    write_json(folder / "masks.json", manifest)
    outs = {"out_table": tmp_path / "features.parquet", "out_reasons": tmp_path / "reasons.parquet"}
    asked = {"preset": PRESET, "roi": ROI, "wanted_images": ["ct"]}
    return {"masks": folder / "masks.json", "images": images, "grids": [], **asked, **outs}


def test_a_region_has_the_features_of_the_same_mask_drawn_by_a_person(fold, tmp_path):
    extract_fold_features(**fold)
    table, reasons = tmp_path / "one.parquet", tmp_path / "one.reasons.parquet"
    masks = fold["masks"].parent / NAMES[0] / "masks.json"
    extract_patient(fold["images"][0], masks, [], preset=PRESET, rois=[ROI], out_table=table, out_reasons=reasons)
    expected, found = read_parquet(table).to_pylist()[0], read_parquet(fold["out_table"]).to_pylist()[0]
    names = feature_names(PRESET, "ct")
    assert [found[name] for name in names] == [expected[name] for name in names]
    assert (found["patient"], found["roi"], found["lesion"], found["mask_set"]) == (NAMES[0], ROI, 1, "auto-unet")


def test_a_region_that_was_not_found_is_a_row_with_a_reason(fold):
    extract_fold_features(**fold)
    rows = {row["patient"]: row for row in read_parquet(fold["out_table"]).to_pylist()}
    assert list(rows) == list(NAMES[:3])  # on the last one nothing could be drawn
    for name in NAMES[1:3]:
        assert (rows[name]["session"], rows[name]["image"], rows[name]["lesion"]) == ("s01", "ct", 1)
        assert all(math.isnan(rows[name][feature]) for feature in feature_names(PRESET, "ct"))
    why = [(row["patient"], row["reason"], row["kind"]) for row in read_parquet(fold["out_reasons"]).to_pylist()]
    assert [entry for entry in why if entry[1] == "roi_empty"] == [
        (name, "roi_empty", "missing") for name in NAMES[1:3]
    ]


def test_the_table_says_of_which_fold_and_masks_it_is(fold):
    extract_fold_features(**fold)
    table = read_parquet(fold["out_table"])
    assert fold_facts(table) == FoldFacts(repeat=1, fold=2, network="unet", masks=sha256_file(fold["masks"]))
    assert read_facts(table)["preset"] == PRESET
    assert list(read_facts(table)["inputs"]) == list(NAMES[:3])
    assert b"unit" in table.schema.field("original_shape_VoxelVolume").metadata
    assert fold_samples.EXTRACTOR == tables.METADATA_KEY


def test_twice_the_same_bytes(fold, tmp_path):
    extract_fold_features(**fold)
    again = {"out_table": tmp_path / "again.parquet", "out_reasons": tmp_path / "again.reasons.parquet"}
    extract_fold_features(**{**fold, **again, "images": fold["images"][::-1]})
    for name, path in again.items():
        assert sha256_file(path) == sha256_file(fold[name])


def test_other_masks_than_the_manifest_names_stop(fold):
    own = fold["masks"].parent / NAMES[0] / "masks.json"
    write_json(own, {**read_json(own), "masks": []})
    with pytest.raises(UserError, match="is not the file that"):
        extract_fold_features(**fold)


def test_a_drawn_patient_without_images_stops(fold):
    with pytest.raises(UserError, match=f"patient {NAMES[0]} was drawn"):
        extract_fold_features(**{**fold, "images": fold["images"][1:]})
