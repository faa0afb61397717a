"""Settings, overrides, versions and hashes: sections that every page ends with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from osteorad.files import json_text
from osteorad.reporting import report as doc
from osteorad.reporting.wording import none_of, plural

HISTORY = ("Run history", "history.html")  # written after the run, so a page only links it
HISTORY_WORDS = (
    "How often was this run, and what changed since the last time? (history.html, written beside this page after each "
    "run; a copy of this page that was sent alone lacks it)"
)
SHOWN_APART = ("settings", "versions", "hashes", "citation", "privacy")


def flat(settings: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Dotted names and values in words; lists on one line, empty ones as `none`."""
    found: list[tuple[str, str]] = []
    for key in settings:
        value = settings[key]
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found += flat(value, f"{name}.")
        else:
            found.append((name, worded(value)))
    return found


def worded(value: Any) -> str:
    """A setting's value in words."""
    if value is None or value == "" or value == [] or value == {}:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(worded(entry) for entry in value)
    if isinstance(value, Mapping):
        return " ".join(json_text(value).split())
    return str(value)


def settings_section(settings: Mapping[str, Any], also: Mapping[str, Any]) -> doc.Section:
    """All settings of a cohort, one a row."""
    rows = [{"name": name, "value": value} for name, value in flat(settings)]
    named = {row["name"] for row in rows}
    rows += [
        {"name": name, "value": value}
        for name, value in flat({key: entry for key, entry in also.items() if key not in SHOWN_APART})
        if name not in named
    ]
    columns = [doc.column("name", "Setting", "code"), doc.column("value", "Value")]
    parts = [doc.table("settings-table", "Settings of this cohort.", columns, rows, empty=none_of(0, "setting"))]
    if also.get("privacy"):
        parts.append(doc.note(str(also["privacy"]), title="Privacy."))
    sentence = f"{plural(len(rows), 'setting')}, as configured."
    numbers = {"settings": len(rows), "zero": 0, "privacy": also.get("privacy", "")}
    return doc.section("settings", "Settings", sentence, parts, numbers=numbers)


def provenance_section(
    versions: Mapping[str, Any], hashes: Mapping[str, Any], citation: str | Sequence[str]
) -> doc.Section:
    """Versions of software, hashes of inputs, and what to cite."""
    software = [{"name": name, "version": str(versions[name])} for name in sorted(versions)]
    inputs = [{"name": name, "hash": str(hashes[name])} for name in sorted(hashes)]
    cited = [citation] if isinstance(citation, str) else list(citation)
    cited = [entry for entry in cited if entry]
    tables = [
        doc.table(
            "versions-table",
            "Software.",
            [doc.column("name", "Package"), doc.column("version", "Version", "code")],
            software,
            empty=none_of(0, "package"),
        ),
        doc.table(
            "hashes-table",
            "Hashes of inputs and settings.",
            [doc.column("name", "What"), doc.column("hash", "Hash", "code")],
            inputs,
            empty=none_of(0, "input"),
        ),
    ]
    parts: list[doc.Part] = [doc.row_of(tables)]
    parts.append(
        doc.pairs([(f"{place}", entry) for place, entry in enumerate(cited, 1)])
        if cited
        else doc.note(none_of(0, "citation") + " The configuration gives none.")
    )
    parts.append(doc.links([(HISTORY_WORDS, HISTORY[1])]))
    counted = (plural(len(software), "package"), plural(len(inputs), "hash", "hashes"), plural(len(cited), "reference"))
    sentence = ", ".join(counted) + "."
    numbers = {"packages": len(software), "hashes": len(inputs), "references": len(cited), "zero": 0}
    return doc.section("provenance", "Versions, hashes and references", sentence, parts, numbers=numbers)
