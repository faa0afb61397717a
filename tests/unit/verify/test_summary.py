"""What a search leaves for the privacy page: counts alone, per cohort, and a digest that notices changed outputs."""

from __future__ import annotations

import io
import json
import stat
from pathlib import Path

import pytest

from osteorad.cohort.searched import outputs_digest
from osteorad.files import read_json
from osteorad.verify import cohorts
from osteorad.verify.progress import Progress, size_of
from tests.unit.verify.folders import NAME, verify, working

KEPT = "private/c/verify.json"


@pytest.fixture
def folder(tmp_path):
    """A working folder whose cohort has a private folder and results."""

    for name in ("private/c", "results/cohorts/c/dicom/p1", "logs"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "results/cohorts/c/dicom/p1/images.json").write_text('{"a": 1}')
    return working(tmp_path)


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


def test_what_a_run_writes_during_a_search_was_not_searched(folder, monkeypatch):
    cohort = folder / "results/cohorts/c"
    before, search = outputs_digest(cohort), cohorts._search

    def meanwhile(*given):
        search(*given)
        (cohort / "dicom/p1/images.json").write_text('{"a": 2}')

    monkeypatch.setattr(cohorts, "_search", meanwhile)
    assert verify(folder) == 0
    assert read_json(folder / KEPT)["searched"] == before != outputs_digest(cohort)


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


def test_a_file_that_goes_while_its_folder_is_searched_stops_nothing(folder, monkeypatch):
    def gone(path, **_):
        raise FileNotFoundError(2, "No such file or directory")

    monkeypatch.setattr(Path, "stat", gone)
    monkeypatch.setattr(Path, "is_file", lambda _: True)
    progress = Progress(io.StringIO())
    progress.begin(folder, set())
    progress.file(size_of(folder / "config.yaml"))


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
