"""The measurements behind the documentation's figures: they are listed, they run, and a missed bar is not hidden."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from benchmarks.__main__ import main
from benchmarks.browser import _asker, browser
from benchmarks.cases import CASES
from benchmarks.measure import Cost, ProcessFailedError, measure, median, run
from benchmarks.table import HEAD, Line, at_least, render
from tests.conftest import ROOT


def cost(cpu_s: float, peak_mb: float = 100.0) -> Cost:
    return Cost(cpu_s=cpu_s, wall_s=2 * cpu_s, peak_mb=peak_mb)


def rows_of(text: str) -> list[dict[str, str]]:
    """The printed table as mappings."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert tuple(cells[0]) == HEAD
    return [dict(zip(HEAD, row, strict=True)) for row in cells[2:]]


def test_command_lists_its_measurements(capsys):
    assert main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [
        "phantom",
        "convert",
        "deidentify",
        "features",
        "modelling",
        "selection",
        "dryrun",
        "finished",
        "cohort",
        "index",
        "scan",
        "pages",
    ]


def test_page_names_every_measurement():
    page = (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")
    assert [name for name in CASES if f"`{name}`" not in page] == []


def test_unknown_measurement_is_named_with_the_nearest(capsys):
    assert main(["feature"]) == 1
    assert "unknown measurement 'feature'. Did you mean 'features'?" in capsys.readouterr().err


@pytest.mark.slow
def test_cheap_measurements_run_on_tiny_input(capsys):
    assert main(["--tiny", "phantom", "convert", "deidentify", "index", "scan", "pages"]) == 0
    rows = rows_of(capsys.readouterr().out)
    measured = {"phantom", "convert", "deidentify", "index", "scan", "pages"}
    assert {row["measurement"].split(":")[0] for row in rows} == measured
    same = next(row for row in rows if row["measurement"] == "convert: same volume")
    assert same["figure"].startswith("0 HU")
    assert same["verdict"] == "met"
    assert all(float(row["CPU s"]) > 0 and float(row["peak MB"]) > 10 for row in rows if row["CPU s"])
    without = {row["measurement"] for row in rows if not row["CPU s"]} - {same["measurement"]}
    assert without == (set() if browser() else {"pages: 110 patients, opened"})


@pytest.mark.slow
def test_peers_give_the_same_features_and_scores(capsys):
    assert main(["--tiny", "features", "modelling", "selection"]) == 0
    rows = rows_of(capsys.readouterr().out)
    found = [row["figure"] for row in rows if row["measurement"].startswith("features")]
    assert [figure.split()[0] for figure in found] == ["1197", "1197", "4788", "4788"]
    assert all(float(figure.split()[-1]) <= 1e-9 for figure in found)
    assert next(row for row in rows if row["measurement"].startswith("modelling: same"))["verdict"] == "met"
    assert next(row for row in rows if row["measurement"].startswith("selection"))["verdict"] == "met"


@pytest.mark.workflow
@pytest.mark.slow
def test_dry_run_counts_jobs(capsys):
    assert main(["--tiny", "dryrun"]) == 0
    (row,) = rows_of(capsys.readouterr().out)
    assert int(row["figure"].split()[0]) > 12 * 8


@pytest.mark.workflow
@pytest.mark.slow
def test_a_whole_run_and_the_pages_of_a_large_cohort_keep_to_folders_of_their_own(capsys):
    assert main(["--tiny", "cohort", "pages"]) == 0
    subjects = [row["measurement"] for row in rows_of(capsys.readouterr().out)]
    assert [subject.split(":")[0] for subject in subjects[:2]] == ["cohort", "cohort"]
    assert len(subjects) > 2


def test_what_breaks_off_is_named_and_the_others_are_measured(capsys, monkeypatch):
    def breaks(inputs):
        """A measurement that breaks off."""
        raise ProcessFailedError("exit status 1 of a process")

    def measures(inputs):
        """One that does not."""
        return [Line(subject="what came after", ours=cost(1))]

    monkeypatch.setitem(CASES, "convert", breaks)
    monkeypatch.setitem(CASES, "scan", measures)
    assert main(["convert", "scan"]) == 1
    printed = capsys.readouterr()
    assert [row["measurement"] for row in rows_of(printed.out)] == ["what came after"]
    assert printed.out.endswith("Broke off, told above: convert.\n")
    assert "exit status 1 of a process" in printed.err
    assert "what came after | 1.00" in printed.err  # at once: whoever stops the run keeps it


def test_cost_holds_children_of_the_process(tmp_path):
    """Measured from a small process, as the command does: the peak of a large one would pass to its children."""
    child = "sum(i * i for i in range(3_000_000)); held = bytearray(80_000_000)"
    parent = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {child!r}], check=True)"
    script = (
        "import sys, pathlib; from benchmarks.measure import run\n"
        "for code in sys.argv[2:]:\n"
        "    found = run([sys.executable, '-c', code], pathlib.Path(sys.argv[1]))\n"
        "    print(found.cpu_s, found.peak_mb)\n"
    )
    command = [sys.executable, "-c", script, str(tmp_path / "out"), "pass", parent]
    printed = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    (cpu_alone, peak_alone), (cpu_s, peak_mb) = ([float(v) for v in line.split()] for line in printed.splitlines())
    assert cpu_s > cpu_alone + 0.05
    assert peak_mb > 80 > peak_alone


def test_failed_process_stops_the_run_and_shows_why(tmp_path):
    with pytest.raises(ProcessFailedError, match="no such thing"):
        run([sys.executable, "-c", "raise SystemExit('no such thing')"], tmp_path / "out")


def test_browser_answers_are_told_from_its_events():
    sent = []
    loaded = {"method": "Page.loadEventFired"}
    messages = [{"method": "Page.other"}, {"id": 1, "result": {"a": 1}}, loaded, {"id": 2, "error": {"message": "no"}}]
    ask = _asker(sent.append, iter(messages))
    assert ask("Page.navigate", {"url": "x"}, "s", until="Page.loadEventFired") == {"a": 1}
    with pytest.raises(ValueError, match=r"Browser\.close: no"):
        ask("Browser.close", {})
    assert [json.loads(raw.rstrip(b"\0"))["id"] for raw in sent] == [1, 2]
    with pytest.raises(ConnectionError):
        _asker(sent.append, iter([{"id": 1, "result": {}}]))("Page.navigate", {}, until="Page.loadEventFired")


def test_processes_take_turns_and_long_ones_run_once():
    turns = []

    def process(name: str, cpu_s: float):
        def once() -> Cost:
            turns.append(name)
            return cost(cpu_s + 0.01 * turns.count(name))

        return once

    found = measure({"a": process("a", 1.0), "long": process("long", 30.0), "b": process("b", 2.0)})
    assert turns == ["a", "long", "b", "a", "b", "a", "b"]
    assert found["a"].cpu_s == pytest.approx(1.02)
    assert found["long"].cpu_s == pytest.approx(30.01)


def test_median_is_one_of_the_costs():
    costs = [cost(3.0), cost(1.0), cost(2.0)]
    assert median(costs) is costs[2]


def test_missed_bar_is_shown_and_counted():
    lines = [
        at_least("quick", 8.0, ours=cost(1.0), peer="slow", theirs=cost(9.0)),
        at_least("lame", 8.0, ours=cost(2.0), peer="slow", theirs=cost(9.0)),
        Line(subject="alone", ours=cost(4.0)),
    ]
    text = render(lines)
    assert [(row["peer / ours"], row["verdict"]) for row in rows_of(text)] == [
        ("9.00", "met"),
        ("4.50", "MISSED"),
        ("", ""),
    ]
    assert text.endswith("Bars: 1 met, 1 missed: lame (slow).")
