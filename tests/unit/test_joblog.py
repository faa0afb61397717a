"""What ends in a job's log, and what must not."""

from __future__ import annotations

import subprocess
import sys

import pytest

from osteorad.files import write_text_if_changed
from osteorad.provenance import rule_key
from tests.workflow.snake import ROOT, copied_clone


def log_of(tmp_path, private: bool, line: str, *, clone=ROOT, status: int = 1) -> str:
    key = tmp_path / ".state/keys/fit_models.json"
    write_text_if_changed(key, rule_key(clone, "fit_models", "scripts/fit_models.py", {}, ["resources/glossary.yaml"]))
    code = (
        "from osteorad import joblog\nfrom osteorad.errors import UserError\n"
        f"joblog.start({str(tmp_path / 'a/job.log')!r}, {str(key)!r}, private={private})\nprint('said')\n{line}\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=clone)
    assert done.returncode == status
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


INVALID_UID = (
    "from pydicom.dataset import Dataset\nfrom pydicom.dataelem import DataElement\n"
    "DataElement(0x0020000D, 'UI', '1.2.840.Doe')"
)
IN_MODULE = "import logging; logging.getLogger('pydicom.pixels.decoders.base').warning('Doe, Jane')"


@pytest.mark.parametrize("line", [INVALID_UID, IN_MODULE], ids=["warning", "log of a module"])
def test_a_private_job_shows_no_value_that_a_library_warns_of(tmp_path, line):
    assert "Doe" in log_of(tmp_path, False, line, status=0)
    text = log_of(tmp_path, True, line, status=0)
    assert "Doe" not in text
    if line == INVALID_UID:
        assert "UserWarning at valuerep.py" in text


@pytest.mark.parametrize("private", [False, True])
def test_user_errors_are_plain_words(tmp_path, private):
    text = log_of(tmp_path, private, "raise UserError('clinical.tsv:3: two rows of one patient')")
    assert text.endswith("UserError: clinical.tsv:3: two rows of one patient\n")
    assert "Traceback" not in text


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    return copied_clone(tmp_path_factory.mktemp("clone") / "osteorad")


FILES = "osteorad/files.py", "scripts/fit_models.py", "resources/glossary.yaml"


@pytest.mark.parametrize("name", FILES)
def test_a_program_edited_during_a_job_is_named_and_the_job_fails(tmp_path, clone, name):
    path = clone / name
    before = path.read_text()
    try:
        line = f"open({str(path)!r}, 'a').write('\\nadded = 1\\n')"
        text = log_of(tmp_path, False, line, clone=clone)
        assert text.endswith(f"edited while a run was active: {name}. This job is not kept; run Snakemake again.\n")
    finally:
        path.write_text(before)


def test_a_program_edited_before_a_job_started_stops_it(tmp_path, clone):
    log_of(tmp_path, False, "", clone=clone, status=0)
    path = clone / "osteorad/files.py"
    before = path.read_text()
    key = (tmp_path / ".state/keys/fit_models.json").read_text()
    try:
        path.write_text(before.replace("def write_text(", "def write_texts("))
        start = f"joblog.start('{tmp_path}/b.log', '{tmp_path}/.state/keys/fit_models.json')"
        code = f"from osteorad import joblog\n{start}\nprint('said')"
        done = subprocess.run([sys.executable, "-c", code], cwd=clone, capture_output=True, text=True)
    finally:
        path.write_text(before)
    assert done.returncode == 1
    assert "said" not in (tmp_path / "b.log").read_text()
    assert "edited while a run was active: osteorad/files.py." in (tmp_path / "b.log").read_text()
    assert (tmp_path / ".state/keys/fit_models.json").read_text() == key


def test_a_comment_does_not_stop_a_job(tmp_path, clone):
    path = clone / "osteorad/files.py"
    before = path.read_text()
    try:
        assert "said" in log_of(tmp_path, False, f"open({str(path)!r}, 'a').write('# more\\n')", clone=clone, status=0)
    finally:
        path.write_text(before)
