"""Checks of a page against its report.json: what a reader would miss, said as a list of problems."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from html.parser import HTMLParser
from typing import Any

from osteorad.reporting.report import parts_of

VOID = {"meta", "link", "br", "hr", "img", "input", "area", "base", "col", "source", "track", "wbr"}
# Prose is written from numbers; a number that stands only in prose has no source.
PROSE = {
    "sentence",
    "caption",
    "desc",
    "text",
    "texts",
    "alt",
    "subtitle",
    "notice",
    "heading",
    "state",
    "foot",
    "empty",
}
# What a figure draws, in its data.
DRAWN = ("rows", "curve", "curves", "bars", "groups", "stages", "variables")
DIGITS = re.compile(r"\d+(?:,\d{3})+(?:\.\d+)?|\d+(?:\.\d+)?")
LOADS = {"script", "iframe", "object", "embed", "link", "audio", "video", "form"}


class Node:
    """An element of the page."""

    def __init__(self, tag: str, attributes: dict[str, str], parent: Node | None) -> None:
        self.tag, self.attributes, self.parent = tag, attributes, parent
        self.children: list[Node | str] = []

    def walk(self) -> Iterator[Node]:
        """This element and all below, in document order."""
        yield self
        for child in self.children:
            if isinstance(child, Node):
                yield from child.walk()

    def find(self, tag: str) -> list[Node]:
        """All elements of a tag below this one, itself included."""
        return [node for node in self.walk() if node.tag == tag]

    def text(self) -> str:
        """Visible text and what screen readers say, with blanks between elements."""
        return " ".join(child if isinstance(child, str) else child.text() for child in self.children)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = self.at = Node("", {}, None)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        node = Node(tag, {key: value or "" for key, value in attrs}, self.at)
        self.at.children.append(node)
        if tag not in VOID:
            self.at = node

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.at.children.append(Node(tag, {key: value or "" for key, value in attrs}, self.at))

    def handle_endtag(self, tag: str) -> None:
        if self.at.tag == tag and self.at.parent is not None:
            self.at = self.at.parent

    def handle_data(self, data: str) -> None:
        self.at.children.append(data)


def parse(html: str) -> Node:
    """The page as a tree."""
    reader = _Reader()
    reader.feed(html)
    return reader.root


def check_page(html: str, report: Mapping[str, Any]) -> list[str]:
    """Problems of a page, none where it is sound.

    Looks for: sections without heading, sentence or number; figures without data, drawing, description or caption;
    numbers that stand on the page but not in the report's section of the same name; ids used twice; anything that loads
    or runs; tables without scope.
    """
    root = parse(html)
    problems = [*_whole_page(root), *_loading(root)]
    drawn = {node.attributes.get("id", ""): node for node in root.find("section")}
    told = {entry["id"]: entry for entry in report["sections"]}
    if list(drawn) != list(told):
        problems.append(f"sections on the page {list(drawn)} are not those of the report {list(told)}")
    for name, node in drawn.items():
        if name in told:
            problems += [f"section {name}: {problem}" for problem in _section(node, told[name])]
    head = {key: value for key, value in report.items() if key != "sections"}
    for tag in ("header", "footer"):
        for node in root.find(tag):
            problems += [f"{tag}: {problem}" for problem in _numbers(node.text(), head)]
    return problems


def _whole_page(root: Node) -> Iterator[str]:
    ids = [node.attributes["id"] for node in root.walk() if "id" in node.attributes]
    for name in sorted({name for name in ids if ids.count(name) > 1}):
        yield f"id {name!r} is used {ids.count(name)} times"
    if len(root.find("h1")) != 1:
        yield f"{len(root.find('h1'))} h1, wanted 1"
    if not (root.find("html") and root.find("html")[0].attributes.get("lang")):
        yield "html has no lang"
    for node in root.find("a"):
        target = node.attributes.get("href", "")
        if target.startswith("#") and target[1:] not in ids:
            yield f"link to {target}, which is not there"
    for node in root.walk():
        for name in node.attributes.get("aria-labelledby", "").split():
            if name not in ids:
                yield f"aria-labelledby names {name!r}, which is not there"
    for node in root.find("th"):
        if node.attributes.get("scope") not in ("col", "row"):
            yield "a table header has no scope"


def _loading(root: Node) -> Iterator[str]:
    for node in root.walk():
        if node.tag in LOADS:
            yield f"<{node.tag}> loads or runs something"
        for key, value in node.attributes.items():
            if key.startswith("on") or key == "style":
                yield f"<{node.tag} {key}> breaks the page's content security policy"
            outside = re.match(r"\s*(https?:|//|javascript:|file:|/)", value, flags=re.I)
            if key in ("href", "src", "xlink:href", "srcset", "action") and outside:
                yield f"<{node.tag}> points outside: {value[:60]}"
    for node in root.find("style"):
        if re.search(r"@import|url\(", node.text()):
            yield "the style sheet loads something"


def _section(node: Node, told: Mapping[str, Any]) -> Iterator[str]:
    if not any(child.text().strip() for child in node.find("h2")):
        yield "no heading"
    lead = [child for child in node.find("p") if child.attributes.get("class") == "lead"]
    if not any(child.text().strip() for child in lead):
        yield "no sentence"
    if not DIGITS.search(_without_headings(node)):
        yield "no number, and no statement that there is none"
    for figure in node.find("figure"):
        yield from _figure(figure)
    for part in parts_of(told):
        if part["kind"] == "figure" and not _has_data(part["data"]):
            yield f"figure {part['id']} has no data"
        if part["kind"] == "gallery" and not any(group["items"] for group in part["groups"]):
            yield f"figure {part['id']} has no picture"
    yield from _numbers(node.text(), told)


def _without_headings(node: Node) -> str:
    return " ".join(
        child.text() for child in node.children if isinstance(child, Node) and child.tag not in ("h1", "h2", "h3")
    )


def _has_data(data: Any) -> bool:
    """True where something is drawn; axes, ticks and legends alone are no data."""
    drawn = any(data.get(key) for key in DRAWN)
    return bool(drawn) or any(data.get(key) for key in ("tp", "fp", "fn", "tn"))


def _figure(figure: Node) -> Iterator[str]:
    name = figure.attributes.get("id", "?")
    drawings = [node for node in figure.find("svg") if node.attributes.get("role") == "img"]
    if not drawings:
        yield f"{name}: no drawing with role img"
    for drawing in drawings:
        for tag in ("title", "desc"):
            if not any(node.text().strip() for node in drawing.find(tag)):
                yield f"{name}: no {tag}"
        if not any("mark" in node.attributes.get("class", "").split() for node in drawing.walk()):
            yield f"{name}: nothing is drawn"
    captions = [node.text() for node in figure.find("figcaption")]
    if not any(re.search(r"Figure\s+\d+\.", words) for words in captions):
        yield f"{name}: no numbered caption"


def _numbers(words: str, told: Any) -> Iterator[str]:
    known = known_numbers(told)
    for found in sorted({match.replace(",", "") for match in DIGITS.findall(words)}):
        if found not in known:
            yield f"{found} stands on the page but not in report.json"


def known_numbers(told: Any) -> set[str]:
    """Every way in which the numbers of a report may be printed, and the digits of its names."""
    known: set[str] = set()
    _gather(told, "", known)
    return known


def _gather(value: Any, key: str, known: set[str]) -> None:
    if isinstance(value, Mapping):
        for name, entry in value.items():
            _gather(entry, name, known)
    elif isinstance(value, list | tuple):
        for entry in value:
            _gather(entry, key, known)
    elif isinstance(value, bool) or value is None:
        return
    elif isinstance(value, int | float):
        known.update(f"{abs(value):.{digits}f}" for digits in range(5))
        known.update(f"{abs(value) * 100:.{digits}f}" for digits in range(2))
        known.add(f"{abs(value):g}")
    elif key not in PROSE:
        known.update(match.replace(",", "") for match in DIGITS.findall(value))
