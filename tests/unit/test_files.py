"""Atomic, deterministic writing."""

from __future__ import annotations

import pyarrow as pa
import pytest

from osteorad import files


def test_nothing_is_left_under_either_name_when_writing_fails(tmp_path):
    with pytest.raises(TypeError):
        files.write_bytes(tmp_path / "a.txt", "not bytes")
    assert list(tmp_path.iterdir()) == []


def test_old_content_stays_until_the_new_is_whole(tmp_path):
    path = tmp_path / "a.txt"
    files.write_text(path, "old")
    with pytest.raises(TypeError):
        files.write_bytes(path, 3)
    assert path.read_text() == "old"


def test_unchanged_text_keeps_its_time(tmp_path):
    path = tmp_path / "key.json"
    assert files.write_text_if_changed(path, "a")
    before = path.stat().st_mtime_ns
    assert not files.write_text_if_changed(path, "a")
    assert path.stat().st_mtime_ns == before
    assert files.write_text_if_changed(path, "b")


def test_json_is_sorted_and_refuses_nan(tmp_path):
    files.write_json(tmp_path / "a.json", {"b": 1, "a": [1.5, None]})
    assert (tmp_path / "a.json").read_text() == '{\n "a": [\n  1.5,\n  null\n ],\n "b": 1\n}\n'
    with pytest.raises(ValueError, match="JSON compliant"):
        files.write_json(tmp_path / "b.json", {"a": float("nan")})


def test_parquet_bytes_depend_on_content_only(tmp_path):
    schema = pa.schema([("patient", pa.string()), ("x", pa.float64())])
    table = files.table_from_rows([{"patient": "p1", "x": 1.0}, {"patient": "p2"}], schema)
    files.write_parquet(tmp_path / "a.parquet", table)
    files.write_parquet(tmp_path / "sub/b.parquet", table)
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "sub/b.parquet").read_bytes()
    assert files.read_parquet(tmp_path / "a.parquet").equals(table)


def test_unknown_column_is_refused():
    with pytest.raises(KeyError, match="lesions"):
        files.table_from_rows([{"lesions": 1}], pa.schema([("lesion", pa.int32())]))


def test_formulas_in_csv_are_made_inert(tmp_path):
    files.write_csv(tmp_path / "a.csv", ["x"], [["=cmd()"], [-1.5], [None]])
    assert (tmp_path / "a.csv").read_text() == 'x\n\'=cmd()\n-1.5\n""\n'
