"""The worst that spreadsheet programs write, each as a real file: read rightly or refused, never silently wrong."""

from __future__ import annotations

import datetime
import io
import re
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest

from osteorad.cohort.clinical_table import read_rows
from osteorad.cohort.config import ClinicalTable, Lesions
from osteorad.cohort.lesion_table import read_lesions
from osteorad.cohort.series_table import series_problems
from osteorad.cohort.tables import read_table
from osteorad.errors import ConfigError

SETTINGS = ClinicalTable(path="t", keep=["age", "grade"])
PEOPLE = [("00017", 0, datetime.date(2024, 5, 31), "52.5", ""), ("B 2", 1, datetime.date(2024, 6, 3), "48", "high")]
HEAD = "patient;outcome;index_date;age;grade"
PLAIN = f"{HEAD}\n00017;0;31.05.2024;52,5;\nB 2;1;03.06.2024;48;high\n"


def people(path: Path) -> list[tuple]:
    """What a clinical table says of its patients; ConfigError with every problem."""
    rows, problems = read_rows(read_table(path), SETTINGS, lambda *keys: ".".join(keys))
    if problems:
        raise ConfigError(problems)
    return [
        (r.source_patient_id, r.outcome, r.dates["index_date"], r.values["age"].replace(",", "."), r.values["grade"])
        for r in rows
    ]


# --- text -------------------------------------------------------------------------------------------------------------

READ = {
    "plain": PLAIN.encode(),
    "bom and crlf": ("\ufeff" + PLAIN.replace("\n", "\r\n")).encode(),
    "carriage returns of old programs": PLAIN.replace("\n", "\r").encode(),
    "mixed line ends": PLAIN.replace("\n", "\r\n", 1).encode(),
    "utf-16": PLAIN.encode("utf-16"),
    "utf-16 big endian": b"\xfe\xff" + PLAIN.encode("utf-16-be"),
    "utf-32": PLAIN.encode("utf-32"),
    "sep line of old programs": ("sep=;\r" + PLAIN.replace("\n", "\r")).encode(),
    "tabs": PLAIN.replace(";", "\t").encode(),
    "commas": PLAIN.replace("52,5", '"52,5"').replace(";", ",").encode(),
    "empty first lines": b";;;;\r\n\r\n" + PLAIN.encode(),
    "empty lines between and behind": PLAIN.replace("B 2", "\n;;;;\n  ;\nB 2").encode() + b"\n;;;;\n\n",
    "blanks around": PLAIN.replace(";", " ; ").encode(),
    "blanks that do not break": PLAIN.replace("B 2", "\u00a0B\u00a02\u202f").replace(";", "\u00a0;").encode(),
    "characters that nobody sees": PLAIN.replace("B 2", "\u200bB 2\ufeff").replace("high", "hi\u00adgh").encode(),
    "columns of nothing": "".join(f"{line};;;\n" for line in PLAIN.splitlines()).encode(),
    "everything in quotes": re.sub(r"[^;\n]+", r'"\g<0>"', PLAIN).encode(),
    "a header of two lines in quotes": PLAIN.replace("grade", 'grade;"note\nof\na day"').encode(),
    "a note of two lines": PLAIN.replace("grade", "grade;note").replace("high", 'high;"a;\r\nb ""c"""').encode(),
    "dates with a time": PLAIN.replace(".2024", ".2024 00:00:00").encode(),
    "outcomes with decimals": PLAIN.replace(";0;", ";0,0;").replace(";1;", ";1.0;").encode(),
    "words for nothing": PLAIN.replace("52,5;", "52,5;#N/A").encode(),
    "no line end": PLAIN.rstrip().encode(),
}


@pytest.mark.parametrize("spelling", READ)
def test_texts_that_mean_one_table(tmp_path, spelling):
    (tmp_path / "t.csv").write_bytes(READ[spelling])
    assert people(tmp_path / "t.csv") == PEOPLE


REFUSED = {
    "a byte that is none": (PLAIN.encode().replace(b"high", b"h\0gh"), "t.csv: this is not a text table."),
    "a column too many": (PLAIN.replace("high", "high;x").encode(), "t.csv: more cells than the 5 named columns"),
    "a column twice": (PLAIN.replace("grade", "age").encode(), "t.csv:1: columns 4 and 5 have one name."),
    "a title above": (b"Our patients;;;;\n" + PLAIN.encode(), "t.csv: more cells than the 1 named columns of line 1"),
    "a quotation mark left open": (PLAIN.replace("00017;", '"00017;').encode(), "t.csv:2: the line cannot be read."),
    "months in words": (PLAIN.replace("31.05.2024", "31 May 2024").encode(), "no date on line 2."),
    "years of two digits": (PLAIN.replace("31.05.2024", "31.05.24").encode(), "no date on line 2."),
    "days counted": (PLAIN.replace("31.05.2024", "45443").encode(), "no date on line 2."),
    "a day that means never": (PLAIN.replace("31.05.2024", "31.12.9999").encode(), "no date on line 2."),
    "a spreadsheet's day zero": (PLAIN.replace("31.05.2024", "00.01.1900").encode(), "no date on line 2."),
    "two ways of dates": (PLAIN.replace("31.05.2024", "2024-05-31").encode(), "dates are written in several ways."),
    "days or months": (
        PLAIN.replace("31.05.2024", "01/02/2024").replace("03.06.2024", "03/06/2024").encode(),
        "day and month cannot be told apart.",
    ),
    "thousands": (PLAIN.replace("52,5", "1,200").encode(), "'age': thousands and decimals cannot be told apart"),
    "comma and point": (PLAIN.replace("48", "48.5").encode(), "'age': a decimal comma on line 2, a point elsewhere."),
    "a grade that became a day": (PLAIN.replace("high", "02.01.2024").encode(), "'grade': a date on line 3."),
    "an error": (PLAIN.replace("high", "#DIV/0!").encode(), "'grade': the error of a formula on line 3."),
    "an outcome in words": (PLAIN.replace(";1;", ";WAHR;").encode(), "column 'outcome' is not 0 or 1 on line 3."),
    "one id twice": (PLAIN.replace("B 2", "00017").encode(), "t.csv:3: the patient of line 2 stands here again."),
}  # fmt: skip


@pytest.mark.parametrize("mistake", REFUSED)
def test_texts_that_cannot_be_trusted(tmp_path, mistake):
    content, message = REFUSED[mistake]
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(ConfigError) as raised:
        people(tmp_path / "t.csv")
    assert len(raised.value.problems) == 1
    assert message in raised.value.problems[0]


# --- workbooks --------------------------------------------------------------------------------------------------------


def book(folder: Path, change: Callable[[openpyxl.worksheet.worksheet.Worksheet], None] = lambda sheet: None) -> Path:
    """The table as a workbook: ids as text, numbers as numbers, dates as dates; then changed."""
    made = openpyxl.Workbook()
    made.active.append(HEAD.split(";"))
    made.active.append(["00017", 0, datetime.datetime(2024, 5, 31), 52.5, None])
    made.active.append(["B 2", 1, datetime.date(2024, 6, 3), 48, "high"])
    change(made.active)
    made.save(folder / "t.xlsx")
    return folder / "t.xlsx"


def put(**cells: object) -> Callable[[openpyxl.worksheet.worksheet.Worksheet], None]:
    def change(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
        for place, value in cells.items():
            sheet[place] = value

    return change


def widened(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
    """Formatted to its last cell, as after a click on the whole sheet: a million rows of sixteen thousand cells."""
    sheet["XFD1048576"].number_format = "@"


BOOKS = {
    "as it should be": lambda sheet: None,
    "numbers as text": put(B2="0", D2="52,5", D3="48"),
    "dates as text": put(C2="2024-05-31", C3="2024-06-03"),
    "outcomes as yes and no": put(B2=False, B3=True),
    "blanks at the end": put(A2="00017  ", A3="B 2\u00a0", E1="grade "),
    "formatted to the last cell": widened,
    "an empty first line": lambda sheet: sheet.insert_rows(1),
    "an empty first column": lambda sheet: sheet.insert_cols(1),
    "a header merged downwards": lambda sheet: (sheet.insert_rows(2), sheet.merge_cells("A1:A2")),
    "a note merged behind": lambda sheet: sheet.merge_cells("F2:H3"),
    "an error of a look-up": put(E2="#N/A"),
}


@pytest.mark.parametrize("spelling", BOOKS)
def test_workbooks_that_mean_one_table(tmp_path, spelling):
    assert people(book(tmp_path, BOOKS[spelling])) == PEOPLE


def merged_over_columns(sheet: openpyxl.worksheet.worksheet.Worksheet) -> None:
    sheet["D1"], sheet["E1"] = "findings", None
    sheet.merge_cells("D1:E1")


BROKEN_BOOKS = {
    "a header merged over columns": (merged_over_columns, "t.xlsx: more cells than the 4 named columns of line 1"),
    "a title above": (lambda sheet: (sheet.insert_rows(1), put(A1="Patients")(sheet)), "more cells than the 1 named"),
    "one cell merged over patients": (put(A3=None), "t.xlsx: no patient on line 3."),
    "a formula without result": (put(B3="=B2+1"), "t.xlsx: a formula without a result on line 3."),
    "a grade that became a day": (put(E3=datetime.datetime(2024, 2, 1)), "'grade': a date on line 3."),
    "an error": (put(D3="#VALUE!"), "column 'age': the error of a formula on line 3."),
    "a column twice": (put(E1="age"), "t.xlsx:1: columns 4 and 5 have one name."),
}  # fmt: skip


@pytest.mark.parametrize("mistake", BROKEN_BOOKS)
def test_workbooks_that_cannot_be_trusted(tmp_path, mistake):
    change, message = BROKEN_BOOKS[mistake]
    with pytest.raises(ConfigError) as raised:
        people(book(tmp_path, change))
    assert message in raised.value.problems[0]


def test_computed_results_are_read(tmp_path):
    """As a spreadsheet program saves it: the formula and its result."""
    path = book(tmp_path, put(B3="=B2+1"))
    out = io.BytesIO()
    with zipfile.ZipFile(path) as before, zipfile.ZipFile(out, "w") as after:
        for name in before.namelist():
            text = before.read(name).replace(b"<f>B2+1</f><v />", b"<f>B2+1</f><v>1</v>")
            after.writestr(name, text.replace(b"<f>B2+1</f><v></v>", b"<f>B2+1</f><v>1</v>"))
    path.write_bytes(out.getvalue())
    assert people(path) == PEOPLE


@pytest.mark.parametrize("content", [b"", b"PK\3\4", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), PLAIN.encode()])
def test_files_that_are_no_workbook(tmp_path, content):
    """Nothing, half of one, one with a password, a text under its name."""
    (tmp_path / "t.xlsx").write_bytes(content)
    with pytest.raises(
        ConfigError, match=r"^t\.xlsx: the file cannot be read as XLSX\. Is it protected by a password\?"
    ):
        read_table(tmp_path / "t.xlsx")


# --- the other tables -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", ["csv", "xlsx"])
def test_lesions_of_a_spreadsheet(tmp_path, suffix):
    rows = [
        ["patient", "date", "roi_name", "outcome", "location", "type"],
        ["00017", datetime.datetime(2024, 5, 31), "Met 1", 1, "T8", None],
        ["B 2", datetime.datetime(2024, 6, 3), "L\u00e4sion 2 ", 0, "rib", "lytic"],
    ]
    path = tmp_path / f"t.{suffix}"
    if suffix == "xlsx":
        made = openpyxl.Workbook()
        for row in rows:
            made.active.append(row)
        made.save(path)
    else:
        texts = [
            ["" if c is None else f"{c:%d.%m.%Y}" if isinstance(c, datetime.date) else str(c) for c in r] for r in rows
        ]
        path.write_bytes("\r\n".join(";".join(row) for row in texts).encode("cp1252"))
    found, problems = read_lesions(read_table(path), Lesions(path="t"), lambda *keys: "")
    assert problems == []
    assert [(r.source_patient_id, r.date, r.roi_name, r.outcome, r.location, r.type) for r in found] == [
        ("00017", datetime.date(2024, 5, 31), "Met 1", 1, "T8", ""),
        ("B 2", datetime.date(2024, 6, 3), "L\u00e4sion 2", 0, "rib", "lytic"),
    ]


def test_series_of_a_spreadsheet(tmp_path):
    """`1E5` and `true` are what programs make of names and of yes."""
    (tmp_path / "t.csv").write_bytes(
        b"\xef\xbb\xbfpatient;series;take;image\r\n;e0123abcd ;WAHR;\r\n;1,00E+05;yes;CT-2\r\n"
    )
    assert list(series_problems(read_table(tmp_path / "t.csv"), "config.yaml:5")) == [
        "t.csv: no series on line 3. Wanted: the names that the cohort page shows, such as e0123abcd.",
        "t.csv: column 'take' is neither yes nor no on line 2. Wanted: yes, no or empty.",
    ]
