"""The toy analysis of networks that `config.yaml` holds, run to its end: do its networks find what was drawn?

Digital patients are easy: that the U-Net passes shows that the way is whole, from contours to scores. The narrow
network with two decoders costs three times as much a step; in the time that it is given it learns half of it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from osteorad.cohort.segmentation import PredictionSettings, TrainingSettings
from osteorad.files import read_json
from osteorad.images.volume import Volume, read_nifti
from osteorad.segmentation.draw import draw
from osteorad.segmentation.infer import TrainedNetwork, machine_for_drawing
from osteorad.segmentation.numerics import numerics
from osteorad.segmentation.weights import load_network
from tests.workflow.snake import ROOT, snakemake, working_folder

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
ANALYSIS = "results/analyses/bm-seg"
NETWORKS, ROLES = ("hybrid", "unet"), ("out_of_fold", "external")
FOLDS = 5
HEALTHY = 10
Row = dict[str, Any]


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Path:
    """A finished run of the analysis as it stands in the configuration."""
    folder = working_folder(tmp_path_factory.mktemp("toy"), ROOT / "config.yaml")
    done = snakemake(folder, "--cores", "2", f"{ANALYSIS}/report.html")
    assert done.returncode == 0, done.stdout[-4000:]
    return folder


def score(toy: Path, network: str, role: str, procedure: str) -> Row:
    """Scores of lesions."""
    rows = read_json(toy / ANALYSIS / "scores" / network / "scores.json")["scores"]
    found = [r for r in rows if (r["roi"], r["role"], r["procedure"]) == ("lesion", role, procedure)]
    assert len(found) == 1
    return dict(found[0])


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("role", ROLES)
def test_lesions_are_drawn_better_than_by_a_threshold(toy, network, role):
    learned, plain = (score(toy, network, role, procedure) for procedure in ("network", "threshold"))
    assert learned["dice"]["estimate"] > plain["dice"]["estimate"]
    assert learned["lesions"]["sensitivity"]["estimate"] > plain["lesions"]["sensitivity"]["estimate"]


@pytest.mark.parametrize("role", ROLES)
def test_the_small_unet_finds_lesions_and_draws_them(toy, role):
    found = score(toy, "unet", role, "network")
    assert found["dice"]["estimate"] > 0.8
    assert found["lesions"]["sensitivity"]["estimate"] > 0.85
    assert found["false_positives"]["per_case"]["estimate"] <= 1


@pytest.mark.parametrize("network", NETWORKS)
def test_almost_nothing_is_found_in_healthy_patients(toy, network):
    """By the ensemble: none of its networks saw them."""
    state = "results/.state/patients/phantom-healthy.json"
    patients = read_json(toy / state)["patients"][:HEALTHY]
    manifests = [f"results/cohorts/phantom-healthy/images/{patient}/images.json" for patient in patients]
    done = snakemake(toy, "--cores", "2", *manifests)
    assert done.returncode == 0, done.stdout[-4000:]
    folders = [toy / ANALYSIS / f"folds/r1f1/networks/{network}/i{inner}" for inner in range(1, FOLDS + 1)]
    loaded = [load_network(folder) for folder in folders]
    trained = [
        TrainedNetwork(inner_fold=inner, module=module, plan=plan, record=record)
        for inner, (module, plan, record) in enumerate(loaded, start=1)
    ]
    told = read_json(toy / ANALYSIS / f"folds/r1f1/masks/{network}/masks.json")
    prediction, training = PredictionSettings(**told["prediction"]), TrainingSettings()
    machine = machine_for_drawing(training, 1)
    found = []
    with numerics(machine, training):
        for manifest in manifests:
            entry = next(e for e in read_json(toy / manifest)["images"] if e["image"] == "ct")
            array, grid = read_nifti((toy / manifest).parent / entry["path"])
            volume = Volume(array=array, grid=grid, units=entry["units"])
            found.append(len(draw(volume, trained, machine, prediction).lesions))
    assert sum(found) / len(found) <= 0.2, found
