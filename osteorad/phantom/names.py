"""Names that hospitals give to contours, and the patterns that map them to ROIs."""

from __future__ import annotations

from collections.abc import Sequence

from osteorad.phantom.headers import Visit
from osteorad.phantom.lesions import Lesion

# What a phantom cohort needs under `rois` in config.yaml. With `bone: true` also `bone: ["*bone*"]`, behind them: one
# hospital calls the marrow BONE MARROW, and the first ROI that fits wins.
ROI_PATTERNS = {"marrow": ["*marrow*"], "lesion": ["met *", "lesion*", "gtv*"]}
BONE_NAME = "bone-1"  # of the mask file of all bone


def roi_names(visit: Visit, lesions: Sequence[Lesion], modality: str) -> dict[str, str]:
    """Name of each region ('heart', 'marrow', 'lesion-1' ...) in ROI-number order, CT and PET in the same order."""
    facts = visit.facts
    who = visit.plants.text("(3006,0026)", visit.person.plain_surname.title())
    level, pet = facts.marrow_level, modality == "PT"
    names = {"heart": f"Heart {who}" + (" PET" if pet else "")}
    names["marrow"] = {
        "siemens": f"{level} marrow",
        "ge": f"Marrow_{level}",
        "philips": f"BONE MARROW {level}",
    }[facts.vendor] + (" PET" if pet else "")
    for lesion in lesions:
        n, place = lesion.number, lesion.location
        names[f"lesion-{n}"] = {
            "siemens": f"GTV_Mass_PET {n}" if pet else f"Met {n}",
            "ge": f"Lesion_{n}_pet" if pet else f"Lesion {n} {place}",
            "philips": f"GTV PET {n} " if pet else f"lesion {n} {place} {who}",
        }[facts.vendor]
    return names
