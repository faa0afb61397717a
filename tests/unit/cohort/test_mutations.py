"""Hundreds of damaged settings and tables: `check` says what is wrong in words; no traceback, no hang."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from osteorad.__main__ import main
from tests.unit.dicom.mutations import bounded

from .mutations import CLINICAL, FEATURES, case, folder

SAMPLE, ALL = 40, 200
SECONDS = 20
PLACE = re.compile(
    r"^(config\.yaml|resources/recipes/\S+\.yaml|(clinical|lesions|series|features)\.(tsv|xlsx))(:\d+)?[ :]"
)
OURS = {cell for row in (*CLINICAL[1:], *FEATURES[1:]) for cell in row if len(cell) > 3}


def checked(where: Path, capsys) -> tuple[int, list[str], str]:
    """Exit code of `check`, its problems, and all that it printed."""
    with bounded(SECONDS):
        code = main(["check", "--directory", str(where), "--json"])
    said = capsys.readouterr()
    return code, json.loads(said.out)["problems"] if code != 2 else [], said.out + said.err


def sound_report(where: Path, seed: int, capsys) -> None:
    """One case: an exit code for users, problems with their place, nothing that a cell said."""
    damaged, what = case(where, seed)
    code, problems, said = checked(damaged, capsys)
    assert code in (0, 1), f"seed {seed}, {what}: {said[-3000:]}"
    assert "Traceback" not in said, f"seed {seed}, {what}"
    assert bool(problems) == bool(code)
    for problem in problems:
        assert PLACE.match(problem), f"seed {seed}, {what}: {problem}"
        assert len(problem) < 1200, f"seed {seed}, {what}: {problem}"
        assert problem.isprintable(), f"seed {seed}, {what}: {problem!r}"
        assert not OURS & set(re.split(r"[\s']+", problem)) - {"2024-05-31."}, f"seed {seed}, {what}: {problem}"


def test_the_sound_folder_has_no_problem(tmp_path, capsys):
    assert checked(folder(tmp_path), capsys)[:2] == (0, [])


@pytest.mark.parametrize("seed", range(SAMPLE))
def test_damaged_settings_and_tables_are_told(tmp_path, capsys, seed):
    sound_report(tmp_path, seed, capsys)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(SAMPLE, ALL))
def test_two_hundred_damaged_settings_and_tables(tmp_path, capsys, seed):
    sound_report(tmp_path, seed, capsys)
