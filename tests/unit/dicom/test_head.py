"""What becomes of heads when a patient's files are de-identified or adopted."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from osteorad.dicom.adopt import adopt_patient
from osteorad.dicom.elements import read_header
from osteorad.dicom.gate import facts_of
from osteorad.dicom.head import Judged
from osteorad.dicom.places import place_of
from osteorad.dicom.uids import map_uid
from osteorad.files import read_json
from osteorad.images.volume import Grid, Mask, Volume, read_nifti
from osteorad.radiomics.engine import extract_roi
from osteorad.radiomics.presets import load_preset
from tests.unit.dicom.deid_build import KEY, outputs, reasons, run, save
from tests.unit.dicom.dicom_build import ROOT as CT_ROOT
from tests.unit.dicom.dicom_build import convert
from tests.unit.dicom.head_build import CHIN_MM, LUNGS_MM, Body, contours, scout, write_ct, write_pet

WHOLE = Body(arms="up", bottom_mm=0, top_mm=480)
CHEST = replace(WHOLE, top_mm=180)
FRAME = map_uid(KEY, f"{CT_ROOT}.77")


@pytest.fixture(scope="module")
def export(tmp_path_factory) -> list[Path]:
    """CT and PET of a whole upper body, 12 mm apart; read only."""
    folder = tmp_path_factory.mktemp("export")
    return [*write_ct(folder, WHOLE, every=2), *write_pet(folder, WHOLE)]


def by_height(manifest: dict[str, Any], modality: str) -> dict[float, pydicom.Dataset]:
    """Data sets of a modality that were written, by height."""
    found = [pydicom.dcmread(path) for path in outputs(manifest)]
    return {float(ds.ImagePositionPatient[2]): ds for ds in found if modality == ds.Modality}


def plane_of(manifest: dict[str, Any]) -> float:
    return manifest["head"]["frames_of_reference"][FRAME]["plane_mm"]


# --- blank ------------------------------------------------------------------------------------------------------------


def test_blank_replaces_every_slice_above_the_neck_and_no_byte_below(export, tmp_path):
    kept, blank = run(export, tmp_path / "keep"), run(export, tmp_path / "blank", head="blank")
    plane = plane_of(blank)
    assert LUNGS_MM < plane <= CHIN_MM
    assert len(kept["files"]) == len(blank["files"]) == len(export)
    for modality, air in (("CT", 0), ("PT", 0)):
        before, after = by_height(kept, modality), by_height(blank, modality)
        assert before.keys() == after.keys()
        for z, ds in after.items():
            if z <= plane:
                assert ds.PixelData == before[z].PixelData
            else:
                assert set(np.unique(ds.pixel_array)) == {air}
                assert ds.pixel_array.shape == before[z].pixel_array.shape
            assert (ds.RescaleSlope, ds.RescaleIntercept) == (before[z].RescaleSlope, before[z].RescaleIntercept)
            assert ds.RecognizableVisualFeatures == "NO"
            assert "113102" in [c.CodeValue for c in ds.DeidentificationMethodCodeSequence]
    for ds in by_height(kept, "CT").values():
        assert "RecognizableVisualFeatures" not in ds
        assert "113102" not in [c.CodeValue for c in ds.DeidentificationMethodCodeSequence]
    assert kept["pixel_hashes"] == blank["pixel_hashes"]  # the same person, whatever becomes of the face


def test_the_manifest_says_what_became_of_each_series(export, tmp_path):
    told = read_json(run(export, tmp_path, head="blank")["out"] / "images.json")["head"]
    assert told["setting"] == "blank"
    assert told["frames_of_reference"][FRAME]["state"] == "shown"
    plane = told["frames_of_reference"][FRAME]["plane_mm"]
    assert len(told["series"]) == 2
    for row in told["series"].values():
        assert row["head"] == "blanked"
        assert row["above_mm"] == pytest.approx(plane - WHOLE.bottom_mm)
        assert row["slices_blanked"] > 10
    assert read_json(run(export, tmp_path / "k")["out"] / "images.json")["head"] == {
        "setting": "keep",
        "frames_of_reference": {},
        "series": {},
    }


@pytest.fixture(scope="module")
def converted(export, tmp_path_factory) -> dict[str, dict[str, tuple[np.ndarray, Grid]]]:
    """Setting -> image -> array and grid, and under `plane` the height of the neck."""
    volumes: dict[str, Any] = {}
    for setting in ("keep", "blank"):
        work = tmp_path_factory.mktemp(setting)
        manifest = run(export, work, head=setting)
        made = convert(manifest["out"], work, manifest=manifest["out"] / "images.json")
        volumes[setting] = {row["image"]: read_nifti(work / "images" / row["path"]) for row in made["images"]}
        assert {row["head_plane_mm"] for row in made["images"]} == {plane_of(manifest) if setting == "blank" else None}
    return volumes | {"plane": plane_of(manifest)}


def test_masks_of_an_image_without_frame_of_reference_end_at_its_neck_too(tmp_path):
    def bare(ds: pydicom.Dataset) -> None:
        del ds.FrameOfReferenceUID

    manifest = run(write_ct(tmp_path / "in", WHOLE, edit=bare), tmp_path, head="blank")
    made = convert(manifest["out"], tmp_path, manifest=manifest["out"] / "images.json")
    ((name, frame),) = manifest["head"]["frames_of_reference"].items()
    assert [(row["frame_of_reference"], row["head_plane_mm"]) for row in made["images"]] == [("", frame["plane_mm"])]
    assert LUNGS_MM < frame["plane_mm"] <= CHIN_MM
    assert name == f"series {made['images'][0]['series_uid']}"


def test_volumes_below_the_neck_are_bit_equal(converted):
    plane = converted["plane"]
    assert set(converted["keep"]) == {"ct", "pet"}
    for image, (array, grid) in converted["blank"].items():
        before, affine = converted["keep"][image][0], grid.affine_ras
        assert np.array_equal(affine, converted["keep"][image][1].affine_ras)
        z = affine[2, 3] + affine[2, 2] * np.arange(array.shape[2])
        assert np.array_equal(array[:, :, z <= plane], before[:, :, z <= plane])
        above = array[:, :, z > plane + 0.01]
        assert above.shape[2] > 10
        assert set(np.unique(above)) == {-1024.0 if image == "ct" else 0.0}
        assert (before[:, :, z > plane + 0.01] > -300).any()


@pytest.mark.parametrize("image", ["ct", "pet"])
@pytest.mark.parametrize(("preset", "top_mm"), [("zhu2024", 75.0), ("lesion-table", 220.0)])
def test_features_below_the_neck_are_bit_equal(converted, image, preset, top_mm):
    """Features with all filters, on the image's own voxels: those of lesions below the neck (and its padding)."""
    settings = getattr(load_preset(preset).images, image).model_copy(update={"spacing_mm": None})
    found = {}
    for setting in ("keep", "blank"):
        array, grid = converted[setting][image]
        z = grid.affine_ras[2, 3] + grid.affine_ras[2, 2] * np.arange(array.shape[2])
        for name, top in (("spine", top_mm), ("skull", 395.0)):
            mask = np.zeros(array.shape, dtype=np.uint8)
            mask[30:34, 34:38, (z > top - 40) & (z < top)] = 1
            volume = Volume(array=array, grid=grid, units=settings.units)
            found[setting, name] = dict(extract_roi(volume, Mask(array=mask, grid=grid), settings).values)
    assert len(found["keep", "spine"]) >= settings.count
    assert found["keep", "spine"] == found["blank", "spine"]
    assert found["keep", "skull"] != found["blank", "skull"]


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, DeflatedExplicitVRLittleEndian, RLELossless])
def test_every_transfer_syntax_can_be_blanked(tmp_path, syntax):
    def compressed(ds: pydicom.Dataset) -> None:
        ds.SmallestImagePixelValue, ds.LargestImagePixelValue, ds.PixelPaddingValue = 0, 3000, 0
        if syntax == RLELossless:
            ds.compress(RLELossless)
        else:
            ds.file_meta.TransferSyntaxUID = syntax

    paths = write_ct(tmp_path / "in", WHOLE, every=2, edit=compressed)
    result = run(paths, tmp_path, head="blank")
    assert result["set_aside"] == []
    for z, ds in by_height(result, "CT").items():
        blank = z > plane_of(result)
        assert (np.unique(ds.pixel_array).tolist() == [0]) is blank
        assert ("LargestImagePixelValue" in ds) is not blank


def test_a_scan_of_the_chest_loses_nothing(tmp_path):
    paths = [*write_ct(tmp_path / "in", CHEST), *write_pet(tmp_path / "in", CHEST)]
    for setting in ("blank", "quarantine"):
        result = run(paths, tmp_path / setting, head=setting)
        assert result["set_aside"] == []
        assert {row["head"] for row in result["head"]["series"].values()} == {"none"}
        assert by_height(result, "CT")[0.0].RecognizableVisualFeatures == "NO"


def test_order_of_files_and_direction_of_slices_do_not_matter(export, tmp_path):
    turned = write_ct(tmp_path / "in", WHOLE, every=2)
    for n, path in enumerate(sorted(turned)):
        path.rename(path.with_name(f"{(n * 37) % 97:03d}-{n}.dcm"))
    ct = [path for path in export if path.name.startswith("1-")]
    assert plane_of(run(sorted((tmp_path / "in").iterdir()), tmp_path / "a", head="blank")) == plane_of(
        run(ct, tmp_path / "b", head="blank")
    )


# --- what cannot be blanked goes --------------------------------------------------------------------------------------


def test_a_scout_goes_only_where_it_reaches_the_head(tmp_path):
    files = write_ct(tmp_path / "in", WHOLE, every=2)
    long, short = scout(tmp_path / "long", 0, 480), scout(tmp_path / "short", 0, 180)
    for path, gone in ((long, ["head_shown"]), (short, [])):
        result = run([*files, path], tmp_path / path.parent.name, head="blank")
        assert reasons(result) == gone
        assert len(result["files"]) + len(result["set_aside"]) == len(files) + 1


@pytest.mark.parametrize("setting", ["blank", "quarantine"])
def test_a_pet_without_ct_is_not_let_through(tmp_path, setting):
    paths = write_pet(tmp_path / "in", CHEST)
    result = run(paths, tmp_path, head=setting)
    assert reasons(result) == ["head_unknown"] * len(paths)
    assert {row["kind"] for row in result["set_aside"]} == {"quarantined"}


def test_a_ct_that_cannot_be_decoded_is_not_let_through(tmp_path):
    def strange(ds: pydicom.Dataset) -> None:
        ds.BitsStored = 0

    paths = write_ct(tmp_path / "in", CHEST, edit=strange)
    result = run(paths, tmp_path, head="blank")
    assert reasons(result) == ["head_unknown"] * len(paths)


def test_a_ct_with_a_pixel_size_that_no_body_fits_into_is_not_let_through(tmp_path):
    def tiny(ds: pydicom.Dataset) -> None:
        ds.PixelSpacing = [0.001, 0.001]

    paths = write_ct(tmp_path / "in", CHEST, edit=tiny)
    assert reasons(run(paths, tmp_path, head="blank")) == ["head_unknown"] * len(paths)


def test_a_head_alone_is_not_written_as_air(tmp_path):
    paths = write_ct(tmp_path / "in", replace(WHOLE, bottom_mm=290))
    assert reasons(run(paths, tmp_path, head="blank")) == ["head_shown"] * len(paths)


def test_a_series_wholly_above_the_neck_goes(tmp_path):
    """A CT of the brain beside one of the whole upper body: blanked, nothing of it would be left."""
    files, brain = write_ct(tmp_path / "in", WHOLE, every=2), replace(WHOLE, bottom_mm=300)
    more = write_ct(tmp_path / "brain", brain, every=2, uid="8")
    result = run([*files, *more], tmp_path, head="blank")
    assert [(row["reason"], row["detail"]) for row in result["set_aside"]] == [
        ("head_shown", "nothing of it lies below the neck")
    ] * len(more)


def test_another_series_of_the_same_frame_is_cut_at_the_same_plane(tmp_path):
    """A reconstruction of head and neck that no trunk is seen in; alone it could not be blanked."""
    files = write_ct(tmp_path / "in", WHOLE, every=2)
    small = write_ct(tmp_path / "small", replace(WHOLE, bottom_mm=216), every=1, uid="8")
    result = run([*files, *small], tmp_path, head="blank")
    assert result["set_aside"] == []
    assert all(row["head"] == "blanked" for row in result["head"]["series"].values())
    assert set(reasons(run(small, tmp_path / "alone", head="blank"))) == {"head_shown"}


def test_quarantine_holds_back_the_whole_series(export, tmp_path):
    result = run(export, tmp_path, head="quarantine")
    assert reasons(result) == ["head_shown"] * len(export)
    assert outputs(result) == []


def test_the_header_still_holds_back_what_it_calls_recognizable(tmp_path):
    def told(ds: pydicom.Dataset) -> None:
        ds.RecognizableVisualFeatures = "YES"

    paths = write_ct(tmp_path / "in", CHEST, edit=told)
    assert set(reasons(run(paths, tmp_path, head="blank"))) == {"recognizable_features"}


def test_a_multi_frame_object_is_placed_by_its_frames(shared_data):
    path = shared_data("ingest/enhanced/ect_supplemental_crop64.dcm")
    file = read_header(path)
    place = place_of(file, facts_of(file), path)
    assert (place.stack, place.axial) == (True, False)
    assert (place.low_mm, place.high_mm) == (-159, -149)
    neck = Judged(state="shown", plane_mm=-155.0, clear_to_mm=-155.0, why="")
    assert (neck.at(place.high_mm), neck.at(-160.0)) == ("head", "clear")


# --- contours ---------------------------------------------------------------------------------------------------------


def drawn(path: Path) -> dict[int, list[float]]:
    """ROI number -> heights of its contours."""
    found = pydicom.dcmread(path)
    return {
        int(item.ReferencedROINumber): [float(c.ContourData[2]) for c in item.ContourSequence]
        for item in found.ROIContourSequence
    }


def test_contours_above_the_neck_go_with_the_head(export, tmp_path):
    rs = save(contours({1: [60, 72], 2: [180, 192, 300, 312], 3: [400]}), tmp_path / "in" / "rs.dcm")
    images = run(export, tmp_path, head="blank")["out"] / "images.json"
    result = run([rs], tmp_path, "contours", head="blank", images=images)
    assert drawn(outputs(result)[0]) == {1: [60, 72], 2: [180, 192], 3: []}
    assert result["files"][0]["above_neck"] == {"2": 2, "3": 1}
    kept = run([rs], tmp_path / "keep", "contours")
    assert drawn(outputs(kept)[0]) == {1: [60, 72], 2: [180, 192, 300, 312], 3: [400]}
    assert "above_neck" not in kept["files"][0]


@pytest.mark.parametrize(("heights", "gone"), [([60], []), ([60, 300], ["head_shown"])])
def test_quarantine_holds_back_contours_of_a_head(export, tmp_path, heights, gone):
    rs = save(contours({1: heights}), tmp_path / "in" / "rs.dcm")
    images = run(export, tmp_path, head="quarantine")["out"] / "images.json"
    assert reasons(run([rs], tmp_path, "contours", head="quarantine", images=images)) == gone


def test_contours_of_an_unknown_frame_are_held_back(export, tmp_path):
    ds = contours({1: [60]})
    ds.StructureSetROISequence[0].ReferencedFrameOfReferenceUID = "1.2.3.4.5.6.7.8.9"
    rs = save(ds, tmp_path / "in" / "rs.dcm")
    images = run(export, tmp_path, head="blank")["out"] / "images.json"
    assert reasons(run([rs], tmp_path, "contours", head="blank", images=images)) == ["head_unknown"]


# --- taken over in place ----------------------------------------------------------------------------------------------


def adopt(paths: list[Path], root: Path, out: Path, part: str = "images", **more: Any) -> dict[str, Any]:
    return adopt_patient(
        paths, cohort="c", patient="p", part=part, source_root=root, manifest=out, files_in=len(paths), **more
    )


def test_adoption_holds_heads_back(tmp_path):
    whole, chest = write_ct(tmp_path / "in/a", WHOLE, every=2), write_ct(tmp_path / "in/b", CHEST)
    rs = save(contours({1: [60, 300]}), tmp_path / "in" / "rs.dcm")
    out = tmp_path / "out" / "images.json"
    for paths, gone in ((whole, len(whole)), (chest, 0)):
        assert len(adopt(paths, tmp_path / "in", out)["set_aside"]) == 0
        held = adopt(paths, tmp_path / "in", out, head="quarantine")
        assert reasons(held) == ["head_shown"] * gone
        assert len(held["files"]) + len(held["set_aside"]) == len(paths)
        told = adopt([rs], tmp_path / "in", tmp_path / "out/c.json", "contours", head="quarantine", images=out)
        assert reasons(told) == (["head_shown"] if gone else ["head_unknown"])
