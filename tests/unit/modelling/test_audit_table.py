"""The command audit-table: columns under many names, cells as printed, verdicts, messages."""

from __future__ import annotations

import json

import pytest

from osteorad import __main__ as command
from osteorad.errors import ConfigError
from osteorad.modelling.audit_table import audit_rows, lines, read_rows
from tests.conftest import ROOT

PUBLISHED = ROOT / "tests/data/published_rows.csv"


@pytest.fixture
def table(tmp_path):
    def write(text):
        path = tmp_path / "table.csv"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def judge(path, most=20, **told):
    return audit_rows(read_rows(path, **told), most=most)


def test_verdicts_of_the_published_rows():
    found = judge(PUBLISHED, most=170)
    verdicts = {(row["part"], row["label"]): row["verdict"] for row in found["rows"]}
    assert verdicts == {
        ("zhu test", "LR"): "possible",
        ("zhu test", "clinical"): "possible",
        ("zhu test", "nomogram"): "possible",
        ("zhao test", "SVM"): "impossible",
        ("zhao train", "SVM"): "impossible",
        ("lu test", "CT"): "impossible",
        ("lu test", "DLR + complex RF"): "impossible",
        ("lu matrix", "DLR + complex RF"): "other-class",
    }
    assert [flaw["check"] for row in found["rows"] for flaw in row["flaws"]] == [
        "interval_centre",  # Zhu, clinical
        "interval_holds",  # Zhao, accuracy
        "accuracy_between",  # Lu, CT
        "interval_holds",  # Lu, CT, specificity
    ]
    parts = {part["part"]: part for part in found["parts"]}
    assert parts["zhao test"]["sizes"][0] == {"positives": 19, "negatives": 15}
    assert parts["lu test"]["fitting_sizes"] == 0


def test_columns_under_other_names_in_percent_with_intervals_beside(table):
    path = table(
        "Model;Set;N_pos;N_neg;AUROC;95% CI;Recall (%);Spec %;Precision [%];F1-score;CI extra\n"
        "a;t;8;14;92,9;81,4–100;75,0;92,9;85,7;80,0;x\n"
    )
    row = read_rows(path)[0]
    assert (row.label, row.part, row.sizes) == ("a", "t", (8, 14))
    assert {name: str(share) for name, share in row.printed.values.items()} == {
        "auc": "0.929",
        "sensitivity": "0.750",
        "specificity": "0.929",
        "ppv": "0.857",
        "f1": "0.800",
    }
    assert [str(limit) for limit in row.printed.intervals["auc"]] == ["0.814", "1.00"]
    assert judge(path)["rows"][0]["counts"]["as_given"] == [{"tp": 6, "tn": 13}]


@pytest.mark.parametrize(
    "text",
    [
        "auc\n0.929 (0.814-0.999)\n",
        "auc\n0.929 [95% CI: 0.814 to 0.999]\n",
        "auc\n92.9 % (81.4; 99.9)\n",
        "auc,auc_low,auc_high\n0.929,0.814,0.999\n",
        "AUC (95% CI),n\n0.929 (0.814 – 0.999),22\n",
        "auc,95% CI\n0.929,(0.814~0.999)\n",
    ],
)
def test_an_interval_is_read_wherever_it_stands(table, text):
    printed = read_rows(table(text))[0].printed
    assert float(printed.values["auc"].value) == 0.929
    assert [float(limit.value) for limit in printed.intervals["auc"]] == [0.814, 0.999]


def test_class_sizes_of_the_options_serve_rows_without_their_own(table):
    path = table("model,n+,n-,sensitivity,specificity\na,,,0.75,0.929\nb,4,14,0.75,0.929\n")
    first, second = read_rows(path, positives=8, negatives=14)
    assert (first.sizes, second.sizes) == ((8, 14), (4, 14))
    assert [row.sizes for row in read_rows(path)] == [None, (4, 14)]


def test_digits_restore_zeros_that_a_spreadsheet_dropped(table):
    path = table("n+,n-,sensitivity,specificity\n100,100,0.9,0.9\n")
    assert len(judge(path)["rows"][0]["counts"]["as_given"]) == 10  # 85 to 95 of 100, cut to ten
    assert judge(path, digits=3)["rows"][0]["counts"]["as_given"] == [{"tp": 90, "tn": 90}]


def test_without_class_sizes_the_row_is_open_and_sizes_are_searched(table):
    found = judge(table("sensitivity,specificity,accuracy\n0.789,0.933,0.853\n"), most=25)
    assert found["rows"][0]["verdict"] == "open"
    assert found["parts"] == [
        {
            "part": "",
            "rows": 1,
            "with_sizes": 0,
            "possible": 0,
            "other_class": 0,
            "searched_to": 25,
            "fitting_sizes": 1,
            "sizes": [{"positives": 19, "negatives": 15}],
        }
    ]
    assert lines(found) == [
        "line 2: no class sizes are told",
        "all rows: Class sizes up to 25 each that fit the row: 19+ 15-.",
    ]


def test_problems_are_told_together_with_line_and_column(table):
    path = table("n+,n-,sensitivity,specificity\n0,14,0.750,0.929\n8,14,high,101\n8,14,,\n")
    with pytest.raises(ConfigError) as raised:
        read_rows(path)
    assert raised.value.problems == [
        "table.csv:2: column 'n+': wanted a number of patients or lesions, 1 or more.",
        "table.csv:3: column 'sensitivity': wanted a share such as 0.929, 92.9 % or 0.929 (0.814-1.000), "
        "or an interval 0.814-1.000.",
        "table.csv:3: column 'specificity': a share lies in 0 to 1, or in 0 to 100 %.",
        "table.csv:4: the row has no measure.",
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("model,kappa\na,0.5\n", "no column is a measure. Found: model, kappa."),
        ("sensitivity,recall\n0.5,0.5\n", "columns 'sensitivity' and 'recall' both mean sensitivity. Keep one."),
        ("sensitivity,specificity\n", "there is a header, but no row."),
    ],
)
def test_tables_that_cannot_be_read(table, text, message):
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        read_rows(table(text))


def test_command_prints_verdicts(capsys):
    assert command.main(["audit-table", str(PUBLISHED), "--most", "40"]) == 0
    printed = capsys.readouterr().out.splitlines()
    assert printed[0] == "line 2, LR, zhu test, 8+ 14-: possible: TP 6, TN 13"
    assert (
        "line 9, DLR + complex RF, lu matrix, 65+ 29-: possible only with the other class as positive: TP 28, TN 63"
        in printed
    )
    sizes = "Class sizes up to 40 each that fit the row: 19+ 15-, 38+ 30-."
    assert f"zhao test: 0 of 1 possible with the class sizes told. {sizes}" in printed


def test_command_as_json(capsys):
    assert command.main(["audit-table", str(PUBLISHED), "--most", "20", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["ok"] is True
    assert found["rows"][0]["counts"] == {"as_given": [{"tp": 6, "tn": 13}], "other_class": []}


def test_command_on_a_missing_file_is_a_user_error(tmp_path, capsys):
    assert command.main(["audit-table", str(tmp_path / "none.csv")]) == 1
    assert "the file does not exist" in capsys.readouterr().err


def test_command_refuses_a_class_of_nobody(capsys):
    with pytest.raises(SystemExit):
        command.main(["audit-table", "t.csv", "--positives", "0"])
    assert "wanted a whole number, 1 or more" in capsys.readouterr().err
