"""Contours of a patient under their own names, and the masks that were drawn of them; sees identity.

Own names come from the private file that `deidentify_contours` wrote, from the objects themselves where the source
holds no identity, and from mask files.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydicom import dcmread

from osteorad.cohort.lesions import NamedContour
from osteorad.dicom.mask_files import BROKEN, mask_paths, own_names, stem_of
from osteorad.files import read_json

log = logging.getLogger(__name__)
TAGS = ("StructureSetROISequence", "SegmentSequence")


def contours_of_cohort(
    masks: Sequence[Path], contours: Sequence[Path], names: Sequence[Path], source_root: Path, mask_folder: str
) -> dict[str, list[NamedContour]]:
    """Patient -> `named_contours`; manifests and private files (or none of these) in one order of patients.

    mask_folder : the folder of a patient's mask files, with `{patient}` in it.
    """
    private: Sequence[Path | None] = names or [None] * len(masks)
    found = {}
    for drawn, objects, own in zip(masks, contours, private, strict=True):
        patient = str(read_json(drawn)["patient"])
        folder = Path(mask_folder.format(patient=patient))
        found[patient] = named_contours(drawn, objects, own, source_root, folder)
    return found


def named_contours(
    masks: Path, contours: Path, names: Path | None, source_root: Path, mask_folder: Path
) -> list[NamedContour]:
    """Every contour of a patient's set `manual` that has a name, once a mask; one without mask stands without ROI.

    masks, contours : masks.json and contours.json. names : the private file of contour names; None where the objects
    keep their own. mask_folder : the patient's mask files, which may not exist.
    """
    drawn: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for mask in read_json(masks)["masks"]:
        place = (mask["object"], mask["number"]) if "object" in mask else ("file", mask["file"])
        drawn.setdefault(place, []).append(mask)
        if "replaces" in mask:
            drawn.setdefault((mask["replaces"]["object"], mask["replaces"]["number"]), []).append(mask)
    found: list[NamedContour] = []
    for uid, number, name in _object_names(read_json(contours), names, contours.parent, source_root):
        found += [_named(name, mask) for mask in drawn.get((uid, number), [])] or [NamedContour(name=name)]
    for index, path in enumerate(mask_paths(mask_folder) if mask_folder.is_dir() else [], start=1):
        regions = _region_names(path)
        found += [
            _named(regions.get((mask["layer"], mask["value"]), stem_of(path)), mask)
            for mask in drawn.get(("file", index), [])
        ] or [NamedContour(name=stem_of(path))]
    return found


def _named(name: str, mask: Mapping[str, Any]) -> NamedContour:
    return NamedContour(
        name=name, session=mask["session"], image=mask["image"], roi=mask["roi"], lesion=int(mask["lesion"])
    )


def _object_names(
    manifest: Mapping[str, Any], names: Path | None, folder: Path, source_root: Path
) -> Iterator[tuple[str, int, str]]:
    """Instance, ROI number and name of every contour object's ROIs."""
    if names is not None:
        for uid, listed in read_json(names)["names"].items():
            yield from ((uid, int(number), name) for number, name in listed)
        return
    root = source_root if manifest["root"] == "source" else folder
    for row in manifest["files"]:
        header = dcmread(root / row["path"], specific_tags=list(TAGS), stop_before_pixels=True)
        for item in header.get("StructureSetROISequence") or ():
            yield row["sop_uid"], int(item.get("ROINumber", 0)), str(item.get("ROIName", ""))
        for item in header.get("SegmentSequence") or ():
            yield row["sop_uid"], int(item.get("SegmentNumber", 0)), str(item.get("SegmentLabel", ""))


def _region_names(path: Path) -> dict[tuple[int, int], str]:
    try:
        return own_names(path)
    except BROKEN as error:
        # `draw_masks` told of the file already; here its stem is the only name left
        log.info("a mask file has no readable names: %s", type(error).__name__)
        return {}
