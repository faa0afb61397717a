"""The job that evaluates an analysis. Paths in, files out; its script calls this and nothing else.

A module of its own, so that a change elsewhere in the room does not run this job again (contract 9).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.files import read_parquet, write_json
from osteorad.modelling.evaluation.evaluate import Tables, evaluate
from osteorad.modelling.fold_files import read_fold_samples


def evaluate_job(
    *,
    predictions: Path,
    selection: Path,
    samples: Path,
    params: Mapping[str, Any],
    out: Path,
    fold_samples: Sequence[Path] = (),
) -> None:
    """Evaluate an analysis and write all numbers of its page.

    fold_samples : where networks draw inside each fold, the samples of every fold.
    """
    tables = Tables(
        predictions=read_parquet(predictions),
        selection=read_parquet(selection),
        samples=read_parquet(samples),
        folds=read_fold_samples(fold_samples),
    )
    recipe, settings = Recipe.model_validate(params["recipe"]), Analysis.model_validate(params["settings"])
    write_json(out, evaluate(tables, recipe=recipe, settings=settings, analysis=params["name"]))
