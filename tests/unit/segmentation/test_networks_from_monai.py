"""Networks of MONAI answer through our classes as they do by themselves."""

from __future__ import annotations

import pytest
import torch
from monai.networks.nets import BasicUNetPlusPlus, DynUNet

from osteorad.segmentation.networks.from_monai import DynUnet, UnetPlusPlus

torch.set_num_threads(1)  # narrow networks: more threads only wait for each other


@pytest.mark.parametrize("features", [(4, 6, 8), (4, 6, 8, 10)])
def test_dynunet_equals_monai_s_chain_of_skip_layers(features):
    halvings = (2,) * (len(features) - 1)
    torch.manual_seed(5)
    ours = DynUnet(2, 3, features=features, dropout=0.0)
    torch.manual_seed(5)
    kernels, strides = (3,) * len(features), (1, *halvings)
    theirs = DynUNet(3, 2, 3, kernels, strides, halvings, filters=features)
    images = torch.randn(1, 2, 16, 16, 32)
    assert torch.equal(ours(images), theirs(images))


def test_nested_unet_is_monai_s_last_output():
    torch.manual_seed(5)
    ours = UnetPlusPlus(1, 3, features=(4,) * 6, dropout=0.0)
    torch.manual_seed(5)
    theirs = BasicUNetPlusPlus(2, 1, 3, features=(4,) * 6, deep_supervision=True)
    images = torch.randn(2, 1, 32, 32)
    assert torch.equal(ours(images), theirs(images)[-1])
