"""A trained network as files: `weights.safetensors`, and `network.json`, which says what it is and whom it has seen.

The record knows no time, no host and no past: on a CPU two trainings give the same bytes, resumed or not.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import safetensors.torch
from torch import Tensor, nn

from osteorad.errors import UserError
from osteorad.files import read_json, write_bytes, write_json
from osteorad.provenance import sha256_bytes
from osteorad.segmentation.networks.registry import build
from osteorad.segmentation.plan import Plan, plan_of

RECORD, WEIGHTS = "network.json", "weights.safetensors"


def write_network(folder: Path, weights: Mapping[str, Tensor], record: Mapping[str, Any]) -> None:
    """Write the weights and, last, `network.json`: the record with the SHA-256 of the weights."""
    content = safetensors.torch.save({name: value.contiguous() for name, value in sorted(weights.items())})
    write_bytes(folder / WEIGHTS, content)
    write_json(folder / RECORD, {**record, "sha256": sha256_bytes(content)})


def load_network(folder: Path) -> tuple[nn.Module, Plan, dict[str, Any]]:
    """A trained network on the CPU, ready to draw, with its plan and its record.

    Raises UserError where the weights are not those that the record names.
    """
    record = read_json(folder / RECORD)
    content = (folder / WEIGHTS).read_bytes()
    if (found := sha256_bytes(content)) != record["sha256"]:
        raise UserError(
            f"{folder / WEIGHTS}: its SHA-256 begins with {found[:12]}; network.json names {record['sha256'][:12]}. "
            f"Delete {folder / RECORD} to train the network again."
        )
    plan = plan_of(record["plan"])
    module = build(plan.network, channels=plan.channels, labels=plan.labels, settings=dict(plan.network_settings))
    module.load_state_dict(safetensors.torch.load(content))
    return module.eval().requires_grad_(False), plan, record


def seen_patients(record: Mapping[str, Any]) -> frozenset[str]:
    """Patients that a network has seen: those that it learned from, and those that chose its epoch."""
    return frozenset(record["patients_trained"]) | frozenset(record["patients_validation"])
