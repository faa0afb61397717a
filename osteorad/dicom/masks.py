"""Contours of one patient to masks on the grid of their own image; every contour object and ROI is accounted for."""

from __future__ import annotations

import re
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from osteorad.dicom.lesion_numbers import read_numbers, write_numbers
from osteorad.dicom.mask_account import Account, Labelled, Waiting, series_row
from osteorad.dicom.mask_files import (
    MaskFile,
    Region,
    draw_region,
    mask_paths,
    read_mask_file,
    regions,
    stem_of,
    target_of,
)
from osteorad.dicom.mask_images import Target, known_series, own_target, targets_of
from osteorad.dicom.roi_names import assign
from osteorad.dicom.rtstruct import Drawn, Roi, Source, contours_hash, draw_roi, lies_on_slices, read_rtstruct
from osteorad.dicom.seg import Segmentation, draw_segment, fits_grid, read_seg
from osteorad.errors import SetAside
from osteorad.files import read_json, write_json
from osteorad.images.lattice import Placement, overlap
from osteorad.images.volume import Patch
from osteorad.reasons import reason

# `Met 2`, `lesion_3`: the reader's own number, so that a file that is refused does not shift the others
READER_NUMBER = re.compile(r".*[ _-]0*(?P<number>[1-9]\d{0,3})")
NUMBERED = re.compile(r"(?P<roi>.+)-(?P<number>[1-9]\d{0,3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """What all contour objects of a patient share."""

    targets: list[Target]
    known: frozenset[str]  # names of all series, used or not
    rois: Mapping[str, list[str]]
    assigned: bool  # names are `<roi>-<n>` already, and may be shown


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A ROI of an RTSTRUCT or a segment of a SEG: how it is named, where it belongs, how it is drawn."""

    number: int
    name: str
    source: Source
    hash: str
    fits: Callable[[Target], bool]
    draw: Callable[[Target], Drawn]
    facts: Mapping[str, Any]


def draw_masks(
    images: Path,
    contours: Path,
    source_root: Path | None,
    contour_files: Path | None,
    *,
    mask_set: str,
    rois: Mapping[str, list[str]],
    out_dir: Path,
    numbers: Path | None = None,
) -> None:
    """Write the masks of one patient and, last, `masks.json`; `out_dir` is emptied first.

    images, contours : the manifests images.json and contours.json. source_root : folder of the contour objects where
    the manifest's root is "source". contour_files : folder `contours/<set>/<patient>` of mask files. rois : ROI ->
    patterns of contour names. The set "manual" takes DICOM contours and mask files, another set mask files only: a
    patient without them has no mask in it. numbers : register of the lesion numbers of this patient and set, read and
    kept; without it nothing is known of earlier runs.
    """
    image_manifest, manifest = read_json(images), read_json(contours)
    shutil.rmtree(out_dir, ignore_errors=True)
    out_dir.mkdir(parents=True)
    account = Account(out_dir)
    context = Context(
        targets=targets_of(image_manifest),
        known=known_series(image_manifest),
        rois=rois,
        assigned=manifest["roi_names"] == "assigned",
    )
    objects: list[DrawnObject] = []
    if mask_set == "manual":
        root = source_root if manifest["root"] == "source" else contours.parent
        if root is None:
            raise ValueError("contours of a source folder need its path")
        objects = draw_objects(manifest["files"], root, context, account)
    if contour_files is not None and contour_files.is_dir():
        draw_files(contour_files, context, account)
    given = account.number(read_numbers(numbers))
    if numbers is not None:
        write_numbers(numbers, image_manifest["patient"], mask_set, given)
    write_json(
        out_dir / "masks.json",
        {
            "cohort": image_manifest["cohort"],
            "patient": image_manifest["patient"],
            "set": mask_set,
            "rois_in": account.rois_in,
            "masks": sorted(account.masks, key=lambda m: (m["session"], m["image"], m["roi"], m["lesion"])),
            "series": series_rows(objects, image_manifest.get("sessions", [])),
            "set_aside": account.set_aside,
        },
    )


# --- DICOM objects ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class DrawnObject:
    """One RTSTRUCT or SEG: its ROIs that wait for numbers, and the rows of what was set aside."""

    entry: Mapping[str, Any]  # of contours.json
    waiting: Sequence[Waiting]
    lost: Sequence[Mapping[str, Any]]


def draw_objects(
    files: Sequence[Mapping[str, Any]], root: Path, context: Context, account: Account
) -> list[DrawnObject]:
    """Draw every RTSTRUCT and SEG."""
    drawn = []
    for entry in sorted(files, key=lambda entry: (entry["series"], entry["sop_uid"], entry["path"])):
        waiting, lost = len(account.waiting), len(account.set_aside)
        try:
            _draw_object(entry, root / entry["path"], context, account)
        except SetAside as problem:
            account.leave("series", entry["session"], entry["series"], problem)
        drawn.append(DrawnObject(entry=entry, waiting=account.waiting[waiting:], lost=account.set_aside[lost:]))
    return drawn


def series_rows(objects: Sequence[DrawnObject], sessions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row a series and outcome, after numbering. An object is used when one of its ROIs is."""
    by_name = {session["session"]: session for session in sessions}
    outcomes: Counter[tuple[str, str, str, tuple[str, str]]] = Counter()
    for drawn in objects:
        entry = drawn.entry
        outcomes[entry["session"], entry["series"], entry["modality"], _outcome(drawn)] += 1
    return [series_row(*key, count, by_name) for key, count in sorted(outcomes.items())]


def _outcome(drawn: DrawnObject) -> tuple[str, str]:
    """State and reason of an object."""
    if any(one.used for one in drawn.waiting):
        return "used", ""
    code = drawn.lost[0]["reason"] if drawn.lost else "contour_replaced"
    return reason(code).kind, code


def _draw_object(entry: Mapping[str, Any], path: Path, context: Context, account: Account) -> None:
    """Draw every ROI of one object; raises SetAside where the object as a whole cannot be read."""
    pieces = rtstruct_pieces(path) if entry["modality"] == "RTSTRUCT" else seg_pieces(path)
    names = [piece.name for piece in pieces]
    matches = [_assigned(name, context.rois) for name in names] if context.assigned else assign(names, context.rois)
    repeated = {name for name, count in Counter(names).items() if name and count > 1}
    drawn: list[tuple[Patch, dict[str, Any]]] = []
    for piece, match in zip(pieces, matches, strict=True):
        account.rois_in += 1
        shown = piece.name if context.assigned and NUMBERED.fullmatch(piece.name) else f"roi-{piece.number}"
        item = f"{entry['series']}/{shown}"
        try:
            if match is None:
                raise SetAside("roi_unmatched")
            target = own_target(piece.source, context.targets, context.known, session=entry["session"], fits=piece.fits)
            flags = ["roi_name_duplicate"] if piece.name in repeated else []
            flags += ["contour_above_neck"] if str(piece.number) in entry.get("above_neck", {}) else []
            flags += ["rtstruct_references_dangle"] if _dangles(piece.source, target) else []
            labelled = Labelled(
                roi=match[0],
                item=item,
                number=None,
                source=entry["modality"].lower(),
                series=entry["series"],
                hash=piece.hash,
                draw=piece.draw,
                flags=tuple(flags),
                facts={**piece.facts, "object": entry["sop_uid"], "number": piece.number},
            )
            drawn.append(account.keep(labelled, target))
        except SetAside as problem:
            account.leave("masks", entry["session"], item, problem)
    if entry["modality"] == "SEG":
        _flag_overlaps(drawn)


def _assigned(name: str, rois: Mapping[str, list[str]]) -> tuple[str, int] | None:
    """ROI and number of a name `<roi>-<n>`; None where it is no ROI of the configuration."""
    found = NUMBERED.fullmatch(name)
    if found is None or found["roi"] not in rois:
        return None
    return found["roi"], int(found["number"])


def rtstruct_pieces(path: Path) -> list[Piece]:
    """ROIs of an RTSTRUCT in the order of their numbers; raises SetAside."""

    def fits(roi: Roi, target: Target) -> bool:
        return lies_on_slices(roi, target.grid)

    def draw(roi: Roi, target: Target) -> Drawn:
        return draw_roi(roi, target.grid)

    return [
        Piece(
            number=roi.number,
            name=roi.name,
            source=roi.source,
            hash=contours_hash(roi) if roi.contours else "",
            fits=partial(fits, roi),
            draw=partial(draw, roi),
            facts={},
        )
        for roi in read_rtstruct(path)
    ]


def seg_pieces(path: Path) -> list[Piece]:
    """Segments of a SEG in the order of their numbers; raises SetAside."""

    def fits(seg: Segmentation, target: Target) -> bool:
        return fits_grid(seg, target.grid)

    def draw(seg: Segmentation, number: int, target: Target) -> Drawn:
        return draw_segment(seg, number, target.grid, target.sop_uids)

    seg = read_seg(path)
    return [
        Piece(
            number=number,
            name=name,
            source=seg.source,
            hash="",
            fits=partial(fits, seg),
            draw=partial(draw, seg, number),
            facts={"segmentation": seg.kind},
        )
        for number, name in seg.segments
    ]


def _dangles(source: Source, target: Target) -> bool:
    """True when an instance that the object names is no slice of the image.

    Where images.json does not tell the instances, more names than slices show it.
    """
    if target.sop_uids:
        return not source.sop_uids <= set(target.sop_uids)
    return max(len(source.sop_uids), source.listed) > target.grid.shape[2]


def _flag_overlaps(drawn: Sequence[tuple[Patch, dict[str, Any]]]) -> None:
    """Flag the masks of one object that share voxels."""
    for index, (patch, record) in enumerate(drawn):
        for other, other_record in drawn[index + 1 :]:
            if overlap(patch, other):
                for one in (record, other_record):
                    one["flags"] = sorted({*one["flags"], "segments_overlap"})


# --- mask files ------------------------------------------------------------------------------------------------------


def draw_files(folder: Path, context: Context, account: Account) -> None:
    """Draw every mask file of a folder; a file that cannot be read or placed is one row."""
    for index, path in enumerate(mask_paths(folder), start=1):
        # People choose file names: one is shown only where it says no more than a ROI of the configuration.
        item = stem_of(path) if _assigned(stem_of(path), context.rois) else f"file-{index}"
        try:
            mask_file = read_mask_file(path)
            target, where = target_of(mask_file, context.targets, path.relative_to(folder).parts[:-1])
            found = regions(mask_file)
            if len(found) > 1 and _assigned(mask_file.stem, context.rois) and not mask_file.names:
                raise SetAside("mask_not_binary", f"{len(found)} values in the file of one lesion")
        except SetAside as problem:
            account.rois_in += 1
            account.leave("masks", "", item, problem)
            continue
        for region in found:
            account.rois_in += 1
            shown = f"{item}/{region.value}"
            own = _assigned(mask_file.stem, context.rois) if len(found) == 1 else None
            try:
                roi, number = own or _of_region(region, context.rois)
                labelled = Labelled(
                    roi=roi,
                    item=shown,
                    number=number,
                    source="file",
                    series="",
                    hash="",
                    draw=partial(_draw_region, mask_file, region, where),
                    facts={"file": index, "layer": region.layer, "value": region.value},
                    corrects=own is not None,
                )
                account.keep(labelled, target)
            except SetAside as problem:
                account.leave("masks", target.session, shown, problem)


def _draw_region(mask_file: MaskFile, region: Region, where: Placement, target: Target) -> Drawn:
    return draw_region(mask_file, region, where, target.grid)


def _of_region(region: Region, rois: Mapping[str, list[str]]) -> tuple[str, int | None]:
    """ROI of a region, and the lesion number that its name fixes; raises SetAside `roi_unmatched`."""
    fixed = _assigned(region.name, rois)
    match = fixed or assign([region.name], rois)[0]
    if match is None:
        raise SetAside("roi_unmatched")
    own = READER_NUMBER.fullmatch(region.name.strip())
    return match[0], fixed[1] if fixed else region.number or (int(own["number"]) if own else None)
