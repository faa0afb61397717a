"""The clinical table behind the privacy boundary: no identity, no date, nothing that was not kept."""

from __future__ import annotations

import datetime
import re

import pytest

from osteorad.cohort.clinical import import_clinical
from osteorad.cohort.clinical_table import capped_age, outcome_at
from osteorad.cohort.config import PHANTOM_COVARIATES, ClinicalTable, Cohort, Phantom
from osteorad.cohort.pseudonyms import patient_pseudonym
from osteorad.errors import ConfigError
from osteorad.files import read_parquet
from osteorad.phantom.tables import clinical_text

KEY = bytes(range(32))
TABLE = (
    "MRN;name;progression;biopsy;event_date;last_seen;Alter;ki67;er;grade;site;phone\r\n"
    "A 1;Jane Doe;1;2024-01-10;2024-03-10;2024-09-01;52,5;12;positive;2;St. Mary;555\r\n"
    "B2;John Roe;0;2024-02-01;;2025-02-01;48;;negative;NA;St. Mary;556\r\n"
    "C3;Ann Poe;;;;;;7;NA;3;;557\r\n"
)
COLUMNS = {"patient": "MRN", "outcome": "progression", "index_date": "biopsy", "age_years": "Alter"}


def imported(tmp_path, *, table=TABLE, keep=("age_years", "ki67", "er", "grade"), key=KEY, dates=None, columns=COLUMNS):
    (tmp_path / "clinical.csv").write_text(table)
    settings = ClinicalTable(path="clinical.csv", columns=dict(columns), keep=list(keep))
    import_clinical(tmp_path / "clinical.csv", settings, key, dates or {}, tmp_path / "out.parquet")
    return read_parquet(tmp_path / "out.parquet")


def by_patient(table):
    return {row["patient"]: row for row in table.to_pylist()}


def pseudonym(source_id):
    return patient_pseudonym(KEY, source_id)


def test_kept_columns_arrive_under_the_pseudonym(tmp_path):
    row = by_patient(imported(tmp_path, dates={pseudonym("A 1"): "20240115"}))[pseudonym("A 1")]
    assert row == {
        "patient": pseudonym("A 1"),
        "outcome": 1,
        "index_day": 0.0,
        "event_day": 60.0,
        "last_seen_day": 235.0,
        "first_session_day": 5.0,
        "site": None,
        "age_years": 52.5,
        "er": "positive",
        "grade": 2.0,
        "ki67": 12.0,
    }


def test_missing_cells_are_null(tmp_path):
    row = by_patient(imported(tmp_path))[pseudonym("C3")]
    assert [row[name] for name in ("outcome", "index_day", "event_day", "last_seen_day", "age_years", "er")] == [
        None
    ] * 6


def test_no_identity_and_no_date_leaves(tmp_path):
    imported(tmp_path, keep=["age_years"])
    raw = (tmp_path / "out.parquet").read_bytes()
    text = str(read_parquet(tmp_path / "out.parquet").to_pylist())
    for planted in ("Jane", "Doe", "A 1", "B2", "555", "St. Mary", "2024", "phone", "positive"):
        assert planted.encode() not in raw
        assert planted not in text
    assert not re.search(r"\d{4}-\d{2}-\d{2}", text)


def test_site_leaves_only_when_kept(tmp_path):
    assert set(imported(tmp_path)["site"].to_pylist()) == {None}
    assert "St. Mary" in imported(tmp_path, keep=["site"])["site"].to_pylist()


def test_without_index_date_the_first_session_is_day_zero(tmp_path):
    columns = {k: v for k, v in COLUMNS.items() if k != "index_date"}
    row = by_patient(imported(tmp_path, columns=columns, dates={pseudonym("A 1"): "2024-03-01"}))[pseudonym("A 1")]
    assert (row["index_day"], row["first_session_day"], row["event_day"]) == (0.0, 0.0, 9.0)


def test_without_any_day_zero_there_are_no_days(tmp_path):
    columns = {k: v for k, v in COLUMNS.items() if k != "index_date"}
    row = by_patient(imported(tmp_path, columns=columns))[pseudonym("A 1")]
    assert (row["index_day"], row["event_day"]) == (None, None)


def test_days_in_the_table_are_taken_at_their_word(tmp_path):
    table = "patient\tevent_day\tlast_seen_day\nP1\t120\t300\nP2\t\t500,5\n"
    read = by_patient(imported(tmp_path, table=table, keep=[], columns={}, key=None, dates={"P1": "20240101"}))
    assert (read["P1"]["event_day"], read["P1"]["index_day"], read["P1"]["first_session_day"]) == (120.0, 0.0, None)
    assert read["P2"]["last_seen_day"] == 500.5
    assert read["P1"]["outcome"] is None


def test_a_column_with_one_word_is_text(tmp_path):
    table = "patient\tgrade\nP1\t1\nP2\thigh\n"
    assert imported(tmp_path, table=table, keep=["grade"], columns={}, key=None)["grade"].to_pylist() == ["1", "high"]


def test_without_key_the_id_is_the_patient(tmp_path):
    table = imported(tmp_path, table="patient\toutcome\nSTS_002\t0\nSTS_001\t1\n", keep=[], columns={}, key=None)
    assert table["patient"].to_pylist() == ["STS_001", "STS_002"]


def test_problems_stop_without_telling_cells(tmp_path):
    with pytest.raises(ConfigError) as raised:
        imported(tmp_path, table=TABLE.replace(";1;2024-01-10", ";Jane;31.31.2024"))
    assert raised.value.problems == [
        "clinical.csv: column 'progression' is not 0 or 1 on line 2.",
        "clinical.csv: column 'biopsy': no date on line 2. Wanted: dates such as 2024-05-31.",
    ]


@pytest.mark.parametrize(
    ("event", "seen", "outcome"),
    [
        (100, 400, 1),
        (365, None, 1),
        (366, None, 0),
        (None, 365, 0),
        (None, 364, None),
        (-1, 400, None),
        (None, None, None),
    ],
)
def test_outcome_at_a_horizon_of_365_days(event, seen, outcome):
    assert outcome_at(event, seen, 365) == outcome


def test_phantom_table_has_the_columns_that_the_settings_know(tmp_path):
    """The phantom's own table is read with the settings that a phantom cohort gets by itself."""
    cohort = Cohort(source="phantom", rois={"marrow": ["*"]})
    (tmp_path / "clinical.tsv").write_text(clinical_text(Phantom(patients=12, events=6)))
    import_clinical(tmp_path / "clinical.tsv", cohort.clinical, KEY, {}, tmp_path / "out.parquet")
    table = read_parquet(tmp_path / "out.parquet")
    assert sum(table["outcome"].to_pylist()) == 6
    assert table["age_years"].null_count == table["site"].null_count == 0
    assert set(PHANTOM_COVARIATES) < set(table.column_names)


def test_shared_sarcoma_table(shared_data, tmp_path):
    columns = {"patient": "patient_id", "outcome": "lung_metastasis"}
    settings = ClinicalTable(path="x", columns=columns, keep=["age_years", "sex", "grade"])
    import_clinical(shared_data("sts/clinical.tsv"), settings, None, {}, tmp_path / "out.parquet")
    table = read_parquet(tmp_path / "out.parquet")
    assert table.num_rows == 51
    assert sum(table["outcome"].to_pylist()) == 19
    assert table["grade"].null_count == 3
    assert table["age_years"][0].as_py() == 59.0
    assert datetime.date not in {type(value) for column in table.columns for value in column.to_pylist()}


@pytest.mark.parametrize(
    ("written", "kept"),
    [("57", "57"), ("89", "89"), ("89.5", "90"), ("90", "90"), ("103", "90"), ("90+", "90"), ("> 89", "90"),
     ("90 or older", "90"), ("> 60", "> 60"), ("old", "old")],
)  # fmt: skip
def test_ages_over_89_share_one_age(written, kept):
    assert capped_age(written) == kept
