"""The segmentation networks by name: what each is, what a recipe may set, and how it is built.

To add one: write its module, a builder and a line in NETWORKS here, its name in `cohort.config`. torch is loaded when
a network is built, MONAI when one of MONAI's is (seconds), so that names, settings and divisors cost nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal

from osteorad.errors import ConfigError, unknown_name
from osteorad.segmentation.networks.settings import complete

if TYPE_CHECKING:
    from torch import nn

Settings = Mapping[str, Any]
WHERE = "segmentation.network"
TWO_HEADED_LABELS = 3  # background, bone, lesion
MOST_LEVELS = 8


def _features_less_one(settings: Settings) -> int:
    return len(settings["features"]) - 1


def _four(settings: Settings) -> int:
    return 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network that a recipe may name.

    dimensions : of its images, shape (batch, channels, *spatial).
    heads : "one": logits of all labels, background first, shape (batch, labels, *spatial), for a softmax. "two": logits
        of lesion and bone, shape (batch, 2, *spatial), a sigmoid each; a voxel may be both.
    source : where it is described, and what was decided beyond that.
    build : channels and the number of output channels in, then the complete settings as keywords.
    settings : names that a recipe may set, with their defaults; `complete` adds those to what is given.
    widths : least and largest number of entries in `features`.
    levels : number of halvings for complete settings.
    """

    name: str
    dimensions: Literal[2, 3]
    heads: Literal["one", "two"]
    source: str
    build: Callable[..., nn.Module]
    settings: Settings
    widths: tuple[int, int]
    levels: Callable[[Settings], int] = _features_less_one

    def complete(self, settings: Settings | None = None, where: str = WHERE) -> dict[str, Any]:
        """Checked settings with the defaults of those not given; raises ConfigError at `where`."""
        return complete(self.name, self.settings, settings, widths=self.widths, where=where)

    def divisor(self, settings: Settings | None = None) -> tuple[int, ...]:
        """What each edge of a patch must be a multiple of, an entry for each dimension.

        An edge of one divisor alone leaves the deepest level one voxel wide: where all edges are so, a network with
        instance normalisation cannot be trained, as one voxel has no variance. Twice the divisor and more is right.
        """
        return (2 ** self.levels(self.complete(settings)),) * self.dimensions


def network_of(name: str, where: str = WHERE) -> Network:
    """The network of a name; raises ConfigError with the nearest valid one."""
    if name not in NETWORKS:
        raise ConfigError(unknown_name("network", name, NETWORKS, where))
    return NETWORKS[name]


def build(name: str, *, channels: int, labels: int, settings: Settings | None = None, where: str = WHERE) -> nn.Module:
    """A new network with random weights, drawn from torch's global generator: seed that first.

    channels : of the images. labels : background and all others; must be 3 for a network with two heads.
    settings : those that differ from the defaults. where : stands at the head of each problem.
    Raises ConfigError for an unknown name or setting, or a number that does not fit.
    """
    network = network_of(name, where)
    full = network.complete(settings, where)
    if channels < 1:
        raise ConfigError(f"{where}: network '{name}' got {channels} channels; wanted 1 or more.")
    if network.heads == "two" and labels != TWO_HEADED_LABELS:
        wanted = f"{TWO_HEADED_LABELS} (background, bone, lesion), since it has a head for each of the two"
        raise ConfigError(f"{where}: network '{name}' got {labels} labels; wanted {wanted}.")
    if labels < 2:
        raise ConfigError(f"{where}: network '{name}' got {labels} labels; wanted 2 or more, background included.")
    return network.build(channels, 2 if network.heads == "two" else labels, **full)


# --- builders: each loads what it needs, so that the others need not --------------------------------------------------


def _unet2d(channels: int, outputs: int, **settings: Any) -> nn.Module:
    from osteorad.segmentation.networks.unet2d import Unet2d

    return Unet2d(channels, outputs, **settings)


def _attunetpp(channels: int, outputs: int, **settings: Any) -> nn.Module:
    from osteorad.segmentation.networks.attunetpp import AttUnetPlusPlus

    return AttUnetPlusPlus(channels, (outputs,), **settings)


def _hybrid_attunetpp(channels: int, outputs: int, **settings: Any) -> nn.Module:
    from osteorad.segmentation.networks.attunetpp import AttUnetPlusPlus

    return AttUnetPlusPlus(channels, (1,) * outputs, **settings)


def _basic_unet(channels: int, outputs: int, **settings: Any) -> nn.Module:
    from osteorad.segmentation.networks.from_monai import basic_unet

    return basic_unet(channels, outputs, **settings)


def _attention_unet(channels: int, outputs: int, **settings: Any) -> nn.Module:
    from osteorad.segmentation.networks.from_monai import attention_unet

    return attention_unet(channels, outputs, **settings)


def _unet_plus_plus(channels: int, outputs: int, **settings: Any) -> nn.Module:
    from osteorad.segmentation.networks.from_monai import UnetPlusPlus

    return UnetPlusPlus(channels, outputs, **settings)


def _dynunet3d(channels: int, outputs: int, **settings: Any) -> nn.Module:
    from osteorad.segmentation.networks.from_monai import DynUnet

    return DynUnet(channels, outputs, **settings)


def _settings(features: tuple[int, ...], **others: Any) -> Settings:
    return MappingProxyType({"features": features, **others})


ATTUNETPP = (
    "Afnouch 2023, Expert Syst Appl, doi 10.1016/j.eswa.2023.120376; what the text leaves open as in its public code"
)

_ALL = (
    Network(
        name="unet2d_tiny",
        dimensions=2,
        heads="one",
        source="Own: Ronneberger 2015, arXiv 1505.04597, with instance normalisation and padded convolutions",
        build=_unet2d,
        settings=_settings((8, 16, 32, 64), dropout=0.0),
        widths=(2, MOST_LEVELS),
    ),
    Network(
        name="unet2d_basic",
        dimensions=2,
        heads="one",
        source="Falk 2019, doi 10.1038/s41592-018-0261-2; MONAI BasicUNet",
        build=_basic_unet,
        settings=_settings((32, 32, 64, 128, 256, 32), dropout=0.0),
        widths=(6, 6),
        levels=_four,
    ),
    Network(
        name="attunet2d",
        dimensions=2,
        heads="one",
        source="Oktay 2018, arXiv 1804.03999; MONAI AttentionUnet",
        build=_attention_unet,
        settings=_settings((32, 64, 128, 256, 512), dropout=0.0),
        widths=(2, MOST_LEVELS),
    ),
    Network(
        name="unetpp2d",
        dimensions=2,
        heads="one",
        source="Zhou 2018, arXiv 1807.10165; MONAI BasicUNetPlusPlus without deep supervision",
        build=_unet_plus_plus,
        settings=_settings((32, 32, 64, 128, 256, 32), dropout=0.0),
        widths=(6, 6),
        levels=_four,
    ),
    Network(
        name="attunetpp2d",
        dimensions=2,
        heads="one",
        source=f"AttUNet++ with residual blocks and batch normalisation: one decoder of EH-AttUnet++, {ATTUNETPP}",
        build=_attunetpp,
        settings=_settings((32, 64, 128, 256, 512), upsampling="bilinear"),
        widths=(2, MOST_LEVELS),
    ),
    Network(
        name="hybrid_attunetpp",
        dimensions=2,
        heads="two",
        source=f"Hybrid-AttUnet++: {ATTUNETPP}",
        build=_hybrid_attunetpp,
        settings=_settings((32, 64, 128, 256, 512), upsampling="bilinear"),
        widths=(2, MOST_LEVELS),
    ),
    Network(
        name="dynunet3d_small",
        dimensions=3,
        heads="one",
        source="Isensee 2021, doi 10.1038/s41592-020-01008-z, at a sixth of its width or less; MONAI DynUNet",
        build=_dynunet3d,
        settings=_settings((16, 32, 64, 128), dropout=0.0),
        widths=(3, MOST_LEVELS),
    ),
    Network(
        name="dynunet3d",
        dimensions=3,
        heads="one",
        source="Isensee 2021, doi 10.1038/s41592-020-01008-z; MONAI DynUNet",
        build=_dynunet3d,
        settings=_settings((32, 64, 128, 256, 320), dropout=0.0),
        widths=(3, MOST_LEVELS),
    ),
)
NETWORKS: dict[str, Network] = {network.name: network for network in _ALL}
