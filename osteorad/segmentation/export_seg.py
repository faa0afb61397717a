"""DICOM SEG of the predicted masks of one image: a segment for bone, one a lesion, one where there is none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import osteorad
from osteorad.images.volume import Grid, Patch
from osteorad.provenance import digest
from osteorad.segmentation.seg_check import check_seg
from osteorad.segmentation.seg_object import Making, Segment, file_bytes, seg_object, uid_of
from osteorad.segmentation.seg_source import SourceSeries

BONE, LESION = "bone", "lesion"
SERIES_NUMBER = 9000  # above what scanners give; repeats and folds count on from here
LONGEST = 64  # characters of a DICOM LO


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawn:
    """A predicted mask: its ROI and number, voxels (None: none), content hash, and score where it has one."""

    roi: str
    number: int
    patch: Patch | None
    sha256: str
    score: float | None = None

    @property
    def label(self) -> str:
        """`<roi>-<n>`, as contours are called in de-identified objects."""
        return f"{self.roi}-{self.number}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Where masks come from: the keys of their fold, patient and image."""

    cohort: str
    analysis: str
    network: str
    repeat: int
    fold: int
    patient: str
    session: str
    image: str
    role: str
    members: tuple[str, ...]  # networks of which the prediction is the mean


@dataclass(frozen=True, slots=True, kw_only=True)
class Exported:
    """A SEG as bytes, and what its manifest says of it."""

    content: bytes
    facts: Mapping[str, Any]


def export_image(
    masks: Sequence[Drawn], series: SourceSeries, grid: Grid, origin: Origin, sop_uids: Sequence[str] = ()
) -> Exported:
    """The SEG of one image, read back and compared with its masks.

    sop_uids : instances of the image, where images.json tells them. Raises SegDiffersError where the object does not
    hold the masks.
    """
    ordered = _with_negative(sorted(masks, key=lambda mask: (mask.roi != BONE, mask.roi, mask.number)))
    names = _names(origin, str(series.header.SeriesInstanceUID))
    segments = [_segment(mask, origin, names) for mask in ordered]
    planes = series.slices(grid, sop_uids)
    content = digest([osteorad.__version__, *(f"{mask.label} {mask.sha256}" for mask in ordered)], 32)
    dataset = seg_object(segments, series, planes, grid, _making(origin, names, content))
    written = file_bytes(dataset)
    check_seg(written, [mask.patch for mask in ordered], grid)
    return Exported(
        content=written,
        facts={
            "session": origin.session,
            "image": origin.image,
            "series_uid": str(dataset.SeriesInstanceUID),
            "sop_uid": str(dataset.SOPInstanceUID),
            "frames": int(dataset.NumberOfFrames),
            "slices": len(planes),
            "slices_cited": sum(plane is not None for plane in planes),
            "segments": [
                {
                    "number": number,
                    "roi": mask.roi,
                    "label": segment.label,
                    "voxels": mask.patch.voxels if mask.patch else 0,
                    "tracking_uid": segment.tracking_uid,
                }
                for number, (mask, segment) in enumerate(zip(ordered, segments, strict=True), start=1)
            ],
        },
    )


def _with_negative(masks: Sequence[Drawn]) -> list[Drawn]:
    """A lesion without voxels where none was predicted: it documents a negative."""
    if any(mask.roi == LESION for mask in masks):
        return list(masks)
    return [*masks, Drawn(roi=LESION, number=0, patch=None, sha256="")]


def _names(origin: Origin, series_uid: str) -> tuple[str, ...]:
    """What makes the SEG series of this fold and network of this source series the only one."""
    fold = f"r{origin.repeat}f{origin.fold}"
    return "osteorad seg", origin.cohort, origin.analysis, fold, origin.network, origin.role, series_uid


def _segment(mask: Drawn, origin: Origin, names: tuple[str, ...]) -> Segment:
    label = mask.label if mask.number else mask.roi
    description = "" if mask.number else "no lesion was predicted"
    if mask.score is not None:
        description = f"highest probability {mask.score:.4f}"
    place = f"{origin.patient}/{origin.session}/{origin.image}"
    return Segment(
        roi=mask.roi,
        label=label,
        tracking_id=f"{place}/auto-{origin.network}/{label}",
        tracking_uid=uid_of(*names, "tracking", label),
        patch=mask.patch,
        description=description,
    )


def _making(origin: Origin, names: tuple[str, ...], content: str) -> Making:
    fold = f"r{origin.repeat}f{origin.fold}"
    return Making(
        names=names,
        content=content,
        patient=origin.patient,
        series_number=SERIES_NUMBER + 100 * origin.repeat + origin.fold,
        series_description=f"auto-{origin.network} {fold} {origin.role}"[:LONGEST],
        algorithm=f"osteorad {origin.network}"[:LONGEST],
        version=osteorad.__version__,
        parameters={
            "analysis": origin.analysis,
            "fold": fold,
            "role": origin.role,
            "members": " ".join(origin.members),
        },
    )
