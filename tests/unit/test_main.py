"""Commands: exit code 0, 1 for the user, 2 for a bug; JSON where a program reads."""

from __future__ import annotations

import json

import pytest

from osteorad import __main__ as command
from tests.conftest import ROOT

BROKEN = "cohorts:\n  p:\n    source: phantm\n    rois: {marrow: ['*']}\n"
MESSAGE = (
    "config.yaml:3 cohorts.p.source: unknown value 'phantm'. Did you mean 'phantom'? "
    "Valid: deidentified, dicom, phantom, slices, table."
)


@pytest.fixture
def broken(tmp_path):
    (tmp_path / "config.yaml").write_text(BROKEN)
    return tmp_path


def test_check_of_good_settings(capsys):
    assert command.main(["check", "--directory", str(ROOT)]) == 0
    printed = capsys.readouterr()
    assert printed.err == ""
    assert printed.out.splitlines()[-1] == "no problem found"
    assert "forecast: about" in printed.out


def test_check_of_broken_settings_prints_no_traceback(broken, capsys):
    assert command.main(["check", "--directory", str(broken)]) == 1
    printed = capsys.readouterr()
    assert printed.err == MESSAGE + "\n"
    assert printed.out == "1 problem found\n"


def test_check_as_json(broken, capsys):
    assert command.main(["check", "--directory", str(broken), "--json"]) == 1
    assert json.loads(capsys.readouterr().out) == {
        "ok": False,
        "problems": [MESSAGE],
        "notes": [],
        "forecast": None,
    }


def test_user_error_of_new(tmp_path, capsys):
    assert command.main(["new", str(tmp_path / "x"), "--dicom", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == (
        f"{tmp_path}/none: the folder does not exist. Wanted: the folder of the DICOM export.\n"
    )
    assert command.main(["new", str(tmp_path / "x"), "--dicom", str(tmp_path / "none"), "--json"]) == 1
    assert json.loads(capsys.readouterr().out)["ok"] is False


def test_a_bug_is_called_a_bug(monkeypatch, capsys):
    def fail(*_arguments):
        raise ZeroDivisionError

    monkeypatch.setattr("osteorad.cohort.check.check_loaded", fail)
    assert command.main(["check", "--directory", str(ROOT)]) == 2
    assert "This is a bug in osteorad, not in your settings." in capsys.readouterr().err


def test_schema_writes_only_what_differs(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(command, "ROOT", tmp_path)
    assert command.main(["schema"]) == 0
    assert "written: docs/reference.md" in capsys.readouterr().out
    assert command.main(["schema"]) == 0
    assert capsys.readouterr().out == "nothing to write\n"


def test_unknown_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit):
        command.main(["chek"])
    assert "invalid choice: 'chek'" in capsys.readouterr().err
