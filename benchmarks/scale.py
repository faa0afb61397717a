"""Cohorts as large as they come: what Snakemake costs before any job, and a whole run."""

from __future__ import annotations

import os
import sys
from functools import partial
from pathlib import Path

from benchmarks.inputs import Inputs
from benchmarks.measure import Cost, measure, run, task
from benchmarks.table import Line

DRY_RUN_S, DRY_RUN_MB = 30.0, 500.0
SECOND_RUN_S = 20.0
BARE_RULES = 9  # a patient of the default phantom takes as many jobs
PROFILES = ("local", "slurm")
SNAKEMAKE = (sys.executable, "-m", "snakemake", "--profile", "local")
NOTHING = "Nothing to be done"

PHANTOM = """\
title: Dry run
cohorts:
  phantom:
    source: phantom
    phantom: {{patients: {patients}, events: {events}, seed: 8{size}}}
    rois: {{marrow: ['*marrow*'], lesion: ['*lesion*', '*met*', '*gtv*']}}
    cutoff: '2026-05-31'
analyses:
  marrow: {{cohort: phantom, recipe: zhu2024{overrides}}}
"""

EXPORT = """\
title: A large hospital
cohorts:
  breast:
    source: dicom
    path: export
    head: keep
    rois: {marrow: ['*marrow*'], lesion: ['*lesion*', '*met*', '*gtv*']}
    clinical: {path: clinical.tsv}
    cutoff: '2026-05-31'
analyses:
  marrow: {cohort: breast, recipe: zhu2024}
"""


def dryrun(inputs: Inputs) -> list[Line]:
    """`snakemake -n --profile slurm` for 2,000 digital patients, none built, against bare rules of as many jobs."""
    patients = inputs.sizes.cohort
    ours, bare = inputs.folder / "dryrun", inputs.folder / "dryrun-bare"
    for folder in (ours, bare):
        folder.mkdir()
    text = PHANTOM.format(patients=patients, events=patients // 2, size="", overrides="")
    (ours / "config.yaml").write_text(text, encoding="utf-8")
    (bare / "Snakefile").write_text(_bare_workflow(patients), encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--profile", "slurm", "-n", "--directory", ours]
    bare_command = [sys.executable, "-m", "snakemake", "-n", "--cores", "1"]
    found = measure(
        {
            "ours": lambda: run(command, inputs.output("dryrun")),
            "bare": lambda: run(bare_command, inputs.output("dryrun-bare"), cwd=bare),
        },
        times=inputs.sizes.repeats,
    )
    cost, jobs = found["ours"], _jobs(inputs.output("dryrun"))
    return [
        Line(
            subject=f"dryrun: {patients} patients, none built",
            ours=cost,
            figure=f"{jobs} jobs, {1000 * cost.cpu_s / jobs:.2f} CPU-ms a job, wall {cost.wall_s:.0f} s",
            bar=f"< {DRY_RUN_S:g} CPU-s",
            met=cost.cpu_s < DRY_RUN_S,
            peer=f"bare Snakemake rules, {_jobs(inputs.output('dryrun-bare'))} jobs",
            theirs=found["bare"],
        )
    ]


def finished(inputs: Inputs) -> list[Line]:
    """`snakemake -n` for an export of 2,000 patients and 500,000 files that is all built and did not change."""
    patients, files = inputs.sizes.cohort, 250
    folder = inputs.folder / "finished"
    folder.mkdir()
    (folder / "config.yaml").write_text(EXPORT, encoding="utf-8")
    rows = "".join(f"ID-{number:05d}\t{number % 2}\n" for number in range(patients))
    (folder / "clinical.tsv").write_text(f"patient\toutcome\n{rows}", encoding="utf-8")
    task("write_export", inputs.output("write_export"), folder=folder, patients=patients, files=files)
    commands = {
        profile: [sys.executable, "-m", "snakemake", "--profile", profile, "-n", "--directory", str(folder)]
        for profile in PROFILES
    }
    run(commands["local"], inputs.output("plan"))
    task("write_outputs", inputs.output("write_outputs"), folder=folder, plan=inputs.output("plan"))
    found = measure(
        {name: partial(run, command, inputs.output(f"finished-{name}")) for name, command in commands.items()},
        times=inputs.sizes.repeats,
    )
    lines = []
    for profile, cost in found.items():
        still = NOTHING in inputs.output(f"finished-{profile}").read_text(encoding="utf-8")
        lines.append(
            Line(
                subject=f"finished: {patients} patients, {patients * files} files, profile {profile}",
                ours=cost,
                figure=f"{'nothing to do' if still else 'jobs left'}, wall {cost.wall_s:.0f} s",
                bar=f"< {DRY_RUN_S:g} CPU-s, < {DRY_RUN_MB:g} MB, no job",
                met=cost.cpu_s < DRY_RUN_S and cost.peak_mb < DRY_RUN_MB and still,
            )
        )
    return lines


def cohort(inputs: Inputs) -> list[Line]:
    """A run of 200 small digital patients from DICOM to the pages, and a second one, which has nothing to do."""
    patients = inputs.sizes.run
    folder = inputs.folder / "cohort"
    folder.mkdir()
    size = ", matrix: 96, slices: 48, pet: false"
    overrides = ", overrides: {splits.repeats: 1, trees: 50, bootstrap: 200}"
    text = PHANTOM.format(patients=patients, events=patients // 2, size=size, overrides=overrides)
    (folder / "config.yaml").write_text(text, encoding="utf-8")
    command = [*SNAKEMAKE, "--cores", str(os.cpu_count() or 1), "--directory", folder]
    first = run(command, inputs.output("cohort"))
    second = run(command, inputs.output("cohort-again"))
    still = NOTHING in inputs.output("cohort-again").read_text(encoding="utf-8")
    jobs = _jobs(inputs.output("cohort"))
    return [
        Line(
            subject=f"cohort: {patients} patients, first run",
            ours=first,
            figure=f"{jobs} jobs, {first.cpu_s / patients:.1f} CPU-s a patient, wall {first.wall_s / 60:.1f} min",
        ),
        Line(
            subject=f"cohort: {patients} patients, second run",
            ours=second,
            figure=f"{'nothing to do' if still else 'jobs left'}, wall {second.wall_s:.0f} s",
            bar=f"no job, < {SECOND_RUN_S:g} s",
            met=still and _shortest(second) < SECOND_RUN_S,
        ),
    ]


def _shortest(cost: Cost) -> float:
    """Wall time without what other work on the machine takes of it: the processor time of the one process."""
    return min(cost.wall_s, cost.cpu_s)


def _bare_workflow(patients: int) -> str:
    """A Snakefile with a chain of BARE_RULES rules a patient and a join: what Snakemake itself costs."""
    names = [f"p{number:012x}" for number in range(patients)]
    parts = [f"rule all:\n    input: expand('{BARE_RULES}/{{patient}}', patient={names})\n"]
    for number in range(1, BARE_RULES + 1):
        taken = "" if number == 1 else f"    input: '{number - 1}/{{patient}}'\n"
        parts.append(f"rule r{number}:\n{taken}    output: '{number}/{{patient}}'\n    shell: 'true'\n")
    return "\n".join(parts)


def _jobs(output: Path) -> int:
    """Number of jobs that a run states."""
    words = (line.split() for line in output.read_text(encoding="utf-8").splitlines())
    return next(int(found[1]) for found in words if len(found) == 2 and found[0] == "total")
