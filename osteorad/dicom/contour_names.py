"""Names of contours and segments replaced by ROI labels, before the rest of the object is cleaned."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from osteorad.dicom.elements import Element, by_tag
from osteorad.dicom.roi_names import labels
from osteorad.dicom.values import plain
from osteorad.files import json_text, write_text

# sequence -> (number, name): RTSTRUCT's Structure Set ROI Sequence, SEG's Segment Sequence
PLACES = {0x30060020: (0x30060022, 0x30060026), 0x00620002: (0x00620004, 0x00620005)}
WHOLE_NUMBER = re.compile(rb"[+-]?\d{1,12}")
LAST = 1 << 48


@dataclass(frozen=True, slots=True, kw_only=True)
class Renamed:
    """Elements after renaming, the labels given, and (number, own name) of each ROI, which identify."""

    elements: list[Element]
    labels: frozenset[str]
    names: tuple[tuple[int, str], ...]


def rename_contours(
    elements: list[Element], patterns: Mapping[str, list[str]], decode: Callable[[bytes], str]
) -> Renamed:
    """Elements with `<roi>-<n>` in the place of each ROI name.

    Numbers count in the order of ROI (segment) numbers, within one object; a name that no pattern matches becomes
    `roi-<n>`. decode : bytes of text to str, under the object's character set.
    """
    given: set[str] = set()
    own: list[tuple[int, str]] = []
    result = []
    for e in elements:
        if e.tag in PLACES and isinstance(e.value, list):
            number_tag, name_tag = PLACES[e.tag]
            items, new, names = _renamed(e.value, number_tag, name_tag, patterns, decode)
            given.update(new)
            own += names
            result.append(Element(e.tag, "SQ", items))
        else:
            result.append(e)
    return Renamed(elements=result, labels=frozenset(given), names=tuple(own))


def write_own_names(path: Path, patient: str, names: Mapping[str, Sequence[tuple[int, str]]]) -> None:
    """Write the private file of a patient's contour names: de-identified instance UID -> [[ROI number, own name]]."""
    listed = {uid: [list(pair) for pair in names[uid]] for uid in sorted(names)}
    write_text(path, json_text({"patient": patient, "names": listed}), mode=0o600)


def _renamed(
    items: list[list[Element]],
    number_tag: int,
    name_tag: int,
    patterns: Mapping[str, list[str]],
    decode: Callable[[bytes], str],
) -> tuple[list[list[Element]], list[str], list[tuple[int, str]]]:
    order = sorted(range(len(items)), key=lambda i: (_number(items[i], number_tag), i))
    names = [_name(items[i], name_tag, decode) for i in order]
    new = dict(zip(order, labels(names, patterns), strict=True))
    renamed = []
    for i, item in enumerate(items):
        rest = [e for e in item if e.tag != name_tag]
        renamed.append(sorted([*rest, Element(name_tag, "LO", new[i].encode())], key=lambda e: e.tag))
    own = [(_number(items[i], number_tag), name) for i, name in zip(order, names, strict=True)]
    return renamed, list(new.values()), own


def _name(item: list[Element], tag: int, decode: Callable[[bytes], str]) -> str:
    element = by_tag(item).get(tag)
    return "" if element is None or isinstance(element.value, list) else decode(plain(bytes(element.value)))


def _number(item: list[Element], tag: int) -> int:
    """ROI number (IS) or segment number (US); items without a readable one come last."""
    element = by_tag(item).get(tag)
    if element is None or isinstance(element.value, list):
        return LAST
    raw = bytes(element.value)
    if tag == 0x00620004 and len(raw) == 2:
        return int.from_bytes(raw, "little")
    text = plain(raw)
    return int(text) if WHOLE_NUMBER.fullmatch(text) else LAST
