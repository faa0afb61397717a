"""Fit an analysis: every plan in every outer fold, controls, the paper's own order, and the tables that record it."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
from threadpoolctl import threadpool_limits

from osteorad.cohort.recipe import Recipe
from osteorad.cohort.splits import AS_PUBLISHED, folds_of
from osteorad.errors import ConfigError, unknown_name
from osteorad.modelling.learning.controls import permuted_fits, shuffled_fits
from osteorad.modelling.learning.lineage import fold_name, lineage_graph
from osteorad.modelling.learning.models import REGISTRY
from osteorad.modelling.learning.nested import FoldFit, fit_fold
from osteorad.modelling.learning.plans import COMBINED, RADIOMICS, Plan, plans_of, with_radscore
from osteorad.modelling.learning.published import published_controls, published_fits
from osteorad.modelling.learning.records import (
    Run,
    controls_table,
    model_record,
    predictions_table,
    selection_table,
    steps_table,
)

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
    """Fit the recipe, its baselines and its controls over stored splits, single-threaded.

    The paper's own order is replayed where the splits hold rows of that procedure.
    samples : schemas.SAMPLES with features. splits : schemas.SPLITS.
    Raises ConfigError for an unknown model or step.
    """
    if unknown := [name for name in recipe.models if name not in REGISTRY]:
        raise ConfigError([unknown_name("model", name, REGISTRY, "recipe: models") for name in unknown])
    plans = plans_of(recipe, samples)
    outcome = dict(zip(samples["sample"].to_pylist(), samples["outcome"].to_pylist(), strict=True))
    run = Run(cohort=cohort, analysis=analysis)
    with threadpool_limits(1):
        fits = fit_folds(samples, splits, recipe, analysis=analysis)
        log.info("%d permuted outcomes, by the cheap procedure", recipe.controls.permutations)
        controls = permuted_fits(samples, splits, plans[0], recipe=recipe, analysis=analysis)
        controls += shuffled_fits(samples, splits, plans[0], recipe=recipe, analysis=analysis)
    graph = lineage_graph(run, fits, samples=samples, splits=splits, inputs=_inputs(samples))
    nested = Fitted(
        predictions=pa.concat_tables([predictions_table(run, fits, outcome), controls_table(run, controls)]),
        steps=steps_table(run, fits),
        selection=selection_table(run, fits),
        lineage={**graph, "as_published": None},
        models={
            fold_name(fit.repeat, fit.fold): model_record(run, fit) for fit in fits if fit.plan.variables == RADIOMICS
        },
    )
    if recipe.published is None or not folds_of(splits, procedure=AS_PUBLISHED):
        return nested
    return _with_published(nested, samples, splits, plans, recipe, outcome, analysis=analysis, cohort=cohort)


def _with_published(
    nested: Fitted,
    samples: pa.Table,
    splits: pa.Table,
    plans: Sequence[Plan],
    recipe: Recipe,
    outcome: dict[str, int],
    *,
    analysis: str,
    cohort: str,
) -> Fitted:
    """The tables with the rows of the paper's own order added; its selection and models are not kept."""
    log.info("the paper's own order of steps, leaks included")
    run = Run(cohort=cohort, analysis=analysis, procedure=AS_PUBLISHED)
    with threadpool_limits(1):
        fits = published_fits(samples, splits, plans, recipe=recipe, analysis=analysis)
        controls = published_controls(samples, splits, plans[0], recipe=recipe, analysis=analysis)
    tables = [nested.predictions, predictions_table(run, fits, outcome), controls_table(run, controls)]
    graph = lineage_graph(run, fits, samples=samples, splits=splits, inputs=_inputs(samples))
    return Fitted(
        predictions=pa.concat_tables(tables),
        steps=pa.concat_tables([nested.steps, steps_table(run, fits)]),
        selection=nested.selection,
        lineage={**nested.lineage, "as_published": graph},
        models=nested.models,
    )


def fit_folds(samples: pa.Table, splits: pa.Table, recipe: Recipe, *, analysis: str) -> list[FoldFit]:
    """Every plan in every outer fold, in order; logs progress and the time that is left."""
    plans = plans_of(recipe, samples)
    folds = folds_of(splits)
    fits: list[FoldFit] = []
    start = time.monotonic()
    for done, (repeat, fold) in enumerate(folds, 1):
        scores: dict[str, float] = {}
        for plan in plans:
            table = with_radscore(samples, scores) if plan.variables == COMBINED else samples
            fit = fit_fold(table, splits, plan, recipe=recipe, analysis=analysis, repeat=repeat, fold=fold)
            fits.append(fit)
            if plan.variables == RADIOMICS:
                scores = fit.radscores()
        spent = time.monotonic() - start
        left = spent / done * (len(folds) - done)
        log.info("fold %d of %d (r%df%d) in %.1f s, about %.0f s left", done, len(folds), repeat, fold, spent, left)
    return fits


def _inputs(samples: pa.Table) -> dict[str, str]:
    """Hashes of the files that the samples were made from, which their table carries."""
    stored = (samples.schema.metadata or {}).get(b"inputs", b"{}")
    return {str(name): str(value) for name, value in json.loads(stored).items()}
