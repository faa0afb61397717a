"""Negative controls: what a procedure finds where there is nothing to find."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from osteorad.modelling.evaluation.bootstrap import TAILS
from osteorad.modelling.evaluation.comparison import model_label, model_row
from osteorad.modelling.evaluation.rows import fold_aucs
from osteorad.modelling.statistics.metrics import LEVEL

REAL = 0  # the number under which the cheap procedure's run on the real outcome stands


def controls(nested: pa.Table, share: float) -> dict[str, Any]:
    """Permuted outcomes and shuffled voxels; None where a control was not run.

    nested : all rows of the procedure, whatever their control. share : test rows over training rows.
    """
    shuffled = nested.filter((pc.field("control") == "shuffled") & pc.field("chosen"))
    row = None
    if shuffled.num_rows:
        row = model_row(shuffled, "radiomics", "chosen", "Shuffled voxels, the same procedure", share)
    return {"permuted": _permuted(nested), "shuffled": row}


def _permuted(nested: pa.Table) -> dict[str, Any] | None:
    """Mean fold AUC of each permutation, and the P value of the same cheap procedure on the real outcome.

    Permutation 0 is the real outcome. p = (b + 1) / (m + 1), b the permutations that reach its value, m their number.
    """
    table = nested.filter(pc.field("control") == "permuted")
    if not table.num_rows:
        return None
    model = table["model"][0].as_py()
    means = permutation_means(table)
    real = means.pop(REAL, None)
    values = np.array(list(means.values()))
    half = float(stats.t.ppf(0.5 + LEVEL / 2, len(values) - 1) * stats.sem(values)) if len(values) > 1 else None
    mean = float(values.mean())
    low, high = (float(value) for value in np.percentile(values, TAILS))
    return {
        "n": len(values),
        "mean": mean,
        "low": None if half is None else mean - half,
        "high": None if half is None else mean + half,
        "range_low": low,
        "range_high": high,
        "values": values.tolist(),
        "real": real,
        "p": None if real is None else (int((values >= real).sum()) + 1) / (len(values) + 1),
        "model": model,
        "label": f"{model_label(model)} on permuted outcomes",
    }


def permutation_means(table: pa.Table) -> dict[int, float]:
    """Mean fold AUC of each permutation, by its number."""
    found: dict[int, list[float]] = defaultdict(list)
    for fold in fold_aucs(table):
        if fold.auc is not None:
            found[fold.repeat].append(fold.auc)
    return {permutation: float(np.mean(found[permutation])) for permutation in sorted(found)}
