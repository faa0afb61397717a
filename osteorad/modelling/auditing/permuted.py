"""Check of the procedure on permuted outcomes: A4."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from osteorad.modelling.auditing.tables import AuditTables, Finding, finding, not_applicable
from osteorad.modelling.learning.block import FloatArray
from osteorad.modelling.learning.controls import REAL
from osteorad.modelling.statistics.metrics import auc

LEAST_PERMUTATIONS = 100
LEAST_TO_FAIL = 10
FALSE_ALARMS = 1e-3  # of clean analyses that fail by chance


def check_permuted(tables: AuditTables) -> Finding:
    """A4: with permuted outcomes the procedure finds nothing: its mean AUC is 0.5 but for chance.

    Given features and folds, a permutation says nothing of the test rows' outcomes, so each within-fold AUC is 0.5 on
    average, whatever the folds; and permutations are independent of each other, so the standard error of their mean is
    SD / sqrt(permutations). Two-sided t test. Few permutations can show a leak, but not that there is none.
    """
    values = permuted_aucs(tables.predictions)
    looked_at = f"mean AUC within folds of {len(values)} permutations"
    too_few = f"{len(values)} permutations have an AUC; at least {LEAST_PERMUTATIONS} are needed."
    if len(values) < LEAST_TO_FAIL:
        return not_applicable(too_few, looked_at=looked_at)
    mean, error = float(values.mean()), float(values.std(ddof=1) / np.sqrt(len(values)))
    p = _p_value(mean, error, len(values) - 1)
    said = f"mean AUC with permuted outcomes {mean:.4f} (standard error {error:.4f}, p = {p:.2g})"
    if p >= FALSE_ALARMS and len(values) < LEAST_PERMUTATIONS:
        return not_applicable(too_few, looked_at=looked_at)
    problems = [f"{said}: not 0.5"] if p < FALSE_ALARMS else []
    return finding(problems, looked_at=looked_at, clean=f"The {said}.", proof=[said])


def _p_value(mean: float, error: float, df: int) -> float:
    """Two-sided P of a mean against 0.5; without any spread the mean is 0.5 or it is not."""
    if error == 0.0:
        return 1.0 if round(mean, 12) == 0.5 else 0.0
    return float(2 * stats.t.sf(abs(mean - 0.5) / error, df))


def permuted_aucs(predictions: pa.Table) -> FloatArray:
    """Mean within-fold AUC of each permutation, folds with one class in the test part and the real outcome left out."""
    rows = predictions.filter(
        (pc.field("control") == "permuted")
        & (pc.field("part") == "test")
        & (pc.field("repeat") != REAL)
        & pc.field("chosen")
    )
    groups: dict[tuple[int, int], list[int]] = {}
    for at, key in enumerate(zip(rows["repeat"].to_pylist(), rows["fold"].to_pylist(), strict=True)):
        groups.setdefault(key, []).append(at)
    outcome, score = rows["outcome"].to_numpy().astype(np.int64), rows["score"].to_numpy()
    found: dict[int, list[float]] = {}
    for (permutation, _), places in groups.items():
        value = auc(outcome[places], score[places])
        if value is not None:
            found.setdefault(permutation, []).append(value)
    return np.array([np.mean(values) for values in found.values()])
