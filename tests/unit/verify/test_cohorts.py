"""The command: what it reads, its exit codes, and that nothing of a value is printed."""

from __future__ import annotations

import ast
import json
import shutil

import pytest

from tests.conftest import ROOT
from tests.unit.verify.folders import CONFIG, NAME, verify, working


@pytest.fixture
def folder(tmp_path):
    """A working folder with one output."""
    (working(tmp_path) / "results").mkdir()
    (tmp_path / "results/a.json").write_text('{"a": "luminal"}')
    return tmp_path


def test_clean_folder(folder, capsys):
    assert verify(folder) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[-1] == "no value found"
    assert "left out: clinical.tsv" in printed.out
    assert "left out: export" in printed.out


def test_readers_of_the_review_are_looked_for(folder, capsys):
    (folder / "results/a.log").write_text("rejected by Wendrovich")
    assert verify(folder) == 0
    (folder / "private/c").mkdir(parents=True, exist_ok=True)
    (folder / "private/c/review.tsv").write_text("patient\titem\tverdict\treader\np0\ts/ct\trejected\tDr. Wendrovich\n")
    assert verify(folder) == 1
    assert "HIT: results/a.log [text]: review.tsv reader #" in capsys.readouterr().out


@pytest.mark.parametrize("word", [NAME, "ZQ-4711-8", "LTR88231"])
def test_hits_end_with_1_and_show_no_value(folder, capsys, word):
    (folder / "results/a.log").write_text(f"seen {word}")
    assert verify(folder) == 1
    printed = capsys.readouterr()
    assert "HIT: results/a.log [text]: " in printed.out
    assert word.lower() not in (printed.out + printed.err).lower()
    assert verify(folder, "--json") == 1
    told = capsys.readouterr().out
    assert word.lower() not in told.lower()
    assert [hit["file"] for hit in json.loads(told)["hits"]] == ["results/a.log"]


def test_what_could_not_be_opened_is_not_clean(folder, capsys):
    (folder / "results/a.parquet").write_bytes(b"PAR1" + bytes(40))
    assert verify(folder) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "no value found, but 1 could not be opened"


def test_values_may_come_from_a_list_or_an_export(folder, tmp_path, capsys):
    (folder / "values.txt").write_text(f"{NAME}\n")
    (folder / "results/a.log").write_text(NAME)
    assert verify(folder / "results", "--values", folder / "values.txt") == 1
    assert verify(folder / "results", "--dicom", folder / "export") == 1
    assert verify(folder / "results", "--table", folder / "clinical.tsv") == 0
    assert NAME not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["none"], "none: the folder does not exist."),
        (["results"], "results: there is no config.yaml here. Name the originals: --dicom, --table or --values."),
        (["results", "--values", "none"], "none: the file does not exist."),
        (["results", "--dicom", "none"], "none: the folder does not exist."),
        (["export", "--dicom", "export"], "export: this is the folder of the originals themselves."),
    ],
)
def test_user_errors(folder, capsys, monkeypatch, arguments, message):
    monkeypatch.chdir(folder)
    assert verify(*arguments) == 1
    printed = capsys.readouterr()
    assert printed.err.startswith(message)
    assert "Traceback" not in printed.err


def test_nothing_to_look_for_is_a_user_error(folder, capsys):
    (folder / "values.txt").write_text("ab\n")
    assert verify(folder / "results", "--values", folder / "values.txt") == 1
    assert "there is no value to look for" in capsys.readouterr().err


def test_bad_settings_are_a_user_error(folder, capsys):
    (folder / "config.yaml").write_text(CONFIG.replace("dicom", "dicm"))
    assert verify(folder) == 1
    assert "unknown value 'dicm'" in capsys.readouterr().err


def test_scanner_is_independent_of_the_rewriter():
    for path in (ROOT / "osteorad/verify").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert not [name for name in names if name.startswith("osteorad.dicom")]
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                assert "resources/dicom" not in node.value


def test_unreadable_folder_is_listed(folder, capsys):
    locked = folder / "results/locked"
    locked.mkdir()
    (locked / "a").write_text("x")
    locked.chmod(0)
    try:
        readable = any(True for _ in locked.iterdir())
    except PermissionError:
        readable = False
    code = verify(folder)
    locked.chmod(0o700)
    shutil.rmtree(locked)
    assert readable or (code == 1 and "not opened: results/locked: not read" in capsys.readouterr().out)
