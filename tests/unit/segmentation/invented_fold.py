"""One invented outer fold: samples, splits, images of its patients, and networks of its inner folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch

from osteorad.cohort.schemas import SAMPLES, SPLITS
from osteorad.files import write_json, write_parquet
from osteorad.images.volume import Volume, write_nifti
from osteorad.provenance import sha256_file
from osteorad.segmentation.networks.registry import build
from osteorad.segmentation.weights import write_network
from tests.unit.segmentation.invented_networks import grid, plan, with_balls

INNER = {1: ("p1", "p4"), 2: ("p2", "p5"), 3: ("p3", "p6")}  # inner fold -> whom it holds out
TESTED = ("t1", "t2")
SESSIONS = {"p1": ("s1", "s2")}  # others have s1
NAMES = {"cohort": "c", "analysis": "a", "network": "own", "repeat": 1, "fold": 1}
# RAS mm, radius in mm, HU: bone with a lesion in it, and a lesion far from bone
INSIDE = (((2.0, -1.0, -8.0), 6.0, 600), ((2.0, -1.0, -8.0), 3.3, 950))
OUTSIDE = ((-7.0, 6.0, 10.0), 3.3, 950)


def sessions_of(patient: str) -> tuple[str, ...]:
    """Sessions of an invented patient."""
    return SESSIONS.get(patient, ("s1",))


def samples_table() -> pa.Table:
    """One sample a session."""
    patients = [*TESTED, *(patient for held in INNER.values() for patient in held)]
    rows = [
        {
            "cohort": "c",
            "patient": patient,
            "session": session,
            "roi": "lesion",
            "lesion": 0,
            "sample": f"{patient}-{session}",
            "mask_set": "manual",
            "site": "",
            "outcome": 0,
        }
        for patient in patients
        for session in sessions_of(patient)
    ]
    return pa.Table.from_pylist(rows, schema=SAMPLES)


def splits_table() -> pa.Table:
    """Outer fold 1 tests TESTED; its inner folds hold out INNER."""
    rows: list[dict[str, Any]] = []
    inside = [patient for held in INNER.values() for patient in held]
    for inner, tested, others in [(-1, TESTED, inside), *((n, INNER[n], inside) for n in INNER)]:
        for patient in sorted({*tested, *others}):
            for session in sessions_of(patient):
                rows.append(
                    {
                        "cohort": "c",
                        "analysis": "a",
                        "procedure": "nested",
                        "repeat": 1,
                        "fold": 1,
                        "inner_fold": inner,
                        "patient": patient,
                        "sample": f"{patient}-{session}",
                        "part": "test" if patient in tested else "train",
                    }
                )
    return pa.Table.from_pylist(rows, schema=SPLITS)


def write_tables(root: Path) -> tuple[Path, Path]:
    """samples.parquet and splits.parquet."""
    samples, splits = root / "samples.parquet", root / "splits.parquet"
    write_parquet(samples, samples_table())
    write_parquet(splits, splits_table())
    return samples, splits


def write_images(root: Path, patient: str, volumes: Mapping[str, Volume]) -> Path:
    """images.json of one patient; volumes: session -> CT."""
    folder = root / "images" / patient
    rows = []
    for session, volume in volumes.items():
        path = f"{session}/ct.nii.gz"
        write_nifti(folder / path, volume.array, volume.grid.affine_ras)
        rows.append(
            {
                "image": "ct",
                "session": session,
                "path": path,
                "sha256": sha256_file(folder / path),
                "units": volume.units,
                "series": "e1",
            }
        )
    write_json(folder / "images.json", {"cohort": "c", "patient": patient, "images": rows})
    return folder / "images.json"


def write_all_images(root: Path, *, flips: tuple[int, int, int] = (-1, -1, 1)) -> list[Path]:
    """Images of all patients and of one who is in no sample. p5 has no lesion, p6 no CT of its session."""
    found = []
    for patient in [*TESTED, *(patient for held in INNER.values() for patient in held), "x1"]:
        balls = INSIDE[:1] if patient == "p5" else (*INSIDE, OUTSIDE)
        sessions = () if patient == "p6" else sessions_of(patient)
        found.append(write_images(root, patient, {s: with_balls(grid(flips=flips), *balls) for s in sessions}))
    return found


def write_constant_network(folder: Path, bias: Sequence[float], **names: Any) -> Path:
    """A real network of the registry that gives these logits everywhere; network.json of its folder.

    names : fields of the record that differ from those of inner fold 1.
    """
    inner = int(names.get("inner_fold", 1))
    own = plan(labels=len(bias), bone="bone" if len(bias) > 2 else None, spacing_mm=(0.8, 0.8, None))
    torch.manual_seed(1)
    module = build("unet2d_tiny", channels=1, labels=own.labels, settings=dict(own.network_settings))
    last = [part for part in module.modules() if isinstance(part, torch.nn.Conv2d)][-1]
    torch.nn.init.zeros_(last.weight)
    with torch.no_grad():
        last.bias.copy_(torch.tensor(list(bias)))  # type: ignore[union-attr]
    seen = sorted(patient for other, held in INNER.items() if other != inner for patient in held)
    record = {
        **NAMES,
        "inner_fold": inner,
        "plan": own.plain(),
        "patients_trained": seen[1:],
        "patients_validation": seen[:1],
        **names,
    }
    write_network(folder, module.state_dict(), record)
    return folder / "network.json"
