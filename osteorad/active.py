"""Whether another Snakemake works in a folder. A lock that a killed run left is removed, that of a live one never.

Every main process holds a shared lock on `.snakemake/active` for its life, and every job one on `.snakemake/jobs`; the
kernel lets go of them however a process ends. Whoever gets the first alone knows that no other run is there; jobs that
outlived a killed run are waited for. On file systems whose locks end at the machine, the name of the machine in the
file says for whom that holds; where there are no locks at all, nothing is removed, nobody waits, and nobody can tell.
"""

from __future__ import annotations

import errno
import fcntl
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum, auto
from pathlib import Path
from typing import TextIO

FILE, JOBS, LOCKS = ".snakemake/active", ".snakemake/jobs", ".snakemake/locks"
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


class Others(Enum):
    """Who else works in a folder, as far as it can be told from here."""

    NOBODY = auto()
    ACTIVE = auto()  # a run or a job holds its lock
    ELSEWHERE = auto()  # Snakemake's lock is that of a run on another machine, which may be dead
    UNKNOWN = auto()  # the file system has no locks


def hold(workdir: Path) -> TextIO:
    """Say that a run is here, for as long as the file returned is open; a dead run's lock is removed, and told."""
    stream = _opened(workdir / FILE)
    if _alone(stream):
        _wait_for_jobs(workdir)
        if _ours(stream) and any((workdir / LOCKS).glob("*")):
            shutil.rmtree(workdir / LOCKS)
            print("A run that was killed left its lock here. It is removed.", file=sys.stderr)
        if not any((workdir / LOCKS).glob("*")):
            stream.seek(0)
            stream.truncate()
            stream.write(platform.node())
            stream.flush()
    if _lock(stream, fcntl.LOCK_SH | fcntl.LOCK_NB) is False:
        print("Patients are being removed here, or jobs waited for. Waiting for the end of that.", file=sys.stderr)
        _lock(stream, fcntl.LOCK_SH)
    return stream


@contextmanager
def others(workdir: Path) -> Iterator[Others]:
    """Who else works in the folder; where it is nobody, nobody begins before the end of the block."""
    with _opened(workdir / FILE) as stream, _opened(workdir / JOBS) as jobs:
        given = [_lock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB) for lock in (stream, jobs)]
        if False in given:
            yield Others.ACTIVE
        elif None in given:
            yield Others.UNKNOWN
        elif any((workdir / LOCKS).glob("*")) and not _ours(stream):
            yield Others.ELSEWHERE
        else:
            yield Others.NOBODY


def hold_job(workdir: Path) -> TextIO:
    """Say that a job is at work, for as long as the file returned is open."""
    stream = _opened(workdir / JOBS)
    _lock(stream, fcntl.LOCK_SH)
    return stream


@contextmanager
def one_at_a_time(path: Path) -> Iterator[None]:
    """Wait until nobody else is in a block with this file, and keep others out; without locks nobody waits."""
    with _opened(path) as stream:
        _lock(stream, fcntl.LOCK_EX)
        yield


def _wait_for_jobs(workdir: Path) -> None:
    with _opened(workdir / JOBS) as jobs:
        if _lock(jobs, fcntl.LOCK_EX | fcntl.LOCK_NB) is False:
            print("Jobs of a run that was killed are still at work here. Waiting for their end.", file=sys.stderr)
            _lock(jobs, fcntl.LOCK_EX)


def _opened(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a+", encoding="utf-8")


def _alone(stream: TextIO) -> bool:
    return _lock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB) is True


def _lock(stream: TextIO, how: int) -> bool | None:
    """True where the lock was given, False where somebody else has it, None where the file system has no locks."""
    try:
        fcntl.flock(stream, how)
    except BlockingIOError:
        return False
    except OSError as error:
        if error.errno in NO_LOCKS:
            return None
        raise
    return True


def _ours(stream: TextIO) -> bool:
    """True where the last run was on this machine."""
    stream.seek(0)
    return stream.read() == platform.node()
