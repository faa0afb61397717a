"""Being asked to stop: a signal sets a flag, training reads it where it can leave in good order."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGTERM, signal.SIGUSR1, signal.SIGINT)
EXIT_CODE = 75  # EX_TEMPFAIL: run it again and it goes on


class Stopped(Exception):
    """Training was stopped by a signal, and its state was kept."""


class StopFlag:
    """The name of the signal that came, or empty."""

    def __init__(self) -> None:
        self.signal = ""

    def __bool__(self) -> bool:
        return bool(self.signal)

    def set(self, number: int, frame: FrameType | None) -> None:
        """The handler: does nothing but remember."""
        self.signal = signal.Signals(number).name


@contextmanager
def stop_flag() -> Iterator[StopFlag]:
    """A flag that the signals set for the time of the block; outside the main thread none are listened to."""
    flag = StopFlag()
    if threading.current_thread() is not threading.main_thread():
        yield flag
        return
    before = {number: signal.signal(number, flag.set) for number in SIGNALS}
    try:
        yield flag
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
