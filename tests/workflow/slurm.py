"""A real SLURM for tests, with partitions `cpu` and `gpu`, and what its accounting says of jobs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.workflow.snake import ROOT

SCRIPTS = Path(os.environ.get("OSTEORAD_SHARED", ROOT.parent / "shared")) / "hpc"
QUICK = ("--slurm-init-seconds-before-status-checks", "5", "--seconds-between-status-checks", "5")
SUBMITTED = re.compile(r"Job (\S+) has been submitted with SLURM jobid (\d+) \(log: (.*)\)\.$", flags=re.M)


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """What SLURM says of a job: state, partition, memory in MB and GPUs that were asked for, comment."""

    state: str
    partition: str
    memory_mb: int
    gpus: int
    comment: str


def is_up() -> bool:
    """True where a SLURM answers on this machine."""
    try:
        return subprocess.run(["sinfo", "-h"], capture_output=True, timeout=60).returncode == 0
    except FileNotFoundError:
        return False


def start() -> str:
    """Start the test cluster; empty where it is there, else a sentence that says why not."""
    script = SCRIPTS / "slurm-up.sh"
    if not script.is_file():
        return f"no {script.name} beside the project, in shared/hpc"
    if os.geteuid() != 0:
        return "only root can start its daemons"
    ours = {name: value for name, value in os.environ.items() if name != "TMPDIR"}  # the database runs as another user
    for _ in range(2):  # on a busy machine a daemon may need longer than the script waits
        done = subprocess.run(
            ["bash", script], env=ours, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=900
        )
        if done.returncode == 0:
            return ""
    return (done.stdout.strip().splitlines() or ["no output"])[-1]


def stop() -> None:
    """Stop what `start` started."""
    subprocess.run(["bash", SCRIPTS / "slurm-down.sh"], capture_output=True, timeout=120, check=True)


class Run:
    """`snakemake --profile slurm WORDS` at work; its output so far, and its jobs."""

    def __init__(self, folder: Path, *words: str, clone: Path = ROOT) -> None:
        self._printed = folder / "printed.log"
        command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "--directory", str(folder), *QUICK, *words]
        environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
        with self._printed.open("wb") as log:
            self.process = subprocess.Popen(
                command,
                cwd=clone,
                env=environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_hear_interrupts,
            )

    @property
    def output(self) -> str:
        """Everything printed until now."""
        return self._printed.read_text(encoding="utf-8", errors="replace")

    @property
    def numbers(self) -> list[str]:
        """SLURM's numbers of the jobs submitted until now, in their order."""
        return [number for _, number, _ in SUBMITTED.findall(self.output)]

    def finish(self, seconds: float = 3600) -> int:
        """The exit status; a run that takes longer is interrupted, which cancels its jobs."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.stop()
            raise

    def stop(self) -> None:
        """Interrupt the run, as Ctrl-C does, if it still goes on."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait(120)


def accounts(numbers: list[str]) -> dict[str, Account]:
    """Number of a job -> what the accounting says of it."""
    command = ["sacct", "-X", "-n", "-P", "-o", "JobIDRaw,State,Partition,ReqTRES,Comment", "-j", ",".join(numbers)]
    rows = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    found = {}
    for number, state, partition, asked, comment in (row.split("|", maxsplit=4) for row in rows):
        amounts = dict(part.split("=") for part in asked.split(","))
        found[number] = Account(
            state=state.split()[0],
            partition=partition,
            memory_mb=_megabytes(amounts["mem"]),
            gpus=int(amounts.get("gres/gpu", 0)),
            comment=comment,
        )
    return found


def state_now(number: str) -> str:
    """State of a job in the queue; empty where it has left it."""
    done = subprocess.run(["squeue", "-h", "-j", number, "-o", "%T"], capture_output=True, text=True)
    return done.stdout.strip()


def cancel(number: str) -> None:
    """As a user or an administrator takes a job away."""
    subprocess.run(["scancel", number], check=True)


def until(true: Callable[[], bool], seconds: float = 600) -> None:
    """Wait; AssertionError after so many seconds."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(1)


def _hear_interrupts() -> None:
    """A process that was started in the background hears no Ctrl-C, and passes that on."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _megabytes(text: str) -> int:
    number, unit = re.fullmatch(r"([\d.]+)([MGT])", text).groups()
    return round(float(number) * {"M": 1, "G": 1024, "T": 1024**2}[unit])
