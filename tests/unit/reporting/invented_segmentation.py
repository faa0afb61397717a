"""An invented segmentation analysis: images, reference and predicted masks on disk, scored by the job that scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy import ndimage

from osteorad.files import read_json, write_json
from osteorad.images.volume import read_nifti, write_nifti
from osteorad.segmentation.job_score import score_job
from osteorad.segmentation.weights import write_network
from tests.unit.reporting.invented_patient import SESSION, write_patient

RECIPE: dict[str, Any] = {
    "name": "invented",
    "title": "Lesions of bone on CT",
    "citation": "Nobody et al. 2026, an invented line of citation.",
    "kind": "segmentation",
    "session": "all",
    "negatives": "drawn",
    "segmentation": {
        "image": "ct",
        "lesion": "lesion",
        "bone": "bone",
        "mask_set": "manual",
        "networks": {
            "unet": {
                "network": "unet2d_tiny",
                "settings": {},
                "loss": "dice-ce",
                "gate": None,
                "gate_mm": 10.0,
                "epochs": None,
            },
            "hybrid": {
                "network": "hybrid_attunetpp",
                "settings": {},
                "loss": "bce-dual",
                "gate": None,
                "gate_mm": 10.0,
                "epochs": 9,
            },
            "gated": {
                "network": "dynunet3d_small",
                "settings": {},
                "loss": "dice-ce",
                "gate": "unet",
                "gate_mm": 8.0,
                "epochs": None,
            },
        },
        "run": [],
        "plan": {"spacing_mm": None, "window_hu": None, "patch": None, "batch": None, "memory_gb": 8.0},
        "training": {
            "epochs": 12,
            "steps": 25,
            "optimiser": "adamw",
            "learning_rate": 0.004,
            "weight_decay": 0.0001,
            "schedule": "one-cycle",
            "foreground": 0.5,
            "validation_share": 0.2,
            "device": "auto",
            "seed": 1,
        },
        "prediction": {"overlap": 0.5, "threshold": 0.5, "smallest_ml": 0.1, "smallest_voxels": 3},
    },
    "splits": {"test_share": 0.4, "folds": 3, "seed": 1},
    "scoring": {"match": "overlap", "share": 0.1, "iou": 0.1, "bootstrap": 200},
    "assumed": ["The paper divided slices; here patients are divided."],
}
ANALYSIS: dict[str, Any] = {
    "name": "lesions",
    "title": "How well do networks find and outline bone metastases?",
    "cohort": "invented",
    "recipe": "invented",
    "test_only": "",
    "cutoff": "2026-05-31",
    "citation": "",
}
OVERRIDES = {"segmentation.training.epochs": 12}
VERSIONS = {"torch": "2.13.0", "monai": "1.6.1", "numpy": "2.4.6"}
HASHES = {"unet/i1/network.json": "7f3ac2e1b4d59a60"}
FOLDS = 3
TYPES = {1: "blastic", 2: "lytic"}


def _patients(count: int, healthy: int) -> list[str]:
    return [f"p{number:011d}" for number in range(1, count + healthy + 1)]


def write_analysis(
    root: Path,
    *,
    held_out: int = 11,
    others: int = 12,
    healthy: int = 3,
    networks: Sequence[str] = ("unet", "hybrid", "gated"),
    bone: bool = True,
) -> dict[str, Any]:
    """Everything that the page reads; returns the arguments of `write_segmentation_page` but for its two outputs.

    held_out, others : patients with lesions in the held-out part and in the folds. healthy : patients without a lesion,
    the last of them held out.
    """
    patients = _patients(held_out + others, healthy)
    for number, patient in enumerate(patients):
        sick = number < held_out + others
        write_patient(root, patient, seed=number, pet=False, matrix=80, slices=24, masks=sick)
        if not sick:
            none = {
                "cohort": "invented",
                "patient": patient,
                "set": "manual",
                "masks": [],
                "series": [],
                "set_aside": [],
            }
            write_json(root / "masks/manual" / patient / "masks.json", none)
        elif bone:
            _add_bone(root, patient)
    recipe = {**RECIPE, "segmentation": {**RECIPE["segmentation"], "bone": "bone" if bone else None}}
    apart = {*patients[:held_out], *(patients[-1:] if healthy else [])}
    roles = {patient: "external" if patient in apart else "out_of_fold" for patient in patients}
    images = [root / "images" / patient / "images.json" for patient in patients]
    manual = [root / "masks/manual" / patient / "masks.json" for patient in patients]
    lesions = write_lesion_table(root, patients[: held_out + others])
    arguments: dict[str, Any] = {name: [] for name in ("scores", "cases", "lesions", "networks", "drawn")}
    for place, name in enumerate(networks):
        arguments["networks"] += _write_networks(root, name, roles, recipe)
        drawn = _draw(root, name, roles, skill=0.9 - 0.15 * place, bone=bone, recipe=recipe)
        folder = root / "scores" / name
        score_job(
            masks=drawn,
            manual=manual,
            lesions=lesions,
            images=images if bone else [],
            params={"bootstrap": 200, "rule": "share"},
            out_cases=folder / "case_scores.parquet",
            out_lesions=folder / "lesion_scores.parquet",
            out_scores=folder / "scores.json",
        )
        arguments["scores"].append(folder / "scores.json")
        arguments["cases"].append(folder / "case_scores.parquet")
        arguments["lesions"].append(folder / "lesion_scores.parquet")
        arguments["drawn"].append(drawn)
    return {
        **arguments,
        "images": images,
        "masks": manual,
        "flow": _flow(root, held_out + others, healthy),
        "analysis": ANALYSIS,
        "recipe": recipe,
        "written": {**recipe, "segmentation": _with_epochs(recipe["segmentation"], 60)},
        "overrides": OVERRIDES,
        "versions": VERSIONS,
        "hashes": HASHES,
    }


def _with_epochs(settings: Mapping[str, Any], epochs: int) -> dict[str, Any]:
    return {**settings, "training": {**settings["training"], "epochs": epochs}}


def _add_bone(root: Path, patient: str) -> None:
    """A reference mask of bone: what is dense, and the lesions."""
    folder = root / "masks/manual" / patient
    told = read_json(folder / "masks.json")
    ct, grid = read_nifti(root / "images" / patient / SESSION / "ct.nii.gz")
    whole = np.asarray(ct) > 150
    for entry in told["masks"]:
        if entry["roi"] == "lesion":
            whole |= np.asarray(read_nifti(folder / entry["path"])[0]) > 0
    name = f"{SESSION}/ct/bone-1.nii.gz"
    write_nifti(folder / name, whole.astype(np.uint8), grid.affine_ras)
    first = told["masks"][0]
    voxels = int(whole.sum())
    entry = {**first, "roi": "bone", "lesion": 1, "path": name, "voxels": voxels, "volume_ml": voxels * grid.voxel_ml}
    write_json(folder / "masks.json", {**told, "masks": [*told["masks"], entry]})


def write_lesion_table(root: Path, patients: Sequence[str]) -> Path:
    """lesions.parquet: type and place of the two lesions of each patient."""
    from osteorad.cohort.schemas import LESIONS
    from osteorad.files import table_from_rows, write_parquet

    rows = [
        {
            "patient": patient,
            "session": SESSION,
            "roi": "lesion",
            "lesion": lesion,
            "outcome": None,
            "location": "spine",
            "type": TYPES[lesion],
        }
        for patient in patients
        for lesion in (1, 2)
    ]
    write_parquet(root / "lesions.parquet", table_from_rows(rows, LESIONS))
    return root / "lesions.parquet"


def _held_out_by(place: int) -> int:
    return place % FOLDS + 1


def _write_networks(root: Path, name: str, roles: Mapping[str, str], recipe: Mapping[str, Any]) -> list[Path]:
    inside = [patient for patient, role in roles.items() if role == "out_of_fold"]
    found = []
    for inner in range(1, FOLDS + 1):
        seen = [patient for place, patient in enumerate(inside) if _held_out_by(place) != inner]
        folder = root / "networks" / name / f"i{inner}"
        write_network(folder, _weights(), network_record(name, inner, seen, recipe))
        found.append(folder / "network.json")
    return found


def _weights() -> dict[str, Any]:
    import torch

    return {"first.weight": torch.zeros(8, 1, 3, 3), "first.running_mean": torch.zeros(8), "last.bias": torch.zeros(3)}


def network_record(name: str, inner: int, seen: Sequence[str], recipe: Mapping[str, Any]) -> dict[str, Any]:
    """What the training job writes of a network."""
    epochs = 12
    rng = np.random.default_rng(inner)
    falling = 1.3 * np.exp(-np.arange(epochs) / 4) + 0.2 + rng.normal(0, 0.02, epochs)
    rising = 0.85 - 0.8 * np.exp(-np.arange(epochs) / 3) + rng.normal(0, 0.02, epochs)
    network = recipe["segmentation"]["networks"][name]["network"]
    return {
        "cohort": "invented",
        "analysis": "lesions",
        "network": name,
        "repeat": 1,
        "fold": 1,
        "inner_fold": inner,
        "plan": {
            "network": network,
            "patch": [96, 96] if "2d" in network or "att" in network else [16, 64, 64],
            "batch": 8,
            "spacing_mm": [1.5, 1.5, None],
        },
        "patients_trained": sorted(seen[1:]),
        "patients_validation": sorted(seen[:1]),
        "left_out": [{"patient": "p9", "session": "s1", "reason": "roi_absent"}] if inner == 1 else [],
        "steps": 25 * epochs,
        "best_epoch": int(np.argmax(rising)) + 1,
        "curves": [
            {
                "epoch": epoch + 1,
                "train_loss": float(falling[epoch]),
                "validation_dice": float(rising[epoch]),
                "learning_rate": 0.004,
            }
            for epoch in range(epochs)
        ],
        "device": "cpu",
        "device_name": "cpu",
        "fallback": True,
        "deterministic": True,
    }


def _draw(
    root: Path, name: str, roles: Mapping[str, str], *, skill: float, bone: bool, recipe: Mapping[str, Any]
) -> Path:
    """Masks as a network of so much skill would draw them: shifted, missed, invented."""
    folder = root / "folds/r1f1/masks" / name
    rng = np.random.default_rng(len(name))
    entries = []
    inside = [patient for patient, role in roles.items() if role == "out_of_fold"]
    gated = recipe["segmentation"]["networks"][name]["gate"]
    for patient, role in roles.items():
        inner = [1, 2, 3] if role == "external" else [_held_out_by(inside.index(patient))]
        masks = _draw_patient(root, patient, folder / patient, rng, skill, bone)
        lesions = sum(mask["roi"] == "lesion" for mask in masks)
        session = {"session": SESSION, "image": "ct", "lesions": lesions, "dropped": 1}
        write_json(
            folder / patient / "masks.json",
            {
                "cohort": "invented",
                "patient": patient,
                "set": f"auto-{name}",
                "masks": masks,
                "sessions": [{**session, "lost_by_gate": int(rng.integers(0, 2)) if gated else None}],
                "series": [],
                "set_aside": [],
            },
        )
        entries.append(
            {
                "patient": patient,
                "sessions": [SESSION],
                "role": role,
                "networks": [f"i{number}" for number in inner],
                "sha256": "0" * 64,
                "path": f"{patient}/masks.json",
                "left_out": [],
            }
        )
    names = {"cohort": "invented", "analysis": "lesions", "network": name, "repeat": 1, "fold": 1}
    told = {**names, "set": f"auto-{name}", "gate": gated, "patients": entries, "not_sampled": 1}
    write_json(folder / "masks.json", told)
    return folder / "masks.json"


def _draw_patient(
    root: Path, patient: str, folder: Path, rng: np.random.Generator, skill: float, bone: bool
) -> list[dict[str, Any]]:
    ct, grid = read_nifti(root / "images" / patient / SESSION / "ct.nii.gz")
    reference = root / "masks/manual" / patient
    drawn = np.zeros(grid.shape, dtype=bool)
    for entry in read_json(reference / "masks.json")["masks"]:
        if entry["roi"] == "lesion" and rng.random() < skill:
            mask = np.asarray(read_nifti(reference / entry["path"])[0]) > 0
            shift = rng.integers(-1, 2, 3) if rng.random() < skill else rng.integers(-3, 4, 3)
            drawn |= ndimage.shift(mask.astype(float), shift, order=0) > 0
    if rng.random() > skill:
        at = rng.integers(20, 70, 2)
        drawn[at[0] : at[0] + 4, at[1] : at[1] + 4, 10:13] = True
    labels, found = ndimage.label(drawn, np.ones((3, 3, 3)))
    masks = []
    for number in range(1, found + 1):
        row = _write_mask(labels == number, "lesion", number, grid, folder)
        masks.append({**row, "score": round(float(rng.uniform(0.55, 1.0)), 4)})
    if bone:
        masks.append(_write_mask((np.asarray(ct) > 150) | drawn, "bone", 1, grid, folder))
    return masks


def _write_mask(mask: np.ndarray, roi: str, lesion: int, grid: Any, folder: Path) -> dict[str, Any]:
    path = f"{SESSION}/ct/{roi}-{lesion}.nii.gz"
    write_nifti(folder / path, mask.astype(np.uint8), grid.affine_ras)
    return {
        "session": SESSION,
        "image": "ct",
        "roi": roi,
        "lesion": lesion,
        "path": path,
        "sha256": "0" * 64,
        "voxels": int(mask.sum()),
        "volume_ml": float(mask.sum()) * grid.voxel_ml,
        "source": "network",
        "series": "e11112222",
        "flags": [],
    }


def _flow(root: Path, sick: int, healthy: int) -> Path:
    total = sick + healthy
    lost = {
        "kind": "excluded",
        "reason": "roi_absent",
        "sentence": "The ROI was not drawn.",
        "count": 1,
        "items": ["p9"],
    }
    stages = [
        {"stage": "cohort", "title": "Patients of the cohort", "unit": "patients", "in": total + 1, "out": total + 1,
         "set_aside": []},
        {"stage": "cases", "title": "Sessions with masks", "unit": "sessions", "in": total + 1, "out": total,
         "set_aside": [lost]},
    ]  # fmt: skip
    used = {"patients": total, "samples": total, "with_lesion": sick, "without_lesion": healthy}
    write_json(root / "flow.json", {"stages": stages, "used": used, "set_aside": []})
    return root / "flow.json"
