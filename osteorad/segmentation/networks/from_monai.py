"""Networks of MONAI (Apache-2.0), with what it takes to use them like ours: one tensor out, no weight held twice.

Loading MONAI takes seconds; only builders of the registry import this module.
"""

from __future__ import annotations

from collections.abc import Sequence

from monai.networks.nets import AttentionUnet, BasicUNet, BasicUNetPlusPlus, DynUNet
from torch import Tensor, nn


def basic_unet(channels: int, labels: int, *, features: Sequence[int], dropout: float) -> nn.Module:
    """U-Net of four halvings; features : five levels, then the maps before the head."""
    return BasicUNet(2, channels, labels, features=tuple(features), dropout=dropout)


def attention_unet(channels: int, labels: int, *, features: Sequence[int], dropout: float) -> nn.Module:
    """U-Net with attention gates on its skips; features : maps of each level."""
    strides = (2,) * (len(features) - 1)
    return AttentionUnet(2, channels, labels, channels=tuple(features), strides=strides, dropout=dropout)


class UnetPlusPlus(nn.Module):
    """Nested U-Net of four halvings; MONAI gives a list of outputs, without deep supervision a list of one.

    features : five levels, then the maps before the head. MONAI makes heads for deep supervision in any case; they
    stand among the weights and are never used.
    """

    def __init__(self, channels: int, labels: int, *, features: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.grid = BasicUNetPlusPlus(2, channels, labels, features=tuple(features), dropout=dropout)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (batch, labels, i, j)."""
        logits: Tensor = self.grid(images)[0]
        return logits


class DynUnet(nn.Module):
    """The U-Net of nnU-Net in 3D, 3 x 3 x 3 kernels, each level halving all edges; features : maps of each level.

    MONAI's class holds each block twice, by name and in a chain of skip layers, so that its weights cannot be written
    to safetensors. Here its blocks are taken over and run in the same order. Where there is dropout, its head drops
    logits; ours does not.
    """

    def __init__(self, channels: int, labels: int, *, features: Sequence[int], dropout: float) -> None:
        super().__init__()
        halvings = (2,) * (len(features) - 1)
        whole = DynUNet(
            3,
            channels,
            labels,
            kernel_size=(3,) * len(features),
            strides=(1, *halvings),
            upsample_kernel_size=halvings,
            filters=tuple(features),
            dropout=dropout or None,
        )
        self.down = nn.ModuleList([whole.input_block, *whole.downsamples])
        self.bottleneck = whole.bottleneck
        self.up = whole.upsamples
        self.head = whole.output_block.conv.conv

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (batch, labels, i, j, k)."""
        rows: list[Tensor] = []
        maps = images
        for block in self.down:
            maps = block(maps)
            rows.append(maps)
        maps = self.bottleneck(maps)
        for block, row in zip(self.up, reversed(rows), strict=True):
            maps = block(maps, row)
        logits: Tensor = self.head(maps)
        return logits
