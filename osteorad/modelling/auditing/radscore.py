"""Check of the combined model's Rad-score: A11."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from osteorad.cohort.splits import OUTER, inner_folds_of, training
from osteorad.modelling.auditing.fits import drawn_fold
from osteorad.modelling.auditing.tables import (
    CLOSE,
    AuditTables,
    Finding,
    PredictionRows,
    finding,
    not_applicable,
    prediction_rows,
    radscores,
    step_rows,
)
from osteorad.modelling.learning.lineage import fold_name
from osteorad.modelling.learning.nested import learn_fold
from osteorad.modelling.learning.plans import COMBINED, RADIOMICS, block_of, fit_encoder, plans_of, with_radscore


def check_radscore(tables: AuditTables) -> Finding:
    """A11: training rows of the combined model carry the inner out-of-fold scores of the chosen radiomics model.

    Two proofs. The array that the first step of each combined model was fitted on has the hash of covariates and inner
    scores. And in one fold, drawn by name, the chosen radiomics model fitted again in the inner folds gives the scores
    that stand in the predictions, so that these are out-of-fold.
    """
    models = prediction_rows(tables.predictions)
    folds = sorted({(rows.repeat, rows.fold) for rows in models if rows.variables == COMBINED})
    looked_at = f"Rad-scores of training rows in {len(folds)} combined models"
    if not folds:
        return not_applicable("No combined model was fitted.", looked_at=looked_at)
    problems = [*_other_arrays(tables, folds)]
    for repeat, fold in folds:
        if not inner_folds_of(tables.splits, repeat=repeat, fold=fold, procedure=tables.procedure):
            problems.append(
                f"{fold_name(repeat, fold)}: no inner folds, so the Rad-scores of training rows are in-sample"
            )
    if not problems:
        repeat, fold = drawn_fold(tables, "A11")
        looked_at += f"; {fold_name(repeat, fold)} fitted again"
        chosen = [rows for rows in models if rows.chosen and rows.variables == RADIOMICS]
        problems += _not_out_of_fold(tables, [rows for rows in chosen if (rows.repeat, rows.fold) == (repeat, fold)])
    return finding(
        problems, looked_at=looked_at, clean="Rad-scores of training rows are inner out-of-fold scores in every fold."
    )


def _other_arrays(tables: AuditTables, folds: list[tuple[int, int]]) -> Iterator[str]:
    """Combined models whose first step saw something else than covariates and stored inner scores."""
    plan = next(plan for plan in plans_of(tables.recipe, tables.by_fold.example) if plan.variables == COMBINED)
    first = {
        (row["repeat"], row["fold"]): row["fit_hash"]
        for row in step_rows(tables.steps)
        if (row["variables"], row["inner_fold"], row["step"]) == (COMBINED, OUTER, plan.steps[0].step)
    }
    scores = radscores(tables.predictions)
    for repeat, fold in folds:
        samples = with_radscore(tables.by_fold.of(repeat, fold), scores.get((repeat, fold), {}))
        rows = training(samples, tables.splits, repeat=repeat, fold=fold, procedure=tables.procedure)
        if first.get((repeat, fold)) != block_of(fit_encoder(plan, rows), rows).trace().fit_hash:
            yield f"{fold_name(repeat, fold)}: the combined model was fitted on other Rad-scores than the inner ones"


def _not_out_of_fold(tables: AuditTables, chosen: list[PredictionRows]) -> Iterator[str]:
    """Stored scores of training rows that the inner folds do not give."""
    plan = next(plan for plan in plans_of(tables.recipe, tables.by_fold.example) if plan.variables == RADIOMICS)
    for rows in chosen:
        again = learn_fold(
            tables.by_fold.of(rows.repeat, rows.fold),
            tables.splits,
            replace(plan, models=(rows.model,)),
            recipe=tables.recipe,
            analysis=tables.analysis,
            repeat=rows.repeat,
            fold=rows.fold,
            procedure=tables.procedure,
        )
        stored = dict(zip(rows.sample, rows.score.tolist(), strict=True))
        inner = dict(zip(again.train.samples, again.chosen_model.train_score.tolist(), strict=True))
        moved = sum(abs(stored.get(sample, np.inf) - score) > CLOSE for sample, score in inner.items())
        if moved:
            yield f"{rows.where}: {moved} of {len(inner)} Rad-scores of training rows are not out-of-fold"
