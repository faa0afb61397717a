"""Whether another Snakemake works in a folder. A lock that a killed run left is removed, that of a live one never.

Every main process holds a shared lock on `.snakemake/active` for its life, and every job one on `.snakemake/jobs`; the
kernel lets go of them however a process ends. Whoever gets the first alone knows that no other run is there; jobs that
outlived a killed run are waited for. On file systems whose locks end at the machine, the name of the machine in the
file says for whom that holds; where there are no locks at all, nothing is removed and nobody waits.
"""

from __future__ import annotations

import errno
import fcntl
import platform
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

FILE, JOBS, LOCKS = ".snakemake/active", ".snakemake/jobs", ".snakemake/locks"
NO_LOCKS = (errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS)


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
    _lock(stream, fcntl.LOCK_SH)
    return stream


@contextmanager
def nobody_else(workdir: Path) -> Iterator[bool]:
    """True, and true until the end of the block, where no run is active in the folder."""
    with _opened(workdir / FILE) as stream, _opened(workdir / JOBS) as jobs:
        yield _alone(stream) and _alone(jobs) and (_ours(stream) or not any((workdir / LOCKS).glob("*")))


def hold_job(workdir: Path) -> TextIO:
    """Say that a job is at work, for as long as the file returned is open."""
    stream = _opened(workdir / JOBS)
    _lock(stream, fcntl.LOCK_SH)
    return stream


def _wait_for_jobs(workdir: Path) -> None:
    with _opened(workdir / JOBS) as jobs:
        if not _alone(jobs):
            print("Jobs of a run that was killed are still at work here. Waiting for their end.", file=sys.stderr)
            _lock(jobs, fcntl.LOCK_EX)


def _opened(path: Path) -> TextIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("a+", encoding="utf-8")


def _alone(stream: TextIO) -> bool:
    return _lock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _lock(stream: TextIO, how: int) -> bool:
    """True where the lock was given; False where somebody else has it, or the file system knows none."""
    try:
        fcntl.flock(stream, how)
    except OSError as error:
        if isinstance(error, BlockingIOError) or error.errno in NO_LOCKS:
            return False
        raise
    return True


def _ours(stream: TextIO) -> bool:
    """True where the last run was on this machine."""
    stream.seek(0)
    return stream.read() == platform.node()
