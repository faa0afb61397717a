"""Objects that must not pass at all, and those that must."""

from __future__ import annotations

import pytest

from tests.unit.dicom.deid_build import base, image, outputs, reasons, rtstruct, run, save

UID = "1.2.840.10008.5.1.4.1.1."


def gated(tmp_path, ds, part="images"):
    result = run([save(ds, tmp_path / "in" / "a.dcm")], tmp_path, part)
    assert len(outputs(result)) + len(result["set_aside"]) == 1
    return reasons(result)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"BurnedInAnnotation": "YES"}, "burned_in"),
        ({"RecognizableVisualFeatures": "YES"}, "recognizable_features"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "screen_save"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "REPORT"]}, "screen_save"),
        ({"ImageType": ["DERIVED", "SECONDARY"], "ImagePositionPatient": None}, None),
        ({"SeriesDescription": "Dose Report"}, "screen_save"),
        ({"SeriesDescription": "Patient Protocol"}, "screen_save"),
        ({"SeriesDescription": "Dosisbericht"}, "screen_save"),
        ({"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "palette_unsupported"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "palette_unsupported"),
        ({"SOPClassUID": UID + "7"}, "secondary_capture"),
        ({"SOPClassUID": UID + "7.4", "Modality": "OT"}, "secondary_capture"),
        ({"SOPClassUID": UID + "4", "Modality": "MR"}, "modality_unsupported"),
        ({"SOPClassUID": UID + "6.1", "Modality": "US"}, "modality_unsupported"),
        ({"SOPClassUID": UID + "77.1.1.1", "Modality": "ES"}, "modality_unsupported"),
        ({"SOPClassUID": UID + "481.2", "Modality": "RTDOSE"}, "modality_unsupported"),
        ({"SOPClassUID": UID + "66", "Modality": "CT"}, "modality_unsupported"),
        ({"SOPClassUID": UID + "128"}, "modality_unsupported"),  # PET class, CT modality
        ({"SOPClassUID": UID + "104.1", "Modality": "DOC"}, "encapsulated_document"),
        ({"SOPClassUID": UID + "104.3", "Modality": "M3D"}, "encapsulated_document"),
        ({"SOPClassUID": UID + "88.11", "Modality": "SR"}, "structured_report"),
        ({"SOPClassUID": UID + "88.67", "Modality": "SR"}, "structured_report"),
        ({"SOPClassUID": UID + "88.59", "Modality": "KO"}, "presentation_state"),
        ({"SOPClassUID": UID + "11.1", "Modality": "PR"}, "presentation_state"),
        ({"Modality": "SR"}, "structured_report"),
        ({"SeriesInstanceUID": ""}, "identity_missing"),
        ({"PatientID": ""}, "identity_missing"),
    ],
)
def test_stopped(tmp_path, changes, reason):
    ds = image(**changes)
    if reason is None:
        del ds.ImagePositionPatient
        reason = "screen_save"  # derived, without geometry
    assert gated(tmp_path, ds) == [reason]


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]},
        {"ImageType": ["DERIVED", "SECONDARY"]},  # with geometry: public sets look like this
        {"BurnedInAnnotation": "NO"},
        {"RecognizableVisualFeatures": "NO"},
        {"SeriesDescription": "Low dose CT"},
        {"PhotometricInterpretation": "MONOCHROME1"},
    ],
)
def test_passes(tmp_path, changes):
    assert gated(tmp_path, image(**changes)) == []


def test_an_overlay_drawn_into_unused_bits_of_the_pixels_stops_the_image(tmp_path):
    ds = image()
    ds.add_new(0x60000102, "US", 12)
    assert gated(tmp_path, ds) == ["burned_in"]
    ds.add_new(0x60000102, "US", 0)
    assert gated(tmp_path / "2", ds) == []


def test_the_details_quote_no_header(tmp_path):
    ds = image(SOPClassUID="1.2.3", Modality="ZZNAME")
    result = run([save(ds, tmp_path / "in" / "a.dcm")], tmp_path)
    assert reasons(result) == ["modality_unsupported"]
    assert "ZZNAME" not in (result["out"] / "images.json").read_text()


def test_contours_pass_by_their_own_class_only(tmp_path):
    assert gated(tmp_path, rtstruct({1: "GTV"}), "contours") == []
    assert gated(tmp_path / "2", base(UID + "2", "RTSTRUCT"), "contours") == ["modality_unsupported"]


def test_shared_quarantine_objects_are_stopped(tmp_path, shared_data):
    found = {
        path.stem.removeprefix("quarantine_"): reasons(run([path], tmp_path / path.stem, patient="p1"))
        for path in sorted(shared_data("ingest/phi").glob("quarantine_*.dcm"))
    }
    assert found == {
        "burned": ["burned_in"],
        "pdf": ["encapsulated_document"],
        "recognizable": ["recognizable_features"],
        "sc": ["secondary_capture"],
        "screensave": ["screen_save"],
        "sr": ["structured_report"],
    }


def test_shared_series_without_uids_is_not_merged(tmp_path, shared_data):
    paths = sorted(shared_data("ct_with_bones/dicom_j2k/CT").iterdir())
    result = run(paths, tmp_path, patient="p1")
    assert reasons(result) == ["identity_missing"] * len(paths)
    assert {row["detail"] for row in result["set_aside"]} == {
        "empty: PatientID, StudyInstanceUID, SeriesInstanceUID, SOPInstanceUID"
    }
    assert outputs(result) == []
