"""Settings: every problem in one go, each with file, line, found, wanted and the nearest valid name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from osteorad.cohort import config, recipe
from osteorad.cohort.load import load
from osteorad.cohort.located import parse_located
from osteorad.errors import ConfigError
from tests.conftest import ROOT

from .folders import CONFIG, RECIPE, clone, working


def problems(tmp_path: Path, text: str, recipe: str = RECIPE) -> list[str]:
    """What `load` says of a config.yaml."""
    with pytest.raises(ConfigError) as raised:
        load(working(tmp_path / "work", text), clone(tmp_path / "clone", recipe))
    return raised.value.problems


def changed(old: str, new: str, text: str = CONFIG) -> str:
    assert old in text
    return text.replace(old, new)


def test_good_settings_load(tmp_path):
    loaded = load(working(tmp_path / "work"), clone(tmp_path / "clone"))
    assert loaded.recipes["os"].splits.repeats == 5
    assert loaded.config.cohorts["real"].max_quarantined == 0.2
    assert loaded.private("real") == tmp_path / "work/private/real"
    assert loaded.targets == (["real"], ["os"])


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "source: dicom",
            "source: dicm",
            "config.yaml:3 cohorts.real.source: unknown value 'dicm'. Did you mean 'dicom'? "
            "Valid: deidentified, dicom, phantom, slices, table.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2042",
            "config.yaml:13 analyses.os.recipe: unknown recipe 'zhu2042'. Did you mean 'zhu2024'? Valid: zhu2024.",
        ),
        (
            "    cohort: real",
            "    cohort: reel",
            "config.yaml:12 analyses.os.cohort: unknown cohort 'reel'. Did you mean 'real'? Valid: real.",
        ),
        (
            "    path: export",
            "    path: exprot",
            "config.yaml:4 cohorts.real.path: the folder 'exprot' does not exist (seen from the working folder).",
        ),
        (
            "      path: clinical.tsv",
            "      path: clinic.tsv",
            "config.yaml:7 cohorts.real.clinical.path: the file 'clinic.tsv' does not exist "
            "(seen from the working folder).",
        ),
        (
            "    rois: {marrow: ['*marrow*']}",
            "    rois: {marow: ['*marrow*']}",
            "resources/recipes/zhu2024.yaml:4 roi: unknown ROI of cohort 'real' 'marrow'. Did you mean 'marow'? "
            "Valid: marow.",
        ),
        (
            "    rois: {marrow: ['*marrow*']}",
            "    rois: {marrow: ['*marrow*'], Bone One: ['*b*']}",
            "config.yaml:5 cohorts.real.rois.Bone One: 'Bone One' is no valid name. Wanted: lower-case letters, digits "
            "and hyphens, at most 41, starting with a letter or digit.",
        ),
        (
            "      keep: [age_years]",
            "      keep: [age_years, index_date]",
            "config.yaml:8 cohorts.real.clinical.keep.1: 'index_date' identifies or is written as days already; "
            "it cannot be kept. Remove it.",
        ),
        (
            "    source: dicom\n",
            "    source: dicom\n    max_quarantined: 1.5\n",
            "config.yaml:4 cohorts.real.max_quarantined: found 1.5, wanted at most 1.",
        ),
        (
            "    source: dicom\n",
            "    source: dicom\n    max_quarantined: no\n",
            "config.yaml:4 cohorts.real.max_quarantined: found 'no', wanted a number.",
        ),
        (
            "    source: dicom\n",
            "    source: dicom\n    cutoff: 31.05.2026\n",
            "config.yaml:4 cohorts.real.cutoff: found '31.05.2026', wanted a date such as 2026-05-31.",
        ),
        (
            "    source: dicom\n",
            "    source: dicom\n    source: phantom\n",
            "config.yaml:4 cohorts.real.source: the key stands twice, first on line 3.",
        ),
        (
            "    source: dicom\n",
            "    source: dicom\n    exclude: {12: died}\n",
            "config.yaml:4 cohorts.real.exclude: the key '12' is not text. Put it in quotes.",
        ),
        (
            "    source: dicom\n",
            "    source: dicom\n    exclude: {MRN-12345: died}\n",
            "config.yaml:4 cohorts.real.exclude: an excluded patient is no pseudonym. "
            "Wanted: one as the cohort page shows it.",
        ),
        (
            "    source: dicom\n",
            "    source: dicom\n    phantom: {seed: 2}\n",
            "config.yaml:4 cohorts.real.phantom: only for source phantom, here the source is dicom.",
        ),
        (
            "    path: export\n",
            "",
            "config.yaml:2 cohorts.real.path: this key is missing. Wanted: the folder with the DICOM files.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2024\n    outcome: os_month",
            "config.yaml:14 analyses.os.outcome: unknown outcome 'os_month'. Valid: age_years, outcome.",
        ),
        (
            "  os:\n",
            "  real:\n",
            "config.yaml:11 analyses.real: a cohort has this name, too. Rename one of them.",
        ),
        (
            "cohorts:\n",
            "run: [oss]\ncohorts:\n",
            "config.yaml:1 run.0: unknown cohort or analysis 'oss'. Did you mean 'os'? Valid: os, real.",
        ),
        (
            "    rois: {marrow: ['*marrow*']}",
            "    rois: {marrow: ['*marrow*']}\n    modalities: [PT]",
            "resources/recipes/zhu2024.yaml:3 images.0: 'ct' needs modality CT, which cohort 'real' does not list.",
        ),
    ],
)
def test_one_mistake_one_message(tmp_path, old, new, message):
    assert problems(tmp_path, changed(old, new)) == [message]


def test_near_outcome_is_proposed(tmp_path):
    text = changed("keep: [age_years]", "keep: [age_years, os_months]") + "    outcome: os_month\n"
    assert problems(tmp_path, text) == [
        "config.yaml:14 analyses.os.outcome: unknown outcome 'os_month'. Did you mean 'os_months'? "
        "Valid: age_years, os_months, outcome."
    ]


def test_all_problems_in_one_go(tmp_path):
    """A broken cohort does not hide the problems of an analysis, nor a broken model those of another part."""
    text = changed("    source: dicom\n", "    sorce: dicom\n", changed("recipe: zhu2024", "recipe: zhao"))
    assert problems(tmp_path, text) == [
        "config.yaml:2 cohorts.real.source: this key is missing. Wanted: Where the images come from; "
        "table: a feature table takes their place.",
        "config.yaml:3 cohorts.real.sorce: unknown key 'sorce'. Did you mean 'source'? "
        "Valid: citation, clinical, cutoff, exclude, head, kernel, lesions, max_quarantined, modalities, path, "
        "... (17 in all).",
        "config.yaml:13 analyses.os.recipe: unknown recipe 'zhao'. Valid: zhu2024.",
    ]


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "splits.repeat: 2",
            "config.yaml:15 analyses.os.overrides.splits.repeat: unknown recipe key 'repeat'. Did you mean 'repeats'? "
            "Valid: column, folds, inner_folds, kind, repeats, seed, test_share.",
        ),
        (
            "splits: {repeats: 0}",
            "config.yaml:15 analyses.os.overrides.splits.repeats: found 0, wanted more than 0.",
        ),
        (
            "steps.mrmr.floor: -1",
            "config.yaml:15 analyses.os.overrides.steps.mrmr.floor: found -1, wanted at least 0.",
        ),
        (
            "steps.mmr.k: [10]",
            "config.yaml:15 analyses.os.overrides.steps.mmr.k: unknown recipe key 'mmr'. Did you mean 'mrmr'? "
            "Valid: impute, mrmr.",
        ),
        (
            "models: [logistc]",
            "config.yaml:15 analyses.os.overrides.models.0: unknown model 'logistc'. Did you mean 'logistic'? "
            "Valid: extra-trees, firth, knn, knn-weighted, lightgbm, logistic, logistic-plain, mlp, "
            "random-forest, svm, ... (11 in all).",
        ),
        (
            "covariates: [er]",
            "config.yaml:15 analyses.os.overrides.covariates.0: unknown covariate of cohort 'real' 'er'. "
            "Valid: age_years.",
        ),
        (
            "mask_set: reader2",
            "config.yaml:15 analyses.os.overrides.mask_set: the folder 'contours/reader2' does not exist.",
        ),
        (
            "preset: zhu2042",
            "config.yaml:15 analyses.os.overrides.preset: unknown preset 'zhu2042'. Did you mean 'zhu2024'? "
            "Valid: lesion-table, original, zhao2024, zhu2024.",
        ),
    ],
)
def test_override_problems_point_at_the_override(tmp_path, override, message):
    assert problems(tmp_path, f"{CONFIG}    overrides:\n      {override}\n") == [message]


@pytest.mark.parametrize("override", ["splits.repeats: 2", "splits: {repeats: 2}"])
def test_overrides_reach_the_recipe_in_both_spellings(tmp_path, override):
    text = f"{CONFIG}    overrides:\n      {override}\n"
    loaded = load(working(tmp_path / "work", text), clone(tmp_path / "clone"))
    assert loaded.recipes["os"].splits.repeats == 2
    assert loaded.recipes["os"].splits.folds == 5
    assert loaded.config.analyses["os"].overrides == {"splits.repeats": 2}


def test_a_setting_that_the_recipe_leaves_out_can_be_overridden(tmp_path):
    text = f"{CONFIG}    overrides: {{steps.mrmr.floor: 0.1}}\n"
    recipe = load(working(tmp_path / "work", text), clone(tmp_path / "clone")).recipes["os"]
    assert recipe.steps[1].settings == {"scheme": "FCQ", "k": [20], "floor": 0.1}


def test_the_outcome_is_no_covariate(tmp_path):
    assert problems(tmp_path, CONFIG + "    outcome: age_years\n") == [
        "resources/recipes/zhu2024.yaml:6 covariates.0: 'age_years' is the outcome of this analysis; "
        "it cannot predict itself. Remove it."
    ]


def test_recipe_problems_name_the_recipe(tmp_path):
    recipe = RECIPE.replace("step: mrmr", "step: mrr").replace("models: [", "modls: [")
    assert problems(tmp_path, CONFIG, recipe)[:1] == ["resources/recipes/zhu2024.yaml:1 models: this key is missing. "
                                                      "Wanted: Models among which the inner loop chooses."]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "config.yaml: the file is empty."),
        ("a: [1\nb: 2\n", "config.yaml:2: this is not valid YAML: did not find expected ',' or ']'."),
        (
            "title: !!python/object/apply:os.system ['true']\ncohorts: {}\n",
            "config.yaml:1 title: the tag 'tag:yaml.org,2002:python/object/apply:os.system' is not allowed; "
            "settings hold text, numbers, lists, mappings.",
        ),
        (
            "a: &a [*a]\n",
            "config.yaml:1 a.0: aliases make this file endless or larger than settings can be.",
        ),
    ],
)
def test_unsafe_or_broken_yaml_is_refused(text, message):
    with pytest.raises(ConfigError) as raised:
        parse_located(text, "config.yaml")
    assert raised.value.problems[0].replace("expected ',' or ']', but got ':'", "did not find expected ',' or ']'") == (
        message
    )


def test_multiplying_aliases_are_refused():
    text = "a0: &a0 [1, 1, 1, 1, 1, 1, 1, 1]\n" + "".join(
        f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 8)}]\n" for n in range(1, 9)
    )
    with pytest.raises(ConfigError, match="aliases make this file endless"):
        parse_located(text, "config.yaml")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("001", "001"),
        ("2026-05-31", "2026-05-31"),
        ("1e-3", 0.001),
        ("12", 12),
        ("1.5", 1.5),
    ],
)
def test_scalars_mean_what_they_look_like(text, value):
    assert parse_located(f"a: {text}\n", "config.yaml").value == {"a": value}


def test_settings_without_a_cohort_are_refused(tmp_path):
    assert problems(tmp_path, "cohorts: {}\n") == ["config.yaml:1 cohorts: no cohort is named. Wanted: at least one."]


def test_missing_config_says_where_it_was_looked_for(tmp_path):
    with pytest.raises(ConfigError) as raised:
        load(tmp_path, clone(tmp_path / "clone"))
    assert raised.value.problems == ["config.yaml: the file is missing. Looked for config.yaml in the working folder."]


def test_phantom_needs_no_more_than_its_source(tmp_path):
    text = "cohorts:\n  p:\n    source: phantom\n    rois: {marrow: ['*']}\n"
    cohort = load(working(tmp_path / "work", text), clone(tmp_path / "clone")).config.cohorts["p"]
    assert cohort.phantom == config.Phantom()
    assert cohort.clinical is not None
    assert cohort.clinical.keep == list(config.PHANTOM_COVARIATES)


def test_phantom_takes_no_files(tmp_path):
    text = "cohorts:\n  p:\n    source: phantom\n    path: export\n    rois: {marrow: ['*']}\n"
    assert problems(tmp_path, text) == [
        "config.yaml:4 cohorts.p.path: not for source phantom, which writes its own files. Remove it."
    ]


def test_shipped_settings_load():
    loaded = load(ROOT, ROOT)
    assert loaded.targets == (["phantom"], ["marrow"])
    assert loaded.recipes["marrow"].splits.repeats == 2
    assert loaded.config.cohorts["phantom-null"].phantom.strength == 0


def test_shipped_settings_comment_every_key():
    """Each key of the models stands in config.yaml, as a value or in a comment."""
    text = (ROOT / "config.yaml").read_text()
    models = (config.Config, config.Cohort, config.ClinicalTable, config.FeatureTable, config.Analysis)
    keys = {key for model in models for key in model.model_fields}
    keys |= set(config.Phantom.model_fields)
    assert sorted(key for key in keys if f"{key}:" not in text) == []


def test_recipe_names_agree_with_the_files():
    assert sorted(recipe.RECIPES) == sorted(path.stem for path in (ROOT / "resources/recipes").glob("*.yaml"))


def test_preset_names_agree_with_the_files():
    assert sorted(recipe.PRESETS) == sorted(path.stem for path in (ROOT / "resources/presets").glob("*.yaml"))


@pytest.mark.parametrize("folder", ["examples/sts", "tests/configs/sts-dicom"])
def test_sarcoma_settings_load(shared_data, folder):
    shared_data("sts/dicom")
    assert load(ROOT / folder, ROOT).config.cohorts["sts"].rois == {"lesion": ["GTV_Mass*"]}


def test_loading_is_light():
    """It runs in every start of Snakemake: none of the heavy packages may come along."""
    code = (
        "import sys; from pathlib import Path; import osteorad.cohort.load, osteorad.cohort.check; "
        "print([m for m in ('numpy', 'pyarrow', 'pydicom', 'openpyxl') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT, env={**os.environ}
    )
    assert done.stdout.strip() == "[]"


# --- lesions and second readers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("extra", "messages"),
    [
        ("{outcome_of: lesion}", ["outcomes of lesions need 'unit: lesion'", "cohort 'real' has no table of lesions"]),
        ("{unit: lesion, outcome_of: lesion}", ["Wanted there:  lesions: {path: lesions.tsv}"]),
        ("{second_set: reader2}", ["the folder 'contours/reader2' does not exist"]),
        ("{second_set: manual}", ["this is the recipe's own mask set"]),
        ("{steps: [{step: icc}]}", ["'icc' compares two readers. Wanted: 'second_set'"]),
    ],
)
def test_what_lesions_and_second_readers_need(tmp_path, extra, messages):
    told = problems(tmp_path, CONFIG + f"    overrides: {extra}\n")
    assert len(told) == len(messages)
    for message, line in zip(messages, sorted(told, key=lambda text: "no table" in text), strict=True):
        assert message in line


def test_lesions_have_no_times_and_one_outcome(tmp_path):
    text = CONFIG.replace("    clinical:", "    lesions: {path: clinical.tsv}\n    clinical:")
    told = problems(
        tmp_path, text + "    horizon_days: 9\n    outcome: os\n    overrides: {unit: lesion, outcome_of: lesion}\n"
    )
    assert len(told) == 2
    assert "horizon_days: the table of lesions holds no times" in told[0]
    assert "unknown outcome 'os'" in told[1]


def test_lesions_need_no_clinical_table(tmp_path):
    text = CONFIG.replace(
        "    clinical:\n      path: clinical.tsv\n      keep: [age_years]\n", "    lesions: {path: clinical.tsv}\n"
    )
    text += "    overrides: {unit: lesion, outcome_of: lesion}\n"
    loaded = load(working(tmp_path / "work", text), clone(tmp_path / "clone"))
    assert loaded.recipes["os"].outcome_of == "lesion"


def test_a_phantom_has_a_second_reader_unless_told_otherwise(tmp_path):
    phantom = "cohorts:\n  p:\n    source: phantom\n    rois: {marrow: ['*marrow*']}\n"
    analysis = "analyses:\n  a: {cohort: p, recipe: zhu2024, overrides: {second_set: reader2}}\n"
    load(working(tmp_path / "work", phantom + analysis), clone(tmp_path / "clone"))
    told = problems(tmp_path, phantom + "    phantom: {reader2: false}\n" + analysis)
    assert len(told) == 1
    assert "the folder 'contours/reader2' does not exist" in told[0]


# --- heads ------------------------------------------------------------------------------------------------------------


def test_what_becomes_of_faces_has_to_be_said(tmp_path):
    (told,) = problems(tmp_path, changed("    head: keep\n", ""))
    assert told == (
        "config.yaml:2 cohorts.real.head: this key is missing: an image of the head shows a face, which can be matched "
        "with photographs. Wanted: keep (faces stay in the results) or quarantine (series that show a head, or may "
        "show one, are held back); blank (every slice above the neck becomes air)."
    )


def test_files_read_in_place_cannot_be_blanked(tmp_path):
    text = changed("head: keep", "head: blank").replace("source: dicom", "source: deidentified")
    (told,) = problems(tmp_path, text)
    assert told.startswith("config.yaml:9 cohorts.real.head: 'blank' is not for source deidentified: an image")
    assert "blank needs 'source: dicom', because files of this source are read in place" in told
    fine = text.replace("head: blank", "head: quarantine")
    assert load(working(tmp_path / "work", fine), clone(tmp_path / "clone")).config.cohorts["real"].head == "quarantine"


def test_an_unknown_word_for_heads(tmp_path):
    assert problems(tmp_path, changed("head: keep", "head: blnk")) == [
        "config.yaml:9 cohorts.real.head: unknown value 'blnk'. Did you mean 'blank'? Valid: blank, keep, quarantine."
    ]


def test_a_feature_table_has_no_heads(tmp_path):
    (tmp_path / "work").mkdir()
    (tmp_path / "work/f.tsv").write_text("patient\toutcome\na\t1\n")
    text = "cohorts:\n  t:\n    source: table\n    table: {path: f.tsv}\n    head: keep\n"
    assert problems(tmp_path, text) == [
        "config.yaml:5 cohorts.t.head: not for source table, where all stands in one file. Remove it."
    ]


def test_digital_patients_keep_their_heads():
    cohort = config.Cohort.model_validate({"source": "phantom", "rois": {"marrow": ["*"]}})
    assert cohort.head == "keep"
