"""The registry of networks: names, settings, published sizes, and what it costs to ask."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from osteorad.errors import ConfigError
from osteorad.segmentation.networks.registry import NETWORKS, build, network_of

ROOT = Path(__file__).resolve().parents[3]
FIVE = (32, 64, 128, 256, 512)


def parameters(network: nn.Module) -> int:
    return sum(weights.numel() for weights in network.parameters())


# Counted from the authors' own code and from MONAI's classes, 3 labels each (two heads of one channel: the hybrid).
PUBLISHED = [
    ("unet2d_tiny", 1, {}, 121_051),
    ("unet2d_tiny", 3, {}, 121_195),
    ("unet2d_tiny", 1, {"features": [16, 32, 64, 128]}, 482_483),
    ("unet2d_basic", 1, {}, 1_978_499),
    ("attunet2d", 1, {}, 7_939_811),
    ("unetpp2d", 1, {}, 2_410_444),
    ("unetpp2d", 1, {"features": [*FIVE, 32]}, 9_119_020),
    ("hybrid_attunetpp", 1, {}, 14_008_716),
    ("hybrid_attunetpp", 3, {}, 14_009_356),
    ("dynunet3d_small", 1, {}, 1_401_187),
    ("dynunet3d", 1, {}, 16_543_683),
]


@pytest.mark.parametrize(("name", "channels", "settings", "want"), PUBLISHED)
def test_network_has_exactly_the_published_number_of_parameters(name, channels, settings, want):
    with torch.device("meta"):
        network = build(name, channels=channels, labels=3, settings=settings)
    assert parameters(network) == want


def test_single_decoder_has_the_published_number_but_for_heads_that_nobody_used():
    # The authors' class counts 10,069,410 with one channel out; three of its four heads (32 weights, 1 bias) are dead.
    # Here it has two labels, so the living head counts twice.
    with torch.device("meta"):
        network = build("attunetpp2d", channels=1, labels=2)
    assert parameters(network) == 10_069_410 - 3 * 33 + 33


@pytest.mark.parametrize("name", sorted(NETWORKS))
def test_entry_states_its_source_and_its_own_name(name):
    network = NETWORKS[name]
    assert network.name == name
    assert len(network.source) > 20
    assert network.dimensions == (3 if "3d" in name else 2)
    assert network.complete() == dict(network.settings)


@pytest.mark.parametrize(
    ("name", "settings", "want"),
    [
        ("unet2d_tiny", None, (8, 8)),
        ("unet2d_tiny", {"features": [8, 16]}, (2, 2)),
        ("unet2d_basic", None, (16, 16)),
        ("unetpp2d", {"features": [4, 4, 4, 4, 4, 4]}, (16, 16)),
        ("attunet2d", None, (16, 16)),
        ("hybrid_attunetpp", None, (16, 16)),
        ("hybrid_attunetpp", {"features": [8, 16, 32, 64]}, (8, 8)),
        ("dynunet3d_small", None, (8, 8, 8)),
        ("dynunet3d", None, (16, 16, 16)),
    ],
)
def test_divisor_is_two_for_each_halving(name, settings, want):
    assert NETWORKS[name].divisor(settings) == want


def test_unknown_name_is_answered_with_the_nearest():
    with pytest.raises(
        ConfigError, match=r"^recipe.yaml:4: unknown network 'unet2d_tny'. Did you mean 'unet2d_tiny'\?"
    ):
        build("unet2d_tny", channels=1, labels=3, where="recipe.yaml:4")
    with pytest.raises(ConfigError, match="Did you mean 'hybrid_attunetpp'"):
        network_of("hybrid_attunet")


def test_all_problems_of_the_settings_are_told_at_once():
    with pytest.raises(ConfigError) as found:
        build("unet2d_tiny", channels=1, labels=3, settings={"feature": [8, 16], "dropout": 1.5, "features": [8]})
    assert len(found.value.problems) == 3
    assert "unknown setting of network 'unet2d_tiny' 'feature'. Did you mean 'features'?" in found.value.problems[0]
    assert "'dropout' of network 'unet2d_tiny' is 1.5; wanted a share from 0 to below 1." in found.value.problems[1]
    assert "'features' of network 'unet2d_tiny' is [8]; wanted a list of 2 to 8" in found.value.problems[2]


@pytest.mark.parametrize(
    ("name", "settings"),
    [
        ("unet2d_basic", {"features": [8, 16, 32, 64]}),
        ("unet2d_tiny", {"features": "8,16"}),
        ("unet2d_tiny", {"features": [8.0, 16]}),
        ("unet2d_tiny", {"features": [True, 16]}),
        ("unet2d_tiny", {"features": [1, 16]}),
        ("unet2d_tiny", {"dropout": True}),
        ("unet2d_tiny", {"dropout": float("nan")}),
        ("unet2d_tiny", {"upsampling": "bilinear"}),
        ("hybrid_attunetpp", {"upsampling": "nearest"}),
        ("hybrid_attunetpp", {"upsampling": ["bilinear"]}),
        ("hybrid_attunetpp", {"dropout": 0.1}),
    ],
)
def test_setting_that_does_not_fit_is_refused(name, settings):
    with pytest.raises(ConfigError):
        build(name, channels=1, labels=3, settings=settings)


@pytest.mark.parametrize(
    ("name", "channels", "labels"),
    [("unet2d_tiny", 0, 3), ("unet2d_tiny", 1, 1), ("hybrid_attunetpp", 1, 2), ("hybrid_attunetpp", 1, 4)],
)
def test_number_of_channels_or_labels_that_does_not_fit_is_refused(name, channels, labels):
    with pytest.raises(ConfigError, match=name):
        build(name, channels=channels, labels=labels)


def loaded_after(code: str) -> set[str]:
    """Modules in memory after a program, in a process of its own."""
    program = f"import sys\n{code}\nprint('|'.join(sys.modules))"
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, env=environment)
    return set(done.stdout.strip().split("|"))


def test_own_networks_load_no_monai_and_names_no_torch():
    begin = "from osteorad.segmentation.networks.registry import NETWORKS, build\n"
    names = loaded_after(begin + "[network.divisor() for network in NETWORKS.values()]")
    assert "torch" not in names
    own = loaded_after(
        begin + "build('unet2d_tiny', channels=1, labels=3)\n"
        "build('hybrid_attunetpp', channels=1, labels=3, settings={'features': [4, 8]})"
    )
    assert "torch" in own
    assert not own & {"monai", "torchvision", "timm"}
