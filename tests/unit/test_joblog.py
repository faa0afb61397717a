"""What ends in a job's log, and what must not."""

from __future__ import annotations

import subprocess
import sys

import pytest


def log_of(tmp_path, private: bool, line: str) -> str:
    code = (
        "from osteorad import joblog\nfrom osteorad.errors import UserError\n"
        f"joblog.start({str(tmp_path / 'a/job.log')!r}, private={private})\nprint('said')\n{line}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stdout == done.stderr == ""
    return (tmp_path / "a/job.log").read_text()


def test_everything_goes_to_the_log(tmp_path):
    text = log_of(tmp_path, False, "raise ValueError('why')")
    assert "said" in text
    assert "Traceback" in text
    assert "ValueError: why" in text


def test_a_private_job_names_type_and_place_only(tmp_path):
    text = log_of(tmp_path, True, "raise ValueError('Doe^Jane')")
    assert "Jane" not in text
    assert "ValueError" in text
    assert ":5 <module>" in text


@pytest.mark.parametrize("private", [False, True])
def test_user_errors_are_plain_words(tmp_path, private):
    text = log_of(tmp_path, private, "raise UserError('clinical.tsv:3: two rows of one patient')")
    assert text.endswith("UserError: clinical.tsv:3: two rows of one patient\n")
    assert "Traceback" not in text
