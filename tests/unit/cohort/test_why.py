"""Sentences that say why a job would run."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from osteorad.cohort import why
from osteorad.past import write_with_past

PRINTED = """\
Building DAG of jobs...
Job stats:
job         count
--------  -------
all             1

[Sat Nov 21 16:40:01 2026] Group job patient (jobs in lexicogr. order):

    [Sat Nov 21 16:40:01 2026]
    rule draw_masks:
        input: results/cohorts/c/images/p1/images.json, results/.state/keys/draw_masks.c.json
        output: results/cohorts/c/masks/manual/p1, results/cohorts/c/masks/manual/p1/masks.json
        log: logs/draw_masks/c/manual/p1.log
        jobid: 7
        reason: Missing output files: results/cohorts/c/masks/manual/p1/masks.json; Set of input files has changed
        wildcards: cohort=c, set=manual, patient=p1
        resources: tmpdir=/tmp
[Sat Nov 21 16:40:01 2026]
rule write_index:
    input: results/cohorts/c/report.json
    output: results/index.html
    jobid: 1
    reason: Input files updated by another job: results/cohorts/c/report.json
    resources: tmpdir=/tmp
[Sat Nov 21 16:40:01 2026]
rule all:
    input: results/index.html
    jobid: 0
    reason: Input files updated by another job: results/index.html
Reasons:
    (check individual jobs above for details)
    output files have to be generated:
        draw_masks
"""


def job(rule, reason="", inputs=(), outputs=("out.json",), **wildcards):
    return why.Job(rule=rule, wildcards=wildcards, inputs=tuple(inputs), outputs=tuple(outputs), reason=reason)


def test_jobs_of_a_dry_run_without_the_target():
    masks, index = why.jobs_of(PRINTED)
    assert (masks.rule, index.rule) == ("draw_masks", "write_index")
    assert masks.wildcards == {"cohort": "c", "set": "manual", "patient": "p1"}
    assert masks.outputs[1] == "results/cohorts/c/masks/manual/p1/masks.json"
    assert masks.reasons() == {
        "Missing output files": ("results/cohorts/c/masks/manual/p1/masks.json",),
        "Set of input files has changed": (),
    }
    assert index.inputs == ("results/cohorts/c/report.json",)
    assert why.jobs_of("Nothing to be done.\n") == []


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ({"splits": {"repeats": 5}}, {"splits": {"repeats": 2}}, "setting splits.repeats was 5 and is 2"),
        ({"exclude": {}}, {"exclude": {"p1": "moved"}}, 'setting exclude.p1 is new: "moved"'),
        ({"kernel": "soft"}, {}, 'setting kernel was "soft" and is gone'),
        ({"rois": {"bone": ["*b*"]}}, {"rois": {"bone": ["*x*"]}}, 'setting rois.bone was ["*b*"] and is ["*x*"]'),
        (
            {"steps": [{"step": "icc", "k": 1}]},
            {"steps": [{"step": "icc", "k": 2}]},
            "setting steps.icc.k was 1 and is 2",
        ),
        ("zhu2024", "best", 'setting value was "zhu2024" and is "best"'),
    ],
)
def test_a_changed_setting_is_told_old_against_new(old, new, sentence):
    keys = [{"settings": settings, "code": {}, "data": {}, "versions": {}} for settings in (old, new)]
    assert list(why.key_changes(*keys)) == [sentence]


def test_changed_modules_data_and_versions_are_named():
    old = {"settings": None, "code": {"a.py": "1", "b.py": "1"}, "data": {"t.html": "1"}, "versions": {"numpy": "2.4"}}
    new = {"settings": None, "code": {"a.py": "2", "c.py": "1"}, "data": {"t.html": "2"}, "versions": {"numpy": "2.5"}}
    assert list(why.key_changes(old, new)) == [
        "code changed: a.py, b.py (gone), c.py (new)",
        "data changed: t.html",
        'numpy was "2.4" and is "2.5"',
    ]


def test_files_of_a_patient_are_counted():
    old = {"patient": "p1", "files": [["f1", 10, 0], ["f2", 10, 0], ["f3", 10, 0]]}
    new = {"patient": "p1", "files": [["f1", 10, 1], ["f2", 10, 0], ["f4", 10, 0], ["f5", 10, 0]]}
    assert list(why.state_changes(old, new)) == ["of 3 source files: 1 with other content, 2 added, 1 removed"]


def test_files_without_a_patient_are_counted():
    old, new = (
        {"files": [], "set_aside": [{"item": n, "reason": "not_dicom"} for n in names]} for names in ("a", "ab")
    )
    assert list(why.state_changes(old, new)) == ["of 1 source file: 1 added"]


def key_text(repeats):
    return json.dumps({"settings": {"repeats": repeats}, "code": {}, "data": {}, "versions": {}})


@pytest.fixture
def folder(tmp_path):
    """A result that was written at 20, between two texts of its key, beside a folder of a later time."""
    key = tmp_path / "results/.state/keys/fit_models.m.json"
    for time, repeats in ((10, 5), (30, 2)):
        write_with_past(key, key_text(repeats))
        os.utime(key, ns=(time, time))
    (tmp_path / "out.json").write_text("{}")
    os.utime(tmp_path / "out.json", ns=(20, 20))
    (tmp_path / "models").mkdir()
    return tmp_path


KEY = "results/.state/keys/fit_models.m.json"


@pytest.mark.parametrize(
    "reason", [f"Updated input files: {KEY}", "Input files updated by another job: samples.parquet"]
)
def test_the_key_that_a_job_used_is_found_whatever_snakemake_says(folder, reason):
    fit = job("fit_models", reason, [KEY], ["models", "out.json"], analysis="m")
    (found,) = why.explain([fit], folder)
    assert found.causes == ("setting repeats was 5 and is 2",)


def test_a_key_that_says_the_same_again_is_told_only_where_it_matters(folder):
    write_with_past(folder / KEY, key_text(5))
    same, silent = why.explain(
        [job("fit_models", f"Updated input files: {KEY}", [KEY]), job("fit_models", "", [KEY])], folder
    )
    assert same.causes == ("fit_models.m.json is newer than the result; it says the same as before",)
    assert silent.causes == ()


def test_a_past_that_is_not_kept_is_said_so(folder):
    os.utime(folder / "out.json", ns=(5, 5))
    (found,) = why.explain([job("fit_models", f"Updated input files: {KEY}", [KEY])], folder)
    assert found.causes == ("fit_models.m.json is newer than the result; what it said before is not kept",)


def test_missing_outputs_changed_inputs_and_other_reasons(tmp_path):
    reason = "Missing output files: a/x.json, a/y.json; Updated input files: clinical.tsv; Forced execution"
    (found,) = why.explain([job("import_clinical", reason, ["clinical.tsv"])], tmp_path)
    assert found.causes == ("output missing: x.json, y.json", "input changed: clinical.tsv", "forced execution")


def test_what_follows_names_the_job_before(tmp_path):
    evaluate = job("evaluate_analysis", "Missing output files: r/evaluation.json", outputs=["r/evaluation.json"])
    report = job("report_analysis", "Input files updated by another job: r/evaluation.json, r/other.json")
    found = why.explain([report, evaluate], tmp_path)
    assert found[0].follows == (
        "other.json made anew, because another job runs",
        "evaluation.json made anew, because evaluate_analysis runs",
    )
    assert why.lines(found) == [
        "2 jobs would run.",
        "evaluate_analysis: output missing: evaluation.json",
        "And what follows:",
        "report_analysis: other.json made anew, because another job runs; "
        "evaluation.json made anew, because evaluate_analysis runs",
    ]


def test_another_set_of_inputs_is_told_from_snakemakes_record(tmp_path):
    collect = job("collect", "Set of input files has changed since last execution", ["a", "c"])
    (unknown,) = why.explain([collect], tmp_path)
    assert unknown.causes == ("other input files than before",)
    record = tmp_path / ".snakemake/metadata/b3V0Lmpzb24="  # out.json
    record.parent.mkdir(parents=True)
    record.write_text(json.dumps({"input": ["a", "b"]}))
    (known,) = why.explain([collect], tmp_path)
    assert known.causes == ("other input files than before: 1 added (c), 1 gone (b)",)


def test_alike_patients_share_a_line_and_many_files_are_counted(tmp_path):
    jobs = [job("draw_masks", "Missing output files: masks.json", cohort="c", patient=f"p{n}") for n in range(3)]
    tables = ", ".join(f"{job_.wildcards['patient']}.parquet" for job_ in jobs) + ", p9.parquet"
    collect = job("collect_features", f"Input files updated by another job: {tables}", cohort="c")
    printed = why.lines(why.explain([*jobs, collect], tmp_path))
    assert printed[1] == "draw_masks c p0 and 2 more: output missing: masks.json"
    assert printed[3] == "collect_features c: 4 files made anew, because another job runs"


def test_nothing_to_run():
    assert why.lines([]) == ["Nothing would run: every result is up to date."]
    assert why.as_dict([]) == {"ok": True, "jobs": []}


def test_a_refusal_of_snakemake_is_the_users_to_mend(tmp_path: Path):
    (tmp_path / "Snakefile").write_text("rule all:\n    input: 'nowhere'\n")
    (tmp_path / "local").mkdir()
    (tmp_path / "local/config.yaml").write_text("cores: 1\n")
    with pytest.raises(why.UserError, match=r"^Snakemake refuses: MissingInputException"):
        why.dry_run(tmp_path, tmp_path, [])
