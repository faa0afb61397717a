"""Hashes, seeds, and which change of code changes a digest."""

from __future__ import annotations

from pathlib import Path

import pytest

from osteorad import provenance

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def clone(tmp_path):
    """A tiny clone: a script that imports a.py, which imports b.py; c.py is not reached."""
    files = {
        "scripts/rule.py": '"""Doc."""\nfrom osteorad.a import f\n\nf()\n',
        "osteorad/__init__.py": "",
        "osteorad/a.py": "import numpy\nfrom osteorad.b import g\n\n\ndef f():\n    return g()\n",
        "osteorad/b.py": "def g():\n    return 1\n",
        "osteorad/c.py": "x = 1\n",
        "requirements.lock": "numpy==2.4.6 \\\n    --hash=sha256:0\nscipy==1.0\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    return tmp_path


def digest_after(clone, name, text):
    provenance._parsed.cache_clear()
    (clone / name).write_text(text)
    return provenance.code_digest(clone, "scripts/rule.py")


@pytest.fixture
def before(clone):
    provenance._parsed.cache_clear()
    return provenance.code_digest(clone, "scripts/rule.py")


def test_closure_holds_indirect_imports_and_nothing_else(clone):
    files, others = provenance.code_modules(clone, "scripts/rule.py")
    assert files == ["osteorad/__init__.py", "osteorad/a.py", "osteorad/b.py", "scripts/rule.py"]
    assert others == ["numpy"]
    assert provenance.used_versions(clone, "scripts/rule.py") == {"numpy": "2.4.6"}


def test_a_change_in_a_leaf_changes_the_digest(clone, before):
    assert digest_after(clone, "osteorad/b.py", "def g():\n    return 2\n") != before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("osteorad/b.py", "# why\ndef g():\n\n    return 1\n"),
        ("osteorad/b.py", 'def g():\n    """Doc."""\n    return 1\n'),
        ("osteorad/b.py", '"""Module."""\n\n\ndef g():\n    return 1\n'),
        ("scripts/rule.py", '"""Other words."""\nfrom osteorad.a import f\n\nf()\n'),
        ("osteorad/c.py", "x = 2\n"),
    ],
)
def test_comments_docstrings_layout_and_other_modules_are_free(clone, before, name, text):
    assert digest_after(clone, name, text) == before


def test_data_files_count_by_name_and_content(clone):
    (clone / "presets").mkdir()
    empty = provenance.files_digest(clone, ["presets/*"])
    (clone / "presets/a.yaml").write_text("x: 1\n")
    one = provenance.files_digest(clone, ["presets/*"])
    (clone / "presets/a.yaml").write_text("x: 2\n")
    assert len({empty, one, provenance.files_digest(clone, ["presets/*"])}) == 3


def test_seeds_follow_names():
    assert provenance.seed_from("marrow/0/1/svm") == provenance.seed_from("marrow/0/1/svm")
    assert provenance.seed_from("marrow/0/1/svm") != provenance.seed_from("marrow/0/1/knn")
    assert 0 <= provenance.seed_from("x") < 2**32


def test_row_hash_sees_names_order_and_values():
    base = provenance.rows_hash(["a", "b"], b"12")
    assert base != provenance.rows_hash(["b", "a"], b"12")
    assert base != provenance.rows_hash(["a", "b"], b"13")
    assert provenance.rows_hash(["a"], b"b12") != provenance.rows_hash(["a\nb"], b"12")


def test_imported_distributions_of_the_real_scripts_are_in_the_lock():
    for script in sorted((ROOT / "scripts").glob("*.py")):
        _, others = provenance.code_modules(ROOT, f"scripts/{script.name}")
        used = provenance.used_versions(ROOT, f"scripts/{script.name}")
        import sys

        foreign = {n for n in others if n not in sys.stdlib_module_names}
        names = {provenance.DISTRIBUTIONS.get(n, n.replace("_", "-").lower()) for n in foreign}
        assert names == set(used), script.name
