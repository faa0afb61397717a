"""Feature tables: every problem before any job; every row used or set aside; infinite values become missing."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import openpyxl
import pyarrow as pa
import pytest

from osteorad.cohort import schemas
from osteorad.cohort.check import check
from osteorad.cohort.config import Analysis, FeatureTable
from osteorad.cohort.feature_table import open_features, problems_of
from osteorad.cohort.recipe import Recipe
from osteorad.cohort.samples import CohortTables, make_samples
from osteorad.cohort.table_source import imported
from osteorad.errors import ConfigError
from osteorad.files import write_parquet
from tests.conftest import ROOT

PATIENTS = 16
RECIPE = Recipe(name="t", title="t", images=["table"], roi="table", preset="table", steps=[], models=["logistic"])


def columns(**changed) -> dict[str, list]:
    """Sixteen patients, half of them with the event, two features, a covariate, two sites."""
    table = {
        "patient": [f"P{at:02d}" for at in range(PATIENTS)],
        "outcome": [at % 2 for at in range(PATIENTS)],
        "age": [50.0 + at for at in range(PATIENTS)],
        "centre": ["north" if at < 10 else "south" for at in range(PATIENTS)],
        "shape_Volume": [float(at) for at in range(PATIENTS)],
        "glcm_Contrast": [at / 8 for at in range(PATIENTS)],
    }
    return {**table, **changed}


def settings(**changed) -> FeatureTable:
    return FeatureTable(
        **{"path": "features.parquet", "outcome": "outcome", "covariates": ["age", "centre"], **changed}
    )


def at(*keys: str) -> str:
    return ".".join(["table", *keys])


def opened(folder: Path, table: dict[str, list], suffix: str = ".parquet"):
    path = folder / f"features{suffix}"
    if suffix == ".parquet":
        write_parquet(path, pa.table(table))
    elif suffix == ".xlsx":
        book = openpyxl.Workbook()
        for row in [list(table), *zip(*table.values(), strict=True)]:
            book.active.append(["" if value is None else value for value in row])
        book.save(path)
    else:
        mark = "\t" if suffix == ".tsv" else ";"
        rows = [list(table), *zip(*table.values(), strict=True)]
        texts = [mark.join("" if v is None else str(v).replace(".", ",") for v in row) for row in rows]
        path.write_text("\n".join(texts))
    return open_features(path, path.name)


def brought_in(folder: Path, table: dict[str, list] | None = None, suffix: str = ".parquet", exclude=None, **changed):
    wanted = settings(**changed)
    file = opened(folder, table or columns(), suffix)
    assert problems_of(file, wanted, at) == []
    return imported(file, wanted, cohort="c", exclude=exclude or {}, file_hash="0")


@pytest.mark.parametrize("suffix", [".parquet", ".tsv", ".csv", ".xlsx"])
def test_every_format_gives_the_same_tables(tmp_path, suffix):
    table = columns(shape_Volume=[None, *map(float, range(1, PATIENTS))])
    made = brought_in(tmp_path, table, suffix)
    reference = brought_in(tmp_path, table)
    for name in ("patients", "clinical", "reasons", "quarantine"):
        assert getattr(made, name).equals(getattr(reference, name)), name
    for name in made.features.column_names:
        np.testing.assert_array_equal(made.features[name].to_numpy(), reference.features[name].to_numpy())
    assert made.features.column_names[len(schemas.FEATURE_KEYS) :] == ["shape_Volume", "glcm_Contrast"]
    assert made.features.schema.field("shape_Volume").type == pa.float64()
    assert made.clinical["age"].to_pylist() == [50.0 + n for n in range(PATIENTS)]


def sampled(made, recipe: Recipe = RECIPE):
    """Samples of an analysis, by the rule of every cohort."""
    names = ("features", "reasons", "patients", "series", "clinical", "lesions")
    return make_samples(
        CohortTables(**{name: getattr(made, name) for name in names}, inputs={}),
        cohort="c",
        analysis="a",
        recipe=recipe,
        settings=Analysis(cohort="c", recipe="t"),
        max_quarantined=0.2,
    )


def test_samples_come_by_the_rule_of_every_cohort(tmp_path):
    found = sampled(brought_in(tmp_path, site="centre", covariates=["age"]))
    rows = found.table.to_pylist()
    assert len(rows) == PATIENTS
    assert rows[3]["patient"] == "P03"
    assert (rows[3]["outcome"], rows[3]["site"], rows[3]["clinical.age"]) == (1, "north", 53.0)
    assert rows[3]["table.glcm_Contrast"] == 3 / 8
    assert all(stage["in"] == stage["out"] for stage in found.flow["stages"])


@pytest.mark.parametrize(
    ("table", "changed", "message"),
    [
        (
            {},
            {"patient": "patent"},
            "table.patient: unknown column of features.parquet 'patent'. Did you mean 'patient'?",
        ),
        ({}, {"drop": ["agee"]}, "table.drop.0: unknown column of features.parquet 'agee'. Did you mean 'age'?"),
        ({}, {"covariates": ["age"]}, "table: text in column 'centre' of features.parquet. Wanted: covariates or drop"),
        ({}, {"drop": ["age"]}, "table: column 'age' is named twice"),
        ({}, {"sites": ["north"]}, "table.sites: sites are asked for, but no column"),
        (
            {},
            {"site": "centre", "covariates": ["age"], "sites": ["nrth"]},
            "table.sites.0: unknown site of features.parquet 'nrth'. Did you mean 'north'?",
        ),
        ({"outcome": [2, *[0, 1] * 7, 1]}, {}, "features.parquet: column 'outcome' is not 0 or 1 in row 1."),
        ({"outcome": [0.5, *[0, 1] * 7, 1]}, {}, "features.parquet: column 'outcome' is not 0 or 1 in row 1."),
        (
            {"patient": ["P01", "P01", *(f"Q{n}" for n in range(14))]},
            {},
            "table.lesion: a patient stands again in row 2 of features.parquet. Wanted: the column with the lesion's",
        ),
        ({"patient": ["a/b", *(f"Q{n}" for n in range(15))]}, {}, "the patient cannot be a name in row 1"),
        ({}, {"drop": ["shape_Volume", "glcm_Contrast"]}, "no column left that could be a feature"),
        ({"session": [1.0] * PATIENTS}, {}, "table: 'session' is no name for a feature"),
    ],
)
def test_one_mistake_one_message(tmp_path, table, changed, message):
    found = problems_of(opened(tmp_path, columns(**table)), settings(**changed), at)
    assert len(found) == 1
    assert message in found[0]


def test_a_file_that_is_no_table_is_told(tmp_path):
    (tmp_path / "a.parquet").write_text("no")
    with pytest.raises(ConfigError, match=r"a\.parquet: the file cannot be read as Parquet"):
        open_features(tmp_path / "a.parquet", "a.parquet")
    with pytest.raises(ConfigError, match=r"a\.sav: a file of this kind is not read"):
        open_features(tmp_path / "a.sav", "a.sav")


@pytest.mark.parametrize("suffix", [".parquet", ".csv"])
def test_infinite_values_are_missing_with_a_reason(tmp_path, suffix):
    table = columns(glcm_Contrast=[math.inf, -math.inf, None, *([0.5] * (PATIENTS - 3))])
    made = brought_in(tmp_path, table, suffix)
    values = made.features["glcm_Contrast"].to_numpy()
    assert np.isnan(values[:3]).all()
    assert np.isfinite(values[3:]).all()
    reasons = [(row["patient"], row["reason"], row["detail"]) for row in made.reasons.to_pylist()]
    detail = "1 of 2 features: glcm_Contrast"
    assert reasons == [
        ("P00", "value_infinite", detail),
        ("P01", "value_infinite", detail),
        ("P02", "value_missing", detail),
    ]


def test_rows_without_a_patient_are_set_aside_and_counted(tmp_path):
    table = columns(patient=[None, "nan", "", *(f"P{n}" for n in range(PATIENTS - 3))])
    made = brought_in(tmp_path, table)
    assert [(row["item"], row["reason"]) for row in made.quarantine.to_pylist()] == [
        ("row-1", "patient_id_missing"),
        ("row-2", "patient_id_missing"),
        ("row-3", "patient_id_missing"),
    ]
    stage = made.flow["stages"][0]
    assert (stage["in"], stage["used"]) == (16, 13)
    assert [(loss["reason"], loss["count"]) for loss in stage["set_aside"]] == [("patient_id_missing", 3)]


def test_rows_without_a_patient_may_be_patients_of_their_own(tmp_path):
    table = columns(patient=["P0", None, "nan", *(f"P{n}" for n in range(1, PATIENTS - 2))])
    made = brought_in(tmp_path, table, without_patient="own_patient")
    assert made.quarantine.num_rows == 0
    assert {"row-2", "row-3"} <= set(made.patients["patient"].to_pylist())
    assert made.patients.num_rows == PATIENTS


def test_only_the_sites_asked_for_enter(tmp_path):
    """A patient's number may come again at another site, as in many pooled tables."""
    table = columns(patient=[f"P{n % 10}" for n in range(PATIENTS)])
    made = brought_in(tmp_path, table, site="centre", covariates=["age"], sites=["south"])
    assert made.patients["patient"].to_pylist() == [f"P{n}" for n in range(6)]
    assert made.clinical["age"].to_pylist() == [60.0 + n for n in range(6)]
    assert {row["reason"] for row in made.quarantine.to_pylist()} == {"site_not_asked"}
    assert made.quarantine.num_rows == 10


def test_excluded_patients_leave_with_the_reason_of_the_settings(tmp_path):
    made = brought_in(tmp_path, exclude={"P03": "withdrew"})
    states = {row["patient"]: row["state"] for row in made.patients.to_pylist()}
    assert [patient for patient, state in states.items() if state != "used"] == ["P03"]
    assert made.flow["stages"][-1]["set_aside"] == [{"reason": "excluded_by_config", "kind": "excluded", "count": 1}]


def test_lesions_of_one_patient_are_rows_and_their_differing_outcome_is_not_the_patients(tmp_path):
    table = columns(patient=[f"P{n // 2}" for n in range(PATIENTS)], number=[n % 2 + 1 for n in range(PATIENTS)])
    made = brought_in(tmp_path, table, lesion="number", covariates=[], drop=["age", "centre"])
    assert made.features.select(["patient", "lesion"]).to_pylist()[:3] == [
        {"patient": "P0", "lesion": 1},
        {"patient": "P0", "lesion": 2},
        {"patient": "P1", "lesion": 1},
    ]
    assert made.clinical["outcome"].to_pylist() == [None] * 8
    recipe = RECIPE.model_copy(update={"unit": "lesion", "outcome_of": "lesion"})
    assert sampled(made, recipe).table["outcome"].to_pylist() == [0, 1] * 8


def test_covariates_of_a_patient_are_the_same_in_all_rows(tmp_path):
    table = columns(patient=[f"P{n // 2}" for n in range(PATIENTS)], number=[n % 2 + 1 for n in range(PATIENTS)])
    found = problems_of(opened(tmp_path, table), settings(lesion="number", drop=["centre"], covariates=["age"]), at)
    assert found == [
        "features.parquet: column 'age' differs from the patient's first row in rows 2, 4, 6, 8, 10, 12, 14, 16."
    ]


# --- the settings of a cohort

CONFIG = """\
cohorts:
  features:
    source: table
    table: {path: features.csv, outcome: outcome, covariates: [age, centre]}
analyses:
  event: {cohort: features, recipe: tabular}
"""


def checked(folder: Path, config: str = CONFIG, **changed):
    (folder / "config.yaml").write_text(config)
    opened(folder, columns(**changed), ".csv")
    return check(folder, ROOT)


def test_a_short_config_is_enough_and_its_cost_is_told(tmp_path):
    report = checked(tmp_path)
    assert report.problems == []
    assert report.forecast.jobs == 10  # import, page; six of the analysis; index, all
    assert report.forecast.files > 0


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "path: features.csv",
            "path: feature.csv",
            "config.yaml:4 cohorts.features.table.path: the file 'feature.csv'",
        ),
        ("    table: {path: features.csv, outcome: outcome, covariates: [age, centre]}\n", "", "this key is missing"),
        (
            "    source: table\n",
            "    source: table\n    path: .\n",
            "config.yaml:4 cohorts.features.path: not for source",
        ),
        (
            "    source: table\n",
            "    source: phantom\n    rois: {a: [b]}\n",
            "features.table: only for source table",
        ),
        (
            "recipe: tabular",
            "recipe: zhu2024",
            "resources/recipes/zhu2024.yaml:8 images: cohort 'features' is a feature",
        ),
        ("recipe: tabular}", "recipe: tabular, overrides: {covariates: [agge]}}", "'agge'. Did you mean 'age'?"),
        ("recipe: tabular}", "recipe: tabular, horizon_days: 30}", "horizon_days: not for source table"),
        ("outcome: outcome, ", "drop: [outcome], ", "table.outcome: this key is missing. Wanted: the column"),
        (
            "recipe: tabular}",
            "recipe: tabular, outcome: age}",
            "column 'age' of features.csv is not 0 or 1 in rows 1, 2",
        ),
    ],
)
def test_mistakes_in_the_settings_are_told(tmp_path, old, new, message):
    assert old in CONFIG
    found = checked(tmp_path, CONFIG.replace(old, new)).problems
    assert any(message in problem for problem in found), found


def test_too_few_of_a_class_are_told_before_any_job(tmp_path):
    found = checked(tmp_path, outcome=[1] * 3 + [0] * 13).problems
    assert len(found) == 1
    assert "3 patients with outcome 1 and 13 with 0" in found[0]


def test_recipes_of_tables_are_for_tables(tmp_path):
    text = "cohorts:\n  p: {source: phantom, rois: {marrow: ['*']}}\nanalyses:\n  a: {cohort: p, recipe: tabular}\n"
    found = checked(tmp_path, text).problems
    assert found == [
        "resources/recipes/tabular.yaml:8 preset: 'table' is for cohorts of source table; the source of 'p' is phantom."
    ]


# --- external validations in the settings

BUNDLED = """\
cohorts:
  here:
    source: table
    table: {path: features.csv, outcome: outcome, covariates: [age], drop: [centre]}
  there:
    source: table
    table: {path: features.csv, outcome: outcome, covariates: [age], drop: [centre]}
analyses:
  event: {cohort: here, recipe: tabular, overrides: {steps.mrmr.k: [1]}}
  outside: {cohort: there, recipe: tabular, overrides: {steps.mrmr.k: [1], bootstrap: 10}, bundle: event}
"""


def test_an_external_validation_costs_four_jobs(tmp_path):
    report = checked(tmp_path, BUNDLED)
    assert report.problems == []
    alone = checked(tmp_path, BUNDLED.replace("  outside:", "  # outside:"))
    assert report.forecast.jobs == alone.forecast.jobs + 4


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("bundle: event", "bundle: evnt", "no folder with bundle.json 'evnt'. Did you mean 'event'?"),
        ("cohort: there", "cohort: here", "'event' was learned on the same cohort 'here'"),
        ("k: [1], bootstrap", "k: [2], bootstrap", "'event' was learned by another recipe; steps differ"),
        ("bundle: event", "bundle: outside", "analysis 'outside' applies a bundle itself"),
        ("bundle: event", "as_published: true, bundle: event", "nothing is learned here"),
    ],
)
def test_bundles_that_do_not_fit_are_told_before_any_job(tmp_path, old, new, message):
    found = checked(tmp_path, BUNDLED.replace(old, new)).problems
    assert any(message in problem for problem in found), found


def test_a_bundle_may_lie_in_a_folder(tmp_path):
    (tmp_path / "from-elsewhere").mkdir()
    (tmp_path / "from-elsewhere/bundle.json").write_text("{}")
    assert checked(tmp_path, BUNDLED.replace("bundle: event", "bundle: from-elsewhere")).problems == []
