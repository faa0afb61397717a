"""Invented networks and plans for tests of drawing: what they give for a voxel is known beforehand."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from osteorad.images.volume import Grid, Volume
from osteorad.segmentation.infer import TrainedNetwork
from osteorad.segmentation.numerics import Machine
from osteorad.segmentation.plan import Fingerprint, Plan

CPU = Machine(device=torch.device("cpu"), name="cpu", fallback=False, threads=1, amp="off")
MARKS = Fingerprint(
    cases=4,
    cases_with_lesion=3,
    median_spacing_mm=(1.0, 1.0, 3.0),
    median_shape=(40, 40, 20),
    labelled_percentiles=(-100.0, 1000.0),
    labelled_mean=300.0,
    labelled_sd=200.0,
)


def plan(**more: Any) -> Plan:
    """A plan whose network sees values from -1 (-200 HU) to 1 (1000 HU)."""
    usual: dict[str, Any] = {
        "network": "unet2d_tiny",
        "network_settings": {"features": [4, 8], "dropout": 0.0},
        "dimensions": 2,
        "channels": 1,
        "labels": 3,
        "image": "ct",
        "lesion": "lesion",
        "bone": "bone",
        "units": "HU",
        "spacing_mm": (1.0, 1.0, None),
        "window": (-200.0, 1000.0),
        "mean": 400.0,
        "sd": 600.0,
        "patch": (16, 16),
        "batch": 2,
        "divisor": (2, 2),
        "step_gb": 0.1,
        "fingerprint": MARKS,
    }
    return Plan(**{**usual, **more})


class Constant(nn.Module):
    """The same logits everywhere."""

    def __init__(self, *logits: float) -> None:
        super().__init__()
        self.logits = torch.tensor(logits)

    def forward(self, images: Tensor) -> Tensor:
        shape = (images.shape[0], len(self.logits), *images.shape[2:])
        return self.logits.reshape(1, -1, *(1,) * (images.ndim - 2)).expand(shape)


class Bright(nn.Module):
    """Lesion above 0.5, bone between 0 and 0.5, background below: by the value of the voxel alone."""

    def forward(self, images: Tensor) -> Tensor:
        value = images[:, 0]
        steep = 40.0
        lesion, bone = torch.sigmoid(steep * (value - 0.5)), torch.sigmoid(steep * value)
        shares = torch.stack([1 - bone, bone * (1 - lesion), bone * lesion], dim=1)
        return torch.log(shares.clamp_min(1e-6))


def trained(module: nn.Module, inner_fold: int = 1, **more: Any) -> TrainedNetwork:
    """An invented network under an invented plan."""
    return TrainedNetwork(inner_fold=inner_fold, module=module, plan=plan(**more), record={})


def grid(
    shape: tuple[int, int, int] = (24, 20, 12),
    spacing: tuple[float, float, float] = (0.8, 0.8, 3.0),
    flips: tuple[int, int, int] = (-1, -1, 1),
) -> Grid:
    """A grid whose axes run along the patient's, against RAS where a flip is -1."""
    affine = np.diag([*(step * sign for step, sign in zip(spacing, flips, strict=True)), 1.0])
    affine[:3, 3] = -affine[:3, :3] @ ((np.asarray(shape) - 1) / 2)
    return Grid(shape=shape, affine_ras=affine)


def with_balls(own: Grid, *balls: tuple[tuple[float, float, float], float, float]) -> Volume:
    """A CT of soft tissue (0 HU) with balls: middle (RAS mm), radius in mm, HU."""
    index = np.stack(np.meshgrid(*(np.arange(size) for size in own.shape), indexing="ij"))
    points = np.einsum("ab,bijk->aijk", own.affine_ras[:3, :3], index) + own.affine_ras[:3, 3][:, None, None, None]
    array = np.zeros(own.shape, dtype=np.int16)
    for middle, radius, hu in balls:
        away = sum((points[axis] - middle[axis]) ** 2 for axis in range(3))
        array[away < radius**2] = hu
    return Volume(array=array, grid=own, units="HU")
