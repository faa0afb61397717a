"""Which image a contour belongs to: its own series, or nothing. Never another modality's grid."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from osteorad.cohort.pseudonyms import series_name
from osteorad.dicom.rtstruct import Source
from osteorad.errors import SetAside
from osteorad.images.volume import Grid


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """An image that masks may lie on."""

    session: str
    image: str
    modality: str
    series_uid: str
    frame_of_reference: str
    grid: Grid
    sop_uids: tuple[str, ...]  # by slice, where images.json tells them
    head_plane_mm: float | None  # the image is blanked above


def targets_of(manifest: Mapping[str, Any]) -> list[Target]:
    """The images of images.json, sorted by session and name."""
    found = [
        Target(
            session=entry["session"],
            image=entry["image"],
            modality=entry["modality"],
            series_uid=entry["series_uid"],
            frame_of_reference=entry["frame_of_reference"] or "",
            grid=Grid(shape=tuple(entry["shape"]), affine_ras=np.array(entry["affine_ras"], dtype=np.float64)),
            sop_uids=tuple(entry.get("sop_uids") or ()),
            head_plane_mm=entry.get("head_plane_mm"),
        )
        for entry in manifest["images"]
    ]
    return sorted(found, key=lambda target: (target.session, target.image))


def known_series(manifest: Mapping[str, Any]) -> frozenset[str]:
    """Names of all series of the patient, used or not."""
    return frozenset(row["series"] for row in manifest.get("series", []))


def own_target(
    source: Source,
    targets: Sequence[Target],
    known: frozenset[str],
    *,
    session: str,
    fits: Callable[[Target], bool],
) -> Target:
    """The image that a contour was drawn on.

    The referenced series decides. Where it is not among the patient's series, the frame of reference, the modality of
    the referenced instances and the geometry (`fits`) must leave one image, or several of one modality on one grid.
    Raises SetAside `contour_of_unchosen_series`, `frame_of_reference_mismatch` or `contour_series_missing`.
    """
    of_series = [target for target in targets if target.series_uid == source.series_uid]
    if source.series_uid and of_series:
        target = next((candidate for candidate in of_series if fits(candidate)), of_series[0])
        frame = source.frame_of_reference
        if frame and target.frame_of_reference and frame != target.frame_of_reference:
            raise SetAside("frame_of_reference_mismatch", f"contour and {target.image}")
        return target
    if source.series_uid and series_name(source.series_uid) in known:
        raise SetAside("contour_of_unchosen_series", series_name(source.series_uid))
    return _by_geometry(source, targets, session, fits)


def _by_geometry(source: Source, targets: Sequence[Target], session: str, fits: Callable[[Target], bool]) -> Target:
    frame = source.frame_of_reference
    if not frame:
        raise SetAside("contour_series_missing", "neither series nor frame of reference")
    same_frame = [target for target in targets if target.frame_of_reference == frame]
    same_session = [target for target in same_frame if target.session == session] or same_frame
    fitting = [target for target in same_session if source.modality in ("", target.modality) and fits(target)]
    if not fitting:
        raise SetAside("contour_series_missing", f"{len(same_frame)} images share the frame of reference, none fits")
    first = fitting[0]
    for other in fitting[1:]:
        if other.modality != first.modality or other.session != first.session or not first.grid.matches(other.grid):
            names = ", ".join(f"{target.session}/{target.image}" for target in fitting)
            raise SetAside("contour_series_missing", f"fits several images: {names}")
    return first
