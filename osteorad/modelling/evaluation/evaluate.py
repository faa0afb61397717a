"""All numbers of an analysis, from its predictions and nothing else (contract 5); plain data for report and page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from osteorad.modelling.evaluation.answer import answer
from osteorad.modelling.evaluation.curves import (
    GRID,
    TestRows,
    calibration,
    confusion,
    draw_weights,
    pooled_auc,
    roc_curve,
    roc_points,
)
from osteorad.modelling.evaluation.frequency import selection_frequency
from osteorad.modelling.learning.models import REGISTRY
from osteorad.modelling.learning.plans import PREVALENCE
from osteorad.modelling.statistics.metrics import LEVEL, Interval, auc, nadeau_bengio
from osteorad.provenance import seed_from

LEAST_EVENTS = 10  # of the minority class, for an AUC as headline
ESTIMAND = (
    "expected AUC of the whole procedure (selection, tuning, choice of model) in new patients of the same source, "
    "as the mean over repeats of the AUC within each test fold"
)
METHOD = "corrected resampled t interval (Nadeau and Bengio 2003)"
COVERAGE = "95 % interval; covers 86 to 93 % in simulations"
LABELS = {
    "clinical": "Clinical covariates, logistic",
    "volume": "Volume alone, logistic",
    PREVALENCE: "Prevalence, no variable",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldAuc:
    """AUC of one procedure in one test fold."""

    repeat: int
    fold: int
    auc: float | None
    n: int
    events: int
    model: str


def evaluate(
    predictions: pa.Table,
    selection: pa.Table,
    *,
    analysis: str,
    cohort: str,
    outcome_label: str = "event",
    bootstrap: int = 2000,
) -> dict[str, Any]:
    """Evaluation of an analysis as JSON-able data; a number that does not exist is None.

    Keys: counts, primary (the headline AUC and its folds), models, differences, roc, calibration, confusion, selection,
    answer. Intervals stand under `low` and `high`.
    predictions : schemas.PREDICTIONS. selection : schemas.SELECTION, for how often each feature was used.
    """
    table = predictions.filter((pc.field("control") == "none") & (pc.field("procedure") == "nested"))
    chosen = table.filter((pc.field("variables") == "radiomics") & pc.field("chosen"))
    counts = _counts(chosen)
    share = _test_share(chosen)
    folds = _fold_aucs(chosen)
    repeats = _test_rows(chosen)
    weights = draw_weights(counts["patients"], bootstrap, seed_from(f"{analysis}/bootstrap"))
    too_few = counts["minority"] < LEAST_EVENTS
    result: dict[str, Any] = {
        "cohort": cohort,
        "analysis": analysis,
        "procedure": "nested",
        "level": LEVEL,
        "outcome_label": outcome_label,
        "counts": counts,
        "too_few_events": too_few,
        "primary": {
            **_auc_interval(folds, share),
            "n_folds": len(folds),
            "method": METHOD,
            "formula": _formula(len(folds), share),
            "estimand": ESTIMAND,
            "coverage": COVERAGE,
            "headline": not too_few,
            "folds": [asdict(fold) for fold in folds],
        },
        "models": _model_rows(table, chosen, share),
        "differences": [
            _difference(table, folds, variables, share)
            for variables in ("volume", "clinical")
            if _has(table, variables)
        ],
        "roc": {**roc_curve(repeats, weights), "within_folds": _fold_roc(chosen)},
        "calibration": calibration(repeats, weights),
        "confusion": confusion(repeats, weights),
        "selection": selection_frequency(selection),
    }
    return {**result, "answer": answer(result)}


def _counts(chosen: pa.Table) -> dict[str, int]:
    test = chosen.filter(pc.field("part") == "test")
    outcomes: dict[str, int] = {}
    samples: dict[str, int] = {}
    for patient, sample, outcome in zip(
        *(test[name].to_pylist() for name in ("patient", "sample", "outcome")), strict=True
    ):
        outcomes[patient] = max(outcomes.get(patient, 0), outcome)
        samples[sample] = outcome
    events = sum(outcomes.values())
    folds = set(zip(test["repeat"].to_pylist(), test["fold"].to_pylist(), strict=True))
    return {
        "patients": len(outcomes),
        "samples": len(samples),
        "events": events,
        "non_events": len(outcomes) - events,
        "minority": min(events, len(outcomes) - events),
        "minority_needed": LEAST_EVENTS,
        "repeats": len({repeat for repeat, _ in folds}),
        "folds": len({fold for _, fold in folds}),
        "fits": len(folds),
    }


def _test_share(chosen: pa.Table) -> float:
    """Test rows over training rows, mean over folds."""
    shares = []
    for _, rows in _by_fold(chosen):
        tested = sum(part == "test" for part in rows["part"])
        shares.append(tested / (len(rows["part"]) - tested))
    return float(np.mean(shares))


def _by_fold(table: pa.Table) -> list[tuple[tuple[int, int], dict[str, list[Any]]]]:
    """Rows of each outer fold as columns, sorted."""
    names = ("repeat", "fold", "model", "patient", "outcome", "score", "part")
    folds: dict[tuple[int, int], dict[str, list[Any]]] = {}
    for row in zip(*(table[name].to_pylist() for name in names), strict=True):
        columns = folds.setdefault((row[0], row[1]), {name: [] for name in names})
        for name, value in zip(names, row, strict=True):
            columns[name].append(value)
    return sorted(folds.items())


def _fold_aucs(table: pa.Table) -> list[FoldAuc]:
    """AUC within each test fold, by score; None where a fold has one class."""
    found = []
    for (repeat, fold), rows in _by_fold(table.filter(pc.field("part") == "test")):
        outcome = np.array(rows["outcome"])
        found.append(
            FoldAuc(
                repeat=repeat,
                fold=fold,
                auc=auc(outcome, np.array(rows["score"])),
                n=len(outcome),
                events=int(outcome.sum()),
                model=rows["model"][0],
            )
        )
    return found


def _fold_roc(table: pa.Table) -> list[float]:
    """Mean over test folds of sensitivity at each false positive rate: the curve whose area is the primary AUC."""
    curves = []
    for _, rows in _by_fold(table.filter(pc.field("part") == "test")):
        outcome, score = np.array(rows["outcome"]), np.array(rows["score"])
        if 0 < outcome.sum() < len(outcome):
            fpr, tpr = roc_points(outcome, score, np.ones((1, len(outcome))))
            curves.append(np.interp(GRID, fpr[0], tpr[0]))
    return np.mean(curves, axis=0).tolist() if curves else []


def _test_rows(table: pa.Table) -> list[TestRows]:
    """Test rows of each repeat, with patients numbered alike in all of them."""
    test = table.filter(pc.field("part") == "test").sort_by([("repeat", "ascending"), ("sample", "ascending")])
    place = {patient: at for at, patient in enumerate(sorted(set(test["patient"].to_pylist())))}
    repeats = test["repeat"].to_numpy()
    columns = {name: test[name].to_numpy() for name in ("outcome", "probability", "predicted")}
    patient = np.array([place[name] for name in test["patient"].to_pylist()])
    found = []
    for repeat in np.unique(repeats):
        rows = repeats == repeat
        found.append(
            TestRows(
                repeat=int(repeat),
                patient=patient[rows],
                outcome=columns["outcome"][rows].astype(np.int64),
                probability=columns["probability"][rows],
                predicted=columns["predicted"][rows].astype(np.int64),
            )
        )
    return found


def _auc_interval(folds: Sequence[FoldAuc], share: float) -> dict[str, float | int | None]:
    interval = nadeau_bengio([fold.auc for fold in folds if fold.auc is not None], test_share=share)
    return {**_plain(interval), "low": _within(interval.low, 0.0), "high": _within(interval.high, 0.0)}


def _plain(interval: Interval) -> dict[str, float | int | None]:
    return asdict(interval)


def _within(value: float | None, least: float) -> float | None:
    return None if value is None else min(1.0, max(least, value))


def _formula(folds: int, share: float) -> str:
    return (
        f"mean of {folds} fold AUCs, plus or minus t(0.975, {folds - 1}) times the square root of "
        f"(1/{folds} + {share:.3f}) times their variance; {share:.3f} is test rows over training rows"
    )


def _has(table: pa.Table, variables: str) -> bool:
    return variables in set(table["variables"].to_pylist())


def _model_rows(table: pa.Table, chosen: pa.Table, share: float) -> list[dict[str, Any]]:
    """The procedure, its candidates, and the baselines, each with its interval."""
    rows = [_model_row(chosen, "radiomics", "chosen", "Chosen in the inner loop", share, None)]
    radiomics = table.filter(pc.field("variables") == "radiomics")
    for model in dict.fromkeys(radiomics["model"].to_pylist()):
        own = radiomics.filter(pc.field("model") == model)
        label = REGISTRY[model].label if model in REGISTRY else model
        rows.append(_model_row(own, "radiomics", model, label, share, _times_chosen(own)))
    for variables in ("clinical", "volume", PREVALENCE):
        own = table.filter(pc.field("variables") == variables)
        if own.num_rows:
            rows.append(_model_row(own, variables, own["model"][0].as_py(), LABELS[variables], share, None))
    return rows


def _times_chosen(table: pa.Table) -> int:
    picked = table.filter(pc.field("chosen"))
    return len(set(zip(picked["repeat"].to_pylist(), picked["fold"].to_pylist(), strict=True)))


def _model_row(
    table: pa.Table, variables: str, model: str, label: str, share: float, chosen_in: int | None
) -> dict[str, Any]:
    folds = _fold_aucs(table)
    repeats = _test_rows(table)
    everyone = np.ones((1, 1 + max(int(rows.patient.max()) for rows in repeats)))
    measures = {item["name"]: item["estimate"] for item in confusion(repeats, everyone)["measures"]}
    brier = float(np.mean([((rows.probability - rows.outcome) ** 2).mean() for rows in repeats]))
    return {
        "variables": variables,
        "model": model,
        "label": label,
        "chosen_in": chosen_in,
        "fits": len(folds),
        "auc": _auc_interval(folds, share),
        "pooled_auc": pooled_auc(repeats),
        "brier": brier,
        "sensitivity": measures["sensitivity"],
        "specificity": measures["specificity"],
    }


def _difference(table: pa.Table, folds: Sequence[FoldAuc], variables: str, share: float) -> dict[str, Any]:
    """Paired difference of fold AUCs, radiomics minus a baseline."""
    other = {(f.repeat, f.fold): f.auc for f in _fold_aucs(table.filter(pc.field("variables") == variables))}
    pairs = [(fold.auc, other[(fold.repeat, fold.fold)]) for fold in folds]
    interval = nadeau_bengio([a - b for a, b in pairs if a is not None and b is not None], test_share=share)
    verdict = "not_shown"
    if interval.low is not None and interval.low > 0:
        verdict = "better"
    elif interval.high is not None and interval.high < 0:
        verdict = "worse"
    return {"against": variables, **_plain(interval), "verdict": verdict, "method": METHOD}
