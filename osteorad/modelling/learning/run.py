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
from osteorad.modelling.learning.drawn import FoldMasks, FoldTables, fold_tables
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


def fit_analysis(
    samples: pa.Table,
    splits: pa.Table,
    recipe: Recipe,
    *,
    analysis: str,
    cohort: str,
    fold_samples: Sequence[pa.Table] = (),
    masks: Sequence[FoldMasks] = (),
) -> Fitted:
    """Fit the recipe, its baselines and its controls over stored splits, single-threaded.

    The paper's own order is replayed where the splits hold rows of that procedure.
    samples : schemas.SAMPLES with features. splits : schemas.SPLITS. fold_samples, masks : where networks draw inside
    each fold, its samples and its masks (`cohort.fold_samples`, `learning.drawn`).
    Raises ConfigError for an unknown model or step, and for a replay or shuffled voxels where networks draw; UserError
    where tables of folds do not fit samples and splits.
    """
    if unknown := [name for name in recipe.models if name not in REGISTRY]:
        raise ConfigError([unknown_name("model", name, REGISTRY, "recipe: models") for name in unknown])
    published = recipe.published is not None and bool(folds_of(splits, procedure=AS_PUBLISHED))
    tables = fold_tables(samples, fold_samples, splits, recipe)
    _refuse_automatic(recipe, published)
    plans = plans_of(recipe, tables.example)
    outcome = dict(zip(samples["sample"].to_pylist(), samples["outcome"].to_pylist(), strict=True))
    run = Run(cohort=cohort, analysis=analysis)
    with threadpool_limits(1):
        fits = fit_folds(tables, splits, recipe, analysis=analysis)
        log.info("%d permuted outcomes, by the cheap procedure", recipe.controls.permutations)
        controls = permuted_fits(tables, splits, plans[0], recipe=recipe, analysis=analysis)
        controls += shuffled_fits(samples, splits, plans[0], recipe=recipe, analysis=analysis)
    graph = lineage_graph(run, fits, tables=tables, splits=splits, inputs=_inputs(samples), masks=masks)
    nested = Fitted(
        predictions=pa.concat_tables([predictions_table(run, fits, outcome), controls_table(run, controls)]),
        steps=steps_table(run, fits),
        selection=selection_table(run, fits),
        lineage={**graph, "as_published": None},
        models={
            fold_name(fit.repeat, fit.fold): model_record(run, fit) for fit in fits if fit.plan.variables == RADIOMICS
        },
    )
    if not published:
        return nested
    return _with_published(nested, samples, splits, plans, recipe, outcome, analysis=analysis, cohort=cohort)


def _refuse_automatic(recipe: Recipe, published: bool) -> None:
    """ConfigError for what needs one table of features for all folds, where networks draw inside each."""
    if recipe.segmentation is None:
        return
    problems = []
    if published:
        problems.append(
            "as_published: masks are drawn inside each fold; a paper's own order cannot be replayed on them."
        )
    if recipe.controls.shuffled:
        problems.append("recipe: controls: shuffled: not offered where masks are drawn inside each fold.")
    if problems:
        raise ConfigError(problems)


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
    everywhere = FoldTables(base=samples)
    graph = lineage_graph(run, fits, tables=everywhere, splits=splits, inputs=_inputs(samples))
    return Fitted(
        predictions=pa.concat_tables(tables),
        steps=pa.concat_tables([nested.steps, steps_table(run, fits)]),
        selection=nested.selection,
        lineage={**nested.lineage, "as_published": graph},
        models=nested.models,
    )


def fit_folds(tables: FoldTables, splits: pa.Table, recipe: Recipe, *, analysis: str) -> list[FoldFit]:
    """Every plan in every outer fold on the table of that fold, in order; logs progress and the time that is left."""
    plans = plans_of(recipe, tables.example)
    folds = folds_of(splits)
    fits: list[FoldFit] = []
    start = time.monotonic()
    for done, (repeat, fold) in enumerate(folds, 1):
        samples = tables.of(repeat, fold)
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
