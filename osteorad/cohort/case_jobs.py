"""The job that prepares a segmentation analysis: cases and their division. Paths in, files out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad.cohort.cases import Manifests, make_cases
from osteorad.cohort.segmentation import SegmentationRecipe
from osteorad.cohort.splits import case_splits
from osteorad.cohort.verdicts import Verdicts
from osteorad.files import read_json, read_parquet, write_json, write_parquet


def cases_job(
    *,
    patients: Path,
    series: Path,
    images: Sequence[Path],
    masks: Sequence[Path],
    params: Mapping[str, Any],
    rejected: Verdicts,
    out_samples: Path,
    out_splits: Path,
    out_set_aside: Path,
    out_flow: Path,
) -> None:
    """Write cases, their division, what was set aside, and the flow.

    images, masks : the manifests of every patient. params : analysis, cohort and recipe, as
    `cohort.network_plan.NetworkPlan.case_params` gives them. Raises AnalysisRefused where too few patients are left.
    """
    recipe = SegmentationRecipe.model_validate(params["recipe"])
    drawn = {manifest["patient"]: manifest for manifest in map(read_json, masks)}
    manifests = {
        manifest["patient"]: Manifests(images=manifest, masks=drawn[manifest["patient"]])
        for manifest in map(read_json, images)
    }
    names = {"analysis": params["analysis"], "cohort": params["cohort"]}
    made = make_cases(
        read_parquet(patients), read_parquet(series), manifests, **names, recipe=recipe, rejected=rejected
    )
    write_parquet(out_samples, made.table)
    write_parquet(out_splits, case_splits(made.table, recipe.splits, **names))
    write_parquet(out_set_aside, made.set_aside)
    write_json(out_flow, made.flow)
