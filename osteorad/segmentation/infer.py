"""Probabilities of lesion and bone from trained networks, slab by slab on the grid of the image.

Every network sees the image at the spacing of its own plan; the probabilities of several are brought to the image's
grid one slab at a time and averaged there. At no time are probabilities of a whole volume held.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from osteorad.cohort.segmentation import TrainingSettings
from osteorad.images.lattice import placement
from osteorad.images.volume import Grid, Volume
from osteorad.segmentation.canonical import canonical_grid, network_grid
from osteorad.segmentation.cases import LESION as LESION_LABEL
from osteorad.segmentation.heads import bone_probability, lesion_probability
from osteorad.segmentation.native import Source, Stream, axes_between, mean_slabs
from osteorad.segmentation.numerics import Machine, machine_of
from osteorad.segmentation.plan import Plan
from osteorad.segmentation.windows import FloatArray, Predict, Read, slide_slices, slide_volume

log = logging.getLogger(__name__)

LESION, BONE = 0, 1  # channels of probabilities; a network that learned no bone has the first alone


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedNetwork:
    """A network with its weights, in evaluation mode; `record` is its network.json."""

    inner_fold: int
    module: torch.nn.Module
    plan: Plan
    record: Mapping[str, Any]

    @property
    def draws_bone(self) -> bool:
        """Whether it learned bone."""
        return self.plan.labels > LESION_LABEL


def machine_for_drawing(settings: TrainingSettings, threads: int) -> Machine:
    """The machine of the settings; where `auto` finds no GPU, the CPU, which for drawing is no hardship."""
    wanted = settings.device
    if wanted == "auto" and not torch.cuda.is_available():
        log.info("no GPU here: the networks draw on the CPU")
        wanted = "cpu"
    return machine_of(settings.model_copy(update={"device": wanted}), threads)


def turned(array_xyz: NDArray[np.generic], grid: Grid) -> NDArray[np.generic]:
    """A view of an array (i, j, k) as networks see it: slices to the head, rows to the back, columns to the left."""
    same = placement(grid, canonical_grid(grid))
    if same is None:
        raise ValueError("a grid that does not lie on its own canonical form")
    flipped = array_xyz[tuple(slice(None, None, sign) for sign in same.signs)]
    return flipped.transpose(np.argsort(same.axes)).transpose(2, 1, 0)


def mean_probabilities(
    volume: Volume, networks: Sequence[TrainedNetwork], machine: Machine, *, overlap: float
) -> Iterator[tuple[int, FloatArray]]:
    """First slice, and mean probabilities (channels LESION and, where learned, BONE; slices, rows, columns).

    On the image's own voxels, in the order of `turned`. ValueError where the image has other units than the networks
    learned from, or where the networks did not learn the same labels.
    """
    if len({network.plan.labels for network in networks}) != 1:
        raise ValueError("networks that learned different labels cannot be averaged")
    streams = [_stream(volume, network, machine, overlap) for network in networks]
    yield from mean_slabs(streams, canonical_grid(volume.grid).shape[2])


def _stream(volume: Volume, network: TrainedNetwork, machine: Machine, overlap: float) -> Stream:
    plan = network.plan
    if volume.units != plan.units:
        raise ValueError(f"the network learned from images in {plan.units}; this one is in {volume.units}")
    own, seen = canonical_grid(volume.grid), network_grid(volume.grid, plan.spacing_mm)
    source = Source(turned(volume.array, volume.grid), axes_between(own, seen))
    found = sliding(_scaled(source, plan), source.shape, predictor(network, machine), plan, overlap=overlap)
    return Stream(found, axes_between(seen, own))


def _scaled(source: Source, plan: Plan) -> Read:
    """Reads slices of the image as the network learned to see them: see `preprocess.scaled`."""

    def read(first: int, last: int) -> FloatArray:
        values = np.clip(source.read(first, last), *plan.window).astype(np.float32, copy=False)
        values -= np.float32(plan.mean)
        values /= np.float32(plan.sd)
        return values

    return read


def sliding(
    read: Read, shape: tuple[int, int, int], predict: Predict, plan: Plan, *, overlap: float
) -> Iterator[FloatArray]:
    """Probabilities (channels, slices, rows, columns) in order.

    read : the image as the network sees it. shape : (slices, rows, columns). Windows have the size of the patch, never
    of a whole slice: instance normalisation takes its mean over what it sees, and in training that was a patch.
    """
    if plan.dimensions == 3:
        depth, height, width = plan.patch
        window = (depth, height, width)
        yield from slide_volume(read, shape, predict, window=window, overlap=overlap, fill=plan.lowest)
        return
    rows, columns = plan.patch
    yield from slide_slices(read, shape, predict, window=(rows, columns), overlap=overlap, fill=plan.lowest)


def predictor(network: TrainedNetwork, machine: Machine) -> Predict:
    """What a network gives for windows (n, *window): probabilities (n, channels, *window), float32."""
    module = network.module.to(machine.device).eval()

    def predict(windows: FloatArray) -> FloatArray:
        with torch.inference_mode(), machine.autocast():
            logits = module(torch.from_numpy(windows[:, None]).to(machine.device))
        bone = bone_probability(logits, network.plan)
        found = [lesion_probability(logits, network.plan)] + ([] if bone is None else [bone])
        return torch.stack(found, dim=1).cpu().numpy()

    return predict
