"""Files whose earlier texts are kept."""

from __future__ import annotations

import os

import pytest

from osteorad import past


@pytest.fixture
def file(tmp_path):
    """A file that said one at 10, two at 20 and says three since 30."""
    path = tmp_path / "keys/rule.marrow.json"
    for time, text in ((10, "one"), (20, "two"), (30, "three")):
        past.write_with_past(path, text)
        os.utime(path, ns=(time, time))
    return path


@pytest.mark.parametrize(("time", "text"), [(9, None), (10, "one"), (19, "one"), (20, "two"), (30, "three")])
def test_a_file_tells_what_it_said_at_a_time(file, time, text):
    assert past.text_at(file, time) == text


def test_the_same_text_is_not_written_and_keeps_nothing(file):
    assert past.write_with_past(file, "three") is False
    assert file.stat().st_mtime_ns == 30
    assert len(list((file.parent / "past/rule.marrow").iterdir())) == 2


def test_only_the_last_texts_are_kept(file, monkeypatch):
    monkeypatch.setattr(past, "KEPT", 2)
    past.write_with_past(file, "four")
    assert past.text_at(file, 15) is None
    assert past.text_at(file, 25) == "two"


def test_a_removed_file_leaves_nothing_behind(file):
    past.remove_with_past(file)
    assert [p for p in file.parent.rglob("*") if p.is_file()] == []
    assert past.text_at(file, 40) is None


def test_a_file_of_another_name_is_another_file(file):
    past.write_with_past(file.with_name("rule.json"), "new")
    assert past.text_at(file.with_name("rule.json"), 30) is None
