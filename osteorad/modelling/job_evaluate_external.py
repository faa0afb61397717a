"""The job that evaluates an external validation. Paths in, files out; its script calls this and nothing else.

A module of its own, so that a change of the evaluation does not apply the bundle again (contract 9).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.files import read_json, read_parquet, write_json
from osteorad.modelling.evaluation.external import evaluate_external


def evaluate_external_job(
    *, predictions: Path, samples: Path, bundle: Path, outside: Path, params: Mapping[str, Any], out: Path
) -> None:
    """Evaluate the predictions of a frozen bundle and write all numbers of their page."""
    evaluation = evaluate_external(
        read_parquet(predictions),
        read_parquet(samples),
        bundle=read_json(bundle),
        outside=read_json(outside),
        recipe=Recipe.model_validate(params["recipe"]),
        settings=Analysis.model_validate(params["settings"]),
        analysis=params["name"],
    )
    write_json(out, evaluation)
