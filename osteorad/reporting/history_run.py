"""After a run: a line for each page that changed, and the pages of the lists. Called by the main process only."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from osteorad.cohort.page_keys import behind_analysis, behind_cohort
from osteorad.cohort.plan import Plan
from osteorad.files import read_parquet, write_text_if_changed
from osteorad.past import text_at
from osteorad.reporting.history import NAME, PAGE, append, next_line, read_runs, state_of
from osteorad.reporting.history_page import history_report
from osteorad.reporting.render import render_page


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A page that has a list of runs. folder : of its report.json; keys : paths relative to the working folder."""

    kind: str  # analysis | cohort
    name: str
    folder: Path
    keys: tuple[str, ...]
    table: str  # Parquet file beside report.json whose patients count


def after_run(plan: Plan, *, now: datetime.datetime | None = None) -> list[str]:
    """Bring the lists of all pages of a working folder up to date; returns the names of those with a new line.

    Pages that are not there, or older than their keys, keep their lists: what a key said when report.json was written
    counts. Raises OSError where a list cannot be written.
    """
    time = (now or datetime.datetime.now(datetime.UTC)).strftime("%Y-%m-%d %H:%M")
    return [page.name for page in _pages(plan) if _brought_up(page, plan.loaded.workdir, time)]


def _pages(plan: Plan) -> Iterator[Kept]:
    results = plan.loaded.workdir / "results"
    for name in plan.config.cohorts:
        keys = tuple(behind_cohort(plan.config, plan.recipes, name))
        folder = results / "cohorts" / name
        yield Kept(kind="cohort", name=name, folder=folder, keys=keys, table="patients.parquet")
    for name in plan.config.analyses:
        keys = tuple(behind_analysis(plan.config, plan.recipes, name))
        folder = results / "analyses" / name
        yield Kept(kind="analysis", name=name, folder=folder, keys=keys, table="samples.parquet")


def _brought_up(page: Kept, workdir: Path, time: str) -> bool:
    report, path = page.folder / "report.json", page.folder / NAME
    if not report.is_file():
        return False
    runs = read_runs(path)
    state = state_of(report, _texts(page, workdir, report.stat().st_mtime_ns), _patients(page))
    line = next_line(runs, state, time=time, folder=workdir)
    if line is not None:
        append(path, line)
        runs = read_runs(path)
    whole = history_report(page.kind, page.name, str(state.report["title"]), runs)
    write_text_if_changed(page.folder / PAGE, render_page(whole))
    return line is not None


def _texts(page: Kept, workdir: Path, time_ns: int) -> Mapping[str, str]:
    """What each key said when the page was written; a key whose past is not kept, what it says now."""
    found = {}
    for path in page.keys:
        text = text_at(workdir / path, time_ns)
        if text is None and (workdir / path).exists():
            text = (workdir / path).read_text(encoding="utf-8")
        if text is not None:
            found[path] = text
    return found


def _patients(page: Kept) -> list[str]:
    """Patients that count: with a sample, or used by the cohort."""
    path = page.folder / page.table
    if not path.exists():
        return []
    rows = read_parquet(path, columns=["patient", "state"] if page.kind == "cohort" else ["patient"]).to_pylist()
    return sorted({str(row["patient"]) for row in rows if row.get("state", "used") == "used"})
