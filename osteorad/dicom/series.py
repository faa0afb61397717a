"""Which series of a session becomes its CT and its PET: hard filters, then a score whose parts are kept.

A candidate is one stack of a series; most series have one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from osteorad.cohort.series_table import IMAGE_NAME, NO, YES
from osteorad.dicom.headers import Frame
from osteorad.dicom.stack import Stack, is_localizer
from osteorad.errors import ConfigError

AXIAL_COSINE = float(np.cos(np.radians(45.0)))
# in the values 3 and more of Image Type: not the reconstruction of one acquisition, or not HU
_DERIVED = re.compile(
    r"\b(MPR|REFORMAT(TED)?|MIP|MINIP|MIN_IP|PROJECTION( IMAGE)?|REPROJECTION|SUBTRACTION|VOLUME_RENDERING|VRT|3D"
    r"|PERFUSION|RCBF|RCBV|MTT|TTP|FUSED|FUSION|SCREEN|DOSE)\b"
)
PREFIX = {"CT": "ct", "PT": "pet"}

_BONE = re.compile(
    r"^(FC(30|31|35|80|81|82)|BONE|BONEPLUS|EDGE|ULTRA|DETAIL|B[6-9]\d|[BHUIDQ][A-Z]?(5[6-9]|[6-9]\d)|Y[A-E]|[DE]$|.*SHARP)"
)
_LUNG = re.compile(r"^(FC5\d|LUNG|CHST|B[BL]\d\d|L$|.*LUNG)")
_SOFT = re.compile(
    r"^(FC[01]\d|FC2\d|STANDARD|STND|SOFT|B[1-4]\d|[BHUIDQ][A-Z]?[1-4]\d|[ABC]$|.*(SOFT|SMOOTH|STANDARD))"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Override:
    """What `series.tsv` says about a series."""

    take: bool | None = None
    image: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidate:
    """One stack of a series on its way to an image."""

    name: str  # of the series, with -2, -3 for further stacks
    uid: str
    session: str
    modality: str
    files: int
    frames: tuple[Frame, ...] = ()
    stack: Stack | None = None
    image: str = ""
    state: str = ""
    reason: str = ""
    detail: str = ""
    score: float | None = None
    parts: Mapping[str, float] = field(default_factory=dict)

    def aside(self, state: str, reason: str, detail: str = "") -> Candidate:
        """The same candidate, set aside."""
        return replace(self, state=state, reason=reason, detail=detail)


def read_overrides(rows: Sequence[Mapping[str, Any]], patient: str) -> dict[str, Override]:
    """Series -> what `series.tsv` says; rows of other patients are skipped.

    Raises ConfigError for a word in `take` or a name in `image` that means nothing; `cohort.check` tells the lines.
    """
    found: dict[str, Override] = {}
    for row in rows:
        texts = {key: str(value or "").strip() for key, value in row.items()}
        if not texts.get("series") or texts.get("patient", patient) not in ("", patient):
            continue
        take, image = texts.get("take", "").lower(), texts.get("image", "").lower()
        if take not in (*YES, *NO, "") or (image and not IMAGE_NAME.fullmatch(image)):
            raise ConfigError("series.tsv: take or image means nothing. Wanted: yes, no; ct, pet, ct-2, pet-2.")
        chosen = True if take in YES or (image and not take) else False if take in NO else None
        found[texts["series"]] = Override(take=chosen, image=image)
    return found


def override_of(candidate: Candidate, overrides: Mapping[str, Override]) -> Override:
    """Override of a stack: under its own name, or under that of its series."""
    whole = candidate.name.split("-")[0]
    return overrides.get(candidate.name) or overrides.get(whole) or Override()


def filter_reason(candidate: Candidate) -> tuple[str, str] | None:
    """Reason and detail of a hard filter: scout, derived image, other plane; None where the stack may be chosen."""
    first = candidate.frames[0]
    if is_localizer(first):
        return "localizer_excluded", "\\".join(first.image_type)
    words = [word for word in first.image_type[2:] if _DERIVED.search(word)]
    if first.pet is not None:
        words += [word for word in first.pet.series_type if word == "REPROJECTION"]
    if words:
        return "derived_not_chosen", "\\".join(words)
    if candidate.stack is not None and abs(float(candidate.stack.normal[2])) < AXIAL_COSINE:
        return "reformat_not_chosen", plane_name(candidate.stack)
    return None


def plane_name(stack: Stack) -> str:
    """axial, coronal or sagittal, by the largest part of the normal."""
    return ("sagittal", "coronal", "axial")[int(np.argmax(np.abs(stack.normal)))]


def kernel_class(kernel: str) -> str:
    """soft, bone, lung, or empty where the kernel's name tells nothing; by the makers' usual names."""
    name = kernel.strip().upper()
    for kind, pattern in (("lung", _LUNG), ("bone", _BONE), ("soft", _SOFT)):
        if pattern.match(name):
            return kind
    return ""


def score(candidate: Candidate, *, kernel: str, partner_frames: set[str]) -> dict[str, float]:
    """Parts of a stack's score; more is better.

    kernel : soft, bone or any. partner_frames : frames of reference of the other modality in this session.
    """
    stack = candidate.stack
    if stack is None:
        return {}
    first = candidate.frames[0]
    thickness = max(stack.slice_spacing_mm, first.facts.slice_thickness_mm or 0.0)
    parts = {
        "thin": 30.0 if thickness <= 3.05 else 15.0 if thickness <= 5.05 else 0.0,
        "coverage": round(20.0 * min(stack.slice_spacing_mm * len(stack.frames), 2000.0) / 2000.0, 2),
        "slices": round(10.0 * min(len(stack.frames), 1000) / 1000.0, 2),
        "same_frame": 25.0 if first.frame_of_reference and first.frame_of_reference in partner_frames else 0.0,
        "original": 10.0 if "ORIGINAL" in first.image_type else 0.0,
        "straight": 5.0 if abs(float(stack.normal[2])) > np.cos(np.radians(20.0)) else 0.0,
        "lossless": 0.0 if first.pixels.lossy else 5.0,
    }
    if candidate.modality == "CT":
        found = kernel_class(first.facts.kernel)
        parts["kernel"] = 20.0 if kernel in ("any", found) else 10.0 if not found else 0.0
    return parts


def lost_reason(loser: Candidate, winner: Candidate) -> tuple[str, str]:
    """Why a usable series was not taken, with both scores."""
    mine, other = loser.frames[0], winner.frames[0]
    detail = f"score {loser.score:g}, {winner.name} has {winner.score:g}"
    kernels = mine.facts.kernel, other.facts.kernel
    if loser.modality == "CT" and kernels[0] != kernels[1] and mine.frame_of_reference == other.frame_of_reference:
        return "kernel_not_chosen", f"{detail}; kernel {kernels[0] or 'unknown'}, taken {kernels[1] or 'unknown'}"
    return "score_lower", detail
