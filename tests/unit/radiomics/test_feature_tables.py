"""`collect`: one table of a cohort."""

import numpy as np
import pytest

from osteorad.cohort import schemas
from osteorad.errors import UserError
from osteorad.files import read_parquet, write_parquet
from osteorad.radiomics.collect import collect
from osteorad.radiomics.extract import extract_patient
from osteorad.radiomics.presets import feature_names, load_preset
from osteorad.radiomics.tables import read_facts, with_facts

PATIENTS = ("p00000000000a", "p00000000000b")


@pytest.fixture
def parts(pet_ct, tmp_path):
    """Tables and reasons of two patients."""
    tables, reasons = [], []
    for seed, name in enumerate(PATIENTS):
        tables.append(tmp_path / "patients" / f"{name}.parquet")
        reasons.append(tmp_path / "reasons" / f"{name}.parquet")
        extract_patient(
            **pet_ct(name=name, seed=seed).write(),
            preset="lesion-table",
            rois=["marrow", "lesion"],
            out_table=tables[-1],
            out_reasons=reasons[-1],
        )
    return tables, reasons


def together(tables, reasons, folder):
    collect(tables, reasons, folder / "features.parquet", folder / "reasons.parquet")
    return read_parquet(folder / "features.parquet"), read_parquet(folder / "reasons.parquet")


def manifests(tmp_path, patient=PATIENTS[0]):
    root = tmp_path / "cohort"
    return {
        "images": [root / "images" / patient / "images.json"],
        "masks": [root / "masks/manual" / patient / "masks.json"],
    }


def rejected_rows(parts, tmp_path, *items):
    """(image, roi, lesion) of the rows that leave when a reader rejects these of the first patient."""
    out = tmp_path / "out"
    before, told = together(*parts, out)
    verdicts = {PATIENTS[0]: dict.fromkeys(items, "rejected")}
    collect(*parts, out / "features.parquet", out / "reasons.parquet", **manifests(tmp_path), rejected=verdicts)
    after, why = (read_parquet(out / f"{name}.parquet") for name in ("features", "reasons"))
    names = list(schemas.FEATURE_KEYS)
    rows, left = ({tuple(row.values()) for row in table.select(names).to_pylist()} for table in (before, after))
    gone = {tuple(row[name] for name in names) for row in why.to_pylist() if row["reason"] == "rejected_by_reader"}
    assert left | gone == rows
    assert not left & gone
    assert {row["kind"] for row in why.to_pylist() if row["reason"] == "rejected_by_reader"} <= {"rejected"}
    kept = [row for row in told.to_pylist() if tuple(row[name] for name in names) not in gone]
    assert [row for row in why.to_pylist() if row["reason"] != "rejected_by_reader"] == kept
    assert {key[1] for key in gone} <= {PATIENTS[0]}
    return {(key[3], key[4], key[5]) for key in gone}


@pytest.mark.parametrize(
    ("item", "rows"),
    [
        ("manual/s01/ct/marrow-1", {("ct", "marrow", 1)}),
        ("manual/s01/pet/lesion-1", {("pet", "lesion", 1)}),
        # the PET row only said that lesion 2 was not drawn there
        ("manual/s01/ct/lesion-2", {("ct", "lesion", 2), ("pet", "lesion", 2)}),
        ("s01/pet", {("pet", "lesion", 1), ("pet", "lesion", 2), ("pet", "marrow", 1)}),
        ("s01/ct", {("ct", "lesion", 1), ("ct", "lesion", 2), ("ct", "marrow", 1), ("pet", "lesion", 2)}),
        ("reader2/s01/ct/marrow-1", set()),
        ("manual/s01/ct/marrow-1@00000000", set()),
    ],
)
def test_rows_of_rejected_things_leave_with_a_reason(parts, tmp_path, item, rows):
    assert rejected_rows(parts, tmp_path, item) == rows


def test_a_lesion_rejected_on_every_image_leaves(parts, tmp_path):
    found = rejected_rows(parts, tmp_path, "manual/s01/ct/lesion-1", "manual/s01/pet/lesion-1")
    assert found == {("ct", "lesion", 1), ("pet", "lesion", 1)}


@pytest.mark.parametrize(
    ("item", "leaves"),
    [
        ("manual/s01/ct/lesion-1", {1}),
        ("manual/s01/pet/lesion-1", set()),
        ("s01/ct", {1, 2}),
        ("s01/pet", {1, 2}),
    ],
)
def test_a_fused_image_leaves_with_what_it_is_made_of(parts, tmp_path, item, leaves):
    """Of a table with fused rows alone: image and contour of the CT, and the PET, are known from the manifests."""
    for path in parts[0]:
        table = read_parquet(path)
        fused = table.filter([image == "ct" for image in table["image"].to_pylist()])
        renamed = fused.set_column(3, fused.schema.field(3), [["fused"] * fused.num_rows])
        write_parquet(path, renamed.replace_schema_metadata(table.schema.metadata))
    for path in parts[1]:
        write_parquet(path, schemas.REASONS.empty_table())
    found = rejected_rows(parts, tmp_path, item)
    assert {lesion for _, roi, lesion in found if roi == "lesion"} == leaves
    assert {image for image, _, _ in found} <= {"fused"}


def test_rows_of_all_patients_are_there_and_sorted(parts, tmp_path):
    table, reasons = together(*parts, tmp_path)
    keys = [tuple(row.values()) for row in table.select(list(schemas.FEATURE_KEYS)).to_pylist()]
    assert keys == sorted(keys)
    assert len(keys) == sum(read_parquet(path).num_rows for path in parts[0]) == 12
    assert {row["patient"] for row in reasons.to_pylist()} == set(PATIENTS)
    for path in parts[0]:
        one = read_parquet(path)
        name = one["patient"][0].as_py()
        np.testing.assert_array_equal(
            table.filter([value == name for value in table["patient"].to_pylist()])["suv_Peak"].to_numpy(),
            one["suv_Peak"].to_numpy(),
        )


def test_order_of_the_files_does_not_matter(parts, tmp_path):
    together(*parts, tmp_path / "one")
    together(parts[0][::-1], parts[1][::-1], tmp_path / "two")
    for name in ("features.parquet", "reasons.parquet"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_columns_carry_their_meaning(parts, tmp_path):
    table, _ = together(*parts, tmp_path)
    peak, mean = table.schema.field("suv_Peak").metadata, table.schema.field("original_firstorder_Mean").metadata
    assert (peak[b"unit"], peak[b"images"], peak[b"ibsi"]) == (b"SUV", b"pet", b"loc_peak_glob")
    assert (mean[b"class"], mean[b"filter"], mean[b"images"]) == (b"firstorder", b"original", b"ct pet")
    for name in feature_names("lesion-table", "pet"):
        assert {b"unit", b"class", b"filter", b"images"} <= set(table.schema.field(name).metadata)
    facts = read_facts(table)
    assert facts["preset_hash"] == load_preset("lesion-table").hash()
    assert sorted(facts["inputs"]) == list(PATIENTS)
    assert len(set(facts["inputs"].values())) == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [({"preset_hash": "0" * 16}, "different settings or software"), ({"software": {"numpy": "1.0"}}, "numpy")],
)
def test_tables_of_two_presets_or_versions_are_never_mixed(change, message, parts, tmp_path):
    table = read_parquet(parts[0][1])
    write_parquet(parts[0][1], with_facts(table, {**read_facts(table), **change}))
    with pytest.raises(UserError, match=message):
        together(*parts, tmp_path)


def test_tables_of_an_older_preset_are_refused(parts, tmp_path):
    for path in parts[0]:
        table = read_parquet(path)
        write_parquet(path, with_facts(table, {**read_facts(table), "preset_hash": "0" * 16}))
    with pytest.raises(UserError, match="has changed since"):
        together(*parts, tmp_path)


def test_a_patient_twice_is_refused(parts, tmp_path):
    copy = parts[0][0].with_name("p00000000000c.parquet")
    copy.write_bytes(parts[0][0].read_bytes())
    with pytest.raises(UserError, match="one key"):
        together([*parts[0], copy], parts[1], tmp_path)


def test_a_cohort_without_patients_has_empty_tables(tmp_path):
    table, reasons = together([], [], tmp_path)
    assert table.num_rows == reasons.num_rows == 0
    assert table.column_names == list(schemas.FEATURE_KEYS)
    assert reasons.schema.equals(schemas.REASONS)
