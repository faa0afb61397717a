"""Messages of the checks with their full text, of what few people ever do; common mistakes stand in the other tests.

`tests/unit/test_messages.py` holds the whole set complete.
"""

from __future__ import annotations

import json
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest

from osteorad.cohort import located, new, pseudonyms, tables
from osteorad.cohort.check import Known, check
from osteorad.cohort.feature_table import open_features, problems_of
from osteorad.cohort.load import load
from osteorad.cohort.located import parse_located, read_located
from osteorad.cohort.tables import read_table
from osteorad.dicom.series import read_overrides
from osteorad.errors import ConfigError, UserError, shortened, unknown_name
from osteorad.files import write_parquet
from tests.conftest import ROOT

from .folders import CLINICAL, CONFIG, RECIPE, clone, working
from .test_feature_table import BUNDLED, PATIENTS, at, checked, columns, opened, settings
from .test_feature_table import CONFIG as OF_TABLE


def told(folder: Path, config: str, recipe: str = RECIPE) -> list[str]:
    """What `load` says of settings."""
    with pytest.raises(ConfigError) as raised:
        load(working(folder / "work", config), clone(folder / "clone", recipe))
    return raised.value.problems


def changed(old: str, new: str, text: str = CONFIG) -> str:
    assert old in text
    return text.replace(old, new)


# --- settings ---------------------------------------------------------------------------------------------------------

SOURCE, PATH, ROIS, RUN = (
    "    source: dicom\n",
    "    path: export\n",
    "    rois: {marrow: ['*marrow*']}\n",
    "cohorts:\n",
)
HERE = "config.yaml:4 cohorts.real"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            SOURCE,
            SOURCE + "    table: {path: a.csv}\n",
            f"{HERE}.table: only for source table, here the source is dicom.",
        ),
        (
            ROIS,
            "    rois: {}\n",
            "config.yaml:5 cohorts.real.rois: no ROI is named. Wanted: at least one, such as  lesion: ['*gtv*'].",
        ),
        (
            ROIS,
            "    rois: {marrow: ['*marrow*'], roi: ['*']}\n",
            "config.yaml:5 cohorts.real.rois.roi: 'roi' is what contours without a pattern are called. Rename it.",
        ),
        (
            ROIS,
            "    rois: {marrow: ['*marrow*'], rib: ['']}\n",
            "config.yaml:5 cohorts.real.rois.rib: an empty list or pattern matches nothing. Wanted: ['*rib*'].",
        ),
        (
            PATH,
            PATH + "    modalities: []\n",
            "config.yaml:5 cohorts.real.modalities: the list is empty. Wanted: CT, PT or both.",
        ),
        (
            "    clinical:\n      path: clinical.tsv\n      keep: [age_years]\n",
            "",
            "config.yaml:8 analyses.os.outcome: cohort 'real' has no clinical table, so there is no outcome.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2024\n    as_published: true",
            "config.yaml:14 analyses.os.as_published: recipe 'zhu2024' does not say how a paper proceeded. "
            "Wanted: its key 'published'.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2024\n    overrides: {splits.kind: column}",
            "resources/recipes/zhu2024.yaml:11 splits.column: this key is missing. "
            "Wanted: the covariate that says which fold or part a patient is in.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2024\n    overrides: {splits.column: age_years}",
            "config.yaml:14 analyses.os.overrides.splits.column: only for kind: column, here the kind is folds.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2024\n    overrides: {second_set: manual}",
            "config.yaml:14 analyses.os.overrides.second_set: this is the recipe's own mask set. "
            "Wanted: a second reader's.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2024\n    overrides: {mask_set: ../../etc}",
            "config.yaml:14 analyses.os.overrides.mask_set: '../../etc' is no name of a folder below contours/. "
            "Wanted: letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2024\n    overrides: {steps: [{step: icc}]}",
            "config.yaml:14 analyses.os.overrides.steps.icc.step: 'icc' compares two readers. "
            "Wanted: 'second_set', a folder below contours/.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2024\n    horizon_days: 9\n    overrides: {unit: lesion, outcome_of: lesion}",
            "config.yaml:14 analyses.os.horizon_days: the table of lesions holds no times, only 0 and 1. "
            "Remove it, or 'outcome_of: lesion'.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2024\n    overrides: {outcome_of: lesion}",
            "config.yaml:14 analyses.os.overrides.outcome_of: outcomes of lesions need 'unit: lesion'; "
            "here a sample is a patient.",
        ),
        (
            "    recipe: zhu2024",
            "    recipe: zhu2024\n    image_window_days: [1, 2, 3]",
            "config.yaml:14 analyses.os.image_window_days: found a list: "
            "Tuple should have at most 2 items after validation, not 3.",
        ),
        (
            RUN,
            "private_dir: results/private\ncohorts:\n",
            "config.yaml:1 private_dir: this is below 'results'. Wanted: a folder of its own, such as 'private'.",
        ),
        (
            RUN,
            "private_dir: ..\ncohorts:\n",
            "config.yaml:1 private_dir: this is the working folder itself or above it. "
            "Wanted: a folder of its own, such as 'private'.",
        ),
        (
            PATH,
            "    path: .\n",
            "config.yaml:4 cohorts.real.path: this folder holds 'private', which a run writes. "
            "Wanted: a folder of its own.",
        ),
        (
            PATH,
            "    path: results\n",
            "config.yaml:4 cohorts.real.path: the folder 'results' does not exist (seen from the working folder).",
        ),
    ],
)
def test_settings_of_a_cohort_and_an_analysis(tmp_path, old, new, message):
    assert message in told(tmp_path, changed(old, new))


def test_names_do_not_leave_their_folder(tmp_path):
    """Names become folders: none may hold a slash, points alone, or anything that a path or a shell acts on."""
    rule = "Wanted: lower-case letters, digits and hyphens, at most 41, starting with a letter or digit."
    for name in ("../x", "..", "a/b", "-rf", "a b", "$HOME", "a;b", "\u00e4", "x" * 42):
        (problem,) = [p for p in told(tmp_path, changed("  os:\n", f"  '{name}':\n")) if "no valid name" in p]
        assert problem == f"config.yaml:11 analyses.{name}: '{name}' is no valid name. {rule}"


def test_a_recipe_carries_the_name_of_its_file(tmp_path):
    assert told(tmp_path, CONFIG, RECIPE.replace("name: zhu2024", "name: other")) == [
        "resources/recipes/zhu2024.yaml:1 name: found 'other', wanted 'zhu2024', the name of the file."
    ]


def test_covariates_that_a_cohort_does_not_keep_are_noted(tmp_path):
    config = CONFIG.replace("keep: [age_years]", "keep: []")
    assert check(working(tmp_path / "work", config), clone(tmp_path / "clone")).notes[:1] == [
        "config.yaml:13 analyses.os.recipe: the clinical model goes without age_years: cohort 'real' does not keep it."
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "    source: table\n",
            "    source: table\n    path: .\n",
            "config.yaml:4 cohorts.features.path: not for source table, where all stands in one file. Remove it.",
        ),
        (
            "outcome: outcome, ",
            "drop: [outcome], ",
            "config.yaml:4 cohorts.features.table.outcome: this key is missing. "
            "Wanted: the column with the outcome of analysis 'event'.",
        ),
        (
            "recipe: tabular}",
            "recipe: tabular, horizon_days: 30}",
            "config.yaml:6 analyses.event.horizon_days: not for source table, which knows no days. Remove it.",
        ),
        (
            "recipe: tabular}",
            "recipe: tabular, overrides: {roi: lesion}}",
            "config.yaml:6 analyses.event.overrides.roi: cohort 'features' is a feature table. Wanted: roi: table.",
        ),
        (
            "recipe: tabular}",
            "recipe: tabular, outcome: age}",
            "config.yaml:6 analyses.event.outcome: column 'age' of features.csv is not 0 or 1 in rows 1, 2, 3, 4, 5, "
            "6, 7, 8, 9, 10, ... (16 in all).",
        ),
    ],
)
def test_settings_of_a_feature_table(tmp_path, old, new, message):
    assert old in OF_TABLE
    assert message in checked(tmp_path, OF_TABLE.replace(old, new)).problems


def test_outcomes_that_differ_between_lesions_are_no_patients(tmp_path):
    config = OF_TABLE.replace("covariates: [age, centre]", "lesion: number, drop: [age, centre]")
    table = {"patient": [f"P{n // 2}" for n in range(PATIENTS)], "number": [n % 2 + 1 for n in range(PATIENTS)]}
    assert checked(tmp_path, config, **table).problems == [
        "config.yaml:6 analyses.event.outcome: it differs between the rows of 8 patients. "
        "Wanted in the recipe: outcome_of: lesion."
    ]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (
            "bundle: event",
            "bundle: outside",
            "config.yaml:10 analyses.outside.bundle: analysis 'outside' applies a bundle itself. "
            "Wanted: the analysis that learned it.",
        ),
        (
            "cohort: there",
            "cohort: here",
            "config.yaml:10 analyses.outside.bundle: 'event' was learned on the same cohort 'here'. "
            "Wanted: another cohort.",
        ),
        (
            "k: [1], bootstrap",
            "k: [2], bootstrap",
            "config.yaml:10 analyses.outside.bundle: 'event' was learned by another recipe; steps differ. "
            "Wanted: the same recipe with the same overrides.",
        ),
        (
            "bundle: event",
            "as_published: true, bundle: event",
            "config.yaml:10 analyses.outside.as_published: nothing is learned here, so nothing can be replayed.",
        ),
    ],
)
def test_settings_of_an_external_validation(tmp_path, old, new, message):
    assert old in BUNDLED
    assert message in checked(tmp_path, BUNDLED.replace(old, new)).problems


# --- the text of the settings -----------------------------------------------------------------------------------------

TOO_DEEP = "lists and mappings lie in each other more than 30 deep. Wanted: settings as docs/reference.md shows."


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: " + "[" * 60 + "]" * 60, f"config.yaml:1 a.0.0.0: {TOO_DEEP}"),
        ("a: " + "[" * 20_000, f"config.yaml: {TOO_DEEP}"),
        ("a: b\nc: '\0'", "config.yaml:2: the character U+0000 is not allowed in settings. Remove it."),
        ("a: b\nc: \x1b[31m", "config.yaml:2: the character U+001B is not allowed in settings. Remove it."),
        ('a: "\\0"', "config.yaml:1 a: the text holds the character U+0000. Remove it."),
        ('a: "\\ud800"', "config.yaml:1 a: the text holds the character U+D800. Remove it."),
        (
            'a: "\\UFFFFFFFF"',
            "config.yaml: this is not valid YAML: an escape such as \\U00110000 is no character.",
        ),
        ("a: 1e999", "config.yaml:1 a: the number 1e999 is larger than settings can be."),
        ("a: 9007199254740993", "config.yaml:1 a: the number 9007199254740993 is larger than settings can be."),
        ("a: {<<: 5}", "config.yaml:1 a: '<<' brings in mappings. Wanted: an alias of one, such as  <<: *base"),
        ("? [a]\n: 1", "config.yaml:1: the key '...' is not text. Put it in quotes."),
        ("true: 1", "config.yaml:1: the key 'true' is not text. Put it in quotes."),
        ("\ta: 1", "config.yaml:1: this is not valid YAML: found character '\\t' that cannot start any token."),
        ("a: *b", "config.yaml:1: this is not valid YAML: found undefined alias 'b'."),
        ("--- a\n--- b", "config.yaml:2: this is not valid YAML: but found another document."),
        (
            "a: !!bool maybe",
            "config.yaml:1 a: the tag 'tag:yaml.org,2002:bool' is not allowed; "
            "settings hold text, numbers, lists, mappings.",
        ),
        (
            "a: !!python/object/new:os.system [x]",
            "config.yaml:1 a: the tag 'tag:yaml.org,2002:python/object/new:os.system' is not allowed; "
            "settings hold text, numbers, lists, mappings.",
        ),
        (
            "a: !!binary aGk=",
            "config.yaml:1 a: the tag 'tag:yaml.org,2002:binary' is not allowed; "
            "settings hold text, numbers, lists, mappings.",
        ),
    ],
    ids=range(18),
)
def test_texts_that_are_no_settings(text, message):
    with pytest.raises(ConfigError) as raised:
        parse_located(text, "config.yaml")
    assert raised.value.problems == [message]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"a: 1\n" + b"#" * 50_000_000, "config.yaml: the file has more than 500 kB. Wanted: settings, not data."),
        ("a: 1\n".encode("utf-16"), "config.yaml: the file is not UTF-8 text. Save it again as UTF-8."),
    ],
    ids=["50 MB", "utf-16"],
)
def test_files_that_are_no_settings(tmp_path, raw, message):
    (tmp_path / "config.yaml").write_bytes(raw)
    with pytest.raises(ConfigError) as raised:
        read_located(tmp_path / "config.yaml", "config.yaml")
    assert raised.value.problems == [message]


def test_a_folder_in_the_place_of_the_settings(tmp_path):
    (tmp_path / "config.yaml").mkdir()
    with pytest.raises(ConfigError) as raised:
        read_located(tmp_path / "config.yaml", "config.yaml")
    assert raised.value.problems == ["config.yaml: the file cannot be opened: Is a directory."]


@pytest.mark.parametrize(
    "shape", ["[*a{0}, *a{0}, *a{0}, *a{0}, *a{0}]", "{{<<: [*a{0}, *a{0}, *a{0}, *a{0}, *a{0}]}}"]
)
def test_aliases_that_multiply_end_soon(shape):
    text = "a0: &a0 {x: 1}\n" + "".join(f"a{n}: &a{n} {shape.format(n - 1)}\n" for n in range(1, 30))
    with pytest.raises(ConfigError) as raised:
        parse_located(text, "config.yaml")
    assert raised.value.problems[0].endswith(": aliases make this file endless or larger than settings can be.")
    assert len(raised.value.problems) == 1


def test_what_messages_show_is_short_and_plain():
    assert shortened("a\x1b[31m\nb") == "a\\u001b[31m\\u000ab"
    assert shortened("x" * 81) == "x" * 77 + "..."
    assert unknown_name("key", "y" * 10_000, ["z" * 10_000], "here") == (
        f"here: unknown key '{'y' * 77}...'. Valid: {'z' * 77}...."
    )


# --- tables -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "raw", "message"),
    [
        ("t.xls", b"", "t.xls: .xls files are not read. Save it as .xlsx or .csv."),
        ("t.ods", b"", "t.ods: .ods files are not read. Save it as .xlsx or .csv."),
        (
            "t.csv",
            "a,größe\n1,2\n".encode() + b"2,M\xfcller\n",
            "t.csv:3: this line is not UTF-8, as the rest of the file is. Save the table again as UTF-8.",
        ),
        (
            "t.csv",
            b"a,b\n1,M\x81ller\n",
            "t.csv:2: letters of this line are neither UTF-8 nor Latin-1. Save the table again as UTF-8.",
        ),
        ("t.csv", "a,b\n1,2\n".encode("utf-16")[:-1], "t.csv: this is not a text table. Wanted: TSV, CSV or XLSX."),
        ("t.csv", "a,b\n1,\0\n".encode("utf-16"), "t.csv: this is not a text table. Wanted: TSV, CSV or XLSX."),
        ("t.csv", b'a,b\n1,"x\n2,y\n', "t.csv:2: the line cannot be read. Is a quotation mark left open?"),
        ("t.csv", b'a,b\n1,"x" y\n', "t.csv:2: the line cannot be read. Is a quotation mark left open?"),
        (
            "t.csv",
            b"A table;;\na;b;c\n1;2;3\n",
            "t.csv: more cells than the 1 named columns of line 1 on lines 2, 3. "
            "Wanted: a name above each column; is the header merged, or above it a title?",
        ),
    ],
    ids=range(9),
)
def test_tables_that_could_only_be_read_by_a_guess(tmp_path, name, raw, message):
    (tmp_path / name).write_bytes(raw)
    with pytest.raises(ConfigError) as raised:
        read_table(tmp_path / name)
    assert raised.value.problems == [message]


def sheet(folder: Path, *sheets: list[list[object]]) -> Path:
    book = openpyxl.Workbook()
    for number, rows in enumerate(sheets):
        page = book.active if number == 0 else book.create_sheet()
        for row in rows:
            page.append(row)
    book.save(folder / "t.xlsx")
    return folder / "t.xlsx"


def test_formulas_without_results_are_told(tmp_path):
    with pytest.raises(ConfigError) as raised:
        read_table(sheet(tmp_path, [["a", "b"], [1, "=A2+1"], ["=1+1", None]]))
    assert raised.value.problems == [
        "t.xlsx: a formula without a result on lines 2, 3. Open the file in a spreadsheet program, save it again."
    ]


def test_rows_on_a_second_sheet_are_told(tmp_path):
    assert read_table(sheet(tmp_path, [["a"], [1]], [["legend"], ["a: x"]])).records() == [{"a": "1"}]
    with pytest.raises(ConfigError) as raised:
        read_table(sheet(tmp_path, [["a"], [1]], [["a"], [2]]))
    assert raised.value.problems == [
        "t.xlsx: sheet 2 has the same columns as sheet 1, of which alone rows are read. Put all rows into one sheet."
    ]


def test_a_workbook_that_would_fill_the_memory_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(tables, "LARGEST_BOOK", 100)
    with pytest.raises(ConfigError) as raised:
        read_table(sheet(tmp_path, [["a"], [1]]))
    assert raised.value.problems == ["t.xlsx: the workbook unpacks to over 1 GB. Save the table alone, or as CSV."]


def test_a_table_that_cannot_be_opened_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(
        Path, "read_bytes", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied"))
    )
    with pytest.raises(ConfigError) as raised:
        read_table(tmp_path / "t.csv")
    assert raised.value.problems == ["t.csv: the file cannot be opened: Permission denied."]


def clinical(folder: Path, *, er: str = "1", days: str = "9", patient: str = "ID-03", known: Known | None = None):
    """What `check` says of a clinical table with other cells on its fourth line."""
    rows = [["patient", "outcome", "age_years", "er", "event_day"]]
    rows += [[f"ID-{n:02d}", str(n % 2), "50", "1,5", "9,5"] for n in range(1, 15)]
    rows[3][3], rows[3][4], rows[3][0] = er, days, patient
    text = "".join(";".join(row) + "\n" for row in rows)
    work = working(folder / "work", CONFIG.replace("[age_years]", "[age_years, er]"), text)
    return check(work, clone(folder / "clone"), {"real": known} if known else None)


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (
            {"er": "1.5"},
            "clinical.tsv: column 'er': a decimal comma on lines 2, 3, 5, 6, 7, 8, 9, 10, 11, 12, ... (13 in all), "
            "a point elsewhere. Wanted: one way for the whole column.",
        ),
        (
            {"er": "02.01.2024"},
            "clinical.tsv: column 'er': a date on line 4. "
            "A kept column holds none; did a spreadsheet make it, of 1-2 perhaps?",
        ),
        (
            {"er": "#REF!"},
            "clinical.tsv: column 'er': the error of a formula on line 4. Wanted: a value, or nothing.",
        ),
        ({"days": "soon"}, "clinical.tsv: column 'event_day' is not a number on line 4."),
        *(
            (
                {"patient": patient},
                "clinical.tsv: a spreadsheet changed the patient to a number or a date on line 4. "
                "Wanted: the PatientID as text; format the column as text, type it again.",
            )
            for patient in ("3.0", "1,2E+10", "03.01.2024", "2024-01-03", "3-Jan", "Jan-24", "03. Mär")
        ),
    ],
    ids=range(11),
)
def test_what_spreadsheets_make_of_cells_is_told(tmp_path, cells, message):
    assert clinical(tmp_path, **cells).problems == [message]


def test_thousands_are_no_decimals(tmp_path):
    text = CLINICAL.replace("\t5", "\t1,05").replace("\t6", "\t1,06")
    assert check(working(tmp_path / "work", CONFIG, text), clone(tmp_path / "clone")).problems == [
        "clinical.tsv: column 'age_years': thousands and decimals cannot be told apart on lines 2, 3, 4, 5, 6, 7, 8, "
        "9, 10, 11, ... (14 in all). Wanted: numbers such as 1234 or 1.234."
    ]


def test_an_id_that_looks_like_a_number_but_exists_is_left_alone(tmp_path):
    known = Known(patients={"3.0": "p" * 13, **{f"ID-{n:02d}": f"p{n:012x}" for n in range(1, 15)}}, files=9)
    assert clinical(tmp_path, patient="3.0", known=known).problems == []


def test_a_table_without_a_header_shows_nobody(tmp_path):
    """Its first line is a patient's: none of its cells may reach a message."""
    text = "\n".join(CLINICAL.splitlines()[1:])
    assert check(working(tmp_path / "work", CONFIG, text), clone(tmp_path / "clone")).problems == [
        "config.yaml:6 cohorts.real.clinical.columns: clinical.tsv has no column 'patient', nor any other that is "
        "asked for. Wanted: the names of the columns on the first line.",
        "config.yaml:8 cohorts.real.clinical.keep: clinical.tsv has no column 'age_years', nor any other that is "
        "asked for. Wanted: the names of the columns on the first line.",
        "config.yaml:11 analyses.os.outcome: clinical.tsv has no column 'outcome', nor any other that is asked for. "
        "Wanted: the names of the columns on the first line.",
    ]


def of_lesions(folder: Path, text: str) -> list[str]:
    config = CONFIG.replace("    clinical:", "    lesions: {path: lesions.tsv}\n    clinical:")
    work = working(folder / "work", config + "    overrides: {unit: lesion, outcome_of: lesion}\n")
    (work / "lesions.tsv").write_text(text)
    return check(work, clone(folder / "clone")).problems


@pytest.mark.parametrize(
    ("text", "messages"),
    [
        (
            "patient\troi_name\toutcome\nID-01\tMet 1\t1\n",
            [
                "config.yaml:12 analyses.os.outcome: lesions.tsv tells of 1 patients with a lesion of outcome 1 and 0 "
                "with one of 0. Wanted: at least 6 of each, for two folds with 3."
            ],
        ),
        (
            "patient\troi_name\toutcome\tdate\nNA\tMet 1\tyes\tMay\nID-02\t-\t1\t2024-05-31\n",
            [
                "lesions.tsv: no patient on line 2.",
                "lesions.tsv: no roi_name on line 3.",
                "lesions.tsv: column 'date': no date on line 2. Wanted: dates such as 2024-05-31.",
                "lesions.tsv: column 'outcome' is not 0 or 1 on line 2.",
            ],
        ),
    ],
)
def test_tables_of_lesions(tmp_path, text, messages):
    assert of_lesions(tmp_path, text) == messages


def test_the_table_of_series(tmp_path):
    config = CONFIG.replace("    clinical:", "    series: series.tsv\n    clinical:")
    work = working(tmp_path / "work", config)
    (work / "series.tsv").write_text("series\ttake\timage\ne0123abcd\tyes\tct-2\nDoe^Jane\tperhaps\tmr\n")
    assert check(work, clone(tmp_path / "clone")).problems == [
        "series.tsv: no series on line 3. Wanted: the names that the cohort page shows, such as e0123abcd.",
        "series.tsv: column 'take' is neither yes nor no on line 3. Wanted: yes, no or empty.",
        "series.tsv: column 'image' is no name of an image on line 3. Wanted: ct, pet, ct-2, pet-2.",
    ]
    (work / "series.tsv").write_text("name\ttake\ne0123abcd\tyes\n")
    assert check(work, clone(tmp_path / "clone")).problems == [
        "config.yaml:6 cohorts.real.series: unknown column of series.tsv 'series'. Valid: name, take."
    ]
    with pytest.raises(ConfigError) as raised:
        read_overrides([{"series": "e0123abcd", "take": "perhaps"}], "p1")
    assert raised.value.problems == ["series.tsv: take or image means nothing. Wanted: yes, no; ct, pet, ct-2, pet-2."]


# --- feature tables ---------------------------------------------------------------------------------------------------

NAMES = "letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit"


@pytest.mark.parametrize(
    ("table", "how", "message"),
    [
        ({}, {"drop": ["age"]}, "table: column 'age' is named twice. Wanted: one meaning for each column."),
        (
            {},
            {"covariates": ["age"]},
            "table: text in column 'centre' of features.parquet. Wanted: covariates or drop names it, or numbers.",
        ),
        (
            {"session": [1.0] * PATIENTS},
            {},
            "table: 'session' is no name for a feature: it is our name of a key. Rename it, or put it under drop.",
        ),
        (
            {"index_day": [1.0] * PATIENTS},
            {"covariates": ["age", "centre", "index_day"]},
            "table.covariates: 'index_day' is our name of something else. Rename the column.",
        ),
        (
            {},
            {"drop": ["shape_Volume", "glcm_Contrast"]},
            "table: features.parquet has no column left that could be a feature.",
        ),
        (
            {"patient": ["a/b", "../c", "CON", *(f"Q{n}" for n in range(PATIENTS - 3))]},
            {},
            "features.parquet: the patient cannot be a name in rows 1, 2. Wanted: letters, digits, '.', '_' and '-', "
            "at most 64, starting with a letter or digit.",
        ),
        (
            {"patient": ["P1", "P1", *(f"Q{n}" for n in range(PATIENTS - 2))]},
            {},
            "table.lesion: a patient stands again in row 2 of features.parquet. "
            "Wanted: the column with the lesion's number.",
        ),
        (
            {"number": ["²", "9" * 5000, "0", *["1"] * (PATIENTS - 3)]},
            {"lesion": "number"},
            "features.parquet: column 'number' is not a whole number from 1 to 9999 in rows 1, 2, 3.",
        ),
        (
            {"centre": ["#REF!", *["north"] * (PATIENTS - 1)]},
            {},
            "features.parquet: column 'centre': the error of a formula in row 1. Wanted: a value, or nothing.",
        ),
    ],
    ids=range(9),
)
def test_feature_tables(tmp_path, table, how, message):
    assert problems_of(opened(tmp_path, columns(**table)), settings(**how), at) == [message]


def test_files_that_are_no_feature_table(tmp_path):
    def read(name: str) -> None:
        file = open_features(tmp_path / name, name)
        file.read(file.header)

    def problems(name: str) -> list[str]:
        with pytest.raises(ConfigError) as raised:
            read(name)
        return raised.value.problems

    assert problems("a.sav") == [
        "a.sav: a file of this kind is not read. Wanted: .parquet, .tsv, .csv, .txt, .xlsx, .xlsm."
    ]
    write_parquet(tmp_path / "a.parquet", pa.table([[1], [2]], names=["x", "x"]))
    assert problems("a.parquet") == ["a.parquet: 1 names stand above several columns. Wanted: each name once."]
    write_parquet(tmp_path / "b.parquet", pa.table({"x": [[1, 2]]}))
    assert problems("b.parquet") == ["b.parquet: column 'x' holds neither numbers nor text. Wanted: one value a row."]
    opened(tmp_path, columns())
    raw = bytearray((tmp_path / "features.parquet").read_bytes())
    raw[10:60] = bytes(50)  # in the pages: the names can still be read
    (tmp_path / "c.parquet").write_bytes(raw)
    assert problems("c.parquet") == ["c.parquet: the file cannot be read as Parquet. Is it whole?"]


# --- keys, drafts -----------------------------------------------------------------------------------------------------


def test_keys(tmp_path):
    def problem(content: bytes | None, mode: int = 0o600) -> str:
        path = tmp_path / "key"
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_bytes(content)
            path.chmod(mode)
        with pytest.raises(UserError) as raised:
            pseudonyms.read_key(path)
        return str(raised.value).replace(str(path), "private/real/key")

    assert problem(None) == (
        "private/real/key: the key is missing. It is made on the first run; results made with another key do not fit."
    )
    assert problem(b"k" * 32, 0o640) == (
        "private/real/key: the key is readable by others. Run: chmod 600 private/real/key"
    )
    assert problem(b"k" * 31) == "private/real/key: found 31 bytes, wanted 32."
    assert problem(pseudonyms.PHANTOM_KEY) == (
        "private/real/key: this is the public key of the phantom cohorts; it must not protect real data."
    )


def test_drafts(tmp_path):
    def problem() -> str:
        with pytest.raises(UserError) as raised:
            new.new_folder(tmp_path / "work", tmp_path / "export")
        return str(raised.value).replace(str(tmp_path), "/home")

    assert problem() == "/home/export: the folder does not exist. Wanted: the folder of the DICOM export."
    (tmp_path / "export").mkdir()
    (tmp_path / "export/a.txt").write_text("no")
    assert problem() == "/home/export: no CT or PET image among 1 files (1 are not DICOM)."
    (tmp_path / "work").mkdir()
    (tmp_path / "work/config.yaml").write_text("cohorts: {}\n")
    assert problem() == "/home/work/config.yaml exists already. Name another folder, or remove the file."


def test_limits_are_far_above_the_shipped_settings():
    shipped = [ROOT / "config.yaml", *(ROOT / "resources/recipes").glob("*.yaml")]
    assert max(path.stat().st_size for path in shipped) * 10 < located.MAX_BYTES
    assert json.dumps(read_located(shipped[0], "config.yaml").value)
