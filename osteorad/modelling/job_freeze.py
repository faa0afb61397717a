"""The job that freezes the procedure of an analysis. Paths in, files out; its script calls this and nothing else.

A module of its own, so that a change elsewhere in the room does not run this job again (contract 9).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.files import read_parquet, write_json
from osteorad.modelling.learning.bundle import freeze


def freeze_job(*, samples: Path, splits: Path, params: Mapping[str, Any], out: Path) -> None:
    """Fit the procedure once on all patients and write the bundle."""
    recipe, settings = Recipe.model_validate(params["recipe"]), Analysis.model_validate(params["settings"])
    table, parts = read_parquet(samples), read_parquet(splits)
    write_json(out, freeze(table, parts, recipe, analysis=params["name"], cohort=settings.cohort))
