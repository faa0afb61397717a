"""Positron emitters: names, codes and physical half-lives; tracers by their codes and names.

Half-lives: seconds, evaluated nuclear data (DDEP); codes: DICOM PS3.16, CID 4020 and CID 4021.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from osteorad.errors import SetAside

HALF_LIFE_S = {
    "C-11": 1221.8,
    "N-13": 597.9,
    "O-15": 122.3,
    "F-18": 6586.2,
    "Cu-62": 580.2,
    "Cu-64": 45721.0,
    "Ga-68": 4057.7,
    "Rb-82": 75.45,
    "Y-86": 53064.0,
    "Zr-89": 282280.0,
    "I-124": 360850.0,
}
TOLERANCE = 0.01
_CODES = {  # SRT and SNOMED CT
    **{"C-105A1": "C-11", "40565003": "C-11", "C-107A1": "N-13", "21576001": "N-13", "C-B1038": "O-15"},
    **{"129504001": "O-15", "C-111A1": "F-18", "77004003": "F-18", "422934004": "Cu-62", "C-127A2": "Cu-64"},
    **{"3932008": "Cu-64", "C-131A3": "Ga-68", "35337001": "Ga-68", "C-159A2": "Rb-82", "79197006": "Rb-82"},
    **{"10738001": "Y-86", "C-168A4": "Zr-89", "63360001": "Zr-89", "C-114A5": "I-124", "40937006": "I-124"},
}
_ELEMENTS = {
    "carbon": "C",
    "nitrogen": "N",
    "oxygen": "O",
    "fluorine": "F",
    "fluor": "F",
    "copper": "Cu",
    "gallium": "Ga",
    "rubidium": "Rb",
    "yttrium": "Y",
    "zirconium": "Zr",
    "iodine": "I",
}
# an allow-list: text of the header never leaves, only these names
_TRACERS = (
    ("FDG", r"FDG|FLU(O|ORO)?DEOXYGLUC"),
    ("PSMA", r"PSMA|DCFPYL|PIFLUFOLASTAT"),
    ("DOTATATE", r"DOTA.?TATE"),
    ("DOTATOC", r"DOTA.?TOC|EDOTREOTIDE"),
    ("DOTANOC", r"DOTA.?NOC"),
    ("FES", r"\bFES\b|FLUOROESTRADIOL"),
    ("NaF", r"\bNAF\b|SODIUM FLUORIDE"),
    ("FLT", r"\bFLT\b|FLUOROTHYMIDINE"),
    ("FAPI", r"FAPI"),
    ("choline", r"CHOLINE"),
    ("fluciclovine", r"FLUCICLOVINE"),
)
_TRACER_CODES = {
    **{"C-B1031": "FDG", "35321007": "FDG", "C-B1032": "NaF", "129501009": "NaF", "926372005": "FES"},
    **{"126759": "PSMA", "126758": "PSMA", "C116352": "PSMA", "C118961": "PSMA", "724025002": "DOTATATE"},
    **{"C2713594": "DOTATOC", "456992002": "choline", "126703": "choline", "457000009": "fluciclovine"},
}


class Header(Protocol):
    """What is asked of a radiopharmaceutical's item."""

    def raw(self, keyword: str) -> object:
        """Value by keyword."""

    def text(self, keyword: str) -> str:
        """Text by keyword."""


def _codes(drug: Header, keyword: str) -> list[tuple[str, str]]:
    """(code value, meaning) of a code sequence."""
    items = drug.raw(keyword)
    found = []
    for item in items if isinstance(items, Iterable) else []:
        found.append((str(item.get("CodeValue", "")).strip(), str(item.get("CodeMeaning", "")).strip()))
    return found


def nuclide_of(drug: Header) -> str:
    """Nuclide (`F-18`) by code or by its name; empty where unknown."""
    for code, meaning in _codes(drug, "RadionuclideCodeSequence"):
        if name := _CODES.get(code) or named_nuclide(meaning):
            return name
    return named_nuclide(drug.text("Radiopharmaceutical"))


def named_nuclide(text: str) -> str:
    """Nuclide in texts such as `^18^Fluorine`, `18F`, `F-18`, `Fluorine 18`; empty where none of the table."""
    plain = re.sub(r"[\^\[\]()_-]", " ", text)
    for mass, letters in re.findall(r"(?<!\d)(\d{2,3})\s*([A-Za-z]+)", plain):
        if name := _known(letters, mass):
            return name
    for letters, mass in re.findall(r"([A-Za-z]+)\s*(\d{2,3})(?!\d)", plain):
        if name := _known(letters, mass):
            return name
    return ""


def _known(letters: str, mass: str) -> str:
    element = _ELEMENTS.get(letters.lower(), letters.capitalize() if len(letters) <= 2 else "")
    name = f"{element}-{mass}"
    return name if name in HALF_LIFE_S else ""


def tracer_of(drug: Header) -> str:
    """Name of the tracer from a fixed list; empty where it is not on it."""
    for code, meaning in _codes(drug, "RadiopharmaceuticalCodeSequence"):
        if name := _TRACER_CODES.get(code) or _listed(meaning):
            return name
    return _listed(drug.text("Radiopharmaceutical"))


def _listed(text: str) -> str:
    return next((name for name, pattern in _TRACERS if re.search(pattern, text.upper())), "")


def half_life(nuclide: str, stated_s: float | None) -> float:
    """Half-life in seconds: the stated one where it fits the nuclide, else the nuclide's own.

    Raises SetAside: half_life_missing (neither known), half_life_implausible (more than 1 % from the nuclide, or from
    every positron emitter where the nuclide is not told).
    """
    if not stated_s:
        if not nuclide:
            raise SetAside("half_life_missing", "no half-life, no nuclide")
        return HALF_LIFE_S[nuclide]
    wanted = [HALF_LIFE_S[nuclide]] if nuclide else list(HALF_LIFE_S.values())
    if not any(abs(stated_s / value - 1.0) <= TOLERANCE for value in wanted):
        raise SetAside("half_life_implausible", f"{stated_s:g} s for {nuclide or 'an unknown nuclide'}")
    return stated_s
