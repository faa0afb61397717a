"""Training: epochs of steps, a validation after each, a checkpoint after each and in between, and the best weights kept.

The same name, cases, plan, settings, code, torch, device kind and threads give the same weights to the bit on a CPU, whether
or not the run was killed on the way.
"""

from __future__ import annotations

import logging
import math
import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from osteorad.cohort.segmentation import TrainingSettings
from osteorad.provenance import digest, seed_from
from osteorad.segmentation.batches import Batch, Batches, stream
from osteorad.segmentation.checkpoint import Checkpoints
from osteorad.segmentation.heads import target_of
from osteorad.segmentation.losses import loss_of
from osteorad.segmentation.networks.registry import build
from osteorad.segmentation.numerics import Machine
from osteorad.segmentation.plan import Plan
from osteorad.segmentation.preprocess import TrainingCase
from osteorad.segmentation.schedule import optimiser_of, schedule_of
from osteorad.segmentation.stopping import StopFlag, Stopped
from osteorad.segmentation.validate import validated

log = logging.getLogger(__name__)

LARGEST_GRADIENT = 12.0  # norm at which gradients are cut off, as nnU-Net
Weights = dict[str, Tensor]


@dataclass(slots=True, kw_only=True)
class Progress:
    """Where training stands: `step` steps of `epoch` (both from 0) are done."""

    epoch: int = 0
    step: int = 0
    loss_sum: float = 0.0
    clipped: int = 0  # steps of this epoch whose gradient was cut off
    best_dice: float = -1.0
    best_epoch: int = 0  # from 1; 0: none yet
    epochs_since_best: int = 0
    history: list[dict[str, Any]] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """The outcome: weights of the best epoch, and the course of training, a row an epoch."""

    weights: Weights
    best_epoch: int
    steps: int
    history: list[dict[str, Any]]


class Training:
    """A network, its optimiser and where it stands; everything that a checkpoint holds."""

    def __init__(self, plan: Plan, settings: TrainingSettings, *, loss: str, machine: Machine, name: str) -> None:
        """loss : name in the registry of losses. name : of the network in its fold, and the seed."""
        self.plan, self.settings, self.machine, self.name = plan, settings, machine, name
        torch.manual_seed(seed_from(f"{name}/weights"))
        module = build(plan.network, channels=plan.channels, labels=plan.labels, settings=dict(plan.network_settings))
        self.module: nn.Module = module.to(machine.device).train()
        self.loss: Callable[[Tensor, Tensor], Tensor] = loss_of(loss)
        self.optimiser = optimiser_of(settings, self.module.parameters())
        self.schedule = schedule_of(settings, self.optimiser)
        self.scaler = torch.amp.GradScaler(machine.device.type, enabled=machine.amp == "fp16")
        self.progress = Progress()
        self.best_model: Weights = {}
        self._foreign = _foreign_generators()

    # --- state -------------------------------------------------------------------------------------------------------

    def states(self) -> dict[str, Any]:
        """All that the rest of the training depends on: `checkpoint.STATES` without the key."""
        if _foreign_generators() != self._foreign:
            raise RuntimeError("Python's or numpy's own generator was used in training, but no checkpoint holds it")
        return {
            "model": self.module.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
            "scaler": self.scaler.state_dict(),
            "progress": asdict(self.progress),
            "best_model": self.best_model,
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state() if self.machine.is_gpu else None,
        }

    def restore(self, states: Mapping[str, Any]) -> None:
        """Take up the state of a checkpoint."""
        self.module.load_state_dict(states["model"])
        self.optimiser.load_state_dict(states["optimiser"])
        self.schedule.load_state_dict(states["schedule"])
        self.scaler.load_state_dict(states["scaler"])
        self.progress = Progress(**states["progress"])
        self.best_model = dict(states["best_model"])
        torch.set_rng_state(states["torch_rng"])
        if self.machine.is_gpu:
            torch.cuda.set_rng_state(states["cuda_rng"])

    @property
    def ended(self) -> bool:
        """Whether all epochs are done, or none was better for so long as the settings allow."""
        patience = self.settings.patience
        tired = patience is not None and self.progress.epochs_since_best >= patience
        return tired or self.progress.epoch >= self.settings.epochs

    # --- one step, one epoch -----------------------------------------------------------------------------------------

    def learn(self, batch: Batch) -> None:
        """One step of the optimiser. FloatingPointError where the loss is no number."""
        images = torch.from_numpy(batch.images).to(self.machine.device)
        target = target_of(torch.from_numpy(batch.labels).to(self.machine.device), self.plan)
        self.optimiser.zero_grad(set_to_none=True)
        with self.machine.autocast():
            logits = self.module(images)
        loss = self.loss(logits.float(), target)
        value = float(loss.detach())
        if not math.isfinite(value):
            cases = ", ".join(sorted(set(batch.cases)))
            raise FloatingPointError(f"the loss is {value} at step {self.progress.step}; patches of {cases}")
        self.scaler.scale(loss).backward()
        self.scaler.unscale_(self.optimiser)
        norm = nn.utils.clip_grad_norm_(self.module.parameters(), LARGEST_GRADIENT)
        self.scaler.step(self.optimiser)
        self.scaler.update()
        self.schedule.step()
        self.progress.step += 1
        self.progress.loss_sum += value
        self.progress.clipped += int(float(norm) > LARGEST_GRADIENT)

    def close_epoch(self, dice: float | None, false_ml: float | None) -> None:
        """Write the epoch into the history, keep its weights where they are the best, and go to the next."""
        here = self.progress
        here.epoch += 1
        here.history.append(
            {
                "epoch": here.epoch,
                "train_loss": here.loss_sum / here.step,
                "validation_dice": dice,
                "validation_false_ml": false_ml,
                "learning_rate": float(self.optimiser.param_groups[0]["lr"]),
                "clipped_steps": here.clipped,
            }
        )
        if dice is None or dice > here.best_dice:
            here.best_dice, here.best_epoch, here.epochs_since_best = (-1.0 if dice is None else dice), here.epoch, 0
            self.best_model = {key: value.detach().cpu().clone() for key, value in self.module.state_dict().items()}
        else:
            here.epochs_since_best += 1
        here.step, here.loss_sum, here.clipped = 0, 0.0, 0


def _foreign_generators() -> str:
    """Digest of the generators that training does not use."""
    kind, numbers, *rest = np.random.get_state(legacy=True)
    return digest([repr(random.getstate()), str(kind), np.asarray(numbers).tolist(), [float(x) for x in rest]])


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
    _resume(training, checkpoints)
    clock = Clock(training)
    while not training.ended:
        _learn_epoch(training, batches, checkpoints, stop, clock)
        found = validated(training.module, validation, training.plan, training.machine, lambda: bool(stop)) if validation else None
        if validation and found is None:
            _leave(training, checkpoints, stop)
        training.close_epoch(found.dice if found else None, found.false_ml if found else None)
        checkpoints.save(training.states())
        clock.tell()
    steps = sum(training.settings.steps for _ in training.progress.history)
    checkpoints.note(event="finished", steps=steps)
    return Trained(
        weights=training.best_model,
        best_epoch=training.progress.best_epoch,
        steps=steps,
        history=training.progress.history,
    )


def _resume(training: Training, checkpoints: Checkpoints) -> None:
    states = checkpoints.load()
    if states is None:
        checkpoints.note(event="started")
        return
    training.restore(states)
    here = training.progress
    log.info("resumed at epoch %d step %d from %s", here.epoch + 1, here.step, checkpoints.folder)
    checkpoints.note(event="resumed", steps=here.epoch * training.settings.steps + here.step)


def _learn_epoch(
    training: Training, batches: Batches, checkpoints: Checkpoints, stop: StopFlag, clock: Clock
) -> None:
    """The steps of this epoch that are left."""
    steps, here = training.settings.steps, training.progress
    first = here.epoch * steps
    workers = training.machine.threads if training.machine.is_gpu else 0
    source = stream(batches, first + here.step, first + steps, workers=workers)
    for batch in clock.waiting(source):
        training.learn(batch)
        if stop:
            source.close()
            _leave(training, checkpoints, stop)
        if clock.checkpoint_due():
            checkpoints.save(training.states())


def _leave(training: Training, checkpoints: Checkpoints, stop: StopFlag) -> None:
    """Keep the state and raise Stopped."""
    checkpoints.save(training.states())
    here = training.progress
    where = f"checkpoint of epoch {here.epoch + 1} step {here.step} kept"
    checkpoints.note(event="stopped", signal=stop.signal, steps=here.epoch * training.settings.steps + here.step)
    log.warning("stopped by signal %s, %s; the next run resumes", stop.signal, where)
    raise Stopped(where)


class Clock:
    """Times of a run: for its log and the checkpoints in between; nothing of it enters a result."""
