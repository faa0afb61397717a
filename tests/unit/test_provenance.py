"""Hashes, seeds, and which change of code changes a digest."""

from __future__ import annotations

import os
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
    provenance.code_of.cache_clear()
    (clone / name).write_text(text)
    return provenance.code_of(clone).digests("scripts/rule.py")


@pytest.fixture
def before(clone):
    provenance.code_of.cache_clear()
    return provenance.code_of(clone).digests("scripts/rule.py")


def test_closure_holds_indirect_imports_and_nothing_else(clone):
    files, others = provenance.code_of(clone).reached("scripts/rule.py")
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
    (clone / "presets/a.yaml").write_text("x: 1\n")
    one = provenance.file_digests(clone, ["presets/*"])
    (clone / "presets/a.yaml").write_text("x: 2\n")
    two = provenance.file_digests(clone, ["presets/*"])
    assert [list(found) for found in (one, two)] == [["presets/a.yaml"]] * 2
    assert one != two
    assert provenance.file_digests(clone, ["other/*"]) == {}


def aged(clone):
    """Give the files of a clone times at which they are taken as settled."""
    for path in clone.rglob("*.py"):
        os.utime(path, (1_000_000_000, 1_000_000_000))


def test_what_was_parsed_is_recalled_only_for_the_same_files(clone):
    aged(clone)
    first = provenance.Code(clone)
    before = first.digests("scripts/rule.py")
    kept = first.kept()
    assert set(kept["modules"]) == set(before)

    kept["modules"]["osteorad/a.py"]["digest"] = "recalled"
    (clone / "osteorad/b.py").write_text("def g():\n    return 2\n")
    second = provenance.Code(clone)
    second.recall(kept)
    after = second.digests("scripts/rule.py")
    assert after["osteorad/a.py"] == "recalled"
    assert after["osteorad/b.py"] not in ("recalled", before["osteorad/b.py"])


def test_a_file_changed_just_now_is_not_kept(clone):
    aged(clone)
    (clone / "osteorad/b.py").write_text("def g():\n    return 1\n")
    code = provenance.Code(clone)
    code.digests("scripts/rule.py")
    assert "osteorad/b.py" not in code.kept()["modules"]
    assert "osteorad/a.py" in code.kept()["modules"]


@pytest.mark.parametrize("kept", [None, [], {"made_by": [1, 2, 7], "modules": {"osteorad/a.py": {}}}])
def test_what_another_python_kept_is_not_used(clone, kept):
    code = provenance.Code(clone)
    code.recall(kept)
    assert code.digests("scripts/rule.py") == provenance.Code(clone).digests("scripts/rule.py")


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
        _, others = provenance.code_of(ROOT).reached(f"scripts/{script.name}")
        used = provenance.used_versions(ROOT, f"scripts/{script.name}")
        import sys

        foreign = {n for n in others if n not in sys.stdlib_module_names}
        names = {provenance.DISTRIBUTIONS.get(n, n.replace("_", "-").lower()) for n in foreign}
        assert names - {"torch"} == set(used), script.name  # torch is installed apart: envs/apart.in
