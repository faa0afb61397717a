"""A cohort of many patients: at most 100 on a page, every patient once, and no page left over."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from osteorad.cohort import schemas
from osteorad.files import read_json, read_parquet, table_from_rows, write_parquet
from osteorad.provenance import sha256_file
from osteorad.reporting.check import check_page, parse
from osteorad.reporting.cohort_page import write_cohort_page
from osteorad.reporting.cohort_parts import MOST_PATIENTS, divided, page_name
from tests.unit.reporting.invented_cohort import COHORT, patient_name, session_of, write_cohort

PATIENTS = 205
MANY = {patient_name(number) for number in range(1, PATIENTS + 1)}


@pytest.mark.parametrize(
    ("patients", "sizes"), [(0, []), (1, []), (100, []), (101, [50, 51]), (200, [100, 100]), (500, [100] * 5)]
)
def test_parts_hold_a_hundred_at_most(patients: int, sizes: list[int]) -> None:
    names = [f"p{number:04d}" for number in range(patients)]
    found = divided(names)
    assert [len(group) for group in found] == sizes
    assert [name for group in found for name in group] == (names if sizes else [])


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Arguments of a cohort page of many patients, written; one file of the source belongs to none."""
    given = write_cohort(tmp_path_factory.mktemp("many"), PATIENTS, matrix=96, slices=30)
    write_cohort_page(**given)
    return given


def pages(given: dict[str, Any]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Name -> HTML and what it was written from, the first page included."""
    found = {"report.html": (given["out_html"].read_text(encoding="utf-8"), read_json(given["out_json"]))}
    for path in sorted(given["out_parts"].glob("*.html")):
        found[path.name] = (path.read_text(encoding="utf-8"), read_json(path.with_suffix(".json")))
    return found


def test_every_page_is_sound_and_small(many: dict[str, Any]) -> None:
    found = pages(many)
    assert sorted(found) == ["part-1.html", "part-2.html", "part-3.html", "report.html"]
    assert {name: check_page(html, told) for name, (html, told) in found.items()} == {name: [] for name in found}
    assert {name for name, (html, _) in found.items() if len(html.encode()) > 5_000_000} == set()
    assert len(found["report.html"][0]) < 400_000


def test_every_patient_stands_on_one_part_with_picture_series_and_lines(many: dict[str, Any]) -> None:
    of = {}
    for name, (html, told) in pages(many).items():
        if name == "report.html":
            assert "data:image" not in html
            continue
        groups = [
            group for s in told["sections"] for p in s["parts"] if p["kind"] == "gallery" for group in p["groups"]
        ]
        drawn = {group["label"] for group in groups}
        rows = {p["id"]: p["rows"] for s in told["sections"] for p in s["parts"] if p["kind"] == "table"}
        for table in ("chosen", "lesion-table"):
            assert {row["patient"]["text"] for row in rows[table]} == drawn
        assert {row["patient"] for row in rows["aside-lines"]} == drawn
        assert len(drawn) <= MOST_PATIENTS
        of |= dict.fromkeys(drawn, name)
    assert set(of) == MANY
    first = read_json(many["out_json"])
    (where,) = [p for s in first["sections"] for p in s["parts"] if p.get("id") == "part-of"]
    told = {row["patient"]["text"]: row["page"]["href"] for row in where["rows"] if row["patient"]["href"]}
    assert told == {patient: f"parts/{name}" for patient, name in of.items()}


def test_links_lead_from_page_to_page(many: dict[str, Any]) -> None:
    folder = many["out_parts"]
    links = {
        name: [node.attributes["href"] for node in parse(html).find("a")] for name, (html, _) in pages(many).items()
    }
    for name in ("part-1.html", "part-2.html", "part-3.html"):
        assert f"parts/{name}" in links["report.html"]
        assert "../report.html" in links[name]
    turns = {name: [link for link in links[name] if re.match(r"part-\d", link)] for name in links}
    assert set(turns["part-1.html"]) == {"part-2.html"}
    assert set(turns["part-2.html"]) == {"part-1.html", "part-3.html"}
    assert set(turns["part-3.html"]) == {"part-2.html"}
    files = {link for name in links for link in links[name] if name != "report.html" and not link.startswith("#")}
    written = {f"../pages/{patient}.json" for patient in MANY} | {"../lesions.csv", "../report.html"}
    names = {link.replace(".html", ".json") if "/pages/" in link else link for link in files}
    assert names <= written | set(turns)
    assert all((folder / name).exists() for name in names)


def test_the_manifest_names_every_file(many: dict[str, Any]) -> None:
    told = read_json(many["out_parts"] / "parts.json")
    assert (told["cohort"], told["most"]) == (COHORT, MOST_PATIENTS)
    listed = {row["name"]: row["sha256"] for row in told["files"]}
    there = {path.name: sha256_file(path) for path in many["out_parts"].iterdir() if path.name != "parts.json"}
    assert listed == there
    assert len(there) == 6
    assert sum(row["patients"] for row in told["files"]) == 2 * (PATIENTS + 2)


def test_a_cohort_that_shrinks_leaves_no_page(tmp_path: Path) -> None:
    given = write_cohort(tmp_path, 3, quarantined=0, matrix=96, slices=30)
    (given["out_parts"]).mkdir()
    (given["out_parts"] / page_name(2)).write_text("of a larger cohort")
    write_cohort_page(**given)
    assert [path.name for path in given["out_parts"].iterdir()] == ["parts.json"]
    assert read_json(given["out_parts"] / "parts.json")["files"] == []
    html = given["out_html"].read_text(encoding="utf-8")
    assert "parts/" not in html
    assert session_of(1) in html


def test_what_belongs_to_no_patient_stays_on_the_first_page(many: dict[str, Any], tmp_path: Path) -> None:

    rows = read_parquet(many["quarantine"]).to_pylist()
    stray = {**rows[0], "patient": "", "session": "", "stage": "files", "item": "stray77", "reason": "not_dicom"}
    write_parquet(tmp_path / "q.parquet", table_from_rows([*rows, stray], schemas.QUARANTINE))
    outs = {f"out_{kind}": tmp_path / f"report.{kind}" for kind in ("html", "json", "csv")}
    write_cohort_page(**{**many, **outs, "quarantine": tmp_path / "q.parquet", "out_parts": tmp_path / "parts"})
    assert "stray77" in (tmp_path / "report.html").read_text()
    assert [path.name for path in (tmp_path / "parts").glob("*.html") if "stray77" in path.read_text()] == []
