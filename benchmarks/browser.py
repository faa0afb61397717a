"""How long a page takes to open in headless Chromium, asked of the browser itself over its debugging pipe."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Cost

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ("--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync")
# without a display and without user namespaces, as in containers
BARE = ("--headless", "--disable-gpu", "--no-sandbox", "--disable-dev-shm-usage")
ASKED = """new Promise(done => requestAnimationFrame(() => requestAnimationFrame(() => {
  const page = performance.getEntriesByType('navigation')[0];
  const paint = performance.getEntriesByName('first-contentful-paint')[0];
  done({dom_s: page.domContentLoadedEventEnd / 1000, load_s: page.loadEventEnd / 1000,
        paint_s: paint ? paint.startTime / 1000 : null, frames_s: performance.now() / 1000});
})))"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """Seconds since navigation began until the document was there, all was loaded, and two frames were drawn."""

    dom_s: float
    load_s: float
    paint_s: float | None
    frames_s: float


def browser() -> str | None:
    """Path of a Chromium on this machine."""
    return next((found for name in NAMES if (found := shutil.which(name))), None)


def open_page(program: str, page: Path) -> tuple[Opened, Cost]:
    """Open a page in a fresh browser of 1280 x 900; the cost is that of the whole browser, start-up included."""
    with tempfile.TemporaryDirectory() as profile:
        start = time.monotonic()
        with _started([program, *BARE, *QUIET, f"--user-data-dir={profile}", "--window-size=1280,900"]) as (
            ask,
            process,
        ):
            target = ask("Target.createTarget", {"url": "about:blank"})["targetId"]
            session = ask("Target.attachToTarget", {"targetId": target, "flatten": True})["sessionId"]
            ask("Page.enable", {}, session)
            ask("Page.navigate", {"url": page.resolve().as_uri()}, session, until="Page.loadEventFired")
            arguments = {"expression": ASKED, "awaitPromise": True, "returnByValue": True}
            told = ask("Runtime.evaluate", arguments, session)["result"]["value"]
            ask("Browser.close", {})
            _, _, used = os.wait4(process.pid, 0)
        wall_s = time.monotonic() - start
    cost = Cost(cpu_s=used.ru_utime + used.ru_stime, wall_s=wall_s, peak_mb=used.ru_maxrss / 1024)
    return Opened(**told), cost


Ask = Callable[..., dict[str, Any]]


@contextmanager
def _started(command: list[str]) -> Iterator[tuple[Ask, subprocess.Popen[bytes]]]:
    """A browser that takes commands at file descriptor 3 and answers at 4; killed where the caller fails."""
    to_read, to_write = os.pipe()
    from_read, from_write = os.pipe()

    def connect() -> None:
        held = os.dup(to_read), os.dup(from_write)  # neither end may be 3 or 4 when these are taken
        os.dup2(held[0], 3)
        os.dup2(held[1], 4)

    process = subprocess.Popen(
        [*command, "--remote-debugging-pipe"],
        preexec_fn=connect,
        close_fds=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(to_read)
    os.close(from_write)
    try:
        with os.fdopen(to_write, "wb", buffering=0) as sink, os.fdopen(from_read, "rb", buffering=0) as source:
            yield _asker(sink.write, _messages(source.read)), process
    except BaseException:
        process.kill()
        process.wait()
        raise


def _messages(read: Callable[[int], bytes | None]) -> Iterator[dict[str, Any]]:
    held = b""
    while part := read(1 << 16):
        *whole, held = (held + part).split(b"\0")
        for text in whole:
            yield json.loads(text)
    raise ConnectionError("the browser closed its pipe")


def _asker(write: Callable[[bytes], Any], messages: Iterator[dict[str, Any]]) -> Ask:
    """A function that sends a command and returns its result, once the event `until` has come, too."""
    number = 0

    def ask(method: str, params: dict[str, Any], session: str | None = None, until: str = "") -> dict[str, Any]:
        nonlocal number
        number += 1
        sent: dict[str, Any] = {"id": number, "method": method, "params": params}
        write(json.dumps(sent | ({"sessionId": session} if session else {})).encode() + b"\0")
        result, waiting = None, until
        for message in messages:
            waiting = "" if message.get("method") == waiting else waiting
            if message.get("id") == number:
                if "error" in message:
                    raise ValueError(f"{method}: {message['error']['message']}")
                result = message["result"]
            if result is not None and not waiting:
                return result
        raise ConnectionError(method)

    return ask
