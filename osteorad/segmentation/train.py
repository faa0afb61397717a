"""Training: epochs of steps, after each a validation and a checkpoint, and the weights of the best epoch kept.

The same name, cases, plan, settings, code, torch, device kind and threads give the same weights to the bit on a CPU,
whether or not the run was killed on the way.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import torch

from osteorad.segmentation.batches import Batch, Batches, stream
from osteorad.segmentation.checkpoint import Checkpoints
from osteorad.segmentation.learner import Training, Weights
from osteorad.segmentation.preprocess import TrainingCase
from osteorad.segmentation.stopping import StopFlag, Stopped
from osteorad.segmentation.validate import Validation, validated

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The outcome: weights of the best epoch, and the course of training, a row an epoch."""

    weights: Weights
    best_epoch: int
    steps: int
    history: list[dict[str, Any]]


def train(
    training: Training,
    batches: Batches,
    validation: Sequence[TrainingCase],
    checkpoints: Checkpoints,
    stop: StopFlag,
) -> Trained:
    """Train to the end, from the newest checkpoint where there is one.

    validation : cases that choose the epoch; none: the last is taken. Raises Stopped after a signal, with all kept.
    """
    resume(training, checkpoints)
    clock = Clock(training)
    while not training.ended:
        _learn_epoch(training, batches, checkpoints, stop, clock)
        found = _validate(training, validation, checkpoints, stop)
        training.close_epoch(found.dice if found else None, found.false_ml if found else None)
        checkpoints.save(training.states())
        clock.tell_epoch()
    here = training.progress
    checkpoints.note(event="finished", steps=training.steps_done)
    return Trained(
        weights=training.best_model,
        best_epoch=here.best_epoch,
        steps=training.steps_done,
        history=here.history,
    )


def resume(training: Training, checkpoints: Checkpoints) -> None:
    """Take up the newest checkpoint, where there is one, and say so."""
    states = checkpoints.load()
    if states is None:
        checkpoints.note(event="started", steps=0)
        return
    training.restore(states)
    here = training.progress
    log.info("resumed at epoch %d step %d from %s", here.epoch + 1, here.step, checkpoints.folder)
    checkpoints.note(event="resumed", steps=training.steps_done)


def _learn_epoch(training: Training, batches: Batches, checkpoints: Checkpoints, stop: StopFlag, clock: Clock) -> None:
    """The steps of this epoch that are left."""
    workers = training.machine.threads if training.machine.is_gpu else 0
    first = training.steps_done
    last = (training.progress.epoch + 1) * training.settings.steps
    for batch in clock.waiting(stream(batches, first, last, workers=workers)):
        training.learn(batch)
        if stop:
            _leave(training, checkpoints, stop)
        if clock.checkpoint_due():
            checkpoints.save(training.states())


def _validate(
    training: Training, cases: Sequence[TrainingCase], checkpoints: Checkpoints, stop: StopFlag
) -> Validation | None:
    """How good the network is on the validation cases; None where there are none."""
    if not cases:
        return None
    found = validated(training.module, cases, training.plan, training.machine, lambda: bool(stop))
    if found is None:
        _leave(training, checkpoints, stop)
    return found


def _leave(training: Training, checkpoints: Checkpoints, stop: StopFlag) -> NoReturn:
    """Keep the state and raise Stopped."""
    checkpoints.save(training.states())
    checkpoints.note(event="stopped", steps=training.steps_done, signal=stop.signal)
    here = training.progress
    where = f"checkpoint of epoch {here.epoch + 1} step {here.step} kept"
    log.warning("stopped by signal %s, %s; the next run resumes", stop.signal, where)
    raise Stopped(where)


class Clock:
    """Times of a run, for its log and for checkpoints in between; nothing of it enters a result."""

    def __init__(self, training: Training) -> None:
        self.training = training
        self.first = training.progress.epoch, training.steps_done
        self.began = self.saved = self.epoch_began = time.monotonic()
        self.steps = 0
        self.waited = 0.0

    def waiting(self, source: Iterator[Batch]) -> Iterator[Batch]:
        """The same batches; how long each was waited for is added up."""
        while True:
            asked = time.monotonic()
            batch = next(source, None)
            self.waited += time.monotonic() - asked
            if batch is None:
                return
            self.steps += 1
            yield batch

    def checkpoint_due(self) -> bool:
        """Whether the last checkpoint is older than the settings allow; then the time starts anew."""
        if time.monotonic() - self.saved < 60.0 * self.training.settings.checkpoint_minutes:
            return False
        self.saved = time.monotonic()
        return True

    def tell_epoch(self) -> None:
        """One line on the epoch that ended."""
        now = time.monotonic()
        training, here = self.training, self.training.progress
        row, settings = here.history[-1], training.settings
        left = (now - self.began) / max(here.epoch - self.first[0], 1) * (settings.epochs - here.epoch)
        dice = "none" if row["validation_dice"] is None else f"{row['validation_dice']:.3f} (best {here.best_dice:.3f})"
        log.info(
            "epoch %d/%d: loss %.4f, validation Dice %s, lr %.2g, %.3f s/step, %s left%s",
            here.epoch,
            settings.epochs,
            row["train_loss"],
            dice,
            row["learning_rate"],
            (now - self.epoch_began) / max(self.steps, 1),
            _duration(left),
            self._gpu(now) if training.machine.is_gpu else "",
        )
        self.epoch_began = self.saved = now
        self.steps, self.waited = 0, 0.0

    def _gpu(self, now: float) -> str:
        spent = now - self.epoch_began
        images = self.steps * self.training.plan.batch / spent
        peak = torch.cuda.max_memory_allocated() / 1e9
        return f"; {images:.1f} images/s, {100 * self.waited / spent:.0f} % waiting for batches, peak {peak:.1f} GB"


def _duration(seconds: float) -> str:
    minutes = round(seconds / 60)
    return f"{seconds:.0f} s" if seconds < 100 else f"{minutes // 60} h {minutes % 60:02d} min"
