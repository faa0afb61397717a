"""Runs that are killed, and a disk that fills up: the next run ends with the bytes of an undisturbed one.

Nothing half written is ever visible under its final name, whenever one looks.
"""

from __future__ import annotations

import gzip
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow as pa
import pytest

from osteorad.files import read_json, read_parquet
from osteorad.provenance import sha256_file
from tests.contracts.test_7_nothing_lost import COHORT, lost
from tests.contracts.test_8_same_bytes import differing, results
from tests.workflow.snake import ROOT, snakemake, working_folder

pytestmark = [pytest.mark.workflow, pytest.mark.slow]
KILLS = int(os.environ.get("OSTEORAD_TEST_KILLS", "5"))
SEED = int(os.environ.get("OSTEORAD_TEST_SEED", "1"))
CONFIG = ROOT / "tests/configs/small/config.yaml"


def started(folder: Path) -> subprocess.Popen[bytes]:
    """A run in a process group of its own."""
    command = [sys.executable, "-m", "snakemake", "--profile", "local", "--cores", "2", "--directory", str(folder)]
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    log = (folder / "printed.log").open("ab")
    return subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
    )


def halves(folder: Path) -> list[str]:
    """Files under their final names that cannot be read to their end, or are not what their manifest says."""
    found = []
    for path in sorted((folder / "results").rglob("*")):
        if not path.is_file() or path.name.startswith("."):
            continue
        try:
            if path.suffix == ".json":
                json.loads(path.read_bytes())
            elif path.suffix == ".parquet":
                read_parquet(path)
            elif path.suffix == ".gz":
                gzip.decompress(path.read_bytes())
            elif path.suffix == ".html" and not path.read_bytes().rstrip().endswith(b"</html>"):
                found.append(str(path))
        except FileNotFoundError:
            continue  # removed by the job that makes it anew
        except (ValueError, EOFError, OSError, pa.ArrowInvalid):
            found.append(str(path))
    return found


def untrue(folder: Path) -> list[str]:
    """Files that a manifest names but that are not there, or are others."""
    found = []
    for manifest in (folder / "results/cohorts").rglob("*.json"):
        if manifest.name not in ("images.json", "masks.json"):
            continue
        for key in ("images", "masks", "files"):
            for row in read_json(manifest).get(key, ()):
                if "path" in row and "sha256" in row:
                    path = manifest.parent / row["path"]
                    if not path.is_file() or sha256_file(path) != row["sha256"]:
                        found.append(str(path))
    return found


def jobs_of(run: subprocess.Popen[bytes]) -> list[int]:
    """Processes of scripts that a run has at work."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                words = (entry / "cmdline").read_bytes().split(b"\0")
                session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
            except (FileNotFoundError, ProcessLookupError):
                continue
            if session == run.pid and any(b".snakemake/scripts/" in word for word in words):
                found.append(int(entry.name))
    return sorted(found)


def kill_group(run: subprocess.Popen[bytes]) -> None:
    os.killpg(run.pid, signal.SIGKILL)


def kill_main(run: subprocess.Popen[bytes]) -> None:
    """The main process alone: its jobs live on."""
    run.kill()


def kill_job(run: subprocess.Popen[bytes]) -> None:
    """One job; the run goes on with the others, and fails at its end."""
    until = time.monotonic() + 60
    while not (jobs := jobs_of(run)) and run.poll() is None and time.monotonic() < until:
        time.sleep(0.05)
    if jobs:
        os.kill(jobs[-1], signal.SIGKILL)
    run.wait()


@pytest.fixture
def folder(tmp_path):
    made = working_folder(tmp_path / "killed", CONFIG)
    yield made
    shutil.rmtree(made)


def test_killed_runs_end_in_the_same_bytes(run, folder):
    draw = random.Random(SEED)
    kinds = [(kill_group, kill_main, kill_job)[number % 3] for number in range(KILLS)]
    for kind in kinds:
        process = started(folder)
        try:
            process.wait(draw.uniform(3, 100 / KILLS + 20))
        except subprocess.TimeoutExpired:
            kind(process)
        process.wait()
        assert halves(folder) == [], kind.__name__
    done = snakemake(folder, "--cores", "2")
    assert done.returncode == 0, done.stdout[-4000:]
    assert differing(results(run), results(folder)) == []
    assert untrue(folder) == []
    assert lost(folder, folder / COHORT) == []
    left = [p for p in (folder / "results").rglob(".*") if p.is_file()]
    assert all(p.stat().st_size < 50_000_000 for p in left)


FULL = """
import subprocess, sys
from pathlib import Path
folder, config, root, size = Path(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4]
subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(folder)], check=True)
(folder / "config.yaml").write_bytes(Path(config).read_bytes())
command = [sys.executable, "-m", "snakemake", "--profile", "local", "--cores", "2", "--directory", str(folder)]
first = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
sys.path.insert(0, root)
from tests.workflow.test_kills import halves
print("FIRST", first.returncode, "No space left on device" in first.stdout, halves(folder), flush=True)
subprocess.run(["mount", "-o", "remount,size=4g", str(folder)], check=True)
second = subprocess.run(command, cwd=root, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
print("SECOND", second.returncode, flush=True)
if second.returncode:
    print(second.stdout[-3000:])
from tests.contracts.test_8_same_bytes import results
import json
print(json.dumps(results(folder)))
from tests.contracts.test_7_nothing_lost import COHORT, lost
print(json.dumps(lost(folder, folder / COHORT)))
"""


def test_a_full_disk_ends_in_the_same_bytes_once_there_is_room(run, tmp_path):
    """On a small file system in memory, in a name space of its own."""
    target = tmp_path / "full"
    target.mkdir()
    words = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", FULL]
    probe = subprocess.run([*words[:4], "mount", "-t", "tmpfs", "none", str(target)], capture_output=True, text=True)
    if probe.returncode:
        pytest.skip(f"no name space with mounts here: {probe.stderr.strip()}")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [*words, str(target), str(CONFIG), str(ROOT), "60m"], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    lines = done.stdout.splitlines()
    assert lines[0] == "FIRST 1 True []", done.stdout[-3000:] + done.stderr[-3000:]
    assert lines[1] == "SECOND 0", done.stdout[-3000:]
    assert differing(results(run), json.loads(lines[2])) == []
    assert json.loads(lines[3]) == []
