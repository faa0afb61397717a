"""Features of masks drawn inside each fold: a fold learns from its own table, and from nothing else."""

from __future__ import annotations

import dataclasses

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from osteorad.cohort.fold_facts import fold_facts, with_fold_facts
from osteorad.cohort.recipe import Controls, Published
from osteorad.cohort.splits import OUTER, analysis_splits, held_out, training
from osteorad.errors import ConfigError, UserError
from osteorad.modelling.learning.block import fit_hash
from osteorad.modelling.learning.bundle import Frozen, freeze
from osteorad.modelling.learning.drawn import fold_tables
from osteorad.modelling.learning.lineage import upstream
from osteorad.modelling.learning.run import fit_analysis
from osteorad.modelling.statistics.icc import icc_two
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, replace_rows
from tests.unit.modelling.automatic_toy import Automatic, automatic_recipe, automatic_toy

PERMUTED = Controls(permutations=3)


@pytest.fixture(scope="module")
def toy(tmp_path_factory) -> Automatic:
    return automatic_toy(tmp_path_factory.mktemp("automatic"), automatic_recipe(controls=PERMUTED))


@pytest.fixture(scope="module")
def fitted(toy):
    return toy.fitted()


def of_fold(table: pa.Table, fold: int) -> pa.Table:
    return table.filter(pc.field("fold") == fold)


def with_noise(table: pa.Table, rows) -> pa.Table:
    """Other automatic features in some rows; the columns that all folds share stay."""
    noise = np.random.default_rng(3)
    for at, name in enumerate(table.column_names):
        if name.startswith("ct."):
            values = np.where(rows, noise.normal(size=len(rows)) * 1e6, table[name].to_numpy())
            table = table.set_column(at, table.schema.field(at), pa.array(values))
    return table


def test_the_same_features_in_every_fold_give_an_ordinary_analysis(toy):
    tables = [toy.tables()[0]] * 3
    facts = [dataclasses.replace(fold_facts(tables[0]), fold=fold) for fold in (1, 2, 3)]
    tables = [with_fold_facts(table, fact) for table, fact in zip(tables, facts, strict=True)]
    inside = toy.fitted(tables=tables)
    ordinary = automatic_recipe(controls=PERMUTED, segmentation=None)
    names = {"analysis": ANALYSIS, "cohort": COHORT}
    outside = fit_analysis(tables[0].replace_schema_metadata(None), toy.splits, ordinary, **names)
    assert inside.predictions.equals(outside.predictions)
    assert inside.steps.equals(outside.steps)
    assert inside.selection.equals(outside.selection)
    assert inside.models == outside.models


def test_a_fold_learns_from_its_own_table_alone(toy, fitted):
    first, *others = toy.tables()
    noised = [with_noise(table, np.full(table.num_rows, True)) for table in others]
    again = toy.fitted(tables=[first, *noised])
    for name in ("predictions", "steps", "selection"):
        before, after = getattr(fitted, name), getattr(again, name)
        assert of_fold(before, 1).equals(of_fold(after, 1)), name
        assert not of_fold(before, 2).equals(of_fold(after, 2)), name
    controls = pc.field("control") == "permuted"
    assert not fitted.predictions.filter(controls).equals(again.predictions.filter(controls))


def test_test_rows_of_a_fold_change_nothing_that_it_learns(toy, fitted):
    tables = toy.tables()
    test = set(held_out(toy.base, toy.splits, repeat=1, fold=1).samples)
    rows = np.array([sample in test for sample in toy.base["sample"].to_pylist()])
    again = toy.fitted(tables=[with_noise(tables[0], rows), *tables[1:]])
    assert fitted.steps.equals(again.steps)
    assert fitted.selection.equals(again.selection)
    assert fitted.models == again.models
    train = pc.field("part") == "train"
    assert fitted.predictions.filter(train).equals(again.predictions.filter(train))
    assert not fitted.predictions.filter(~train).equals(again.predictions.filter(~train))


def test_automatic_features_are_held_against_the_reference_in_training_rows(toy, fitted):
    """ICC(A,1) of the pairs of a fold's training rows, its lower bound; columns of much noise leave."""
    for fold, table in enumerate(toy.tables(), 1):
        rows = training(table, toy.splits, repeat=1, fold=fold)
        names = [name for name in table.column_names if name.startswith("ct.")]
        X, second = rows.matrix(names), rows.matrix([name.replace("ct.", "ct@manual.") for name in names])
        X = np.where(np.isnan(X), np.nanmedian(X, axis=0), X)
        kept = {n for n, low in zip(names, icc_two(X, second, "A,1").lower, strict=True) if low > 0.75}
        left = {row["feature"] for row in of_fold(fitted.selection, fold).to_pylist() if row["step"] == "icc"}
        assert left == set(names) - kept
        assert {name for at, name in enumerate(names) if at % 5 == 4} <= left


def test_the_volume_baseline_is_the_volume_that_the_networks_drew(toy, fitted):
    table = toy.tables()[1]
    rows = training(table, toy.splits, repeat=1, fold=2)
    own = fitted.steps.filter(
        (pc.field("variables") == "volume") & (pc.field("fold") == 2) & (pc.field("inner_fold") == OUTER)
    )
    X = rows.matrix(["ct.original_shape_VoxelVolume"])
    assert own["fit_hash"][0].as_py() == fit_hash(rows.samples, X, rows.outcome)


def test_lineage_leads_from_predictions_through_samples_and_masks_to_networks(fitted):
    above = {node["id"]: node for node in upstream(fitted.lineage, "predictions/r1f2/volume")}
    assert {
        "samples/r1f2", "input/r1f2/features.parquet", "masks/r1f2/unet", "network/r1f2i1/unet", "network/r1f2i2/unet",
        "samples", "splits",
    } <= set(above)  # fmt: skip
    assert not any("r1f1" in name or "r1f3" in name for name in above)
    assert above["masks/r1f2/unet"]["roles"] == {"external": 10, "out_of_fold": 20}


# --- tables that do not belong together -----------------------------------------------------------------------------


def test_swapped_tables_are_told_by_what_they_say_of_themselves(toy, fitted):
    first, second, third = toy.tables()
    assert toy.fitted(tables=[second, third, first]).predictions.equals(fitted.predictions)
    with pytest.raises(UserError, match=r"3 tables of fold samples, of folds \[\(1, 2\), \(1, 3\)\]"):
        toy.fitted(tables=[second, second, third])


def test_a_fold_without_table_stops(toy):
    with pytest.raises(UserError, match=r"the splits have \[\(1, 1\), \(1, 2\), \(1, 3\)\]"):
        toy.fitted(tables=toy.tables()[:2])
    with pytest.raises(UserError, match="0 tables of fold samples"):
        toy.fitted(tables=[])


def test_other_samples_than_the_base_stop(toy):
    first, *others = toy.tables()
    rows = np.arange(first.num_rows) == 3
    moved = replace_rows(first, rows, np.random.default_rng(1))
    with pytest.raises(UserError, match="samples of fold r1f1 are not those of the analysis"):
        fold_tables(toy.base, [moved, *others], toy.splits, toy.recipe)


def test_tables_of_another_network_or_of_none_stop(toy):
    tables = toy.tables()
    with pytest.raises(UserError, match="wanted: one of mask set auto-other"):
        fold_tables(toy.base, tables, toy.splits, automatic_recipe(mask_set="auto-other"))
    with pytest.raises(UserError, match="is of None"):
        fold_tables(toy.base, [tables[0].replace_schema_metadata(None)], toy.splits, toy.recipe)


def test_different_columns_in_two_folds_stop(toy):
    first, *others = toy.tables()
    with pytest.raises(UserError, match="different columns"):
        fold_tables(toy.base, [first.drop_columns(["ct.f001"]), *others], toy.splits, toy.recipe)


# --- what is not offered ----------------------------------------------------------------------------------------------


def test_neither_the_papers_order_nor_shuffled_voxels_are_offered(tmp_path):
    published = Published(split="hold-out", by="patient")
    recipe = automatic_recipe(published=published, controls=Controls(permutations=0, shuffled=True))
    toy = automatic_toy(tmp_path, recipe)
    toy.splits = analysis_splits(toy.base, recipe.splits, analysis=ANALYSIS, cohort=COHORT, published=published)
    with pytest.raises(ConfigError) as refused:
        toy.fitted()
    assert [problem.split(":")[0] for problem in refused.value.problems] == ["as_published", "recipe"]


def test_a_bundle_is_refused_and_says_why_and_holds_what_needs_no_mask(toy):
    bundle = freeze(toy.base, toy.splits, toy.recipe, analysis=ANALYSIS, cohort=COHORT)
    assert bundle["state"] == "refused"
    assert bundle["why"].startswith("The masks of this analysis are drawn by networks that are trained inside each")
    assert list(bundle["parts"]) == ["clinical"]
    with pytest.raises(ConfigError, match="drawn by networks"):
        Frozen(bundle).score(toy.base)
