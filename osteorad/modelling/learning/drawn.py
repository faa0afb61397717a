"""Who drew the masks of an analysis inside its folds, and the samples that each outer fold sees because of it.

Where people drew, every fold sees one table. Where networks drew, each outer fold has networks, masks, features and so
samples of its own; nothing of one fold may serve another.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from osteorad.cohort.fold_facts import FoldFacts, fold_facts
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.segmentation import AUTOMATIC
from osteorad.cohort.splits import folds_of
from osteorad.errors import UserError
from osteorad.modelling.learning.table_hash import table_hash
from osteorad.provenance import digest

FoldKey = tuple[int, int]  # repeat, fold
OUT_OF_FOLD, EXTERNAL = "out_of_fold", "external"  # roles of a mask: drawn by the network that skipped it, by all


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A trained network of a fold, as its record tells. seen : patients on whom it was trained or its epoch chosen."""

    inner_fold: int
    seen: frozenset[str]
    weights: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnPatient:
    """By which networks (inner folds) a patient's masks were drawn, and the role that the manifest gives them."""

    role: str
    networks: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldMasks:
    """Masks that the networks of one outer fold drew.

    sha256 : of their manifest. patients : pseudonym -> who drew. weights : inner fold -> hash of the network's weights
    as the manifest names it; networks : the same networks by their own records.
    """

    repeat: int
    fold: int
    network: str
    sha256: str
    patients: Mapping[str, DrawnPatient]
    weights: Mapping[int, str]
    networks: tuple[Network, ...]

    @property
    def name(self) -> str:
        """Short name of the fold: r1f2."""
        return f"r{self.repeat}f{self.fold}"


@dataclass(frozen=True, slots=True, kw_only=True)
class FoldTables:
    """Samples by outer fold. base : who is a sample. folds : the same rows with a fold's own features; none: base."""

    base: pa.Table
    folds: Mapping[FoldKey, pa.Table] = field(default_factory=dict)

    def of(self, repeat: int, fold: int) -> pa.Table:
        """What an outer fold sees, in training and test rows alike."""
        return self.folds[(repeat, fold)] if self.folds else self.base

    @property
    def example(self) -> pa.Table:
        """A table with the columns that every fold sees."""
        return next(iter(self.folds.values()), self.base)


def fold_tables(base: pa.Table, found: Sequence[pa.Table], splits: pa.Table, recipe: Recipe) -> FoldTables:
    """Tables of the folds by what they say of themselves; without any, every fold sees the base table.

    Raises UserError where networks draw and a fold has no table, a table is of another network or has other samples
    than the base, or where people draw and there are tables of folds.
    """
    folds: dict[FoldKey, pa.Table] = {}
    whole = table_hash(base) if found else ""
    for table in found:
        facts = fold_facts(table)
        if facts is None or f"{AUTOMATIC}{facts.network}" != recipe.mask_set:
            raise UserError(f"a table of fold samples is of {facts}; wanted: one of mask set {recipe.mask_set}.")
        if table_hash(table.select(base.column_names)) != whole:
            raise UserError(f"samples of fold {facts.name} are not those of the analysis. Run again.")
        folds[(facts.repeat, facts.fold)] = _shared(base, table)
    wanted = folds_of(splits) if recipe.segmentation is not None else []
    if sorted(folds) != wanted or len(found) != len(wanted):
        raise UserError(f"{len(found)} tables of fold samples, of folds {sorted(folds)}; the splits have {wanted}.")
    if len({digest(table.column_names) for table in folds.values()}) > 1:
        raise UserError("tables of fold samples have different columns. Run again.")
    return FoldTables(base=base, folds=dict(sorted(folds.items())))


def _shared(base: pa.Table, table: pa.Table) -> pa.Table:
    """The same table, with the columns that all folds share held in memory once."""
    own = [name for name in table.column_names if name not in set(base.column_names)]
    fields = [*base.schema, *(table.schema.field(name) for name in own)]
    return pa.table(
        [*base.columns, *(table[name] for name in own)], schema=pa.schema(fields, metadata=table.schema.metadata)
    )


def facts_by_fold(tables: FoldTables) -> dict[FoldKey, FoldFacts]:
    """What each fold's table was made from; empty where every fold sees the base."""
    found = {key: fold_facts(table) for key, table in tables.folds.items()}
    return {key: facts for key, facts in found.items() if facts is not None}
