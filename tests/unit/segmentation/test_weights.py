"""A trained network as files."""

from __future__ import annotations

import pytest
import torch

from osteorad.errors import UserError
from osteorad.files import read_json
from osteorad.segmentation.networks.registry import build
from osteorad.segmentation.weights import load_network, seen_patients, write_network
from tests.unit.segmentation.training_toy import toy_plan

PLAN = toy_plan()
RECORD = {"plan": PLAN.plain(), "patients_trained": ["a"], "patients_validation": ["b"]}


@pytest.fixture
def module():
    torch.manual_seed(3)
    return build(PLAN.network, channels=1, labels=2, settings=dict(PLAN.network_settings))


def test_a_network_draws_the_same_after_a_round_through_its_files(module, tmp_path):
    write_network(tmp_path, module.state_dict(), RECORD)
    again, plan, record = load_network(tmp_path)
    images = torch.randn(2, 1, 8, 8)
    assert torch.equal(again(images), module.eval()(images))
    assert not again.training
    assert not any(weight.requires_grad for weight in again.parameters())
    assert plan == PLAN
    assert seen_patients(record) == {"a", "b"}


def test_the_same_weights_give_the_same_bytes_in_any_order(module, tmp_path):
    state = module.state_dict()
    for name, weights in (("one", state), ("two", dict(reversed(list(state.items()))))):
        write_network(tmp_path / name, weights, RECORD)
    assert (tmp_path / "one/weights.safetensors").read_bytes() == (tmp_path / "two/weights.safetensors").read_bytes()
    assert read_json(tmp_path / "one/network.json") == read_json(tmp_path / "two/network.json")


def test_weights_that_the_record_does_not_name_are_refused(module, tmp_path):
    write_network(tmp_path, module.state_dict(), RECORD)
    path = tmp_path / "weights.safetensors"
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    with pytest.raises(UserError, match=r"its SHA-256 begins with .* network\.json names"):
        load_network(tmp_path)
