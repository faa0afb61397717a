"""Calls of Snakemake as a user types them, from a clone into a working folder."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

FOLDERS = ("rules", "scripts", "osteorad", "envs", "local", "resources")


def working_folder(folder: Path, config: Path) -> Path:
    """A working folder with its own config.yaml; an unchanged one is left as it is."""
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / "config.yaml"
    if not target.exists() or target.read_bytes() != config.read_bytes():
        shutil.copyfile(config, target)
    return folder


def copied_clone(target: Path) -> Path:
    """A clone whose code a test may change."""
    names = [
        "Snakefile",
        "config.yaml",
        "requirements.lock",
        "rules",
        "scripts",
        "osteorad",
        "envs",
        "local",
        "resources",
    ]
    target.mkdir()
    for name in names:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy2
        copy(ROOT / name, target / name)
    return target


def snakemake(folder: Path, *words: str, clone: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """`snakemake --profile local --directory FOLDER WORDS`, typed in the clone; stdout and stderr together."""
    command = [sys.executable, "-m", "snakemake", "--profile", "local", "--directory", str(folder), *words]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    return subprocess.run(
        command, cwd=clone, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def planned(folder: Path, *words: str, clone: Path = ROOT) -> dict[str, int]:
    """Rule -> number of jobs that a dry run lists; empty where nothing is to be done."""
    done = snakemake(folder, "-n", "--cores", "2", *words, clone=clone)
    assert done.returncode == 0, done.stdout[-4000:]
    table = re.search(r"^job\s+count\n-+\s+-+\n(.*?)\n\n", done.stdout + "\n\n", flags=re.M | re.S)
    if table is None:
        return {}
    rows = (line.split() for line in table.group(1).splitlines())
    return {name: int(count) for name, count in rows if name not in ("total", "all")}
