"""From fitted folds to the tables that every later stage reads (contracts 5 and 6)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.schemas import PREDICTIONS, SELECTION, STEPS
from osteorad.cohort.splits import OUTER
from osteorad.files import table_from_rows
from osteorad.modelling.learning.block import Block, FloatArray, Left, Trace
from osteorad.modelling.learning.controls import ControlFit
from osteorad.modelling.learning.linear import column_facts
from osteorad.modelling.learning.nested import FoldFit, ModelFit, rule_hash
from osteorad.modelling.learning.plans import RADIOMICS
from osteorad.modelling.learning.steps import Chain
from osteorad.provenance import digest

ENCODE = "encode"
BELOW_LAST = "below the last rank"  # why a column was not used that no step dropped
CHOICE, CALIBRATION, THRESHOLD = "choice", "calibration", "threshold"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Names that stand in every row of an analysis' tables."""

    cohort: str
    analysis: str
    procedure: str = "nested"

    def keys(self, fit: FoldFit) -> dict[str, Any]:
        """Columns that name an outer fold."""
        return {
            "cohort": self.cohort,
            "analysis": self.analysis,
            "procedure": self.procedure,
            "repeat": fit.repeat,
            "fold": fit.fold,
        }


# --- predictions -----------------------------------------------------------------------------------------------------


def predictions_table(run: Run, fits: Sequence[FoldFit], outcome: Mapping[str, int]) -> pa.Table:
    """Table of schemas.PREDICTIONS. outcome : of every sample; test outcomes are first read here, after all fits."""
    return _table_of(_prediction_columns(run, fit, model, outcome) for fit in fits for model in fit.models)


def controls_table(run: Run, fits: Sequence[ControlFit]) -> pa.Table:
    """Rows of schemas.PREDICTIONS for negative controls: test rows only, with the outcome that the control had."""
    return _table_of(_control_columns(run, fit) for fit in fits)


def _table_of(parts: Iterable[Mapping[str, list[Any]]]) -> pa.Table:
    columns: dict[str, list[Any]] = {name: [] for name in PREDICTIONS.names}
    for part in parts:
        for name, values in columns.items():
            values += part[name]
    return pa.table(columns, schema=PREDICTIONS)


def _control_columns(run: Run, fit: ControlFit) -> dict[str, list[Any]]:
    facts = {
        "cohort": run.cohort,
        "analysis": run.analysis,
        "procedure": run.procedure,
        "repeat": fit.repeat,
        "fold": fit.fold,
        "model": fit.model,
        "variables": fit.variables,
        "control": fit.control,
        "chosen": True,
        "threshold": fit.threshold,
        "part": "test",
    }
    return {
        **{name: [value] * len(fit.samples) for name, value in facts.items()},
        "patient": list(fit.patients),
        "sample": list(fit.samples),
        "outcome": fit.outcome.tolist(),
        "score": fit.score.tolist(),
        "probability": fit.platt.probability(fit.score).tolist(),
        "predicted": (fit.score >= fit.threshold).astype(int).tolist(),
    }


def _prediction_columns(run: Run, fit: FoldFit, model: ModelFit, outcome: Mapping[str, int]) -> dict[str, list[Any]]:
    samples = [*fit.train.samples, *fit.test_samples]
    score = np.concatenate([model.train_score, model.test_score])
    count = len(samples)
    facts = {
        **run.keys(fit),
        "model": model.name,
        "variables": fit.plan.variables,
        "control": "none",
        "chosen": model.name == fit.chosen,
        "threshold": model.threshold,
    }
    return {
        **{name: [value] * count for name, value in facts.items()},
        "patient": [*fit.train.patients, *fit.test_patients],
        "sample": samples,
        "outcome": [outcome[sample] for sample in samples],
        "score": score.tolist(),
        "probability": model.platt.probability(score).tolist(),
        "predicted": (score >= model.threshold).astype(int).tolist(),
        "part": ["train"] * len(fit.train.samples) + ["test"] * len(fit.test_samples),
    }


# --- steps -----------------------------------------------------------------------------------------------------------


def steps_table(run: Run, fits: Sequence[FoldFit]) -> pa.Table:
    """Table of schemas.STEPS: a row a fitted step, with the trace that its fit left."""
    return table_from_rows([row for fit in fits for row in _step_rows(run, fit)], STEPS)


def _step_rows(run: Run, fit: FoldFit) -> Iterator[dict[str, Any]]:
    keys = {**run.keys(fit), "variables": fit.plan.variables}
    for inner in fit.inner:
        rows = [*_chain_rows(inner.chain, bool(fit.plan.texts))]
        rows += [_row(name, {}, trace, trace.columns_in, {}) for name, trace in inner.traces.items()]
        yield from _ordered({**keys, "inner_fold": inner.inner_fold}, rows)
    outer = [*_chain_rows(fit.chain, bool(fit.plan.texts)), *map(_model_row, fit.models), _choice_row(fit)]
    for model in fit.models:
        outer += _rule_rows(fit, model)
    yield from _ordered({**keys, "inner_fold": OUTER}, outer)


def _ordered(keys: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Iterator[dict[str, Any]]:
    for order, row in enumerate(rows):
        yield {**keys, "order": order, **row}


def _row(step: str, settings: Mapping[str, Any], trace: Trace, out: int, record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "step": step,
        "settings_hash": digest(dict(settings)),
        "fit_rows": trace.rows,
        "fit_patients": len(trace.patients),
        "fit_hash": trace.fit_hash,
        "columns_in": trace.columns_in,
        "columns_out": out,
        "record": json.dumps(record, sort_keys=True, allow_nan=False),
    }


def _chain_rows(chain: Chain, encoded: bool) -> Iterator[dict[str, Any]]:
    for place, step in enumerate(chain.steps):
        if encoded and place == 0:
            # The levels of text columns were taken from the rows that the first step was fitted on.
            yield _row(ENCODE, {}, step.trace, step.trace.columns_in, {})
        yield _row(step.name, step.settings, step.trace, len(step.columns), step.record)


def _model_row(model: ModelFit) -> dict[str, Any]:
    record = {
        **model.setting.plain(),
        "inner_auc": model.inner_auc,
        "features": list(model.features),
        "tried": [{**setting.plain(), "inner_auc": value} for setting, value in model.tried],
    }
    return _row(model.name, model.setting.plain(), model.trace, len(model.features), record)


def _choice_row(fit: FoldFit) -> dict[str, Any]:
    scores = np.array([model.train_score for model in fit.models]).T
    trace = _scores_trace(fit.train, scores)
    record = {"chosen": fit.chosen, "inner_auc": {model.name: model.inner_auc for model in fit.models}}
    return _row(CHOICE, {"by": fit.chosen_by}, trace, 1, record)


def _rule_rows(fit: FoldFit, model: ModelFit) -> Iterator[dict[str, Any]]:
    trace = _scores_trace(fit.train, model.train_score)
    rule = {"learned": fit.plan.learned_rule}
    platt = {"model": model.name, "intercept": model.platt.intercept, "slope": model.platt.slope, **rule}
    yield _row(CALIBRATION, {"method": "platt"}, trace, 1, platt)
    threshold = {"model": model.name, "threshold": model.threshold, **rule}
    yield _row(THRESHOLD, {"method": "youden"}, trace, 1, threshold)


def _scores_trace(train: Block, scores: FloatArray) -> Trace:
    return Trace(
        rows=len(train.samples),
        patients=tuple(sorted(set(train.patients))),
        fit_hash=rule_hash(train.samples, scores, train.outcome),
        columns_in=1 if scores.ndim == 1 else scores.shape[1],
    )


# --- selection -------------------------------------------------------------------------------------------------------


def selection_table(run: Run, fits: Sequence[FoldFit]) -> pa.Table:
    """Table of schemas.SELECTION: a row a feature and outer fold of the radiomics plan, at the step where it ended.

    kept : used by the chosen model of that fold.
    """
    rows = [row for fit in fits if fit.plan.variables == RADIOMICS for row in _selection_rows(run, fit)]
    return table_from_rows(rows, SELECTION)


def _selection_rows(run: Run, fit: FoldFit) -> Iterator[dict[str, Any]]:
    keys = run.keys(fit)
    used = set(fit.chosen_model.features)
    # A step that keeps columns with a weight ranks them, and a later step may still drop one.
    ended = {item.feature: (step.name, item) for step in fit.chain.steps for item in step.left}
    for step_name, item in ended.values():
        yield {**keys, "step": step_name, **_fate(item, used)}
    last = fit.chain.steps[-1].name if fit.chain.steps else ""
    for name in fit.train.columns:
        if name not in ended:
            item = Left(feature=name, reason=BELOW_LAST)
            yield {**keys, "step": last, **_fate(item, used)}


def _fate(item: Left, used: set[str]) -> dict[str, Any]:
    kept = item.feature in used
    reason = item.reason
    if kept:
        reason = "used by the chosen model"
    elif item.rank is not None:
        reason = "ranked, not used by the chosen model"
    return {"feature": item.feature, "rank": item.rank, "score": item.score, "kept": kept, "reason": reason}


# --- models ----------------------------------------------------------------------------------------------------------


def model_record(run: Run, fit: FoldFit) -> dict[str, Any]:
    """What the chosen model of a fold does, as data: steps on its features, coefficients, calibration, threshold.

    Holds no training rows. A model without coefficients is named with its settings only.
    """
    model = fit.chosen_model
    coefficients = model.fitted.coefficients or (None,) * len(model.features)
    return {
        **run.keys(fit),
        "variables": fit.plan.variables,
        "model": model.name,
        **model.setting.plain(),
        "linear": model.fitted.coefficients is not None,
        "intercept": model.fitted.intercept,
        "features": [
            {"feature": name, **column_facts(fit.chain, name), "coefficient": value}
            for name, value in zip(model.features, coefficients, strict=True)
        ],
        "calibration": {"intercept": model.platt.intercept, "slope": model.platt.slope},
        "threshold": model.threshold,
        "inner_auc": model.inner_auc,
        "fit_hash": model.trace.fit_hash,
    }
