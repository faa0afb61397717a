"""The job that audits an analysis. Paths in, files out; its script calls this and nothing else.

A module of its own, so that a change elsewhere in the room does not run this job again (contract 9).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.files import read_json, read_parquet, write_json
from osteorad.modelling.auditing.certificate import audit_analysis
from osteorad.modelling.auditing.tables import AuditTables


def audit_job(
    *,
    samples: Path,
    splits: Path,
    predictions: Path,
    steps: Path,
    selection: Path,
    lineage: Path,
    params: Mapping[str, Any],
    out: Path,
) -> None:
    """Audit an analysis and write the certificate."""
    recipe, settings = Recipe.model_validate(params["recipe"]), Analysis.model_validate(params["settings"])
    tables = AuditTables(
        samples=read_parquet(samples),
        splits=read_parquet(splits),
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
