"""A cohort of tiny images with bright lesions, as files, and the plan and cases that training makes of it."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import signal
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from osteorad.cohort.schemas import SAMPLES, SPLITS
from osteorad.files import table_from_rows, write_json, write_parquet
from osteorad.images.volume import Grid, write_nifti
from osteorad.provenance import sha256_file
from osteorad.segmentation.plan import Fingerprint, Plan
from osteorad.segmentation.preprocess import TrainingCase

SHAPE = (32, 32, 6)
SPACING_MM = (2.0, 2.0, 3.0)
AFFINE = np.diag([-SPACING_MM[0], -SPACING_MM[1], SPACING_MM[2], 1.0])
LESION_HU, BONE_HU = 300, 120


def settings(**changes: Any) -> dict[str, Any]:
    """Settings of a network that learns in a moment; `training` and `plan` are merged."""
    plain: dict[str, Any] = {
        "networks": {"tiny": {"network": "unet2d_tiny", "settings": {"features": [4, 8]}}},
        "plan": {"patch": [32, 32], "batch": 4, "window_hu": [-100.0, 400.0]},
        "training": {"epochs": 3, "steps": 5, "learning_rate": 0.01, "validation_share": 0.25, "device": "cpu"},
    }
    for name, value in changes.items():
        plain[name] = {**plain[name], **value} if name in ("training", "plan") else value
    return plain


@dataclass(frozen=True)
class Toy:
    """Folders of a cohort; patients p0, p1, ...; the last has no lesion."""

    root: Path
    patients: tuple[str, ...]

    @property
    def images(self) -> list[Path]:
        return [self.root / "images" / patient / "images.json" for patient in self.patients]

    @property
    def masks(self) -> list[Path]:
        return [self.root / "masks" / patient / "masks.json" for patient in self.patients]

    def job(self, out: Path, work: Path, **changes: Any) -> dict[str, Any]:
        """Arguments of `train_job` for fold 1: the patient of the test part is the first."""
        return {
            "samples": self.root / "samples.parquet",
            "splits": self.root / "splits.parquet",
            "images": self.images,
            "masks": self.masks,
            "settings": settings(),
            "network": "tiny",
            "repeat": 1,
            "fold": 1,
            "inner_fold": -1,
            "analysis": "toy",
            "cohort": "c",
            "work": work,
            "threads": 1,
            "out": out / "network.json",
            **changes,
        }


def sphere(shape: tuple[int, int, int], centre: tuple[float, ...], radius_mm: float) -> np.ndarray:
    axes = np.indices(shape, dtype=float)
    parts = (((axis - c) * mm / radius_mm) ** 2 for axis, c, mm in zip(axes, centre, SPACING_MM, strict=True))
    return sum(parts) <= 1.0


def toy_plan(**changes: Any) -> Plan:
    """A plan of a 2D network that sees lesions only, of two slices of 8 x 8 a step."""
    marks = Fingerprint(
        cases=1,
        cases_with_lesion=1,
        median_spacing_mm=(1.0, 1.0, 1.0),
        median_shape=(8, 8, 8),
        labelled_percentiles=(0.0, 1.0),
        labelled_mean=0.0,
        labelled_sd=1.0,
    )
    plain: dict[str, Any] = {
        "network": "unet2d_tiny", "network_settings": {"features": [4, 8]}, "dimensions": 2, "channels": 1, "labels": 2,
        "image": "ct", "lesion": "lesion", "bone": None, "units": "HU", "spacing_mm": (1.0, 1.0, None),
        "window": (0.0, 100.0), "mean": 50.0, "sd": 25.0, "patch": (8, 8), "batch": 2, "divisor": (2, 2),
        "step_gb": 0.0, "fingerprint": marks,
    }  # fmt: skip
    return Plan(**{**plain, **changes})


def toy_case(name: str = "p/s", shape: tuple[int, int, int] = (5, 20, 24), *, lesion: bool = True) -> TrainingCase:
    """A prepared case, (slices, rows, columns), whose values tell the place: 10,000 slices + 100 rows + columns."""
    slices, rows, columns = np.indices(shape)
    labels = np.zeros(shape, dtype=np.uint8)
    if lesion:
        labels[2:4, 5:9, 14:20] = 2
    x, y, z = shape[::-1]
    return TrainingCase(
        name=name,
        array_zyx=(10_000 * slices + 100 * rows + columns).astype(np.float32),
        labels_zyx=labels,
        grid=Grid(shape=(x, y, z), affine_ras=np.diag([-1.0, -1.0, 1.0, 1.0])),
    )


def make_toy(root: Path, patients: int = 6, *, bone: bool = False) -> Toy:
    """Write a cohort. Every patient has a body of bone; all but the last have a lesion in it."""
    toy = Toy(root, tuple(f"p{number}" for number in range(patients)))
    for number, patient in enumerate(toy.patients):
        write_patient(toy, patient, np.random.default_rng(number), lesion=number < patients - 1, bone=bone)
    write_tables(toy)
    return toy


def write_patient(toy: Toy, patient: str, rng: np.random.Generator, *, lesion: bool, bone: bool = False) -> None:
    at = (*rng.uniform(10, 21, 2), rng.uniform(2, 3))
    body, spot = sphere(SHAPE, (15.5, 15.5, 2.5), 26.0), sphere(SHAPE, at, 9.0)
    array = rng.normal(0.0, 20.0, SHAPE) + BONE_HU * body
    if lesion:
        array[spot] += LESION_HU - BONE_HU
    drawn = {"lesion": spot} if lesion else {}
    write_session(toy, patient, array.astype(np.int16), {**drawn, **({"bone": body} if bone else {})})


def write_session(
    toy: Toy,
    patient: str,
    array: np.ndarray,
    masks: dict[str, np.ndarray],
    *,
    units: str = "HU",
    affine: np.ndarray = AFFINE,
) -> None:
    """One session `s` with an image `ct` and its masks."""
    image_folder, mask_folder = toy.root / "images" / patient, toy.root / "masks" / patient
    write_nifti(image_folder / "s/ct.nii.gz", array, affine)
    image = {
        "session": "s", "image": "ct", "path": "s/ct.nii.gz", "units": units,
        "sha256": sha256_file(image_folder / "s/ct.nii.gz"),
    }  # fmt: skip
    write_json(image_folder / "images.json", {"cohort": "c", "patient": patient, "images": [image]})
    entries = []
    for roi, mask in masks.items():
        path = f"s/ct/{roi}-1.nii.gz"
        write_nifti(mask_folder / path, mask.astype(np.uint8), affine)
        entries.append(
            {
                "session": "s",
                "image": "ct",
                "roi": roi,
                "lesion": 1,
                "path": path,
                "sha256": sha256_file(mask_folder / path),
                "voxels": int(mask.sum()),
            }
        )
    write_json(mask_folder / "masks.json", {"cohort": "c", "patient": patient, "set": "manual", "masks": entries})


def write_tables(toy: Toy) -> None:
    """samples.parquet, and splits.parquet with one fold: the first patient is tested, the others learned from."""
    samples = [
        {"cohort": "c", "patient": p, "session": "s", "roi": "lesion", "lesion": 1, "sample": f"x{p}",
         "mask_set": "manual", "site": "", "outcome": 0}
        for p in toy.patients
    ]  # fmt: skip
    write_parquet(toy.root / "samples.parquet", table_from_rows(samples, SAMPLES))
    splits = [
        {"cohort": "c", "analysis": "toy", "procedure": "nested", "repeat": 1, "fold": 1, "inner_fold": -1,
         "patient": p, "sample": f"x{p}", "part": "test" if p == toy.patients[0] else "train"}
        for p in toy.patients
    ]  # fmt: skip
    write_parquet(toy.root / "splits.parquet", table_from_rows(splits, SPLITS))


def steps_taken(counter: Path) -> int:
    """Steps of the optimiser that `train_and_die` counted."""
    return len(counter.read_text()) if counter.exists() else 0


def train_and_die(
    job: dict[str, Any], counter: Path, die_at: int | None = None, in_checkpoint: int | None = None
) -> None:
    """Train in a process of its own; counter : a byte a step.

    Killed with SIGKILL after step `die_at` of this process, or in checkpoint `in_checkpoint` of it, when the temporary
    file is whole and not yet renamed.
    """
    from osteorad.segmentation import checkpoint, job_train, learner

    learn, replace, checkpoints = learner.Training.learn, os.replace, itertools.count(1)

    def counted(self: Any, batch: Any) -> None:
        learn(self, batch)
        with counter.open("a") as stream:
            stream.write(".")
        if die_at is not None and next(steps) == die_at:
            os.kill(os.getpid(), signal.SIGKILL)

    def interrupted(source: Any, target: Any) -> None:
        if Path(target).name == checkpoint.LAST and next(checkpoints) == in_checkpoint:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)

    steps = itertools.count(1)
    learner.Training.learn = counted  # type: ignore[method-assign]
    checkpoint.os.replace = interrupted  # type: ignore[attr-defined]
    job_train.train_job(**job)


def in_a_process(arguments: tuple[Any, ...], *, send: tuple[signal.Signals, Path, int] | None = None) -> int:
    """Run `train_and_die` in a fresh process that has torch loaded already; its exit code.

    send : a signal that the process gets when `counter` holds so many steps.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["osteorad.segmentation.job_train"])
    child = context.Process(target=train_and_die, args=arguments)
    child.start()
    if send is not None:
        number, counter, wanted = send
        while steps_taken(counter) < wanted and child.is_alive():
            time.sleep(0.005)
        os.kill(child.pid or 0, number)
    child.join(120)
    assert child.exitcode is not None
    return child.exitcode
