"""Values of a DICOM data set by keyword, tolerant of texts that are no numbers and of functional groups."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException

from osteorad.errors import SetAside

BAD_VALUE = (ValueError, TypeError, OverflowError, ArithmeticError, NotImplementedError, BytesLengthException)


class Lookup:
    """Values of one plane by keyword: its own functional groups, then the shared ones, then the top level."""

    def __init__(self, ds: Dataset, own: Mapping[str, Any], shared: Mapping[str, Any]) -> None:
        self.ds = ds
        self._levels = (own, shared)

    def raw(self, keyword: str) -> Any:
        """Value or None; SetAside(invalid_value) where it cannot be parsed."""
        for level in self._levels:
            if level.get(keyword) not in (None, ""):
                return level[keyword]
        try:
            return self.ds.get(keyword)
        except BAD_VALUE:
            raise SetAside("invalid_value", keyword) from None

    def text(self, keyword: str) -> str:
        """Value as text, of several the first; empty where absent."""
        value = self.texts(keyword)
        return value[0] if value else ""

    def texts(self, keyword: str) -> tuple[str, ...]:
        """All values as text, blanks stripped."""
        return as_texts(self.raw(keyword))

    def number(self, keyword: str) -> float | None:
        """First value as a finite number; None where absent, SetAside(invalid_value) where it is no number."""
        values = self.numbers(keyword)
        return values[0] if values else None

    def numbers(self, keyword: str) -> tuple[float, ...]:
        """All values as finite numbers."""
        return as_numbers(self.raw(keyword), keyword)

    def fact(self, keyword: str) -> float | None:
        """A number that is only told, never computed with: None where it is wrong."""
        try:
            return self.number(keyword)
        except SetAside:
            return None


def as_texts(value: Any) -> tuple[str, ...]:
    """Texts of a DICOM value, whatever its representation."""
    if value is None:
        return ()
    if isinstance(value, bytes):
        value = value.decode("latin-1").split("\\")
    values = value if isinstance(value, Sequence) and not isinstance(value, str) else [value]
    texts = tuple(str(v).strip(" \0\t\r\n") for v in values)
    return texts if any(texts) else ()


def as_numbers(value: Any, name: str) -> tuple[float, ...]:
    """Finite numbers of a DICOM value; SetAside(invalid_value) where one is none."""
    try:
        numbers = tuple(float(text) for text in as_texts(value))
    except ValueError:
        raise SetAside("invalid_value", name) from None
    if not all(math.isfinite(number) for number in numbers):
        raise SetAside("invalid_value", name)
    return numbers


def groups_of(items: Any) -> dict[str, Any]:
    """Keyword -> value over all functional groups of one item (the first item of each group's sequence)."""
    found: dict[str, Any] = {}
    for group in (items or [])[:1]:
        for element in group:
            if element.VR != "SQ" or not element.value:
                continue
            if element.keyword not in ("RealWorldValueMappingSequence", "ConversionSourceAttributesSequence"):
                found.update(_flat(element.value[0]))
    return found


def _flat(item: Dataset) -> Iterator[tuple[str, Any]]:
    for tag in item.keys():  # noqa: SIM118  (iterating a Dataset would convert every element)
        keyword = keyword_for_tag(tag)
        if keyword:
            try:
                yield keyword, item[tag].value
            except BAD_VALUE:
                yield keyword, "invalid"
