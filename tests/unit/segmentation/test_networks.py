"""What every network of the registry does, each as narrow as it can be."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import nn

from osteorad.segmentation.losses import loss_of
from osteorad.segmentation.networks.registry import NETWORKS, build

torch.set_num_threads(1)  # narrow networks: more threads only wait for each other

SIX = [4, 4, 4, 4, 4, 4]
NARROW: dict[str, dict[str, Any]] = {
    "unet2d_tiny": {"features": [4, 6, 8]},
    "unet2d_basic": {"features": SIX},
    "attunet2d": {"features": [4, 6, 8]},
    "unetpp2d": {"features": SIX},
    "attunetpp2d": {"features": [4, 6, 8, 10]},
    "hybrid_attunetpp": {"features": [4, 6, 8, 10]},
    "dynunet3d_small": {"features": [4, 6, 8]},
    "dynunet3d": {"features": [4, 6, 8, 10]},
}
DROPPING = sorted(name for name, network in NETWORKS.items() if "dropout" in network.settings)
every_network = pytest.mark.parametrize("name", sorted(NETWORKS))


def narrow(name: str, *, seed: int = 0, labels: int = 3, channels: int = 1, **settings: Any) -> nn.Module:
    torch.manual_seed(seed)
    return build(name, channels=channels, labels=labels, settings=NARROW[name] | settings)


def images_for(name: str, *, batch: int = 3, channels: int = 1) -> torch.Tensor:
    """Noise, twice the divisor wide and three times as long."""
    edges = [edge * (2 + axis % 2) for axis, edge in enumerate(NETWORKS[name].divisor(NARROW[name]))]
    return torch.randn((batch, channels, *edges), generator=torch.Generator().manual_seed(3))


def trained(name: str) -> nn.Module:
    """A network whose running statistics have moved, ready to predict."""
    network = narrow(name)
    with torch.no_grad():
        network(images_for(name) * 3 + 1)
    return network.eval()


@every_network
@pytest.mark.parametrize(("batch", "channels"), [(1, 1), (3, 2)])
def test_logits_have_a_channel_for_each_output_and_the_edges_of_the_image(name, batch, channels):
    images = images_for(name, batch=batch, channels=channels)
    outputs = 2 if NETWORKS[name].heads == "two" else 3
    assert narrow(name, channels=channels)(images).shape == (batch, outputs, *images.shape[2:])


@pytest.mark.parametrize("name", [name for name in sorted(NETWORKS) if NETWORKS[name].heads == "one"])
def test_two_labels_give_two_logits(name):
    assert narrow(name, labels=2).eval()(images_for(name, batch=1)).shape[1] == 2


@every_network
def test_prediction_of_an_image_does_not_depend_on_those_beside_it(name):
    network, images = trained(name), images_for(name)
    with torch.no_grad():
        together = network(images)
        alone = torch.cat([network(image[None]) for image in images])
    torch.testing.assert_close(together, alone, rtol=1e-5, atol=1e-5)
    assert float(together.std()) > 1e-3


@every_network
def test_weights_come_from_the_seed_alone(name):
    first, second, other = (narrow(name, seed=seed).state_dict() for seed in (7, 7, 8))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert not all(torch.equal(first[key], other[key]) for key in first)


@every_network
def test_weights_survive_safetensors_and_none_is_held_twice(name):
    network = trained(name)
    states = network.state_dict()
    held = [tensor.data_ptr() for tensor in states.values() if tensor.numel()]
    assert len(set(held)) == len(held)
    copy = narrow(name, seed=99).eval()
    copy.load_state_dict(load(save(states)))
    images = images_for(name, batch=1)
    assert torch.equal(copy(images), network(images))


@every_network
def test_every_weight_learns_but_for_heads_that_monai_keeps_in_reserve(name):
    network = narrow(name)
    images = images_for(name)
    target = torch.randint(0, 3, (images.shape[0], *images.shape[2:]), generator=torch.Generator().manual_seed(1))
    loss_of("bce-dual" if NETWORKS[name].heads == "two" else "dice-ce")(network(images), target).backward()
    still = {key for key, weights in network.named_parameters() if weights.grad is None}
    reserve = {f"grid.final_conv_0_{k}.{part}" for k in (1, 2, 3) for part in ("weight", "bias")}
    assert still == (reserve if name == "unetpp2d" else set())
    assert all(torch.isfinite(weights.grad).all() for weights in network.parameters() if weights.grad is not None)


@every_network
def test_gradient_is_the_same_twice_in_deterministic_mode(name):
    def gradients() -> list[torch.Tensor]:
        network = narrow(name)
        network(images_for(name)).square().mean().backward()
        return [weights.grad for weights in network.parameters() if weights.grad is not None]

    torch.use_deterministic_algorithms(True)
    try:
        assert all(torch.equal(a, b) for a, b in zip(gradients(), gradients(), strict=True))
    finally:
        torch.use_deterministic_algorithms(False)


@pytest.mark.parametrize("name", DROPPING)
def test_dropout_acts_in_training_only_and_not_by_default(name):
    images = images_for(name, batch=1)
    with torch.no_grad():
        plain = narrow(name)
        assert torch.equal(plain(images), plain(images))
        dropping = narrow(name, dropout=0.5)
        first, second = dropping(images), dropping(images)
        assert not torch.allclose(first, second, atol=1e-3)
        dropping.eval()
        assert torch.equal(dropping(images), dropping(images))
    assert plain.state_dict().keys() == dropping.state_dict().keys()


@pytest.mark.parametrize("name", DROPPING)
def test_dropout_leaves_no_hole_in_the_logits(name):
    with torch.no_grad():
        assert int((narrow(name, dropout=0.5)(images_for(name)) == 0).sum()) == 0
