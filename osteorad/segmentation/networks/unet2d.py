"""A plain 2D U-Net with instance normalisation, small enough to be trained on a CPU in a minute."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

SLOPE = 0.01  # of the leaky ReLU


def _block(entering: int, leaving: int, dropout: float) -> nn.Sequential:
    """Two 3 x 3 convolutions, each normalised and activated, then dropout of whole feature maps.

    Whole maps, since a dropped pixel would be told by its neighbours. The convolutions have no bias: the
    normalisation would take it away again.
    """
    layers: list[nn.Module] = []
    for maps in (entering, leaving):
        layers += [
            nn.Conv2d(maps, leaving, kernel_size=3, padding=1, bias=False),
            nn.InstanceNorm2d(leaving, affine=True),
            nn.LeakyReLU(SLOPE, inplace=True),
        ]
    return nn.Sequential(*layers, nn.Dropout2d(dropout))


class Unet2d(nn.Module):
    """U-Net: max pooling down, transposed convolutions up (they have a deterministic gradient on any device).

    channels, labels : of the images and of the logits. features : maps of each level, the finest first.
    Edges must be multiples of 2 to the number of levels less one.
    """

    def __init__(self, channels: int, labels: int, *, features: Sequence[int], dropout: float = 0.0) -> None:
        super().__init__()
        levels = list(features)
        entering = [channels, *levels[:-1]]
        self.down = nn.ModuleList(_block(a, b, dropout) for a, b in zip(entering, levels, strict=True))
        pairs = list(zip(levels[1:], levels[:-1], strict=True))  # deeper, finer
        self.widen = nn.ModuleList(nn.ConvTranspose2d(deep, fine, kernel_size=2, stride=2) for deep, fine in pairs)
        self.up = nn.ModuleList(_block(2 * fine, fine, dropout) for _, fine in pairs)
        self.head = nn.Conv2d(levels[0], labels, kernel_size=1)

    def forward(self, images: Tensor) -> Tensor:
        """Logits, shape (batch, labels, i, j), of images, shape (batch, channels, i, j)."""
        rows: list[Tensor] = []
        maps = images
        for level, block in enumerate(self.down):
            maps = block(maps if level == 0 else nn.functional.max_pool2d(maps, 2))
            rows.append(maps)
        for level in reversed(range(len(self.up))):
            maps = self.up[level](torch.cat([rows[level], self.widen[level](maps)], dim=1))
        logits: Tensor = self.head(maps)
        return logits
