"""Files of outer folds read again: samples, and who drew the masks that their features come from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from osteorad.cohort.fold_facts import fold_facts
from osteorad.errors import UserError
from osteorad.files import read_json, read_parquet
from osteorad.modelling.learning.drawn import DrawnPatient, FoldMasks, Network
from osteorad.provenance import sha256_file

Record = Mapping[str, Any]
Place = tuple[int, int, str]  # repeat, fold, network


def read_fold_samples(paths: Sequence[Path]) -> list[pa.Table]:
    """Samples of the outer folds. Raises UserError where one lies in the folder of another fold than it is made for."""
    tables = []
    for path in paths:
        table = read_parquet(path)
        facts = fold_facts(table)
        if facts is None or facts.name != path.parent.name:
            raise UserError(f"{path} holds samples of {facts.name if facts else 'no fold'}. Remove it and run again.")
        tables.append(table)
    return tables


def read_fold_masks(masks: Sequence[Path], networks: Sequence[Path]) -> list[FoldMasks]:
    """Who drew in each outer fold, sorted by repeat and fold.

    masks : manifests masks.json of the folds. networks : records network.json of all their networks. Raises UserError
    where a record belongs to no manifest, or two stand for one inner fold.
    """
    records: dict[Place, dict[int, Network]] = {}
    for path in networks:
        record = read_json(path)
        own = records.setdefault(_place(record), {})
        if record["inner_fold"] in own:
            raise UserError(f"{path}: there is another network of {_place(record)}, inner fold {record['inner_fold']}.")
        own[record["inner_fold"]] = _network(record)
    manifests = {_place(manifest): (path, manifest) for path in masks for manifest in [read_json(path)]}
    if strangers := sorted(set(records) - set(manifests)):
        raise UserError(f"networks of {strangers} drew no masks of this analysis. Run again.")
    return [_fold(path, manifest, records.get(place, {})) for place, (path, manifest) in sorted(manifests.items())]


def _place(record: Record) -> Place:
    return record["repeat"], record["fold"], record["network"]


def _network(record: Record) -> Network:
    """Patients of the training part and those on whom the epoch was chosen were both seen."""
    return Network(
        inner_fold=record["inner_fold"],
        seen=frozenset([*record["patients_trained"], *record["patients_validation"]]),
        weights=record["sha256"],
    )


def _fold(path: Path, manifest: Record, networks: Mapping[int, Network]) -> FoldMasks:
    patients = {
        entry["patient"]: DrawnPatient(role=entry["role"], networks=tuple(map(_inner_fold, entry["networks"])))
        for entry in manifest["patients"]
    }
    return FoldMasks(
        repeat=manifest["repeat"],
        fold=manifest["fold"],
        network=manifest["network"],
        sha256=sha256_file(path),
        patients=patients,
        weights={_inner_fold(named["name"]): named["sha256"] for named in manifest["networks"]},
        networks=tuple(network for _, network in sorted(networks.items())),
    )


def _inner_fold(name: str) -> int:
    """Inner fold of a network's name: i3 is 3."""
    return int(name.removeprefix("i"))
