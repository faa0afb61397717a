"""Words that tell nothing about a person: terms of the DICOM standard, of its vocabularies and of this program.

Read from pydicom's dictionaries and from the program's own texts, not from the lists of the de-identification.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXTS = ("resources/recipes", "resources/presets", "resources/checklists", "resources/schemas", "resources/lesions")
NAMES_INVENTED = "phantom"  # this room invents names of people: its words are no vocabulary
WORD = re.compile(r"[^\W\d_]+")
CAMEL = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")

OWN = "resources/verify/words.txt"  # of headers and tables in hospitals, not in the sources above


def folded(text: str) -> str:
    """Small letters without accents; ä, ö, ü and ß as in addresses on the web."""
    text = unicodedata.normalize("NFC", text).casefold()
    for letter, pair in (("ä", "ae"), ("ö", "oe"), ("ü", "ue"), ("ø", "oe"), ("å", "aa"), ("æ", "ae"), ("ß", "ss")):
        text = text.replace(letter, pair)
    return without_accents(text)


def without_accents(text: str) -> str:
    """Letters without the marks above and below them."""
    return "".join(c for c in unicodedata.normalize("NFKD", text) if not unicodedata.combining(c))


@cache
def vocabulary() -> frozenset[str]:
    """All harmless words, folded."""
    words = {folded(word) for text in [*_standard(), *_program()] for word in WORD.findall(text)}
    return frozenset(words | set((ROOT / OWN).read_text(encoding="utf-8").split()))


def is_standard(text: str) -> bool:
    """Whether all of a text is harmless words, letters by twos and threes, and numbers of up to four digits."""
    words = WORD.findall(text)
    numbers = re.findall(r"\d+", text)
    return all(len(w) < 4 or folded(w) in vocabulary() for w in words) and all(len(n) < 5 for n in numbers)


def _standard() -> list[str]:
    from pydicom.datadict import DicomDictionary, RepeatersDictionary
    from pydicom.sr.codedict import codes
    from pydicom.uid import UID_dictionary

    names = [entry[2] for entry in (*DicomDictionary.values(), *RepeatersDictionary.values())]
    names += [entry[0] for entry in UID_dictionary.values()]
    concepts = [keyword for scheme in ("DCM", "SCT", "UCUM") for keyword in getattr(codes, scheme).dir()]
    return [*names, *(" ".join(CAMEL.findall(keyword)) for keyword in concepts)]


def _program() -> list[str]:
    paths = [path for folder in TEXTS for path in sorted((ROOT / folder).rglob("*"))]
    paths += [p for p in sorted((ROOT / "osteorad").rglob("*")) if NAMES_INVENTED not in p.relative_to(ROOT).parts]
    texts = [p.read_text(encoding="utf-8") for p in paths if p.suffix in (".py", ".yaml", ".json", ".txt", ".html")]
    return [*texts, (ROOT / "resources/glossary.yaml").read_text(encoding="utf-8")]
