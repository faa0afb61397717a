"""A network that learns: its weights, its optimiser, where it stands, and everything that a checkpoint holds."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from osteorad.cohort.segmentation import TrainingSettings
from osteorad.provenance import digest, seed_from
from osteorad.segmentation.batches import Batch
from osteorad.segmentation.heads import target_of
from osteorad.segmentation.losses import LossName, loss_of
from osteorad.segmentation.networks.registry import build
from osteorad.segmentation.numerics import Machine
from osteorad.segmentation.plan import Plan
from osteorad.segmentation.schedule import optimiser_of, schedule_of

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


class Training:
    """A network, its optimiser and where it stands; everything that a checkpoint holds."""

    def __init__(self, plan: Plan, settings: TrainingSettings, *, loss: LossName, machine: Machine, name: str) -> None:
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
    def steps_done(self) -> int:
        """Steps of the optimiser from the start of training."""
        return self.progress.epoch * self.settings.steps + self.progress.step

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
