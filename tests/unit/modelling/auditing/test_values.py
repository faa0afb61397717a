"""What the audit finds in the samples table itself: A5, A8, A10, A12; A4 in controls, A13 in the lineage."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from osteorad.cohort.recipe import Splits
from osteorad.cohort.schemas import PREDICTIONS, SAMPLES, SELECTION, SPLITS, STEPS
from osteorad.cohort.splits import make_splits
from osteorad.files import read_parquet
from osteorad.modelling.auditing.networks import check_networks
from osteorad.modelling.auditing.permuted import check_permuted
from osteorad.modelling.auditing.roles import check_patient_ids
from osteorad.modelling.auditing.tables import AuditTables
from osteorad.modelling.auditing.values import check_days, check_duplicates, check_standardised
from tests.unit.modelling.analysis_toy import ANALYSIS, COHORT, toy_recipe, toy_samples

GRAPH = {"patients": [], "nodes": [], "edges": []}


def audit_tables(samples: pa.Table, *, splits: pa.Table | None = None, mask_set="manual", **facts) -> AuditTables:
    """Tables of a run of which only the samples matter."""
    return AuditTables(
        samples=samples,
        splits=SPLITS.empty_table() if splits is None else splits,
        predictions=PREDICTIONS.empty_table(),
        steps=STEPS.empty_table(),
        selection=SELECTION.empty_table(),
        recipe=toy_recipe(mask_set=mask_set),
        analysis=ANALYSIS,
        **{"lineage": GRAPH, **facts},
    )


def with_column(table: pa.Table, name: str, values) -> pa.Table:
    at = table.column_names.index(name)
    return table.set_column(at, table.schema.field(at), pa.array(list(values), table.schema.field(at).type))


def feature_rows(table: pa.Table) -> tuple[list[str], np.ndarray]:
    names = [name for name in table.column_names if name.startswith("ct.")]
    return names, np.column_stack([table[name].to_numpy() for name in names])


def with_features(table: pa.Table, X: np.ndarray) -> pa.Table:
    for at, name in enumerate(feature_rows(table)[0]):
        table = with_column(table, name, X[:, at])
    return table


def published_table(folder, name: str) -> pa.Table:
    """One of the shared tables as samples.parquet holds it, its raw ids and values."""
    table = read_parquet(folder / f"{name}.parquet")
    keys = {column: pa.nulls(table.num_rows, SAMPLES.field(column).type) for column in SAMPLES.names}
    keys["patient"] = pa.array([None if v is None else str(v) for v in table["ID"].to_pylist()])
    keys["sample"] = pa.array([f"k{at:04d}" for at in range(table.num_rows)])
    keys["outcome"] = table["Target"].cast(pa.int32())
    samples = pa.table(keys, schema=SAMPLES)
    for column in table.column_names:
        if column not in ("ID", "Target", "site", "spacing_z", "cnn_score"):
            samples = samples.append_column(f"ct.{column}", table[column].cast(pa.float64()))
    return samples


# --- A5 --------------------------------------------------------------------------------------------------------------


def test_a5_one_patient_under_two_names():
    samples = toy_samples()
    _, X = feature_rows(samples)
    X[7] = X[3] * (1 + 1e-12)
    X[7, 5] = np.nan
    doubled = with_features(samples, X)
    splits = make_splits(doubled, Splits(folds=3, repeats=4), analysis=ANALYSIS, cohort=COHORT)
    found = check_duplicates(audit_tables(doubled, splits=splits))
    assert found.verdict == "fail"
    assert len(found.evidence) == 1
    assert "p003 and p007" in found.evidence[0]
    assert "of 12 folds" in found.evidence[0]


def test_a5_rows_of_one_patient_and_rows_that_are_merely_alike_are_none():
    samples = toy_samples(n=18, events=9, lesions=2)
    _, X = feature_rows(samples)
    X[1] = X[0]  # two lesions of p000
    X[5] = X[9] + 1e-3
    assert check_duplicates(audit_tables(with_features(samples, X))).verdict == "pass"


def test_a5_rows_without_values_are_no_pair():
    samples = toy_samples()
    _, X = feature_rows(samples)
    X[3:5] = np.nan
    X[3:5, :10] = 1.0
    assert check_duplicates(audit_tables(with_features(samples, X))).verdict == "pass"


def test_a5_columns_of_few_levels_tell_nobody_apart():
    samples = toy_samples(features=2)
    found = check_duplicates(audit_tables(with_features(samples, np.round(feature_rows(samples)[1]))))
    assert found.verdict == "not applicable"
    assert "at least 3" in found.text


@pytest.mark.parametrize(
    ("name", "pairs"), [("song2020", ["N26 and N27"]), ("dong2022", []), ("huang2023", []), ("zhang2023", [])]
)
def test_a5_in_published_tables(shared_data, name, pairs):
    found = check_duplicates(audit_tables(published_table(shared_data("statistics/tables"), name)))
    assert found.verdict == ("fail" if pairs else "pass")
    assert all(pair in line for pair, line in zip(pairs, found.evidence, strict=True))


# --- A4 --------------------------------------------------------------------------------------------------------------


def control_rows(aucs: dict[int, float]) -> pa.Table:
    """Test rows of a control: permutation -> AUC of its one fold, 10 events and 10 others."""
    rows = []
    for number, value in aucs.items():
        lower = round(100 * (1 - value))  # pairs in wrong order
        events = [9.5 - lower // 10 - (at < lower % 10) for at in range(10)]
        facts = {"control": "permuted", "part": "test", "chosen": True, "repeat": number, "fold": 1}
        for outcome, scores in ((1, events), (0, range(10))):
            rows += [{**facts, "outcome": outcome, "score": float(score)} for score in scores]
    return pa.Table.from_pylist(rows, schema=PREDICTIONS)


def permuted(aucs: dict[int, float]):
    return check_permuted(replace(audit_tables(toy_samples()), predictions=control_rows(aucs)))


def test_a4_looks_at_the_mean_of_a_hundred_permutations_and_not_at_the_real_outcome():
    spread = {number: 0.5 + 0.1 * (-1) ** number for number in range(1, 101)}
    found = permuted({0: 1.0, **spread})
    assert (found.verdict, found.looked_at) == ("pass", "mean AUC within folds of 100 permutations")
    assert "0.5000" in found.text
    assert permuted({number: value + 0.04 for number, value in spread.items()}).verdict == "fail"
    assert permuted({number: value - 0.04 for number, value in spread.items()}).verdict == "fail"
    assert permuted({number: value + 0.02 for number, value in spread.items()}).verdict == "pass"


def test_a4_few_permutations_show_a_leak_but_never_that_there_is_none():
    few = {number: 0.5 + 0.1 * (-1) ** number for number in range(1, 21)}
    assert permuted(few).verdict == "not applicable"
    assert permuted({number: value + 0.3 for number, value in few.items()}).verdict == "fail"
    assert permuted({1: 1.0, 2: 0.9, 3: 1.0}).verdict == "not applicable"
    assert "0 permutations" in permuted({}).text


# --- A8 --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["", " ", "nan", "NaN", "None", "NULL", "-", "unknown", "n/a", "row-17", None])
def test_a8_placeholders_are_no_patients(name):
    samples = toy_samples()
    names = samples["patient"].to_pylist()
    found = check_patient_ids(audit_tables(with_column(samples, "patient", [name, *names[1:]])))
    assert found.verdict == "fail"
    assert len(found.evidence) == 1


def test_a8_real_ids_pass():
    samples = toy_samples()
    names = ["row", "Nan1", "7", "none-2", "0"]
    found = check_patient_ids(
        audit_tables(with_column(samples, "patient", [*names, *samples["patient"].to_pylist()[5:]]))
    )
    assert found.verdict == "pass"


def test_a8_thirty_rows_of_hosny2018_lack_an_id(shared_data):
    found = check_patient_ids(audit_tables(published_table(shared_data("statistics/tables"), "hosny2018_6sites")))
    assert found.verdict == "fail"
    assert "30 rows" in found.text


# --- A10 -------------------------------------------------------------------------------------------------------------


def scaled(X: np.ndarray, ddof: int) -> np.ndarray:
    return (X - X.mean(axis=0)) / X.std(axis=0, ddof=ddof)


@pytest.mark.parametrize("ddof", [0, 1])
def test_a10_a_table_that_was_standardised_before(ddof):
    samples = toy_samples()
    _, X = feature_rows(samples)
    Z = scaled(X, ddof)
    rounded = np.round(Z * 2.0**9) / 2.0**9
    rounded[:, 0] = 4.0  # a constant column says nothing
    assert check_standardised(audit_tables(with_features(samples, rounded))).verdict == "warn"
    assert check_standardised(audit_tables(samples)).verdict == "pass"


def test_a10_scaling_by_training_rows_alone_is_not_seen():
    samples = toy_samples(n=100, events=50)
    _, X = feature_rows(samples)
    Z = (X - X[:70].mean(axis=0)) / X[:70].std(axis=0)
    assert check_standardised(audit_tables(with_features(samples, Z))).verdict == "pass"


@pytest.mark.parametrize("name", ["song2020", "dong2022", "huang2023", "zhang2023", "hosny2018_6sites"])
def test_a10_in_published_tables(shared_data, name):
    found = check_standardised(audit_tables(published_table(shared_data("statistics/tables"), name)))
    assert found.verdict == ("pass" if name == "hosny2018_6sites" else "warn")


# --- A12 -------------------------------------------------------------------------------------------------------------


def test_a12_an_image_after_the_event():
    samples = toy_samples()
    days = samples["image_day"].to_pylist()
    event = next(at for at, day in enumerate(samples["event_day"].to_pylist()) if day is not None)
    assert check_days(audit_tables(samples)).verdict == "pass"
    days[event] = 201.0
    found = check_days(audit_tables(with_column(samples, "image_day", days)))
    assert found.verdict == "fail"
    assert found.evidence == (f"patient p{event:03d}, sample k{event:04d}: image on day 201, event on day 200",)


def test_a12_the_day_of_another_event_does_not_count():
    samples = with_column(toy_samples(), "event_day", [-20.0] * 36)
    late = check_days(audit_tables(samples))
    assert len(late.evidence) == sum(samples["outcome"].to_pylist())


def test_a12_an_image_outside_the_window_or_without_a_day():
    samples = toy_samples()
    assert check_days(audit_tables(samples, window_days=(-30, 0))).verdict == "pass"
    assert len(check_days(audit_tables(samples, window_days=(-5, 0))).evidence) == 36
    unknown = with_column(samples, "image_day", [None] * 36)
    assert len(check_days(audit_tables(unknown, window_days=(-30, 0))).evidence) == 36
    assert check_days(audit_tables(unknown)).verdict == "not applicable"


# --- A13 -------------------------------------------------------------------------------------------------------------


def graph_with_network(seen: list[int]) -> dict:
    return {
        "patients": ["p0", "p1", "p2"],
        "nodes": [
            {"id": "network/unet/r1f1", "kind": "network", "patients": seen},
            {"id": "masks/r1f1", "kind": "masks"},
            {"id": "predictions/r1f1/radiomics", "kind": "predictions", "patients": [0]},
            {"id": "predictions/r1f2/radiomics", "kind": "predictions", "patients": [1, 2]},
        ],
        "edges": [["network/unet/r1f1", "masks/r1f1"], ["masks/r1f1", "predictions/r1f1/radiomics"]],
    }


def test_a13_a_network_that_saw_the_test_patient():
    clean = audit_tables(toy_samples(), mask_set="auto-unet", lineage=graph_with_network([1, 2]))
    leaky = audit_tables(toy_samples(), mask_set="auto-unet", lineage=graph_with_network([0, 1]))
    assert check_networks(clean).verdict == "pass"
    assert check_networks(leaky).evidence == ("predictions/r1f1/radiomics: patient p0 was seen by network/unet/r1f1",)


def test_a13_masks_of_a_network_that_the_lineage_does_not_name():
    assert check_networks(audit_tables(toy_samples(), mask_set="auto-unet")).verdict == "fail"
    assert check_networks(audit_tables(toy_samples(), mask_set="reader2")).verdict == "not applicable"
