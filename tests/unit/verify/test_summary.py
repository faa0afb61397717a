"""What a search leaves for the privacy page: counts alone, per cohort, and a digest that notices changed outputs."""

from __future__ import annotations

import io
import json
import stat

import pytest

from osteorad import __main__ as command
from osteorad.cohort.searched import outputs_digest
from osteorad.files import read_json
from osteorad.verify.progress import Progress
from tests.unit.verify.containers import dicom
from tests.unit.verify.test_cohorts import CONFIG, NAME

KEPT = "private/c/verify.json"


@pytest.fixture
def folder(tmp_path):
    """A working folder whose cohort has a private folder and results."""

    def change(data):
        data.PatientName, data.PatientID = f"{NAME}^Isoldara", "ZQ-4711-8"

    (tmp_path / "config.yaml").write_text(CONFIG)
    for name in ("export", "private/c", "results/cohorts/c/dicom/p1", "logs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "export/a.dcm").write_bytes(dicom(change))
    (tmp_path / "clinical.tsv").write_text("patient\tsubtype\tremarks\nZQ-4711-8\tluminal\tsee LTR88231\n")
    (tmp_path / "results/cohorts/c/dicom/p1/images.json").write_text('{"a": 1}')
    return tmp_path


def verify(*arguments):
    return command.main(["verify-deid", *map(str, arguments)])


def test_a_clean_search_is_kept_privately(folder, capsys):
    assert verify(folder) == 0
    printed = capsys.readouterr().out
    assert "kept for the privacy page, written by the next run: c" in printed
    assert stat.S_IMODE((folder / KEPT).stat().st_mode) == 0o600
    told = read_json(folder / KEPT)
    assert (told["clean"], told["hits"], told["not_opened"]) == (True, 0, 0)
    assert told["values"] > 3
    assert told["searched"] == outputs_digest(folder / "results/cohorts/c")
    before = (folder / KEPT).stat().st_mtime_ns
    assert verify(folder) == 0
    assert (folder / KEPT).stat().st_mtime_ns == before


def test_hits_are_counted_by_where_they_are_and_no_value_is_kept(folder):
    (folder / "logs/a.log").write_text(f"{NAME} ZQ-4711-8")
    (folder / "results/cohorts/c/a.json").write_text(f'"{NAME}"')
    assert verify(folder) == 1
    told = read_json(folder / KEPT)
    assert (told["clean"], told["hit_files"], told["hit_files_here"]) == (False, 2, 1)
    assert told["hits"] == 3
    text = (folder / KEPT).read_text().lower()
    for word in (NAME, "ZQ-4711-8", "LTR88231", "remarks", "PatientName", "a.log"):
        assert word.lower() not in text


def test_changed_outputs_are_noticed_and_changed_pages_are_not(folder):
    cohort = folder / "results/cohorts/c"
    before = outputs_digest(cohort)
    (cohort / "report.html").write_text("x")
    assert outputs_digest(cohort) == before
    (cohort / "dicom/p1/images.json").write_text('{"a": 2}')
    assert outputs_digest(cohort) != before
    (cohort / "dicom/p1/images.json").write_text('{"a": 1}')
    assert outputs_digest(cohort) == before
    (cohort / "clinical.parquet").write_bytes(b"x")
    assert outputs_digest(cohort) == {"files": 2, "digest": outputs_digest(cohort)["digest"]} != before


@pytest.mark.parametrize("what", ["named by hand", "no results", "no private"])
def test_nothing_is_kept_where_the_search_was_another(folder, what, capsys):
    arguments = []
    if what == "named by hand":
        arguments = ["--dicom", folder / "export", "--table", folder / "clinical.tsv"]
    elif what == "no results":
        (folder / "results/cohorts").rename(folder / "results/other")
    else:
        (folder / "private/c").rmdir()
    assert verify(folder, *arguments, "--json") == 0
    assert not (folder / KEPT).exists()
    assert json.loads(capsys.readouterr().out)["ok"] is True


def test_progress_tells_how_far_it_is(tmp_path):
    (tmp_path / "left").mkdir()
    for name, size in (("a", 1_000_000), ("b", 3_000_000), ("left/c", 9_000_000)):
        (tmp_path / name).write_bytes(bytes(size))
    (tmp_path / "link").symlink_to(tmp_path / "a")
    stream, now = io.StringIO(), iter([0.0, 0.0, 0.1, 2.0, 300.0])
    progress = Progress(stream, clock=lambda: next(now))
    progress.begin(tmp_path, {(tmp_path / "left").resolve()})
    progress.file(0)  # too soon to tell
    progress.file(1_000_000)
    progress.file(0)
    progress.end()
    told = [line.strip() for line in stream.getvalue().split("\r")]
    assert told[1:3] == [
        "searched 2 of 2 files, 1 MB of 4 MB, 6 s left",
        "searched 3 of 2 files, 1 MB of 4 MB, 15 min left",
    ]
    assert "".join(told[3:]) == ""


def test_progress_is_for_terminals_only(folder, monkeypatch, capsys):
    assert verify(folder) == 0
    assert capsys.readouterr().err == ""

    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    assert verify(folder) == 0
    assert "reading the originals of c" in terminal.getvalue()
    assert NAME not in terminal.getvalue()
