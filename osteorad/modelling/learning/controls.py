"""Negative controls: what is found where there is nothing to find.

Permuted: a cheap form of the procedure where the outcome was dealt out anew. Shuffled: the whole procedure on features
of ROIs whose voxels were put in random order, so that texture is gone. The cheap form is the recipe's steps with all
ranked columns and one logistic model, without an inner loop. It is run on the real outcome, too (permutation 0), so
that like is held against like.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from osteorad.cohort.recipe import SHUFFLED, Recipe
from osteorad.cohort.splits import folds_of, held_out, training
from osteorad.modelling.learning.block import FloatArray, IntArray
from osteorad.modelling.learning.drawn import FoldTables
from osteorad.modelling.learning.models import REGISTRY, fit_model
from osteorad.modelling.learning.nested import FoldFit, fit_fold
from osteorad.modelling.learning.plans import RADIOMICS, Plan, block_of, fit_encoder
from osteorad.modelling.learning.steps import fit_chain, split_supervised
from osteorad.modelling.statistics.metrics import Platt
from osteorad.provenance import seed_from

CHEAP = "logistic"
REAL = 0  # number of the run on the real outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlFit:
    """Scores of the test rows of one fold of a control, and the outcome that they had there.

    repeat : of control permuted the number of the permutation, 0 the real outcome.
    """

    control: str
    variables: str
    model: str
    repeat: int
    fold: int
    samples: tuple[str, ...]
    patients: tuple[str, ...]
    outcome: IntArray
    score: FloatArray
    platt: Platt
    threshold: float


def permuted_fits(
    tables: FoldTables, splits: pa.Table, plan: Plan, *, recipe: Recipe, analysis: str
) -> list[ControlFit]:
    """The cheap procedure on permuted outcomes, permutations 0 to `controls.permutations`; empty where none are asked.

    Permutation p uses the folds of repeat (p - 1) mod repeats + 1, permutation 0 those of repeat 1. Steps that do not
    look at the outcome are fitted once a fold. Each fold reads its own table.
    """
    count = recipe.controls.permutations
    if not count:
        return []
    samples = tables.base
    outcomes = {number: permuted_outcome(samples, f"{analysis}/permuted/{number}") for number in range(1, count + 1)}
    outcomes[REAL] = dict(zip(samples["sample"].to_pylist(), samples["outcome"].to_pylist(), strict=True))
    repeats = max(repeat for repeat, _ in folds_of(splits))
    found = []
    for repeat, fold in folds_of(splits):
        mine = {p: outcomes[p] for p in sorted(outcomes) if (max(p, 1) - 1) % repeats + 1 == repeat}
        own = tables.of(repeat, fold)
        found += list(_fold(own, splits, plan, mine, repeat=repeat, fold=fold, recipe=recipe, analysis=analysis))
    return sorted(found, key=lambda fit: (fit.repeat, fit.fold))


def _fold(
    samples: pa.Table,
    splits: pa.Table,
    plan: Plan,
    outcomes: dict[int, dict[str, int]],
    *,
    repeat: int,
    fold: int,
    recipe: Recipe,
    analysis: str,
) -> Iterator[ControlFit]:
    """One fold under several outcomes."""
    rows = training(samples, splits, repeat=repeat, fold=fold)
    test = held_out(samples, splits, repeat=repeat, fold=fold)
    encoder = fit_encoder(plan, rows)
    blind, seeing = split_supervised(plan.steps)
    head = fit_chain(blind, block_of(encoder, rows))
    X_test = head.transform(encoder.matrix(test), test.sites)
    config = REGISTRY[CHEAP].grid[-1]
    for number, outcome in outcomes.items():
        y = np.array([outcome[sample] for sample in rows.samples], dtype=np.int64)
        tail = fit_chain(seeing, replace(head.block, outcome=y))
        seed = seed_from(f"{analysis}/permuted/{number}/{fold}")
        model = fit_model(CHEAP, tail.block.X, y, config=config, seed=seed, trees=recipe.trees)
        yield ControlFit(
            control="permuted",
            variables=RADIOMICS,
            model=CHEAP,
            repeat=number,
            fold=fold,
            samples=test.samples,
            patients=test.patients,
            outcome=np.array([outcome[sample] for sample in test.samples], dtype=np.int64),
            score=np.asarray(model.score(tail.transform(X_test, test.sites)), dtype=float),
            platt=Platt(intercept=0.0, slope=1.0),
            threshold=0.0,
        )


def shuffled_fits(
    samples: pa.Table, splits: pa.Table, plan: Plan, *, recipe: Recipe, analysis: str
) -> list[ControlFit]:
    """The whole nested procedure on the columns of shuffled voxels; empty where the recipe does not ask for it.

    A step that compares readers is left out: nobody contours shuffled voxels twice.
    """
    if not recipe.controls.shuffled:
        return []
    own = replace(
        plan,
        numbers=tuple(name.replace(".", f"@{SHUFFLED}.", 1) for name in plan.numbers),
        second=(),
        steps=tuple(step for step in plan.steps if step.step != "icc"),
    )
    outcome = dict(zip(samples["sample"].to_pylist(), samples["outcome"].to_pylist(), strict=True))
    found = []
    for repeat, fold in folds_of(splits):
        fit = fit_fold(samples, splits, own, recipe=recipe, analysis=f"{analysis}/{SHUFFLED}", repeat=repeat, fold=fold)
        found.append(control_of(fit, SHUFFLED, repeat, outcome))
    return found


def control_of(fit: FoldFit, control: str, repeat: int, outcome: Mapping[str, int]) -> ControlFit:
    """The chosen model of a fold as a row of a control. outcome : of every sample, as the control had it."""
    model = fit.chosen_model
    return ControlFit(
        control=control,
        variables=fit.plan.variables,
        model=model.name,
        repeat=repeat,
        fold=fit.fold,
        samples=fit.test_samples,
        patients=fit.test_patients,
        outcome=np.array([outcome[sample] for sample in fit.test_samples], dtype=np.int64),
        score=model.test_score,
        platt=model.platt,
        threshold=model.threshold,
    )


def permuted_outcome(samples: pa.Table, name: str) -> dict[str, int]:
    """Sample -> outcome after patients exchanged their outcomes, drawn from `name`.

    A patient gets the outcomes of another one in random order, from the start again where he has more samples than
    that one. So no outcome hangs on the patient's own features or on a lesion's number, and no two patients share
    one: else features of neighbours would tell something, and the mean AUC would not be 0.5.
    """
    own: dict[str, list[tuple[str, int]]] = {}
    rows = zip(*(samples[column].to_pylist() for column in ("patient", "sample", "outcome")), strict=True)
    for patient, sample, outcome in sorted(rows):
        own.setdefault(patient, []).append((sample, outcome))
    patients = sorted(own)
    rng = np.random.default_rng(seed_from(name))
    drawn: dict[str, int] = {}
    for patient, at in zip(patients, rng.permutation(len(patients)).tolist(), strict=True):
        theirs = rng.permutation([outcome for _, outcome in own[patients[at]]])
        dealt = np.resize(theirs, len(own[patient])).tolist()
        drawn |= {sample: outcome for (sample, _), outcome in zip(own[patient], dealt, strict=True)}
    return drawn
