"""What is fitted side by side: the radiomics procedure, and the baselines that it must beat."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from osteorad.cohort.config import Recipe, Step
from osteorad.cohort.splits import HeldOutRows, TrainingRows
from osteorad.errors import ConfigError
from osteorad.modelling.learning.block import Block, FloatArray

VOLUME = "original_shape_VoxelVolume"
PREVALENCE = "prevalence"
BASELINE_STEPS = (Step(step="impute"), Step(step="variance"), Step(step="zscore"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A procedure: which columns, which steps, which models compete.

    numbers, texts : columns of the samples table. texts become one 0/1 column a level.
    learned_rule : threshold and calibration come from inner scores; false for the prevalence, which has none.
    """

    variables: str
    numbers: tuple[str, ...]
    texts: tuple[str, ...] = ()
    steps: tuple[Step, ...]
    models: tuple[str, ...]
    learned_rule: bool = True


def plans_of(recipe: Recipe, samples: pa.Table) -> list[Plan]:
    """Radiomics, then the baselines that the samples allow: clinical, volume, prevalence.

    Raises ConfigError where no feature column of the recipe's images is there.
    """
    names = samples.column_names
    features = tuple(name for image in recipe.images for name in names if name.startswith(f"{image}."))
    if not features:
        raise ConfigError(f"samples hold no feature of the images {', '.join(recipe.images)}.")
    plans = [Plan(variables="radiomics", numbers=features, steps=tuple(recipe.steps), models=tuple(recipe.models))]
    covariates = [f"clinical.{name}" for name in recipe.covariates if f"clinical.{name}" in names]
    if covariates:
        texts = tuple(name for name in covariates if pa.types.is_string(samples.schema.field(name).type))
        plans.append(
            Plan(
                variables="clinical",
                numbers=tuple(name for name in covariates if name not in texts),
                texts=texts,
                steps=BASELINE_STEPS,
                models=("logistic",),
            )
        )
    volume = f"{recipe.images[0]}.{VOLUME}"
    if volume in names:
        plans.append(Plan(variables="volume", numbers=(volume,), steps=BASELINE_STEPS, models=("logistic",)))
    plans.append(Plan(variables=PREVALENCE, numbers=(), steps=(), models=(PREVALENCE,), learned_rule=False))
    return plans


@dataclass(frozen=True, slots=True, kw_only=True)
class Encoder:
    """Columns of a plan as numbers; the levels of text columns are those of the training rows."""

    numbers: tuple[str, ...]
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
    return Encoder(numbers=plan.numbers, levels=levels)


def block_of(encoder: Encoder, rows: TrainingRows) -> Block:
    """Training rows of a plan as the block that its first step is fitted on."""
    return Block(
        samples=rows.samples,
        patients=rows.patients,
        columns=encoder.columns,
        X=encoder.matrix(rows),
        outcome=rows.outcome,
        sites=rows.sites,
    )
