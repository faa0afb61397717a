"""Tables as spreadsheet programs write them."""

from __future__ import annotations

import datetime

import openpyxl
import pytest

from osteorad.cohort.tables import dates, is_missing, number, read_table
from osteorad.errors import ConfigError

WANT = [{"patient": "A1", "alter": "52,5", "größe": ""}, {"patient": "B2", "alter": "48", "größe": "x"}]


@pytest.mark.parametrize(
    "raw",
    [
        "patient\talter\tgröße\nA1\t52,5\t\nB2\t48\tx\n".encode(),
        "\ufeffpatient;alter;größe\r\nA1;52,5;\r\nB2;48;x\r\n".encode(),
        "patient;alter;größe\nA1;52,5;\nB2;48;x".encode("cp1252"),
        'patient,alter,größe\nA1,"52,5",\nB2,48,x\n'.encode(),
        "sep=;\r\npatient;alter;größe\r\nA1;52,5;\r\nB2;48;x\r\n".encode(),
        "patient\talter\tgröße\nA1\t52,5\t\nB2\t48\tx\n".encode("utf-16"),
        "\n\npatient ; alter; größe ;;\n;;;;\n A1;52,5\u00a0;;;\n\nB2 ;48;x;;\n;;\n".encode(),
    ],
    ids=["tsv", "bom crlf semicolons", "latin-1", "quoted commas", "sep line", "utf-16", "blanks and empty lines"],
)
def test_one_table_in_many_spellings(tmp_path, raw):
    path = tmp_path / "clinical.csv"
    path.write_bytes(raw)
    assert read_table(path).records() == WANT


def test_xlsx_gives_numbers_and_dates_as_text(tmp_path):
    book = openpyxl.Workbook()
    for row in [
        ["patient", "age", "outcome", "seen", "ki67"],
        [17, 52.0, True, datetime.datetime(2024, 5, 31), 12.5],
        [None] * 5,
        ["B2", None, 0, None, None],
    ]:
        book.active.append(row)
    book.save(tmp_path / "clinical.xlsx")
    table = read_table(tmp_path / "clinical.xlsx")
    assert [list(row.cells.values()) for row in table.rows] == [
        ["17", "52", "1", "2024-05-31", "12.5"],
        ["B2", "", "0", "", ""],
    ]
    assert [row.line for row in table.rows] == [2, 4]


def test_line_numbers_are_those_of_the_file(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\n1,"two\nlines"\n\n3,4\n')
    assert [row.line for row in read_table(path).rows] == [2, 5]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "t.csv: the table is empty. Wanted: a line with the names of the columns, then the rows."),
        (b"a,b,a\n1,2,3\n", "t.csv:1: columns 1 and 3 have one name. Wanted: each name once."),
        (
            b"a,b\n1,2\n1,2,3\n",
            "t.csv: more cells than the 2 named columns of line 1 on line 3. "
            "Wanted: a name above each column; is the header merged, or above it a title?",
        ),
        (b"a\0b", "t.csv: this is not a text table. Wanted: TSV, CSV or XLSX."),
    ],
)
def test_broken_tables(tmp_path, raw, message):
    (tmp_path / "t.csv").write_bytes(raw)
    with pytest.raises(ConfigError) as raised:
        read_table(tmp_path / "t.csv")
    assert raised.value.problems == [message]


def test_a_text_file_named_xlsx_is_refused(tmp_path):
    (tmp_path / "t.xlsx").write_text("a,b\n")
    with pytest.raises(ConfigError) as raised:
        read_table(tmp_path / "t.xlsx")
    assert raised.value.problems == [
        "t.xlsx: the file cannot be read as XLSX. Is it protected by a password? Save it again, or as CSV."
    ]


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12.0), ("12,5", 12.5), ("12.5", 12.5), ("-1e3", -1000.0), (",5", 0.5), ("1.234,5", None), ("12 kg", None)],
)
def test_numbers(text, value):
    assert number(text) == value


@pytest.mark.parametrize("text", ["", "NA", "n/a", "-", "NaN", "?", "unknown"])
def test_missing(text):
    assert is_missing(text)


@pytest.mark.parametrize(
    "text", ["2024-05-31", "20240531", "31.05.2024", "31/05/2024", "05/31/2024", "2024-05-31 00:00:00"]
)
def test_dates_in_the_usual_formats(text):
    assert dates([(2, text)]) == ({2: datetime.date(2024, 5, 31)}, "")


@pytest.mark.parametrize(
    ("cells", "problem"),
    [
        (["03/04/2024"], "day and month cannot be told apart. Wanted: dates such as 2024-05-31."),
        (["2024-05-31", "Jane"], "no date on line 1. Wanted: dates such as 2024-05-31."),
        (["2024-05-31", "31.05.2024"], "dates are written in several ways. Wanted: one way, such as 2024-05-31."),
    ],
)
def test_dates_that_cannot_be_trusted(cells, problem):
    assert dates(list(enumerate(cells))) == ({}, problem)


def test_one_clear_cell_settles_the_column():
    found, problem = dates([(2, "03/04/2024"), (3, "25/04/2024"), (4, "")])
    assert (found[2], problem) == (datetime.date(2024, 4, 3), "")
