"""Names in the settings are those of the room's registries."""

from __future__ import annotations

import typing

from osteorad.cohort import segmentation
from osteorad.cohort.load_networks import TWO_DECODERS
from osteorad.segmentation import losses
from osteorad.segmentation.networks.registry import NETWORKS


def test_networks_of_the_settings_are_those_of_the_registry():
    registered = {name: tuple(network.settings) for name, network in NETWORKS.items()}
    assert registered == segmentation.NETWORK_SETTINGS
    assert {name for name in segmentation.NETWORKS if NETWORKS[name].heads == "two"} == set(TWO_DECODERS)


def test_losses_of_the_settings_are_those_of_the_room():
    named = typing.get_args(segmentation.NetworkSettings.model_fields["loss"].annotation)
    assert set(named) == set(losses.LOSSES)
