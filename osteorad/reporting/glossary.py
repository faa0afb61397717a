"""The words of the reports: one list (`resources/glossary.yaml`), linked where they stand and explained on the page."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from markupsafe import Markup, escape

from osteorad.files import write_text_if_changed
from osteorad.reporting import report as doc
from osteorad.reporting.wording import plural

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "resources/glossary.yaml"
PAGE = "docs/glossary.md"
HEAD = """# Glossary

Every technical word of the reports. Written from `resources/glossary.yaml` by `python -m osteorad schema`; do not edit.
Each report ends with those of these words that it uses, and links them where they stand first in a section.
"""
# What a reader sees of a report; names, codes and settings are no prose.
READ = {"heading", "sentence", "caption", "title", "text", "texts", "label", "note", "name", "question", "sub"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """A word with its other forms and its meaning."""

    term: str
    also: tuple[str, ...]
    group: str
    means: str

    @property
    def anchor(self) -> str:
        """Id of its entry on a page."""
        return "term-" + re.sub(r"[^a-z0-9]+", "-", self.term.lower()).strip("-")


@cache
def terms() -> tuple[Term, ...]:
    """All terms in the order of the file."""
    groups = yaml.safe_load(SOURCE.read_text(encoding="utf-8"))
    return tuple(
        Term(term=entry["term"], also=tuple(entry.get("also", ())), group=group["group"], means=entry["means"])
        for group in groups
        for entry in group["terms"]
    )


@cache
def _forms() -> dict[str, Term]:
    """Lower-case form -> term. A single capital, such as P, counts only as it is written."""
    return {(form if len(form) == 1 else form.lower()): term for term in terms() for form in (term.term, *term.also)}


@cache
def _pattern() -> re.Pattern[str]:
    """Any form, the longest first, as a word of its own."""
    written = sorted({form for term in terms() for form in (term.term, *term.also)}, key=lambda f: (-len(f), f))
    blanks = [re.escape(form).replace(r"\ ", "[ \u00a0]") for form in written]
    any_case = "|".join(form for form, plain in zip(blanks, written, strict=True) if len(plain) > 1)
    single = "|".join(form for form, plain in zip(blanks, written, strict=True) if len(plain) == 1)
    return re.compile(rf"(?<![\w-])(?:(?i:{any_case})|(?:{single}))(?![\w-])")


def _term_of(found: str) -> Term:
    plain = found.replace("\u00a0", " ")
    return _forms()[plain if len(plain) == 1 else plain.lower()]


def terms_in(words: str) -> list[Term]:
    """The terms that stand in a text, in reading order, each once."""
    return list(dict.fromkeys(_term_of(match.group()) for match in _pattern().finditer(words)))


def _read(value: Any, key: str = "") -> Iterator[str]:
    if isinstance(value, str):
        if key in READ:
            yield value
    elif isinstance(value, Mapping):
        for name in value:
            yield from _read(value[name], name)
    elif isinstance(value, list | tuple):
        for entry in value:
            yield from _read(entry, key)


def glossary_section(sections: Sequence[Mapping[str, Any]]) -> doc.Section:
    """The terms that these sections use, in alphabetical order, with their meanings."""
    used: dict[str, Term] = {}
    for section in sections:
        shown = {key: section[key] for key in ("heading", "sentence", "parts")}
        for words in _read(shown):
            used |= {term.term: term for term in terms_in(words)}
    listed = sorted(used.values(), key=lambda term: re.sub(r"[^a-z0-9]", "", term.term.lower()))
    items = [{"term": term.term, "anchor": term.anchor, "means": term.means} for term in listed]
    part = {"kind": "glossary", "items": items}
    sentence = f"{plural(len(items), 'technical word')} of this page, in plain ones."
    return doc.section("glossary", "Words", sentence, [part], numbers={"words": len(items)})


class Linker:
    """Links the first place of each term in a section to its entry; a new one for each section."""

    def __init__(self, known: Mapping[str, str]) -> None:
        """`known`: anchor -> meaning, of the terms that the page explains."""
        self.known = known
        self.linked: set[str] = set()

    def __call__(self, words: Any) -> Markup:
        """The text escaped, with links."""
        text, at, out = str(words), 0, Markup("")
        if not self.known:
            return escape(text)
        for match in _pattern().finditer(text):
            term = _term_of(match.group())
            if term.anchor not in self.known or term.anchor in self.linked:
                continue
            self.linked.add(term.anchor)
            link = Markup('<a class="term" href="#{}" title="{}">{}</a>')
            out += escape(text[at : match.start()]) + link.format(term.anchor, self.known[term.anchor], match.group())
            at = match.end()
        return out + escape(text[at:])


def known_terms(report: Mapping[str, Any]) -> dict[str, str]:
    """Anchor -> meaning of the terms that a report explains; none on a page without a glossary."""
    return {
        item["anchor"]: item["means"]
        for section in report["sections"]
        for part in section["parts"]
        if part["kind"] == "glossary"
        for item in part["items"]
    }


def markdown() -> str:
    """Text of docs/glossary.md."""
    pieces = [HEAD]
    for group in dict.fromkeys(term.group for term in terms()):
        pieces += [f"\n## {group}\n", "| word | meaning |", "|---|---|"]
        pieces += [_line(term) for term in terms() if term.group == group]
    return "\n".join(pieces) + "\n"


def _line(term: Term) -> str:
    others = [form for form in term.also if term.term.lower() not in form.lower()]
    also = f" ({', '.join(others)})" if others else ""
    return f"| **{term.term}**{also} | {term.means} |"


def write(root: Path) -> list[str]:
    """Write docs/glossary.md under a clone where it differs; returns what was written."""
    return [PAGE] if write_text_if_changed(root / PAGE, markdown()) else []
