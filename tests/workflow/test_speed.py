"""What rules/speed.smk keeps of Snakemake's work is what Snakemake would work out anew."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
NAMES = ("a", "bb", "ccc")

SNAKEFILE = f"""
rule all:
    input: expand("sum/{{name}}", name={NAMES})

rule once:
    output: "once/{{name}}"
    resources: mem_mb=lambda _, attempt: 100 * attempt
    params: twice=lambda wildcards: 2 * wildcards.name
    shell: "echo once: {{params.twice}} {{resources}} > {{output}}; test {{resources.mem_mb}} -gt 100"

rule each:
    input: "once/{{name}}"
    output: "each/{{name}}"
    resources: mem_mb=lambda _, attempt: 7 * attempt, runtime=lambda wildcards: len(wildcards.name)
    threads: lambda wildcards: len(wildcards.name)
    shell: "echo each: {{resources}} {{threads}} > {{output}}"

rule sized:
    input: "once/{{name}}"
    output: "sized/{{name}}"
    shell: "echo sized: {{resources}} > {{output}}"

rule sum:
    input: "once/{{name}}", "each/{{name}}", "sized/{{name}}"
    output: "sum/{{name}}"
    resources: mem_mb=lambda _, attempt: 1000 * attempt
    shell: "(echo sum: {{resources}}; cat {{input}}) > {{output}}"
"""

RESOURCES = (
    *("--set-resources", "sized:disk=str(20 * len(wildcards.name)) + 'MB'", "sum:disk_mb=5 * attempt"),
    *("--default-resources", "qos='q' + '-'.join(wildcards)", "mem_mb=max(40, 3 * input.size)"),
)


def written(folder: Path, *words: str, speed: bool) -> list[list[str]]:
    """For each name, what its jobs wrote of their own resources, threads and parameters."""
    include = f'include: "{ROOT / "rules" / "speed.smk"}"\n' if speed else ""
    folder.mkdir()
    (folder / "Snakefile").write_text(include + SNAKEFILE, encoding="utf-8")
    command = [sys.executable, "-m", "snakemake", "--cores", "4", "--retries", "1", *words]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}  # Snakemake lists resources in the order of a set
    done = subprocess.run(
        command, cwd=folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert done.returncode == 0, done.stdout[-4000:]
    return [(folder / "sum" / name).read_text(encoding="utf-8").splitlines() for name in NAMES]


@pytest.mark.parametrize("words", [(), RESOURCES])
def test_jobs_get_what_they_get_without_it(tmp_path: Path, words: tuple[str, ...]) -> None:
    found = written(tmp_path / "with", *words, speed=True)
    assert found == written(tmp_path / "without", *words, speed=False)
    assert all("200" in lines[1].split() for lines in found), "the second attempt gets twice the memory of the first"
    assert [lines[2].split()[-1] for lines in found] == ["1", "2", "3"]


def test_an_expression_with_the_wildcards_is_worked_out_for_each_job(tmp_path: Path) -> None:
    sized = [lines[3].split() for lines in written(tmp_path / "with", *RESOURCES, speed=True)]
    assert [size in words for size, words in zip(("20", "40", "60"), sized, strict=True)] == [True] * 3
    assert [name for name, words in zip(NAMES, sized, strict=True) if f"q{name}" in words] == [*NAMES]
