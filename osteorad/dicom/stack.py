"""Planes to a stack: sorted by position, evenly spaced, one orientation; geometry from positions and orientations only.

Positions and directions are LPS mm as in DICOM; affines of results are RAS.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteorad.dicom.headers import Frame
from osteorad.errors import SetAside

FloatArray = NDArray[np.float64]
MIN_SLICES = 3
SAME_MM = 0.01  # positions closer than this are one position
ORIENTATION_TOLERANCE = 1e-3
SPACING_TOLERANCE = 1e-4
TILT_DEG = 0.5
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])


@dataclass(frozen=True, slots=True, kw_only=True)
class Stack:
    """Planes of one volume in the order of their positions along the normal.

    row, column : unit vectors along which the column and the row index grow. spacing_mm : of columns, of rows.
    step_mm : vector from one plane to the next; not along the normal where the gantry was tilted.
    """

    frames: tuple[Frame, ...]
    origin_mm: FloatArray
    row: FloatArray
    column: FloatArray
    spacing_mm: tuple[float, float]
    step_mm: FloatArray

    @property
    def normal(self) -> FloatArray:
        """Unit normal of the planes; positions grow along it."""
        return np.cross(self.row, self.column)

    @property
    def slice_spacing_mm(self) -> float:
        """Distance of neighbouring planes along the normal."""
        return float(self.step_mm @ self.normal)

    @property
    def tilt_deg(self) -> float:
        """Angle between the step from plane to plane and the normal."""
        return angle_deg(self.step_mm, self.normal)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along i (columns), j (rows), k (planes)."""
        return self.frames[0].pixels.columns, self.frames[0].pixels.rows, len(self.frames)

    @property
    def affine_ras(self) -> FloatArray:
        """Voxel (i, j, k) to RAS mm, sheared where the gantry was tilted."""
        affine = np.eye(4)
        affine[:3, 0] = self.row * self.spacing_mm[0]
        affine[:3, 1] = self.column * self.spacing_mm[1]
        affine[:3, 2] = self.step_mm
        affine[:3, 3] = self.origin_mm
        return LPS_TO_RAS @ affine


def angle_deg(one: FloatArray, other: FloatArray) -> float:
    """Angle between two vectors in degrees, exact for small angles too."""
    return float(np.degrees(np.arctan2(np.linalg.norm(np.cross(one, other)), one @ other)))


def split_stacks(frames: Sequence[Frame]) -> list[list[Frame]]:
    """Planes grouped by what all planes of a volume share; the largest group first.

    Shared: frame of reference, rows, columns, pixel spacing, orientation, and whether it is a scout. Planes without
    position, orientation or spacing form a group of their own.
    """
    stacks: list[list[Frame]] = []
    for frame in sorted(frames, key=lambda f: (str(f.path), f.number)):
        for stack in stacks:
            if _same_kind(stack[0], frame):
                stack.append(frame)
                break
        else:
            stacks.append([frame])
    return sorted(stacks, key=lambda s: (-len(s), str(s[0].path), s[0].number))


def _same_kind(one: Frame, other: Frame) -> bool:
    if is_localizer(one) != is_localizer(other) or one.frame_of_reference != other.frame_of_reference:
        return False
    if (one.pixels.rows, one.pixels.columns) != (other.pixels.rows, other.pixels.columns):
        return False
    if _placed(one) != _placed(other):
        return False
    if not _placed(one):
        return True
    return bool(
        np.allclose(one.orientation, other.orientation, atol=ORIENTATION_TOLERANCE, rtol=0)  # type: ignore[arg-type]
        and np.allclose(one.spacing, other.spacing, rtol=SPACING_TOLERANCE, atol=0)  # type: ignore[arg-type]
    )


def _placed(frame: Frame) -> bool:
    return frame.position is not None and frame.orientation is not None and frame.spacing is not None


def is_localizer(frame: Frame) -> bool:
    """True for a scout image."""
    return any(word in ("LOCALIZER", "SCOUT", "TOPOGRAM") for word in frame.image_type)


def directions(frame: Frame) -> tuple[FloatArray, FloatArray]:
    """Unit vectors along rows and columns; SetAside(geometry_missing) where they are missing or not perpendicular."""
    if not _placed(frame) or frame.orientation is None:
        raise SetAside("geometry_missing", "position, orientation or pixel spacing is missing")
    row, column = np.array(frame.orientation[:3]), np.array(frame.orientation[3:])
    lengths = np.linalg.norm(row), np.linalg.norm(column)
    if not np.allclose(lengths, 1.0, atol=1e-2) or abs(row @ column) > ORIENTATION_TOLERANCE:
        raise SetAside("geometry_missing", "the direction cosines are not two perpendicular unit vectors")
    row = row / lengths[0]
    column = column - (column @ row) * row
    return row, column / np.linalg.norm(column)


def positions(frames: Sequence[Frame]) -> FloatArray:
    """Image positions (LPS mm), shape (frames, 3)."""
    return np.array([frame.position for frame in frames], dtype=np.float64)


def sort_frames(frames: Sequence[Frame]) -> list[Frame]:
    """Planes by their position along the normal; Instance Number and Slice Location play no part."""
    row, column = directions(frames[0])
    along = positions(frames) @ np.cross(row, column)
    order = sorted(range(len(frames)), key=lambda n: (along[n], str(frames[n].path), frames[n].number))
    return [frames[n] for n in order]


def drop_duplicates(
    frames: Sequence[Frame], same_pixels: Callable[[Frame, Frame], bool]
) -> tuple[list[Frame], list[Frame]]:
    """Planes without copies of one place and one content, and the copies."""
    kept: list[Frame] = []
    dropped: list[Frame] = []
    for group in _places(sort_frames(frames)):
        mine: list[Frame] = []
        for frame in group:
            if any(same_pixels(frame, other) for other in mine):
                dropped.append(frame)
            else:
                mine.append(frame)
        kept.extend(mine)
    return kept, dropped


def _places(ordered: Sequence[Frame]) -> list[list[Frame]]:
    """Sorted planes grouped by position."""
    groups: list[list[Frame]] = []
    for frame in ordered:
        if groups and _apart(groups[-1][0], frame) < SAME_MM:
            groups[-1].append(frame)
        else:
            groups.append([frame])
    return groups


def _apart(one: Frame, other: Frame) -> float:
    return float(np.linalg.norm(np.subtract(one.position, other.position)))  # type: ignore[arg-type]


def split_phases(frames: Sequence[Frame]) -> list[list[Frame]]:
    """One list where every place holds one plane; else the volumes told apart by acquisition, time or echo.

    Raises SetAside(ambiguous_positions) where nothing tells them apart.
    """
    ordered = sort_frames(frames)
    if len(_places(ordered)) == len(ordered):
        return [ordered]
    for number in range(len(frames[0].phases)):
        groups: dict[str, list[Frame]] = {}
        for frame in ordered:
            groups.setdefault(frame.phases[number], []).append(frame)
        if len(groups) > 1 and all(len(g) >= MIN_SLICES and len(_places(g)) == len(g) for g in groups.values()):
            return [groups[name] for name in sorted(groups)]
    most = max(len(group) for group in _places(ordered))
    raise SetAside("ambiguous_positions", f"up to {most} different images at one position")


def build_stack(frames: Sequence[Frame]) -> Stack:
    """Stack of planes that share orientation and lie at different positions.

    Raises SetAside: geometry_missing, too_few_slices, missing_slices, uneven_spacing.
    """
    ordered = sort_frames(frames)
    row, column = directions(ordered[0])
    spacing = ordered[0].spacing
    if spacing is None or min(spacing) <= 0:
        raise SetAside("geometry_missing", "pixel spacing is not positive")
    if len(ordered) < MIN_SLICES:
        raise SetAside("too_few_slices", f"{len(ordered)} slices, {MIN_SLICES} are needed")
    places = positions(ordered)
    step = (places[-1] - places[0]) / (len(ordered) - 1)
    normal = np.cross(row, column)
    stack = Stack(
        frames=tuple(ordered),
        origin_mm=places[0],
        row=row,
        column=column,
        spacing_mm=(spacing[1], spacing[0]),  # DICOM names the spacing between rows first
        step_mm=step,
    )
    refuse_gaps(np.diff(places @ normal), stack.tilt_deg)
    drift = np.linalg.norm(places - (places[0] + np.arange(len(places))[:, None] * step), axis=1).max()
    if drift > max(SAME_MM, 0.05 * min(spacing), 0.01 * stack.slice_spacing_mm):
        raise SetAside("uneven_spacing", f"planes are shifted sideways by up to {drift:.3g} mm")
    return stack


def refuse_gaps(gaps_mm: FloatArray, tilt_deg: float = 0.0) -> None:
    """SetAside where gaps between planes differ: missing_slices for whole multiples, else uneven_spacing."""
    usual = float(np.median(gaps_mm))
    tolerance = max(SAME_MM, 0.01 * usual)
    if np.abs(gaps_mm - usual).max() <= tolerance:
        return
    tilted = f", gantry tilted by {tilt_deg:.1f} degrees" if tilt_deg > TILT_DEG else ""
    least = float(gaps_mm.min())
    common = float(np.mean(np.abs(gaps_mm - least) <= tolerance)) >= 0.5
    for unit in (usual, least) if common else (usual,):
        multiples = np.rint(gaps_mm / unit)
        if np.all(np.abs(gaps_mm - multiples * unit) <= tolerance * multiples) and multiples.min() >= 1:
            raise SetAside("missing_slices", f"{int(multiples.sum()) - len(gaps_mm)} missing{tilted}")
    shown = f"gaps {gaps_mm.min():.4g} to {gaps_mm.max():.4g} mm"
    raise SetAside("uneven_spacing", shown + tilted)
