"""Check of the networks that drew masks: A13.

Three sources are held against each other: the splits (who is tested), each network's own record (whom it saw), and the
manifest of the masks (who drew whom, in which role). What the run says of itself in its lineage is walked as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from osteorad.cohort.segmentation import AUTOMATIC
from osteorad.cohort.splits import OUTER, folds_of
from osteorad.modelling.auditing.tables import AuditTables, Finding, finding, not_applicable, parts_of
from osteorad.modelling.learning.drawn import EXTERNAL, OUT_OF_FOLD, FoldKey, FoldMasks, facts_by_fold
from osteorad.modelling.learning.lineage import fold_name, network_node, upstream

Graph = Mapping[str, Any]
ROLES = {"train": OUT_OF_FOLD, "test": EXTERNAL}


def check_networks(tables: AuditTables) -> Finding:
    """A13: no network from which a test prediction was made (masks, features) was trained on its patient.

    Where networks draw inside each fold, also no training patient is drawn by a network that saw that patient: features
    of such masks are better than those of any new patient.
    """
    graph = tables.lineage
    nodes = [node for node in graph["nodes"] if node["kind"] == "network"]
    looked_at = f"{len(nodes)} networks in the lineage; mask set '{tables.recipe.mask_set}'"
    if not nodes and tables.recipe.mask_set.startswith(AUTOMATIC):
        drawn = f"masks of '{tables.recipe.mask_set}' were drawn by a network, and the lineage names none"
        return finding([drawn], looked_at=looked_at, clean="")
    if not nodes:
        return not_applicable("Masks were drawn by people, and no feature was learned.", looked_at=looked_at)
    problems = [*_upstream_networks(graph)]
    if tables.recipe.segmentation is None:
        clean = "No network saw a patient whose prediction was made with its help."
        return finding(problems, looked_at=looked_at, clean=clean)
    problems += _folds(tables)
    masks = sum(len(drawn.patients) for drawn in tables.masks)
    return finding(
        problems,
        looked_at=f"{looked_at}; records of {sum(len(drawn.networks) for drawn in tables.masks)} networks, who drew "
        f"{masks} times a patient's masks in {len(tables.masks)} folds",
        clean="No network saw a patient whom it drew: test patients were drawn by all networks of their fold, training "
        "patients by the one that skipped them.",
        proof=[_proof(drawn) for drawn in tables.masks],
    )


def _upstream_networks(graph: Graph) -> Iterator[str]:
    """Test patients that a network upstream of their own predictions saw, by the lineage."""
    patients = graph["patients"]
    for node in graph["nodes"]:
        if node["kind"] != "predictions":
            continue
        tested = {patients[at] for at in node["patients"]}
        for above in upstream(graph, node["id"]):
            if above["kind"] == "network":
                for patient in sorted({patients[at] for at in above["patients"]} & tested):
                    yield f"{node['id']}: patient {patient} was seen by {above['id']}"


def _folds(tables: AuditTables) -> Iterator[str]:
    """Every outer fold: its masks against splits and records, and lineage and samples against its masks."""
    parts, by_fold = parts_of(tables.splits), {(drawn.repeat, drawn.fold): drawn for drawn in tables.masks}
    facts = facts_by_fold(tables.by_fold)
    for key in folds_of(tables.splits, tables.procedure):
        drawn = by_fold.get(key)
        if drawn is None or f"{AUTOMATIC}{drawn.network}" != tables.recipe.mask_set:
            yield f"{fold_name(*key)}: no manifest of masks of the set '{tables.recipe.mask_set}'"
            continue
        sides = {part: set(samples.values()) for part, samples in parts[(*key, OUTER)].items()}
        yield from _networks(drawn, sides["train"])
        for part in ROLES:
            yield from _drawn_patients(drawn, part, sides[part])
        if key not in facts or facts[key].masks != drawn.sha256:
            yield f"{drawn.name}: features of the samples do not come from the masks of this fold"
        yield from _lineage_of(tables.lineage, drawn, key)


def _networks(drawn: FoldMasks, training: set[str]) -> Iterator[str]:
    """Networks that saw somebody outside the training part, or whose weights are not those that drew."""
    if {network.inner_fold: network.weights for network in drawn.networks} != dict(drawn.weights):
        yield f"{drawn.name}: the networks that drew the masks are not those whose records are there"
    for network in drawn.networks:
        for patient in sorted(network.seen - training):
            yield f"{network_node(drawn, network)} saw patient {patient}, who is not of the training part"


def _drawn_patients(drawn: FoldMasks, part: str, patients: set[str]) -> Iterator[str]:
    """Patients of one part whose masks were drawn by a network that saw them, or in another role than the part's."""
    networks = {network.inner_fold: network for network in drawn.networks}
    for patient in sorted(patients):
        own = drawn.patients.get(patient)
        if own is None:
            yield f"{drawn.name}: the manifest of masks does not tell who drew {part} patient {patient}"
            continue
        for inner_fold in own.networks:
            network = networks.get(inner_fold)
            if network is None:
                yield f"{drawn.name}: patient {patient} was drawn by network i{inner_fold}, which has no record"
            elif patient in network.seen:
                yield f"{network_node(drawn, network)} drew {part} patient {patient}, whom it saw in training"
        wanted = set(networks) if part == "test" else set(own.networks)
        if own.role != ROLES[part] or set(own.networks) != wanted or (part == "train" and len(own.networks) != 1):
            by = ", ".join(f"i{inner_fold}" for inner_fold in own.networks) or "no network"
            yield f"{drawn.name}: {part} patient {patient} was drawn in the role '{own.role}' by {by}"


def _lineage_of(graph: Graph, drawn: FoldMasks, key: FoldKey) -> Iterator[str]:
    """Where the lineage says something else than the records, or leaves a network out."""
    wanted = {network_node(drawn, network): network for network in drawn.networks}
    nodes = {node["id"]: node for node in graph["nodes"]}
    for name, network in wanted.items():
        node = nodes.get(name)
        told = None if node is None else (node["hash"], {graph["patients"][at] for at in node["patients"]})
        if told != (network.weights, network.seen):
            yield f"{name}: the lineage does not say what the network's record says"
    prefix = f"predictions/{fold_name(*key)}/"
    for node in graph["nodes"]:
        if node["kind"] == "predictions" and node["id"].startswith(prefix):
            found = {above["id"] for above in upstream(graph, node["id"]) if above["kind"] == "network"}
            if found != set(wanted):
                yield f"{node['id']}: {len(found)} networks stand upstream, {len(wanted)} drew the masks of its fold"


def _proof(drawn: FoldMasks) -> str:
    roles = [own.role for own in drawn.patients.values()]
    return (
        f"{drawn.name}: {len(drawn.networks)} networks; {roles.count(OUT_OF_FOLD)} patients drawn by the one that "
        f"skipped them, {roles.count(EXTERNAL)} by all"
    )
