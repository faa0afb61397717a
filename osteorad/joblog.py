"""The log of one job: everything that a job says goes to its `log:` file, and identity does not.

Scripts call `start` first. Jobs that see identity pass `private=True`: an exception is then logged by type and place
only, because its message may quote a header value (contract 1).
"""

from __future__ import annotations

import logging
import sys
import traceback
from pathlib import Path
from types import TracebackType

from osteorad.errors import UserError


def start(log: str, *, private: bool = False) -> None:
    """Send logging, stdout, stderr and tracebacks of this process to the file `log`."""
    path = Path(log)
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("w", encoding="utf-8", buffering=1)
    sys.stdout = sys.stderr = stream
    logging.basicConfig(stream=stream, level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", force=True)
    sys.excepthook = _in_plain_words
    if private:
        logging.getLogger("pydicom").disabled = True  # its warnings quote values
        sys.excepthook = _without_message


def _in_plain_words(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """What a user can mend needs no traceback."""
    if isinstance(error, UserError):
        print(f"{kind.__name__}: {error}", file=sys.stderr)
    else:
        sys.__excepthook__(kind, error, trace)


def _without_message(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if isinstance(error, UserError):  # our own messages never quote identity
        _in_plain_words(kind, error, trace)
        return
    places = [f"  {Path(f.filename).name}:{f.lineno} {f.name}" for f in traceback.extract_tb(trace)]
    print(
        "\n".join(["The job saw identity, so the message of its error is not shown.", *places, kind.__name__]),
        file=sys.stderr,
    )
