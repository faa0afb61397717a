"""The jobs of an external validation. Paths in, files out; their scripts call these and nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.files import read_json, read_parquet, write_json, write_parquet
from osteorad.modelling.external import apply_bundle


def apply_job(
    *, bundle: Path, samples: Path, params: Mapping[str, Any], out_predictions: Path, out_outside: Path
) -> None:
    """Apply a bundle to the samples of another cohort; write its predictions and how far they lie outside its range.

    Raises AnalysisRefused where the bundle does not fit; nothing is written then.
    """
    recipe, settings = Recipe.model_validate(params["recipe"]), Analysis.model_validate(params["settings"])
    applied = apply_bundle(
        read_json(bundle), read_parquet(samples), recipe, analysis=params["name"], cohort=settings.cohort
    )
    write_parquet(out_predictions, applied.predictions)
    write_json(out_outside, applied.outside)
