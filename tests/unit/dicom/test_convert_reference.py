"""Conversion of the shared reference data against what their READMEs state."""

from __future__ import annotations

import hashlib
import tarfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from osteorad.images.volume import read_nifti
from tests.unit.dicom.dicom_build import convert, place


def only(result: dict, work: Path, name: str) -> tuple[np.ndarray, dict]:
    row = next(row for row in result["images"] if row["image"] == name)
    return read_nifti(work / "images" / row["path"])[0], row


def reference(path: Path, like: dict) -> np.ndarray:
    image = nib.Nifti1Image.from_filename(path)
    return place(np.asanyarray(image.dataobj), image.affine, np.array(like["affine_ras"]))


# --- SUV --------------------------------------------------------------------------------------------------------------

DROS = [
    "0_0",
    "1_0",
    "2_0",
    "2_1",
    "2_2",
    "2_3",
    "2_4",
    "2_5",
    "3_0",
    "3_1",
    "3_2",
    "3_3",
    "3_4",
    "4_0",
    "4_1",
    "4_2",
    "5_0",
]


@pytest.fixture(scope="session")
def dro_folder(shared_data, tmp_path_factory) -> Path:
    archive = shared_data("ingest/suv_dro.tar.xz")
    folder = tmp_path_factory.mktemp("dro")
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    return folder / "DRO"


@pytest.fixture(scope="session")
def dro_expected(shared_data) -> dict[str, list[float]]:
    lines = shared_data("ingest/suv_dro_expected.tsv").read_text().splitlines()[1:]
    return {line.split("\t")[0]: [float(v) for v in line.split("\t")[3:6]] for line in lines}


@pytest.mark.parametrize("name", DROS)
def test_suv_reference_object(dro_folder, dro_expected, tmp_path, name):
    folder = dro_folder / f"DRO_{name}"
    suv, row = only(convert(folder / "PT", tmp_path), tmp_path, "pet")
    inside = suv[reference(folder / "mask" / "DRO_mask.nii.gz", row) > 0]
    assert inside.size == 203202
    found = [inside.min(), np.median(inside), inside.max()]
    np.testing.assert_allclose(found, dro_expected[f"DRO_{name}"], atol=1e-4)
    if name != "2_3":  # its stored values are too coarse for the target
        assert abs(found[1] - 1.0) <= 0.002
        assert abs(found[2] - 4.0) <= 0.002


@pytest.mark.parametrize("folder", ["bqml_start", "bqml_admin", "cnts_philips"])
def test_pet_in_other_units_gives_the_same_suv(shared_data, tmp_path, folder):
    original, _ = only(convert(shared_data("sts/dicom/STS_002/PET/image"), tmp_path / "a"), tmp_path / "a", "pet")
    derived, row = only(convert(shared_data(f"sts/derived_pet_units/{folder}"), tmp_path / "b"), tmp_path / "b", "pet")
    assert np.abs(derived - original).max() <= 1e-5
    assert original.max() == pytest.approx(21.67575, abs=1e-5)
    assert row["facts"]["suv"]["units"] in ("BQML", "CNTS")


def test_slopes_of_ge_by_slice(shared_data, tmp_path):
    folder = shared_data("ingest/rtstruct/sts_pet")
    suv, row = only(convert(folder / "dicom", tmp_path), tmp_path, "pet")
    assert np.abs(suv - reference(folder / "image_suvbw.nii.gz", row)).max() <= 2e-6
    assert suv.max() == pytest.approx(25.4123, abs=1e-4)
    assert "slope_by_slice" in row["flags"]
    assert row["facts"]["suv"]["factor_max"] == 1.0  # GML with BW: not scaled again


@pytest.mark.parametrize("patient", ["STS_001", "STS_002", "STS_003"])
def test_sts_equals_its_reference(shared_data, tmp_path, patient):
    folder = shared_data(f"sts/dicom/{patient}")
    nifti = shared_data(f"sts/reference_nifti/{patient}")
    files = sorted(folder.glob("*/image/*.dcm"))
    result = convert(folder, tmp_path, files)
    suv, pet = only(result, tmp_path, "pet")
    hu, ct = only(result, tmp_path, "ct")
    assert np.abs(suv - reference(nifti / "PET_image.nii.gz", pet)).max() <= 1e-5
    # the CT mask lies on the CT grid: `place` fails where the grids differ
    assert reference(nifti / "CT_mask.nii.gz", ct).shape == hu.shape
    stored = [pydicom.dcmread(f) for f in sorted((folder / "CT" / "image").glob("*.dcm"))]
    stored.sort(key=lambda ds: float(ds.ImagePositionPatient[2]))
    np.testing.assert_array_equal(hu, np.stack([ds.pixel_array for ds in stored]).transpose(2, 1, 0))
    assert hu.dtype == np.int16
    assert ct["frame_of_reference"] == pet["frame_of_reference"]
    assert "frame_of_reference_mismatch" not in pet["flags"]


@pytest.mark.slow
def test_every_sts_series_is_used(shared_data, tmp_path):
    lines = shared_data("sts/facts.tsv").read_text().splitlines()
    patients = sorted({line.split("\t")[0] for line in lines[1:]})
    assert len(patients) == 25
    for patient in patients:
        folder = shared_data(f"sts/dicom/{patient}")
        result = convert(folder, tmp_path / patient, sorted(folder.glob("*/image/*.dcm")))
        assert sorted(row["image"] for row in result["images"]) == ["ct", "pet"], patient
        assert all(row["state"] == "used" for row in result["series"]), patient


# --- geometry ---------------------------------------------------------------------------------------------------------


def plausible_ct(source: Path, folder: Path) -> Path:
    """The files with HU of tissue: their pixels were replaced by noise that no scanner gives; MR becomes CT."""
    folder.mkdir(parents=True)
    for path in sorted(source.iterdir()):
        ds = pydicom.dcmread(path)
        ds.Modality, ds.RescaleSlope, ds.RescaleIntercept = "CT", "1", "-100"
        ds.save_as(folder / path.name)
    return folder


@pytest.mark.parametrize(
    ("case", "codes", "detail"),
    [
        ("missing_slice", ["missing_slices"], "1 missing"),
        ("tilt_and_missing", ["missing_slices"], "1 missing, gantry tilted by 15.5 degrees"),
        ("same_position", ["ambiguous_positions"], "up to 4 different images at one position"),
        ("mixed_orientation", ["mixed_orientation", "mixed_orientation"], "one of 2 stacks, 2 slices, 3 are needed"),
        ("two_slices", ["too_few_slices"], "2 slices, 3 are needed"),
    ],
)
def test_geometry_case_is_refused_with_its_reason(shared_data, tmp_path, case, codes, detail):
    result = convert(plausible_ct(shared_data(f"ingest/geometry/{case}"), tmp_path / "in"), tmp_path)
    assert [row["reason"] for row in result["series"]] == codes
    assert {row["detail"] for row in result["series"]} == {detail}
    assert result["images"] == []


def test_geometry_case_gantry_tilt_is_straightened(shared_data, tmp_path):
    result = convert(plausible_ct(shared_data("ingest/geometry/gantry_tilt"), tmp_path / "in"), tmp_path)
    hu, row = only(result, tmp_path, "ct")
    assert row["flags"] == ["gantry_tilt_resampled"]
    assert row["facts"]["conversion"]["tilt_degrees"] == pytest.approx(14.0, abs=0.01)
    assert row["spacing_mm"][2] == pytest.approx(4.8515, abs=1e-4)  # along the normal, not 5.0
    sheared = np.array(row["facts"]["conversion"]["sheared_affine_ras"])
    np.testing.assert_allclose(sheared[:3, 2], [0, 0, 5.0], atol=1e-4)
    assert hu.shape[0] == 64
    assert hu.shape[1] == 64 + 9  # 3 steps of 5 mm x sin 14 degrees = 3.63 mm = 8.7 voxels


# --- multi-frame ------------------------------------------------------------------------------------------------------


def test_legacy_enhanced_pet_equals_its_source(shared_data, tmp_path):
    folder = shared_data("ingest/enhanced")
    many, row = only(convert(folder, tmp_path / "a", [folder / "pet_legacy_enhanced.dcm"]), tmp_path / "a", "pet")
    single, other = only(convert(folder / "pet_legacy_source", tmp_path / "b"), tmp_path / "b", "pet")
    np.testing.assert_array_equal(many, single)
    np.testing.assert_allclose(row["affine_ras"], other["affine_ras"])
    factor = row["facts"]["suv"]["factor_max"]
    assert many.max() / factor == pytest.approx(14400, abs=0.01)  # the slope of 3 stands in a functional group
    assert factor == pytest.approx(70_000 / 368.08e6 * 2 ** (3600 / 6586.2))


@pytest.mark.parametrize("number", range(1, 12))
def test_transfer_syntax(shared_data, tmp_path, number):
    """Three slices made of one file: stored pixels are those that the README states."""
    source = next(shared_data("ingest/transfer_syntaxes").glob(f"{number:02d}_*.dcm"))
    for k in range(3):
        ds = pydicom.dcmread(source)
        ds.ImagePositionPatient = [-158.135803, -179.035797, -75.699997 + 5 * k]
        ds.SOPInstanceUID = f"{ds.SOPInstanceUID}.{k}"
        ds.save_as(tmp_path / f"{k}.dcm")
    hu, row = only(convert(tmp_path, tmp_path / "out", sorted(tmp_path.glob("*.dcm"))), tmp_path / "out", "ct")
    stored = np.ascontiguousarray(hu[:, :, 1].T + 1024).astype("<i2")
    assert hashlib.sha256(stored.tobytes()).hexdigest().startswith("7a481f6ffff833ae")
    assert hu.dtype == np.int16
    assert row["facts"]["conversion"]["transfer_syntax"] == [str(pydicom.dcmread(source).file_meta.TransferSyntaxUID)]
