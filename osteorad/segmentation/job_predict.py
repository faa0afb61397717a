"""The job that draws masks of one outer fold by one network of a recipe. Paths in, files out.

A module of its own, so that a change elsewhere in the room does not run this job again (contract 9).
"""

from __future__ import annotations

import logging
import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.segmentation import AUTOMATIC, SegmentationSettings
from osteorad.files import read_json, read_parquet, write_json
from osteorad.images.volume import Grid, Patch, Volume, read_nifti, write_nifti
from osteorad.provenance import sha256_file
from osteorad.reasons import reason
from osteorad.segmentation.draw import Drawn, Gate, draw
from osteorad.segmentation.ensemble import Assignment, assignments, network_name, refuse_in_fold
from osteorad.segmentation.infer import TrainedNetwork, machine_for_drawing
from osteorad.segmentation.numerics import Machine, numerics
from osteorad.segmentation.weights import load_network, seen_patients

log = logging.getLogger(__name__)
Row = dict[str, Any]
Facts = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fold:
    """What is the same for all patients: names, settings, networks by inner fold, machine, and the gate's masks."""

    names: Facts  # cohort, analysis, network, repeat, fold
    settings: SegmentationSettings
    networks: Mapping[int, TrainedNetwork]
    machine: Machine
    gate: GateMasks | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GateMasks:
    """Bone that another network of the recipe drew in the same fold; `entries`: of its manifest, by patient."""

    network: str
    folder: Path
    entries: Mapping[str, Facts]
    by_mm: float


def predict_job(
    *,
    samples: Path,
    splits: Path,
    networks: Sequence[Path],
    images: Sequence[Path],
    gate: Path | None,
    settings: Facts,
    network: str,
    repeat: int,
    fold: int,
    analysis: str,
    cohort: str,
    threads: int,
    out: Path,
) -> None:
    """Draw every patient of the samples by networks that did not see the patient; `out`, masks.json, is written last.

    networks : network.json of the inner folds 1, 2, ... in order. images : manifests images.json, or grid.json for
    fused images. gate : masks.json of the gate's network in this fold, where the settings name one. settings : a dump
    of SegmentationSettings. network : name in settings.networks. The folder of `out` is emptied first.
    Raises InFoldMask where a network saw a patient whom it would draw, ValueError where networks or gate belong to
    another fold.
    """
    chosen = SegmentationSettings.model_validate(settings)
    names = {"cohort": cohort, "analysis": analysis, "network": network, "repeat": repeat, "fold": fold}
    wanted = assignments(read_parquet(samples), read_parquet(splits), repeat=repeat, fold=fold)
    trained = _trained(networks, names)
    refuse_in_fold(wanted, {inner: seen_patients(one.record) for inner, one in trained.items()})
    machine = machine_for_drawing(chosen.training, threads)
    own = Fold(
        names=names,
        settings=chosen,
        networks=trained,
        machine=machine,
        gate=_gate_masks(gate, chosen, names),
    )
    manifests = {path.parent.name: path for path in map(Path, images)}
    others = len(set(manifests) - {one.patient for one in wanted})
    log.info("%d patients are drawn; %d of the cohort are in no sample and get no masks here", len(wanted), others)
    shutil.rmtree(out.parent, ignore_errors=True)
    out.parent.mkdir(parents=True)
    with numerics(machine, chosen.training):
        entries = _draw_all(wanted, manifests, own, out.parent)
    write_json(
        out,
        {
            **names,
            "set": AUTOMATIC + network,
            "image": chosen.image,
            "gate": chosen.networks[network].gate,
            "prediction": chosen.prediction.model_dump(mode="json"),
            "networks": [_network_facts(trained[inner]) for inner in sorted(trained)],
            "patients": entries,
            "not_sampled": others,
        },
    )


# --- networks and gate ------------------------------------------------------------------------------------------------


def _trained(networks: Sequence[Path], names: Facts) -> dict[int, TrainedNetwork]:
    """Inner fold -> network; ValueError where a record says that it belongs elsewhere."""
    found = {}
    for inner, path in enumerate(networks, start=1):
        module, plan, record = load_network(Path(path).parent)
        place = {**names, "inner_fold": inner}
        if wrong := [f"{name} {record[name]}" for name in place if record[name] != place[name]]:
            raise ValueError(f"network {network_name(inner)} of {names['network']} was trained for {', '.join(wrong)}")
        found[inner] = TrainedNetwork(inner_fold=inner, module=module, plan=plan, record=record)
    return found


def _network_facts(network: TrainedNetwork) -> Row:
    return {"name": network_name(network.inner_fold), "sha256": network.record["sha256"]}


def _gate_masks(path: Path | None, settings: SegmentationSettings, names: Facts) -> GateMasks | None:
    """The masks of the gate; ValueError where they are not those of the settings and of this fold."""
    asked = settings.networks[names["network"]]
    if (path is None) != (asked.gate is None):
        raise ValueError(f"gate {asked.gate} is asked for, and masks of it are {'not ' if path is None else ''}given")
    if path is None or asked.gate is None:
        return None
    manifest = read_json(path)
    place = {**names, "network": asked.gate}
    if wrong := [f"{name} {manifest[name]}" for name in place if manifest[name] != place[name]]:
        raise ValueError(f"the masks given for the gate {asked.gate} are of {', '.join(wrong)}")
    entries = {entry["patient"]: entry for entry in manifest["patients"]}
    return GateMasks(network=asked.gate, folder=path.parent, entries=entries, by_mm=asked.gate_mm)


# --- patients ---------------------------------------------------------------------------------------------------------


def _draw_all(wanted: Sequence[Assignment], manifests: Mapping[str, Path], fold: Fold, folder: Path) -> list[Row]:
    """Entries of the manifest, a patient each."""
    entries = []
    started = time.monotonic()
    for number, assignment in enumerate(wanted, start=1):
        if assignment.patient not in manifests:
            raise ValueError(f"{assignment.patient} is to be drawn, but has no manifest of images among the inputs")
        entries.append(_draw_patient(assignment, manifests[assignment.patient], fold, folder))
        minutes = (time.monotonic() - started) / number * (len(wanted) - number) / 60
        log.info("%d of %d patients, about %.1f min left", number, len(wanted), minutes)
    return entries


def _draw_patient(assignment: Assignment, images: Path, fold: Fold, folder: Path) -> Row:
    """Write the masks of one patient and their manifest; returns the patient's entry."""
    own = folder / assignment.patient
    found = {(entry["session"], entry["image"]): entry for entry in read_json(images)["images"]}
    masks: list[Row] = []
    sessions: list[Row] = []
    aside: list[Row] = []
    for session in assignment.sessions:
        entry = found.get((session, fold.settings.image))
        if entry is None:
            aside.append(_aside(session, fold.settings.image))
            continue
        drawn, grid = _draw_session(assignment, entry, images.parent, fold)
        rows = _write_masks(drawn, entry, grid, fold.settings, own)
        masks += rows
        sessions.append(_session_facts(session, entry, drawn))
        log.info("%s %s (%s): %d lesions", assignment.patient, session, assignment.role, len(drawn.lesions))
    path = f"{assignment.patient}/masks.json"
    write_json(
        folder / path,
        {
            **fold.names,
            "patient": assignment.patient,
            "set": AUTOMATIC + fold.names["network"],
            "mask_source": "automatic",
            "role": assignment.role,
            "networks": [_network_facts(fold.networks[inner]) for inner in assignment.inner_folds],
            "rois_in": len(masks),
            "masks": masks,
            "sessions": sessions,
            "series": [],
            "set_aside": aside,
        },
    )
    return {
        "patient": assignment.patient,
        "sessions": [row["session"] for row in sessions],
        "role": assignment.role,
        "networks": list(assignment.networks),
        "sha256": sha256_file(folder / path),
        "path": path,
        "left_out": [{"session": row["session"], "reason": row["reason"]} for row in aside],
    }


def _draw_session(assignment: Assignment, entry: Facts, folder: Path, fold: Fold) -> tuple[Drawn, Grid]:
    array, grid = read_nifti(folder / entry["path"])
    volume = Volume(array=array, grid=grid, units=entry["units"])
    networks = [fold.networks[inner] for inner in assignment.inner_folds]
    gate = None if fold.gate is None else _gate_of(fold.gate, assignment, entry, grid, str(fold.settings.bone))
    return draw(volume, networks, fold.machine, fold.settings.prediction, gate), grid


def _gate_of(masks: GateMasks, assignment: Assignment, entry: Facts, grid: Grid, roi: str) -> Gate:
    """The gate of one image; ValueError where its network drew the patient in another role, or drew no such bone."""
    of_patient = masks.entries.get(assignment.patient)
    same = (assignment.role, list(assignment.networks))
    if of_patient is None or (of_patient["role"], of_patient["networks"]) != same:
        raise ValueError(f"gate {masks.network}: {assignment.patient} was not drawn as {assignment.role}")
    path = masks.folder / of_patient["path"]
    where = (entry["session"], _drawn_on(entry), roi)
    drawn = [m for m in read_json(path)["masks"] if (m["session"], m["image"], m["roi"]) == where]
    if len(drawn) != 1:
        raise ValueError(
            f"gate {masks.network}: {len(drawn)} masks of {roi} on {assignment.patient}/{entry['session']}"
        )
    bone, own = read_nifti(path.parent / drawn[0]["path"])
    if not own.matches(grid):
        raise ValueError(
            f"gate {masks.network}: the mask of {assignment.patient} does not lie on the grid of its image"
        )
    return Gate(bone=bone, by_mm=masks.by_mm)


def _drawn_on(entry: Facts) -> str:
    """Image whose contours these masks stand beside: of a fused image, the CT."""
    return str(entry.get("mask_image", entry["image"]))


def _aside(session: str, image: str) -> Row:
    return {
        "session": session,
        "stage": "masks",
        "item": image,
        "count": 1,
        "kind": reason("image_absent").kind,
        "reason": "image_absent",
        "detail": "",
    }


def _session_facts(session: str, entry: Facts, drawn: Drawn) -> Row:
    return {
        "session": session,
        "image": entry["image"],
        "image_sha256": entry["sha256"],
        "lesions": len(drawn.lesions),
        "dropped": drawn.dropped,
        "lost_by_gate": drawn.lost,
    }


# --- files ------------------------------------------------------------------------------------------------------------


def _write_masks(drawn: Drawn, entry: Facts, grid: Grid, settings: SegmentationSettings, folder: Path) -> list[Row]:
    """Write bone and lesions of one image, on its grid; returns their entries."""
    rows = []
    if drawn.bone is not None and settings.bone is not None:
        rows.append(_write_mask(drawn.bone, (settings.bone, 1), entry, grid, folder))
    for number, lesion in enumerate(drawn.lesions, start=1):
        row = _write_mask(lesion.patch, (settings.lesion, number), entry, grid, folder)
        rows.append({**row, "score": round(lesion.score, 6)})
    return rows


def _write_mask(patch: Patch, name: tuple[str, int], entry: Facts, grid: Grid, folder: Path) -> Row:
    roi, lesion = name
    path = f"{entry['session']}/{_drawn_on(entry)}/{roi}-{lesion}.nii.gz"
    array: NDArray[np.uint8] = patch.on(grid).array
    write_nifti(folder / path, array, grid.affine_ras)
    voxels = patch.voxels
    return {
        "session": entry["session"],
        "image": _drawn_on(entry),
        "roi": roi,
        "lesion": lesion,
        "path": path,
        "sha256": sha256_file(folder / path),
        "voxels": voxels,
        "volume_ml": round(voxels * grid.voxel_ml, 9),
        "source": "network",
        "series": entry.get("series", ""),
        "flags": [] if voxels else ["roi_empty"],
    }
