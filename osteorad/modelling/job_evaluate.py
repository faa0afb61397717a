"""The job that evaluates an analysis. Paths in, files out; its script calls this and nothing else.

A module of its own, so that a change elsewhere in the room does not run this job again (contract 9).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis, Recipe
from osteorad.files import read_parquet, write_json
from osteorad.modelling.evaluation.evaluate import evaluate


def evaluate_job(*, predictions: Path, selection: Path, params: Mapping[str, Any], out: Path) -> None:
    """Evaluate an analysis from its predictions and write all numbers of its page."""
    recipe, settings = Recipe.model_validate(params["recipe"]), Analysis.model_validate(params["settings"])
    evaluation = evaluate(
        read_parquet(predictions),
        read_parquet(selection),
        analysis=params["name"],
        cohort=settings.cohort,
        outcome_label=settings.outcome_label,
        bootstrap=recipe.bootstrap,
    )
    write_json(out, evaluation)
