"""Samples where networks draw inside each fold: the reference decides who, each fold adds its own features."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa
import pytest

from osteorad.cohort.fold_facts import FoldFacts, fold_facts, with_fold_facts
from osteorad.cohort.fold_samples import make_fold_samples, undrawn
from osteorad.cohort.job_fold_samples import fold_samples_job
from osteorad.cohort.recipe import Splits
from osteorad.cohort.schemas import SAMPLES
from osteorad.cohort.segmentation import NetworkSettings, SegmentationSettings
from osteorad.cohort.splits import make_splits
from osteorad.errors import ConfigError, UserError
from osteorad.files import read_parquet, write_parquet
from osteorad.provenance import sample_key, sha256_file

from .sample_tables import NAMES, Cohort, losses, make, patients, recipe

DRAWN = {
    "mask_set": "auto-unet",
    "second_set": "manual",
    "segmentation": SegmentationSettings(networks={"unet": NetworkSettings(network="unet2d_tiny")}),
}
FACTS = FoldFacts(repeat=1, fold=2, network="unet", masks="m" * 64)


def automatic(rows, facts=FACTS, preset="same") -> pa.Table:
    """A feature table of the fold's masks."""
    cohort = Cohort(0)
    cohort.features = rows
    told = {b"osteorad": json.dumps({"preset_hash": preset, "software": {}}).encode()}
    return with_fold_facts(cohort.tables().features.replace_schema_metadata(told), facts)


def base_of(cohort: Cohort, preset="same") -> pa.Table:
    table = make(cohort, **DRAWN).table
    facts = {**table.schema.metadata, b"osteorad": json.dumps({"preset_hash": preset, "software": {}}).encode()}
    return table.replace_schema_metadata(facts)


def row(patient, *, value=7.0, lesion=1, image="ct", roi="marrow", mask_set="auto-unet", session="s1"):
    return Cohort.feature(patient, session, image, roi=roi, lesion=lesion, mask_set=mask_set, value=value)


def drawn_for(names=None, **how) -> list[dict]:
    return [row(patient, value=100.0 + at, **how) for at, patient in enumerate(patients() if names is None else names)]


def test_the_base_holds_the_reference_and_no_automatic_feature():
    made = make(Cohort(), **DRAWN)
    assert made.table.schema.names == [
        *SAMPLES.names, "clinical.age_years", "clinical.er", *(f"ct@manual.{name}" for name in NAMES[:2]),
    ]  # fmt: skip
    assert set(made.table["mask_set"].to_pylist()) == {"auto-unet"}
    ordinary = make(Cohort()).table
    assert made.table["sample"].to_pylist() == ordinary["sample"].to_pylist()
    assert made.table["ct@manual.original_firstorder_Mean"].to_pylist() == [1.0] * 20
    assert made.flow["mask_set"] == "auto-unet"


def test_who_is_a_sample_is_decided_from_the_reference():
    cohort = Cohort(24)
    cohort.drop("features", "p02")
    cohort.row("features", "p03")["mask_set"] = "auto-unet"  # an automatic mask makes nobody a sample
    assert losses(make(cohort, **DRAWN))["roi_absent"] == ["p02", "p03"]


def test_patients_are_divided_as_with_drawn_masks():
    tables = [make(Cohort(), **changes).table for changes in ({}, DRAWN)]
    divided = [make_splits(table, Splits(), analysis="a", cohort="c") for table in tables]
    assert divided[0].equals(divided[1])


def test_lesions_of_networks_are_no_samples():
    with pytest.raises(ConfigError, match="unit lesion needs masks that people drew"):
        make(Cohort(), **DRAWN, unit="lesion")


def test_a_fold_adds_its_own_features_beside_the_references():
    base = base_of(Cohort())
    made = make_fold_samples(base, automatic(drawn_for()), recipe(**DRAWN), FACTS)
    assert made.select(base.column_names).equals(base)
    assert made.column_names == [*base.column_names, *(f"ct.{name}" for name in NAMES[:2])]
    assert made["ct.original_firstorder_Mean"].to_pylist() == [100.0 + at for at in range(20)]
    assert made.schema.field("ct.original_firstorder_Mean").metadata == {b"unit": b"mm3"}
    assert fold_facts(made) == FACTS
    assert made.schema.metadata[b"inputs"] == base.schema.metadata[b"inputs"]


def test_what_was_not_drawn_is_missing_and_its_sample_stays():
    found = automatic([*drawn_for(patients()[1:]), row("p00", session="s2"), row("p00", roi="lesion")])
    made = make_fold_samples(base_of(Cohort()), found, recipe(**DRAWN), FACTS)
    assert made.num_rows == 20
    assert np.isnan(made["ct.original_firstorder_Mean"].to_numpy()[0])
    assert undrawn(made, ["ct"]) == 1


def test_of_several_regions_the_first_counts_whatever_the_reader_called_his():
    cohort = Cohort()
    for entry in cohort.features:
        entry["lesion"] = 4
    rows = [row(p, value=float(n), lesion=n) for p in patients() for n in (3, 2, 5)]
    made = make_fold_samples(base_of(cohort), automatic(rows), recipe(**DRAWN), FACTS)
    assert set(made["ct.original_firstorder_Mean"].to_pylist()) == {2.0}
    assert made["sample"][0].as_py() == sample_key("c", "p00", "s1", "marrow", 4)


def test_masks_of_people_in_the_same_table_are_left_alone():
    rows = drawn_for() + drawn_for(mask_set="manual", lesion=0)
    made = make_fold_samples(base_of(Cohort()), automatic(rows), recipe(**DRAWN), FACTS)
    assert made["ct.original_firstorder_Mean"][0].as_py() == 100.0


def test_features_of_another_preset_are_refused():
    with pytest.raises(UserError, match="differ in preset_hash: same and other"):
        make_fold_samples(base_of(Cohort()), automatic(drawn_for(), preset="other"), recipe(**DRAWN), FACTS)


def run_job(folder, features, **where):
    write_parquet(folder / "samples.parquet", base_of(Cohort()))
    write_parquet(folder / "features.parquet", features)
    fold_samples_job(
        samples=folder / "samples.parquet",
        features=folder / "features.parquet",
        params={"recipe": recipe(**DRAWN).model_dump(mode="json")},
        out=folder / "out.parquet",
        **{"repeat": 1, "fold": 2, **where},
    )
    return read_parquet(folder / "out.parquet")


def test_the_job_writes_what_it_was_made_from(tmp_path):
    facts = fold_facts(run_job(tmp_path, automatic(drawn_for())))
    assert facts == FoldFacts(
        repeat=1, fold=2, network="unet", masks="m" * 64, features=sha256_file(tmp_path / "features.parquet")
    )


@pytest.mark.parametrize(("where", "network"), [({"fold": 1}, "unet"), ({"repeat": 2}, "unet"), ({}, "other")])
def test_the_job_refuses_features_of_another_fold_or_network(where, network, tmp_path):
    facts = FoldFacts(repeat=1, fold=2, network=network, masks="m" * 64)
    with pytest.raises(UserError, match="wanted"):
        run_job(tmp_path, automatic(drawn_for(), facts), **where)
