"""What training minimises: cross-entropy with soft Dice for one head, two binary cross-entropies for two.

Targets are labels, shape (batch, *spatial): 0 background, 1 bone, 2 lesion, 255 not known. Voxels of 255 enter no sum
and get no gradient. Sums are taken in float32 whatever the logits are. Labels are compared, never used as an index:
cross-entropy by index has no deterministic version on CUDA for images.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal

import torch
from torch import Tensor, nn

from osteorad.errors import ConfigError, unknown_name

BONE, LESION, IGNORE = 1, 2, 255
LossName = Literal["dice-ce", "bce-dual"]
Loss = Callable[..., Tensor]


def dice_ce(
    logits: Tensor, target: Tensor, *, lesion_weight: float = 0.5, dice_weight: float = 1.0, smooth: float = 1.0
) -> Tensor:
    """Cross-entropy over all labels + dice_weight x (1 - soft Dice over foreground labels), a single number.

    logits : (batch, labels, *spatial), background first and the lesion last. target : labels below that number, or 255.
    lesion_weight : share of the last label in the Dice term, 0 to 1; the other foreground labels divide the rest
        evenly. With one foreground label it has no effect.
    smooth : voxels added to both sides of the Dice fraction, so that a batch without lesion has a finite gradient.
    Dice is taken over the batch, not a slice: most slices hold no lesion, and theirs would be noise.
    Raises ValueError for other shapes or labels. Formula: Milletari 2016, arXiv 1606.04797, without the squares.
    """
    labels = logits.shape[1]
    known = _known(logits, target, labels)
    hot = target[:, None] == torch.arange(labels, device=target.device).view(1, -1, *(1,) * (target.ndim - 1))
    hot = hot.to(torch.float32)
    logarithms = torch.log_softmax(logits.float(), dim=1)
    entropy = -(hot * logarithms).sum() / known.sum().clamp(min=1)

    axes = [axis for axis in range(logits.ndim) if axis != 1]
    found = logarithms.exp() * known[:, None]
    both, either = (found * hot).sum(axes), (found + hot).sum(axes)
    missed = 1 - (2 * both + smooth) / (either + smooth)
    return entropy + dice_weight * (missed[1:] * _shares(labels - 1, lesion_weight, missed.device)).sum()


def dual_bce(logits: Tensor, target: Tensor, *, lesion_share: float = 0.7, bone_share: float = 0.3) -> Tensor:
    """lesion_share x binary cross-entropy of the lesion + bone_share x that of bone, a single number.

    logits : (batch, 2, *spatial), lesion then bone. target : 0, 1, 2 or 255.
    A lesion voxel is a positive of the bone head, too: a metastasis lies in bone, and labels only hide that, since each
    voxel has one. Otherwise the bone head would have to find lesions in order to leave them out, and a gate made of it
    would cut away what is looked for.
    Raises ValueError for other shapes or labels. Source: Afnouch 2023, doi 10.1016/j.eswa.2023.120376.
    """
    if logits.shape[1] != 2:
        raise ValueError(f"two heads are wanted, lesion and bone; the logits have {logits.shape[1]} channels")
    known = _known(logits, target, LESION + 1)
    lesion = target == LESION
    wanted = torch.stack([lesion, lesion | (target == BONE)], dim=1).to(torch.float32)
    each = nn.functional.binary_cross_entropy_with_logits(logits.float(), wanted, reduction="none") * known[:, None]
    of_lesion, of_bone = each[:, 0].sum(), each[:, 1].sum()
    return (lesion_share * of_lesion + bone_share * of_bone) / known.sum().clamp(min=1)


LOSSES: Mapping[str, Loss] = {"dice-ce": dice_ce, "bce-dual": dual_bce}
HEADS: Mapping[str, Literal["one", "two"]] = {"dice-ce": "one", "bce-dual": "two"}  # of the networks that it can train


def loss_of(name: LossName, where: str = "segmentation.loss") -> Loss:
    """The loss of a name, called with (logits, target); raises ConfigError with the nearest valid name."""
    if name not in LOSSES:
        raise ConfigError(unknown_name("loss", name, LOSSES, where))
    return LOSSES[name]


def _known(logits: Tensor, target: Tensor, labels: int) -> Tensor:
    """Where the target is known, as float32; raises ValueError where target and logits do not belong together."""
    if target.shape != (logits.shape[0], *logits.shape[2:]):
        raise ValueError(f"logits {tuple(logits.shape)} and labels {tuple(target.shape)} differ in shape")
    known = target != IGNORE
    if bool((known & (target >= labels)).any()):
        raise ValueError(f"a label is {int(target[known].max())}; the highest possible is {labels - 1}")
    return known.to(torch.float32)


def _shares(foreground: int, lesion_weight: float, device: torch.device) -> Tensor:
    """Weight of each foreground label; they add to 1."""
    if foreground == 1:
        return torch.ones(1, device=device)
    rest = (1 - lesion_weight) / (foreground - 1)
    return torch.tensor([rest] * (foreground - 1) + [lesion_weight], device=device)
