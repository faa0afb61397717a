"""Every message of the checks stands in a test with its full text, so that none changes or appears unseen."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.conftest import ROOT

MODULES = (
    "cohort/cases.py", "cohort/check.py", "cohort/clinical_table.py", "cohort/config.py", "cohort/feature_check.py",
    "cohort/feature_table.py", "cohort/known.py", "cohort/lesion_table.py", "cohort/load.py", "cohort/load_analyses.py",
    "cohort/load_checks.py", "cohort/load_cohorts.py", "cohort/load_networks.py", "cohort/load_recipes.py",
    "cohort/located.py", "cohort/new.py", "cohort/pseudonyms.py", "cohort/series_table.py", "cohort/slice_manifest.py",
    "cohort/sources.py",
    "cohort/tables.py", "cohort/validation.py", "cohort/whole.py", "dicom/index.py", "dicom/index_listing.py",
    "dicom/series.py", "errors.py",
)  # fmt: skip
TESTS = ("unit/cohort", "unit/dicom/test_index.py", "unit/dicom/test_index_hostile.py")
# What holds sentences that are no messages: descriptions of settings, what the drafted settings comment, log lines.
NO_MESSAGE = {"Field", "info", "print", "join"}
SENTENCE = re.compile(r"[a-z]{2,} \S.*\.$", re.S)


def templates(path: Path) -> Iterator[tuple[int, str]]:
    """Line and pattern of each message of a module: a sentence with its full stop, whatever is filled in."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    passed: set[int] = set()
    for node in ast.walk(tree):
        quiet = isinstance(node, ast.Call) and _name(node.func) in NO_MESSAGE
        if quiet or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)):  # a docstring
            passed |= {id(inner) for inner in ast.walk(node)}
        if isinstance(node, ast.JoinedStr):  # its parts are no messages of their own, but what is filled in may be
            passed |= {id(inner) for inner in node.values}
        if id(node) not in passed and isinstance(node, ast.JoinedStr | ast.Constant):
            text = _text(node)
            if SENTENCE.search(text.replace("\0", "x")):
                yield node.lineno, ".*".join(re.escape(part) for part in text.split("\0"))


def _name(call: ast.expr) -> str:
    return call.attr if isinstance(call, ast.Attribute) else getattr(call, "id", "")


def _text(node: ast.JoinedStr | ast.Constant) -> str:
    """A string with NUL for each value that is filled in; empty for other constants."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else ""
    return "".join(str(part.value) if isinstance(part, ast.Constant) else "\0" for part in node.values)


@cache
def expected() -> tuple[str, ...]:
    """Every text that stands in the tests of the checks."""
    files = [path for place in TESTS for path in ([ROOT / "tests" / place, *(ROOT / "tests" / place).glob("*.py")])]
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in files if path.is_file()]
    constants = (node.value for tree in trees for node in ast.walk(tree) if isinstance(node, ast.Constant))
    return tuple(value for value in constants if isinstance(value, str) and " " in value)


@pytest.mark.parametrize("module", MODULES)
def test_every_message_stands_in_a_test(module):
    untold = [
        f"{module}:{line}: {pattern}"
        for line, pattern in templates(ROOT / "osteorad" / module)
        if not any(re.search(pattern, text, re.S) for text in expected())
    ]
    assert untold == []


def test_the_checks_have_messages():
    assert sum(1 for module in MODULES for _ in templates(ROOT / "osteorad" / module)) > 80
