"""envs/*.yaml hold the versions of the lock, and each alone imports what its rules import."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from osteorad import provenance

ROOT = Path(__file__).resolve().parents[2]
ENVS = sorted((ROOT / "envs").glob("*.yaml"))


def pins(path: Path) -> dict[str, str]:
    pip = next(d["pip"] for d in yaml.safe_load(path.read_text())["dependencies"] if isinstance(d, dict))
    return dict(pin.split("==") for pin in pip)


def scripts_of(env: str) -> list[str]:
    text = "\n".join(p.read_text() for p in (ROOT / "rules").glob("*.smk"))
    bodies = re.findall(r"^rule \w+:\n(.*?)(?=^rule |\Z)", text, flags=re.M | re.S)
    return [re.findall(r"\.\./(scripts/\w+\.py)", b)[0] for b in bodies if f"../envs/{env}.yaml" in b]


@pytest.mark.parametrize("path", ENVS, ids=lambda p: p.stem)
def test_pins_are_those_of_the_lock(path):
    locked = provenance.locked_versions(ROOT)
    found = pins(path)
    assert {n: v for n, v in found.items() if n != "torch" and locked.get(n) != v} == {}
    assert len(found) > 10
    python = [d for d in yaml.safe_load(path.read_text())["dependencies"] if str(d).startswith("python=")]
    assert re.fullmatch(r"python=3\.11\.\d+", python[0])


def test_core_names_every_distribution_that_its_scripts_import():
    core = pins(ROOT / "envs/core.yaml")
    used = {name for script in scripts_of("core") for name in provenance.used_versions(ROOT, script)}
    assert used <= set(core)
    assert len(used) > 5


@pytest.mark.slow
@pytest.mark.conda
def test_core_alone_imports_every_module_of_its_rules(tmp_path):
    """Installed in a bare environment, without Snakemake's own packages on the path."""
    path = ROOT / "envs/core.yaml"
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    python = tmp_path / "env/bin/python"
    wanted = [f"{n}=={v}" for n, v in pins(path).items()]
    subprocess.run([python, "-m", "pip", "install", "--quiet", "--no-deps", *wanted], check=True)
    modules = {
        name.removesuffix(".py").replace("/", ".").removesuffix(".__init__")
        for script in scripts_of("core")
        for name in provenance.code_of(ROOT).reached(script)[0]
        if name.startswith("osteorad/")
    }
    assert len(modules) > 40
    code = "import importlib\n" + "\n".join(f"importlib.import_module({m!r})" for m in sorted(modules))
    done = subprocess.run([python, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
