"""Checkpoints: the whole state of a training, so that a run that was killed goes on and ends in the same bits.

A folder belongs to one key (plan, settings, cases, code, torch, device, threads); a checkpoint of another key lies in
another folder and is never found. The last two checkpoints are kept, and a small journal of the runs that worked here.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from osteorad.errors import UserError

log = logging.getLogger(__name__)

LAST, BEFORE, HALF_WRITTEN = "last.pt", "last-1.pt", "last.pt.tmp"
JOURNAL = "runs.jsonl"
DIGEST = 32  # bytes
# All that a step of training depends on, beside the batches, which are functions of the step. Neither Python's nor
# numpy's own generators are used; training checks that.
STATES = (
    "key",
    "model",
    "optimiser",
    "schedule",
    "scaler",
    "progress",
    "best_model",
    "torch_rng",
    "cuda_rng",
)


class UnusableError(Exception):
    """A checkpoint that is damaged, or not one of this training."""


class Checkpoints:
    """The checkpoints of one key."""

    def __init__(self, folder: Path, key: str) -> None:
        self.folder = Path(folder)
        self.key = key
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / HALF_WRITTEN).unlink(missing_ok=True)

    def save(self, states: Mapping[str, Any]) -> None:
        """Keep the state under `last.pt`, and what stood there as `last-1.pt`. There is always a whole one."""
        temporary, last = self.folder / HALF_WRITTEN, self.folder / LAST
        with temporary.open("wb") as stream:
            stream.write(packed({**states, "key": self.key}))
            stream.flush()
            os.fsync(stream.fileno())
        if last.exists():
            _link(last, self.folder / BEFORE)
        os.replace(temporary, last)
        _sync(self.folder)

    def load(self) -> dict[str, Any] | None:
        """The newest whole checkpoint; None where there is none at all.

        Raises UserError where there are some and none can be read: training never starts anew by itself.
        """
        there = [path for path in (self.folder / LAST, self.folder / BEFORE) if path.exists()]
        for path in there:
            states = self._read(path)
            if states is not None:
                return states
        if there:
            names = " and ".join(path.name for path in there)
            raise UserError(
                f"{self.folder}: {names} cannot be read, so training cannot go on where it was. "
                f"Delete the folder {self.folder} to train from the start."
            )
        return None

    def _read(self, path: Path) -> dict[str, Any] | None:
        try:
            states = unpacked(path.read_bytes())
            if missing := [name for name in STATES if name not in states]:
                raise UnusableError(f"it holds no {', '.join(missing)}")
            if states["key"] != self.key:
                raise UnusableError("it is of other settings, cases or code")
        except UnusableError as error:
            log.warning("checkpoint %s cannot be used: %s", path.name, error)
            return None
        return states

    def note(self, **facts: Any) -> None:
        """Add a line to the journal of what runs did here; the network's own record knows no past."""
        with (self.folder / JOURNAL).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(facts, sort_keys=True) + "\n")
            stream.flush()
            os.fsync(stream.fileno())

    def clear(self) -> None:
        """Remove the checkpoints of a finished training; the journal stays."""
        for name in (LAST, BEFORE, HALF_WRITTEN):
            (self.folder / name).unlink(missing_ok=True)


def _link(source: Path, target: Path) -> None:
    """`target` becomes a second name of `source`, at once."""
    temporary = target.with_suffix(".tmp")
    temporary.unlink(missing_ok=True)
    try:
        os.link(source, temporary)
        os.replace(temporary, target)
    except OSError:  # a file system without hard links: for a moment the last but one is the only one
        os.replace(source, target)


def _sync(folder: Path) -> None:
    """The new names reach the disk, too."""
    number = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def packed(states: Mapping[str, Any]) -> bytes:
    """SHA-256 of what follows, and torch's form of the state."""
    sink = io.BytesIO()
    torch.save(dict(states), sink)
    return hashlib.sha256(sink.getbuffer()).digest() + sink.getvalue()


def unpacked(content: bytes) -> dict[str, Any]:
    """The state again, without running code; UnusableError where a byte is missing or changed."""
    wanted, body = content[:DIGEST], memoryview(content)[DIGEST:]
    if hashlib.sha256(body).digest() != wanted:
        raise UnusableError("it is not whole")
    states: dict[str, Any] = torch.load(io.BytesIO(body), map_location="cpu", weights_only=True)
    return states
