"""The log of one job: everything that a job says goes to its `log:` file, and identity does not.

Scripts call `start` first. Jobs that see identity pass `private=True`: an exception or a warning is then logged by type
and place only, because its message may quote a header value (contract 1). A job whose program is edited while a run is
active fails and says which file it was: what it made would belong to no key.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

from osteorad.active import hold_job
from osteorad.errors import UserError
from osteorad.files import read_json
from osteorad.provenance import changed_since

ROOT = Path(__file__).resolve().parents[1]
PARSED = "code.json"  # beside the folder of keys


def start(log: str, key: str, *, private: bool = False) -> None:
    """Send logging, stdout, stderr and tracebacks of this process to the file `log`.

    key : the key file of the rule, to which the program is held now and at the end. UserError where it differs.
    """
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("w", encoding="utf-8", buffering=1)
    sys.stdout = sys.stderr = stream
    logging.basicConfig(stream=stream, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
    sys.excepthook = _in_plain_words
    if private:
        _hide_messages()
    if edited := _edited(Path(key)):
        raise UserError(edited)
    at_work = hold_job(Path.cwd())
    atexit.register(partial(_end, Path(key), at_work))


def _hide_messages() -> None:
    """Messages of exceptions, of warnings and of pydicom's log may quote values: none of them is shown."""
    sys.excepthook = _without_message
    warnings.showwarning = _warned
    _shut_pydicom()


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """No warnings and no log of pydicom: they show the values that they are about."""
    logger, handler = _shut_pydicom()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.propagate = True
        logger.removeHandler(handler)


def _shut_pydicom() -> tuple[logging.Logger, logging.Handler]:
    """Its modules' loggers hand up to this one; its level would not do, since pydicom sets that itself."""
    logger, handler = logging.getLogger("pydicom"), logging.NullHandler()
    logger.propagate = False
    logger.addHandler(handler)
    return logger, handler


def _edited(key: Path) -> str:
    """A sentence where the program is not the one of the key; empty where it is."""
    parsed = key.parents[1] / PARSED
    changed = changed_since(ROOT, read_json(key), read_json(parsed) if parsed.is_file() else None)
    if not changed:
        return ""
    return f"edited while a run was active: {', '.join(changed)}. This job is not kept; run Snakemake again."


def _end(key: Path, at_work: TextIO) -> None:
    """Fail where the program was edited while the job ran, so that Snakemake removes what it made."""
    if edited := _edited(key):
        print(f"UserError: {edited}", file=sys.stderr, flush=True)
        os._exit(1)
    at_work.close()


def _in_plain_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What a user can mend needs no traceback."""
    if isinstance(error, UserError):
        print(f"{kind.__name__}: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _warned(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, file: Any = None, line: Any = None
) -> None:
    print(f"{category.__name__} at {Path(filename).name}:{lineno}; its message is not shown", file=sys.stderr)


def _without_message(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, UserError):  # our own messages never quote identity
        _in_plain_words(kind, error, trace)
        return
    places = [f"  {Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]
    print(
        "\n".join(["The job saw identity, so the message of its error is not shown.", *places, kind.__name__]),
        file=sys.stderr,
    )
