"""The table of lesions: what is read, which drawn lesion a row means, and which texts may leave the private folder."""

from __future__ import annotations

import datetime

import pytest

from osteorad.cohort.config import Lesions
from osteorad.cohort.lesion_table import LesionRow, class_sizes, is_plain, read_lesions
from osteorad.cohort.lesions import NamedContour, find_lesion, import_lesions, place_rows
from osteorad.cohort.pseudonyms import patient_pseudonym
from osteorad.cohort.schemas import LESIONS
from osteorad.cohort.tables import read_table
from osteorad.errors import ConfigError, SetAside
from osteorad.files import read_json, read_parquet

KEY = bytes(range(32))
DATES = {"s1": "2024-05-31", "s2": "2024-09-02"}
CONTOURS = [
    NamedContour(name="Met 1", session="s1", image="ct", roi="lesion", lesion=1),
    NamedContour(name="Met 2 Smith", session="s1", image="ct", roi="lesion", lesion=2),
    NamedContour(name="GTV 1", session="s1", image="pet", roi="lesion", lesion=1),
    NamedContour(name="Met 1", session="s2", image="ct", roi="lesion", lesion=1),
    NamedContour(name="Met 9"),  # set aside
    NamedContour(name="both", session="s1", image="ct", roi="lesion", lesion=5),
    NamedContour(name="both", session="s1", image="pet", roi="lesion", lesion=6),
    NamedContour(name="twice", session="s1", image="ct", roi="lesion", lesion=7),
    NamedContour(name="twice", session="s1", image="ct", roi="lesion", lesion=8),
]


def row(name="Met 1", date="2024-05-31", line=2, **cells) -> LesionRow:
    day = datetime.date.fromisoformat(date) if date else None
    base = {"source_patient_id": "ID-1", "session": "", "outcome": 1, "location": "T8", "type": "lytic"}
    return LesionRow(line=line, roi_name=name, date=day, **{**base, **cells})


def table(tmp_path, text: str | bytes, settings=None):
    path = tmp_path / "lesions.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_lesions(read_table(path), settings or Lesions(path="lesions.csv"), lambda *keys: ".".join(keys))


# --- reading ---------------------------------------------------------------------------------------------------------


def test_a_spreadsheet_is_read_as_people_write_it(tmp_path):
    text = "\ufeffpatient;date;roi_name;outcome;location;type;reader\r\nID-1;31.05.2024;Läsion 1;1;T8;;Dr. Who\r\n"
    rows, problems = table(tmp_path, text)
    assert problems == []
    assert rows == [row("Läsion 1", type="")]


def test_columns_are_mapped_and_may_be_absent(tmp_path):
    settings = Lesions(path="lesions.csv", columns={"patient": "MRN", "roi_name": "Name"})
    rows, problems = table(tmp_path, "MRN,Name,session\nID-1,Met 1,s1\n", settings)
    assert problems == []
    assert (rows[0].date, rows[0].session, rows[0].outcome, rows[0].location) == (None, "s1", None, "")


@pytest.mark.parametrize(
    ("text", "want"),
    [
        ("patient,roi\nID-1,Met 1\n", "path: unknown column of lesions.csv 'roi_name'"),
        ("patient,roi_name\nID-1,\n,Met 2\n", "no patient on line 3"),
        ("patient,roi_name\nID-1,Met 1\nID-1,\n", "no roi_name on line 3"),
        ("patient,roi_name,outcome\nSecret,Met 1,yes\n", "column 'outcome' is not 0 or 1 on line 2"),
        ("patient,roi_name,date\nSecret,Met 1,May\n", "column 'date': no date on line 2"),
    ],
)
def test_problems_name_lines_and_never_cells(tmp_path, text, want):
    rows, problems = table(tmp_path, text)
    assert rows == []
    assert want in " ".join(problems)
    assert not any(cell in " ".join(problems) for cell in ("Secret", "Met 1", "yes", "May"))


def test_a_patient_with_lesions_of_both_kinds_counts_for_both():
    rows = [
        row(),
        row(outcome=0),
        row(source_patient_id="ID-2", outcome=0),
        row(source_patient_id="ID-3", outcome=None),
    ]
    assert class_sizes(rows) == (1, 2)


# --- which lesion ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("asked", "want"),
    [
        (row(), ("s1", "lesion", 1)),
        (row(date="2024-09-02"), ("s2", "lesion", 1)),
        (row(date="", session="s2"), ("s2", "lesion", 1)),
        (row(" MET 2 smith "), ("s1", "lesion", 2)),
        (row("GTV 1"), ("s1", "lesion", 1)),  # a name of the PET's contour
        (row("both"), ("s1", "lesion", 5)),  # the CT's contour goes first
        (row("Lesion-2"), ("s1", "lesion", 2)),  # as the pages show it
        (row("GTV 1", date=""), ("s1", "lesion", 1)),  # one session alone has the name
        (row(date=""), "lesion_ambiguous"),
        (row("twice"), "lesion_ambiguous"),
        (row("Met 3"), "lesion_contour_absent"),
        (row("lesion-3"), "lesion_contour_absent"),
        (row("Met 9"), "lesion_contour_set_aside"),
        (row(date="2024-06-01"), "lesion_session_unknown"),
        (row(session="s9", date=""), "lesion_session_unknown"),
        (row(session="s2"), "lesion_session_unknown"),  # date and session disagree
    ],
)
def test_a_row_finds_the_lesion_that_was_drawn_or_its_reason(asked, want):
    if isinstance(want, tuple):
        assert find_lesion(asked, DATES, CONTOURS) == want
    else:
        with pytest.raises(SetAside) as aside:
            find_lesion(asked, DATES, CONTOURS)
        assert aside.value.code == want


def test_equal_rows_are_one_and_rows_that_disagree_are_none():
    rows = [("p1", row()), ("p1", row("GTV 1", line=3)), ("p1", row("Met 2 Smith", line=4))]
    rows += [("p1", row("lesion-2", line=5, outcome=0)), ("p2", row(line=6))]
    used, aside = place_rows(rows, {"p1": DATES}, {"p1": CONTOURS})
    assert list(used) == [("p1", ("s1", "lesion", 1))]
    assert [(r["patient"], r["item"], r["reason"]) for r in aside] == [
        ("p1", "line 3", "lesion_row_duplicate"),
        ("p1", "line 4", "lesion_rows_disagree"),
        ("p1", "line 5", "lesion_rows_disagree"),
        ("p2", "line 6", "lesion_patient_unknown"),
    ]


# --- behind the boundary ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text", ["T8", "rib 6 left", "L4, left pedicle", "osteolytic/mixed", "BWK 8", "Th12", "ribs 6-8", ""]
)
def test_words_of_bones_and_kinds_may_leave(text):
    assert is_plain(text)


@pytest.mark.parametrize(
    "text", ["T8, seen with Dr. Smith", "Ottilie", "rib 6 left 31.05.24", "T8 31/05", "rib 31-05-24", "T8 MRN-778899"]
)
def test_other_words_stay(text):
    assert not is_plain(text)


def test_the_configuration_adds_words():
    assert is_plain("keel of the sternum", ["Keel", "of"])


def test_import_writes_no_identity_and_loses_no_row(tmp_path):
    source = tmp_path / "lesions.tsv"
    source.write_text(
        "patient\tdate\troi_name\toutcome\tlocation\ttype\treader\n"
        "ID-1\t2024-05-31\tMet 1\t1\tT8\tlytic\tDr. Who\n"
        "ID-1\t2024-05-31\tMet 2 Smith\t\tnear Smith's rib\tmixed\t\n"
        "ID-7\t2024-05-31\tMet 1\t0\tT8\tlytic\t\n"
    )
    patient = patient_pseudonym(KEY, "ID-1")
    import_lesions(
        source,
        Lesions(path="lesions.tsv"),
        cohort="c",
        pseudonym=lambda name: patient_pseudonym(KEY, name),
        dates={patient: DATES},
        contours={patient: CONTOURS},
        out_table=tmp_path / "out/lesions.parquet",
        out_account=tmp_path / "out/lesions.json",
    )
    written = read_parquet(tmp_path / "out/lesions.parquet")
    assert written.schema.equals(LESIONS)
    base = {"patient": patient, "session": "s1", "roi": "lesion"}
    assert written.to_pylist() == [
        {**base, "lesion": 1, "outcome": 1, "location": "T8", "type": "lytic"},
        {**base, "lesion": 2, "outcome": None, "location": None, "type": "mixed"},
    ]
    account = read_json(tmp_path / "out/lesions.json")
    assert (account["rows_in"], account["used"], account["withheld"]) == (3, 2, {"location": 1, "type": 0})
    assert account["rows_in"] == account["used"] + sum(r["count"] for r in account["set_aside"])
    text = str(written.to_pylist()) + (tmp_path / "out/lesions.json").read_text()
    assert not any(word in text for word in ("ID-1", "ID-7", "Smith", "2024", "Who", "Met"))


def test_import_of_a_broken_table_stops_with_its_lines(tmp_path):
    (tmp_path / "l.tsv").write_text("patient\troi_name\toutcome\nID-1\tMet 1\t7\n")
    with pytest.raises(ConfigError, match="not 0 or 1 on line 2"):
        import_lesions(
            tmp_path / "l.tsv", Lesions(path="l.tsv"), cohort="c", pseudonym=str, dates={}, contours={},
            out_table=tmp_path / "a", out_account=tmp_path / "b",
        )  # fmt: skip
