"""The privacy policy, read from tables: PS3.15 Table E.1-1, its options, and what this project adds.

Everything that decides about an attribute stands in resources/dicom/: the standard's table and safe private list, the
attribute types that settle compound actions such as X/Z/D, and policy.yaml with the project's own rules.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import yaml

from osteorad.dicom.elements import VRS
from osteorad.dicom.values import Vocabulary

FOLDER = Path(__file__).resolve().parents[2] / "resources" / "dicom"
TEXT_VRS = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
BASIC = {"X": "remove", "Z": "empty", "D": "dummy", "U": "uid"}
NO_TYPES = "none"  # objects nested in sequences, whose own types are not known


@dataclass(frozen=True, slots=True)
class Action:
    """What becomes of an attribute, and what instead where its value does not pass the check of `verb`.

    verb : remove, empty, dummy, uid, shift, keep, words, device, code, pseudonym, utc_offset, roi, ours.
    fallback : remove, empty or dummy.
    """

    verb: str
    fallback: str = "remove"


@dataclass(frozen=True, slots=True)
class SafePrivate:
    """A private attribute that may stay; `vr` is the one that its maker documents."""

    vr: str
    carries_date: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class Policy:
    """All tables, ready to use; compared by identity.

    Tags are integers; `rows` are the lines of Table E.1-1 with a plain tag.
    """

    edition: str
    options: tuple[tuple[str, str], ...]  # code, meaning
    rows: Mapping[int, Mapping[str, str]]
    types: Mapping[int, Mapping[str, str]]  # tag -> column of an IOD -> attribute type
    iods: Mapping[str, tuple[str, str]]  # SOP class -> modality, column of `types`
    rules: Mapping[int, str]
    text: Mapping[int, Action]
    coding_schemes: frozenset[str]
    bulk: frozenset[int]
    safe_private: Mapping[tuple[int, str, int], SafePrivate]  # group, creator, low byte of the element
    private_places: frozenset[int | tuple[int, int]]  # groups, and groups with low bytes, of the safe private list
    without_creator: Mapping[tuple[int, int], tuple[str, str]]  # group, low byte -> creator, manufacturer
    vocabulary: Vocabulary
    gate: Mapping[str, Any]
    shortest_name: int
    shortest_id: int
    neutral: frozenset[str]  # stand-ins for names, as other de-identifiers write them
    searched: Mapping[int, str]  # tag -> own or place

    @lru_cache(maxsize=32)  # noqa: B019 there is one policy, and it lives as long as the process
    def actions(self, types_column: str, descriptors: bool) -> Mapping[int, Action]:
        """Action of every listed tag for one IOD; `descriptors` false: free text goes instead of being cleaned."""
        result = {tag: self._row_action(tag, row, types_column, descriptors) for tag, row in self.rows.items()}
        result |= self.text
        for tag, verb in self.rules.items():
            fallback = result[tag].fallback if tag in result else "remove"
            result[tag] = Action(verb, fallback)
        return result

    def _row_action(self, tag: int, row: Mapping[str, str], column: str, descriptors: bool) -> Action:
        """The row's action under the options in force: K or C of an option column beats the basic profile."""
        base = self._basic(tag, row["basic_profile"], column)
        fallback = base if base in ("empty", "dummy") else "remove"
        if row["rtn_pat_chars"] == "K":
            return Action("words" if row["vr"] in TEXT_VRS else "keep", fallback)
        if row["rtn_pat_chars"] == "C":
            return Action("remove")  # free text about the person
        if row["rtn_long_modif_dates"] == "C" and row["vr"] in ("DA", "DT", "TM"):
            return Action("keep" if row["vr"] == "TM" else "shift", fallback)
        if row["clean_desc"] == "C" and descriptors and row["vr"] in TEXT_VRS:
            return Action("words", fallback)
        return Action(base, fallback)

    def _basic(self, tag: int, letters: str, column: str) -> str:
        """Basic action; a compound one is settled by the attribute's type: 1 dummy or UID, 2 empty, else remove."""
        choices = letters.replace("*", "").split("/")
        if len(choices) == 1:
            return BASIC[letters]
        kind = self.types.get(tag, {}).get(column, "")[:1]
        wanted = {"1": ("D", "U", "Z"), "2": ("Z", "D", "U")}.get(kind, ("X", "Z", "D"))
        return BASIC[next(letter for letter in wanted if letter in choices)]


def tag_of(text: str) -> int:
    """Integer of `gggg,eeee`."""
    group, element = text.split(",")
    return int(group, 16) << 16 | int(element, 16)


def read_rows(name: str) -> list[dict[str, str]]:
    """Lines of one of the TSV tables."""
    with (FOLDER / name).open(encoding="utf-8", newline="") as stream:
        return [{k: v or "" for k, v in row.items()} for row in csv.DictReader(stream, delimiter="\t")]


def is_wildcard(row: Mapping[str, str]) -> bool:
    """True for the four rows that stand for many tags: curves, overlays, private attributes."""
    return not re.fullmatch(r"[0-9A-F]{4},[0-9A-F]{4}", row["tag"])


@cache
def load_policy() -> Policy:
    """The policy of this version of the project; ValueError where a table holds something that the engine lacks."""
    given = yaml.safe_load((FOLDER / "policy.yaml").read_text(encoding="utf-8"))
    rows = {tag_of(row["tag"]): row for row in read_rows("ps3_15_table_e1_1.tsv") if not is_wildcard(row)}
    types = {tag_of(row["tag"]): row for row in read_rows("attribute_types_for_compound_actions.tsv")}
    safe_private = dict(_safe_private())
    return Policy(
        edition=given["edition"],
        options=tuple((o["code"], o["meaning"]) for o in given["options"]),
        rows=rows,
        types=types,
        iods={uid: (iod["modality"], iod["types"]) for uid, iod in given["iods"].items()},
        rules={tag_of(tag): verb for tag, (verb, _) in given["rules"].items()},
        text={tag_of(tag): Action(*way.split()) for tag, way in given["text"].items()},
        coding_schemes=frozenset(given["coding_schemes"]),
        bulk=frozenset(map(tag_of, given["bulk"])),
        safe_private=safe_private,
        private_places=frozenset(p for group, _, low in safe_private for p in (group, (group, low))),
        without_creator=dict(_without_creator(given["without_creator"])),
        vocabulary=_vocabulary(),
        gate=given["gate"],
        shortest_name=given["search"]["shortest_name"],
        shortest_id=given["search"]["shortest_id"],
        neutral=frozenset(given["search"]["neutral"]),
        searched={tag_of(tag): whose for whose in ("own", "place") for tag in given["search"][whose]},
    )


def _safe_private() -> Iterator[tuple[tuple[int, str, int], SafePrivate]]:
    for row in read_rows("ps3_15_safe_private.tsv"):
        group, element = row["tag"].split(",")
        if row["vr"] and row["vr"].encode() not in VRS:
            raise ValueError(f"ps3_15_safe_private.tsv: unknown VR {row['vr']!r} of {row['tag']}")
        key = (int(group, 16), row["private_creator"], int(element[2:], 16))
        yield key, SafePrivate(row["vr"], row["carries_date"].startswith("yes"))


def _without_creator(listed: list[Mapping[str, Any]]) -> Iterator[tuple[tuple[int, int], tuple[str, str]]]:
    for entry in listed:
        for element in entry["elements"]:
            yield (int(entry["group"], 16), int(element, 16)), (entry["creator"], entry["manufacturer"])


def _vocabulary() -> Vocabulary:
    words: set[str] = set()
    patterns = []
    for line in (FOLDER / "descriptor_words.txt").read_text(encoding="utf-8").splitlines():
        if line.startswith("~"):
            patterns.append(re.compile(line[1:]))
        elif not line.startswith("#"):
            words.update(word.casefold() for word in line.split())
    return Vocabulary(frozenset(words), tuple(patterns))
