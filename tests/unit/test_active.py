"""A lock that a killed run left is removed; that of a live one, or of another machine, never."""

from __future__ import annotations

import errno
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from osteorad import active
from osteorad.active import Others
from tests.conftest import ROOT

HOLD = """
import sys, pathlib, time
from osteorad import active
stream = getattr(active, sys.argv[2])(pathlib.Path(sys.argv[1]))
print("here", flush=True)
time.sleep(60)
"""


def lock(folder: Path) -> Path:
    path = folder / ".snakemake/locks/0.input.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("results/index.html")
    return path


@pytest.fixture(params=["hold"])
def other(tmp_path, request):
    """Another run in the folder, or a job."""
    words = [sys.executable, "-c", HOLD, str(tmp_path), request.param]
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "here\n"
    yield process
    process.kill()
    process.wait()


def test_the_lock_of_a_killed_run_is_removed_and_told(tmp_path, other, capsys):
    left = lock(tmp_path)
    other.send_signal(signal.SIGKILL)
    other.wait()
    with active.hold(tmp_path):
        assert not left.exists()
    assert "A run that was killed left its lock here" in capsys.readouterr().err


def test_the_lock_of_a_live_run_stays(tmp_path, other):
    left = lock(tmp_path)
    with active.hold(tmp_path):
        assert left.exists()
    with active.others(tmp_path) as found:
        assert found is Others.ACTIVE


def test_the_lock_of_another_machine_stays(tmp_path):
    with active.hold(tmp_path):
        pass
    (tmp_path / active.FILE).write_text("another-host")
    left = lock(tmp_path)
    with active.hold(tmp_path):
        assert left.exists()
    assert (tmp_path / active.FILE).read_text() == "another-host"
    with active.others(tmp_path) as found:
        assert found is Others.ELSEWHERE


def test_an_empty_folder_is_free(tmp_path):
    with active.others(tmp_path) as found:
        assert found is Others.NOBODY


@pytest.mark.parametrize("other", ["hold_job"], indirect=True)
def test_a_job_that_outlived_its_run_is_waited_for(tmp_path, other, capsys):
    with active.others(tmp_path) as found:
        assert found is Others.ACTIVE
    threading.Timer(0.3, other.kill).start()
    with active.hold(tmp_path):
        assert other.poll() is not None or other.wait(5) is not None
    assert "Waiting for their end" in capsys.readouterr().err


@pytest.fixture
def without_locks(monkeypatch):
    def refused(stream, how):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(active.fcntl, "flock", refused)


def test_a_file_system_without_locks_stops_nothing_and_frees_nothing(tmp_path, without_locks, capsys):
    left = lock(tmp_path)
    with active.hold(tmp_path), active.hold_job(tmp_path), active.one_at_a_time(tmp_path / "index.lock"):
        assert left.exists()
    assert capsys.readouterr().err == ""


def test_without_locks_nobody_can_tell_who_else_is_here(tmp_path, without_locks):
    with active.others(tmp_path) as found:
        assert found is Others.UNKNOWN


def test_a_run_that_waits_for_a_prune_says_so(tmp_path, capsys):
    pruning = active.others(tmp_path)
    assert pruning.__enter__() is Others.NOBODY
    threading.Timer(0.3, lambda: pruning.__exit__(None, None, None)).start()
    with active.hold(tmp_path):
        assert "Waiting for the end of that" in capsys.readouterr().err
