"""AUC within folds of the procedure, its models and its baselines, and the differences that were declared."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from osteorad.modelling.evaluation.confusion import measure
from osteorad.modelling.evaluation.coverage import DELONG, INTERVALS, NADEAU_BENGIO, OBUCHOWSKI
from osteorad.modelling.evaluation.roc import pooled_auc
from osteorad.modelling.evaluation.rows import FoldAuc, fold_aucs, has, of_variables, patients_of, rows_of, tested
from osteorad.modelling.learning.models import REGISTRY
from osteorad.modelling.statistics.delong import clustered_auc, paired
from osteorad.modelling.statistics.metrics import Interval, nadeau_bengio
from osteorad.modelling.statistics.multiplicity import holm

LABELS = {
    "combined": "Covariates and Rad-score",
    "clinical": "Clinical covariates",
    "metabolic": "Metabolic parameters",
    "volume": "Volume alone",
    "site": "Site alone",
    "prevalence": "Prevalence, no variable",
}
SHORT = {"logistic-plain": "logistic without penalty"}  # models whose name alone says too little
ALPHA = 0.05


def auc_interval(table: pa.Table, share: float | None) -> tuple[Interval, str]:
    """AUC of one procedure with its interval, and the kind of interval (a key of `coverage.INTERVALS`).

    share : test rows over training rows. Over several folds, the mean with Nadeau's and Bengio's interval; on one test
    part alone, or without training rows here (share None), DeLong's, or Obuchowski's where patients have several rows.
    """
    folds = fold_aucs(table)
    known = [fold.auc for fold in folds if fold.auc is not None]
    if share is not None and len(folds) > 1:
        return _within(nadeau_bengio(known, test_share=share), 0.0), NADEAU_BENGIO
    test = tested(table)
    outcome, score = test["outcome"].to_numpy(), test["score"].to_numpy()
    return clustered_auc(outcome, score, test["patient"].to_pylist()), _kind_of_one_part(table)


def _kind_of_one_part(table: pa.Table) -> str:
    """DeLong's interval, or Obuchowski's where patients have several test rows."""
    patients = tested(table)["patient"].to_pylist()
    return DELONG if len(set(patients)) == len(patients) else OBUCHOWSKI


def _within(interval: Interval, least: float) -> Interval:
    """The same with its limits cut off at `least` and 1."""
    low, high = (None if value is None else min(1.0, max(least, value)) for value in (interval.low, interval.high))
    return Interval(estimate=interval.estimate, low=low, high=high, se=interval.se, df=interval.df)


# --- models ----------------------------------------------------------------------------------------------------------


def model_rows(table: pa.Table, share: float | None) -> list[dict[str, Any]]:
    """The procedure, its candidates, and the baselines, each with its interval."""
    rows = [model_row(of_variables(table, "radiomics"), "radiomics", "chosen", "Chosen in the inner loop", share)]
    radiomics = table.filter(pc.field("variables") == "radiomics")
    for model in dict.fromkeys(radiomics["model"].to_pylist()):
        own = radiomics.filter(pc.field("model") == model)
        rows.append({**model_row(own, "radiomics", model, model_label(model), share), "chosen_in": _times_chosen(own)})
    for variables in LABELS:
        own = of_variables(table, variables)
        if own.num_rows:
            rows.append(model_row(own, variables, own["model"][0].as_py(), procedure_label(own, variables), share))
    return rows


def model_label(model: str) -> str:
    """A model's name for people."""
    return REGISTRY[model].label if model in REGISTRY else model


def procedure_label(rows: pa.Table, variables: str) -> str:
    """A baseline's name for people; its model stands in it where it has one for all folds."""
    models = set(rows["model"].to_pylist())
    if variables == "prevalence" or len(models) > 1:
        return LABELS[variables]
    model = models.pop()
    return f"{LABELS[variables]}, {SHORT.get(model, model)}"


def _times_chosen(table: pa.Table) -> int:
    picked = table.filter(pc.field("chosen"))
    return len(set(zip(picked["repeat"].to_pylist(), picked["fold"].to_pylist(), strict=True)))


def model_row(table: pa.Table, variables: str, model: str, label: str, share: float | None) -> dict[str, Any]:
    """One line of the table of models."""
    interval, _ = auc_interval(table, share)
    repeats = rows_of(table)
    once = np.ones((1, len(patients_of(table))))
    return {
        "variables": variables,
        "model": model,
        "label": label,
        "chosen_in": None,
        "fits": len(fold_aucs(table)),
        "auc": asdict(interval),
        "pooled_auc": pooled_auc(repeats),
        "brier": float(np.mean([((rows.probability - rows.outcome) ** 2).mean() for rows in repeats])),
        "sensitivity": measure("sensitivity", repeats, once)["estimate"],
        "specificity": measure("specificity", repeats, once)["estimate"],
    }


# --- differences -----------------------------------------------------------------------------------------------------


def declared_pairs(table: pa.Table, comparisons: Sequence[str]) -> list[tuple[str, str]]:
    """Comparisons that were declared and can be made: radiomics against each, and combined against clinical."""
    pairs = [("radiomics", other) for other in comparisons if has(table, other)]
    if has(table, "combined") and has(table, "clinical"):
        pairs.append(("combined", "clinical"))
    return pairs


def multiplicity(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """How the P values of differences were adjusted, and over how many."""
    return {"method": "Holm", "comparisons": sum(row["p"] is not None for row in rows), "level": ALPHA}


def differences(table: pa.Table, pairs: Sequence[tuple[str, str]], share: float | None) -> list[dict[str, Any]]:
    """Paired differences of AUC, with P values as they are and after Holm over all pairs.

    A verdict is 'better' or 'worse' where Holm's P value is at most 0.05.
    """
    rows = [_difference(table, of, against, share) for of, against in pairs]
    tests = [row for row in rows if row["p"] is not None]
    for row, adjusted in zip(tests, holm([row["p"] for row in tests]).tolist(), strict=True):
        row["p_holm"] = adjusted
        if adjusted <= ALPHA:
            row["verdict"] = "better" if row["estimate"] > 0 else "worse"
    return rows


def _difference(table: pa.Table, of: str, against: str, share: float | None) -> dict[str, Any]:
    first, second = of_variables(table, of), of_variables(table, against)
    folds = fold_aucs(first)
    if share is not None and len(folds) > 1:
        interval, p = _over_folds(folds, fold_aucs(second), share)
        kind = NADEAU_BENGIO
    else:
        interval, p = _on_one_part(first, second)
        kind = _kind_of_one_part(first)
    return {
        "of": of,
        "against": against,
        **asdict(interval),
        "p": p,
        "p_holm": None,
        "verdict": "not_shown",
        "method": INTERVALS[kind].label,
    }


def _over_folds(first: Sequence[FoldAuc], second: Sequence[FoldAuc], share: float) -> tuple[Interval, float | None]:
    """Mean difference of fold AUCs, and P of its corrected t statistic."""
    other = {(fold.repeat, fold.fold): fold.auc for fold in second}
    pairs = [(fold.auc, other[(fold.repeat, fold.fold)]) for fold in first]
    interval = nadeau_bengio([a - b for a, b in pairs if a is not None and b is not None], test_share=share)
    if interval.estimate is None or not interval.se:
        return _within(interval, -1.0), None
    p = float(2 * stats.t.sf(abs(interval.estimate) / interval.se, interval.df))
    return _within(interval, -1.0), p


def _on_one_part(first: pa.Table, second: pa.Table) -> tuple[Interval, float | None]:
    """Difference of two AUCs on the same test rows, patients as clusters."""
    tables = [tested(table).sort_by("sample") for table in (first, second)]
    outcome = tables[0]["outcome"].to_numpy()
    scores = [table["score"].to_numpy() for table in tables]
    found = paired(outcome, scores[0], scores[1], tables[0]["patient"].to_pylist())
    return found.difference, found.p
