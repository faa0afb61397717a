"""The inner validation part: who of the training part chooses the best epoch, and how good a network is there.

Held-out patients have no say. What is measured is cheap, on the plan's grid; masks are drawn and scored elsewhere.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from osteorad.provenance import seed_from
from osteorad.segmentation.cases import LESION, CaseFiles
from osteorad.segmentation.heads import lesion_probability
from osteorad.segmentation.numerics import Machine
from osteorad.segmentation.plan import Plan
from osteorad.segmentation.preprocess import FloatArray, TrainingCase

log = logging.getLogger(__name__)

SLICES = 8  # of a 2D network at a time
EVERY = 8
TILE_STEP = 0.75  # of the patch's edge, at most
Stop = Callable[[], bool]


def validation_patients(cases: Sequence[CaseFiles], share: float, name: str) -> frozenset[str]:
    """Patients set apart to choose the epoch: this share of those with and of those without a lesion, drawn by `name`.

    At least one with a lesion, and at least one such patient is left to learn from; none where that cannot be.
    """
    diseased = sorted({case.patient for case in cases if case.has_lesion})
    healthy = sorted({case.patient for case in cases} - set(diseased))
    if share == 0:
        return frozenset()
    if len(diseased) < 2:
        log.warning("%d training patients with a lesion: none is set apart, the last epoch is taken", len(diseased))
        return frozenset()
    rng = np.random.Generator(np.random.PCG64(seed_from(f"{name}/validation")))
    some = min(max(round(share * len(diseased)), 1), len(diseased) - 1)
    chosen = [diseased[at] for at in rng.permutation(len(diseased))[:some]]
    chosen += [healthy[at] for at in rng.permutation(len(healthy))[: round(share * len(healthy))]]
    return frozenset(chosen)


@dataclass(frozen=True, slots=True, kw_only=True)
class Validation:
    """dice : mean over cases with a lesion. false_ml : mean volume drawn in cases without; None: no such case."""

    dice: float | None
    false_ml: float | None


def validated(
    module: nn.Module, cases: Sequence[TrainingCase], plan: Plan, machine: Machine, stop: Stop
) -> Validation | None:
    """How good the network is on these cases; None where it was asked to stop in between."""
    dice: list[float] = []
    false_ml: list[float] = []
    for case in cases:
        if stop():
            return None
        looked_at = slices_of(case, plan.dimensions)
        drawn = draw_lesions(module, case.array_zyx[looked_at], plan, machine)
        wanted = case.labels_zyx[looked_at] == LESION
        if wanted.any():
            dice.append(2.0 * np.count_nonzero(drawn & wanted) / (np.count_nonzero(drawn) + np.count_nonzero(wanted)))
        else:
            share = drawn.shape[0] / case.array_zyx.shape[0]
            false_ml.append(np.count_nonzero(drawn) * case.grid.voxel_ml / share)
    return Validation(dice=_mean(dice), false_ml=_mean(false_ml))


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def slices_of(case: TrainingCase, dimensions: int) -> NDArray[np.intp]:
    """Slices on which a case is looked at: all for a 3D network, else those with a lesion and some beside them.

    Beside them: half as many, at least one in EVERY, evenly spread. An epoch is chosen by this, nothing is reported.
    """
    every = np.arange(len(case.labels_zyx))
    lesion = (case.labels_zyx == LESION).any(axis=(1, 2))
    if dimensions == 3:
        return every
    others = every[~lesion]
    some = min(max(np.count_nonzero(lesion) // 2, every.size // EVERY, 1), others.size)
    spread = others[np.linspace(0, others.size - 1, some).astype(np.intp)] if some else others
    return np.sort(np.concatenate([every[lesion], spread]))


@torch.no_grad()
def draw_lesions(module: nn.Module, array_zyx: FloatArray, plan: Plan, machine: Machine) -> NDArray[np.bool_]:
    """Voxels whose probability of lesion is over one half, as the mean over windows of the patch's size.

    Windows, not whole slices: instance normalisation takes its mean over what it sees, and in training that is a patch.
    """
    was_training = module.training
    module.eval()
    try:
        if plan.dimensions == 3:
            return _drawn(module, array_zyx[None], plan, machine)[0]
        parts = [array_zyx[first : first + SLICES] for first in range(0, len(array_zyx), SLICES)]
        return np.concatenate([_drawn(module, part, plan, machine) for part in parts])
    finally:
        module.train(was_training)


def _drawn(module: nn.Module, images: FloatArray, plan: Plan, machine: Machine) -> NDArray[np.bool_]:
    """The same of some slices or of one volume, shape (images, *spatial)."""
    shape = images.shape[1:]
    short = [max(edge - size, 0) for edge, size in zip(plan.patch, shape, strict=True)]
    pads = [(0, 0), *((grow // 2, grow - grow // 2) for grow in short)]  # all round, as patches are in training
    padded = np.pad(images, pads, constant_values=plan.lowest)
    total = np.zeros(padded.shape, dtype=np.float32)
    count = np.zeros(padded.shape[1:], dtype=np.float32)
    for window in _windows(padded.shape[1:], plan.patch):
        total[:, *window] += _probability(module, padded[:, None, *window], plan, machine)
        count[window] += 1
    drawn: NDArray[np.bool_] = total > 0.5 * count
    return drawn[:, *(slice(before, before + size) for (before, _), size in zip(pads[1:], shape, strict=True))]


def _windows(shape: Sequence[int], patch: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    starts = []
    for size, edge in zip(shape, patch, strict=True):
        count = int(np.ceil((size - edge) / (TILE_STEP * edge))) + 1
        starts.append(np.rint(np.linspace(0, size - edge, count)).astype(int).tolist())
    for corner in product(*starts):
        yield tuple(slice(first, first + edge) for first, edge in zip(corner, patch, strict=True))


def _probability(module: nn.Module, images: FloatArray, plan: Plan, machine: Machine) -> FloatArray:
    tensor = torch.from_numpy(np.ascontiguousarray(images)).to(machine.device)
    with machine.autocast():
        logits = module(tensor)
    found: FloatArray = lesion_probability(logits, plan).cpu().numpy()
    return found
