"""The job that gives one outer fold its samples. Paths in, files out; its script calls this and nothing else.

A module of its own, so that a change elsewhere in the room does not run this job again (contract 9).
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from osteorad.cohort.fold_facts import fold_facts
from osteorad.cohort.fold_samples import make_fold_samples, undrawn
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.segmentation import AUTOMATIC
from osteorad.errors import UserError
from osteorad.files import read_parquet, write_parquet
from osteorad.provenance import sha256_file

log = logging.getLogger(__name__)


def fold_samples_job(
    *, samples: Path, features: Path, repeat: int, fold: int, params: Mapping[str, Any], out: Path
) -> None:
    """Write the samples of an outer fold: the base table with features of the masks drawn inside that fold.

    params : name, settings and recipe of the analysis, as `cohort.plan.Plan.analysis_params` gives them.
    Raises UserError where the features were made for another fold or network.
    """
    recipe = Recipe.model_validate(params["recipe"])
    table = read_parquet(features)
    facts = fold_facts(table)
    found = None if facts is None else (facts.repeat, facts.fold, f"{AUTOMATIC}{facts.network}")
    if facts is None or found != (repeat, fold, recipe.mask_set):
        raise UserError(f"{features}: features of {found}, wanted {(repeat, fold, recipe.mask_set)}. Run again.")
    made = make_fold_samples(read_parquet(samples), table, recipe, replace(facts, features=sha256_file(features)))
    log.info("%s: %d of %d samples without an automatic region", facts.name, undrawn(made, recipe.images), len(made))
    write_parquet(out, made)
