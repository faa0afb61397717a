"""What is fitted side by side: the radiomics procedure, and the baselines that it must beat."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import numpy as np
import pyarrow as pa

from osteorad.cohort.recipe import Recipe
from osteorad.cohort.splits import HeldOutRows, TrainingRows
from osteorad.cohort.steps import Step
from osteorad.errors import ConfigError
from osteorad.modelling.learning.block import Block, FloatArray

VOLUME = "original_shape_VoxelVolume"
RADIOMICS, COMBINED, PREVALENCE = "radiomics", "combined", "prevalence"
RADSCORE = "radscore"  # column of the combined model
BASELINE_STEPS = (Step(step="impute"), Step(step="variance"), Step(step="zscore"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A procedure: which columns, which steps, which models compete.

    numbers, texts : columns of the samples table. texts become one 0/1 column a level. second : for each of `numbers`
    the same column by a second reader, or nothing. grids : settings tried, where not those that a model declares.
    learned_rule : threshold and calibration come from inner scores; false for the prevalence, which has none.
    """

    variables: str
    numbers: tuple[str, ...]
    texts: tuple[str, ...] = ()
    second: tuple[str, ...] = ()
    steps: tuple[Step, ...]
    models: tuple[str, ...]
    grids: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)
    learned_rule: bool = True


def plans_of(recipe: Recipe, samples: pa.Table) -> list[Plan]:
    """Radiomics, then the baselines that the recipe names and the samples allow.

    The combined plan reads the column RADSCORE, which each fold adds (`with_radscore`) once its radiomics are fitted.
    Raises ConfigError where no feature column of the recipe's images is there.
    """
    names = samples.column_names
    features = tuple(name for image in recipe.images for name in names if name.startswith(f"{image}."))
    if not features:
        raise ConfigError(f"samples hold no feature of the images {', '.join(recipe.images)}.")
    radiomics = Plan(
        variables=RADIOMICS,
        numbers=features,
        second=_second(recipe, features, names),
        steps=tuple(recipe.steps),
        models=tuple(recipe.models),
        grids=recipe.grids,
    )
    makers = {
        "clinical": lambda: clinical_plans(recipe, samples),
        COMBINED: lambda: _clinical(recipe, samples, COMBINED, (RADSCORE,)),
        "metabolic": lambda: _plain("metabolic", _matching(recipe.metabolic, features)),
        "volume": lambda: _plain("volume", _matching([f"{recipe.images[0]}.{VOLUME}"], features)),
        "site": lambda: _site(samples),
        PREVALENCE: lambda: [
            Plan(variables=PREVALENCE, numbers=(), steps=(), models=(PREVALENCE,), learned_rule=False)
        ],
    }
    return [radiomics, *(plan for name, make in makers.items() if name in recipe.baselines for plan in make())]


def clinical_plans(recipe: Recipe, samples: pa.Table) -> list[Plan]:
    """The clinical model alone, which reads no feature; nothing where the samples hold no covariate of the recipe."""
    return _clinical(recipe, samples, "clinical", ())


def _second(recipe: Recipe, features: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """For each feature the second reader's column; empty where the recipe asks for none."""
    if recipe.second_set is None:
        return ()
    mapped = tuple(name.replace(".", f"@{recipe.second_set}.", 1) for name in features)
    if lacking := set(mapped) - set(names):
        raise ConfigError(f"samples hold no mask set '{recipe.second_set}' for {len(lacking)} features.")
    return mapped


def _clinical(recipe: Recipe, samples: pa.Table, variables: str, more: tuple[str, ...]) -> list[Plan]:
    """The covariates that the samples hold, by the recipe's clinical model; nothing where there is none."""
    found = [f"clinical.{name}" for name in recipe.covariates if f"clinical.{name}" in samples.column_names]
    if not found:
        return []
    texts = tuple(name for name in found if pa.types.is_string(samples.schema.field(name).type))
    stepwise = recipe.clinical_model == "stepwise"
    return [
        Plan(
            variables=variables,
            numbers=(*(name for name in found if name not in texts), *more),
            texts=texts,
            steps=(*BASELINE_STEPS, Step(step="stepwise")) if stepwise else BASELINE_STEPS,
            models=("logistic-plain",) if stepwise else ("logistic",),
        )
    ]


def _plain(variables: str, numbers: tuple[str, ...]) -> list[Plan]:
    """A logistic model of some columns; nothing where there are none."""
    if not numbers:
        return []
    return [Plan(variables=variables, numbers=numbers, steps=BASELINE_STEPS, models=("logistic",))]


def _matching(patterns: Sequence[str], features: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in features if any(fnmatchcase(name, pattern) for pattern in patterns))


def _site(samples: pa.Table) -> list[Plan]:
    """The site alone, where there are several: what it tells, no image has to tell."""
    if len(set(samples["site"].drop_null().to_pylist())) < 2:
        return []
    return [Plan(variables="site", numbers=(), texts=("site",), steps=BASELINE_STEPS, models=("logistic",))]


def with_radscore(samples: pa.Table, scores: Mapping[str, float]) -> pa.Table:
    """Samples with the column RADSCORE of one fold: sample -> score, missing for all others.

    scores : of training rows the inner out-of-fold scores of the model chosen in that fold, of test rows its scores.
    """
    values = [scores.get(sample) for sample in samples["sample"].to_pylist()]
    return samples.append_column(RADSCORE, pa.array(values, pa.float64()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Columns of a plan as numbers; the levels of text columns are those of the training rows."""

    numbers: tuple[str, ...]
    second: tuple[str, ...]
    levels: dict[str, tuple[str, ...]]

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the encoded columns."""
        return (*self.numbers, *(f"{name}={level}" for name, levels in self.levels.items() for level in levels))

    def matrix(self, rows: HeldOutRows) -> FloatArray:
        """Rows as float64, shape (rows, columns): a missing text is missing in all its columns, a new level is 0."""
        parts = [rows.matrix(self.numbers)]
        for name, levels in self.levels.items():
            values = rows.texts(name)
            parts.append(
                np.array([[np.nan if v is None else float(v == level) for level in levels] for v in values]).reshape(
                    len(values), len(levels)
                )
            )
        return np.hstack(parts)


def fit_encoder(plan: Plan, rows: TrainingRows) -> Encoder:
    """Levels of the text columns, from training rows; the first level is the reference and has no column."""
    levels = {name: tuple(sorted({v for v in rows.texts(name) if v is not None})[1:]) for name in plan.texts}
    return Encoder(numbers=plan.numbers, second=plan.second, levels=levels)


def block_of(encoder: Encoder, rows: TrainingRows) -> Block:
    """Training rows of a plan as the block that its first step is fitted on."""
    return Block(
        samples=rows.samples,
        patients=rows.patients,
        columns=encoder.columns,
        X=encoder.matrix(rows),
        outcome=rows.outcome,
        sites=rows.sites,
        second=rows.matrix(encoder.second) if encoder.second else None,
    )
