"""What lies in exports beside DICOM, and what its files call themselves: all of it is counted, none of it is obeyed."""

from __future__ import annotations

import csv
import errno
import gzip
import io
import os
import shutil
import socket
import tarfile
import zipfile
import zlib
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import pydicom
import pytest

from osteorad import active
from osteorad.cohort.new import look_through
from osteorad.cohort.pseudonyms import PHANTOM_KEY
from osteorad.cohort.sources import Source
from osteorad.cohort.tables import read_table
from osteorad.dicom import index, index_entries, index_headers, index_listing
from osteorad.dicom.adopt import adopt_patient
from osteorad.errors import ConfigError
from osteorad.files import read_json

from .test_index import write


@pytest.fixture
def source(tmp_path) -> Source:
    write(tmp_path / "in/A/1", "A", study="1.2.1")
    return Source(name="x", folder=tmp_path / "in", state=tmp_path / "state", key=PHANTOM_KEY)


def unplaced(source: Source) -> Counter[str]:
    """Reason -> how many, of what cannot be placed."""
    manifest = read_json(source.state / "state/unplaced.json")
    assert manifest["files_in"] == len(manifest["set_aside"])
    return Counter(row["reason"] for row in manifest["set_aside"])


# --- what is no file --------------------------------------------------------------------------------------------------


def test_archives_are_told_from_other_files(source):
    with zipfile.ZipFile(source.folder / "a.zip", "w") as packed:
        packed.write(source.folder / "A/1", "1.dcm")
    with tarfile.open(source.folder / "b.tar", "w") as packed:
        packed.add(source.folder / "A/1", "1.dcm")
    (source.folder / "c.dcm.gz").write_bytes(gzip.compress((source.folder / "A/1").read_bytes()))
    (source.folder / "d.xlsx").write_bytes(b"PK\3\4" + bytes(26) + b"[Content_Types].xml")
    (source.folder / "e.txt").write_text("PK is no archive")
    index.update(source)
    assert unplaced(source) == {"archive_packed": 3, "not_dicom": 2}


def test_links_are_counted_and_not_followed(source, tmp_path):
    write(tmp_path / "elsewhere/secret", "B", study="1.2.2")
    targets = {"file": "A/1", "folder": "A", "loop": ".", "nothing": "gone", "out": str(tmp_path / "elsewhere")}
    for name, target in targets.items():
        (source.folder / name).symlink_to(target)
    (source.folder / "self").symlink_to("self")
    assert index.update(source) == [source.pseudonym("A")]
    assert unplaced(source) == {"link_not_followed": 6}
    assert index.update(source) == [source.pseudonym("A")]


def test_a_file_that_becomes_a_link_is_one(source):
    index.update(source)
    shutil.move(source.folder / "A/1", source.folder / "2")
    (source.folder / "A/1").symlink_to("../2")
    index.update(source)
    assert unplaced(source) == {"link_not_followed": 1}
    assert index.patient_files(source, source.pseudonym("A")) == [source.folder / "2"]


def test_pipes_and_sockets_are_counted_and_not_opened(source, monkeypatch):
    os.mkfifo(source.folder / "pipe")
    monkeypatch.chdir(source.folder)  # a socket's path is short
    with socket.socket(socket.AF_UNIX) as made:
        made.bind("socket")
        index.update(source)
    assert unplaced(source) == {"file_special": 2}
    assert look_through(source.folder).files == 1


def test_folders_that_cannot_be_listed_are_counted(source, monkeypatch):
    """Root may list everything, so that the refusal is played."""
    write(source.folder / "closed/1", "B", study="1.2.2")
    (source.folder / "empty/within").mkdir(parents=True)
    real = os.scandir

    def scandir(path):
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", scandir)
    assert index.update(source) == [source.pseudonym("A")]
    assert unplaced(source) == {"folder_unreadable": 1}


def test_an_export_that_cannot_be_listed_loses_nobody(source):
    before = index.update(source)
    shutil.move(source.folder, source.folder.parent / "moved")
    with pytest.raises(ConfigError) as raised:
        index.update(source)
    assert raised.value.problems == ["cohort x: its folder cannot be listed: No such file or directory."]
    assert index.patients(source) == before


def test_files_that_cannot_be_opened_are_counted_and_tried_again(source, monkeypatch):
    write(source.folder / "closed", "B", study="1.2.2")
    real = index_headers._opened

    def opened(path: Path):
        if path.name == "closed":
            raise PermissionError(13, "Permission denied")
        return real(path)

    with monkeypatch.context() as playing:
        playing.setattr(index_headers, "_opened", opened)
        index.update(source)
        assert unplaced(source) == {"file_unreadable": 1}
    assert source.pseudonym("B") in index.update(source)  # rights were given: neither size nor time moved
    assert unplaced(source) == {}


def test_a_file_that_moved_and_cannot_be_opened_stops_nothing(source, monkeypatch):
    index.update(source)
    patient = source.pseudonym("A")
    index.record_hashes(source, patient, index.patient_files(source, patient))
    os.utime(source.folder / "A/1", ns=(1, 1))

    def refused(path: Path):
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(index_entries, "sha256_file", refused)
    monkeypatch.setattr(index_headers, "_opened", refused)
    assert index.update(source) == []
    assert unplaced(source) == {"file_unreadable": 1}


def test_a_file_that_goes_while_its_folder_is_listed_is_none(source, monkeypatch):
    class Going:
        """An entry of a folder, of a temporary file that a copy under way has just renamed."""

        name, path = ".1.Xy7", str(source.folder / ".1.Xy7")

        def is_dir(self, **_):
            return False

        is_symlink = is_dir

        def is_file(self, **_):
            return True

        def stat(self, **_):
            raise FileNotFoundError(2, "No such file or directory", self.path)

    real = os.scandir

    @contextmanager
    def scandir(path):
        with real(path) as items:
            yield [*items, Going()]

    monkeypatch.setattr(index_listing.os, "scandir", scandir)
    monkeypatch.setattr(index, "refuse_unlisted", lambda _: None)
    assert index.update(source) == [source.pseudonym("A")]
    assert unplaced(source) == {}


def test_a_file_system_without_locks_stops_no_index(source, monkeypatch):
    def refused(stream, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(active.fcntl, "flock", refused)
    assert index.update(source) == [source.pseudonym("A")]


def test_no_value_of_a_header_is_warned_of(source, recwarn, capfd):
    raw = (source.folder / "A/1").read_bytes()
    (source.folder / "A/1").write_bytes(raw.replace(b"1.2.1.1\0", b"1.2.Doe^"))
    index.update(source)
    assert not recwarn.list
    assert "Doe" not in capfd.readouterr().err


def test_folders_deeper_than_a_path_may_be(source):
    """Some programs nest a folder in itself at each export."""
    here = os.open(source.folder, os.O_RDONLY)
    for _ in range(30):
        os.mkdir("x" * 200, dir_fd=here)
        there = os.open("x" * 200, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = there
    os.close(here)
    assert index.update(source) == [source.pseudonym("A")]
    assert unplaced(source) == {"folder_unreadable": 1}


ODD = ["a\nb", "a\tb", "a'b\"c", "..x", "-rf", "$(touch x)", ";x", "*", "\U0001f9b4", "\x1b[31m", "bytes:x", "a" * 250]


@pytest.mark.parametrize("name", [*ODD, os.fsdecode(b"\xff\xfe\x80")], ids=range(len(ODD) + 1))
def test_names_of_files_are_only_names(source, name):
    shutil.copy(source.folder / "A/1", source.folder / name)
    patient = source.pseudonym("A")
    assert index.update(source) == [patient]
    assert source.folder / name in index.patient_files(source, patient)
    index.record_hashes(source, patient, index.patient_files(source, patient))
    os.utime(source.folder / name, ns=(1, 1))
    index.update(source)
    assert [row[2] for row in read_json(source.state / f"state/{patient}.json")["files"]] == [0, 0]
    assert len(list(source.folder.rglob("*"))) == 3


# --- what files call themselves ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "patient",
    ["../../etc", "..", ".", "a/b", "/etc", "-rf", ".hidden", "unplaced", "a b", "x" * 64 + "y", "a\x00b/../c"],
)
def test_ids_that_would_leave_their_folder_stop_without_being_shown(tmp_path, patient):
    write(tmp_path / "in/a", patient, study="1.2.1")
    with pytest.raises(ConfigError) as raised:
        index.update(Source(name="x", folder=tmp_path / "in", state=tmp_path / "state", key=None))
    (problem,) = raised.value.problems
    assert problem.startswith("cohort x: 1 PatientID(s) cannot be names of folders. Wanted: letters, digits,")
    assert patient not in problem.removeprefix("cohort x: 1 PatientID(s) cannot be names of folders.") or patient == "."
    assert not (tmp_path / "state/state").exists()


@pytest.mark.parametrize("patient", ["CON", "A.b_c-1", "0"])
def test_ids_that_are_names_are_folders(tmp_path, patient):
    write(tmp_path / "in/a", patient, study="1.2.1")
    assert index.update(Source(name="x", folder=tmp_path / "in", state=tmp_path / "state", key=None)) == [patient]


def test_people_of_one_id_stop(tmp_path):
    write(tmp_path / "in/1", "A", study="1.2.1", issuer="north")
    write(tmp_path / "in/2", "A", study="1.2.2", issuer="south")

    def problems(key: bytes | None) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            index.update(Source(name="x", folder=tmp_path / "in", state=tmp_path / "state", key=key))
        return raised.value.problems

    assert problems(None) == ["cohort x: 1 pseudonym(s) would stand for more than one person."]
    assert problems(PHANTOM_KEY) == [
        "cohort x: 1 PatientID(s) carry more than one IssuerOfPatientID: different people? "
        "Split the export by site into cohorts of their own.",
        "cohort x: 1 pseudonym(s) would stand for more than one person.",
    ]


@pytest.mark.parametrize("patient", ["=cmd|' /C calc'!A0", "+1", "@SUM(1)", "-1"])
def test_no_id_acts_as_a_formula_and_all_come_back(tmp_path, patient):
    write(tmp_path / "in/a", patient, study="1.2.1")
    source = Source(name="x", folder=tmp_path / "in", state=tmp_path / "state", key=PHANTOM_KEY)
    index.update(source)
    table = tmp_path / "state/pseudonyms.tsv"
    rows = list(csv.reader(io.StringIO(table.read_text()), delimiter="\t"))
    assert rows[1] == [source.pseudonym(patient), "'" + patient]
    assert read_table(table).records() == [{"pseudonym": source.pseudonym(patient), "patient_id": patient}]


# --- damaged headers --------------------------------------------------------------------------------------------------


def deflated(path: Path, more: bytes) -> None:
    """A file as deflated, with `more` behind its data set."""
    ds = pydicom.dcmread(path)
    ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1.99"
    ds.save_as(path, enforce_file_format=True)
    raw = path.read_bytes()
    start = 144 + int.from_bytes(raw[140:144], "little")
    body = zlib.decompressobj(-15).decompress(raw[start:])
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    path.write_bytes(raw[:start] + packer.compress(body) + packer.compress(more) + packer.flush())


def test_deflated_files_are_read_from_their_beginning_alone(source):
    deflated(source.folder / "A/1", bytes(1 << 26))
    assert (source.folder / "A/1").stat().st_size < 1 << 18
    with index_headers._opened(source.folder / "A/1") as stream:
        assert len(stream.read()) < 2 * index_headers.IDENTITY_BYTES
    assert index.update(source) == [source.pseudonym("A")]
    assert unplaced(source) == {}


def test_a_damaged_deflated_file_is_set_aside(source):
    deflated(source.folder / "A/1", b"")
    raw = bytearray((source.folder / "A/1").read_bytes())
    raw[-40:] = b"\xff" * 40
    (source.folder / "A/1").write_bytes(raw[: len(raw) - 20])
    index.update(source)
    assert set(unplaced(source)) <= {"dicom_unreadable", "identity_missing"}
    assert sum(unplaced(source).values()) + len(index.patients(source)) == 1


def test_sequences_within_each_other_without_end_are_set_aside(source):
    raw = (source.folder / "A/1").read_bytes()
    at = 144 + int.from_bytes(raw[140:144], "little")
    nested = b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff" * 10_000
    (source.folder / "A/1").write_bytes(raw[:at] + nested + raw[at:])
    index.update(source)
    assert unplaced(source) == {"dicom_unreadable": 1}


def test_the_part_of_a_file_is_that_of_the_index(source, tmp_path):
    """A header that two readers understand in two ways is set aside by one job; without this it falls between them."""
    write(source.folder / "A/2", "A", study="1.2.1", modality="RTSTRUCT")
    path = source.folder / "A/2"
    raw = path.read_bytes()
    syntax = b"1.2.840.10008.1.2.1\0"
    path.write_bytes(raw.replace(syntax, b"1.2.840.10008.9.9.9\0"))
    index.update(source)
    patient = source.pseudonym("A")
    files, parts = index.patient_files(source, patient), index.patient_parts(source, patient)
    assert parts[path] == "contours"
    seen = []
    for part in ("images", "contours"):
        manifest = adopt_patient(
            files,
            cohort="x",
            patient=patient,
            part=part,
            source_root=source.folder,
            manifest=tmp_path / f"{part}.json",
            files_in=index.count_files(source, patient, contours=part == "contours"),
            parts=parts,
        )
        assert manifest["files_in"] == len(manifest["files"]) + len(manifest["set_aside"]) == 1
        seen += [row["reason"] for row in manifest["set_aside"]]
    assert "dicom_unreadable" in seen
