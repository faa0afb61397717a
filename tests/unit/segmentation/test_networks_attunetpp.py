"""AttUNet++ and the hybrid: who is joined to whom, what the decoders share, and that gates gate."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.functional import interpolate, max_pool2d

from osteorad.segmentation.networks.attunetpp import AttUnetPlusPlus, Gate, Node
from osteorad.segmentation.networks.registry import build

torch.set_num_threads(1)  # narrow networks: more threads only wait for each other

FEATURES = (4, 6, 8, 10)
LESION, BONE = 0, 1


def hybrid(features=FEATURES, **settings) -> AttUnetPlusPlus:
    """A hybrid whose batch statistics have moved, ready to predict."""
    torch.manual_seed(2)
    network = build("hybrid_attunetpp", channels=1, labels=3, settings={"features": list(features), **settings})
    assert isinstance(network, AttUnetPlusPlus)
    with torch.no_grad():
        network(torch.randn(2, 1, 32, 32) * 2 + 1)
    return network.eval()


def image(edge: int = 32) -> torch.Tensor:
    return torch.randn((1, 1, edge, edge), generator=torch.Generator().manual_seed(4))


def up(maps: torch.Tensor) -> torch.Tensor:
    return interpolate(maps, scale_factor=2, mode="bilinear", align_corners=True)


def test_grid_of_three_rows_equals_its_equations_written_out():
    network = hybrid((4, 6, 8))
    x = image()
    x00 = network.encoder[0](x)
    x10 = network.encoder[1](max_pool2d(x00, 2))
    x20 = network.encoder[2](max_pool2d(x10, 2))
    n01 = network.nodes["0_1"]
    g00 = n01.gate(x00, up(x10))
    x01 = n01.block(torch.cat([g00, up(x10)], dim=1))
    heads = []
    for decoder in network.decoders:
        n11, n02 = decoder.nodes["1_1"], decoder.nodes["0_2"]
        x11 = n11.block(torch.cat([n11.gate(x10, up(x20)), up(x20)], dim=1))
        # the first node enters as node (0, 1) gated it; only its right neighbour gates a node
        x02 = n02.block(torch.cat([g00, n02.gate(x01, up(x11)), up(x11)], dim=1))
        heads.append(decoder.head(x02))
    torch.testing.assert_close(network(x), torch.cat(heads, dim=1), rtol=1e-6, atol=1e-6)


def test_gate_weighs_each_pixel_as_the_formula_says():
    torch.manual_seed(0)
    gate = Gate(maps=3, signal=5).eval()  # fresh statistics: each normalisation only divides by sqrt(1 + 1e-5)
    maps, signal = torch.randn(1, 3, 2, 2), torch.randn(1, 5, 2, 2)
    shrink = (1 + 1e-5) ** -0.5

    def line(part: nn.Module, values: torch.Tensor) -> torch.Tensor:
        convolution = part[0]  # type: ignore[index]
        return shrink * (convolution.weight[:, :, 0, 0] @ values + convolution.bias)

    for i in range(2):
        for j in range(2):
            joined = line(gate.of_maps, maps[0, :, i, j]) + line(gate.of_signal, signal[0, :, i, j])
            weight = torch.sigmoid(line(gate.psi, joined.clamp(min=0)))
            torch.testing.assert_close(gate(maps, signal)[0, :, i, j], maps[0, :, i, j] * weight)


def test_decoders_own_the_last_diagonal_and_share_all_else():
    network = hybrid()
    assert set(network.nodes) == {"0_1", "1_1", "0_2"}
    assert [set(decoder.nodes) for decoder in network.decoders] == [{"2_1", "1_2", "0_3"}] * 2
    own = [{weights.data_ptr() for weights in decoder.parameters()} for decoder in network.decoders]
    assert not own[LESION] & own[BONE]
    logits = network(image())
    assert not torch.allclose(logits[:, LESION], logits[:, BONE], atol=1e-3)


@pytest.mark.parametrize(("head", "other"), [(LESION, BONE), (BONE, LESION)])
def test_loss_of_one_head_reaches_all_shared_nodes_and_none_of_the_other_diagonal(head, other):
    network = hybrid().train()
    network(torch.cat([image(), -image()]))[:, head].square().mean().backward()
    for part in (network.encoder, network.nodes, network.decoders[head]):
        assert all(weights.grad is not None for weights in part.parameters())
        assert all(any(weights.grad.any() for weights in block.parameters()) for block in part.children())
    assert not any(weights.grad.any() for weights in network.decoders[other].parameters() if weights.grad is not None)


def gates_of(part: nn.Module) -> list[Gate]:
    return [node.gate for node in part.modules() if isinstance(node, Node)]


def changed_by_closing(network: AttUnetPlusPlus, gate: Gate) -> list[bool]:
    """Which heads answer otherwise while a gate lets nothing through."""
    with torch.no_grad():
        before = network(image())
        last = gate.psi[1]
        kept = last.bias.clone()
        last.bias.fill_(-100.0)
        after = network(image())
        last.bias.copy_(kept)
    return [not torch.allclose(before[:, head], after[:, head], atol=1e-5) for head in (LESION, BONE)]


def test_every_gate_is_in_the_graph_of_its_heads_and_of_no_other():
    network = hybrid()
    assert [changed_by_closing(network, gate) for gate in gates_of(network.nodes)] == [[True, True]] * 3
    assert [changed_by_closing(network, gate) for gate in gates_of(network.decoders[LESION])] == [[True, False]] * 3
    assert [changed_by_closing(network, gate) for gate in gates_of(network.decoders[BONE])] == [[False, True]] * 3


def test_two_rows_are_enough():
    assert hybrid((4, 8))(image(6)).shape == (1, 2, 6, 6)


def test_bilinear_upsampling_keeps_the_corners_and_transposed_learns():
    ramp = torch.arange(4.0).view(1, 1, 1, 4).expand(1, 10, 4, 4)
    node = hybrid().decoders[0].nodes["2_1"]
    torch.testing.assert_close(node.enlarge(ramp)[0, 0, 0], torch.linspace(0, 3, 8))
    learned = hybrid(upsampling="transposed")
    assert not any(isinstance(part, nn.Upsample) for part in learned.modules())
    added = sum(p.numel() for p in learned.parameters()) - sum(p.numel() for p in hybrid().parameters())
    # one 2 x 2 kernel and a bias a map below each node: shared (0,1) (1,1) (0,2), and thrice for each decoder
    below = [6, 8, 6] + 2 * [10, 8, 6]
    assert added == sum(4 * maps * maps + maps for maps in below)
    assert learned(image()).shape == (1, 2, 32, 32)
