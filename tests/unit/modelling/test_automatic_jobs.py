"""Jobs of an analysis on automatic masks, through files alone: fit, audit, evaluation, bundle."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from threadpoolctl import threadpool_limits

from osteorad.cohort.config import Analysis
from osteorad.errors import UserError
from osteorad.files import read_json, read_parquet, write_json, write_parquet
from osteorad.modelling.auditing.networks import check_networks
from osteorad.modelling.fold_files import read_fold_masks, read_fold_samples
from osteorad.modelling.job_audit import audit_job
from osteorad.modelling.job_evaluate import evaluate_job
from osteorad.modelling.job_fit import fit_job
from osteorad.modelling.job_freeze import freeze_job
from osteorad.provenance import sha256_file
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT
from tests.unit.modelling.automatic_toy import Automatic, automatic_toy


def run(toy: Automatic) -> None:
    folder = toy.folder
    paths = {name: folder / f"{name}.parquet" for name in ("samples", "splits", "predictions", "steps", "selection")}
    write_parquet(paths["samples"], toy.base)
    write_parquet(paths["splits"], toy.splits)
    settings = Analysis(cohort=COHORT, recipe="toy", outcome_label="progression").model_dump(mode="json")
    params = {"name": ANALYSIS, "settings": settings, "recipe": toy.recipe.model_dump(mode="json")}
    two = {name: paths[name] for name in ("samples", "splits")}
    drawn = {
        "fold_samples": [toy.samples_path(*key) for key in toy.folds],
        "masks": [toy.masks_path(*key) for key in toy.folds],
        "networks": [toy.network_path(*key) for key in toy.records],
    }
    outs = {f"out_{name}": paths[name] for name in ("predictions", "steps", "selection")}
    lineage = folder / "lineage.json"
    fit_job(**two, **drawn, **outs, params=params, out_lineage=lineage, out_models=folder / "models")
    audit_job(**paths, **drawn, lineage=lineage, params=params, out=folder / "audit.json")
    evaluate_job(
        **{name: paths[name] for name in ("predictions", "selection", "samples")},
        params=params,
        out=folder / "evaluation.json",
        fold_samples=drawn["fold_samples"],
    )
    freeze_job(**two, params=params, out=folder / "bundle.json")


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Automatic:
    toy = automatic_toy(tmp_path_factory.mktemp("automatic"))
    run(toy)
    return toy


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """As in a job."""
    with threadpool_limits(1):
        yield


def test_jobs_give_the_same_bytes_twice(done, tmp_path):
    again = automatic_toy(tmp_path)
    run(again)
    files = [sorted(path for path in toy.folder.rglob("*") if path.is_file()) for toy in (done, again)]
    hashes = [
        {str(path.relative_to(toy.folder)): sha256_file(path) for path in found}
        for toy, found in zip((done, again), files, strict=True)
    ]
    assert hashes[0] == hashes[1]


def test_the_audit_of_the_files_passes(done):
    checks = {row["code"]: row for row in read_json(done.folder / "audit.json")["checks"]}
    assert {code for code, row in checks.items() if row["verdict"] != "pass"} == {"A4"}  # no permutations
    assert checks["A5"]["looked_at"].endswith("in 3 folds")
    assert checks["A13"]["evidence"][2].startswith("r1f3: 2 networks")


def test_a_record_that_tells_of_a_test_patient_fails_the_audit_though_the_lineage_is_silent(done, tmp_path):
    """The run's own lineage was written before; the audit reads the network's record itself."""
    toy = automatic_toy(tmp_path)
    test = next(entry["patient"] for entry in toy.manifests[(1, 1)]["patients"] if entry["role"] == "external")
    toy.records[(1, 1, 1)]["patients_trained"].append(test)
    toy.write()
    masks = read_fold_masks(_masks(toy), [toy.network_path(*key) for key in toy.records])
    found = check_networks(toy.audit_tables(_Left(done.folder), masks=masks))
    assert f"network/r1f1i1/unet drew test patient {test}, whom it saw in training" in found.evidence


class _Left:
    """What a run left in a folder, as `Fitted` holds it."""

    def __init__(self, folder: Path) -> None:
        for name in ("predictions", "steps", "selection"):
            setattr(self, name, read_parquet(folder / f"{name}.parquet"))
        self.lineage = read_json(folder / "lineage.json")


def _masks(toy: Automatic) -> list[Path]:
    return [toy.masks_path(*key) for key in toy.folds]


def test_the_evaluation_counts_features_over_all_folds_and_tells_of_networks_and_icc(done):
    found = read_json(done.folder / "evaluation.json")
    told = found["automatic"]
    assert (told["network"], told["reference"], told["folds"]) == ("unet", "manual", 3)
    assert (told["regions"], told["undrawn"]) == (90, 3)
    selection = read_parquet(done.folder / "selection.parquet").to_pylist()
    for row in told["icc"]["folds"]:
        left = sum(entry["step"] == "icc" for entry in selection if entry["fold"] == row["fold"])
        assert row["compared"] == 41  # 40 features and the volume
        assert row["kept"] == 41 - left
        assert left >= 8  # every fifth is hardly repeatable
    missing = found["missing"]["features"]
    assert missing == {"columns": 82, "with_missing": 41, "values": 41 * 30 + 41 * 90, "missing": 41 * 3}
    volume = [row for row in found["table_one"]["rows"] if row["variable"].endswith("VoxelVolume")]
    assert [row["variable"] for row in volume] == ["ct@manual.original_shape_VoxelVolume"]
    size = {row["variables"]: row["parameters"] for row in found["sample_size"]["rows"]}
    assert size["radiomics"] == 41
    assert read_json(done.folder / "bundle.json")["state"] == "refused"


def test_files_in_the_folder_of_another_fold_stop(done, tmp_path):
    swapped = tmp_path / "folds" / "r1f1" / "samples.parquet"
    swapped.parent.mkdir(parents=True)
    shutil.copy(done.samples_path(1, 2), swapped)
    with pytest.raises(UserError, match="holds samples of r1f2"):
        read_fold_samples([swapped])


def test_two_networks_of_one_inner_fold_and_networks_without_masks_stop(done):
    networks = [done.network_path(*key) for key in done.records]
    with pytest.raises(UserError, match="another network of"):
        read_fold_masks(_masks(done), [*networks, networks[0]])
    with pytest.raises(UserError, match="drew no masks of this analysis"):
        read_fold_masks(_masks(done)[1:], networks)


def test_a_patient_of_validation_was_seen(done, tmp_path):
    path = tmp_path / "network.json"
    write_json(path, {**done.records[(1, 1, 1)], "patients_trained": ["a"], "patients_validation": ["b"]})
    assert read_fold_masks([done.masks_path(1, 1)], [path])[0].networks[0].seen == {"a", "b"}
