"""Write envs/core.yaml and envs/gpu.yaml: exact python, and a pip section with the versions of requirements.lock.

Run by `make lock`; needs `uv` on the path, which resolves each list alone under the lock as constraint.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ENVS = Path(__file__).resolve().parent
PYTHON = "3.11.14"
TORCH = "2.13.0"


def pins(name: str) -> list[str]:
    """`name==version` of a list and all that it needs, as the lock has them."""
    command = ["uv", "pip", "compile", "-q", "--python-version", "3.11", "--no-header", "--no-annotate"]
    command += [
        "--excludes",
        str(ENVS / "apart.in"),
        "-c",
        str(ENVS.parent / "requirements.lock"),
        str(ENVS / f"{name}.in"),
    ]
    text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return sorted(re.findall(r"^[A-Za-z0-9_.-]+==\S+", text, flags=re.M))


def write(name: str, extra: list[str]) -> None:
    """Write one environment file."""
    lines = [
        f"# Made by `make lock` from envs/{name}.in; used with `--sdm conda` only.",
        f"name: osteorad-{name}",
        "channels: [conda-forge, nodefaults]",
        "dependencies:",
        f"  - python={PYTHON}",
        "  - pip",
        "  - pip:",
        *(f"      - {pin}" for pin in sorted([*pins(name), *extra])),
    ]
    (ENVS / f"{name}.yaml").write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write("core", [])
    write("gpu", [f"torch=={TORCH}"])
    sys.exit(0)
