"""How much memory a step of training takes, from the network itself: what it keeps for its gradient is counted.

Networks are run on torch's meta device, which knows shapes and holds no values: this costs no memory and little time.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from osteorad.segmentation.networks.registry import build

BESIDE = 2.0  # gradients of feature maps and working space of convolutions, as a multiple of the maps that are kept
STATES = 5  # weights, gradients, two moments, best weights
FLOAT = 4  # bytes


def training_bytes(
    network: str, settings: Mapping[str, Any], *, channels: int, labels: int, patch: Sequence[int], batch: int
) -> float:
    """Bytes that a step of training takes: feature maps kept for the gradient, what stands beside them, weights."""
    kept, weights = _kept_bytes(network, settings, channels=channels, labels=labels, patch=patch)
    return batch * BESIDE * kept + STATES * weights


def _kept_bytes(
    network: str, settings: Mapping[str, Any], *, channels: int, labels: int, patch: Sequence[int]
) -> tuple[float, float]:
    """Bytes of feature maps kept for one patch, and bytes of weights."""
    with torch.device("meta"):
        module = build(network, channels=channels, labels=labels, settings=dict(settings))
        image = torch.zeros((1, channels, *patch))
    own = {weight.untyped_storage()._cdata for weight in module.parameters()}
    seen: dict[int, int] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in own:
            seen[storage._cdata] = storage.nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        logits = module(image)
    del logits
    return float(sum(seen.values())), float(sum(weight.numel() * FLOAT for weight in module.parameters()))
