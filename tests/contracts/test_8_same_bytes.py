"""Contract 8: two runs from scratch, elsewhere and with another number of cores, give the same bytes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from osteorad.provenance import sha256_file
from tests.workflow.snake import ROOT, snakemake, working_folder

KINDS = (".gz", ".parquet", ".dcm", ".json", ".html", ".csv")
# What was run before, and when, depends on the past (contract 8): runs, and what keys and lists said before. And
# code.json knows the modules of this clone by their times.
OUTSIDE = {"history.html", "history.jsonl", "past", "code.json"}


def results(run: Path) -> dict[str, str]:
    """Relative path -> SHA-256 of every NIfTI, table, SEG, JSON and page, but for the history of runs."""
    base = run / "results"
    names = [p.relative_to(base) for p in sorted(base.rglob("*")) if p.suffix in KINDS and p.is_file()]
    return {str(name): sha256_file(base / name) for name in names if not OUTSIDE & set(name.parts)}


def differing(a: dict[str, str], b: dict[str, str]) -> list[str]:
    """Names that one run lacks, or whose content differs."""
    return sorted(name for name in a.keys() | b.keys() if a.get(name) != b.get(name))


@pytest.mark.workflow
def test_second_run_elsewhere_gives_the_same_bytes(run, tmp_path):
    other = working_folder(tmp_path / "a longer name than the first", ROOT / "tests/configs/small/config.yaml")
    done = snakemake(other, "--cores", "1")
    assert done.returncode == 0, done.stdout[-4000:]
    first, second = results(run), results(other)
    by_kind = {kind: sum(name.endswith(kind) for name in first) for kind in KINDS}
    assert by_kind[".gz"] >= 12 * 5
    assert by_kind[".dcm"] >= 12 * 60
    assert by_kind[".parquet"] >= 12 * 4
    assert by_kind[".html"] >= 12 + 3
    assert differing(first, second) == []


def test_a_changed_byte_and_a_missing_file_are_found(run, tmp_path):
    first = results(run)
    copy = tmp_path / "results"
    shutil.copytree(run / "results", copy, ignore=shutil.ignore_patterns("*.dcm"))
    name = next(n for n in first if n.endswith(".json"))
    (copy / name).write_bytes((copy / name).read_bytes() + b" ")
    gone = next(n for n in first if n.endswith(".parquet"))
    (copy / gone).unlink()
    wanted = {n: h for n, h in first.items() if not n.endswith(".dcm")}
    assert differing(wanted, results(tmp_path)) == sorted([name, gone])


@pytest.mark.workflow
def test_reports_only_link_the_history_of_runs(run):
    """A word of it in a report would make the report depend on the past."""
    reports = sorted((run / "results").rglob("report.json"))
    assert len(reports) == 2
    for path in reports:
        (line, *_) = (path.parent / "history.jsonl").read_text().splitlines()
        told = json.loads(line)
        text = path.read_text() + path.with_suffix(".html").read_text()
        assert 'href="history.html"' in text
        assert [
            word for word in (told["time"][:10], told["digest"], told["settings"], told["code"]) if word in text
        ] == []


def test_no_page_or_table_holds_a_path_of_this_machine(run):
    words = [str(run).encode(), str(ROOT).encode(), str(Path.home()).encode() + b"/"]
    pages = [p for p in (run / "results").rglob("*") if p.suffix in (".html", ".json", ".csv", ".parquet")]
    assert pages
    assert [str(p) for p in pages if any(w in p.read_bytes() for w in words)] == []
