"""Contact sheet: cases from the worst to the best, each as image, reader's outline and network's outline.

The slice is the one on which the two masks differ most. Pictures are WebP inside the page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.files import read_json
from osteorad.images.volume import Grid, read_nifti
from osteorad.reporting import pictures, planes
from osteorad.reporting import report as doc
from osteorad.reporting.gallery import look_of
from osteorad.reporting.pictures import Region, Scan, slug
from osteorad.reporting.planes import Plane
from osteorad.reporting.segmentation_findings import NETWORK, ROLES, Findings
from osteorad.reporting.wording import count, plural, real

Facts = Mapping[str, Any]

TILE_PX, QUALITY = 300, 70
WORST, MIDDLE, BEST = 8, 2, 2
WINDOW_HU = (-200.0, 1000.0)
# units -> values that bound the greys; PET is dark where it is high
RANGES = {"HU": WINDOW_HU, "SUVbw": (0.0, planes.LEAST_SUV), "grey": (0.0, 255.0), "fused": (0.2, 0.5)}
READER, DRAWN = "lesion", "drawn by network"  # looks of the outlines


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """The gallery, its pixels by name, units of the images, and how many cases it was chosen from."""

    part: doc.Part
    pixels: dict[str, str]
    units: str
    shown: int
    of: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Manifests by patient: images.json, masks.json of the reference, and masks.json that the network wrote."""

    images: Mapping[str, Path]
    reference: Mapping[str, Path]
    drawn: Mapping[str, Path]


def ranked_cases(findings: Findings, network: str) -> list[Facts]:
    """Cases of a network from the worst: by Dice; without a lesion, false volume is as bad as Dice 0, none as 1."""
    keys = (network, NETWORK, findings.lesion)
    own = [row for row in findings.cases if (row["network"], row["procedure"], row["roi"]) == keys]

    def rank(row: Facts) -> tuple[float, float, str, str]:
        if row["dice"] is not None:
            return float(row["dice"]), 0.0, row["patient"], row["session"]
        false = float(row["false_positive_ml"] or 0.0)
        return (0.0 if false else 1.0), -false, row["patient"], row["session"]

    return sorted(own, key=rank)


def chosen_cases(ranked: Sequence[Facts]) -> list[Facts]:
    """The worst, some of the middle and the best, in that order; all where they are few."""
    if len(ranked) <= WORST + MIDDLE + BEST:
        return list(ranked)
    rest = ranked[WORST:-BEST]
    middle = (len(rest) - MIDDLE) // 2
    return [*ranked[:WORST], *rest[middle : middle + MIDDLE], *ranked[-BEST:]]


def draw_sheet(findings: Findings, network: str, files: Files) -> Sheet:
    """The contact sheet of one network."""
    ranked = ranked_cases(findings, network)
    chosen = chosen_cases(ranked)
    pixels: dict[str, str] = {}
    units = "HU"
    groups = []
    for row in chosen:
        scan, reference, drawn = _read(findings, row, files)
        units = scan.units
        groups.append(_group(findings, row, (scan, reference, drawn), pixels))
    legend = [
        {"roi": words, "color": look_of(roi)[0], "dash": look_of(roi)[1] or "none"}
        for roi, words in ((READER, "reader"), (DRAWN, f"network {network}"))
    ]
    part = {
        "kind": "gallery",
        "id": "contact-sheet",
        "size": "large",
        "legend": legend,
        "groups": groups,
        "caption": f"{network}, worst cases first: image, reader's outline, network's outline; the axial slice on "
        "which the two differ most. R: the patient's right.",
    }
    return Sheet(part=part, pixels=pixels, units=units, shown=len(chosen), of=len(ranked))


def _group(
    findings: Findings, row: Facts, read: tuple[Scan, Region | None, Region | None], pixels: dict[str, str]
) -> dict[str, Any]:
    """One case: three tiles of the same plane. read : image, reference, what was drawn."""
    patient, session = row["patient"], row["session"]
    scan, reference, drawn = read
    level = _level(scan, reference, drawn)
    shown = [region for region in (reference, drawn) if region is not None]
    plane = pictures.close_plane(pictures.body_plane(scan, level, TILE_PX), shown)
    name = slug("sheet", patient, session)
    pixels[name] = planes.webp_base64(_grey(scan, plane), QUALITY)
    items = [
        _item(name, plane, patient, words, order, region)
        for order, (words, region) in enumerate((("image", None), ("reader", reference), ("network", drawn)))
    ]
    return {
        "label": f"{patient}, {session}",
        "sub": _words(findings, row),
        "href": f"../../cohorts/{row['cohort']}/pages/{patient}.html",
        "items": items,
        "dice": row["dice"],
        "role": row["role"],
    }


def _item(name: str, plane: Plane, patient: str, words: str, order: int, region: Region | None) -> dict[str, Any]:
    outlines = pictures.outlines_on(plane, [region], labels=False) if region is not None else []
    label = words if order == 0 or outlines else f"{words}: nothing here"
    item = pictures.picture_item(
        f"{name}-{order}",
        "image",
        plane,
        outlines,
        subject=f"Patient {patient}, {words}",
        label=label,
        full_letters=False,
    )
    return {**item, "picture": name}


def _words(findings: Findings, row: Facts) -> str:
    """What the scores say of a case."""
    lesion, role = findings.lesion, ROLES[row["role"]]
    if row["dice"] is None:
        told = f"no {lesion}; {plural(row['false_positives'], 'false positive')}, {real(row['false_positive_ml'])} mL"
        return f"{role}: {told}"
    return (
        f"{role}: Dice {real(row['dice'])}, {count(row['detected'])} of {plural(row['lesions'], lesion)} found, "
        f"{plural(row['false_positives'], 'false positive')}"
    )


def _read(findings: Findings, row: Facts, files: Files) -> tuple[Scan, Region | None, Region | None]:
    """The image of a case, the union of its reference masks, and that of what the network drew."""
    patient, session = row["patient"], row["session"]
    manifest = files.images[patient]
    entries = [e for e in read_json(manifest)["images"] if (e["session"], e["image"]) == (session, _image(findings))]
    array, grid = read_nifti(manifest.parent / entries[0]["path"])
    scan = Scan(image=row["image"], units=entries[0]["units"], array=array, grid=grid, regions=())
    unions = [
        _union(manifests[patient], row, grid, roi)
        for manifests, roi in ((files.reference, READER), (files.drawn, DRAWN))
    ]
    return scan, unions[0], unions[1]


def _image(findings: Findings) -> str:
    return str(findings.recipe["segmentation"]["image"])


def _union(manifest: Path, row: Facts, grid: Grid, look: str) -> Region | None:
    """All lesions of a case as one region; None where there is none."""
    where = (row["session"], row["image"], row["roi"])
    paths = [m["path"] for m in read_json(manifest)["masks"] if (m["session"], m["image"], m["roi"]) == where]
    whole = np.zeros(grid.shape, dtype=bool)
    for path in paths:
        whole |= np.asarray(read_nifti(manifest.parent / path)[0]) != 0
    return _region(whole, grid, row["image"], look)


def _region(mask: NDArray[np.bool_], grid: Grid, image: str, look: str) -> Region | None:
    spans = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(other for other in range(3) if other != axis)))
        if not used.size:
            return None
        spans.append(slice(int(used[0]), int(used[-1]) + 1))
    crop = np.ascontiguousarray(mask[tuple(spans)]).astype(np.uint8)
    i, j, k = (span.start for span in spans)
    return Region(
        image=image,
        roi=look,
        lesion=1,
        array=crop,
        start=(i, j, k),
        grid=grid,
        volume_ml=float(crop.sum()) * grid.voxel_ml,
    )


def _level(scan: Scan, reference: Region | None, drawn: Region | None) -> tuple[float, float, float]:
    """The middle of the largest cross-section of what only one of the two holds, else of what both hold."""
    whole = [_filled(region, scan.grid) for region in (reference, drawn)]
    differing = _region(whole[0] ^ whole[1], scan.grid, scan.image, DRAWN)
    region = differing or reference
    return pictures.image_middle(scan) if region is None else pictures.key_point(region)


def _filled(region: Region | None, grid: Grid) -> NDArray[np.bool_]:
    mask = np.zeros(grid.shape, dtype=bool)
    if region is not None:
        at = tuple(slice(begin, begin + size) for begin, size in zip(region.start, region.array.shape, strict=True))
        mask[at] = region.array > 0
    return mask


def _grey(scan: Scan, plane: Plane) -> NDArray[np.uint8]:
    """Pixels of the image on a plane."""
    low, high = RANGES[scan.units]
    values = np.nan_to_num(planes.sample_image(scan.array, scan.grid, plane, low))
    if scan.units == "SUVbw":
        return planes.grey_pet(values, high)
    return (np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def window_words(units: str) -> str:
    """How the pictures are scaled."""
    low, high = (real(value, 1 if units == "fused" else 0) for value in RANGES[units])
    words = {"HU": "{} to {} HU", "SUVbw": "SUV {} to {}, dark is high", "grey": "grey values {} to {}"}
    return "window " + words.get(units, "{} to {}").format(low, high)
