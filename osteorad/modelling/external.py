"""A frozen bundle on another cohort: applied as it stands, or refused where it would not mean the same there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from osteorad.cohort.recipe import Recipe
from osteorad.cohort.schemas import PREDICTIONS
from osteorad.errors import AnalysisRefused
from osteorad.files import table_from_rows
from osteorad.modelling.learning.bundle import Frozen, recipe_hash
from osteorad.modelling.learning.extractor import IDENTITY, extractor_of, extractor_text

EXTERNAL = "external"


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """Predictions of the frozen parts, and sample -> share of the model's columns outside the training range."""

    predictions: pa.Table
    outside: dict[str, float]


def apply_bundle(
    bundle: Mapping[str, Any], samples: pa.Table, recipe: Recipe, *, analysis: str, cohort: str
) -> Applied:
    """Score another cohort with every part of a bundle; threshold and calibration are the frozen ones.

    bundle : content of bundle.json. samples : schemas.SAMPLES with features, made by the bundle's recipe.
    The outcome is only carried along. Raises AnalysisRefused where the bundle was refused itself, or recipe or
    extractor are others; ConfigError where a column is missing.
    """
    if problems := list(refusals(bundle, samples, recipe)):
        raise AnalysisRefused(f"{analysis}: " + " ".join(problems))
    frozen = Frozen(bundle)
    rows = [row for name in bundle["parts"] for row in _rows(frozen, name, samples, analysis=analysis, cohort=cohort)]
    return Applied(predictions=table_from_rows(rows, PREDICTIONS), outside=frozen.outside_ranges(samples))


def refusals(bundle: Mapping[str, Any], samples: pa.Table, recipe: Recipe) -> Iterator[str]:
    """Why a bundle cannot be applied to these samples, naming both sides; nothing where it can."""
    if bundle["state"] != "frozen":
        yield f"the bundle of analysis '{bundle['analysis']}' holds no model. {bundle['why']}"
    if bundle["recipe_hash"] != (own := recipe_hash(recipe)):
        yield (
            f"the bundle was made by recipe '{bundle['recipe']}' ({bundle['recipe_hash'][:12]}), this analysis asks "
            f"for '{recipe.name}' ({own[:12]}). Wanted: the same recipe with the same overrides."
        )
    theirs, ours = bundle["extractor"], extractor_of(samples)
    if any(theirs[name] != ours[name] for name in IDENTITY):
        yield (
            f"the bundle's features come from {extractor_text(theirs)}, those of this cohort from "
            f"{extractor_text(ours)}. Wanted: one extractor for both."
        )


def _rows(frozen: Frozen, variables: str, samples: pa.Table, *, analysis: str, cohort: str) -> Iterator[dict[str, Any]]:
    """Rows of one part: one repeat, one fold, all patients tested."""
    part, scored = frozen.plain["parts"][variables], frozen.score(samples, variables)
    keys = {
        **{"cohort": cohort, "analysis": analysis, "procedure": EXTERNAL, "repeat": 1, "fold": 1},
        **{"model": part["model"], "variables": variables, "control": "none", "chosen": True},
        **{"threshold": part["threshold"], "part": "test"},
    }
    columns = (samples[name].to_pylist() for name in ("patient", "sample", "outcome"))
    values = (array.tolist() for array in (scored.score, scored.probability, scored.predicted))
    for patient, sample, outcome, score, probability, predicted in zip(*columns, *values, strict=True):
        yield {
            **keys,
            **{"patient": patient, "sample": sample, "outcome": outcome},
            **{"score": score, "probability": probability, "predicted": predicted},
        }
