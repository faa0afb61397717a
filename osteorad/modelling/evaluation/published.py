"""The paper's own procedure, leaks included, and the same on permuted outcomes: never the headline."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from osteorad.cohort.recipe import Published
from osteorad.modelling.evaluation.comparison import model_label, procedure_label
from osteorad.modelling.evaluation.rows import by_fold, fold_aucs, has, of_variables

CHOICES = {
    "test": "the model with the best result on the test rows, as the paper chose it",
    "inner": "the model with the best result in the inner folds",
}


def published(predictions: pa.Table, settings: Published | None, nested: float | None) -> dict[str, Any] | None:
    """AUC as the paper would report it, over the divisions drawn; None where it was not replayed.

    predictions : schemas.PREDICTIONS, `repeat` is the division. nested : the primary estimate.
    """
    rows = predictions.filter(pc.field("procedure") == "as-published")
    own = rows.filter((pc.field("control") == "none") & (pc.field("variables") == "radiomics"))
    if settings is None or not own.num_rows:
        return None
    chosen = own.filter(pc.field("chosen"))
    values = _divisions(chosen)
    permuted = rows.filter(
        (pc.field("control") == "permuted") & (pc.field("variables") == "radiomics") & pc.field("chosen")
    )
    found = _spread(values)
    return {
        **found,
        "divisions": len(values),
        "values": values,
        "chosen": dict(sorted(_times(chosen).items())),
        "models": _models(own, _times(chosen)) + _others(rows.filter(pc.field("control") == "none")),
        "choice": CHOICES[settings.choose_on],
        "permuted": _permuted(permuted),
        "leaks": leaks(settings, combined=has(rows, "combined")),
        "nested": nested,
        "gap": None if nested is None or found["auc"] is None else found["auc"] - nested,
    }


def leaks(settings: Published, *, combined: bool) -> list[dict[str, str]]:
    """Leaks that follow from the settings, each with the code of the audit's check that it breaks."""
    present = [
        (settings.select_on == "all", "A2", "The steps were fitted on all rows, those of the test part included."),
        (settings.choose_on == "test", "A6", "The model was chosen by its result on the test rows."),
        (settings.by == "sample", "A1", "Lesions were divided, not patients: a patient may stand on both sides."),
        (
            settings.choose_on == "test" and combined,
            "A11",
            "The combined model was fitted on Rad-scores of rows that the radiomics model had been fitted on.",
        ),
    ]
    return [{"code": code, "text": text} for there, code, text in present if there]


def _divisions(rows: pa.Table) -> list[float]:
    """Mean test AUC of each division, in order."""
    found: dict[int, list[float]] = defaultdict(list)
    for fold in fold_aucs(rows):
        if fold.auc is not None:
            found[fold.repeat].append(fold.auc)
    return [float(np.mean(values)) for _, values in sorted(found.items())]


def _spread(values: list[float]) -> dict[str, float | None]:
    """Mean, standard deviation, least and largest of the divisions' AUCs."""
    return {
        "auc": float(np.mean(values)) if values else None,
        "sd": float(np.std(values, ddof=1)) if len(values) > 1 else None,
        "low": min(values, default=None),
        "high": max(values, default=None),
    }


def _times(chosen: pa.Table) -> Counter[str]:
    """In how many folds each model was chosen."""
    return Counter(rows["model"][0].as_py() for _, rows in by_fold(chosen))


def _models(own: pa.Table, times: Counter[str]) -> list[dict[str, Any]]:
    return [
        {
            "variables": "radiomics",
            "model": model,
            "label": model_label(model),
            **_spread(_divisions(own.filter(pc.field("model") == model))),
            "chosen_in": times[model],
        }
        for model in dict.fromkeys(own["model"].to_pylist())
    ]


def _others(rows: pa.Table) -> list[dict[str, Any]]:
    """The clinical and the combined model, where the paper's order of steps was replayed for them."""
    found = []
    for variables in ("combined", "clinical"):
        own = of_variables(rows, variables)
        if own.num_rows:
            label = procedure_label(own, variables)
            facts = {"variables": variables, "model": own["model"][0].as_py(), "label": label}
            found.append({**facts, **_spread(_divisions(own)), "chosen_in": None})
    return found


def _permuted(rows: pa.Table) -> dict[str, Any] | None:
    if not rows.num_rows:
        return None
    values = _divisions(rows)
    return {**_spread(values), "values": values}
