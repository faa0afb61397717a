"""Hashes, seeds and the digests of code: what contract 9 (reruns) and contract 6 (lineage) stand on.

A light module: it is imported while Snakemake builds its graph.
"""

from __future__ import annotations

import ast
import hashlib
import importlib.metadata
import re
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
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

DIGITS = 16  # hex digits of a digest in a key file
SETTLED_NS = 2_000_000_000
MADE_BY = [1, *sys.version_info[:2]]  # form of what is kept; ast.dump differs between versions of Python


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


@dataclass(frozen=True, slots=True)
class Module:
    """One parsed file."""

    stamp: tuple[int, int, int]  # size, time of the content, time of the entry, both in ns
    digest: str
    ours: frozenset[str]  # modules of this package that it imports
    others: frozenset[str]  # other modules

    def plain(self) -> dict[str, Any]:
        """The same, JSON-able."""
        return {
            "stamp": list(self.stamp),
            "digest": self.digest,
            "ours": sorted(self.ours),
            "others": sorted(self.others),
        }


class Code:
    """Modules of a clone: digests without comments and docstrings, and imports. Each file is parsed once.

    What was found can be kept and given back (`kept`, `recall`): parsing is the dearest part of a start.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._parsed: dict[str, Module] = {}
        self._recalled: Mapping[str, Any] = {}
        self._reached: dict[str, tuple[list[str], list[str]]] = {}
        self._places: dict[str, list[str]] = {}

    def recall(self, kept: Any) -> None:
        """Take what another process found; entries of other files, times or Pythons are not used."""
        if isinstance(kept, Mapping) and kept.get("made_by") == MADE_BY:
            self._recalled = kept["modules"]

    def kept(self) -> dict[str, Any]:
        """What was found, JSON-able. Files changed a moment ago are left out: their time may not move again."""
        settled = time.time_ns() - SETTLED_NS
        modules = {name: module.plain() for name, module in self._parsed.items() if module.stamp[1] < settled}
        return {"made_by": MADE_BY, "modules": modules}

    def module(self, name: str) -> Module:
        """A file of the clone, by its path relative to it."""
        if name not in self._parsed:
            stamp = _stamp(self.root / name)
            known = self._recalled.get(name)
            if known is not None and tuple(known["stamp"]) == stamp:
                found = Module(stamp, known["digest"], frozenset(known["ours"]), frozenset(known["others"]))
            else:
                found = Module(stamp, *_parse((self.root / name).read_text(encoding="utf-8")))
            self._parsed[name] = found
        return self._parsed[name]

    def reached(self, entry: str) -> tuple[list[str], list[str]]:
        """Files of this package that `entry` imports, directly or not, and the other packages that they import.

        entry : path of a script, relative to the clone. Imports are static (DESIGN, contract 9).
        """
        if entry not in self._reached:
            seen: set[str] = set()
            others: set[str] = set()
            todo = [entry]
            while todo:
                name = todo.pop()
                if name not in seen:
                    seen.add(name)
                    module = self.module(name)
                    others |= module.others
                    todo += [path for imported in module.ours for path in self._files(imported)]
            self._reached[entry] = (sorted(seen), sorted({name.split(".")[0] for name in others}))
        return self._reached[entry]

    def _files(self, module: str) -> list[str]:
        """Files that an import of `module` runs: its own and those of the packages around it."""
        if module not in self._places:
            parts = module.split(".")
            bases = ("/".join(parts[:depth]) for depth in range(1, len(parts) + 1))
            paths = (path for base in bases for path in (f"{base}.py", f"{base}/__init__.py"))
            self._places[module] = [path for path in paths if (self.root / path).is_file()]
        return self._places[module]

    def digests(self, entry: str) -> dict[str, str]:
        """Digest of a script and of every module that it reaches, by path."""
        return {name: self.module(name).digest for name in self.reached(entry)[0]}


@cache
def code_of(root: Path) -> Code:
    """The modules of a clone, as they were when this process first looked."""
    return Code(root)


def _stamp(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _parse(text: str) -> tuple[str, frozenset[str], frozenset[str]]:
    """Digest of a module without comments and docstrings, its imports of this package, and other imports."""
    tree = ast.parse(text)
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
    return sha256_bytes(ast.dump(tree).encode())[:DIGITS], frozenset(ours), frozenset(others)


def changed_since(root: Path, key: Mapping[str, Any], parsed: Any) -> list[str]:
    """Modules and data files that are not what a key says, sorted. parsed : what `Code.kept` gave, spares parsing."""
    code = Code(root)
    code.recall(parsed)
    found = {
        name for name, known in key["code"].items() if not (root / name).is_file() or code.module(name).digest != known
    }
    return sorted(found | {name for name, known in key["data"].items() if _digest_of(root / name) != known})


def _digest_of(path: Path) -> str:
    return sha256_file(path)[:DIGITS] if path.is_file() else ""


def file_digests(root: Path, patterns: Iterable[str]) -> dict[str, str]:
    """Digests of data files (templates, presets, tables) that a rule reads, found by glob patterns under `root`."""
    names = sorted({str(p.relative_to(root)) for pattern in patterns for p in root.glob(pattern) if p.is_file()})
    return {name: sha256_file(root / name)[:DIGITS] for name in names}


@cache
def locked_versions(root: Path) -> Mapping[str, str]:
    """Distribution name -> version of the lock file."""
    text = (root / "requirements.lock").read_text(encoding="utf-8")
    return dict(re.findall(r"^([A-Za-z0-9_.-]+)==([^\s\\;]+)", text, flags=re.M))


def installed_version(name: str) -> str:
    """Version of a distribution here, build included (`2.13.0+cpu`); empty where it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


def used_versions(root: Path, entry: str) -> dict[str, str]:
    """Locked versions of the distributions that a script's modules import."""
    locked = locked_versions(root)
    _, others = code_of(root).reached(entry)
    names = {DISTRIBUTIONS.get(name, name.replace("_", "-").lower()) for name in others}
    return {name: locked[name] for name in sorted(names) if name in locked}


def rule_key(root: Path, rule: str, entry: str, settings: Any, data: Iterable[str] = ()) -> str:
    """Text of a rule's key file (contract 9): settings used, digest of each module and data file, versions."""
    return json_text(
        {
            "rule": rule,
            "settings": settings,
            "code": code_of(root).digests(entry),
            "data": file_digests(root, data),
            "versions": used_versions(root, entry),
        }
    )
