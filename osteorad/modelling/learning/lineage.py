"""The graph from inputs to predictions: who was seen by everything that learned (contract 6)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from osteorad.cohort.fold_facts import fold_facts
from osteorad.cohort.splits import OUTER
from osteorad.modelling.learning.drawn import FoldMasks, FoldTables, Network
from osteorad.modelling.learning.nested import FoldFit
from osteorad.modelling.learning.plans import COMBINED, RADIOMICS
from osteorad.modelling.learning.records import Run
from osteorad.modelling.learning.steps import Chain
from osteorad.modelling.learning.table_hash import table_hash


def fold_name(repeat: int, fold: int, inner_fold: int = OUTER) -> str:
    """Short name of a fold: r1f2, or r1f2i3."""
    return f"r{repeat}f{fold}" + (f"i{inner_fold}" if inner_fold != OUTER else "")


def lineage_graph(
    run: Run,
    fits: Sequence[FoldFit],
    *,
    tables: FoldTables,
    splits: pa.Table,
    inputs: Mapping[str, str],
    masks: Sequence[FoldMasks] = (),
) -> dict[str, Any]:
    """Nodes and edges from input files to the predictions of each fold.

    A `fit` node lists the patients on which its steps were fitted, taken from the fits themselves, as places in
    `patients`; a `network` node those whom it saw, by its record. An edge [a, b]: b was made from a.
    masks : where networks drew, the masks of each fold.
    """
    samples = tables.base
    seen = {patient for drawn in masks for network in drawn.networks for patient in network.seen}
    patients = sorted(set(samples["patient"].to_pylist()) | seen)
    place = {patient: at for at, patient in enumerate(patients)}
    nodes: list[dict[str, Any]] = [
        {"id": f"input/{name}", "kind": "input", "hash": value} for name, value in sorted(inputs.items())
    ]
    edges: list[list[str]] = [[node["id"], "samples"] for node in nodes]
    nodes.append({"id": "samples", "kind": "samples", "hash": table_hash(samples), "rows": samples.num_rows})
    nodes.append({"id": "splits", "kind": "splits", "hash": table_hash(splits), "rows": splits.num_rows})
    edges.append(["samples", "splits"])
    for drawn in masks:
        _add_drawn(nodes, edges, drawn, tables, place)
    for fit in fits:
        rows = samples_node(fit.repeat, fit.fold) if tables.folds else "samples"
        made = f"predictions/{fold_name(fit.repeat, fit.fold)}/{fit.plan.variables}"
        for inner_fold, chain in [(OUTER, fit.chain), *((inner.inner_fold, inner.chain) for inner in fit.inner)]:
            name = f"fit/{fold_name(fit.repeat, fit.fold, inner_fold)}/{fit.plan.variables}"
            nodes.append(_fit_node(name, fit, inner_fold, chain, place))
            edges += [[rows, name], ["splits", name], [name, made]]
            if fit.plan.variables == COMBINED:
                # The Rad-score of its training rows comes from the radiomics models of the same outer fold.
                source = f"{fold_name(fit.repeat, fit.fold)}/{RADIOMICS}"
                edges += [[node["id"], name] for node in nodes if node["id"] == f"fit/{source}"]
                edges += [[node["id"], name] for node in nodes if _inner_of(node, fit)]
        tested = [place[patient] for patient in sorted(set(fit.test_patients))]
        nodes.append({"id": made, "kind": "predictions", "patients": tested, "chosen": fit.chosen})
        edges.append([rows, made])
    return {
        "cohort": run.cohort,
        "analysis": run.analysis,
        "procedure": run.procedure,
        "patients": patients,
        "nodes": nodes,
        "edges": edges,
    }


def samples_node(repeat: int, fold: int) -> str:
    """Id of the samples of one fold."""
    return f"samples/{fold_name(repeat, fold)}"


def network_node(drawn: FoldMasks, network: Network) -> str:
    """Id of a network of a fold."""
    return f"network/{fold_name(drawn.repeat, drawn.fold, network.inner_fold)}/{drawn.network}"


def _add_drawn(
    nodes: list[dict[str, Any]],
    edges: list[list[str]],
    drawn: FoldMasks,
    tables: FoldTables,
    place: Mapping[str, int],
) -> None:
    """Networks of a fold, the masks that they drew, the features of these, and the fold's samples."""
    own, table = fold_name(drawn.repeat, drawn.fold), tables.of(drawn.repeat, drawn.fold)
    masks, samples = f"masks/{own}/{drawn.network}", samples_node(drawn.repeat, drawn.fold)
    for network in drawn.networks:
        name = network_node(drawn, network)
        where = {"repeat": drawn.repeat, "fold": drawn.fold, "inner_fold": network.inner_fold}
        seen = sorted(place[patient] for patient in network.seen)
        nodes.append({"id": name, "kind": "network", "hash": network.weights, "patients": seen, **where})
        edges += [["samples", name], ["splits", name], [name, masks]]
    roles = Counter(patient.role for patient in drawn.patients.values())
    nodes.append({"id": masks, "kind": "masks", "hash": drawn.sha256, "roles": dict(sorted(roles.items()))})
    facts = fold_facts(table)
    features = f"input/{own}/features.parquet"
    nodes.append({"id": features, "kind": "input", "hash": facts.features if facts is not None else ""})
    nodes.append({"id": samples, "kind": "samples", "hash": table_hash(table), "rows": table.num_rows})
    edges += [["splits", masks], [masks, features], [features, samples], ["samples", samples]]


def _inner_of(node: Mapping[str, Any], fit: FoldFit) -> bool:
    """Whether a node is an inner radiomics fit of the same outer fold."""
    where = (node.get("repeat"), node.get("fold"), node.get("variables"), node.get("inner_fold") != OUTER)
    return node["kind"] == "fit" and where == (fit.repeat, fit.fold, RADIOMICS, True)


def _fit_node(name: str, fit: FoldFit, inner_fold: int, chain: Chain, place: Mapping[str, int]) -> dict[str, Any]:
    traces = [step.trace for step in chain.steps]
    if inner_fold == OUTER:
        traces += [model.trace for model in fit.models]
    else:
        traces += [trace for inner in fit.inner if inner.inner_fold == inner_fold for trace in inner.traces.values()]
    seen = sorted({patient for trace in traces for patient in trace.patients})
    return {
        "id": name,
        "kind": "fit",
        "repeat": fit.repeat,
        "fold": fit.fold,
        "inner_fold": inner_fold,
        "variables": fit.plan.variables,
        "patients": [place[patient] for patient in seen],
        "fit_hashes": sorted({trace.fit_hash for trace in traces}),
    }


def upstream(graph: Mapping[str, Any], node: str) -> list[Mapping[str, Any]]:
    """All nodes from which a node was made, directly or not, sorted by id."""
    parents: dict[str, list[str]] = {}
    for parent, child in graph["edges"]:
        parents.setdefault(child, []).append(parent)
    seen: set[str] = set()
    todo = [node]
    while todo:
        for parent in parents.get(todo.pop(), []):
            if parent not in seen:
                seen.add(parent)
                todo.append(parent)
    return sorted((item for item in graph["nodes"] if item["id"] in seen), key=lambda item: str(item["id"]))
