"""Fixtures that every test may use."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.hospital import hospital_folder
from tests.workflow.snake import snakemake, working_folder

ROOT = Path(__file__).resolve().parents[1]
SHARED = Path(os.environ.get("OSTEORAD_SHARED", ROOT.parent / "shared")) / "data"


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a folder or file of the shared reference data; the test is skipped where it is not there."""

    def find(name: str) -> Path:
        path = SHARED / name
        if not path.exists():
            pytest.skip(f"skipped: no shared data ({name})")
        return path

    return find


@pytest.fixture(scope="session")
def run(tmp_path_factory) -> Path:
    """Working folder of a finished run. OSTEORAD_TEST_RUN names a folder that is kept and used again."""
    kept = os.environ.get("OSTEORAD_TEST_RUN")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("run")
    working_folder(folder, ROOT / "tests/configs/small/config.yaml")
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    return folder


@pytest.fixture(scope="session")
def hospital(tmp_path_factory) -> Path:
    """Working folder of a finished run over an identified export. OSTEORAD_TEST_HOSPITAL names one that is kept."""
    kept = os.environ.get("OSTEORAD_TEST_HOSPITAL")
    folder = Path(kept) if kept else tmp_path_factory.mktemp("hospital")
    hospital_folder(folder, tmp_path_factory.mktemp("scratch"))
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    return folder
