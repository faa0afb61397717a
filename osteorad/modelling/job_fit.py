"""The job that fits an analysis. Paths in, files out; its script calls this and nothing else.

A module of its own, so that a change elsewhere in the room does not run this job again (contract 9).
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.files import json_text, read_parquet, write_json, write_parquet, write_text
from osteorad.modelling.fold_files import read_fold_masks, read_fold_samples
from osteorad.modelling.learning.run import fit_analysis
from osteorad.provenance import sha256_bytes


def fit_job(
    *,
    samples: Path,
    splits: Path,
    params: Mapping[str, Any],
    fold_samples: Sequence[Path] = (),
    masks: Sequence[Path] = (),
    networks: Sequence[Path] = (),
    out_predictions: Path,
    out_steps: Path,
    out_selection: Path,
    out_lineage: Path,
    out_models: Path,
) -> None:
    """Fit an analysis and write its tables, its lineage and a folder with a record of each fold's chosen model.

    params : name, settings and recipe of the analysis, as `cohort.plan.Plan.analysis_params` gives them. fold_samples,
    masks, networks : where networks draw inside each fold, the samples of every fold, the manifests of its masks and
    the records of its networks.
    """
    recipe, settings = Recipe.model_validate(params["recipe"]), Analysis.model_validate(params["settings"])
    fitted = fit_analysis(
        read_parquet(samples),
        read_parquet(splits),
        recipe,
        analysis=params["name"],
        cohort=settings.cohort,
        fold_samples=read_fold_samples(fold_samples),
        masks=read_fold_masks(masks, networks),
    )
    write_parquet(out_predictions, fitted.predictions)
    write_parquet(out_steps, fitted.steps)
    write_parquet(out_selection, fitted.selection)
    _write_models(out_models, fitted.models)
    write_json(out_lineage, fitted.lineage)


def _write_models(folder: Path, models: Mapping[str, Mapping[str, Any]]) -> None:
    """One JSON a fold and a manifest, in a folder that holds nothing else."""
    shutil.rmtree(folder, ignore_errors=True)
    files = []
    for name, record in sorted(models.items()):
        text = json_text(record)
        write_text(folder / f"{name}.json", text)
        files.append({"path": f"{name}.json", "sha256": sha256_bytes(text.encode()), "model": record["model"]})
    write_json(folder / "models.json", {"files": files})
