"""What a page says, as plain data: sections with parts. A page is drawn from this dict and nothing else.

A section has an id, a heading, one sentence, `numbers` (what its prose quotes) and parts (tables, figures, notes, ...).
The dict is written as report.json; images travel beside it, under the names that its parts give.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Part = dict[str, Any]
Section = dict[str, Any]
Report = dict[str, Any]

# Tables with more rows than this scroll on a screen; on paper they are whole.
TALL_ROWS = 14


def section(
    name: str,
    heading: str,
    sentence: str,
    parts: Sequence[Part] = (),
    *,
    numbers: Mapping[str, Any] | None = None,
) -> Section:
    """One section of a page; `numbers` holds every number that its prose quotes."""
    return {
        "id": name,
        "heading": heading,
        "sentence": sentence,
        "numbers": dict(numbers or {}),
        "parts": list(parts),
    }


def column(key: str, label: str, kind: str = "text", *, digits: int = 2, note: str = "") -> dict[str, Any]:
    """One column of a table.

    kind : text, words (long text), code, real, count, percent, interval (estimate, low, high), limits (low, high),
    range (median, low, high), share (k, n), summary (a group in table 1), p, state (word, tone), link (text, href).
    """
    return {"key": key, "label": label, "kind": kind, "digits": digits, "note": note}


def table(
    name: str,
    caption: str,
    columns: Sequence[Mapping[str, Any]],
    rows: Iterable[Mapping[str, Any]],
    *,
    empty: str,
    head: str | None = None,
    facts: Mapping[str, Any] | None = None,
) -> Part:
    """A table; `head` names the column that heads each row, `empty` is said instead of a table without rows.

    facts : numbers that the caption quotes.
    """
    listed = [dict(row) for row in rows]
    return {
        "kind": "table",
        "id": name,
        "caption": caption,
        "columns": [dict(entry) for entry in columns],
        "rows": listed,
        "head": head or columns[0]["key"],
        "empty": empty,
        "tall": len(listed) > TALL_ROWS,
        "facts": dict(facts or {}),
    }


def figure(name: str, chart: str, title: str, desc: str, caption: str, data: Mapping[str, Any]) -> Part:
    """A figure: `title` says what is shown, `desc` the finding, `data` everything that is drawn."""
    return {
        "kind": "figure",
        "id": name,
        "chart": chart,
        "title": title,
        "desc": desc,
        "caption": caption,
        "data": dict(data),
    }


def row_of(parts: Sequence[Part]) -> Part:
    """Parts side by side where the page is wide enough."""
    return {"kind": "row", "parts": list(parts)}


def note(text: str, *, title: str = "", tone: str = "plain", facts: Mapping[str, Any] | None = None) -> Part:
    """A paragraph set off from the rest; tone plain, warn, bad or foot (a footnote); `facts`: what it quotes."""
    return {"kind": "note", "title": title, "text": text, "tone": tone, "facts": dict(facts or {})}


def paragraphs(texts: Sequence[str]) -> Part:
    """Running text."""
    return {"kind": "text", "texts": list(texts)}


def tiles(items: Sequence[Mapping[str, Any]]) -> Part:
    """Large numbers, each with what it counts: value, of (or none), digits, label."""
    return {"kind": "tiles", "items": [dict(item) for item in items]}


def pairs(items: Sequence[tuple[str, Any]], *, code: bool = False) -> Part:
    """Names and values, one a line."""
    return {"kind": "pairs", "items": [{"name": name, "value": value} for name, value in items], "code": code}


def links(items: Sequence[tuple[str, str]]) -> Part:
    """Files that lie beside the page: text and relative path."""
    return {"kind": "links", "items": [{"text": text, "href": href} for text, href in items]}


def report(
    kind: str,
    name: str,
    title: str,
    *,
    subtitle: str,
    state: str,
    sections: Sequence[Section],
    chips: Sequence[Mapping[str, str]] = (),
    notice: str = "",
    numbers: Mapping[str, Any] | None = None,
    foot: str = "",
    up: Mapping[str, str] | None = None,
    also: Sequence[tuple[str, str]] = (),
) -> Report:
    """A whole page, with figures and tables numbered in reading order.

    up : the page above. also : pages beside this one, text and relative path.
    """
    whole: Report = {
        "schema": 1,
        "kind": kind,
        "name": name,
        "title": title,
        "subtitle": subtitle,
        "state": state,
        "notice": notice,
        "chips": [dict(chip) for chip in chips],
        "numbers": dict(numbers or {}),
        "foot": foot,
        "up": dict(up or {}),
        "also": [{"text": text, "href": href} for text, href in also],
        "sections": list(sections),
    }
    _number(whole)
    return whole


def parts_of(entry: Mapping[str, Any]) -> list[Part]:
    """All parts of a section in reading order, nested ones included."""
    found: list[Part] = []
    for part in entry["parts"]:
        found.append(part)
        if "parts" in part:
            found.extend(parts_of(part))
    return found


def _number(whole: Report) -> None:
    counts = {"figure": 0, "table": 0}
    for entry in whole["sections"]:
        for part in parts_of(entry):
            kind = "figure" if part["kind"] in ("figure", "gallery") else part["kind"]
            if kind in counts:
                counts[kind] += 1
                part["number"] = counts[kind]
