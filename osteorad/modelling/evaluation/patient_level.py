"""From lesions to patients: one value, one decision and one outcome a patient in every test fold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Any

import numpy as np

from osteorad.modelling.evaluation.bootstrap import CONDITIONAL
from osteorad.modelling.evaluation.confusion import measure
from osteorad.modelling.evaluation.coverage import DELONG, NADEAU_BENGIO
from osteorad.modelling.evaluation.rows import TestRows
from osteorad.modelling.learning.block import FloatArray
from osteorad.modelling.statistics.delong import delong_auc
from osteorad.modelling.statistics.metrics import Interval, auc, nadeau_bengio


def patient_level(
    repeats: Sequence[TestRows],
    weights: FloatArray,
    *,
    aggregate: str,
    share: float | None,
    lesion_auc: float | None,
) -> dict[str, Any]:
    """AUC within folds, sensitivity and specificity of patients.

    share : test rows over training rows; None where the model came from elsewhere.
    """
    patients = [to_patients(rows, aggregate) for rows in repeats]
    interval, kind = _auc(patients, share)
    outcome: dict[int, int] = {}
    for rows in patients:
        outcome |= dict(zip(rows.patient.tolist(), rows.outcome.tolist(), strict=True))
    return {
        "aggregate": aggregate,
        "patients": len(outcome),
        "events": sum(outcome.values()),
        "auc": {**asdict(interval), "interval": kind},
        "lesion_auc": lesion_auc,
        "measures": [measure(name, patients, weights) for name in ("sensitivity", "specificity")],
        "label": CONDITIONAL,
    }


def to_patients(rows: TestRows, aggregate: str) -> TestRows:
    """One row a patient; its outcome is 1 where that of any of its lesions is.

    aggregate : max, the lesion with the largest score speaks for the patient; any, the same value, and positive where
    any lesion is; mean, the mean probability against the fold's threshold. All lesions of a patient are in one fold.
    """
    order = np.lexsort((rows.score, rows.patient))
    last = np.append(np.flatnonzero(np.diff(rows.patient[order])), len(order) - 1)
    top = order[last]
    starts = np.append(0, last[:-1] + 1)
    size = np.diff(np.append(starts, len(order)))
    highest = replace(
        rows,
        sample=tuple(rows.sample[at] for at in top),
        patient=rows.patient[top],
        fold=rows.fold[top],
        outcome=np.maximum.reduceat(rows.outcome[order], starts),
        score=rows.score[top],
        probability=rows.probability[top],
        cut=rows.cut[top],
        predicted=rows.predicted[top],
    )
    if aggregate == "any":
        return replace(highest, predicted=np.maximum.reduceat(rows.predicted[order], starts))
    if aggregate == "mean":
        mean = np.add.reduceat(rows.probability[order], starts) / size
        return replace(highest, score=mean, probability=mean, predicted=(mean >= highest.cut).astype(np.int64))
    return highest


def _auc(repeats: Sequence[TestRows], share: float | None) -> tuple[Interval, str]:
    """AUC within folds, mean over folds and repeats; DeLong's on one test part alone."""
    folds = [(rows, rows.fold == fold) for rows in repeats for fold in np.unique(rows.fold)]
    if share is None or len(folds) == 1:
        return delong_auc(repeats[0].outcome, repeats[0].score), DELONG
    values = [auc(rows.outcome[inside], rows.score[inside]) for rows, inside in folds]
    found = nadeau_bengio([value for value in values if value is not None], test_share=share)
    low, high = (None if value is None else min(1.0, max(0.0, value)) for value in (found.low, found.high))
    return replace(found, low=low, high=high), NADEAU_BENGIO
