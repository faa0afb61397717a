"""The pages for users: every link leads somewhere, every command and target exists."""

from __future__ import annotations

import re

import pytest

from osteorad.__main__ import _parser
from tests.conftest import ROOT

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text())
    local = [link for link in links if not re.match(r"[a-z]+:", link)]
    assert [link for link in local if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_targets_and_commands_exist(page):
    text = page.read_text()
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.M))
    assert sorted(set(re.findall(r"(?:^|`)make ([a-z-]+)", text, flags=re.M)) - targets) == []
    if page.name == "design.md":
        return  # it also names commands of later issues
    known = set(re.findall(r"^ {4}([a-z-]+)", _parser().format_help(), flags=re.M))
    assert sorted(set(re.findall(r"-m osteorad ([a-z-]+)", text)) - known) == []


def test_readme_fits_on_one_screen():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 50


def test_licence_is_apache_2():
    text = (ROOT / "LICENSE").read_text()
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text
    assert len(text.splitlines()) > 190
