"""The job that audits an analysis. Paths in, files out; its script calls this and nothing else.

A module of its own, so that a change elsewhere in the room does not run this job again (contract 9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.files import read_json, read_parquet, write_json
from osteorad.modelling.auditing.certificate import audit_analysis
from osteorad.modelling.auditing.tables import AuditTables
from osteorad.modelling.fold_files import read_fold_masks, read_fold_samples
from osteorad.modelling.learning.drawn import fold_tables


def audit_job(
    *,
    samples: Path,
    splits: Path,
    predictions: Path,
    steps: Path,
    selection: Path,
    lineage: Path,
    params: Mapping[str, Any],
    fold_samples: Sequence[Path] = (),
    masks: Sequence[Path] = (),
    networks: Sequence[Path] = (),
    out: Path,
) -> None:
    """Audit an analysis and write the certificate. fold_samples, masks, networks : as in `job_fit.fit_job`."""
    recipe, settings = Recipe.model_validate(params["recipe"]), Analysis.model_validate(params["settings"])
    base, parts = read_parquet(samples), read_parquet(splits)
    tables = AuditTables(
        samples=base,
        splits=parts,
        folds=fold_tables(base, read_fold_samples(fold_samples), parts, recipe).folds,
        masks=read_fold_masks(masks, networks),
        predictions=read_parquet(predictions),
        steps=read_parquet(steps),
        selection=read_parquet(selection),
        lineage=read_json(lineage),
        recipe=recipe,
        analysis=params["name"],
        window_days=settings.image_window_days,
    )
    certificate = audit_analysis(tables, cohort=settings.cohort)
    write_json(out, certificate)
