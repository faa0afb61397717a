"""All numbers of an analysis as plain data for report and page; the package says what each key holds.

Numbers of performance come from the predictions and nothing else (contract 5). The samples give who the patients are,
what is missing, and the levels of subgroups.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.samples import reference_set
from osteorad.modelling.evaluation.answer import answer
from osteorad.modelling.evaluation.automatic import automatic_masks
from osteorad.modelling.evaluation.bootstrap import draw_weights
from osteorad.modelling.evaluation.calibration import calibration
from osteorad.modelling.evaluation.characteristics import missing_values, table_one
from osteorad.modelling.evaluation.comparison import (
    auc_interval,
    declared_pairs,
    differences,
    model_rows,
    multiplicity,
    procedure_label,
)
from osteorad.modelling.evaluation.confusion import confusion, waterfall
from osteorad.modelling.evaluation.controls import controls
from osteorad.modelling.evaluation.coverage import INTERVALS, NADEAU_BENGIO, PATIENT_BOOTSTRAP, WILSON, described
from osteorad.modelling.evaluation.decision import decision_curves
from osteorad.modelling.evaluation.frequency import selection_frequency
from osteorad.modelling.evaluation.optimism import clinical_design, clinical_optimism
from osteorad.modelling.evaluation.patient_level import patient_level
from osteorad.modelling.evaluation.planning import sample_size
from osteorad.modelling.evaluation.published import published
from osteorad.modelling.evaluation.roc import fold_roc, roc_curve
from osteorad.modelling.evaluation.rows import (
    TestRows,
    counts,
    fold_aucs,
    has,
    of_variables,
    rows_of,
    tested_share,
)
from osteorad.modelling.evaluation.subgroups import subgroup_variables, subgroups
from osteorad.modelling.learning.block import FloatArray
from osteorad.modelling.learning.plans import VOLUME
from osteorad.modelling.statistics.metrics import LEVEL
from osteorad.provenance import seed_from

LEAST_EVENTS = 10  # of the minority class, for an AUC as headline
ESTIMANDS = {
    "folds": "expected AUC of the whole procedure (selection, tuning, choice of model) in new patients of the same "
    "source, as the mean over repeats of the AUC within each test fold",
    "hold-out": "expected AUC of the whole procedure (selection, tuning, choice of model) in new patients of the same "
    "source, as the mean over repeats of the AUC in the test part",
    "site": "expected AUC of the whole procedure (selection, tuning, choice of model) at a site that it was not fitted "
    "on, as the mean of the AUC at each site",
    "external": "AUC of this frozen model in the patients of this cohort",
    "column": "AUC of the whole procedure (selection, tuning, choice of model) in the test parts that a column of the "
    "clinical table names",
}
CURVES = ("radiomics", "combined", "clinical", "volume")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tables:
    """What an evaluation reads: tables of schemas PREDICTIONS, SELECTION, and SAMPLES with covariates and features.

    folds : where networks draw inside each fold, the samples that each of them sees; the features stand there.
    """

    predictions: pa.Table
    selection: pa.Table
    samples: pa.Table
    folds: Sequence[pa.Table] = ()


def evaluate(tables: Tables, *, recipe: Recipe, settings: Analysis, analysis: str) -> dict[str, Any]:
    """Evaluation of a nested analysis as JSON-able data; a number that does not exist is None."""
    nested = tables.predictions.filter(pc.field("procedure") == "nested")
    selection = tables.selection.filter(pc.field("procedure") == "nested")
    table = nested.filter(pc.field("control") == "none")
    chosen = of_variables(table, "radiomics")
    share = tested_share(chosen)
    facts = counts(chosen, LEAST_EVENTS)
    repeats = rows_of(chosen)
    weights = draw_weights(facts["patients"], recipe.bootstrap, seed_from(f"{analysis}/bootstrap"))
    pairs = declared_pairs(table, recipe.comparisons)
    main = primary(chosen, share, recipe.splits.kind, headline=facts["minority"] >= LEAST_EVENTS)
    compared = differences(table, pairs, share)
    patients = None
    if recipe.unit == "lesion":
        patients = patient_level(repeats, weights, aggregate=recipe.aggregate, share=share, lesion_auc=main["estimate"])
    result: dict[str, Any] = {
        "cohort": settings.cohort,
        "analysis": analysis,
        "procedure": "nested",
        "unit": recipe.unit,
        "split": recipe.splits.kind,
        "level": LEVEL,
        "outcome_label": settings.outcome_label,
        "intervals": intervals_of(main, patients),
        "counts": facts,
        "too_few_events": facts["minority"] < LEAST_EVENTS,
        "primary": main,
        "models": model_rows(table, share),
        "differences": compared,
        "multiplicity": multiplicity(compared),
        "roc": {**roc_curve(repeats, weights), "within_folds": fold_roc(chosen)},
        "calibration": calibration(repeats, weights),
        "decision": decision(table, chosen, pairs, weights, recipe.decision_thresholds),
        "confusion": confusion(repeats, weights, rule=recipe.threshold),
        "subgroups": subgroups(
            repeats,
            weights,
            tables.samples,
            columns=subgroup_variables(tables.samples, settings.subgroups),
            minimum=recipe.subgroup_minimum,
        ),
        "waterfall": waterfall(repeats[0]),
        "patient_level": patients,
        "controls": controls(nested, share),
        "published": published(tables.predictions, recipe.published, main["estimate"]),
        "selection": selection_frequency(selection),
        **sample_facts(tables, recipe=recipe, analysis=analysis),
        **automatic_masks(selection, tables.folds, recipe),
    }
    return {**result, "answer": answer(result)}


def primary(chosen: pa.Table, share: float | None, split: str, *, headline: bool) -> dict[str, Any]:
    """The headline AUC, how it was made, and its folds. share : test rows over training rows."""
    folds = fold_aucs(chosen)
    interval, kind = auc_interval(chosen, share)
    return {
        **asdict(interval),
        "n_folds": len(folds),
        "method": INTERVALS[kind].label,
        "formula": _formula(len(folds), share) if kind == NADEAU_BENGIO and share is not None else "",
        "estimand": ESTIMANDS[split],
        "coverage": INTERVALS[kind].coverage,
        "interval": kind,
        "headline": headline,
        "folds": [asdict(fold) for fold in folds],
    }


def _formula(folds: int, share: float) -> str:
    return (
        f"mean of {folds} fold AUCs, plus or minus t(0.975, {folds - 1}) times the square root of "
        f"(1/{folds} + {share:.3f}) times their variance; {share:.3f} is test rows over training rows"
    )


def decision(
    table: pa.Table,
    chosen: pa.Table,
    pairs: Sequence[tuple[str, str]],
    weights: FloatArray,
    thresholds: Sequence[float],
) -> dict[str, Any]:
    """Decision curves of the procedure and of the baselines that were run, and differences of declared pairs."""
    curves: dict[str, tuple[str, list[TestRows]]] = {"radiomics": ("This analysis", rows_of(chosen))}
    for name in CURVES[1:]:
        if has(table, name):
            rows = of_variables(table, name)
            curves[name] = (procedure_label(rows, name), rows_of(rows))
    drawn = [(of, against) for of, against in pairs if against in curves]
    return decision_curves(curves, drawn, thresholds, weights)


def intervals_of(main: Mapping[str, Any], patients: Mapping[str, Any] | None) -> dict[str, Any]:
    """The kinds of interval that stand in an evaluation."""
    kinds = [main["interval"], PATIENT_BOOTSTRAP, WILSON]
    if patients is not None:
        kinds.append(patients["auc"]["interval"])
    return described(dict.fromkeys(kinds))


def sample_facts(tables: Tables, *, recipe: Recipe, analysis: str) -> dict[str, Any]:
    """Characteristics, missing values, sample size and optimism of the clinical model: from samples alone."""
    samples = tables.samples
    design = clinical_design(samples, recipe.covariates)
    names = tables.folds[0].column_names if tables.folds else samples.column_names
    candidates = sum(name.startswith(tuple(f"{image}." for image in recipe.images)) for name in names)
    parameters = {"radiomics": candidates, "clinical": len(design.columns)}
    patients, events = len(design.outcome), int(design.outcome.sum())
    return {
        "table_one": table_one(samples, volume_column(recipe)),
        "missing": missing_values(samples, tables.folds),
        "sample_size": sample_size(patients=patients, events=events, parameters=parameters),
        "optimism": clinical_optimism(design, seed=seed_from(f"{analysis}/optimism")),
    }


def volume_column(recipe: Recipe) -> str:
    """Column of the ROI's volume in the samples; by the reference where networks draw, since each fold draws anew."""
    drawn = "" if recipe.segmentation is None else f"@{reference_set(recipe)}"
    return f"{recipe.images[0]}{drawn}.{VOLUME}"
