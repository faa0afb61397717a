"""The scan: a planted value is found in every kind of container, nothing in clean ones, and no value is ever told."""

from __future__ import annotations

import base64
import gzip
import json
import os
import random

import pytest

from osteorad.verify.scan import DEEPEST, Scan
from osteorad.verify.values import Collector
from tests.unit.verify.containers import dicom, files, nifti, page, zipped

WORD = "Zzquorfel77x4"
OTHER = "Qqnothing55y8"
KINDS = sorted(files(WORD))


def collected(*words, names=()):
    collector = Collector()
    for word in words:
        collector.identifier("PatientID", word)
    for name in names:
        collector.name("PatientName", name)
    return collector.finish()


def scanned(folder, values=None, **options):
    scan = Scan(values or collected(WORD))
    scan.folder(folder, **options)
    return scan.report


@pytest.mark.parametrize("kind", KINDS)
def test_planted_value_is_found(tmp_path, kind):
    (tmp_path / "a").write_bytes(files(WORD)[kind])
    report = scanned(tmp_path)
    assert report.hits
    assert {hit.kind for hit in report.hits} == {"PatientID"}
    assert WORD.lower() not in json.dumps(report.as_dict()).lower()
    assert WORD.lower() not in "\n".join(report.lines()).lower()


def test_nothing_is_found_in_clean_containers(tmp_path):
    for number, content in enumerate(files(OTHER).values()):
        (tmp_path / f"{number}").write_bytes(content)
    report = scanned(tmp_path)
    assert report.hits == []
    assert sorted(missed.why for missed in report.missed) == [
        "damaged or unknown gzip (BadGzipFile): searched as bytes only",  # what stands behind it is no gzip
        "damaged or unknown text (BadGzipFile): searched as bytes only",
        "text may be drawn with glyphs; look at it",
    ]
    assert report.opened["files"] == len(KINDS)


@pytest.mark.parametrize(
    "name",
    [
        f"{WORD}.log",
        f"{WORD}/a.log",
        f"{WORD.upper()}.log",
        base64.b64encode(f"results/cohorts/c/pages/{WORD}.html".encode()).decode(),
        "@" + base64.b64encode(f"results/cohorts/cc/{WORD}.html".encode()).decode()[:20]
        + "/@" + base64.b64encode(f"results/cohorts/cc/{WORD}.html".encode()).decode()[20:40]
        + "/" + base64.b64encode(f"results/cohorts/cc/{WORD}.html".encode()).decode()[40:],
    ],
)  # fmt: skip
def test_value_in_a_name_is_found_and_masked(tmp_path, name):
    path = tmp_path / "metadata" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("x")
    report = scanned(tmp_path)
    assert report.hits
    told = "\n".join(report.lines())
    assert WORD.lower() not in told.lower()
    assert "<masked>" in told
    assert name.split("/")[-1] not in told or name.endswith("a.log") or name.startswith("@")


def test_target_of_a_link_is_a_name(tmp_path):
    os.symlink(f"/nowhere/{WORD}", tmp_path / "a")
    report = scanned(tmp_path)
    assert len(report.hits) == 1
    assert [missed.why for missed in report.missed] == ["not a plain file: not read"]


def test_originals_are_left_out(tmp_path):
    (tmp_path / "private").mkdir()
    (tmp_path / "private/a").write_text(WORD)
    assert scanned(tmp_path, left_out=[tmp_path / "private"]).clean
    assert len(scanned(tmp_path).hits) == 1


@pytest.mark.parametrize(
    "written", ["Müller-Thelwy", "MÜLLER-THELWY", "Mueller Thelwy", "muller_thelwy", "Mu\u0308ller"]
)
def test_names_are_found_in_every_spelling(tmp_path, written):
    values = collected(names=["Müller-Thelwy^Jörg"])
    for number, raw in enumerate(
        [written.encode(), written.encode("utf-16"), page(written), json.dumps(written).encode()]
    ):
        (tmp_path / f"{number}").write_bytes(raw)
    (tmp_path / "latin").write_bytes(written.encode("latin-1", "replace").replace(b"u?ller", b"\xfcller"))
    report = scanned(tmp_path, values)
    assert {hit.file for hit in report.hits} == {"0", "1", "2", "3", "latin"}


def test_short_names_must_be_whole_words(tmp_path):
    values = collected(names=["Rahn^Otto"])
    (tmp_path / "word").write_text("seen by RAHN, again")
    (tmp_path / "part").write_text("Mahrahna drahnt")
    assert {hit.file for hit in scanned(tmp_path, values).hits} == {"word"}


def test_name_in_another_character_set_is_found(tmp_path):
    def change(data):
        data.SpecificCharacterSet = ["", "ISO 2022 IR 87"]
        data.StudyDescription = "山田"

    (tmp_path / "a.dcm").write_bytes(dicom(change))
    values = collected(names=["Yamada^Tarou=山田^太郎"])
    assert [hit.place for hit in scanned(tmp_path, values).hits] == ["(0008,1030) StudyDescription"]


def test_numbers_count_only_alone(tmp_path):
    values = collected("4071823")
    (tmp_path / "id").write_text("patient 4071823;")
    (tmp_path / "longer").write_text("2.25.99407182311 0.4071823 12.4071823 14071823")
    assert {hit.file for hit in scanned(tmp_path, values).hits} == {"id"}


@pytest.mark.parametrize(
    "written", ["20240229", "2024-02-29", "29.02.2024", "29.2.2024", "02/29/2024", "1.2.3.20240229.7"]
)
def test_dates_are_found_in_every_spelling(tmp_path, written):
    collector = Collector()
    collector.date("StudyDate", "20240229")
    (tmp_path / "a.json").write_text(json.dumps({"x": written}))
    assert [hit.kind for hit in scanned(tmp_path, collector.finish()).hits] == ["StudyDate"]


def _dated(patient, day, modified="MODIFIED"):
    def change(data):
        data.PatientID, data.StudyDate = patient, day
        data.LongitudinalTemporalInformationModified = modified

    return dicom(change)


@pytest.mark.parametrize(
    ("patient", "modified", "hits", "chance"),
    [("p1", "MODIFIED", 1, 0), ("p2", "MODIFIED", 0, 1), ("p2", "UNMODIFIED", 1, 0)],
)
def test_moved_date_of_another_patient_is_chance(tmp_path, patient, modified, hits, chance):
    collector = Collector()
    collector.date("StudyDate", "20240229", owner="p1", attribute="StudyDate")
    (tmp_path / "a.dcm").write_bytes(_dated(patient, "20240229", modified))
    report = scanned(tmp_path, collector.finish())
    assert (len(report.hits), report.coincidences) == (hits, chance)


@pytest.mark.parametrize(
    ("name", "content", "why"),
    [
        ("gzip", gzip.compress(b"a" * 9999)[:40], "damaged or unknown gzip"),
        ("zip", zipped({"a": b"b" * 999})[:60], "damaged or unknown zip"),
        ("parquet", b"PAR1" + b"x" * 50, "damaged or unknown parquet"),
        ("dicom", bytes(128) + b"DICM" + b"\xff" * 50, "damaged or unknown dicom"),
        ("nifti", nifti()[:350], ""),
        ("7z", b"7z\xbc\xaf\x27\x1c" + bytes(40), "7z is not unpacked"),
    ],
)
def test_what_can_not_be_opened_is_listed_and_searched_as_bytes(tmp_path, name, content, why):
    (tmp_path / name).write_bytes(content + b" " + WORD.encode())
    report = scanned(tmp_path)
    assert report.hits
    assert any(missed.why.startswith(why) for missed in report.missed) or not why
    assert not report.clean


def test_begin_of_a_cut_file_is_searched(tmp_path):
    noise = random.Random(1).randbytes(50_000).hex().encode()
    (tmp_path / "a.gz").write_bytes(gzip.compress(b"ab" * 99 + WORD.encode() + noise)[:-9000])
    report = scanned(tmp_path)
    assert [hit.place for hit in report.hits] == ["gzip > text"]
    assert {missed.why for missed in report.missed} == {
        "damaged or unknown gzip (EOFError): searched as bytes only",
        "damaged or unknown text (EOFError): searched as bytes only",
    }


def test_moved_private_date_of_the_patient_is_no_chance(tmp_path):
    collector = Collector()
    collector.date("private (0011,1001)", "20240229", owner="p1", attribute="(0011,1001)")

    def change(data):
        data.PatientID, data.LongitudinalTemporalInformationModified = "p1", "MODIFIED"
        data.private_block(0x0011, "SOMEBODY", create=True).add_new(1, "DA", "20240229")

    (tmp_path / "a.dcm").write_bytes(dicom(change))
    assert [hit.place for hit in scanned(tmp_path, collector.finish()).hits] == ["(0011,1001)"]


def test_containers_nested_too_deep_are_listed(tmp_path):
    content = WORD.encode()
    for _ in range(DEEPEST + 2):
        content = gzip.compress(content)
    (tmp_path / "a").write_bytes(content)
    assert [missed.why.split(":")[0] for missed in scanned(tmp_path).missed] == [
        f"more than {DEEPEST} containers in containers"
    ]


def test_same_values_have_the_same_digest_in_one_scan_only(tmp_path):
    (tmp_path / "a").write_text(WORD)
    (tmp_path / "b").write_text(f"{WORD} {OTHER}")
    hits = scanned(tmp_path, collected(WORD, OTHER)).hits
    again = scanned(tmp_path, collected(WORD, OTHER)).hits
    assert len({hit.digest for hit in hits}) == 2
    assert {hit.digest for hit in hits}.isdisjoint(hit.digest for hit in again)


def test_places_name_the_attribute(tmp_path):
    (tmp_path / "a.dcm").write_bytes(files(WORD)["dicom nested"])
    assert [hit.place for hit in scanned(tmp_path).hits] == [
        "(0040,0275) RequestAttributesSequence > (0040,0275) RequestAttributesSequence > (0010,4000) PatientComments"
    ]
