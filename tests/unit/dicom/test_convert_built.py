"""Conversion of series that are built here: no shared data needed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK as sitk  # noqa: N813
from pydicom.dataset import Dataset

from osteorad.errors import ConfigError
from osteorad.images.volume import read_nifti
from tests.unit.dicom.dicom_build import ROOT, body, convert, ct_series, pet_series, uptake, write_manifest


def rows_by(result: dict, key: str = "series_uid") -> dict[str, dict]:
    return {row[key]: row for row in result[(key == "image" and "images") or "series"]}


def image(result: dict, work: Path, name: str = "ct") -> tuple[np.ndarray, dict]:
    row = next(row for row in result["images"] if row["image"] == name)
    array, grid = read_nifti(work / "images" / row["path"])
    assert list(grid.shape) == row["shape"]
    # NIfTI keeps the affine as float32
    np.testing.assert_allclose(grid.affine_ras, row["affine_ras"], atol=1e-3)
    return array, row


def reasons(result: dict) -> list[str]:
    return sorted(row["reason"] for row in result["series"] if row["reason"])


def edit_files(paths: list[Path], change, *, pixels: bool = True) -> None:
    for path in paths:
        ds = pydicom.dcmread(path)
        change(ds)
        ds.save_as(path)


def test_ct_is_hu_in_the_order_of_positions(tmp_path):
    ct_series(tmp_path / "in")
    result = convert(tmp_path / "in", tmp_path)
    array, row = image(result, tmp_path)
    assert array.dtype == np.int16
    np.testing.assert_array_equal(array, body().transpose(2, 1, 0))
    assert row["units"] == "HU"
    assert row["spacing_mm"] == pytest.approx([1.25, 1.5, 3.0])
    # origin -10, -20, 30 in LPS is 10, 20, 30 in RAS; x and y run against it
    expected = [[-1.25, 0, 0, 10], [0, -1.5, 0, 20], [0, 0, 3, 30], [0, 0, 0, 1]]
    np.testing.assert_allclose(row["affine_ras"], expected, atol=1e-9)
    assert row["facts"]["kernel"] == "STANDARD"
    assert row["facts"]["kvp"] == 120
    assert row["facts"]["age_years"] == 61
    assert row["flags"] == []


def test_oblique_series_lies_where_simpleitk_puts_it(tmp_path):
    a, b = np.radians(25), np.radians(-15)
    row = np.array([np.cos(a), np.sin(a), 0])
    column = np.array([-np.sin(a) * np.cos(b), np.cos(a) * np.cos(b), np.sin(b)])
    paths = ct_series(tmp_path / "in", row=row, column=column)
    array, ours = image(convert(tmp_path / "in", tmp_path), tmp_path)
    theirs = sitk.ReadImage([str(p) for p in paths])  # paths are in the order of positions
    np.testing.assert_array_equal(sitk.GetArrayFromImage(theirs).transpose(2, 1, 0), array)
    for index in ((0, 0, 0), (19, 0, 0), (0, 23, 5), (7, 11, 3)):
        ras = np.array(ours["affine_ras"]) @ [*index, 1]
        np.testing.assert_allclose(ras[:3] * [-1, -1, 1], theirs.TransformIndexToPhysicalPoint(index), atol=1e-4)


def test_same_input_gives_same_bytes(tmp_path):
    ct_series(tmp_path / "in" / "ct")
    pet_series(tmp_path / "in" / "pet")
    written = []
    for run in ("a", "b"):
        convert(tmp_path / "in", tmp_path / run)
        folder = tmp_path / run / "images"
        written.append({p.relative_to(folder): p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    assert len(written[0]) == 3
    assert written[0] == written[1]


def test_folder_is_emptied_first(tmp_path):
    ct_series(tmp_path / "in")
    stale = tmp_path / "images" / "s00000000" / "ct.nii.gz"
    stale.parent.mkdir(parents=True)
    stale.write_bytes(b"old")
    convert(tmp_path / "in", tmp_path)
    assert not stale.exists()


def test_pet_is_suv(tmp_path):
    pet_series(tmp_path / "in")
    result = convert(tmp_path / "in", tmp_path, modalities=["PT"])
    array, row = image(result, tmp_path, "pet")
    assert array.dtype == np.float32
    np.testing.assert_allclose(array, uptake().transpose(2, 1, 0), atol=5e-4)
    assert row["units"] == "SUVbw"
    assert row["facts"]["suv"]["reference_rule"] == "series_time"
    assert row["facts"]["suv"]["factor_min"] == pytest.approx(2.8e-4, rel=1e-6)
    assert row["facts"]["uptake_min"] == pytest.approx(60)
    assert row["facts"]["tracer"] == "FDG"
    assert "slope_by_slice" in row["flags"]


# --- choice -----------------------------------------------------------------------------------------------------------


def session(folder: Path) -> None:
    """Scout, soft and sharp kernel, a coronal reformat, PET with and without attenuation correction."""
    ct_series(folder / "soft", uid="1")
    ct_series(folder / "sharp", uid="3", edit=lambda ds: setattr(ds, "ConvolutionKernel", "BONEPLUS"))
    ct_series(folder / "coronal", uid="4", row=(1, 0, 0), column=(0, 0, -1))
    ct_series(folder / "scout", body()[:1], uid="5", edit=lambda ds: setattr(ds, "ImageType", scout_type()))
    ct_series(folder / "mpr", uid="6", edit=lambda ds: setattr(ds, "ImageType", ["DERIVED", "SECONDARY", "CSA MPR"]))
    pet_series(folder / "pet", uid="2")
    pet_series(folder / "nac", uid="7", edit=lambda ds: setattr(ds, "CorrectedImage", ["DECY"]))


def scout_type() -> list[str]:
    return ["ORIGINAL", "PRIMARY", "LOCALIZER"]


def by_uid(result: dict, tmp_path: Path) -> dict[str, dict]:
    files = json.loads((tmp_path / "manifest.json").read_text())["files"]
    uids = {file["series"]: file["series_uid"].removeprefix(ROOT + ".") for file in files}
    return {uids[row["series"]]: row for row in result["series"] if "-" not in row["series"]}


def test_choice_with_reasons_and_scores(tmp_path):
    session(tmp_path / "in")
    result = convert(tmp_path / "in", tmp_path)
    rows = by_uid(result, tmp_path)
    assert {uid: (row["state"], row["reason"], row["image"]) for uid, row in rows.items()} == {
        "1": ("used", "", "ct"),
        "2": ("used", "", "pet"),
        "3": ("not_chosen", "kernel_not_chosen", ""),
        "4": ("not_chosen", "reformat_not_chosen", ""),
        "5": ("not_chosen", "localizer_excluded", ""),
        "6": ("not_chosen", "derived_not_chosen", ""),
        "7": ("not_chosen", "not_attenuation_corrected", ""),
    }
    assert rows["1"]["score"] > rows["3"]["score"]
    assert rows["4"]["detail"] == "coronal"
    assert f"{rows['1']['score']:g}" in rows["3"]["detail"]


def test_kernel_asked_for_wins(tmp_path):
    session(tmp_path / "in")
    rows = by_uid(convert(tmp_path / "in", tmp_path, kernel="bone"), tmp_path)
    assert rows["3"]["image"] == "ct"
    assert rows["1"]["reason"] == "kernel_not_chosen"


def test_series_on_the_frame_of_the_pet_wins(tmp_path):
    def other(ds: Dataset) -> None:
        ds.FrameOfReferenceUID = ROOT + ".78"

    ct_series(tmp_path / "in" / "a", body((12, 24, 20)), uid="1", edit=other)
    ct_series(tmp_path / "in" / "b", uid="3")
    pet_series(tmp_path / "in" / "pet")
    result = convert(tmp_path / "in", tmp_path)
    rows = by_uid(result, tmp_path)
    assert rows["3"]["image"] == "ct"
    assert rows["1"]["reason"] == "score_lower"


def test_pet_on_another_frame_is_flagged(tmp_path):
    ct_series(tmp_path / "in" / "ct", edit=lambda ds: setattr(ds, "FrameOfReferenceUID", ROOT + ".78"))
    pet_series(tmp_path / "in" / "pet")
    _, row = image(convert(tmp_path / "in", tmp_path), tmp_path, "pet")
    assert "frame_of_reference_mismatch" in row["flags"]


def test_overrides_take_leave_and_add(tmp_path):
    session(tmp_path / "in")
    names = {uid: row["series"] for uid, row in by_uid(convert(tmp_path / "in", tmp_path), tmp_path).items()}
    overrides = [
        {"series": names["4"], "take": "yes"},  # lifts the filter, not the gates
        {"series": names["1"], "take": "no"},
        {"series": names["3"], "image": "ct-2", "take": ""},
        {"series": names["2"], "take": "no", "patient": "p2"},  # of another patient
    ]
    result = convert(tmp_path / "in", tmp_path, overrides=overrides)
    rows = by_uid(result, tmp_path)
    assert rows["4"]["image"] == "ct"
    assert rows["1"]["reason"] == "override_excluded"
    assert rows["3"]["image"] == "ct-2"
    assert rows["2"]["image"] == "pet"
    assert sorted(i["image"] for i in result["images"]) == ["ct", "ct-2", "pet"]


@pytest.mark.parametrize("row", [{"series": "e1", "take": "perhaps"}, {"series": "e1", "image": "../ct"}])
def test_override_that_means_nothing_stops(tmp_path, row):
    ct_series(tmp_path / "in")
    with pytest.raises(ConfigError, match=r"series\.tsv: take or image means nothing"):
        convert(tmp_path / "in", tmp_path, overrides=[row])


def test_next_best_series_where_the_best_fails(tmp_path):
    paths = ct_series(tmp_path / "in" / "a", uid="1")
    ct_series(tmp_path / "in" / "b", uid="3", edit=lambda ds: setattr(ds, "ConvolutionKernel", "BONE"))
    paths[2].write_bytes(paths[2].read_bytes()[:-300])
    rows = by_uid(convert(tmp_path / "in", tmp_path), tmp_path)
    assert (rows["1"]["state"], rows["1"]["reason"]) == ("quarantined", "pixel_data_truncated")
    assert rows["3"]["image"] == "ct"


def test_modality_not_asked_and_unsupported(tmp_path):
    ct_series(tmp_path / "in" / "ct")
    pet_series(tmp_path / "in" / "pet")
    ct_series(tmp_path / "in" / "mr", uid="8", edit=lambda ds: setattr(ds, "Modality", "MR"))
    result = convert(tmp_path / "in", tmp_path, modalities=["CT"])
    assert reasons(result) == ["modality_not_asked", "modality_unsupported"]


def test_sessions_in_order_of_their_dates(tmp_path):
    def later(ds: Dataset) -> None:
        ds.StudyDate, ds.StudyInstanceUID = "20200301", ROOT + ".92"

    ct_series(tmp_path / "in" / "b", uid="1", edit=later)
    ct_series(tmp_path / "in" / "a", uid="3")
    result = convert(tmp_path / "in", tmp_path)
    assert [(s["order"], s["day"]) for s in result["sessions"]] == [(1, 0), (2, 59)]
    rows = by_uid(result, tmp_path)
    assert (rows["1"]["session_order"], rows["1"]["session_day"]) == (2, 59)
    assert len(result["images"]) == 2
    assert [r["reason"] for r in result["set_aside"]] == ["pet_absent", "pet_absent"]


def test_age_over_89_is_told_as_90(tmp_path):
    ct_series(tmp_path / "in", edit=lambda ds: setattr(ds, "PatientAge", "094Y"))
    _, row = image(convert(tmp_path / "in", tmp_path), tmp_path)
    assert row["facts"]["age_years"] == 90
    assert "age_capped" in row["flags"]
    assert "094" not in json.dumps(row)


# --- geometry gate ----------------------------------------------------------------------------------------------------


def test_duplicate_slice_is_dropped(tmp_path):
    paths = ct_series(tmp_path / "in")
    copy = tmp_path / "in" / "zz.dcm"
    shutil.copy(paths[2], copy)
    edit_files([copy], lambda ds: setattr(ds, "SOPInstanceUID", ROOT + ".1.99"))
    result = convert(tmp_path / "in", tmp_path)
    array, row = image(result, tmp_path)
    np.testing.assert_array_equal(array, body().transpose(2, 1, 0))
    assert row["spacing_mm"][2] == pytest.approx(3.0)
    assert [(r["files"], r["state"], r["reason"]) for r in result["series"]] == [
        (6, "used", ""),
        (1, "duplicate", "duplicate_slice_dropped"),
    ]


def test_two_images_at_one_place_are_refused(tmp_path):
    paths = ct_series(tmp_path / "in")
    copy = tmp_path / "in" / "zz.dcm"
    shutil.copy(paths[2], copy)
    edit_files([copy], lambda ds: setattr(ds, "PixelData", bytes(len(ds.PixelData))))
    assert reasons(convert(tmp_path / "in", tmp_path)) == ["ambiguous_positions"]


def test_two_phases_in_one_series_are_told_apart(tmp_path):
    for number in (1, 2):
        paths = ct_series(tmp_path / f"{number}", body() + 10 * number)
        for path in paths:
            ds = pydicom.dcmread(path)
            ds.AcquisitionNumber = number
            (tmp_path / "in").mkdir(exist_ok=True)
            ds.save_as(tmp_path / "in" / f"{number}-{path.name}")
    result = convert(tmp_path / "in", tmp_path)
    array, row = image(result, tmp_path)
    np.testing.assert_array_equal(array, body().transpose(2, 1, 0) + 10)
    assert [(r["files"], r["state"], r["reason"]) for r in result["series"]] == [
        (6, "used", ""),
        (6, "not_chosen", "score_lower"),
    ]
    assert row["series"] == result["series"][0]["series"]


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda paths: paths[3].unlink(), "missing_slices"),
        (lambda paths: edit_files(paths[3:], move(0.9)), "uneven_spacing"),
        (lambda paths: edit_files(paths[2:3], sideways), "uneven_spacing"),
        (lambda paths: [p.unlink() for p in paths[2:]], "too_few_slices"),
        (lambda paths: edit_files(paths, lambda ds: delattr(ds, "PixelSpacing")), "geometry_missing"),
        (lambda paths: edit_files(paths, skewed), "geometry_missing"),
        (lambda paths: paths[1].write_bytes(paths[1].read_bytes()[:-10]), "pixel_data_truncated"),
        (lambda paths: edit_files(paths[1:2], lambda ds: setattr(ds, "PixelData", b"")), "pixel_data_truncated"),
        (lambda paths: edit_files(paths[1:2], lambda ds: delattr(ds, "PixelData")), "pixel_data_truncated"),
        (lambda paths: edit_files(paths, lambda ds: delattr(ds, "RescaleSlope")), "invalid_value"),
        (
            lambda paths: edit_files(paths, lambda ds: setattr(ds, "PhotometricInterpretation", "PALETTE COLOR")),
            "palette_unsupported",
        ),
        (lambda paths: edit_files(paths, lambda ds: setattr(ds, "RescaleType", "MGML")), "hu_out_of_range"),
        (lambda paths: edit_files(paths, lambda ds: setattr(ds, "RescaleIntercept", "0")), "hu_out_of_range"),
        (lambda paths: edit_files(paths, lambda ds: setattr(ds, "RescaleIntercept", "-2048")), "hu_out_of_range"),
        (lambda paths: edit_files(paths, lambda ds: setattr(ds, "RescaleSlope", "0.5")), "hu_out_of_range"),
        (lambda paths: edit_files(paths, lambda ds: setattr(ds, "RescaleSlope", "2")), "hu_out_of_range"),
        (lambda paths: edit_files(paths, lambda ds: setattr(ds, "RescaleSlope", "65536")), "hu_out_of_range"),
        (lambda paths: edit_files(paths, lambda ds: setattr(ds, "RescaleIntercept", "1e20")), "hu_out_of_range"),
        (lambda paths: edit_files(paths, enormous), "pixel_data_truncated"),
        (lambda paths: edit_files(paths, sequence_of_nothing), "dicom_unreadable"),
    ],
)
def test_series_that_cannot_be_right_is_refused(tmp_path, change, code):
    change(ct_series(tmp_path / "in"))
    result = convert(tmp_path / "in", tmp_path)
    assert reasons(result) == [code]
    assert result["images"] == []
    assert [p for p in (tmp_path / "images").rglob("*") if p.is_file()] == [tmp_path / "images" / "images.json"]
    assert "no_usable_ct" in [row["reason"] for row in result["set_aside"]]


@pytest.mark.parametrize(
    ("keep", "code"), [(900, "pixel_data_truncated"), (100, "dicom_unreadable"), (0, "dicom_unreadable")]
)
def test_last_file_cut_in_its_header_does_not_shorten_the_volume(tmp_path, keep, code):
    paths = ct_series(tmp_path / "in")
    manifest = write_manifest(tmp_path / "in", tmp_path / "manifest.json")
    paths[-1].write_bytes(paths[-1].read_bytes()[:keep])
    assert reasons(convert(tmp_path / "in", tmp_path, manifest=manifest)) == [code]


def sequence_of_nothing(ds: Dataset) -> None:
    """Three bytes in the place of a sequence of items; nothing looks into it before it is needed."""
    tag = pydicom.tag.Tag("SharedFunctionalGroupsSequence")
    ds._dict[tag] = pydicom.dataelem.RawDataElement(tag, "SQ", 4, b"abc ", 0, False, True, True)


def enormous(ds: Dataset) -> None:
    """86 GB, if the header were believed."""
    ds.Rows = ds.Columns = 60000


def move(mm: float):
    def change(ds: Dataset) -> None:
        x, y, z = ds.ImagePositionPatient
        ds.ImagePositionPatient = [x, y, float(z) + mm]

    return change


def sideways(ds: Dataset) -> None:
    x, y, z = ds.ImagePositionPatient
    ds.ImagePositionPatient = [float(x) + 2, y, z]


def skewed(ds: Dataset) -> None:
    ds.ImageOrientationPatient = [1, 0, 0, 0.3, 0.95, 0]


def test_text_that_is_no_number_is_refused(tmp_path):
    for path in ct_series(tmp_path / "in"):
        raw = path.read_bytes()
        assert raw.count(b"-1024 ") == 1
        path.write_bytes(raw.replace(b"-1024 ", b"1.0e+9", 1).replace(b"1.0e+9", b"no.num", 1))
    assert reasons(convert(tmp_path / "in", tmp_path)) == ["invalid_value"]


def test_scout_inside_a_series_does_not_spoil_it(tmp_path):
    ct_series(tmp_path / "in")
    ct_series(tmp_path / "in", body((1, 40, 50)), uid="5", column=(0, 0, -1), edit=as_scout_of_series_1)
    result = convert(tmp_path / "in", tmp_path)
    assert [(r["files"], r["state"], r["reason"]) for r in result["series"]] == [
        (6, "used", ""),
        (1, "not_chosen", "localizer_excluded"),
    ]


def as_scout_of_series_1(ds: Dataset) -> None:
    ds.SeriesInstanceUID, ds.ImageType = ROOT + ".1", scout_type()


def test_two_orientations_in_one_series(tmp_path):
    def joined(ds: Dataset) -> None:
        ds.SeriesInstanceUID = ROOT + ".1"

    ct_series(tmp_path / "in")
    ct_series(tmp_path / "in", body()[:2], uid="5", column=(0, 0, -1), edit=joined)
    result = convert(tmp_path / "in", tmp_path)
    assert [(r["series"][-2:], r["files"], r["state"], r["reason"]) for r in result["series"]][1:] == [
        ("-2", 2, "quarantined", "mixed_orientation")
    ]
    np.testing.assert_array_equal(image(result, tmp_path)[0], body().transpose(2, 1, 0))


# --- tilt -------------------------------------------------------------------------------------------------------------


def test_tilted_gantry_is_straightened(tmp_path):
    tilt = np.radians(14)
    column = (0, np.cos(tilt), -np.sin(tilt))
    hu = np.full((6, 40, 12), -1000, np.int16)
    hu[:, 5:35, 2:10] = 40
    ct_series(tmp_path / "in", hu, column=column, step=(0, 0, 5.0), spacing=(1.0, 1.0))
    result = convert(tmp_path / "in", tmp_path)
    array, row = image(result, tmp_path)
    assert row["flags"] == ["gantry_tilt_resampled"]
    assert row["facts"]["conversion"]["tilt_degrees"] == pytest.approx(14, abs=1e-3)
    affine = np.array(row["affine_ras"])
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-9)
    assert row["spacing_mm"][2] == pytest.approx(5 * np.cos(tilt))
    # a vertical edge of the body: world position of each plane's first tissue row, straight and sheared, agree
    sheared = np.array(row["facts"]["conversion"]["sheared_affine_ras"])
    for k in range(6):
        first = int(np.argmax(array[5, :, k] > -480))
        found = (affine @ [5, first, k, 1])[:3]
        true = (sheared @ [5, 5, k, 1])[:3]
        assert np.abs(found - true).max() <= 0.51
    # nothing of the body is lost, and only padding is added
    assert array.min() == -1024
    inside = np.sum(array[2:10] > -480, axis=(0, 1))
    assert np.all(np.abs(inside - 8 * 30) <= 8)


# --- PET that cannot be right -----------------------------------------------------------------------------------------


def drug(**values: str | None):
    def change(ds: Dataset) -> None:
        for name, value in values.items():
            setattr(ds.RadiopharmaceuticalInformationSequence[0], name, value)

    return change


def head(**values: object):
    def change(ds: Dataset) -> None:
        for name, value in values.items():
            setattr(ds, name, value)

    return change


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (head(PatientWeight="0"), "weight_missing"),
        (head(PatientWeight=None), "weight_missing"),
        (drug(RadionuclideTotalDose="0"), "dose_missing"),
        (drug(RadionuclideTotalDose="10"), "invalid_value"),  # mCi?
        (drug(RadionuclideTotalDose="370000"), "invalid_value"),  # kBq?
        (drug(RadionuclideHalfLife=None), "half_life_missing"),
        (drug(RadionuclideHalfLife="109.8"), "half_life_implausible"),
        (head(CorrectedImage=["DECY"]), "pet_not_attenuation_corrected"),
        (head(CorrectedImage=["ATTN"]), "pet_not_decay_corrected"),
        (head(SeriesType=["DYNAMIC", "IMAGE"]), "pet_dynamic"),
        (head(Units="CNTS"), "units_not_convertible"),
        (head(Units="CNTS", Manufacturer="Philips"), "philips_scale_missing"),
        (head(Units="PROPCNTS"), "units_not_convertible"),
        (head(Units=None), "units_not_convertible"),
        (head(RescaleIntercept="5"), "invalid_value"),
        (
            drug(RadiopharmaceuticalStartDateTime="20200102103000", RadiopharmaceuticalStartTime=None),
            "injection_time_implausible",
        ),
        (
            drug(RadiopharmaceuticalStartDateTime="20200101090000", RadiopharmaceuticalStartTime=None),
            "injection_time_implausible",
        ),
        (drug(RadiopharmaceuticalStartDateTime="20200102210000"), "injection_time_implausible"),  # two clocks
        (drug(RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime=None), "injection_time_missing"),
        (drug(RadionuclideTotalDose="5e8"), None),
        (head(Units="GML"), "suv_out_of_range"),  # Bq/ml called SUV
    ],
)
def test_pet_that_cannot_be_right_is_refused(tmp_path, change, code):
    pet_series(tmp_path / "in", edit=change)
    result = convert(tmp_path / "in", tmp_path)
    assert reasons(result) == ([code] if code else [])
    assert len(result["images"]) == (0 if code else 1)


def test_header_that_differs_between_slices_is_refused(tmp_path):
    paths = pet_series(tmp_path / "in")
    edit_files(paths[:1], head(PatientWeight="80"))
    result = convert(tmp_path / "in", tmp_path)
    assert reasons(result) == ["invalid_value"]
    assert result["series"][0]["detail"] == "weight differs within the series"


def test_gml_is_suv_already(tmp_path):
    def as_gml(ds: Dataset) -> None:
        ds.Units, ds.SUVType = "GML", "BW"
        ds.RescaleSlope = f"{float(ds.RescaleSlope) * 2.8e-4:.10f}"[:16]

    pet_series(tmp_path / "in", edit=as_gml)
    array, row = image(convert(tmp_path / "in", tmp_path), tmp_path, "pet")
    np.testing.assert_allclose(array, uptake().transpose(2, 1, 0), atol=5e-4)
    assert row["facts"]["suv"]["factor_max"] == 1.0


@pytest.mark.parametrize(
    ("change", "flag"),
    [
        (lambda ds: drug(RadionuclideTotalDose=str(float(dose(ds)) / 1e6)[:16])(ds), "dose_unit_assumed_mbq"),
        (head(PatientWeight="70000"), "weight_unit_assumed_g"),
        (head(SeriesTime="120000"), "series_time_after_acquisition"),
        (drug(RadiopharmaceuticalStartDateTime="20200103090000"), "injection_date_replaced"),
    ],
)
def test_pet_that_is_right_in_another_way_is_flagged(tmp_path, change, flag):
    pet_series(tmp_path / "in", edit=change)
    array, row = image(convert(tmp_path / "in", tmp_path), tmp_path, "pet")
    np.testing.assert_allclose(array, uptake().transpose(2, 1, 0), atol=5e-4)
    assert flag in row["flags"]


def dose(ds: Dataset) -> float:
    return float(ds.RadiopharmaceuticalInformationSequence[0].RadionuclideTotalDose)


def test_injection_before_midnight(tmp_path):
    def night(ds: Dataset) -> None:
        ds.SeriesTime = ds.AcquisitionTime = "002000"
        drug(RadiopharmaceuticalStartDateTime=None, RadiopharmaceuticalStartTime="232000")(ds)

    pet_series(tmp_path / "in", edit=night)
    array, row = image(convert(tmp_path / "in", tmp_path), tmp_path, "pet")
    np.testing.assert_allclose(array, uptake().transpose(2, 1, 0), atol=5e-4)
    assert "injection_previous_day" in row["flags"]
    assert row["facts"]["uptake_min"] == pytest.approx(60)


@pytest.mark.parametrize("factor", [94.0, 1 / 94.0, 1000.0, 1e-3])
def test_suv_of_another_size_is_refused(tmp_path, factor):
    pet_series(tmp_path / "in", uptake() * factor)
    assert reasons(convert(tmp_path / "in", tmp_path)) == ["suv_out_of_range"]


def test_philips_counts(tmp_path):
    def philips(ds: Dataset) -> None:
        ds.Units, ds.Manufacturer = "CNTS", "Philips Medical Systems"
        block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
        block.add_new(0x00, "DS", "0")
        block.add_new(0x09, "DS", "1.25")

    pet_series(tmp_path / "in", uptake() / 1.25, edit=philips)
    array, row = image(convert(tmp_path / "in", tmp_path), tmp_path, "pet")
    np.testing.assert_allclose(array, uptake().transpose(2, 1, 0), atol=5e-4)
    assert row["facts"]["suv"]["units"] == "CNTS"
