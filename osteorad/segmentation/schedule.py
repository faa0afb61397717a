"""Optimiser and course of the learning rate, by the names of the settings; all are torch's own."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial

from torch import nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR, LRScheduler, OneCycleLR

from osteorad.cohort.segmentation import TrainingSettings

MOMENTUM = 0.99  # of sgd, with Nesterov's look ahead, as nnU-Net
POLY_POWER = 0.9
THIRDS = (1.0, 1 / 2, 1 / 10)  # Afnouch 2023: 0.01, 0.005, 0.001, a third of the epochs each


def optimiser_of(settings: TrainingSettings, weights: Iterable[nn.Parameter]) -> Optimizer:
    """The optimiser of the settings for these weights."""
    rate, decay = settings.learning_rate, settings.weight_decay
    if settings.optimiser == "sgd":
        return SGD(weights, lr=rate, momentum=MOMENTUM, nesterov=True, weight_decay=decay)
    if settings.optimiser == "adam":
        return Adam(weights, lr=rate, weight_decay=decay)
    return AdamW(weights, lr=rate, weight_decay=decay)


def schedule_of(settings: TrainingSettings, optimiser: Optimizer) -> LRScheduler:
    """The course of the learning rate over all steps of the settings; it moves on once a step."""
    steps = settings.epochs * settings.steps
    if settings.schedule == "one-cycle":
        return OneCycleLR(optimiser, max_lr=settings.learning_rate, total_steps=steps, cycle_momentum=False)
    shares = {"poly": _poly, "thirds": _thirds, "constant": _constant}
    return LambdaLR(optimiser, partial(shares[settings.schedule], steps=steps))


def _poly(step: int, *, steps: int) -> float:
    return float((1.0 - min(step, steps - 1) / steps) ** POLY_POWER)


def _thirds(step: int, *, steps: int) -> float:
    return THIRDS[min(step * len(THIRDS) // steps, len(THIRDS) - 1)]


def _constant(step: int, *, steps: int) -> float:
    return 1.0
