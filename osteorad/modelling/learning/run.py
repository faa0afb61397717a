"""Fit an analysis: every plan in every outer fold, and the tables that record it."""

from __future__ import annotations

import json
import logging
import time
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from osteorad.cohort.config import Recipe
from osteorad.cohort.splits import folds_of
from osteorad.errors import ConfigError, unknown_name
from osteorad.modelling.learning.lineage import fold_name, lineage_graph
from osteorad.modelling.learning.models import REGISTRY
from osteorad.modelling.learning.nested import FoldFit, fit_fold
from osteorad.modelling.learning.plans import plans_of
from osteorad.modelling.learning.records import Run, model_record, predictions_table, selection_table, steps_table

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What fitting an analysis leaves: tables of contract 5 and 6, and a record of each fold's chosen model by name."""

    predictions: pa.Table
    steps: pa.Table
    selection: pa.Table
    lineage: dict[str, Any]
    models: dict[str, dict[str, Any]]


def fit_analysis(samples: pa.Table, splits: pa.Table, recipe: Recipe, *, analysis: str, cohort: str) -> Fitted:
    """Fit the recipe and its baselines over stored splits, nested, single-threaded.

    samples : schemas.SAMPLES with features. splits : schemas.SPLITS.
    Raises ConfigError for an unknown model or step.
    """
    if unknown := [name for name in recipe.models if name not in REGISTRY]:
        raise ConfigError([unknown_name("model", name, REGISTRY, "recipe: models") for name in unknown])
    run = Run(cohort=cohort, analysis=analysis)
    fits = fit_folds(samples, splits, recipe, analysis=analysis)
    outcome = dict(zip(samples["sample"].to_pylist(), samples["outcome"].to_pylist(), strict=True))
    return Fitted(
        predictions=predictions_table(run, fits, outcome),
        steps=steps_table(run, fits),
        selection=selection_table(run, fits),
        lineage=lineage_graph(run, fits, samples=samples, splits=splits, inputs=_inputs(samples)),
        models={
            fold_name(fit.repeat, fit.fold): model_record(run, fit) for fit in fits if fit.plan.variables == "radiomics"
        },
    )


def fit_folds(samples: pa.Table, splits: pa.Table, recipe: Recipe, *, analysis: str) -> list[FoldFit]:
    """Every plan in every outer fold, in order; logs progress and the time that is left."""
    plans = plans_of(recipe, samples)
    folds = folds_of(splits)
    fits: list[FoldFit] = []
    start = time.monotonic()
    with threadpool_limits(1):
        for done, (repeat, fold) in enumerate(folds, 1):
            fits += [
                fit_fold(samples, splits, plan, recipe=recipe, analysis=analysis, repeat=repeat, fold=fold)
                for plan in plans
            ]
            spent = time.monotonic() - start
            left = spent / done * (len(folds) - done)
            log.info("fold %d of %d (%s) in %.1f s, about %.0f s left", done, len(folds), fits[-1].fold, spent, left)
    return fits


def _inputs(samples: pa.Table) -> dict[str, str]:
    """Hashes of the files that the samples were made from, which their table carries."""
    stored = (samples.schema.metadata or {}).get(b"inputs", b"{}")
    return {str(name): str(value) for name, value in json.loads(stored).items()}
