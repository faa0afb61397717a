"""The index: who is where, what changed, and what cannot be placed."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pydicom
import pytest
from pydicom import filereader
from pydicom.dataset import FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    generate_uid,
)

from osteorad.cohort.sources import Source
from osteorad.dicom import index
from osteorad.dicom.index_headers import BEGINNING_BYTES, HEADER_TAGS, header_values
from osteorad.errors import ConfigError
from osteorad.files import read_json, read_parquet


def write(
    path: Path, patient: str, *, study: str = "1.2.3", modality: str = "CT", issuer: str = "", text: str = ""
) -> None:
    data = pydicom.Dataset()
    data.PatientID, data.IssuerOfPatientID, data.Modality = patient, issuer, modality
    data.StudyInstanceUID, data.SeriesInstanceUID = study, study + ".1"
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    data.SOPInstanceUID = generate_uid(entropy_srcs=[str(path)])
    data.SeriesDescription = text
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    data.save_as(path, enforce_file_format=True)


@pytest.fixture
def source(tmp_path):
    for patient in ("A", "B"):
        for number in range(3):
            write(tmp_path / "in" / patient / f"{number}", patient, study=f"1.2.{patient == 'A':d}")
    return Source(name="x", folder=tmp_path / "in", state=tmp_path / "state", key=b"k" * 32)


def state(source: Source, patient: str) -> list[list]:
    return read_json(source.state / "state" / f"{patient}.json")["files"]


def test_patients_are_pseudonyms_and_files_have_no_names(source):
    patients = index.update(source)
    assert len(patients) == 2
    assert all(p.startswith("p") and len(p) == 13 for p in patients)
    text = (source.state / "state" / f"{patients[0]}.json").read_text()
    assert "in/A" not in text
    assert index.patients(source) == patients
    assert [p.parent.name for p in index.patient_files(source, source.pseudonym("A"))] == ["A"] * 3


def test_the_data_manager_finds_patients_again_and_nobody_else_does(source, tmp_path):
    index.update(source)
    table = source.state / "pseudonyms.tsv"
    rows = [line.split("\t") for line in table.read_text().splitlines()]
    assert rows == [["pseudonym", "patient_id"], *sorted([source.pseudonym(p), p] for p in "AB")]
    assert table.stat().st_mode & 0o077 == 0
    index.update(Source(name="y", folder=source.folder, state=tmp_path / "plain", key=None))
    assert not (tmp_path / "plain/pseudonyms.tsv").exists()


def test_second_update_writes_nothing(source):
    index.update(source)
    before = {p: p.stat().st_mtime_ns for p in source.state.rglob("*") if p.name != ".index.lock"}
    index.update(source)
    assert before == {p: p.stat().st_mtime_ns for p in source.state.rglob("*") if p.name != ".index.lock"}


def test_touched_file_with_recorded_content_keeps_its_version(source):
    index.update(source)
    patient = source.pseudonym("A")
    index.record_hashes(source, patient, index.patient_files(source, patient))
    before = state(source, patient)
    os.utime(source.folder / "A/0", ns=(1, 1))
    index.update(source)
    assert state(source, patient) == before


def test_changed_content_of_equal_size_raises_the_version_of_that_patient_only(source):
    write(source.folder / "A/0", "A", study="1.2.1", text="AB")
    index.update(source)
    a, b = source.pseudonym("A"), source.pseudonym("B")
    index.record_hashes(source, a, index.patient_files(source, a))
    before = state(source, a), state(source, b)
    write(source.folder / "A/0", "A", study="1.2.1", text="CD")
    os.utime(source.folder / "A/0", ns=(1, 1))
    index.update(source)
    assert sorted(v for *_, v in state(source, a)) == [0, 0, 1]
    assert state(source, a) != before[0]
    assert state(source, b) == before[1]


def test_a_name_that_is_no_utf8_is_read_and_named(source):
    odd = source.folder / os.fsdecode(b"A/M\xfcller")
    (source.folder / "A/0").rename(odd)
    patient = source.pseudonym("A")
    index.update(source)
    assert odd in index.patient_files(source, patient)
    assert len(state(source, patient)) == 3
    index.record_hashes(source, patient, index.patient_files(source, patient))
    before = state(source, patient)
    os.utime(odd, ns=(1, 1))
    index.update(source)
    assert state(source, patient) == before


def test_removed_patient_leaves_no_state(source):
    index.update(source)
    for path in (source.folder / "B").iterdir():
        path.unlink()
    assert index.update(source) == [source.pseudonym("A")]
    assert not (source.state / "state" / f"{source.pseudonym('B')}.json").exists()


def test_what_cannot_be_placed_is_listed_with_its_reason(source):
    (source.folder / "Thumbs.db").write_bytes(b"not dicom at all")
    (source.folder / "empty.dcm").write_bytes(b"")
    write(source.folder / "x", "", study="1.2.9")
    write(source.folder / "y1", "C", study="1.2.8")
    write(source.folder / "y2", "D", study="1.2.8")
    index.update(source)
    manifest = read_json(source.state / "state" / "unplaced.json")
    reasons = sorted(row["reason"] for row in manifest["set_aside"])
    assert reasons == ["identity_missing", "not_dicom", "not_dicom", "study_patient_conflict", "study_patient_conflict"]
    assert manifest["files_in"] == 5
    assert len(index.patients(source)) == 2


def test_two_issuers_of_one_id_stop(source):
    write(source.folder / "z", "A", study="1.2.7", issuer="elsewhere")
    with pytest.raises(ConfigError, match=r"1 PatientID\(s\) carry more than one IssuerOfPatientID"):
        index.update(source)


def test_an_id_that_cannot_be_a_file_name_stops_only_without_key(tmp_path):
    write(tmp_path / "in/a", "../evil", study="1.2.1")
    index.update(Source(name="x", folder=tmp_path / "in", state=tmp_path / "s1", key=b"k" * 32))
    with pytest.raises(ConfigError) as raised:
        index.update(Source(name="x", folder=tmp_path / "in", state=tmp_path / "s2", key=None))
    assert raised.value.problems == [
        "cohort x: 1 PatientID(s) cannot be names of folders. Wanted: letters, digits, '.', '_' and '-', at most 64, "
        "starting with a letter or digit; or source: dicom, which gives pseudonyms."
    ]


def test_contours_and_images_are_counted_apart(source):
    write(source.folder / "A/rs", "A", study="1.2.1", modality="RTSTRUCT")
    index.update(source)
    patient = source.pseudonym("A")
    assert index.count_files(source, patient, contours=True) == 1
    assert index.count_files(source, patient, contours=False) == 3


def test_a_lost_state_and_lost_pseudonyms_come_back(source):
    patients = index.update(source)
    before = state(source, patients[0])
    (source.state / "state" / f"{patients[0]}.json").unlink()
    (source.state / "pseudonyms.tsv").unlink()
    assert index.update(source) == patients
    assert state(source, patients[0]) == before
    assert (source.state / "pseudonyms.tsv").exists()


def test_another_key_names_the_patients_anew(source):
    before = index.update(source)
    other = Source(name=source.name, folder=source.folder, state=source.state, key=b"o" * 32)
    assert not set(index.update(other)) & set(before)


def test_an_update_killed_before_the_index_is_made_good(source, monkeypatch):
    index.update(source)
    patient = source.pseudonym("A")
    write(source.folder / "A/0", "A", text="longer than before")
    with monkeypatch.context() as killed:
        killed.setattr(index, "write_entries", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            index.update(source)
    after_kill = state(source, patient)
    index.update(source)
    assert state(source, patient) == after_kill
    assert sorted(version for *_, version in after_kill) == [0, 0, 1]


def test_an_unchanged_source_is_listed_and_not_read(source, monkeypatch):
    patients = index.update(source)
    monkeypatch.setattr(index, "read_entries", lambda _: pytest.fail("the index was read"))
    assert index.update(source) == patients


def with_all_that_disturbs(patient: str, syntax: str = ExplicitVRLittleEndian) -> pydicom.Dataset:
    """A header with a sequence of undefined length before the identity, which holds another one."""
    other = pydicom.Dataset()
    other.PatientID, other.SOPInstanceUID = "OTHER", "9.9"
    data = pydicom.Dataset()
    data.SpecificCharacterSet = "ISO_IR 192"
    data.PatientID, data.Modality, data.StudyInstanceUID = patient, "CT", "1.2.3"
    data.SeriesInstanceUID, data.SOPInstanceUID, data.Rows = "1.2.3.4", "1.2.3.45", 1
    data.ReferencedImageSequence = Sequence([other])
    data["ReferencedImageSequence"].is_undefined_length = True
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    return data


def values_of_pydicom(path: Path) -> dict[str, str]:
    header = pydicom.dcmread(path)
    return {tag: str(header.get(tag, "") or "").strip() for tag in HEADER_TAGS}


@pytest.mark.parametrize("patient", ["A-1", "M\u00fcller 7", "A\\B", "", " A ", "a^b"])
def test_values_are_those_of_pydicom(tmp_path, patient):
    path = tmp_path / "x"
    with_all_that_disturbs(patient).save_as(path, enforce_file_format=True)
    assert header_values(path) == values_of_pydicom(path)


@pytest.mark.parametrize(
    "syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
    ids=lambda syntax: syntax.keyword,
)
def test_values_are_those_of_pydicom_in_every_syntax(tmp_path, syntax):
    path = tmp_path / "x"
    with_all_that_disturbs("A-1", syntax).save_as(path, enforce_file_format=True)
    assert header_values(path) == values_of_pydicom(path)
    assert header_values(path)["PatientID"] == "A-1"


def test_a_plain_header_needs_no_pydicom_and_one_that_starts_late_does(tmp_path, monkeypatch):
    late = with_all_that_disturbs("A-1")
    late.add_new(0x00091001, "UT", "x" * BEGINNING_BYTES)
    late.add_new(0x00090010, "LO", "SOMEBODY")
    for name, data in (("plain", with_all_that_disturbs("A-1")), ("late", late)):
        data.save_as(tmp_path / name, enforce_file_format=True)
        wanted, pydicoms = values_of_pydicom(tmp_path / name), Mock(wraps=filereader.read_partial)
        with monkeypatch.context() as listening:
            listening.setattr(filereader, "read_partial", pydicoms)
            assert header_values(tmp_path / name) == wanted
        assert pydicoms.called == (name == "late")


def test_what_a_state_said_before_is_kept_until_the_patient_is_gone(source):
    index.update(source)
    patient = source.pseudonym("A")
    write(source.folder / "A/0", "A", text="longer than before")
    index.update(source)
    assert len(list((source.state / "state/past" / patient).iterdir())) == 1
    for path in (source.folder / "A").iterdir():
        path.unlink()
    index.update(source)
    assert not (source.state / "state/past" / patient).exists()


def test_a_header_out_of_order_is_read_to_its_end(source):
    path = source.folder / "A/0"
    text = path.read_bytes()
    # a tag of group 0008 turned into one beyond the identity: reading must not end there
    modality = text.index(b"\x08\x00\x60\x00CS")
    path.write_bytes(text[:modality] + b"\x7f\x00\x60\x00CS" + text[modality + 6 :])
    values = header_values(path)
    assert values["PatientID"] == "A"
    assert values["Modality"] == ""


def test_nothing_of_who_withdrew_is_kept_and_their_files_are_counted(source):
    index.update(source)
    gone = source.pseudonym("A")
    after = replace(source, withdrawn=frozenset({gone}))
    assert index.update(after) == [source.pseudonym("B")]
    assert not list(source.state.rglob(f"{gone}*"))
    unplaced = read_json(source.state / "state/unplaced.json")
    assert unplaced["files_in"] == 3
    assert [(row["item"], row["reason"], row["count"]) for row in unplaced["set_aside"]] == [
        ("withdrawn", "withdrawn", 3)
    ]
    kept = read_parquet(source.state / "index.parquet").to_pylist()
    assert {(row["source_patient_id"], row["study_uid"]) for row in kept if row["reason"]} == {("", "")}
    assert gone not in (source.state / "pseudonyms.tsv").read_text()
    assert index.patient_files(after, gone) == []


def test_a_study_shared_with_who_withdrew_stays_nobodys(source):
    """Whose images it holds was never known: they may be those of the one who withdrew."""
    write(source.folder / "A" / "7", "A", study="1.2.7")
    write(source.folder / "B" / "7", "B", study="1.2.7")
    index.update(source)
    assert len(index.patient_files(source, source.pseudonym("B"))) == 3
    after = replace(source, withdrawn=frozenset({source.pseudonym("A")}))
    for _ in range(2):
        index.update(after)
        assert len(index.patient_files(after, source.pseudonym("B"))) == 3
        (source.folder / "B" / "0").touch()
    unplaced = read_json(source.state / "state/unplaced.json")["set_aside"]
    assert sorted((row["reason"], row["count"]) for row in unplaced) == [
        ("study_patient_conflict", 1),
        ("withdrawn", 4),
    ]
    kept = [row for row in read_parquet(source.state / "index.parquet").to_pylist() if row["reason"] == "withdrawn"]
    assert {row["source_patient_id"] for row in kept} == {""}
    assert sorted(row["study_uid"] for row in kept) == ["", "", "", "1.2.7"]


def test_a_new_file_of_who_withdrew_is_not_taken(source):
    after = replace(source, withdrawn=frozenset({source.pseudonym("A")}))
    index.update(after)
    write(source.folder / "A" / "9", "A", study="1.2.1")
    assert index.update(after) == [source.pseudonym("B")]
    assert read_json(source.state / "state/unplaced.json")["files_in"] == 4


def test_who_was_on_the_list_by_mistake_comes_back(source):
    before = index.update(source)
    index.update(replace(source, withdrawn=frozenset({source.pseudonym("A")})))
    assert index.update(source) == before
    assert len(index.patient_files(source, source.pseudonym("A"))) == 3


def test_checks_learn_who_is_there_without_the_index(source):
    index.update(source)
    write(source.folder / "A" / "note.txt", "")
    index.update(source)
    known = read_json(source.state / "known.json")
    assert known == {"patients": {name: source.pseudonym(name) for name in "AB"}, "files": 7}
    assert (source.state / "known.json").stat().st_mode & 0o077 == 0
    (source.state / "known.json").unlink()
    index.update(source)
    assert read_json(source.state / "known.json") == known
