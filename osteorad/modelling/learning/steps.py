"""The named steps of a recipe: each is fitted on training rows and leaves a record of what it kept and why.

A step is a function `fit(block, settings) -> FittedStep`. To add one: write its settings in `cohort.steps`, its fit in
one of the modules `steps_*`, and its line in REGISTRY.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from osteorad.cohort.settings import Settings
from osteorad.cohort.steps import CorrelationSettings, Step
from osteorad.errors import ConfigError, unknown_name
from osteorad.modelling.learning.block import Block, FittedStep, FloatArray, step_from_plain
from osteorad.modelling.learning.steps_cleaning import (
    fit_combat,
    fit_icc,
    fit_impute,
    fit_pca,
    fit_variance,
    fit_zscore,
)
from osteorad.modelling.learning.steps_filters import fit_correlation, fit_mannwhitney, fit_mrmr
from osteorad.modelling.learning.steps_stepwise import fit_stepwise
from osteorad.modelling.learning.steps_weights import fit_elastic_net, fit_lasso, fit_lasso_logistic, fit_stability

__all__ = ["REGISTRY", "Chain", "StepKind", "fit_chain", "looks_at_outcome", "split_supervised", "step_from_plain"]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepKind:
    """A step that a recipe may name.

    supervised : looks at the outcome, whatever its settings. takes_missing : may be fitted on missing values.
    """

    fit: Callable[[Block, Settings], FittedStep]
    supervised: bool
    takes_missing: bool = False


REGISTRY: dict[str, StepKind] = {
    "impute": StepKind(fit=fit_impute, supervised=False, takes_missing=True),
    "variance": StepKind(fit=fit_variance, supervised=False),
    "icc": StepKind(fit=fit_icc, supervised=False, takes_missing=True),
    "combat": StepKind(fit=fit_combat, supervised=False),
    "zscore": StepKind(fit=fit_zscore, supervised=False),
    "mannwhitney": StepKind(fit=fit_mannwhitney, supervised=True),
    "correlation": StepKind(fit=fit_correlation, supervised=False),
    "pca": StepKind(fit=fit_pca, supervised=False),
    "mrmr": StepKind(fit=fit_mrmr, supervised=True),
    "lasso": StepKind(fit=fit_lasso, supervised=True),
    "lasso-logistic": StepKind(fit=fit_lasso_logistic, supervised=True),
    "elastic-net": StepKind(fit=fit_elastic_net, supervised=True),
    "stability": StepKind(fit=fit_stability, supervised=True),
    "stepwise": StepKind(fit=fit_stepwise, supervised=True),
}


def looks_at_outcome(step: Step) -> bool:
    """Whether what a step learns depends on the outcome, with the settings that it has."""
    settings = step.typed()
    by_relevance = isinstance(settings, CorrelationSettings) and settings.keep == "relevance"
    return REGISTRY[step.step].supervised or by_relevance


def split_supervised(steps: Sequence[Step]) -> tuple[tuple[Step, ...], tuple[Step, ...]]:
    """The longest head of steps that do not look at the outcome, and the rest.

    Raises ConfigError for an unknown step.
    """
    _known(steps)
    head = next((at for at, step in enumerate(steps) if looks_at_outcome(step)), len(steps))
    return tuple(steps[:head]), tuple(steps[head:])


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Fitted steps in order, and the training block after the last one."""

    steps: tuple[FittedStep, ...]
    block: Block

    @property
    def prefixes(self) -> tuple[int, ...]:
        """How many of the last step's columns to try, where that step ranks them; else nothing."""
        return self.steps[-1].prefixes if self.steps else ()

    def transform(self, X: FloatArray, sites: Sequence[str] = ()) -> FloatArray:
        """Rows of any part through all steps. sites : of each row; none given: all unknown."""
        for step in self.steps:
            X = step.transform(X, sites)
        return X

    def then(self, other: Chain) -> Chain:
        """This chain and one that was fitted on its block."""
        return Chain(steps=self.steps + other.steps, block=other.block)


def fit_chain(steps: Sequence[Step], block: Block) -> Chain:
    """Fit steps one after the other, each on what the ones before made of the training rows.

    A second reader's rows go through the same fits, but what is missing there stays missing.
    Raises ConfigError for an unknown step, a ranking step that is not the last, or missing values that reach a step
    which cannot take them.
    """
    _known(steps)
    fitted: list[FittedStep] = []
    for step in steps:
        kind = REGISTRY[step.step]
        if fitted and fitted[-1].prefixes:
            raise ConfigError(f"recipe: steps: '{fitted[-1].name}' ranks columns and must be the last step.")
        if not kind.takes_missing and np.isnan(block.X).any():
            raise ConfigError(f"recipe: steps: '{step.step}' needs complete columns: put 'impute' before it.")
        done = kind.fit(block, step.typed())
        second = None if block.second is None else replace(done, fill=None).transform(block.second, block.sites)
        block = block.with_columns(done.columns, done.transform(block.X, block.sites), second)
        fitted.append(done)
    return Chain(steps=tuple(fitted), block=block)


def _known(steps: Sequence[Step]) -> None:
    for step in steps:
        if step.step not in REGISTRY:
            raise ConfigError(unknown_name("step", step.step, REGISTRY, "recipe: steps"))
