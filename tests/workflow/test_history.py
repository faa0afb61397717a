"""The lists of runs as Snakemake's main process writes them: after which calls, and what they say."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from osteorad.cohort.page_keys import behind_analysis, behind_cohort
from osteorad.cohort.plan import Plan, load_plan
from osteorad.cohort.why import Job, dry_run, jobs_of
from osteorad.reporting.check import check_page
from osteorad.reporting.history import NAME, PAGE, read_runs
from osteorad.reporting.history_page import history_report
from tests.workflow.snake import ROOT, planned, snakemake, working_folder

pytestmark = pytest.mark.workflow
ANALYSIS, COHORT = "results/analyses/marrow", "results/cohorts/small"


def upstream(jobs: list[Job], target: str) -> set[str]:
    """Key files that jobs on the way to `target` take."""
    makers = {output: job for job in jobs for output in job.outputs}
    todo, seen, found = [target], set(), set()
    while todo:
        job = makers.get(todo.pop())
        if job is None or job.outputs in seen:
            continue
        seen.add(job.outputs)
        found |= {name for name in job.inputs if name.startswith("results/.state/keys/")}
        todo += job.inputs
    return found


def same_keys(plan: Plan, jobs: list[Job]) -> None:
    """The keys that are said to stand behind each page are those that the jobs before it take."""
    assert jobs
    for name in plan.loaded.targets[0]:
        found = upstream(jobs, f"results/cohorts/{name}/report.json")
        assert found == set(behind_cohort(plan, name))
    for name in plan.loaded.targets[1]:
        found = upstream(jobs, f"results/analyses/{name}/report.json")
        own = {name, plan.config.analyses[name].cohort}
        foreign = {key for key in found if key.split("/")[-1].split(".")[1] not in own}
        assert found - foreign == set(behind_analysis(plan, name))
        assert not foreign or plan.config.analyses[name].bundle


TABLE = """\
cohorts:
  t: {source: table, table: {path: t.csv, patient: ID, outcome: y}}
analyses:
  a: {cohort: t, recipe: tabular}
"""


@pytest.mark.parametrize("config", ["small", pytest.param("recipes", marks=pytest.mark.slow), "table"])
def test_keys_behind_a_page_are_those_of_the_jobs_before_it(tmp_path, config):
    if config == "table":
        (tmp_path / "config.yaml").write_text(TABLE)
        rows = "".join(f"p{row},{row % 2},{row}\n" for row in range(24))
        (tmp_path / "t.csv").write_text(f"ID,y,feature\n{rows}")
    else:
        working_folder(tmp_path, ROOT / f"tests/configs/{config}/config.yaml")
    same_keys(load_plan(tmp_path, ROOT), jobs_of(dry_run(ROOT, tmp_path, [])))


@pytest.mark.slow
def test_keys_behind_the_pages_of_a_hospital_are_those_of_its_jobs(hospital):
    printed = snakemake(hospital, "-n", "--forceall", "--cores", "1").stdout
    same_keys(load_plan(hospital, ROOT), jobs_of(printed))


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory) -> Path:
    """A copy of the finished run, whose lists may grow."""
    return Path(shutil.copytree(run, tmp_path_factory.mktemp("history") / "run", symlinks=True))


def lines(folder: Path, page: str) -> list[Mapping[str, Any]]:
    """The whole lines of a list, which is sound."""
    runs = read_runs(folder / page / NAME)
    assert runs.problems == ()
    return list(runs.lines)


def test_a_finished_run_has_a_line_a_page(run):
    for page, patients in ((ANALYSIS, 12), (COHORT, 12)):
        found = lines(run, page)
        assert found[0]["run"] == 1
        assert found[-1]["n"] == patients
        told = json.loads((run / page / "report.json").read_text())
        report = history_report(told["kind"], told["name"], told["title"], read_runs(run / page / NAME))
        assert check_page((run / page / PAGE).read_text(), report) == []
        assert f'href="{PAGE}"' in (run / page / "report.html").read_text()


@pytest.mark.slow
def test_calls_that_run_nothing_add_nothing(folder):
    before = {page: (folder / page / NAME).read_bytes() for page in (ANALYSIS, COHORT)}
    title = (folder / "config.yaml").read_text()
    assert planned(folder) == {}
    assert snakemake(folder, "--cores", "1").returncode == 0  # nothing to be done
    (folder / "config.yaml").write_text(title.replace("Does marrow texture tell", "Can marrow texture tell"))
    assert planned(folder)["report_analysis"] == 1
    assert snakemake(folder, "--cores", "1", "--touch").returncode == 0
    (folder / "config.yaml").write_text(title)
    assert snakemake(folder, "--cores", "1", "--touch").returncode == 0
    assert snakemake(folder, "--cores", "1", "--unlock").returncode == 0
    assert {page: (folder / page / NAME).read_bytes() for page in (ANALYSIS, COHORT)} == before


def test_a_run_tells_what_changed_and_only_where_it_did(folder):
    config = folder / "config.yaml"
    cohort = (folder / COHORT / NAME).read_bytes()
    runs = len(lines(folder, ANALYSIS))
    config.write_text(config.read_text().replace("Does marrow texture tell", "Can marrow texture tell"))
    done = snakemake(folder, "--cores", "1")
    assert done.returncode == 0, done.stdout[-4000:]
    found = lines(folder, ANALYSIS)
    assert len(found) == runs + 1
    assert [(change["kind"], change["rules"]) for change in found[-1]["changes"]] == [("setting", "report_analysis")]
    assert "Can marrow texture tell" in found[-1]["changes"][0]["what"]
    assert "Can marrow texture tell" in (folder / ANALYSIS / PAGE).read_text()
    assert (folder / COHORT / NAME).read_bytes() == cohort


@pytest.mark.slow
def test_after_an_error_finished_pages_have_their_line_and_others_keep_theirs(folder):
    config = folder / "config.yaml"
    runs = len(lines(folder, ANALYSIS)), len(lines(folder, COHORT))
    text = config.read_text().replace("title: Twelve digital patients\n    source", "title: Twelve\n    source")
    config.write_text(text.replace("trees: 20", "trees: 21"))
    samples = folder / ANALYSIS / "splits.parquet"
    kept = samples.read_bytes()
    samples.write_bytes(b"damaged")
    done = snakemake(folder, "--cores", "1")
    samples.write_bytes(kept)
    assert done.returncode != 0
    assert (len(lines(folder, ANALYSIS)), len(lines(folder, COHORT))) == (runs[0], runs[1] + 1)
    what = [change["what"] for change in lines(folder, COHORT)[-1]["changes"]]
    assert 'title was "Twelve digital patients" and is "Twelve"' in what


@pytest.mark.slow
def test_a_single_target_does_not_touch_the_list_of_another_page(folder):
    """Keys of every page are written at each start; what they said when a page was made counts."""
    runs = len(lines(folder, ANALYSIS))
    config = folder / "config.yaml"
    config.write_text(config.read_text().replace("title: Twelve\n", "title: Dozen\n").replace("trees: 21", "trees: 22"))
    done = snakemake(folder, "--cores", "1", f"{COHORT}/report.html")
    assert done.returncode == 0, done.stdout[-4000:]
    assert len(lines(folder, ANALYSIS)) == runs
    assert 'title was "Twelve" and is "Dozen"' in [c["what"] for c in lines(folder, COHORT)[-1]["changes"]]
