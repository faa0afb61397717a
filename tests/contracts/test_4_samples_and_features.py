"""Contract 4: one row an image and ROI, values or a reason, and samples that pair them."""

from __future__ import annotations

import math

import pyarrow as pa
import pytest

from osteorad.cohort import schemas
from osteorad.cohort.pseudonyms import PHANTOM_KEY, session_name
from osteorad.dicom.uids import map_uid
from osteorad.files import read_json, read_parquet
from osteorad.provenance import sample_key
from osteorad.radiomics.presets import feature_names
from osteorad.radiomics.tables import read_facts

FEATURES = "results/cohorts/small/features"


def unexplained(table: pa.Table, reasons: pa.Table, preset: str) -> list[str]:
    """Missing values of features that apply to the row's image, without a row in the table of reasons."""
    names = {image: feature_names(preset, image) for image in set(table["image"].to_pylist())}
    keys = list(schemas.FEATURE_KEYS)
    told = {tuple(r[k] for k in keys) for r in reasons.to_pylist() if r["kind"] == "missing"}
    return [
        str([row[k] for k in keys])
        for row in table.to_pylist()
        if any(row[n] is None or math.isnan(row[n]) for n in names[row["image"]])
        and tuple(row[k] for k in keys) not in told
    ]


@pytest.mark.parametrize("preset", ["zhu2024", "lesion-table"])
def test_table_has_the_keys_types_and_metadata(run, preset):
    table = read_parquet(run / FEATURES / preset / "manual/features.parquet")
    assert table.column_names[:7] == list(schemas.FEATURE_KEYS)
    values = table.schema.names[7:]
    assert all(table.schema.field(n).type == pa.float64() for n in values)
    for name in values:
        facts = table.schema.field(name).metadata
        assert {b"unit", b"class", b"images"} <= set(facts), name
    facts = read_facts(table)
    assert len(facts["preset_hash"]) >= 16
    assert facts["software"]["pyradiomics-bhklab"] == "3.1.4"
    assert len(facts["inputs"]) == 12


def test_zhu_preset_gives_its_1197_features(run):
    table = read_parquet(run / FEATURES / "zhu2024/manual/features.parquet")
    assert len([n for n in table.column_names[7:] if not n.startswith("suv_")]) == 1197
    assert table.num_rows == len(set(zip(*(table[k].to_pylist() for k in schemas.FEATURE_KEYS), strict=True)))


def test_every_roi_has_a_row_on_its_image(run):
    table = read_parquet(run / FEATURES / "lesion-table/manual/features.parquet")
    rows = {(r["patient"], r["session"], r["image"], r["roi"], r["lesion"]) for r in table.to_pylist()}
    drawn = {
        (m["patient"], row["session"], row["image"], row["roi"], row["lesion"])
        for m in map(read_json, (run / "results/cohorts/small/masks/manual").glob("*/masks.json"))
        for row in m["masks"]
    }
    assert len(drawn) > 24
    assert drawn <= rows


@pytest.mark.parametrize("preset", ["zhu2024", "lesion-table"])
def test_nothing_is_missing_on_the_clean_phantom_but_unpaired_contours(run, preset):
    table = read_parquet(run / FEATURES / preset / "manual/features.parquet")
    reasons = read_parquet(run / FEATURES / preset / "manual/reasons.parquet")
    assert unexplained(table, reasons, preset) == []
    assert {r["reason"] for r in reasons.to_pylist() if r["kind"] == "missing"} <= {"contour_unpaired"}


def test_a_missing_value_without_reason_is_found(run):
    table = read_parquet(run / FEATURES / "lesion-table/manual/features.parquet")
    reasons = read_parquet(run / FEATURES / "lesion-table/manual/reasons.parquet")
    name = table.column_names[7]
    values = table[name].to_pylist()
    row = next(i for i, v in enumerate(values) if v is not None and not math.isnan(v))
    values[row] = math.nan
    broken = table.set_column(7, table.schema.field(name), pa.array(values, pa.float64()))
    assert len(unexplained(broken, reasons, "lesion-table")) == 1


def test_sample_keys_follow_from_what_they_name(run):
    samples = read_parquet(run / "results/analyses/marrow/samples.parquet")
    assert samples.schema.names[: len(schemas.SAMPLES.names)] == schemas.SAMPLES.names
    for row in samples.select(schemas.SAMPLES.names).to_pylist():
        key = sample_key(row["cohort"], row["patient"], row["session"], row["roi"], row["lesion"])
        assert row["sample"] == key
    assert any(name.startswith("ct.wavelet-LLH_glcm_") for name in samples.column_names)


def test_lesions_of_the_table_are_drawn_lesions_with_what_the_generator_made_of_them(run):
    """Patient, session and number of a row lead to the mask of that very lesion: its name in the source says so."""
    lesions = read_parquet(run / "results/cohorts/small/lesions.parquet")
    assert lesions.schema.equals(schemas.LESIONS)
    told = {(r["patient"], r["session"], r["lesion"]): r for r in lesions.to_pylist()}
    made = {}
    for path in (run / "private/small/source").glob("*/manifest.json"):
        sessions = read_json(path)["truth"]["sessions"]
        names = [session_name(map_uid(PHANTOM_KEY, session["study_uid"])) for session in sessions]
        for name, session in zip(names, sessions, strict=True):
            made |= {(path.parent.name, name, row["lesion"]): row for row in session["lesions"]}
    assert set(told) == set(made)
    for key, row in told.items():
        assert row["roi"] == "lesion"
        assert (row["outcome"], row["location"], row["type"]) == (
            int(made[key]["malignant"]),
            made[key]["location"],
            made[key]["type"],
        )
