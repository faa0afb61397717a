"""Which objects may pass at all. One that may show or tell who someone is goes whole, never cleaned and passed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from osteorad.dicom.elements import DicomFile, Element, by_tag
from osteorad.dicom.policy import Policy
from osteorad.dicom.values import decoder, plain
from osteorad.errors import SetAside

CONTOUR_MODALITIES = ("RTSTRUCT", "SEG")
KNOWN_MODALITIES = frozenset({"CR", "DX", "ECG", "ES", "IVUS", "MG", "MR", "NM", "OT", "PX", "REG", "RF", "RTDOSE"})
KNOWN_MODALITIES |= {"RTIMAGE", "RTPLAN", "RTRECORD", "RWV", "SM", "US", "XA", "XC", "CT", "PT"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Header values that decide about a file; identity, for use inside private jobs only."""

    modality: str
    sop_class: str
    sop_uid: str
    series_uid: str
    study_uid: str
    source_patient_id: str
    issuer: str
    image_type: tuple[str, ...]
    description: str
    burned_in: bool
    recognizable: bool
    located: bool  # position and orientation are there, or per-frame groups that hold them
    grey: bool
    overlay_in_pixels: bool

    @property
    def part(self) -> str:
        """Which job handles the file: `contours` for RTSTRUCT and SEG, else `images`."""
        return "contours" if self.modality in CONTOUR_MODALITIES else "images"


def facts_of(file: DicomFile) -> Facts:
    """Facts of a file, of what could be read of it."""
    found = by_tag(file.elements)
    decode = decoder(_raw(found, 0x00080005))

    def text(tag: int) -> str:
        return decode(plain(_raw(found, tag))).strip()

    return Facts(
        modality=text(0x00080060).upper(),
        sop_class=text(0x00080016),
        sop_uid=text(0x00080018),
        series_uid=text(0x0020000E),
        study_uid=text(0x0020000D),
        source_patient_id=text(0x00100020),
        issuer=text(0x00100021),
        image_type=tuple(p.strip().upper() for p in text(0x00080008).split("\\")),
        description=text(0x0008103E),
        burned_in=text(0x00280301).upper() == "YES",
        recognizable=text(0x00280302).upper() == "YES",
        located=(0x00200032 in found and 0x00200037 in found) or 0x52009229 in found or 0x52009230 in found,
        grey=_short(found, 0x00280002) in (None, 1) and text(0x00280004) in ("", "MONOCHROME1", "MONOCHROME2"),
        overlay_in_pixels=any(t >> 16 & 0xFF00 == 0x6000 and t & 0xFFFF == 0x0102 and _short(found, t) for t in found),
    )


def _raw(found: Mapping[int, Element], tag: int) -> bytes:
    element = found.get(tag)
    return b"" if element is None or isinstance(element.value, list) else bytes(element.value)


def _short(found: Mapping[int, Element], tag: int) -> int | None:
    raw = _raw(found, tag)
    return int.from_bytes(raw[:2], "little") if len(raw) >= 2 else None


def refuse_other_part(facts: Facts, part: str) -> None:
    """Raise SetAside `dicom_unreadable` where the index found contours and this reading an image, or the other way."""
    if facts.part != part:
        raise SetAside("dicom_unreadable", "its modality can be read in two ways")


def refuse_unplaced(facts: Facts) -> None:
    """Raise SetAside `identity_missing` where the object cannot be placed; the detail names the empty attributes."""
    needed = {
        "PatientID": facts.source_patient_id,
        "StudyInstanceUID": facts.study_uid,
        "SeriesInstanceUID": facts.series_uid,
        "SOPInstanceUID": facts.sop_uid,
    }
    if empty := [name for name, value in needed.items() if not value]:
        raise SetAside("identity_missing", "empty: " + ", ".join(empty))


def refuse_objects(facts: Facts, policy: Policy) -> None:
    """Raise SetAside for objects of a kind that never passes: documents, reports, saved screens, other modalities."""
    beginnings = [b for b in policy.gate["sop_classes"] if f"{facts.sop_class}.".startswith(f"{b}.")]
    if beginnings:
        raise SetAside(policy.gate["sop_classes"][max(beginnings, key=len)])
    if facts.modality in policy.gate["modalities"]:
        raise SetAside(policy.gate["modalities"][facts.modality])
    if facts.sop_class not in policy.iods:
        raise SetAside("modality_unsupported", _shown_modality(facts.modality))
    modality = policy.iods[facts.sop_class][0]
    if modality != facts.modality:
        raise SetAside("modality_unsupported", f"the class is of {modality}, the modality says otherwise")
    if facts.part == "images":
        _refuse_screens(facts, policy)
        if not facts.grey:
            raise SetAside("palette_unsupported")


def _refuse_screens(facts: Facts, policy: Policy) -> None:
    if any(kind in policy.gate["image_types"] for kind in facts.image_type):
        raise SetAside("screen_save", "by its image type")
    if facts.image_type[:2] == ("DERIVED", "SECONDARY") and not facts.located:
        raise SetAside("screen_save", "derived, without position or orientation")
    if any(re.search(pattern, facts.description, re.IGNORECASE) for pattern in policy.gate["descriptions"]):
        raise SetAside("screen_save", "by its description")


def refuse_pixels(facts: Facts) -> None:
    """Raise SetAside where the header says that the pixels themselves may identify."""
    if facts.burned_in:
        raise SetAside("burned_in")
    if facts.recognizable:
        raise SetAside("recognizable_features")
    if facts.overlay_in_pixels:
        raise SetAside("burned_in", "an overlay lies in unused bits of the pixels")


def _shown_modality(modality: str) -> str:
    """The modality where it is one of the standard's codes; other header text is not repeated."""
    return modality if modality in KNOWN_MODALITIES else ""
