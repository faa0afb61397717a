"""The small U-Net: who is joined to whom."""

from __future__ import annotations

import torch
from torch.nn.functional import conv2d, conv_transpose2d, instance_norm, leaky_relu, max_pool2d

from osteorad.segmentation.networks.unet2d import Unet2d

torch.set_num_threads(1)  # narrow networks: more threads only wait for each other


def test_three_levels_equal_their_equations_written_out():
    torch.manual_seed(6)
    network = Unet2d(2, 3, features=(4, 6, 8))
    with torch.no_grad():
        for weights in network.parameters():  # scales and shifts of the normalisation start as 1 and 0
            weights.add_(torch.randn_like(weights) * 0.1)

    def block(layers: torch.nn.Module, maps: torch.Tensor) -> torch.Tensor:
        for first in (0, 3):
            maps = conv2d(maps, layers[first].weight, padding=1)
            maps = instance_norm(maps, weight=layers[first + 1].weight, bias=layers[first + 1].bias)
            maps = leaky_relu(maps, 0.01)
        return maps

    def up(level: int, maps: torch.Tensor) -> torch.Tensor:
        return conv_transpose2d(maps, network.widen[level].weight, network.widen[level].bias, stride=2)

    images = torch.randn(2, 2, 8, 12)
    fine = block(network.down[0], images)
    middle = block(network.down[1], max_pool2d(fine, 2))
    deep = block(network.down[2], max_pool2d(middle, 2))
    back = block(network.up[1], torch.cat([middle, up(1, deep)], dim=1))
    last = block(network.up[0], torch.cat([fine, up(0, back)], dim=1))
    want = conv2d(last, network.head.weight, network.head.bias)
    torch.testing.assert_close(network(images), want, rtol=1e-5, atol=1e-5)
