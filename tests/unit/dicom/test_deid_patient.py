"""De-identification of whole patients: what is written, what is set aside, and that nothing of the person is left."""

from __future__ import annotations

import csv
import hashlib
import math
import shutil
from datetime import datetime
from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    RLELossless,
)

from osteorad.cohort.pseudonyms import key_check, series_name, session_name
from osteorad.dicom.adopt import adopt_patient
from osteorad.dicom.deidentify import date_offset_days
from osteorad.dicom.elements import EXPLICIT, Element, read_dicom
from osteorad.dicom.encode import encode, file_bytes
from osteorad.dicom.uids import map_uid
from osteorad.files import read_json
from tests.unit.dicom.deid_build import (
    KEY,
    PATIENT,
    PROJECT_KEY,
    ROOT,
    SOURCE_ID,
    image,
    only,
    outputs,
    pet,
    reasons,
    rtstruct,
    run,
    save,
)

IDENTITY = (b"quastenflosser", b"ottilie", b"hausarzt", b"mrn-778899", b"778899", b"acc55443322", b"stud4711")
TRACES = (*IDENTITY, b"19310704", b"20240229", b"19601231", b"qq")


def traces_in(raw: bytes, strings=TRACES) -> list[bytes]:
    return [s for s in strings if s in raw.lower()]


def test_a_ct_slice(tmp_path):
    path = save(image(StudyDescription="CT Chest QQ1", PatientComments="QQ2"), tmp_path / "in" / "a.dcm")
    result = run([path], tmp_path)
    ds = only(result)
    assert (ds.PatientID, str(ds.PatientName), ds.PatientBirthDate) == (PATIENT, PATIENT, "")
    assert (ds.PatientAge, ds.PatientSex, ds.PatientWeight, ds.PatientSize) == ("090Y", "F", 71, 1.63)
    assert (ds.StudyDescription, ds.AccessionNumber, ds.StudyID) == ("CT Chest", "", "")
    assert ds.PatientIdentityRemoved == "YES"
    assert ds.LongitudinalTemporalInformationModified == "MODIFIED"
    assert [c.CodeValue for c in ds.DeidentificationMethodCodeSequence] == [
        "113100",
        "113105",
        "113107",
        "113108",
        "113111",
    ]
    assert ds.SpecificCharacterSet == "ISO_IR 192"
    assert ds.PixelData == image().PixelData
    assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID == map_uid(KEY, f"{ROOT}.1.1")
    assert "SourceApplicationEntityTitle" not in ds.file_meta
    raw = outputs(result)[0].read_bytes()
    assert not any(raw[:128])
    assert traces_in(raw) == []


def test_the_manifest(tmp_path):
    paths = [save(image(instance=i), tmp_path / "in" / f"{i}.dcm") for i in (1, 2)]
    paths += [save(pet(), tmp_path / "in" / "pet.dcm"), save(rtstruct({1: "GTV"}), tmp_path / "in" / "rs.dcm")]
    result = run(paths, tmp_path, files_in=3)
    written = read_json(result["out"] / "images.json")
    assert {k: written[k] for k in ("cohort", "patient", "part", "root", "roi_names", "files_in")} == {
        "cohort": "c",
        "patient": PATIENT,
        "part": "images",
        "root": "here",
        "roi_names": "assigned",
        "files_in": 3,
    }
    assert written["policy"]["key_check"] == key_check(KEY)
    assert written["policy"]["date_shifted"] is True
    assert len(written["files"]) + sum(row["count"] for row in written["set_aside"]) == 3
    for row in written["files"]:
        ds = pydicom.dcmread(result["out"] / row["path"])
        assert row["sha256"] == hashlib.sha256((result["out"] / row["path"]).read_bytes()).hexdigest()
        assert (row["series_uid"], row["sop_uid"], row["modality"]) == (
            ds.SeriesInstanceUID,
            ds.SOPInstanceUID,
            ds.Modality,
        )
        assert (row["session"], row["series"]) == (
            session_name(ds.StudyInstanceUID),
            series_name(ds.SeriesInstanceUID),
        )
        assert row["path"] == f"{row['session']}/{row['series']}/{row['sop_uid']}.dcm"
    assert sorted(written["pixel_hashes"]) == sorted({row["series"] for row in written["files"]})


def test_contours_are_renamed_and_still_refer_to_their_images(tmp_path):
    names = {3: "GTV_QQ9", 1: " met L3 Quastenflosser", 2: "Marrow T6", 7: "Kidney QQ8"}
    paths = [save(image(), tmp_path / "in" / "a.dcm"), save(rtstruct(names), tmp_path / "in" / "rs.dcm")]
    ct, rs = only(run(paths, tmp_path)), only(run(paths, tmp_path, "contours"))
    named = {int(r.ROINumber): r.ROIName for r in rs.StructureSetROISequence}
    assert named == {1: "lesion-1", 2: "marrow-1", 3: "lesion-2", 7: "roi-1"}
    frame = rs.ReferencedFrameOfReferenceSequence[0]
    study = frame.RTReferencedStudySequence[0]
    series = study.RTReferencedSeriesSequence[0]
    assert frame.FrameOfReferenceUID == ct.FrameOfReferenceUID
    assert study.ReferencedSOPInstanceUID == ct.StudyInstanceUID == rs.StudyInstanceUID
    assert series.SeriesInstanceUID == ct.SeriesInstanceUID
    assert series.ContourImageSequence[0].ReferencedSOPInstanceUID == ct.SOPInstanceUID
    contour = rs.ROIContourSequence[0].ContourSequence[0]
    assert contour.ContourImageSequence[0].ReferencedSOPInstanceUID == ct.SOPInstanceUID
    assert [float(v) for v in contour.ContourData] == [2, 2, 0, 10, 2, 0, 10, 10, 0, 2, 10, 0]
    assert "ROIDescription" not in rs.StructureSetROISequence[0]
    assert traces_in(rs.filename and Path(rs.filename).read_bytes()) == []


def test_own_names_of_contours_are_kept_in_the_private_file_alone(tmp_path):
    names = {3: "GTV_QQ9", 1: " met L3 Quastenflosser", 7: "Kidney QQ8"}
    paths = [save(image(), tmp_path / "in" / "a.dcm"), save(rtstruct(names), tmp_path / "in" / "rs.dcm")]
    paths.append(save(rtstruct(names), tmp_path / "in" / "again.dcm"))  # a duplicate has no names of its own
    private = tmp_path / "private" / "names.json"
    rs = only(run(paths, tmp_path, "contours", names=private))
    own = [[1, "met L3 Quastenflosser"], [3, "GTV_QQ9"], [7, "Kidney QQ8"]]
    assert read_json(private) == {"patient": PATIENT, "names": {str(rs.SOPInstanceUID): own}}
    assert private.stat().st_mode & 0o077 == 0
    assert "Quastenflosser" not in (tmp_path / "dicom" / PATIENT / "contours.json").read_text()


def test_each_part_leaves_the_other_ones_files(tmp_path):
    paths = [save(image(), tmp_path / "in" / "a.dcm"), save(rtstruct({1: "GTV"}), tmp_path / "in" / "rs.dcm")]
    contours = run(paths, tmp_path, "contours", files_in=1)
    stale = contours["out"] / "s0" / "e0" / "old.dcm"
    stale.parent.mkdir(parents=True)
    shutil.copy(save(image(instance=9), tmp_path / "old.dcm"), stale)
    images = run(paths, tmp_path, files_in=1)
    assert not stale.exists()
    assert all(p.exists() for p in [*outputs(contours), *outputs(images)])


SYNTAXES = {
    "implicit": (ImplicitVRLittleEndian, ImplicitVRLittleEndian),
    "explicit": (ExplicitVRLittleEndian, ExplicitVRLittleEndian),
    "deflated": (DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian),
    "big endian": (ExplicitVRBigEndian, ExplicitVRLittleEndian),
}


def corpus() -> tuple[pydicom.Dataset, int]:
    """A CT slice with a canary (`QQnnn`) in every kind of place that a header has; and how many there are."""
    planted = 0

    def canary() -> str:
        nonlocal planted
        planted += 1
        return f"QQ{planted:03d}"

    ds = image()
    with (Path(__file__).parents[3] / "resources/dicom/ps3_15_table_e1_1.tsv").open(newline="") as stream:
        listed = [r for r in csv.DictReader(stream, delimiter="\t") if r["tag"][:4].isalnum() and "X" not in r["tag"]]
    skip = {"0008,0201", "0010,0020", "0040,A730", "0042,0011"}
    for row in listed:
        tag = int(row["tag"].replace(",", ""), 16) if "odd" not in row["tag"] else 0
        if row["vr"] in ("LO", "SH", "ST", "LT", "UT", "UC", "PN", "AE") and tag >> 16 >= 8 and row["tag"] not in skip:
            ds.add_new(tag, row["vr"], canary() if row["vr"] == "PN" else f"CHEST {canary()}")
        elif row["vr"] == "SQ" and row["tag"] not in skip:
            item = pydicom.Dataset()
            item.CodeMeaning, item.PatientName, item.TextValue = canary(), canary(), canary()
            item.add_new(0x00111001, "LO", canary())
            ds.add_new(tag, "SQ", Sequence([item]))
    deep = pydicom.Dataset()
    deep.PatientName, deep.OtherPatientIDs, deep.PatientComments = canary(), canary(), canary()
    for _ in range(6):
        outer = pydicom.Dataset()
        outer.InstitutionName, outer.AnatomicRegionSequence = canary(), Sequence([deep])
        outer.add_new(0x00090010, "LO", "ACME")
        outer.add_new(0x00091001, "UN", canary().encode())
        deep = outer
    ds.ReferencedSeriesSequence = Sequence([deep])
    for group in range(0x0009, 0x0040, 2):
        ds.add_new(group << 16 | 0x0010, "LO", f"ACME {canary()}")
        ds.add_new(group << 16 | 0x1001, "LO", canary())
        ds.add_new(group << 16 | 0x1002, "UN", canary().encode())
    for group in (0x6000, 0x6004):
        for element, vr in ((0x0022, "LO"), (0x1500, "LO"), (0x4000, "LT")):
            ds.add_new(group << 16 | element, vr, canary())
        ds.add_new(group << 16 | 0x3000, "OW", canary().encode() + b"\0")
        ds.add_new((group - 0x1000) << 16 | 0x3000, "OW", canary().encode() + b"\0")
    for tag in (0x00080116, 0x00181250, 0x00189999, 0x00401236, 0x00321111, 0x00420010):
        ds.add_new(tag, "LO", canary())
    for tag in (0x00080008, 0x00180015):
        ds.add_new(tag, "CS", f"CHEST^{canary().lower()}")
    ds.add_new(0xFFFCFFFC, "OB", canary().encode() + b"\0")
    return ds, planted


@pytest.mark.parametrize("name", SYNTAXES)
def test_no_canary_of_a_corpus_is_left(tmp_path, name):
    ds, planted = corpus()
    assert planted > 600
    before, after = SYNTAXES[name]
    path = save(ds, tmp_path / "in" / "a.dcm", before, preamble=b"QQ999".ljust(128, b"Q"))
    path.write_bytes(path.read_bytes() + (b"" if before == DeflatedExplicitVRLittleEndian else b"QQ998 trailing"))
    if before != DeflatedExplicitVRLittleEndian:
        assert path.read_bytes().count(b"QQ") >= planted
    result = run([path], tmp_path)
    assert reasons(result) == []
    raw = outputs(result)[0].read_bytes()
    assert traces_in(raw) == []
    out = only(result)
    assert out.file_meta.TransferSyntaxUID == after
    assert np.array_equal(out.pixel_array, pydicom.dcmread(path).pixel_array)
    assert out.StudyDescription == "CHEST"


def test_compressed_pixels_are_copied_as_they_are(tmp_path):
    ds = image()
    fragments = pydicom.encaps.encapsulate([b"\1\2\3\4" * 5, b"\5\6"])
    ds.PixelData = fragments
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    ds.NumberOfFrames = 2
    path = save(ds, tmp_path / "in" / "a.dcm", RLELossless)
    result = run([path], tmp_path)
    assert only(result).file_meta.TransferSyntaxUID == RLELossless
    assert only(result).PixelData == fragments
    assert outputs(result)[0].read_bytes().endswith(b"\xfe\xff\xdd\xe0\0\0\0\0")


def test_a_name_in_a_comment_of_the_compressed_pixels_stops_the_object(tmp_path):
    ds = image()
    ds.PixelData = pydicom.encaps.encapsulate([b"\xff\xd8\xff\xfe\0\x12QUASTENFLOSSER\0\0" * 2])
    ds["PixelData"].is_undefined_length = True
    ds["PixelData"].VR = "OB"
    result = run([save(ds, tmp_path / "in" / "a.dcm", "1.2.840.10008.1.2.4.70")], tmp_path)
    assert reasons(result) == ["identity_left"]
    assert outputs(result) == []


def suv_factor(ds: pydicom.Dataset) -> float:
    """Body weight factor for START, g/ml per Bq/ml."""
    drug = ds.RadiopharmaceuticalInformationSequence[0]
    injected = datetime.strptime(drug.RadiopharmaceuticalStartDateTime[:14], "%Y%m%d%H%M%S")
    scanned = datetime.strptime(ds.SeriesDate + ds.SeriesTime[:6], "%Y%m%d%H%M%S")
    assert injected.strftime("%H%M%S") == drug.RadiopharmaceuticalStartTime[:6]
    decay = 2.0 ** ((scanned - injected).total_seconds() / float(drug.RadionuclideHalfLife))
    return float(ds.PatientWeight) * 1000 / float(drug.RadionuclideTotalDose) * decay


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRLittleEndian])
def test_the_suv_factor_stays(tmp_path, syntax):
    ds = pet()
    ds.add_new(0x00090010, "LO", "GEMS_PETD_01")
    ds.add_new(0x0009100D, "DT", "20240229101500.00")
    ds.add_new(0x00091005, "LO", "QQ005")
    ds.add_new(0x70530010, "LO", "Philips PET Private Group")
    ds.add_new(0x70531000, "DS", "0.000551")
    ds.add_new(0x70531009, "DS", "0.5")
    before = suv_factor(ds)
    out = only(run([save(ds, tmp_path / "in" / "p.dcm", syntax)], tmp_path))
    assert math.isclose(before, 71 * 1000 / 370e6 * 2 ** (3600 / 6586.2), rel_tol=1e-12)
    assert suv_factor(out) == before
    assert (out.Units, out.DecayCorrection, list(out.CorrectedImage)) == ("BQML", "START", ["DECY", "ATTN"])
    raw = outputs(run([tmp_path / "in" / "p.dcm"], tmp_path))[0].read_bytes()
    assert b"0.000551" in raw
    assert (out.SeriesDate + "101500.00").encode() in raw  # the private scan time moved with the dates
    assert 0x00091005 not in out
    assert 0x00091009 not in out


def test_implicit_private_values_are_read_as_their_maker_means_them(tmp_path):
    """Implicit VR says nothing about a private element; a value that is no number is not let through as one."""
    ds = pet()
    ds.add_new(0x70530010, "LO", "Philips PET Private Group")
    ds.add_new(0x70531000, "DS", "0.000551")
    ds.add_new(0x70531009, "LO", "QQ770")
    out = run([save(ds, tmp_path / "in" / "p.dcm", ImplicitVRLittleEndian)], tmp_path)
    raw = outputs(out)[0].read_bytes()
    assert b"0.000551" in raw
    assert b"QQ770" not in raw


def test_sequences_hidden_in_un_are_cleaned_like_others(tmp_path):
    drug = pydicom.Dataset()
    drug.Radiopharmaceutical, drug.RadionuclideHalfLife, drug.PatientName = "FDG QQ1", 6586.2, "QQ2"
    ds = image("1.2.840.10008.5.1.4.1.1.128", "PT")
    ds.RadiopharmaceuticalInformationSequence = Sequence([drug])
    path = save(ds, tmp_path / "in" / "p.dcm")
    elements = read_dicom(path.read_bytes()).elements
    hidden = [
        Element(e.tag, "UN", b"".join(encode([e], implicit=True))[8:]) if e.tag == 0x00540016 else e for e in elements
    ]
    path.write_bytes(file_bytes(hidden, syntax=EXPLICIT, sop_class="1.2", sop_uid="1.2", writer=("1.2", "X")))
    assert b"\x54\x00\x16\x00UN" in path.read_bytes()
    out = only(run([path], tmp_path))
    item = out.RadiopharmaceuticalInformationSequence[0]
    assert (item.Radiopharmaceutical, item.RadionuclideHalfLife, item.PatientName) == ("FDG", 6586.2, "")


def test_other_character_sets_come_out_as_utf8(tmp_path):
    ds = image()
    ds.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.StudyDescription = "CT 山田"
    ds.PatientComments = "太郎"
    raw = outputs(run([save(ds, tmp_path / "in" / "a.dcm")], tmp_path))[0].read_bytes()
    for text in ("山田", "太郎"):
        assert text.encode() not in raw
        assert text.encode("iso2022_jp") not in raw
    assert b"Yamada" not in raw
    latin = image(StudyDescription="CT Wirbelsäule Müller", instance=2)
    latin.SpecificCharacterSet = "ISO_IR 100"
    out = only(run([save(latin, tmp_path / "in2" / "b.dcm")], tmp_path / "w2"))
    assert out.StudyDescription == "CT Wirbelsäule"


def test_identifiers_in_numbers_go(tmp_path):
    ds = image(SeriesNumber="778899", AcquisitionNumber="19310704")
    ds.PatientID = "778899"
    patient = "p-any"
    out = only(run([save(ds, tmp_path / "in" / "a.dcm")], tmp_path, patient=patient))
    assert "SeriesNumber" not in out
    assert "AcquisitionNumber" not in out


# -- what is set aside -------------------------------------------------------------------------------------------


def test_junk_is_accounted_for_and_stops_nothing(tmp_path):
    good = save(image(), tmp_path / "in" / "a.dcm")
    raw = save(image(instance=2), tmp_path / "in" / "b.dcm").read_bytes()
    junk = {
        "empty.dcm": b"",
        "Thumbs.db": b"\0\1junk" * 50,
        "no_preamble.dcm": raw[132:],
        "cut_in_header.dcm": raw[:700],
        "cut_in_meta.dcm": raw[:150],
        "cut_in_pixels.dcm": raw[:-10],
        "only_prefix.dcm": bytes(128) + b"DICM",
        "DICM.txt": b"x" * 128 + b"DICM" + b"hello, this is no DICOM at all",
    }
    paths = [good]
    for name, content in junk.items():
        (tmp_path / "in" / name).write_bytes(content)
        paths.append(tmp_path / "in" / name)
    paths.append(tmp_path / "in" / "vanished.dcm")
    result = run(paths, tmp_path, source_root=tmp_path / "in")
    assert len(result["files"]) == 1
    assert sorted(reasons(result)) == sorted(["not_dicom"] * 3 + ["dicom_unreadable"] * 5 + ["pixel_data_truncated"])
    assert len(result["files"]) + sum(row["count"] for row in result["set_aside"]) == len(paths)
    text = (result["out"] / "images.json").read_text().lower()
    assert not any(name.lower() in text for name in [*junk, "a.dcm", str(tmp_path)])
    assert all(row["kind"] == "quarantined" and row["stage"] == "files" for row in result["set_aside"])


def test_a_cut_rtstruct_belongs_to_the_contours(tmp_path):
    path = save(rtstruct({1: "GTV"}), tmp_path / "in" / "rs.dcm")
    path.write_bytes(path.read_bytes()[:-40])
    assert reasons(run([path], tmp_path, "contours")) == ["dicom_unreadable"]
    assert reasons(run([path], tmp_path, "images")) == []


def test_the_same_object_twice_is_a_duplicate_and_another_content_a_collision(tmp_path):
    first = save(image(), tmp_path / "in" / "a.dcm")
    shutil.copy(first, tmp_path / "in" / "b.dcm")
    sent_elsewhere = save(image(RetrieveAETitle="QQAE"), tmp_path / "in" / "c.dcm")
    result = run([first, tmp_path / "in" / "b.dcm", sent_elsewhere], tmp_path)
    assert reasons(result) == ["duplicate_file"] * 2
    assert {row["kind"] for row in result["set_aside"]} == {"duplicate"}
    assert len(outputs(result)) == 1

    changed = image(PixelData=bytes(32))
    other = save(changed, tmp_path / "in" / "d.dcm")
    again = save(changed, tmp_path / "in" / "e.dcm")
    result = run([first, tmp_path / "in" / "b.dcm", sent_elsewhere, other, again], tmp_path)
    assert sorted(reasons(result)) == ["duplicate_file"] * 2 + ["sop_uid_collision"] * 3
    assert outputs(result) == []
    assert list(result["out"].rglob("*.dcm")) == []
    assert result["pixel_hashes"] == {}


def test_empty_identifiers_are_named_and_nothing_is_merged(tmp_path):
    ds = image(PatientID="", StudyInstanceUID="", SeriesInstanceUID="")
    result = run([save(ds, tmp_path / "in" / "a.dcm")], tmp_path)
    assert reasons(result) == ["identity_missing"]
    assert result["set_aside"][0]["detail"] == "empty: PatientID, StudyInstanceUID, SeriesInstanceUID"
    assert outputs(result) == []


def test_files_of_another_person_are_not_merged(tmp_path):
    mine = save(image(), tmp_path / "in" / "a.dcm")
    theirs = save(image(PatientID="OTHER-1", instance=2), tmp_path / "in" / "b.dcm")
    result = run([mine, theirs], tmp_path)
    assert reasons(result) == ["patient_id_collision"]
    assert len(result["files"]) == 1
    issued = [
        save(image(IssuerOfPatientID=name, instance=i), tmp_path / "in" / f"{name}.dcm")
        for i, name in enumerate(["HOSPITAL A", "HOSPITAL B"], start=1)
    ]
    assert reasons(run(issued, tmp_path / "w")) == ["patient_id_collision"] * 2


def test_what_is_left_after_cleaning_is_found(tmp_path, monkeypatch):
    """The check of the outputs does not rest on the cleaning: a broken rule is caught."""
    from osteorad.dicom import values

    monkeypatch.setattr(values, "device_text", lambda texts, own, longest: "\\".join(texts).encode())
    for text in ("Ottilie", "scanner of MRN-778899", "29 20240229", f"{ROOT}.1", "CT-0815"):
        result = run(
            [save(image(ManufacturerModelName=text, OtherPatientIDs="CT-0815"), tmp_path / "in" / "a.dcm")], tmp_path
        )
        assert reasons(result) == ["identity_left"], text
        assert outputs(result) == []
        assert text not in (result["out"] / "images.json").read_text()


def test_names_that_are_words_of_the_trade_stop_nothing(tmp_path):
    ds = image(BodyPartExamined="HAND", StudyDescription="CT Hand Siemens", Manufacturer="SIEMENS")
    ds.PatientName, ds.OperatorsName = "Hand^Mary", "Siemens^Service"
    result = run([save(ds, tmp_path / "in" / "a.dcm")], tmp_path)
    assert reasons(result) == []
    assert only(result).StudyDescription == "CT Siemens"
    assert only(result).Manufacturer == "SIEMENS"
    assert list(only(result).ImageType)[1] == "PRIMARY"  # holds MARY, but not as a word


def test_a_name_that_is_a_defined_term_stops_nothing(tmp_path):
    ds = pet()
    ds.PatientName = "Doe^Start"
    ds.DecayCorrection = "START"
    manifest = run([save(ds, tmp_path / "in" / "a.dcm")], tmp_path / "out")
    assert reasons(manifest) == []
    assert only(manifest).DecayCorrection == "START"


def test_a_product_that_lends_its_name_stops_nothing(tmp_path):
    ds = image(InstitutionName="Scan 3000", DeviceSerialNumber="3000", AccessionNumber="3000")
    ds.OperatorsName = "Revolution^Tech"
    ds.ManufacturerModelName = "Scan 3000 Revolution"
    result = run([save(ds, tmp_path / "in" / "a.dcm")], tmp_path)
    assert reasons(result) == []
    assert only(result).ManufacturerModelName == "Scan 3000 Revolution"


# -- the same in, the same out -----------------------------------------------------------------------------------


def test_two_runs_give_the_same_bytes(tmp_path):
    names = {"a": image(), "b": image(instance=2), "p": pet(), "r": rtstruct({1: "GTV", 2: "x"})}
    for where in ("one", "two"):
        for name, ds in names.items():
            save(ds, tmp_path / where / "in" / f"{name}.dcm")
    (tmp_path / "one" / "in" / "junk").write_bytes(b"j")
    (tmp_path / "two" / "in" / "junk").write_bytes(b"j")
    trees = []
    for where, order in (("one", 1), ("two", -1)):
        root = tmp_path / where
        paths = sorted((root / "in").iterdir())[::order]
        for part in ("contours", "images")[::order]:
            run(paths, root / "out", part, source_root=root / "in")
        trees.append({p.relative_to(root): p.read_bytes() for p in (root / "out").rglob("*") if p.is_file()})
    assert len(trees[0]) == 6
    assert trees[0] == trees[1]


def test_another_key_gives_other_names_and_dates(tmp_path):
    path = save(image(), tmp_path / "in" / "a.dcm")
    one, two = only(run([path], tmp_path / "1")), only(run([path], tmp_path / "2", key=bytes(32)))
    assert one.SOPInstanceUID != two.SOPInstanceUID
    assert one.StudyDate != two.StudyDate


def test_pixel_hashes_tell_the_same_images_in_two_cohorts(tmp_path):
    paths = [save(image(instance=i), tmp_path / "in" / f"{i}.dcm") for i in (1, 2, 3)]
    one = run(paths, tmp_path / "1")
    two = run(paths[::-1], tmp_path / "2", key=bytes(32))
    three = run(paths[:2], tmp_path / "3")
    (hash_one,), (hash_two,), (hash_three,) = (m["pixel_hashes"].values() for m in (one, two, three))
    assert hash_one == hash_two
    assert hash_one != hash_three
    assert run(paths, tmp_path / "4", project_key=None)["pixel_hashes"] == {}
    assert run(paths, tmp_path / "5", project_key=bytes(32))["pixel_hashes"] != one["pixel_hashes"]
    assert PROJECT_KEY != KEY


def test_dates_move_back_by_whole_weeks():
    offsets = {date_offset_days(KEY, f"p{i:012d}") for i in range(300)}
    assert all(d % 7 == 0 and -7 * 1043 <= d <= -7 * 53 for d in offsets)
    assert len(offsets) > 200
    assert date_offset_days(KEY, PATIENT) == date_offset_days(KEY, PATIENT)


# -- taking over what was pseudonymised before -------------------------------------------------------------------


def test_adopted_files_stay_where_they_are(tmp_path):
    root = tmp_path / "in"
    paths = [save(image(instance=i), root / f"{i}.dcm") for i in (1, 2)]
    paths += [
        save(rtstruct({1: "GTV"}), root / "rs.dcm"),
        save(image(Modality="MR", SOPClassUID="1.2.840.10008.5.1.4.1.1.4", instance=5), root / "mr.dcm"),
    ]
    (root / "junk.txt").write_bytes(b"j")
    shutil.copy(paths[0], root / "copy.dcm")
    paths += [root / "junk.txt", root / "copy.dcm"]
    before = {p: p.read_bytes() for p in root.iterdir()}
    images = adopt_patient(
        paths, cohort="c", patient=SOURCE_ID, part="images", source_root=root, manifest=tmp_path / "i.json", files_in=5
    )
    contours = adopt_patient(
        paths,
        cohort="c",
        patient=SOURCE_ID,
        part="contours",
        source_root=root,
        manifest=tmp_path / "c.json",
        files_in=1,
    )
    assert [row["path"] for row in images["files"]] == ["1.dcm", "2.dcm"]
    assert sorted(reasons(images)) == ["duplicate_file", "modality_unsupported", "not_dicom"]
    assert [row["path"] for row in contours["files"]] == ["rs.dcm"]
    assert (images["root"], images["roi_names"], images["pixel_hashes"]) == ("source", "original", {})
    assert images["files"][0]["series_uid"] == f"{ROOT}.1"
    assert {p: p.read_bytes() for p in root.iterdir()} == before
    assert images == read_json(tmp_path / "i.json")


def test_a_second_run_removes_its_own_files_and_none_that_the_other_job_has_just_taken_away(tmp_path):
    """Both jobs of a patient list the folder; what one removes is gone before the other has read its header."""
    path = save(image(), tmp_path / "in" / "a.dcm")
    first = run([path], tmp_path)
    (own,) = outputs(first)
    old = own.with_name("old.dcm")
    old.write_bytes(own.read_bytes())
    gone = own.with_name("gone.dcm")
    gone.symlink_to(tmp_path / "nowhere")
    (again,) = outputs(run([path], tmp_path))
    assert again == own
    assert not old.exists()
    assert gone.is_symlink()
