"""What is told of masks that networks drew inside each fold: what was not found, how they agree with people's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.fold_samples import undrawn
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.samples import reference_set
from osteorad.cohort.segmentation import AUTOMATIC
from osteorad.modelling.learning.records import BELOW_LAST

ICC = "icc"


def automatic_masks(selection: pa.Table, folds: Sequence[pa.Table], recipe: Recipe) -> dict[str, Any]:
    """Facts of an analysis on automatic masks, under `automatic`; nothing for masks that people drew.

    selection : schemas.SELECTION of the nested procedure. folds : samples of the outer folds.
    """
    if recipe.segmentation is None:
        return {}
    found = {
        "network": recipe.mask_set.removeprefix(AUTOMATIC),
        "reference": reference_set(recipe),
        "folds": len(folds),
        "regions": sum(table.num_rows for table in folds),
        "undrawn": sum(undrawn(table, recipe.images) for table in folds),
        "icc": _agreement(selection, [step.step for step in recipe.steps]),
    }
    return {"automatic": found}


def _agreement(selection: pa.Table, steps: Sequence[str]) -> dict[str, Any] | None:
    """Features that the step icc compared with the reference's and kept, by outer fold; None without that step."""
    if ICC not in steps:
        return None
    earlier = set(steps[: steps.index(ICC)])
    compared: dict[tuple[int, int], int] = {}
    kept: dict[tuple[int, int], int] = {}
    names = ("repeat", "fold", "step", "reason", "kept")
    for repeat, fold, step, reason, used in zip(*(selection[name].to_pylist() for name in names), strict=True):
        if step not in earlier:
            left = step == ICC and not used and reason != BELOW_LAST
            compared[(repeat, fold)] = compared.get((repeat, fold), 0) + 1
            kept[(repeat, fold)] = kept.get((repeat, fold), 0) + (not left)
    rows = [{"repeat": key[0], "fold": key[1], "compared": compared[key], "kept": kept[key]} for key in sorted(kept)]
    return {"folds": rows, "compared": _middle(compared.values()), "kept": _middle(kept.values())}


def _middle(values: Any) -> dict[str, float | int]:
    """Median and range over the folds."""
    numbers = sorted(values) or [0]
    return {"median": float(np.median(numbers)), "low": numbers[0], "high": numbers[-1]}
