"""The cohort page: sound, complete, within its size, and honest where numbers do not add up."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from osteorad.files import read_json, read_parquet, write_json, write_parquet
from osteorad.reporting.check import check_page
from osteorad.reporting.cohort_page import write_cohort_page
from osteorad.reporting.cohort_tables import lesion_rows
from tests.unit.reporting.invented_cohort import feature_tables, patient_name, write_cohort


def _page(given: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    write_cohort_page(**given)
    return given["out_html"].read_text(encoding="utf-8"), read_json(given["out_json"])


def _write(root: Path, patients: int = 4, **kind: Any) -> dict[str, Any]:
    return write_cohort(root, patients, matrix=96, slices=30, **kind)


def test_forty_patients_are_sound_and_small(tmp_path: Path) -> None:
    html, told = _page(_write(tmp_path, 40))
    assert check_page(html, told) == []
    assert len(html.encode()) < 3_000_000
    for number in range(1, 41):
        assert html.count(f'href="pages/{patient_name(number)}.html"') >= 2


@pytest.mark.parametrize("kind", [{"drawn": 0}, {"masks": False}, {"pet": False}])
def test_small_cohorts_are_sound(tmp_path: Path, kind: dict[str, Any]) -> None:
    html, told = _page(_write(tmp_path, 1, quarantined=0, **kind))
    assert check_page(html, told) == []


def test_no_region_measured_is_said(tmp_path: Path) -> None:
    given = _write(tmp_path, 2, quarantined=0)
    for name in ("features", "reasons", "quarantine"):
        write_parquet(given[name], read_parquet(given[name]).slice(0, 0))
    html, told = _page(given)
    assert check_page(html, told) == []
    assert "None: 0 of 0\u00a0regions." in html
    assert "Nothing was set aside." in html


def test_suvmax_can_be_read_off_the_page_and_the_csv(tmp_path: Path) -> None:
    given = _write(tmp_path)
    html, _ = _page(given)
    features, why = feature_tables(4)
    rows = [row for row in lesion_rows(features, why) if row["suv_max"] is not None]
    assert rows
    for row in rows:
        assert f">{row['suv_max']:.2f}</td>" in html
    with given["out_csv"].open(encoding="utf-8") as stream:
        written = list(csv.DictReader(stream))
    assert [float(row["suv_max"]) for row in written if row["suv_max"]] == pytest.approx(
        [row["suv_max"] for row in rows], rel=1e-5
    )


def test_refusal_is_said_above_the_limit(tmp_path: Path) -> None:
    html, told = _page(_write(tmp_path, 12, quarantined=5, drawn=1))
    assert "Analyses of this cohort are refused: 5 of 12 patients" in html
    assert told["numbers"]["refused"] is True
    assert check_page(html, told) == []


def test_four_quarantined_patients_refuse_nothing(tmp_path: Path) -> None:
    _, told = _page(_write(tmp_path, 6, quarantined=4, drawn=0))
    assert told["numbers"]["refused"] is False


def test_a_loss_without_reason_is_shown(tmp_path: Path) -> None:
    given = _write(tmp_path, 2, drawn=0)
    loss = {"reason": "screen_save", "kind": "quarantined", "count": 3}
    stage = {"stage": "files", "unit": "files", "in": 100, "used": 96, "set_aside": [loss]}
    write_json(tmp_path / "flow.json", {"cohort": "c", "stages": [stage]})
    html, told = _page({**given, "flow": tmp_path / "flow.json"})
    assert "does not add up" in html
    assert {"text": "The flow does not add up", "tone": "bad"} in told["chips"]
    write_json(tmp_path / "flow.json", {"cohort": "c", "stages": [{**stage, "in": 99}]})
    html, told = _page({**given, "flow": tmp_path / "flow.json"})
    assert "does not add up" not in html


def test_text_of_files_is_escaped(tmp_path: Path) -> None:
    given = _write(tmp_path, 1, drawn=0)
    html, told = _page({**given, "title": "<script>alert(1)</script>"})
    assert "<script" not in html
    assert check_page(html, told) == []


def test_two_runs_give_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        _page(_write(tmp_path / name, 3))
    for name in ("report.html", "report.json", "lesions.csv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()
