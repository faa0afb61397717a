"""The machine that a network is trained on: device, threads, mixed precision, and operations that repeat to the bit."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal

import torch

from osteorad.cohort.segmentation import TrainingSettings
from osteorad.errors import ConfigError

log = logging.getLogger(__name__)

WORKSPACE = ":4096:8"  # cuBLAS repeats its sums only with a fixed workspace
NOT_REPEATABLE = "does not have a deterministic implementation"


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Where training runs. fallback : True where a GPU was hoped for and none is there."""

    device: torch.device
    name: str
    fallback: bool
    threads: int
    amp: Literal["off", "bf16", "fp16"]

    @property
    def is_gpu(self) -> bool:
        """Whether the device is a GPU."""
        return self.device.type == "cuda"

    def autocast(self) -> Any:
        """The context of a forward pass: mixed precision where it is on."""
        if self.amp == "off":
            return nullcontext()
        return torch.autocast(self.device.type, dtype=torch.bfloat16 if self.amp == "bf16" else torch.float16)


@dataclass(slots=True)
class Repeatable:
    """Whether results repeat to the bit: operations of which torch says that they do not."""

    asked: bool
    exceptions: list[str] = field(default_factory=list)


def machine_of(settings: TrainingSettings, threads: int) -> Machine:
    """The machine of the settings; the CPU where `auto` finds no GPU, which is told.

    Raises ConfigError where the settings ask for a GPU and there is none.
    """
    gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not gpu:
        raise ConfigError(
            "segmentation.training.device: cuda was asked for, but this machine shows no GPU to torch "
            f"{torch.__version__}. Wanted: a node with a GPU and the environment envs/gpu.yaml, or device: auto or cpu."
        )
    fallback = settings.device == "auto" and not gpu
    if fallback:
        log.warning("no GPU here: the network is trained on the CPU, which takes far longer (device: auto)")
    if gpu and settings.device != "cpu":
        return Machine(
            device=torch.device("cuda"),
            name=torch.cuda.get_device_name(),
            fallback=False,
            threads=threads,
            amp=settings.amp,
        )
    return Machine(device=torch.device("cpu"), name="cpu", fallback=fallback, threads=threads, amp="off")


@contextmanager
def numerics(machine: Machine, settings: TrainingSettings) -> Iterator[Repeatable]:
    """torch's global switches for the time of the block: threads, and only operations that repeat where asked.

    An operation without such a form still runs, since some published networks hold one; what is returned names it.
    """
    before = (torch.get_num_threads(), torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.benchmark)
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", WORKSPACE)
    torch.set_num_threads(machine.threads)
    torch.use_deterministic_algorithms(settings.deterministic, warn_only=True)
    torch.backends.cudnn.benchmark = False
    memory: Any = torch.utils.deterministic
    filled = memory.fill_uninitialized_memory
    memory.fill_uninitialized_memory = False  # nothing reads it; filling takes 6 % of a step
    found = Repeatable(asked=settings.deterministic)
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _watcher(found)
            yield found
    finally:
        torch.set_num_threads(before[0])
        torch.use_deterministic_algorithms(before[1])
        torch.backends.cudnn.benchmark = before[2]
        memory.fill_uninitialized_memory = filled


def _watcher(found: Repeatable) -> Any:
    """What takes warnings: all go to the log, those on operations that do not repeat are kept, too."""

    def show(message: Warning | str, category: type[Warning], *where: Any, **more: Any) -> None:
        text = str(message)
        if NOT_REPEATABLE in text:
            operation = text.split(" ", 1)[0]
            found.exceptions = sorted({*found.exceptions, operation})
        log.warning("%s: %s", category.__name__, text.splitlines()[0])

    return show
