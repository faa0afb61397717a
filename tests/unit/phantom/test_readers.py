"""The phantom's DICOM as programs that we did not write read it: SimpleITK, dcm2niix, highdicom, pydicom."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from datetime import datetime
from functools import cache
from importlib.resources import files as package_files
from pathlib import Path

import highdicom as hd
import nibabel as nib
import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813

from osteorad.phantom.scan import Session
from osteorad.phantom.series import outside_circle

from .conftest import Export

Exports = Callable[[int], Export]
Sessions = Callable[[int], Session]
CT, SHARP, PET = 3, 4, 5


def generator_geometry(export: Export, modality: str) -> tuple[np.ndarray, np.ndarray, list[int]]:
    image = export.manifest["truth"]["sessions"][0]["images"][modality]
    return np.array(image["spacing_xyz_mm"]), np.array(image["origin_lps_mm"]), image["shape_zyx"]


def expected_hu(session: Session) -> np.ndarray:
    """GE stores its padding value outside the circle: -2000 - 1024."""
    hu = np.asarray(session.ct.array).astype(int)
    if session.facts.vendor == "ge":
        hu[:, outside_circle(session.ct.frame)] = -3024
    return hu


def unit_per_suv(export: Export) -> float:
    return export.manifest["truth"]["sessions"][0]["pet"]["unit_per_suv"]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_simpleitk_reads_the_ct_as_generated(number: int, exports: Exports, sessions: Sessions, tmp_path: Path) -> None:
    image = read_by_simpleitk(exports(number).series_folder(tmp_path, "CT", CT))
    spacing, origin, _ = generator_geometry(exports(number), "CT")
    assert (sitk.GetArrayFromImage(image) == expected_hu(sessions(number))).all()
    np.testing.assert_allclose(image.GetSpacing(), spacing, atol=2e-4)
    np.testing.assert_allclose(image.GetOrigin(), origin, atol=1e-4)
    np.testing.assert_allclose(image.GetDirection(), np.eye(3).ravel(), atol=1e-6)


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_simpleitk_reads_the_pet_as_generated(
    number: int, exports: Exports, sessions: Sessions, tmp_path: Path
) -> None:
    image = read_by_simpleitk(exports(number).series_folder(tmp_path, "PT", PET))
    spacing, origin, _ = generator_geometry(exports(number), "PT")
    want = np.asarray(sessions(number).pet.array) * unit_per_suv(exports(number))
    slopes = np.array([float(ds.RescaleSlope) for ds in exports(number).series("PT", PET)])
    error = np.abs(sitk.GetArrayFromImage(image) - want)
    assert (error <= 0.5 * slopes[:, None, None] + 1e-6 * want).all()
    np.testing.assert_allclose(image.GetSpacing(), spacing, atol=2e-4)
    np.testing.assert_allclose(image.GetOrigin(), origin, atol=1e-4)


def read_by_simpleitk(folder: Path) -> sitk.Image:
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    return reader.Execute()


@pytest.mark.parametrize("number", [1, 2, 3])
@pytest.mark.parametrize(("modality", "series"), [("CT", CT), ("PT", PET)])
def test_dcm2niix_agrees(
    number: int, modality: str, series: int, exports: Exports, sessions: Sessions, tmp_path: Path
) -> None:
    program = Path(sys.executable).with_name("dcm2niix")
    if not program.exists():
        pytest.skip("skipped: dcm2niix is not installed")
    source, out = exports(number).series_folder(tmp_path / "in", modality, series), tmp_path / "out"
    out.mkdir()
    subprocess.run([program, "-b", "n", "-z", "n", "-o", out, source], check=True, capture_output=True, timeout=120)
    (found,) = (p for p in out.glob("*.nii") if "ROI" not in p.name)  # the overlay becomes a file of its own
    image = nib.load(found)
    spacing, origin, shape = generator_geometry(exports(number), modality)
    array = np.asarray(image.dataobj)[:, ::-1, :].transpose(2, 1, 0)  # dcm2niix flips rows
    if modality == "CT":
        assert (array == expected_hu(sessions(number))).all()
    else:
        want = np.asarray(sessions(number).pet.array) * unit_per_suv(exports(number))
        slopes = np.array([float(ds.RescaleSlope) for ds in exports(number).series("PT", PET)])
        assert (np.abs(array - want) <= 0.51 * slopes[:, None, None] + 1e-6 * want).all()
    affine_lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ image.affine
    last_row = [0, shape[1] - 1, 0, 1]
    np.testing.assert_allclose((affine_lps @ last_row)[:3], origin, atol=1e-3)
    np.testing.assert_allclose(affine_lps[:3, :3], np.diag(spacing * (1, -1, 1)), atol=1e-4)


# --- SUV, by a formula of its own ------------------------------------------------------------------------------------


def moment(ds: pydicom.Dataset, date: str, time: str) -> datetime:
    return datetime.strptime(ds[date].value + ds[time].value[:6], "%Y%m%d%H%M%S")


def suv_of(slices: list[pydicom.Dataset]) -> np.ndarray:
    """SUVbw of a series as the vendors' rules say; written for this test from the units and times alone."""
    first = slices[0]
    stored = np.stack([ds.pixel_array * float(ds.RescaleSlope) for ds in slices])
    if first.Units == "GML":
        return stored
    tracer = first.RadiopharmaceuticalInformationSequence[0]
    half_life, dose = float(tracer.RadionuclideHalfLife), float(tracer.RadionuclideTotalDose)
    acquired = min(moment(ds, "AcquisitionDate", "AcquisitionTime") for ds in slices)
    injected = datetime.combine(
        acquired.date(), datetime.strptime(tracer.RadiopharmaceuticalStartTime[:6], "%H%M%S").time()
    )
    reference = moment(first, "SeriesDate", "SeriesTime")
    if reference > acquired and first.Manufacturer.startswith("GE"):
        reference = datetime.strptime(first.private_block(0x0009, "GEMS_PETD_01")[0x0D].value[:14], "%Y%m%d%H%M%S")
    elif reference > acquired:
        reference = acquired  # the first bed began then; its FrameReferenceTime is checked below
    waited = (reference - injected).total_seconds() if first.DecayCorrection == "START" else 0.0
    factor = float(first.PatientWeight) * 1000 / (dose * 2 ** (-waited / half_life))
    if first.Units == "CNTS":
        block = first.private_block(0x7053, "Philips PET Private Group")
        suv_factor, activity = float(block[0x00].value), float(block[0x09].value)
        factor = suv_factor if suv_factor > 0 else activity * factor
    return stored * factor


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 9])
def test_suv_follows_from_the_headers(number: int, exports: Exports, sessions: Sessions) -> None:
    slices = exports(number).series("PT", PET)
    truth = np.asarray(sessions(number).pet.array)
    half_step = 0.5 * truth.max() / 32700
    np.testing.assert_allclose(suv_of(slices), truth, rtol=1e-4, atol=1.01 * half_step)


def test_twelve_patients_show_every_pet_style(exports: Exports) -> None:
    styles = {exports(n).manifest["truth"]["sessions"][0]["pet"]["style"] for n in range(1, 13)}
    assert styles == {
        "siemens-start", "siemens-reconstructed", "ge-admin", "ge-start-reconstructed",
        "philips-cnts", "philips-cnts-activity", "philips-gml",
    }  # fmt: skip


@pytest.mark.parametrize("number", [4, 10])
def test_frame_reference_times_give_the_scan_start_after_reconstruction(number: int, exports: Exports) -> None:
    slices = exports(number).series("PT", PET)
    acquired = [moment(ds, "AcquisitionDate", "AcquisitionTime") for ds in slices]
    assert moment(slices[0], "SeriesDate", "SeriesTime") > max(acquired)
    for ds, when in zip(slices, acquired, strict=True):
        x = np.log(2) / 6586.2 * float(ds.ActualFrameDuration) / 1000
        mean_s = np.log(x / (1 - np.exp(-x))) / (np.log(2) / 6586.2)
        start = when.timestamp() + mean_s - float(ds.FrameReferenceTime) / 1000
        assert start == pytest.approx(min(acquired).timestamp(), abs=1e-3)


# --- contours --------------------------------------------------------------------------------------------------------


def voxels_inside(contours: pydicom.Sequence, export: Export, modality: str) -> np.ndarray:
    """Even-odd rule at voxel centres, in patient coordinates; written for this test."""
    spacing, origin, shape = generator_geometry(export, modality)
    mask = np.zeros(shape, dtype=bool)
    x = origin[0] + spacing[0] * np.arange(shape[2])
    y = origin[1] + spacing[1] * np.arange(shape[1])
    for contour in contours:
        points = np.array(contour.ContourData, dtype=float).reshape(-1, 3)
        k = (points[0, 2] - origin[2]) / spacing[2]
        assert k == pytest.approx(round(k), abs=1e-3)
        (x1, y1), (x2, y2) = points[:, :2].T, np.roll(points[:, :2], -1, axis=0).T
        for row, level in enumerate(y):
            cut = (y1 <= level) != (y2 <= level)
            at = x1[cut] + (level - y1[cut]) * (x2[cut] - x1[cut]) / (y2[cut] - y1[cut])
            mask[round(k), row] ^= (at[:, None] > x[None, :]).sum(axis=0) % 2 == 1
    return mask


@pytest.mark.parametrize("number", [1, 2, 6, 7])
def test_contours_give_back_the_truth_masks(number: int, exports: Exports, sessions: Sessions) -> None:
    session = sessions(number)
    for ds in exports(number).series("RTSTRUCT"):
        modality, scan = ("CT", session.ct) if int(ds.SeriesNumber) == 11 else ("PT", session.pet)
        truth = exports(number).manifest["truth"]["sessions"][0]["images"][modality]["rois"]
        key = {roi["name"].strip(): roi["roi"] for roi in truth}
        names = {item.ROINumber: item.ROIName.strip() for item in ds.StructureSetROISequence}
        assert len(names) == len(truth) == 2 + len(session.lesions)
        for item in ds.ROIContourSequence:
            mask = scan.masks[key[names[item.ReferencedROINumber]]]
            drawn = voxels_inside(item.get("ContourSequence", []), exports(number), modality)
            assert (drawn == mask).all()
            assert mask.any()


def test_highdicom_reads_the_segmentation_as_generated(exports: Exports, sessions: Sessions, tmp_path: Path) -> None:
    session, export = sessions(3), exports(3)
    found = [p for p, ds in export.headers() if ds.Modality == "SEG"]
    assert len(found) == 2
    for path in found:
        seg = hd.seg.segread(path)
        modality, scan = ("CT", session.ct) if int(seg.SeriesNumber) == 11 else ("PT", session.pet)
        sources = export.series(modality, CT if modality == "CT" else PET)
        uids = [ds.SOPInstanceUID for ds in sources]
        pixels = seg.get_pixels_by_source_instance(uids, assert_missing_frames_are_empty=True)
        truth = export.manifest["truth"]["sessions"][0]["images"][modality]["rois"]
        key = {roi["name"].strip(): roi["roi"] for roi in truth}
        for index, number in enumerate(seg.segment_numbers):
            label = seg.get_segment_description(number).segment_label.strip()
            assert (pixels[..., index].astype(bool) == scan.masks[key[label]]).all()
        voxel = np.abs(np.linalg.det(seg.get_volume(combine_segments=False).affine[:3, :3]))
        assert voxel == pytest.approx(np.prod(generator_geometry(export, modality)[0]), rel=1e-4)


def test_simpleitk_places_the_mask_files_as_generated(exports: Exports, sessions: Sessions) -> None:
    session, export = sessions(4), exports(4)
    assert not export.series("RTSTRUCT")
    for modality, scan in (("CT", session.ct), ("PT", session.pet)):
        spacing, origin, shape = generator_geometry(export, modality)
        grid = sitk.Image([shape[2], shape[1], shape[0]], sitk.sitkUInt8)
        grid.SetSpacing(spacing.tolist())
        grid.SetOrigin(origin.tolist())
        for roi in export.manifest["truth"]["sessions"][0]["images"][modality]["rois"]:
            mask = sitk.ReadImage(str(export.folder / "masks" / f"{roi['name']}.nrrd"))
            on_grid = sitk.Resample(mask, grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0)
            assert (sitk.GetArrayFromImage(on_grid).astype(bool) == scan.masks[roi["roi"]]).all()


# --- validity --------------------------------------------------------------------------------------------------------

IODS = {
    "CT": "ct-image",
    "PT": "positron-emission-tomography-image",
    "RTSTRUCT": "rt-structure-set",
    "SEG": "segmentation",
}


@cache
def required_attributes(iod: str) -> list[tuple[str, str, str]]:
    """(module, keyword, type) of top-level attributes of type 1 and 2 in mandatory modules, by highdicom's tables."""
    folder = package_files("highdicom") / "_standard"
    modules = json.loads((folder / "iod_module_map.json").read_text())[iod]
    attributes = json.loads((folder / "module_attribute_map.json").read_text())
    return [
        (module["key"], item["keyword"], item["type"])
        for module in modules
        if module["usage"] == "M"
        for item in attributes[module["key"]]
        if not item["path"] and item["type"] in ("1", "2")
    ]


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_required_attributes_are_there(number: int, exports: Exports) -> None:
    missing = set()
    for path, ds in exports(number).headers():
        full = pydicom.dcmread(path)
        for module, keyword, kind in required_attributes(IODS[ds.Modality]):
            if keyword not in full or (kind == "1" and full[keyword].is_empty):
                missing.add((ds.Modality, module, keyword, kind))
    assert not missing


@pytest.mark.parametrize("number", [1, 2, 3, 6])
def test_every_value_is_valid(number: int, exports: Exports) -> None:
    with pydicom.config.strict_reading():
        for path, _ in exports(number).headers():
            for element in pydicom.dcmread(path).iterall():
                assert element.value is not NotImplemented


def test_uids_are_unique_and_short(exports: Exports) -> None:
    uids: list[str] = []
    for number in (1, 2, 5, 6):
        for _, ds in exports(number).headers():
            uids.append(ds.SOPInstanceUID)
            assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID
            assert all(len(uid) <= 64 and uid.is_valid for uid in (ds.SOPInstanceUID, ds.SeriesInstanceUID))
    assert len(set(uids)) == len(uids)
