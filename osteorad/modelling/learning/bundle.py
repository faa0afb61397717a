"""The frozen bundle: the procedure fitted once on all patients, as plain data that another cohort can be scored with.

It holds what the steps learned, the model's parameters, calibration, threshold and ranges; never a training row. A
model that needs its training rows (nearest neighbours, support vectors) is refused, and so is one whose features come
from networks of each fold: it would need networks of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from threadpoolctl import threadpool_limits

from osteorad.cohort.recipe import JUDGED, Recipe
from osteorad.cohort.splits import FROZEN, HeldOutRows
from osteorad.errors import ConfigError
from osteorad.modelling.learning.block import FloatArray
from osteorad.modelling.learning.extractor import extractor_of
from osteorad.modelling.learning.linear import linear_part
from osteorad.modelling.learning.models import REGISTRY, model_from_plain
from osteorad.modelling.learning.nested import FoldFit, learn_fold
from osteorad.modelling.learning.plans import (
    COMBINED,
    RADIOMICS,
    RADSCORE,
    Encoder,
    Plan,
    clinical_plans,
    plans_of,
    with_radscore,
)
from osteorad.modelling.learning.steps import Chain, step_from_plain
from osteorad.modelling.statistics.metrics import Platt
from osteorad.provenance import digest

FROZEN_PLANS = (RADIOMICS, "clinical", COMBINED)
RANGE = (1.0, 99.0)  # percentiles of the training rows
DRAWN_INSIDE = (
    "The masks of this analysis are drawn by networks that are trained inside each fold. A frozen procedure would need "
    "networks trained on all patients, which a bundle does not hold. For a bundle use masks that people drew "
    "(recipe: segmentation: null, mask_set: manual)."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """What a frozen part says of some rows."""

    score: FloatArray
    probability: FloatArray
    predicted: np.ndarray[Any, np.dtype[np.int64]]


def freeze(samples: pa.Table, splits: pa.Table, recipe: Recipe, *, analysis: str, cohort: str) -> dict[str, Any]:
    """The bundle of an analysis as JSON-able data: the procedure once on all patients.

    samples : schemas.SAMPLES with features. splits : with rows of the procedure `frozen`, all patients in training.
    State `refused` where the inner loop chose a model that keeps training rows, or networks draw inside each fold; the
    clinical model is frozen all the same.
    """
    parts: dict[str, FoldFit] = {}
    with threadpool_limits(1):
        for plan in _frozen_plans(recipe, samples):
            table = with_radscore(samples, parts[RADIOMICS].radscores()) if plan.variables == COMBINED else samples
            parts[plan.variables] = learn_fold(
                table, splits, plan, recipe=recipe, analysis=analysis, repeat=0, fold=0, procedure=FROZEN
            )
    why = DRAWN_INSIDE if recipe.segmentation is not None else _refusal(parts[RADIOMICS].chosen)
    refused = bool(why)
    events = int(samples["outcome"].to_numpy().sum())
    return {
        "state": "refused" if refused else "frozen",
        "why": why,
        "analysis": analysis,
        "cohort": cohort,
        "recipe": recipe.name,
        "recipe_hash": recipe_hash(recipe),
        "extractor": extractor_of(samples),
        "unit": recipe.unit,
        "card": {
            "patients": len(set(samples["patient"].to_pylist())),
            "samples": samples.num_rows,
            "events": events,
            "estimate": "The nested result of the analysis estimates this procedure, not this one fit.",
        },
        # A combined score needs the radiomics model, so it goes with it.
        "parts": {name: _part(fit) for name, fit in parts.items() if not (refused and name in (RADIOMICS, COMBINED))},
    }


def _frozen_plans(recipe: Recipe, samples: pa.Table) -> list[Plan]:
    """What a bundle holds; where networks draw inside each fold, only what needs no mask."""
    if recipe.segmentation is None:
        return [plan for plan in plans_of(recipe, samples) if plan.variables in FROZEN_PLANS]
    return clinical_plans(recipe, samples) if "clinical" in recipe.baselines else []


def recipe_hash(recipe: Recipe) -> str:
    """Hash of what a recipe asks of samples, features and models; how it is evaluated does not count."""
    return digest(recipe.model_dump(mode="json", exclude=set(JUDGED)), 32)


def _refusal(model: str) -> str:
    """Why a bundle with this model is refused; empty where it is not."""
    if not REGISTRY[model].keeps_rows:
        return ""
    keepers = ", ".join(name for name, kind in REGISTRY.items() if kind.keeps_rows)
    return (
        f"The model chosen on all patients, {model}, consists of its training rows, which may not leave. "
        f"For a bundle take {keepers} out of the recipe's models (overrides: models)."
    )


def _part(fit: FoldFit) -> dict[str, Any]:
    model = fit.chosen_model
    low, high = np.nanpercentile(fit.train.X, RANGE, axis=0) if fit.train.X.shape[1] else (np.zeros(0), np.zeros(0))
    used = _sources(fit.chain, model.features)
    return {
        "variables": fit.plan.variables,
        "numbers": list(fit.encoder.numbers),
        "levels": {name: list(levels) for name, levels in fit.encoder.levels.items()},
        "steps": [step.plain() for step in fit.chain.steps],
        "features": list(model.features),
        "k": model.setting.k,
        "model": model.name,
        "label": REGISTRY[model.name].label,
        "config": dict(model.setting.config),
        "parameters": model.fitted.plain,
        "calibration": {"intercept": model.platt.intercept, "slope": model.platt.slope},
        "threshold": model.threshold,
        "inner_auc": model.inner_auc,
        "linear": linear_part(fit),
        "ranges": {
            name: [float(low[at]), float(high[at])] for at, name in enumerate(fit.train.columns) if name in used
        },
    }


def _sources(chain: Chain, features: Sequence[str]) -> set[str]:
    """Columns of the table that the model's features come from; all that are left where a step mixes columns."""
    before = set(chain.steps[0].columns) if chain.steps else set(features)
    return set(features) if set(features) <= before else before


@dataclass(frozen=True, slots=True)
class Frozen:
    """A bundle read again."""

    plain: Mapping[str, Any]

    def score(self, samples: pa.Table, variables: str = RADIOMICS) -> Scored:
        """Score, calibrated probability and decision for rows of another table.

        Raises ConfigError where the bundle was refused, or the table lacks a column.
        """
        if self.plain["state"] != "frozen" or variables not in self.plain["parts"]:
            raise ConfigError(f"bundle of {self.plain['analysis']}: {self.plain['why'] or f'no part {variables}'}")
        if variables == COMBINED:
            scores = self.score(samples, RADIOMICS).score
            samples = with_radscore(samples, dict(zip(samples["sample"].to_pylist(), scores.tolist(), strict=True)))
        part = self.plain["parts"][variables]
        rows = HeldOutRows(samples)
        score = self._score(part, rows)
        platt = Platt(**part["calibration"])
        return Scored(
            score=score,
            probability=platt.probability(score),
            predicted=(score >= part["threshold"]).astype(np.int64),
        )

    def _score(self, part: Mapping[str, Any], rows: HeldOutRows) -> FloatArray:
        wanted = [*part["numbers"], *part["levels"]]
        if lacking := [name for name in wanted if name not in rows.table.column_names and name != RADSCORE]:
            raise ConfigError(
                f"bundle of {self.plain['analysis']}: the samples lack {len(lacking)} of {len(wanted)} columns, "
                f"{lacking[0]} first."
            )
        levels = {name: tuple(values) for name, values in part["levels"].items()}
        X = Encoder(numbers=tuple(part["numbers"]), second=(), levels=levels).matrix(rows)
        for step in part["steps"]:
            X = step_from_plain(step).transform(X, rows.sites)
        scorer = model_from_plain(part["parameters"])
        return np.asarray(scorer(np.ascontiguousarray(X[:, : part["k"]])), dtype=float)

    def outside_ranges(self, samples: pa.Table, variables: str = RADIOMICS) -> dict[str, float]:
        """Sample -> share of the model's columns that lie outside the 1st to 99th percentile of the training rows."""
        ranges = self.plain["parts"][variables]["ranges"]
        names = [name for name in ranges if name in samples.column_names]
        X = HeldOutRows(samples).matrix(names)
        low, high = (np.array([ranges[name][at] for name in names]) for at in (0, 1))
        with np.errstate(invalid="ignore"):
            outside = (low > X) | (high < X) | np.isnan(X)
        share = outside.mean(axis=1) if names else np.zeros(samples.num_rows)
        return dict(zip(samples["sample"].to_pylist(), share.tolist(), strict=True))
