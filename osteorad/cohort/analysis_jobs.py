"""Jobs that prepare an analysis: samples and splits. Paths in, files out; scripts call these and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.samples import NO_CLINICAL, CohortTables, make_samples
from osteorad.cohort.splits import analysis_splits, refuse_fewer_folds
from osteorad.files import read_parquet, write_json, write_parquet
from osteorad.provenance import sha256_file


def samples_job(
    *,
    features: Path,
    reasons: Path,
    patients: Path,
    series: Path,
    clinical: Path | None,
    params: Mapping[str, Any],
    out_samples: Path,
    out_set_aside: Path,
    out_flow: Path,
    lesions: Path | None = None,
    second: Path | None = None,
    shuffled: Path | None = None,
) -> None:
    """Pair features with outcomes and write samples, what was set aside, and the flow.

    clinical, lesions, second, shuffled : None where the cohort or the recipe has none (`cohort.samples.CohortTables`).
    params : name, settings, recipe and max_quarantined, as `cohort.plan.Plan.analysis_params` gives them.
    Raises AnalysisRefused where the cohort does not allow the analysis; nothing is written then.
    """
    settings = Analysis.model_validate(params["settings"])
    paths = {"features": features, "reasons": reasons, "patients": patients, "series": series, "clinical": clinical}
    more = {"lesions": lesions, "second": second, "shuffled": shuffled}
    given = {name: path for name, path in {**paths, **more}.items() if path is not None}
    tables = {"clinical": NO_CLINICAL, **{name: read_parquet(path) for name, path in given.items()}}
    made = make_samples(
        CohortTables(**tables, inputs={f"{name}.parquet": sha256_file(path) for name, path in given.items()}),
        cohort=settings.cohort,
        analysis=params["name"],
        recipe=Recipe.model_validate(params["recipe"]),
        settings=settings,
        max_quarantined=params["max_quarantined"],
    )
    write_parquet(out_samples, made.table)
    write_parquet(out_set_aside, made.set_aside)
    write_json(out_flow, made.flow)


def splits_job(*, samples: Path, params: Mapping[str, Any], out: Path) -> None:
    """Divide the patients of an analysis and write the splits; where the paper's own procedure is replayed, its too."""
    recipe, settings = Recipe.model_validate(params["recipe"]), Analysis.model_validate(params["settings"])
    published = recipe.published if params["as_published"] else None
    names = {"analysis": params["name"], "cohort": settings.cohort}
    splits = analysis_splits(read_parquet(samples), recipe.splits, **names, published=published)
    if recipe.segmentation is not None:
        refuse_fewer_folds(splits, recipe.splits, params["name"])
    write_parquet(out, splits)
