"""What lies in a source folder: every file with its size and time, and whatever is no file, with its reason.

Runs in Snakemake's main process before the graph is built: nothing heavy is loaded, nothing is opened or followed.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from osteorad.cohort.sources import Source
from osteorad.errors import ConfigError

NOT_UTF8 = "bytes:"
NO_FILE = "file_unreadable"
Found = tuple[int, int, str]  # size, mtime, and why it is not looked into; empty for a regular file


def listing(folder: Path) -> Iterator[tuple[str, Found]]:
    """Relative path, size, mtime of everything that is no folder, in the same order each time.

    Links are not followed, pipes and sockets not opened, folders that cannot be listed not entered: they are told, with
    their reason, as they stand.
    """
    todo = [str(folder)]
    start = len(os.path.join(todo[0], ""))
    while todo:
        here = todo.pop()
        try:
            with os.scandir(here) as items:
                inside = sorted(items, key=lambda item: item.name)
        except OSError:
            yield kept(here[start:]), (0, 0, "folder_unreadable")
            continue
        for item in inside:
            if item.is_dir(follow_symlinks=False):
                todo.append(item.path)
            elif (found := _found(item)) is not None:
                yield kept(item.path[start:]), found


def _found(item: os.DirEntry[str]) -> Found | None:
    """None for what went away since its folder was listed, such as the temporary files of a copy that is under way."""
    if item.is_symlink():
        return 0, 0, "link_not_followed"
    if not item.is_file(follow_symlinks=False):
        return 0, 0, "file_special"
    try:
        stat = item.stat(follow_symlinks=False)
    except FileNotFoundError:
        return None
    except OSError:
        return 0, 0, NO_FILE
    return stat.st_size, stat.st_mtime_ns, ""


def refuse_unlisted(source: Source) -> None:
    """ConfigError where the source folder itself cannot be listed: all patients would seem to be gone."""
    try:
        os.scandir(source.folder).close()
    except OSError as error:
        raise ConfigError(f"cohort {source.name}: its folder cannot be listed: {error.strerror}.") from None


def kept(path: str) -> str:
    """A relative path as the index keeps it: a name that is no UTF-8 (old exports) as the hex of its bytes."""
    try:
        path.encode()
    except UnicodeEncodeError:
        return NOT_UTF8 + os.fsencode(path).hex()
    return NOT_UTF8 + path.encode().hex() if path.startswith(NOT_UTF8) else path


def shown(kept: str) -> str:
    """The relative path again, of one as the index keeps it."""
    return os.fsdecode(bytes.fromhex(kept.removeprefix(NOT_UTF8))) if kept.startswith(NOT_UTF8) else kept
