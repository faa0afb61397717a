"""De-identification of the shared reference files: canaries, links, SUV, segmentations, compressed series."""

from __future__ import annotations

import csv
from pathlib import Path

import highdicom as hd
import numpy as np
import pydicom
import pytest

from tests.unit.dicom.deid_build import outputs, reasons, run

PASSING = {"phi_ct": "images", "phi_pet": "images", "phi_rtstruct": "contours"}


@pytest.fixture(scope="module")
def phi(shared_data, tmp_path_factory):
    folder = shared_data("ingest/phi")
    with (folder / "canaries.tsv").open(newline="") as stream:
        canaries = [row["canary"] for row in csv.DictReader(stream, delimiter="\t")]
    work = tmp_path_factory.mktemp("phi")
    results = {
        name: run([folder / f"{name}.dcm"], work / name, part, patient="p123456789abc")
        for name, part in PASSING.items()
    }
    return folder, canaries, results


@pytest.mark.parametrize("name", PASSING)
def test_no_canary_is_left(phi, name):
    folder, canaries, results = phi
    assert len(canaries) == 99
    assert reasons(results[name]) == []
    (path,) = outputs(results[name])
    before, after = (folder / f"{name}.dcm").read_bytes(), path.read_bytes()
    planted = [c for c in canaries if c.encode() in before]
    assert len(planted) == {"phi_ct": 56, "phi_pet": 5, "phi_rtstruct": 11}[name]
    left = [c for c in (*canaries, "20240229", "20240301", "19301231", "19601231", "094Y") if c.encode() in after]
    assert left == []


def test_links_hold(phi):
    ct, rs, pet = (pydicom.dcmread(outputs(phi[2][n])[0]) for n in ("phi_ct", "phi_rtstruct", "phi_pet"))
    frame = rs.ReferencedFrameOfReferenceSequence[0]
    series = frame.RTReferencedStudySequence[0].RTReferencedSeriesSequence[0]
    assert frame.FrameOfReferenceUID == ct.FrameOfReferenceUID == pet.FrameOfReferenceUID
    assert series.SeriesInstanceUID == ct.SeriesInstanceUID
    assert series.ContourImageSequence[0].ReferencedSOPInstanceUID == ct.SOPInstanceUID
    assert ct.StudyInstanceUID == rs.StudyInstanceUID == pet.StudyInstanceUID
    assert ct.StudyDate == pet.StudyDate == rs.StudyDate
    assert rs.StructureSetROISequence[0].ROIName == "lesion-1"


def test_suv_needs_are_all_there(phi):
    before = pydicom.dcmread(phi[0] / "phi_pet.dcm")
    after = pydicom.dcmread(outputs(phi[2]["phi_pet"])[0])
    for keyword in (
        "PatientWeight",
        "PatientSize",
        "PatientSex",
        "Units",
        "DecayCorrection",
        "SeriesTime",
        "PixelData",
    ):
        assert after[keyword].value == before[keyword].value
    old, new = (d.RadiopharmaceuticalInformationSequence[0] for d in (before, after))
    for keyword in ("RadionuclideTotalDose", "RadionuclideHalfLife", "RadiopharmaceuticalStartTime"):
        assert new[keyword].value == old[keyword].value
    assert new.RadiopharmaceuticalStartDateTime[:8] == after.SeriesDate == after[0x0009100D].value[:8]
    assert new.RadiopharmaceuticalStartDateTime[8:] == old.RadiopharmaceuticalStartDateTime[8:]
    assert after[0x70531000].value == before[0x70531000].value
    assert 0x00091005 not in after


def test_transfer_syntaxes_keep_their_pixels(tmp_path, shared_data):
    paths = sorted(shared_data("ingest/transfer_syntaxes").glob("*.dcm"))
    assert len(paths) == 11
    for path in paths:
        result = run([path], tmp_path / path.stem, patient="p1")
        assert reasons(result) == []
        before, after = pydicom.dcmread(path), pydicom.dcmread(outputs(result)[0])
        if before.file_meta.TransferSyntaxUID.is_encapsulated:
            assert after.PixelData == before.PixelData
            assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        else:
            assert np.array_equal(after.pixel_array, before.pixel_array)


def test_segmentations_are_still_read(tmp_path, shared_data):
    """An independent reader takes the outputs; pixels and references are as before."""
    paths = sorted(shared_data("ingest/seg/highdicom").glob("*.dcm")) + sorted(
        shared_data("ingest/seg").rglob("*labelmap*.dcm")
    )
    for path in paths:
        result = run([path], tmp_path / path.stem, "contours", patient="p1", rois={"lesion": ["*1*", "liver*"]})
        assert reasons(result) == []
        before, after = hd.seg.segread(path), hd.seg.segread(outputs(result)[0])
        assert np.array_equal(after.pixel_array, before.pixel_array)
        assert all("-" in after.get_segment_description(n).segment_label for n in after.segment_numbers)
        assert len(after.get_source_image_uids()) == len(before.get_source_image_uids())


@pytest.mark.parametrize("patient", ["STS_001", "STS_019"])
def test_a_real_patient_comes_through_whole(tmp_path, shared_data, patient):
    """Implicit VR, JPEG-LS and JPEG 2000 series of a public collection; geometry and values as before."""
    paths = sorted(p for p in Path(shared_data(f"sts/dicom/{patient}")).rglob("*") if p.is_file())
    images = run(paths, tmp_path, patient="p123456789abc", source_root=shared_data("sts/dicom"))
    contours = run(paths, tmp_path, "contours", patient="p123456789abc")
    assert len(images["files"]) + len(contours["files"]) == len(paths)
    assert reasons(images) == reasons(contours) == []
    keywords = ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "SeriesTime")
    before = {
        (d.Modality, tuple(d.ImagePositionPatient)): d for d in map(pydicom.dcmread, paths) if d.Modality != "RTSTRUCT"
    }
    for path in outputs(images):
        after = pydicom.dcmread(path)
        original = before[after.Modality, tuple(after.ImagePositionPatient)]
        assert after.PixelData == original.PixelData
        assert all(after[k].value == original[k].value for k in keywords)
        assert patient.encode() not in path.read_bytes()
    series = {row["series_uid"] for row in images["files"]}
    for path in outputs(contours):
        rs = pydicom.dcmread(path)
        study = rs.ReferencedFrameOfReferenceSequence[0].RTReferencedStudySequence[0]
        assert study.RTReferencedSeriesSequence[0].SeriesInstanceUID in series
        assert [r.ROIName for r in rs.StructureSetROISequence] == ["lesion-1"]
