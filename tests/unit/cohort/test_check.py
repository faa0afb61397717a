"""Tables are looked at before the first job; messages name lines, never what a cell says."""

from __future__ import annotations

from pathlib import Path

import pytest

from osteorad.cohort.check import Known, check
from tests.conftest import ROOT

from .folders import CLINICAL, CONFIG, clone, working

HORIZON = CONFIG + "    horizon_days: 365\n"


def found(tmp_path: Path, config: str = CONFIG, clinical: str = CLINICAL, known: Known | None = None):
    work = working(tmp_path / "work", config, clinical)
    return check(work, clone(tmp_path / "clone"), {"real": known} if known else None)


def rows(*lines: str, head: str = "patient\toutcome\tage_years") -> str:
    return "\n".join([head, *lines]) + "\n"


def test_good_tables_have_no_problem(tmp_path):
    assert found(tmp_path).problems == []


@pytest.mark.parametrize(
    ("clinical", "message"),
    [
        (CLINICAL + "ID-03\t0\t50\t\n", "clinical.tsv:16: the patient of line 4 stands here again."),
        (CLINICAL + "\t0\t50\tx\n", "clinical.tsv: no patient on line 16."),
        (
            CLINICAL.replace("ID-02\t1", "ID-02\tJane").replace("ID-05\t1", "ID-05\t2"),
            "clinical.tsv: column 'outcome' is not 0 or 1 on lines 3, 6.",
        ),
        (
            CLINICAL.replace("age_years", "age_year"),
            "config.yaml:8 cohorts.real.clinical.keep: unknown column of clinical.tsv 'age_years'. "
            "Did you mean 'age_year'? Valid: age_year, note, outcome, patient.",
        ),
        (
            CLINICAL.replace("patient", "MRN"),
            "config.yaml:6 cohorts.real.clinical.columns: unknown column of clinical.tsv 'patient'. "
            "Valid: MRN, age_years, note, outcome.",
        ),
        (
            CLINICAL.replace("outcome", "outcom"),
            "config.yaml:11 analyses.os.outcome: unknown column of clinical.tsv 'outcome'. Did you mean 'outcom'? "
            "Valid: age_years, note, outcom, patient.",
        ),
        (
            rows(*(f"P{n}\t1\t50" for n in range(14))),
            "config.yaml:11 analyses.os.outcome: all 14 patients have outcome 1. Wanted: both 0 and 1.",
        ),
        (
            rows(*(f"P{n}\t{int(n < 5)}\t50" for n in range(14))),
            "config.yaml:11 analyses.os.outcome: 5 patients with outcome 1 and 9 with 0. "
            "Wanted: at least 6 of each, for two folds with 3.",
        ),
        (
            rows(*(f"P{n}\t\t50" for n in range(14))),
            "config.yaml:11 analyses.os.outcome: no patient has an outcome. "
            "Wanted: 0 or 1, at least 6 patients of each.",
        ),
    ],
)
def test_one_mistake_one_message(tmp_path, clinical, message):
    assert found(tmp_path, clinical=clinical).problems == [message]


def test_six_of_each_class_are_enough(tmp_path):
    assert found(tmp_path, clinical=rows(*(f"P{n}\t{int(n < 6)}\t50" for n in range(12)))).problems == []


def test_a_mapped_column_that_is_missing_points_at_the_mapping(tmp_path):
    config = CONFIG.replace("      keep:", "      columns: {outcome: progres}\n      keep:")
    assert found(tmp_path, config).problems == [
        "config.yaml:8 cohorts.real.clinical.columns.outcome: unknown column of clinical.tsv 'progres'. "
        "Valid: age_years, note, outcome, patient."
    ]


def test_ids_that_cannot_be_file_names(tmp_path):
    config = CONFIG.replace("source: dicom", "source: deidentified")
    clinical = CLINICAL.replace("ID-02", "ID/02").replace("ID-05", "../05")
    assert found(tmp_path, config, clinical).problems == [
        "clinical.tsv: the patient cannot be a file name on lines 3, 6. "
        "Wanted: letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit."
    ]


def test_bad_dates_are_told(tmp_path):
    clinical = (
        CLINICAL.replace("\tnote", "\tindex_date").replace("\tJane", "\t2024-05-31").replace("31\nID-05", "99\nID-05")
    )
    assert found(tmp_path, clinical=clinical).problems == [
        "clinical.tsv: column 'index_date': no date on line 5. Wanted: dates such as 2024-05-31."
    ]


def timed(event: str, seen: str, number: int) -> str:
    return f"P{number}\t2024-01-01\t{event}\t{seen}\t50"


def test_classes_at_the_horizon(tmp_path):
    """Short follow-up without event belongs to no class."""
    head = "patient\tindex_date\tevent_date\tlast_seen\tage_years"
    events = [timed("2024-06-01", "2024-06-01", n) for n in range(6)]
    followed = [timed("", "2025-06-01", n) for n in range(6, 11)]
    censored = [timed("", "2024-06-01", n) for n in range(11, 20)]
    report = found(tmp_path, HORIZON, rows(*events, *followed, *censored, head=head))
    assert report.problems == [
        "config.yaml:11 analyses.os.outcome: 6 patients with outcome 1 and 5 with 0. "
        "Wanted: at least 6 of each, for two folds with 3."
    ]


def test_a_horizon_needs_times(tmp_path):
    assert found(tmp_path, HORIZON).problems == [
        "config.yaml:11 analyses.os.outcome: horizon_days needs one of the columns "
        "event_date, last_seen, event_day, last_seen_day; clinical.tsv has none."
    ]


def test_patients_on_one_side_only_are_listed_and_not_fatal(tmp_path):
    ids = {f"ID-{n:02d}": f"p{n:012x}" for n in range(1, 14)} | {"OTHER": "pabc"}
    report = found(tmp_path, known=Known(patients=ids, files=900))
    assert report.problems == []
    assert report.notes == [
        "clinical.tsv: 1 of 14 patients have no images: line 15.",
        "clinical.tsv: 1 of 14 patients with images have no row: pabc.",
    ]


def test_classes_are_counted_among_patients_with_images(tmp_path):
    ids = {f"ID-{n:02d}": f"p{n:012x}" for n in range(3, 15)}
    assert found(tmp_path, known=Known(patients=ids, files=900)).problems == [
        "config.yaml:11 analyses.os.outcome: 5 patients with outcome 1 and 7 with 0. "
        "Wanted: at least 6 of each, for two folds with 3."
    ]


def test_no_message_tells_what_a_cell_says(tmp_path):
    """Names in the wrong column must not reach a log."""
    clinical = CLINICAL.replace("\t1\t", "\tDoe^Jane\t") + "Doe^Jane\t0\t1\t\nDoe^Jane\t0\t1\t\n"
    text = "\n".join(found(tmp_path, clinical=clinical).problems)
    assert "lines 2, 3, 4" in text
    assert "Doe" not in text


def test_forecast_needs_an_index_for_a_real_cohort(tmp_path):
    assert found(tmp_path).notes == [
        "config.yaml:4 cohorts.real.path: the export was not looked through yet, so the forecast leaves it out. "
        "A dry run does it: snakemake -n"
    ]


def test_forecast_grows_with_the_cohort(tmp_path):
    small = found(tmp_path / "a", known=Known(patients={f"ID-{n:02d}": "p" for n in range(1, 15)}, files=1000)).forecast
    large = found(tmp_path / "b", known=Known(patients={f"ID-{n:02d}": "p" for n in range(1, 15)}, files=9000)).forecast
    assert large.disk_gb > 5 * small.disk_gb
    assert large.jobs == small.jobs > 14 * 7


def test_forecast_counts_the_jobs_that_a_dry_run_lists():
    """`snakemake -n` lists 123: 9 a patient, 7 of the cohort, 6 of the analysis, 2 at the end."""
    assert check(ROOT / "tests/configs/small", ROOT).forecast.jobs == 12 * 9 + 8 + 6 + 2 == 124


def test_shipped_settings_have_no_problem():
    report = check(ROOT, ROOT)
    assert report.problems == []
    assert report.forecast.jobs > 300


def test_sarcoma_tables_have_no_problem(shared_data):
    shared_data("sts/dicom")
    assert check(ROOT / "examples/sts", ROOT).problems == []


# --- the table of lesions --------------------------------------------------------------------------------------------

OF_LESIONS = CONFIG.replace("    clinical:", "    lesions: {path: lesions.tsv}\n    clinical:") + (
    "    overrides: {unit: lesion, outcome_of: lesion}\n"
)


def told_of_lesions(tmp_path: Path, text: str) -> list[str]:
    (tmp_path / "work").mkdir(exist_ok=True)
    (tmp_path / "work/lesions.tsv").write_text(text)
    return found(tmp_path, OF_LESIONS).problems


def lesions(*outcomes: str, head: str = "patient\troi_name\toutcome") -> str:
    return rows(*(f"ID-{n:02d}\tMet 1\t{outcome}" for n, outcome in enumerate(outcomes)), head=head)


def test_six_patients_with_lesions_of_each_outcome_are_enough(tmp_path):
    assert told_of_lesions(tmp_path, lesions(*"111111000000")) == []
    both = rows(*(f"ID-{n}\tMet {o}\t{o}" for n in range(6) for o in (0, 1)), head="patient\troi_name\toutcome")
    assert told_of_lesions(tmp_path, both) == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (lesions(*"11111100000"), "lesions.tsv tells of 6 patients with a lesion of outcome 1 and 5 with one of 0. "),
        (lesions(*"11", head="patient\troi_name\tmalignant"), "tells of 0 patients with a lesion of outcome 1"),
        (lesions(*"1x"), "lesions.tsv: column 'outcome' is not 0 or 1 on line 3."),
        (lesions(*"10", head="patient\tname\toutcome"), "unknown column of lesions.tsv 'roi_name'"),
    ],
)
def test_a_table_of_lesions_that_cannot_carry_the_recipe_is_told(tmp_path, text, message):
    (told,) = told_of_lesions(tmp_path, text)
    assert message in told


def test_the_shape_of_the_clinical_outcome_does_not_matter_for_lesions(tmp_path):
    config = OF_LESIONS.replace("lesions.tsv", "clinical.tsv").replace("      keep", "      columns: {}\n      keep")
    clinical = rows(*(f"ID-{n}\t1\t50\tMet {n}" for n in range(14)), head="patient\tx\tage_years\troi_name")
    told = found(tmp_path, config, clinical).problems
    assert len(told) == 1
    assert "clinical.tsv tells of 0 patients with a lesion" in told[0]
