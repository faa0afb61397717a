"""A frozen model in another cohort: what it does there as it stands, and, apart from that, after recalibration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.config import Analysis
from osteorad.cohort.recipe import Recipe
from osteorad.modelling.evaluation.answer import answer
from osteorad.modelling.evaluation.bootstrap import draw_weights
from osteorad.modelling.evaluation.calibration import calibration
from osteorad.modelling.evaluation.characteristics import missing_values, table_one
from osteorad.modelling.evaluation.comparison import declared_pairs, differences, model_rows, multiplicity
from osteorad.modelling.evaluation.confusion import confusion, waterfall
from osteorad.modelling.evaluation.evaluate import LEAST_EVENTS, decision, intervals_of, primary
from osteorad.modelling.evaluation.patient_level import patient_level
from osteorad.modelling.evaluation.roc import roc_curve
from osteorad.modelling.evaluation.rows import TestRows, counts, of_variables, rows_of
from osteorad.modelling.evaluation.subgroups import subgroup_variables, subgroups
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.learning.plans import VOLUME
from osteorad.modelling.statistics.calibration import LEAST_PROBABILITY, brier
from osteorad.modelling.statistics.metrics import LEVEL, calibration_in_the_large, expit, logistic_line, logit
from osteorad.provenance import seed_from

MOST_ROWS = 30
NOTE = (
    "Recalibrated on these very patients, so the lower lines flatter; they show whether the order of risks travels "
    "when their level does not."
)


def evaluate_external(
    predictions: pa.Table,
    samples: pa.Table,
    *,
    bundle: Mapping[str, Any],
    outside: Mapping[str, float],
    recipe: Recipe,
    settings: Analysis,
    analysis: str,
) -> dict[str, Any]:
    """Evaluation of a frozen bundle in another cohort, with the keys of `evaluate`.

    predictions : schemas.PREDICTIONS, procedure external, one repeat and fold, test rows only. samples : of that
    cohort. bundle : the content of bundle.json. outside : sample -> share of the model's columns that lie outside the
    range of the training rows.
    """
    chosen = of_variables(predictions, "radiomics")
    facts = counts(chosen, LEAST_EVENTS)
    repeats = rows_of(chosen)
    weights = draw_weights(facts["patients"], recipe.bootstrap, seed_from(f"{analysis}/bootstrap"))
    pairs = declared_pairs(predictions, recipe.comparisons)
    main = primary(chosen, None, "external", headline=facts["minority"] >= LEAST_EVENTS)
    compared = differences(predictions, pairs, None)
    patients = None
    if recipe.unit == "lesion":
        patients = patient_level(repeats, weights, aggregate=recipe.aggregate, share=None, lesion_auc=main["estimate"])
    result: dict[str, Any] = {
        "cohort": settings.cohort,
        "analysis": analysis,
        "procedure": "external",
        "unit": recipe.unit,
        "split": "external",
        "level": LEVEL,
        "outcome_label": settings.outcome_label,
        "intervals": intervals_of(main, patients),
        "counts": facts,
        "too_few_events": facts["minority"] < LEAST_EVENTS,
        "primary": main,
        "models": model_rows(predictions, None),
        "differences": compared,
        "multiplicity": multiplicity(compared),
        "roc": {**roc_curve(repeats, weights), "within_folds": []},
        "calibration": calibration(repeats, weights),
        "decision": decision(predictions, chosen, pairs, weights, recipe.decision_thresholds),
        "confusion": confusion(repeats, weights, rule="frozen"),
        "subgroups": subgroups(
            repeats,
            weights,
            samples,
            columns=subgroup_variables(samples, settings.subgroups),
            minimum=recipe.subgroup_minimum,
        ),
        "waterfall": waterfall(repeats[0]),
        "patient_level": patients,
        "controls": {"permuted": None, "shuffled": None},
        "published": None,
        "selection": None,
        "table_one": table_one(samples, f"{recipe.images[0]}.{VOLUME}"),
        "missing": missing_values(samples),
        "sample_size": None,
        "optimism": None,
        "external": {
            "bundle": _bundle(bundle),
            "outside_ranges": _outside(outside),
            "recalibrated": recalibrated(repeats[0]),
            "note": NOTE,
        },
    }
    return {**result, "answer": answer(result)}


def _bundle(bundle: Mapping[str, Any]) -> dict[str, Any]:
    return {
        **{name: bundle[name] for name in ("analysis", "cohort", "recipe")},
        "model": bundle["parts"]["radiomics"]["model"],
        "patients": bundle["card"]["patients"],
        "events": bundle["card"]["events"],
    }


def _outside(outside: Mapping[str, float]) -> dict[str, Any]:
    shares = sorted(outside.items(), key=lambda item: (-item[1], item[0]))
    return {
        "share": float(np.mean(list(outside.values()))) if outside else None,
        "any": sum(share > 0 for share in outside.values()),
        "n": len(outside),
        "rows": [{"sample": sample, "share": share} for sample, share in shares[:MOST_ROWS] if share > 0],
    }


def recalibrated(rows: TestRows) -> list[dict[str, Any]]:
    """The probabilities as frozen, with another intercept, and with another intercept and slope (Steyerberg 2004).

    A line that cannot be fitted, because all probabilities are one or the classes are separated, has no numbers.
    """
    p = np.clip(rows.probability, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    odds = logit(p)
    shift = calibration_in_the_large(rows.outcome, p)
    intercept, slope = logistic_line(odds, rows.outcome.astype(float))
    lines = {"as frozen": (0.0, 1.0), "intercept": (shift, 1.0), "intercept and slope": (intercept, slope)}
    return [{"name": name, **_after(odds, rows.outcome, *line)} for name, line in lines.items()]


def _after(odds: FloatArray, outcome: IntArray, intercept: float, slope: float) -> dict[str, float | None]:
    """Calibration of the probabilities that a line of their log odds gives."""
    names = ("intercept", "slope", "brier", "in_the_large", "calibration_slope")
    if not np.isfinite(slope):
        return dict.fromkeys(names)
    p = np.clip(expit(intercept + slope * odds), LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    again = logistic_line(logit(p), outcome.astype(float))[1]
    values = (intercept, slope, brier(outcome, p), calibration_in_the_large(outcome, p), again)
    return {name: float(value) if np.isfinite(value) else None for name, value in zip(names, values, strict=True)}
