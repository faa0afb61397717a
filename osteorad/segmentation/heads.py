"""What a network's outputs mean: which channel is lesion and which is bone."""

from __future__ import annotations

import torch
from torch import Tensor

from osteorad.segmentation.cases import IGNORED, LESION
from osteorad.segmentation.networks.registry import network_of
from osteorad.segmentation.plan import Plan


def target_of(labels: Tensor, plan: Plan) -> Tensor:
    """Labels of cases as the loss of the network takes them: without bone a lesion is label 1."""
    if plan.labels > LESION:
        return labels
    return torch.where((labels == LESION), 1, torch.where(labels == IGNORED, IGNORED, 0)).to(torch.uint8)


def lesion_probability(logits: Tensor, plan: Plan) -> Tensor:
    """Probability of lesion, shape (batch, *spatial), float32, of logits (batch, outputs, *spatial)."""
    logits = logits.float()
    if network_of(plan.network).heads == "two":
        return torch.sigmoid(logits[:, 0])
    return torch.softmax(logits, dim=1)[:, -1]


def bone_probability(logits: Tensor, plan: Plan) -> Tensor | None:
    """Probability of bone, lesions in it included, as above; None where the network knows no bone."""
    logits = logits.float()
    if network_of(plan.network).heads == "two":
        return torch.sigmoid(logits[:, 1])
    return 1.0 - torch.softmax(logits, dim=1)[:, 0] if plan.labels > LESION else None
