"""What a process costs: CPU time and peak memory of the whole of it, start-up and children included.

This module and those that the main process imports load nothing heavy: the peak memory of a child that was started by
a large process would be that of the large one.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SHORT_S = 20.0  # what takes less is measured three times
TIMES = 3
THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS")


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """CPU time (user and system), wall time and peak resident memory of a process with its children."""

    cpu_s: float
    wall_s: float
    peak_mb: float


Process = Callable[[], Cost]


class ProcessFailedError(Exception):
    """A measured process ended with an error; the message holds the end of what it wrote."""


def run(command: Sequence[str | Path], output: Path, *, cwd: Path = ROOT) -> Cost:
    """Run a command to its end, with one thread a numerical library; what it writes goes to the file `output`.

    Raises ProcessFailedError where its exit status is not 0.
    """
    environment = os.environ | dict.fromkeys(THREADS, "1") | {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": "0"}
    output.parent.mkdir(parents=True, exist_ok=True)
    with output.open("wb") as sink:
        start = time.monotonic()
        process = subprocess.Popen(
            [str(part) for part in command],
            cwd=cwd,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
        try:
            _, status, used = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        wall_s = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        written = output.read_text(encoding="utf-8", errors="replace")[-3000:]
        raise ProcessFailedError(f"exit status {process.returncode} of {' '.join(map(str, command))}\n{written}")
    return Cost(cpu_s=used.ru_utime + used.ru_stime, wall_s=wall_s, peak_mb=used.ru_maxrss / 1024)


def task(name: str, output: Path, **arguments: Any) -> Cost:
    """Run a function of `benchmarks.tasks` as a process of its own."""
    texts = json.dumps(arguments, default=str)
    return run([sys.executable, "-m", "benchmarks.tasks", name, texts], output)


def median(costs: Sequence[Cost]) -> Cost:
    """The cost with the median CPU time."""
    middle = statistics.median_low(cost.cpu_s for cost in costs)
    return next(cost for cost in costs if cost.cpu_s == middle)


def measure(processes: Mapping[str, Process], *, times: int = TIMES) -> dict[str, Cost]:
    """Median cost of each process. They take turns, so that a change of the machine's load meets all alike.

    What takes SHORT_S or longer is run once.
    """
    found: dict[str, list[Cost]] = {name: [] for name in processes}
    for _ in range(times):
        for name, process in processes.items():
            if not found[name] or found[name][0].cpu_s < SHORT_S:
                found[name].append(process())
    return {name: median(costs) for name, costs in found.items()}
