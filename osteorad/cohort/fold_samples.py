"""Samples as one outer fold sees them: the base table and features of masks that networks drew inside that fold.

Who is a sample, and with which outcome, the reference masks have decided (`cohort.samples`); here features are added
and nothing else. A region that the networks did not find leaves NaN, and its row stays: a failed mask must not decide
who is tested.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from osteorad.cohort.fold_facts import FoldFacts, with_fold_facts
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.samples import reference_set
from osteorad.errors import UserError

EXTRACTOR = b"osteorad"  # metadata of feature tables; a test holds it equal to the radiomics room's
NAN = float("nan")


def make_fold_samples(base: pa.Table, features: pa.Table, recipe: Recipe, facts: FoldFacts) -> pa.Table:
    """The base samples with `<image>.<name>` of one fold's automatic masks, for each `<image>@<reference>.<name>`.

    base : schemas.SAMPLES with the reference's features. features : contract 4, of that fold and its mask set; of
    several regions of a session the one with the lowest number counts, since the unit is the patient.
    Raises UserError where the two tables were made by different presets.
    """
    _same_preset(base, features)
    fields, columns = list(base.schema), list(base.columns)
    for image in recipe.images:
        before = f"{image}@{reference_set(recipe)}."
        rows = _rows(base, features, image, recipe)
        for field in base.schema:
            if field.name.startswith(before):
                name = field.name.removeprefix(before)
                fields.append(field.with_name(f"{image}.{name}"))
                columns.append(features[name].take(rows).fill_null(NAN))
    schema = pa.schema(fields, metadata=base.schema.metadata)
    return with_fold_facts(pa.table(columns, schema=schema), facts)


def undrawn(table: pa.Table, images: Sequence[str]) -> int:
    """Samples of which an image has no automatic feature at all: nothing was drawn, or nothing could be computed."""
    lacking = np.zeros(table.num_rows, dtype=bool)
    for image in images:
        names = [name for name in table.column_names if name.startswith(f"{image}.")]
        lacking |= np.all([np.isnan(table[name].to_numpy()) for name in names], axis=0)
    return int(lacking.sum())


def _rows(base: pa.Table, features: pa.Table, image: str, recipe: Recipe) -> pa.Array:
    """For each sample the row of the feature table that holds its automatic region, or nothing."""
    place: dict[tuple[str, str], tuple[int, int]] = {}
    keys = features.select(["patient", "session", "image", "roi", "lesion", "mask_set"]).to_pylist()
    for row, key in enumerate(keys):
        if (key["image"], key["roi"], key["mask_set"]) == (image, recipe.roi, recipe.mask_set):
            found, region = (int(key["lesion"]), row), (str(key["patient"]), str(key["session"]))
            place[region] = min(place.get(region, found), found)
    sessions = zip(base["patient"].to_pylist(), base["session"].to_pylist(), strict=True)
    return pa.array([place[session][1] if session in place else None for session in sessions], pa.int64())


def _same_preset(base: pa.Table, features: pa.Table) -> None:
    """UserError where reference and automatic features do not come from one extractor: they are compared."""
    told = [json.loads((table.schema.metadata or {}).get(EXTRACTOR, b"{}")) for table in (base, features)]
    for key in ("preset_hash", "software"):
        first, second = (facts.get(key) for facts in told)
        if first != second:
            raise UserError(
                f"features of the reference masks and of the automatic ones differ in {key}: {first} and {second}. "
                "Remove the older table and run again."
            )
