"""Rules, scripts and keys belong together, and every rule states its whole contract."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from osteorad.cohort import keys

ROOT = Path(__file__).resolve().parents[2]
TEXT = "\n".join(p.read_text() for p in sorted((ROOT / "rules").glob("*.smk")))
RULES = dict(re.findall(r"^rule (\w+):\n(.*?)(?=^rule |^# |^def |\Z)", TEXT, flags=re.M | re.S))


def test_rules_scripts_and_keys_are_the_same_set():
    scripts = {p.stem for p in (ROOT / "scripts").glob("*.py")}
    assert set(RULES) == scripts == set(keys.RULES)
    assert len(scripts) > 15


@pytest.mark.parametrize("name", sorted(RULES))
def test_rule_states_key_log_benchmark_resources_environment(name):
    body = RULES[name]
    for word in ("key=key_of(", "log:", "benchmark:", "threads:", "mem_mb=memory(", "runtime=", "conda:", "script:"):
        assert word in body, word
    assert f'key_of("{name}"' in body
    assert f"../scripts/{name}.py" in body
    assert "run:" not in body
    assert ("{patient}" in body.split("output:")[1].split("log:")[0]) == ('"patient"' in body)


@pytest.mark.parametrize("name", sorted(RULES))
def test_a_rule_declares_what_its_script_reads(name):
    script = (ROOT / f"scripts/{name}.py").read_text()
    read = re.findall(r"snakemake\.(?:input|output|params)\.([a-z_]+)\b(?!\()", script)
    declared = set(re.findall(r"^        ([a-z_]+)=", RULES[name], flags=re.M))
    assert set(read) <= declared


def test_scripts_only_unpack_and_call():
    for path in (ROOT / "scripts").glob("*.py"):
        lines = path.read_text().splitlines()
        assert len(lines) <= 60, path.name
        assert not re.search(r"^(def|class|for|while|if|try)\b", path.read_text(), flags=re.M), path.name


def test_every_script_holds_its_program_to_its_key():
    started = re.compile(
        r"^joblog\.start\(snakemake\.log\[0\], snakemake\.input\.key(, private=True)?\)$", re.MULTILINE
    )
    assert [p.name for p in (ROOT / "scripts").glob("*.py") if not started.search(p.read_text())] == []


def test_no_floor_is_imported_at_parse_time_that_is_heavy():
    import subprocess
    import sys

    code = (
        "import sys\n"
        "from osteorad.cohort import keys, plan\n"
        "from osteorad.dicom import index\n"
        "heavy = {'numpy', 'pydicom', 'SimpleITK', 'sklearn', 'torch', 'nibabel', 'scipy', 'pandas', 'radiomics'}\n"
        "print(sorted(heavy & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
