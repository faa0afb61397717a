"""Names that people choose, and what files say of themselves, are text on every page: no tag of theirs survives."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from osteorad.files import read_json, read_parquet, tsv_text, write_csv, write_json, write_parquet
from osteorad.reporting.analysis_page import analysis_report, write_refused_page
from osteorad.reporting.cohort_page import write_cohort_page
from osteorad.reporting.index_page import write_index
from osteorad.reporting.render import render_page
from tests.unit.reporting import invented_analysis as invented
from tests.unit.reporting.invented_cohort import write_cohort

HOSTILE = "\"><script>alert(1)</script><img src=x onerror=alert(2)>'&lt;"
# Words of closed lists, by which a page is composed; the settings' checks refuse others.
CLOSED = {"split", "of", "against", "verdict", "step", "method", "models", "threshold", "kind", "measures", "curves"}
FREE_KEYS = {"overrides", "versions", "hashes", "statements", "settings"}
Place = tuple[str | int, ...]


class Tags(HTMLParser):
    """Tags and attributes of a page."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def hostile_tags(html: str) -> list[tuple[str, dict[str, str | None]]]:
    """Tags that run or load something. Pages have no script at all, and pictures lie within them."""
    return [
        (tag, attributes)
        for tag, attributes in Tags(html).found
        if tag in ("script", "iframe", "object", "embed", "base", "form", "link")
        or any(name.startswith("on") for name in attributes)
        or (
            tag in ("img", "image")
            and not str(attributes.get("src") or attributes.get("href")).startswith("data:image/")
        )
        or (tag == "a" and re.match(r"\s*[a-z]+:", str(attributes.get("href")), flags=re.IGNORECASE))
    ]


def poisoned(value: Any, path: Place = ()) -> Any:
    """A copy with markup behind every text that is no word of a closed list, and behind the keys that people choose."""
    if isinstance(value, dict):
        free = len(path) in (1, 2) and path[-1] in FREE_KEYS
        return {key + HOSTILE if free else key: poisoned(inner, (*path, key)) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(poisoned(inner, (*path, at)) for at, inner in enumerate(value))
    return value + HOSTILE if isinstance(value, str) and value and not CLOSED & set(path) else value


def test_an_analysis_page_runs_nothing_that_it_is_given():
    html = render_page(analysis_report(**poisoned(invented.arguments())))
    assert hostile_tags(html) == []
    assert Tags(html).text.count("<script>alert(1)</script>") > 100


def test_a_refused_analysis_shows_why_as_text(tmp_path):
    write_refused_page(
        analysis=poisoned(invented.ANALYSIS),
        why=f"patient {HOSTILE}",
        patients={"patients": 12, "quarantined": 5},
        out_html=tmp_path / "a.html",
        out_json=tmp_path / "a.json",
    )
    html = (tmp_path / "a.html").read_text()
    assert hostile_tags(html) == []
    assert "<script>alert(1)</script>" in Tags(html).text


def poison_column(path: Path, name: str, before: str = "") -> None:
    table = read_parquet(path)
    at = table.column_names.index(name)
    values = [f"{before}{value}{HOSTILE}" if value else value for value in table[name].to_pylist()]
    write_parquet(path, table.set_column(at, table.field(name), pa.array(values, table.field(name).type)))


def free_columns() -> Iterator[tuple[str, str]]:
    """Texts of a cohort's tables that are, or come from, what somebody wrote."""
    yield from (("patients", name) for name in ("patient", "sex"))
    yield from (("series", name) for name in ("detail", "image", "modality"))
    yield from (("quarantine", name) for name in ("item", "detail", "session"))
    yield from (("features", name) for name in ("roi", "session", "mask_set"))


@pytest.fixture(scope="module")
def cohort(tmp_path_factory) -> dict[str, Any]:
    """A cohort whose tables hold markup and formulas wherever somebody's words stand."""
    given = write_cohort(tmp_path_factory.mktemp("cohort"), 2, matrix=48, slices=12)
    for table, column in free_columns():
        poison_column(given[table], column)
    return {**given, "title": given["title"] + HOSTILE, "settings": poisoned(given["settings"])}


def test_a_cohort_page_runs_nothing_that_its_tables_and_settings_hold(cohort, tmp_path):
    write_cohort_page(**cohort)
    html = cohort["out_html"].read_text()
    assert hostile_tags(html) == []
    assert Tags(html).text.count("<script>alert(1)</script>") > 20
    told = read_json(cohort["out_json"])
    write_json(tmp_path / "report.json", {**told, "title": HOSTILE, "state": HOSTILE})
    write_index([tmp_path / "report.json"], [], tmp_path / "index.html", title=HOSTILE)
    assert hostile_tags((tmp_path / "index.html").read_text()) == []


def test_no_cell_of_the_table_of_lesions_is_a_formula(cohort):
    poison_column(cohort["features"], "roi", before="=cmd|' /C calc'!A0")
    write_cohort_page(**cohort)
    with cohort["out_csv"].open(encoding="utf-8", newline="") as stream:
        cells = [cell for row in csv.reader(stream) for cell in row]
    assert [cell for cell in cells if cell.startswith("=")] == []
    assert any(cell.startswith("'=cmd|") for cell in cells)


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n=", " ="])
def test_no_cell_that_we_write_is_a_formula(tmp_path, start):
    write_csv(tmp_path / "a.csv", ["a", "b"], [[f"{start}cmd", -1.5]])
    with (tmp_path / "a.csv").open(encoding="utf-8", newline="") as stream:
        assert list(csv.reader(stream)) == [["a", "b"], [f"'{start.strip()}cmd", "-1.5"]]
    (row,) = csv.reader(tsv_text(["a", "b"], [[f"{start}cmd", -1.5]]).splitlines()[1:], delimiter="\t")
    assert row == [f"'{start.strip()}cmd", "-1.5"]
