"""What an output says about its own de-identification (PS3.3 C.12.1.1.1 and C.7.1.1)."""

from __future__ import annotations

from osteorad.dicom.elements import Element
from osteorad.dicom.policy import Policy

RECOGNIZABLE = 0x00280302
CLEAN_FEATURES = ("113102", "Clean Recognizable Visual Features Option")


def method_elements(policy: Policy, version: str, *, faceless: bool = False) -> list[Element]:
    """What says in the output that and how identity was removed, and the output's character set.

    faceless : the head was blanked, or none is shown. The caller then drops what the input says of it.
    """
    options = sorted([*policy.options, CLEAN_FEATURES]) if faceless else policy.options
    codes = [
        [
            Element(0x00080100, "SH", code.encode()),
            Element(0x00080102, "SH", b"DCM"),
            Element(0x00080104, "LO", m.encode()),
        ]
        for code, m in options
    ]
    return [
        Element(0x00080005, "CS", b"ISO_IR 192"),
        Element(0x00120062, "CS", b"YES"),
        Element(0x00120063, "LO", f"osteorad {version}, {policy.edition}".encode()),
        Element(0x00120064, "SQ", codes),
        *([Element(RECOGNIZABLE, "CS", b"NO")] if faceless else []),
        Element(0x00280303, "CS", b"MODIFIED"),
    ]
