"""Hashes, seeds and the digests of code: what contract 9 (reruns) and contract 6 (lineage) stand on.

A light module: it is imported while Snakemake builds its graph.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from osteorad.files import json_text

# import name -> name in the lock file, where the two differ
DISTRIBUTIONS = {
    "PIL": "pillow",
    "SimpleITK": "simpleitk",
    "pywt": "pywavelets",
    "radiomics": "pyradiomics-bhklab",
    "sklearn": "scikit-learn",
    "xgboost": "xgboost-cpu",
    "yaml": "pyyaml",
}


def sha256_bytes(content: bytes) -> str:
    """Hex SHA-256 of bytes."""
    return hashlib.sha256(content).hexdigest()


def sha256_file(path: str | Path) -> str:
    """Hex SHA-256 of a file, read in blocks."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest(value: Any, length: int = 16) -> str:
    """Short hash of a JSON-able value; equal values give equal digests in every process."""
    return sha256_bytes(json_text(value).encode())[:length]


def seed_from(name: str) -> int:
    """A 32-bit seed derived from a name such as `analysis/repeat/fold/model`, never from time or order."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def sample_key(cohort: str, patient: str, session: str, roi: str, lesion: int) -> str:
    """Key of a sample (contract 4): the same for its CT and PET rows, manual and automatic masks."""
    return digest([cohort, patient, session, roi, int(lesion)])


def rows_hash(rows: Sequence[str], *values: bytes | memoryview) -> str:
    """Hash of what a step was fitted on: the names of its rows in order, and the bytes of the arrays fitted."""
    head = "\n".join(rows).encode()
    found = hashlib.sha256(len(head).to_bytes(8, "big") + head)
    for part in values:
        found.update(part)
    return found.hexdigest()[:32]


@cache
def _parsed(path: Path) -> tuple[str, frozenset[str], frozenset[str]]:
    """Digest of a module without comments and docstrings, its imports of this package, and other imports."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    ours: set[str] = set()
    others: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                (ours if alias.name.split(".")[0] == "osteorad" else others).add(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            if node.module.split(".")[0] == "osteorad":
                ours.add(node.module)
                ours.update(f"{node.module}.{alias.name}" for alias in node.names)
            else:
                others.add(node.module)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = node.body[ast.get_docstring(node, clean=False) is not None :]
    return sha256_bytes(ast.dump(tree).encode()), frozenset(ours), frozenset(others)


def code_modules(root: Path, entry: str) -> tuple[list[str], list[str]]:
    """Files of this package that `entry` imports, directly or not, and the other packages that they import.

    root : the clone. entry : path of a script, relative to it. Imports are static (DESIGN, contract 9).
    """
    seen: dict[str, frozenset[str]] = {}
    others: set[str] = set()
    todo = [entry]
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        _, ours, foreign = _parsed(root / name)
        seen[name] = ours
        others.update(foreign)
        for module in ours:
            parts = module.split(".")
            for depth in range(1, len(parts) + 1):
                base = "/".join(parts[:depth])
                todo.extend(p for p in (f"{base}.py", f"{base}/__init__.py") if (root / p).is_file())
    return sorted(seen), sorted({module.split(".")[0] for module in others})


def code_digest(root: Path, entry: str) -> str:
    """Digest of a script and of every module of this package that it reaches; comments and docstrings are free."""
    files, _ = code_modules(root, entry)
    return digest([[name, _parsed(root / name)[0]] for name in files])


def files_digest(root: Path, patterns: Iterable[str]) -> str:
    """Digest of data files (templates, presets, tables) that a rule reads, found by glob patterns under `root`."""
    names = sorted({str(p.relative_to(root)) for pattern in patterns for p in root.glob(pattern) if p.is_file()})
    return digest([[name, sha256_file(root / name)] for name in names])


@cache
def locked_versions(root: Path) -> Mapping[str, str]:
    """Distribution name -> version of the lock file."""
    text = (root / "requirements.lock").read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s\\;]+)", text, flags=re.M))


def used_versions(root: Path, entry: str) -> dict[str, str]:
    """Locked versions of the distributions that a script's modules import."""
    locked = locked_versions(root)
    _, others = code_modules(root, entry)
    names = {DISTRIBUTIONS.get(name, name.replace("_", "-").lower()) for name in others}
    return {name: locked[name] for name in sorted(names) if name in locked}


def rule_key(root: Path, rule: str, entry: str, settings: Any, data: Iterable[str] = ()) -> str:
    """Text of a rule's key file (contract 9): settings used, code digest, data digest, versions."""
    return json_text(
        {
            "rule": rule,
            "settings": settings,
            "code": code_digest(root, entry),
            "data": files_digest(root, data),
            "versions": used_versions(root, entry),
        }
    )
