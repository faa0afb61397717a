"""What is looked for: parts of names, identifiers, dates, words of free text. What is not is counted, with a reason."""

from __future__ import annotations

import datetime

import pytest

from osteorad.cohort.tables import read_table
from osteorad.errors import UserError
from osteorad.verify.originals import ExportReader, add_table
from osteorad.verify.values import CUTOFF, HABIT, TERM, TOO_SHORT, Collector, date_of, merge, values_of_list
from tests.unit.verify.containers import dicom, files


def texts(collector: Collector) -> set[str]:
    return {value.text for value in collector.finish().values}


def reasons(collector: Collector) -> dict[str, int]:
    counts: dict[str, int] = {}
    for (_, reason), count in collector.finish().skipped.items():
        counts[reason] = counts.get(reason, 0) + count
    return counts


def test_name_is_split_into_its_parts():
    collector = Collector()
    collector.name("PatientName", "Quillbach-Thelwy^Isoldara^^Dr")
    assert {"Quillbach-Thelwy", "Quillbach", "Thelwy", "Isoldara"} <= texts(collector)
    assert reasons(collector)[TOO_SHORT] == 1


def test_short_or_common_names_are_looked_for_together():
    collector = Collector()
    collector.name("PatientName", "Li^Wei")
    assert {"Li Wei", "Wei Li", "Li^Wei", "LiWei", "Wei_Li", "Li, Wei"} <= texts(collector)
    collector = Collector()
    collector.name("PatientName", "Thorax^Bone")
    assert "Thorax" not in texts(collector)
    assert "Thorax^Bone" in texts(collector)
    assert reasons(collector)[TERM] == 2


@pytest.mark.parametrize(("text", "why"), [("A12", TOO_SHORT), ("12345", TOO_SHORT), ("unknown", TERM)])
def test_identifiers_that_tell_nothing_are_skipped(text, why):
    collector = Collector()
    collector.identifier("StudyID", text)
    assert texts(collector) == set()
    assert reasons(collector) == {why: 1}


def test_uids_of_the_standard_are_no_identity():
    collector = Collector()
    collector.uid("SOPClassUID", "1.2.840.10008.5.1.4.1.1.2")
    collector.uid("StudyInstanceUID", "1.3.12.2.1107.5.1.4.1")
    assert texts(collector) == {"1.3.12.2.1107.5.1.4.1"}


def test_free_text_gives_its_telling_words():
    collector = Collector()
    collector.text("StudyDescription", "PET/CT thorax for Quillbach, letter LTR88231 of 3.4.2021")
    found = texts(collector)
    assert {"Quillbach", "LTR88231", "2021-04-03"} <= found
    assert not {"thorax", "letter", "PET/CT"} & found


def test_words_that_many_patients_share_are_habits():
    collector = Collector()
    for number in range(10):
        collector.text("StudyDescription", f"Krobelwisch Quill{'abcdefghij'[number]}bach", owner=f"p{number}")
    assert "Krobelwisch" not in texts(collector)
    assert "Quillabach" in texts(collector)
    assert reasons(collector)[HABIT] == 1


def test_words_of_an_address_are_never_habits():
    collector = Collector()
    for number in range(10):
        collector.place("PatientAddress", f"Krobelwisch {number}", owner=f"p{number}")
    assert "Krobelwisch" in texts(collector)


def test_cut_off_of_the_settings_is_no_identity():
    collector = Collector(cutoffs={datetime.date(2026, 5, 31)})
    assert collector.date("last_seen", "31.05.2026")
    assert texts(collector) == set()
    assert reasons(collector) == {CUTOFF: 1}


@pytest.mark.parametrize(
    ("text", "want"),
    [("20240229", (2024, 2, 29)), ("2024-02-29", (2024, 2, 29)), ("29.2.2024", (2024, 2, 29)),
     ("20240229101500.0+0100", (2024, 2, 29)), ("02/29/2024", (2024, 2, 29)), ("20230229", None), ("17771231", None),
     ("2024", None), ("MRN-20", None)],
)  # fmt: skip
def test_dates_are_read(text, want):
    assert date_of(text) == (datetime.date(*want) if want else None)


def test_list_with_and_without_kinds(tmp_path):
    (tmp_path / "list").write_text("\ufeffZQ-4711-8\nPatientID\tZQ-4712-8\n\n3.4.2021\n", encoding="utf-8")
    found = values_of_list(tmp_path / "list").values
    assert [(value.kind, value.text) for value in found] == [
        ("listed value", "ZQ-4711-8"),
        ("PatientID", "ZQ-4712-8"),
        ("listed value", "2021-04-03"),
    ]


def test_list_that_is_no_text_is_a_user_error(tmp_path):
    (tmp_path / "list").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UserError, match="no UTF-8 text"):
        values_of_list(tmp_path / "list")


def test_same_date_of_two_sources_keeps_both_origins():
    parts = []
    for owner in ("p1", "p2"):
        collector = Collector()
        collector.date("StudyDate", "20240229", owner=owner, attribute="StudyDate")
        parts.append(collector.finish())
    assert [value.origins for value in merge(parts).values] == [{("p1", "StudyDate"), ("p2", "StudyDate")}]


WORD = "Zzquorfel77x4"
PLACES = sorted(kind for kind in files(WORD) if kind.startswith(("dicom", "seg")))
NOT_READ = ("dicom in zip", "dicom holding gzip", "dicom base64", "dicom behind the pixels", "dicom deflated")


@pytest.mark.parametrize("place", [p for p in PLACES if p not in NOT_READ])
def test_originals_are_read_at_every_level(tmp_path, place):
    (tmp_path / "a").write_bytes(files(WORD)[place])
    reader = ExportReader(Collector(), lambda text: text)
    reader.folder(tmp_path)
    assert (reader.read, reader.unread) == (1, 0)
    assert WORD in texts(reader.collector)


def test_what_may_stay_is_not_looked_for(tmp_path):
    def change(data):
        data.Manufacturer, data.ConvolutionKernel = "Zorbmaker Systems", "Zorb40f"
        data.StudyDescription = "Zorbmaker scan"

    (tmp_path / "a").write_bytes(dicom(change))
    reader = ExportReader(Collector(), lambda text: text)
    reader.folder(tmp_path)
    assert not {text for text in texts(reader.collector) if text in ("Zorbmaker", "Zorbmaker Systems", "Zorb40f")}


def test_files_that_are_no_dicom_are_counted(tmp_path):
    (tmp_path / "a.json").write_text('{"a": 1}' * 40)
    (tmp_path / "b.dcm").write_bytes(bytes(128) + b"DICM" + b"\xff" * 40)
    reader = ExportReader(Collector(), lambda text: text)
    reader.folder(tmp_path)
    assert (reader.read, reader.unread) == (0, 2)


def test_columns_that_are_kept_are_not_looked_for(tmp_path):
    path = tmp_path / "clinical.tsv"
    path.write_text(
        "patient\tsurname\tsubtype\tremarks\tindex_date\tki67\n"
        "ZQ-4711-8\tQuillbach\tluminal Zorbtype\tsee LTR88231\t2021-04-03\t123456\n"
    )
    collector = Collector()
    add_table(collector, read_table(path), kept=["subtype", "ki67"], patient="patient", pseudonym_of=lambda _: "p1")
    found = {value.text: value.kind for value in collector.finish().values}
    assert found == {
        "ZQ-4711-8": "clinical.tsv patient",
        "Quillbach": "clinical.tsv surname",
        "see LTR88231": "clinical.tsv remarks",
        "LTR88231": "clinical.tsv remarks",
        "2021-04-03": "clinical.tsv index_date",
    }
