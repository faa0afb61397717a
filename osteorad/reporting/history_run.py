"""After a run: a line for each page that changed, and the pages of the lists. Called by the main process only."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osteorad.cohort.config import Cohort
from osteorad.cohort.page_keys import behind_analysis, behind_cohort
from osteorad.cohort.plan import Plan
from osteorad.files import json_text, read_json, read_parquet, write_text_if_changed
from osteorad.past import text_at
from osteorad.provenance import sha256_file
from osteorad.reporting.history import DIGITS, NAME, PAGE, State, append, next_line, read_runs
from osteorad.reporting.history_page import history_report
from osteorad.reporting.render import render_page

PLACES = {"cohort": ("cohorts", "patients.parquet"), "analysis": ("analyses", "samples.parquet")}
LAST = "results/.state/history"  # who counted at the last line; `prune` removes it with whom it names


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """A page that has a list of runs. folder : of its report.json; keys : paths relative to the working folder."""

    kind: str  # analysis | cohort
    name: str
    folder: Path
    keys: tuple[str, ...]
    table: str  # Parquet file beside report.json whose patients count
    excluded: tuple[str, ...]  # whom the settings name


def after_run(plan: Plan, *, now: datetime.datetime | None = None) -> list[str]:
    """Bring the lists of all pages of a working folder up to date; returns the names of those with a new line.

    Pages that are not there, or older than their keys, keep their lists: what a key said when report.json was written
    counts. Raises OSError where a list cannot be written.
    """
    time = (now or datetime.datetime.now(datetime.UTC)).strftime("%Y-%m-%d %H:%M")
    return [page.name for page in _pages(plan) if _brought_up(page, plan.loaded.workdir, time)]


def _pages(plan: Plan) -> Iterator[Kept]:
    cohorts = plan.config.cohorts
    for name, cohort in cohorts.items():
        yield _kept(plan, "cohort", name, behind_cohort(plan, name), cohort)
    for name, analysis in plan.config.analyses.items():
        yield _kept(plan, "analysis", name, behind_analysis(plan, name), cohorts[analysis.cohort])


def _kept(plan: Plan, kind: str, name: str, keys: Sequence[str], cohort: Cohort) -> Kept:
    folder, table = PLACES[kind]
    return Kept(
        kind=kind,
        name=name,
        folder=plan.loaded.workdir / "results" / folder / name,
        keys=tuple(keys),
        table=table,
        excluded=tuple(cohort.exclude),
    )


def _brought_up(page: Kept, workdir: Path, time: str) -> bool:
    report, path = page.folder / "report.json", page.folder / NAME
    if not report.is_file():
        return False
    last = workdir / LAST / f"{page.kind}.{page.name}.json"
    before = read_json(last)["patients"] if last.exists() else []
    runs, state = read_runs(path), _state(page, workdir, before)
    line = next_line(runs, state, before=before, time=time, folder=workdir)
    if line is not None:
        append(path, line)
        write_text_if_changed(last, json_text({"patients": list(state.patients)}))
        runs = read_runs(path)
    whole = history_report(page.kind, page.name, str(state.report["title"]), runs)
    write_text_if_changed(page.folder / PAGE, render_page(whole))
    return line is not None


def _state(page: Kept, workdir: Path, before: list[str]) -> State:
    report = page.folder / "report.json"
    rows = _rows(page)
    return State(
        report=read_json(report),
        digest=sha256_file(report)[:DIGITS],
        keys=_texts(page, workdir, report.stat().st_mtime_ns),
        patients=tuple(sorted({row["patient"] for row in rows if row.get("state", "used") == "used"})),
        named=frozenset({*before, *page.excluded, *(row["patient"] for row in rows)}),
    )


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


def _rows(page: Kept) -> list[dict[str, str]]:
    """Patients, and of a cohort what became of them."""
    path = page.folder / page.table
    if not path.exists():
        return []
    columns = ["patient", "state"] if page.kind == "cohort" else ["patient"]
    return list(read_parquet(path, columns=columns).to_pylist())
