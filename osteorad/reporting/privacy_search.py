"""Section of the privacy page: what the search for values of the originals said, and whether it still counts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from osteorad.reporting import report as doc
from osteorad.reporting.wording import count, none_of, plural

Counts = Mapping[str, Any]
COMMAND = "python -m osteorad verify-deid FOLDER"


def search_word(source: str, search: Counts | None, searched: Counts) -> dict[str, str]:
    """A chip: what the search said. searched : what it would see now."""
    if source in ("deidentified", "slices"):
        return {"text": "Not searched: no originals here to compare with", "tone": "warn"}
    if search is None:
        return {"text": "Not searched yet", "tone": "warn"}
    if search["hits"]:
        return {"text": f"Search: {plural(search['hits'], 'hit')}", "tone": "bad"}
    if search["searched"] != searched:
        return {"text": "Outputs changed since the search", "tone": "warn"}
    if search["not_opened"]:
        return {"text": f"Search: no hit, but {count(search['not_opened'])} not opened", "tone": "warn"}
    return {"text": "Searched: no value found", "tone": "ok"}


def search_section(source: str, search: Counts | None, searched: Counts) -> doc.Section:
    """What the search said, or why there is none."""
    word = search_word(source, search, searched)["text"]
    command = doc.pairs([("Command", COMMAND)], code=True)
    if search is None or source in ("deidentified", "slices"):
        title, text = _none(source)
        parts = [doc.note(text, title=title, tone="warn"), command]
        return doc.section("search", "Search for leaks", f"{word}: 0 values.", parts, numbers={"zero": 0})
    items = [
        {"value": search["hits"], "of": None, "digits": 0, "label": "hits in the working folder"},
        {"value": search["values"], "of": None, "digits": 0, "label": "values of the originals looked for"},
        {"value": search["opened"], "of": None, "digits": 0, "label": "files searched"},
        {"value": search["not_opened"], "of": None, "digits": 0, "label": "could not be opened"},
    ]
    parts = [doc.tiles(items), *_doubts(search, searched), _not_looked_for(search), _unseen(search), command]
    numbers = {name: value for name, value in search.items() if isinstance(value, int)}
    return doc.section("search", "Search for leaks", f"{word}.", parts, numbers={**numbers, "zero": 0})


def _none(source: str) -> tuple[str, str]:
    if source in ("deidentified", "slices"):
        return (
            "Nothing to compare with.",
            "The originals are elsewhere. Ask the site that holds them to search what it sent: with --dicom the "
            "command takes an export.",
        )
    return (
        "Not searched yet.",
        "Nobody has searched these outputs for the values of the original headers and tables. Run the command, with "
        "the working folder as FOLDER, then snakemake once more: its summary comes onto this page.",
    )


def _doubts(search: Counts, searched: Counts) -> Iterator[doc.Part]:
    """What stands against the search."""
    if search["hits"]:
        text = (
            f"{plural(search['hits'], 'place')} in {plural(search['hit_files'], 'file')}, "
            f"{count(search['hit_files_here'])} of them of this cohort. The command shows where. Pass nothing on."
        )
        yield doc.note(text, title="Values of the originals were found.", tone="bad")
    if search["searched"] != searched:
        text = "Images or tables of this cohort were made anew after the search. Search again."
        yield doc.note(text, title="Outputs changed since.", tone="warn")
    if search["not_opened"]:
        what = plural(search["not_opened"], "file or part", "files or parts")
        yield doc.note(f"{what} could not be opened; the command lists them.", title="Not all was read.", tone="warn")


def _not_looked_for(search: Counts) -> doc.Part:
    rows = [{"why": why, "values": number} for why, number in search["not_looked_for"].items()]
    columns = [doc.column("why", "Reason"), doc.column("values", "Values", "count")]
    empty = none_of(search["values"], "value")
    return doc.table("not-looked-for", "Values that were not looked for, and why.", columns, rows, empty=empty)


def _unseen(search: Counts) -> doc.Part:
    dates = search["coincident_dates"]
    text = "It sees no pixels: burned-in text, faces and rare implants stay unseen. No hit is evidence, not proof."
    if dates:
        text += f" {plural(dates, 'moved date')} equal another date of the source; that is chance, no leak."
    return doc.note(text, title="What it cannot see.")
