"""AttUNet++ and Hybrid-AttUnet++: a nested U-Net of residual blocks with attention gates and one decoder or more.

Node (i, j) stands in row i (0 is full resolution) and column j; row i has features[i] maps. Column 0 is the encoder.
Written after Afnouch 2023 (Expert Syst Appl, doi 10.1016/j.eswa.2023.120376); the public code of the paper settles what
the text leaves open: up-sampling with aligned corners, convolutions with bias but for the skip branch, gates as wide as
their row, and that a node is gated once, by the node right of it, and enters all nodes further right so gated.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

Place = tuple[int, int]  # row, column
Grid = dict[Place, Tensor]


class ResidualBlock(nn.Module):
    """Two 3 x 3 convolutions and, beside them, one of 1 x 1, each normalised and rectified; then added."""

    def __init__(self, entering: int, leaving: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(entering, leaving, kernel_size=3, padding=1),
            nn.BatchNorm2d(leaving),
            nn.ReLU(inplace=True),
            nn.Conv2d(leaving, leaving, kernel_size=3, padding=1),
            nn.BatchNorm2d(leaving),
            nn.ReLU(inplace=True),
        )
        self.skip = nn.Sequential(
            nn.Conv2d(entering, leaving, kernel_size=1, bias=False), nn.BatchNorm2d(leaving), nn.ReLU(inplace=True)
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Maps of the same edges."""
        summed: Tensor = self.body(maps) + self.skip(maps)
        return summed


class Gate(nn.Module):
    """Additive attention: maps times sigmoid(psi(ReLU(Wx maps + Wg signal))), one weight a pixel (Oktay 2018)."""

    def __init__(self, maps: int, signal: int) -> None:
        super().__init__()
        self.of_maps = nn.Sequential(nn.Conv2d(maps, maps, kernel_size=1), nn.BatchNorm2d(maps))
        self.of_signal = nn.Sequential(nn.Conv2d(signal, maps, kernel_size=1), nn.BatchNorm2d(maps))
        self.psi = nn.Sequential(nn.Conv2d(maps, 1, kernel_size=1), nn.BatchNorm2d(1), nn.Sigmoid())

    def forward(self, maps: Tensor, signal: Tensor) -> Tensor:
        """The maps, weighted; signal : the row below, brought to the same edges."""
        weight: Tensor = self.psi(torch.relu(self.of_maps(maps) + self.of_signal(signal)))
        return maps * weight


class Node(nn.Module):
    """A nested node: brings the row below up, gates its left neighbour with it, joins all, and blends them."""

    def __init__(self, *, row: int, below: int, column: int, upsampling: str) -> None:
        super().__init__()
        self.enlarge: nn.Module = (
            nn.Upsample(scale_factor=2, mode="bilinear", align_corners=True)
            if upsampling == "bilinear"
            else nn.ConvTranspose2d(below, below, kernel_size=2, stride=2)
        )
        self.gate = Gate(row, below)
        self.block = ResidualBlock(row * column + below, row)

    def forward(self, gated: Sequence[Tensor], left: Tensor, below: Tensor) -> tuple[Tensor, Tensor]:
        """Maps of this node, and its left neighbour as gated here.

        gated : the nodes of the row before the left neighbour, each as its own right neighbour gated it.
        """
        signal = self.enlarge(below)
        weighted = self.gate(left, signal)
        return self.block(torch.cat([*gated, weighted, signal], dim=1)), weighted


def _key(place: Place) -> str:
    return f"{place[0]}_{place[1]}"


def _nodes(places: Sequence[Place], features: Sequence[int], upsampling: str) -> nn.ModuleDict:
    return nn.ModuleDict(
        {
            _key((row, column)): Node(row=features[row], below=features[row + 1], column=column, upsampling=upsampling)
            for row, column in places
        }
    )


def _grow(node: nn.Module, nodes: Grid, gated: Grid, place: Place) -> None:
    """Put a node on the grid, and its left neighbour among the gated."""
    row, column = place
    before = [gated[row, k] for k in range(column - 1)]
    nodes[place], gated[row, column - 1] = node(before, nodes[row, column - 1], nodes[row + 1, column - 1])


class Decoder(nn.Module):
    """The last diagonal of the grid, from the deepest row up, and a head on its end.

    features : maps of each row of the whole grid. outputs : channels of the logits.
    """

    def __init__(self, outputs: int, *, features: Sequence[int], upsampling: str) -> None:
        super().__init__()
        deepest = len(features) - 1
        self.places = [(deepest - column, column) for column in range(1, deepest + 1)]
        self.nodes = _nodes(self.places, features, upsampling)
        self.head = nn.Conv2d(features[0], outputs, kernel_size=1)

    def forward(self, nodes: Grid, gated: Grid) -> Tensor:
        """Logits; nodes, gated : the shared part of the grid, left as it is."""
        nodes, gated = dict(nodes), dict(gated)
        for place in self.places:
            _grow(self.nodes[_key(place)], nodes, gated, place)
        logits: Tensor = self.head(nodes[self.places[-1]])
        return logits


class AttUnetPlusPlus(nn.Module):
    """Nested U-Net with attention gates; its decoders share every node but those of the last diagonal.

    channels : of the images. heads : output channels of each decoder; (labels,) is AttUNet++, (1, 1) is the hybrid with
    lesion first and bone second. features : maps of each row, the finest first.
    upsampling : "bilinear" as published, of which torch takes a slow version on a GPU in deterministic mode;
        "transposed" learns it.
    """

    def __init__(
        self, channels: int, heads: Sequence[int], *, features: Sequence[int], upsampling: str = "bilinear"
    ) -> None:
        super().__init__()
        entering = [channels, *features[:-1]]
        self.encoder = nn.ModuleList(ResidualBlock(a, b) for a, b in zip(entering, features, strict=True))
        # diagonal by diagonal, so that each node comes after those that it needs
        self.places = [(d - column, column) for d in range(1, len(features) - 1) for column in range(1, d + 1)]
        self.nodes = _nodes(self.places, features, upsampling)
        self.decoders = nn.ModuleList(Decoder(outputs, features=features, upsampling=upsampling) for outputs in heads)

    def forward(self, images: Tensor) -> Tensor:
        """Logits of all heads one after the other, shape (batch, sum of heads, i, j).

        images : shape (batch, channels, i, j); edges are multiples of 2 to the number of rows less one.
        """
        nodes, gated = self._encode(images), Grid()
        for place in self.places:
            _grow(self.nodes[_key(place)], nodes, gated, place)
        return torch.cat([decoder(nodes, gated) for decoder in self.decoders], dim=1)

    def _encode(self, images: Tensor) -> Grid:
        """The first column of the grid."""
        nodes: Grid = {}
        maps = images
        for row, block in enumerate(self.encoder):
            maps = block(maps if row == 0 else nn.functional.max_pool2d(maps, 2))
            nodes[row, 0] = maps
        return nodes
