"""A network learns from slices that were saved as pictures: from the three folders to the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from osteorad.files import read_json
from tests.workflow.snake import planned, snakemake, working_folder

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
PATIENTS, SLICES, EDGE = 10, 6, 96
CONFIG = """\
title: Slices
cohorts:
  pictures:
    source: slices
    slices: {path: data, manifest: slices.tsv}
    cutoff: '2026-05-31'
analyses:
  draw:
    cohort: pictures
    recipe: afnouch2023
    overrides:
      segmentation:
        run: [unet]
        networks: {unet: {network: unet2d_tiny}}
        plan: {patch: [64, 64], batch: 8}
        training: {epochs: 3, steps: 60, optimiser: adamw, schedule: one-cycle, learning_rate: 0.004}
      splits: {folds: 2}
      scoring: {bootstrap: 200}
"""


def drawn_slice(rng: np.random.Generator, lesion: bool) -> dict[str, np.ndarray]:
    """A bright ring with marrow, and a dark hole or a bright spot in it."""
    y, x = np.mgrid[:EDGE, :EDGE]
    far = np.hypot(y - EDGE / 2 + rng.uniform(-6, 6), x - EDGE / 2 + rng.uniform(-6, 6))
    bone = far < 26
    spot = np.hypot(y - EDGE / 2 - rng.uniform(-9, 9), x - EDGE / 2 - rng.uniform(-9, 9)) < rng.uniform(5, 8)
    spot &= bone & lesion
    values = np.where(bone, np.where(far > 22, 200.0, 130.0), 70.0) + rng.normal(0, 8, far.shape)
    values[spot] = rng.choice([60.0, 235.0])
    as_mask = {name: np.where(mask, 255, 0) for name, mask in (("lesion mask", spot), ("bone mask", bone))}
    return {name: np.clip(array, 0, 255).astype(np.uint8) for name, array in {"image": values, **as_mask}.items()}


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A finished run."""
    base = tmp_path_factory.mktemp("slices")
    (base / "config.yaml").write_text(CONFIG, encoding="utf-8")
    folder = working_folder(base / "run", base / "config.yaml")
    rng = np.random.default_rng(5)
    rows = ["slice\tpatient\torder"]
    for patient in range(PATIENTS):
        for number in range(SLICES):
            name = f"p{patient}_{number}"
            rows.append(f"{name}\tp{patient}\t{number}")
            for kind, array in drawn_slice(rng, number in (2, 3)).items():
                path = folder / "data" / kind / f"{name}.{'jpg' if kind == 'image' and number % 2 else 'png'}"
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(array).save(path)
    (folder / "slices.tsv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    return folder


def test_the_network_learned_something(trained):
    """Chance draws nothing right; lengths and volumes are not told, since nobody knows the size of a pixel."""
    rows = read_json(trained / "results/analyses/draw/scores/unet/scores.json")["scores"]
    bone = [row for row in rows if row["roi"] == "bone" and row["procedure"] == "network"]
    assert {row["role"] for row in bone} == {"out_of_fold", "external"}
    for row in bone:
        assert row["dice"]["estimate"] > 0.7
    assert {row["procedure"] for row in rows} == {"network"}
    assert {row[name]["estimate"] for row in rows for name in ("hd95_mm", "volume_error_ml")} == {None}


def test_every_patient_is_on_the_page(trained):
    manifest = read_json(trained / "results/analyses/draw/folds/r1f1/masks/unet/masks.json")
    assert len(manifest["patients"]) == PATIENTS
    page = (trained / "results/analyses/draw/report.html").read_text()
    assert page.rstrip().endswith("</html>")


def test_a_second_run_does_nothing(trained):
    assert planned(trained) == {}
