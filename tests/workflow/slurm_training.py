"""Trainings that take longer than their job may: stand-ins with the resources and signals of the real one."""

from __future__ import annotations

from pathlib import Path

from tests.workflow.snake import ROOT

SNAKEFILE = """\
include: "{root}/rules/cluster.smk"

rule all:
    localrule: True
    input: "told.txt", "killed.txt"

rule train_network:
    output: "told.txt"
    log: "logs/told.log"
    params: save_every=0
    resources: mem_mb=400, gpu=1
    script: "train.py"

rule train_unwarned:
    output: "killed.txt"
    log: "logs/killed.log"
    params: save_every=5
    resources: mem_mb=400, runtime=1
    script: "train.py"
"""

# A first attempt goes on for ever; one that finds a checkpoint ends after three more steps.
SCRIPT = """\
import os
import signal
import sys
import time
from pathlib import Path

told = []
signal.signal(signal.SIGUSR1, lambda *_: told.append(True))
result = Path(snakemake.output[0])
checkpoint = Path("work") / result.with_suffix(".checkpoint").name
checkpoint.parent.mkdir(exist_ok=True)
begun = step = int(checkpoint.read_text()) if checkpoint.exists() else 0
while not begun or step < begun + 3:
    step += 1
    time.sleep(1)
    if told:
        time.sleep(5)  # a large checkpoint takes its time
        checkpoint.write_text(str(step))
        sys.exit("saved, its time is nearly up")
    if snakemake.params.save_every and step % snakemake.params.save_every == 0:
        checkpoint.write_text(str(step))
result.write_text(f"{begun} {os.environ.get('CUDA_VISIBLE_DEVICES', 'none')}")
"""


def training_clone(folder: Path, *, minutes: int, warning_s: int) -> Path:
    """A clone of the stand-ins with the profile as shipped, but for the time of a training and of its warning."""
    (folder / "slurm").mkdir(parents=True)
    profile = (ROOT / "slurm/profile.yaml").read_text(encoding="utf-8")
    for shipped, wanted in (("runtime: 1440", f"runtime: {minutes}"), ("USR1@180", f"USR1@{warning_s}")):
        assert profile.count(shipped) == 1, shipped
        profile = profile.replace(shipped, wanted)
    (folder / "slurm/profile.yaml").write_text(profile, encoding="utf-8")
    (folder / "Snakefile").write_text(SNAKEFILE.format(root=ROOT), encoding="utf-8")
    (folder / "train.py").write_text(SCRIPT, encoding="utf-8")
    return folder
