"""Where the neck lies in a CT, from the outline of the body slice by slice; knows nothing of files and headers.

Going up the body, its depth at the midline falls from the chest to the neck and rises again at the jaw; shoulders, and
arms raised beside the head, widen the body but leave that depth alone. Lungs tell the chest, which is never a neck; a
closed ring of bone about brain tells a head, also where no neck is seen. What fits none of these is `unknown`: a face
that passes is worse than a scan that is held back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

FloatArray = NDArray[np.float64]
Mask = NDArray[np.bool_]

PIXEL_MM = 4.0  # about; slices are averaged down to it
BODY_HU, BONE_HU = -300.0, 220.0
LUNG_HU = (-940.0, -500.0)  # air about the body is darker
BRAIN_HU = (-30.0, 130.0)
MIDDLE_MM, STRIP_MM = 45.0, 85.0  # half widths: within the neck; between half a head and a raised arm
LEAST_CM2 = 4.0  # smaller pieces are tubes, blankets, noise
HOLLOW = 0.35  # a piece with less tissue inside its outline is a table top or a headrest
THIN_MM, JOINED_MM = 12.0, 22.0  # narrower parts are no body; narrower bridges join no arm to the head
NECK_MM, TRUNK_MM = 190.0, 230.0  # widest neck, narrowest trunk
TRUNK_DEPTH_MM, END_MM = 90.0, 30.0  # least depth of a trunk; less than this: the body has ended
LUNG_CM2, RING_CM2 = 30.0, 50.0
LOOK_MM = 250.0  # a neck is compared with the trunk so far below it
DROP, RISE = 0.75, 1.15
PLATEAU = 1.06  # levels so near the narrowest count as the neck, too: the plane is the lowest of them
NECK_LONG_MM = 60.0  # a neck without a rise may be seen so far above the chest, or above the shoulders
JAW_MM = 120.0  # the narrowest level lies at most so far above
CHIN_MM, CHIN_CM2 = 80.0, 3.0  # a chin held down hangs in front of the neck, at most so far below its narrowest level
GAP_MM = 30.0  # levels further apart say too little
LEAST_LEVELS, LEAST_MM = 5, 40.0


@dataclass(frozen=True, slots=True)
class Outline:
    """One slice on the coarse grid, turned so that columns run to the patient's left and rows to the back."""

    z_mm: float
    body: Mask
    apart: Mask  # the body with narrow bridges cut, so that an arm that touches is a piece of its own
    pixel_mm: tuple[float, float]  # of rows, of columns
    x_mm: float  # of the first column
    lung_cm2: float
    ring_cm2: float


@dataclass(frozen=True, slots=True)
class Level:
    """What one level of the body shows.

    depth_mm : of the body about the midline, on average. width_mm : of the piece at the midline. lung_cm2 : enclosed
    lung. ring_cm2 : brain that bone encloses. chin : a piece hangs apart in front of the body.
    """

    z_mm: float
    depth_mm: float
    width_mm: float
    lung_cm2: float
    ring_cm2: float
    chin: bool

    @property
    def trunk(self) -> bool:
        """True for a level as wide as a trunk."""
        return self.width_mm >= TRUNK_MM and self.depth_mm >= TRUNK_DEPTH_MM and self.ring_cm2 < RING_CM2


@dataclass(frozen=True, slots=True)
class Found:
    """What a scan shows: `none`, `shown` or `unknown`.

    plane_mm : height below which nothing of the head lies; None where it is not known. why : in words, for the account.
    """

    state: str
    plane_mm: float | None
    why: str


def outline(hu: NDArray[np.floating], *, z_mm: float, pixel_mm: tuple[float, float], x_mm: float) -> Outline:
    """Outline of the body in one slice.

    hu : shape (rows, columns) on a grid of about 4 mm, rows to the back, columns to the patient's left.
    """
    tissue = hu > BODY_HU
    filled = filled_holes(tissue)
    labels, count = ndimage.label(filled)
    size = np.bincount(labels.ravel(), minlength=count + 1)
    solid = np.bincount(labels.ravel(), weights=tissue.ravel(), minlength=count + 1)
    area = pixel_mm[0] * pixel_mm[1] / 100.0
    keep = (size * area >= LEAST_CM2) & (solid >= HOLLOW * size)
    keep[0] = False
    body = opened(keep[labels], THIN_MM, pixel_mm)
    lung = body & (hu > LUNG_HU[0]) & (hu < LUNG_HU[1])
    return Outline(
        z_mm=z_mm,
        body=body,
        apart=opened(body, JOINED_MM, pixel_mm),
        pixel_mm=pixel_mm,
        x_mm=x_mm,
        lung_cm2=float(lung.sum()) * area,
        ring_cm2=_ring(hu) * area,
    )


def filled_holes(mask: Mask) -> Mask:
    """The mask with everything that it encloses."""
    labels, _ = ndimage.label(~mask)
    edge = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    outside = np.zeros(labels.max() + 1, dtype=bool)
    outside[edge] = True
    outside[0] = False
    return ~outside[labels]


def opened(mask: Mask, mm: float, pixel_mm: tuple[float, float]) -> Mask:
    """The mask without parts narrower than about `mm` (at least 3 pixels): its opening by a rectangle."""
    held = mask.astype(np.uint8)
    for change in (ndimage.minimum_filter1d, ndimage.maximum_filter1d):
        for axis, pixel in enumerate(pixel_mm):
            held = change(held, max(3, 2 * int(mm / pixel / 2) + 1), axis=axis, mode="constant")
    return held > 0


def _ring(hu: NDArray[np.floating]) -> float:
    """Pixels of the largest region inside closed bone that looks like brain."""
    bone = hu > BONE_HU
    if bone.sum() < 12:
        return 0.0
    inside = filled_holes(bone) & ~bone
    labels, count = ndimage.label(inside)
    if not count:
        return 0.0
    size = np.bincount(labels.ravel(), minlength=count + 1)
    size[0] = 0
    largest = int(size.argmax())
    brain = (hu > BRAIN_HU[0]) & (hu < BRAIN_HU[1])
    return float(size[largest]) if brain[labels == largest].mean() >= 0.8 else 0.0


def levels_of(outlines: Sequence[Outline]) -> list[Level]:
    """Levels from the lowest to the highest; the midline is followed from the largest cross-section up and down."""
    ordered = sorted(outlines, key=lambda o: o.z_mm)
    if not ordered:
        return []
    start = max(range(len(ordered)), key=lambda k: int(ordered[k].body.sum()))
    found: dict[int, Level] = {}
    for indices in (range(start, len(ordered)), range(start, -1, -1)):
        middle = _centre(ordered[start])
        for k in indices:
            found[k], middle = _level(ordered[k], middle)
    return [found[k] for k in range(len(ordered))]


def _columns_mm(o: Outline) -> FloatArray:
    return o.x_mm + np.arange(o.body.shape[1], dtype=np.float64) * o.pixel_mm[1]


def _centre(o: Outline) -> float:
    across = o.body.sum(axis=0)
    return float((across * _columns_mm(o)).sum() / across.sum()) if across.any() else float(_columns_mm(o).mean())


def _level(o: Outline, middle: float) -> tuple[Level, float]:
    """One level, and where the midline is on the next."""
    x = _columns_mm(o)
    strip = np.abs(x - middle) <= STRIP_MM
    area = o.pixel_mm[0] * o.pixel_mm[1] / 100.0
    labels, count = ndimage.label(o.apart)
    inside = np.bincount(labels[:, strip].ravel(), minlength=count + 1)
    inside[0] = 0
    width, moved = 0.0, middle
    if inside.any():
        across = (labels == inside.argmax()).any(axis=0)
        width = float(x[across].max() - x[across].min()) + o.pixel_mm[1]
        step = 15.0 if width <= NECK_MM else 5.0
        moved = middle + float(np.clip(x[across].mean() - middle, -step, step))
    level = Level(
        z_mm=o.z_mm,
        depth_mm=float(o.body[:, np.abs(x - middle) <= MIDDLE_MM].sum(axis=0).mean()) * o.pixel_mm[0],
        width_mm=width,
        lung_cm2=o.lung_cm2,
        ring_cm2=o.ring_cm2,
        chin=_chin(o.body[:, strip], area),
    )
    return level, moved


def _chin(body: Mask, area: float) -> bool:
    """True where a piece lies apart in front of the largest one."""
    labels, count = ndimage.label(body)
    if count < 2:
        return False
    size = np.bincount(labels.ravel())
    size[0] = 0
    main = int(size.argmax())
    front = int(np.flatnonzero((labels == main).any(axis=1))[0])
    rows = ndimage.center_of_mass(body, labels, range(1, count + 1))
    return any(
        size[label] * area >= CHIN_CM2 and rows[label - 1][0] < front for label in range(1, count + 1) if label != main
    )


def judge(levels: Sequence[Level]) -> Found:
    """Whether a scan shows a head, and the plane below it; `levels` from the lowest to the highest."""
    reach = levels[-1].z_mm - levels[0].z_mm if levels else 0.0
    if len(levels) < LEAST_LEVELS or reach < LEAST_MM:
        return Found("unknown", None, "too few slices")
    if max(b.z_mm - a.z_mm for a, b in pairwise(levels)) > GAP_MM:
        return Found("unknown", None, "slices too far apart")
    rings = _rings(levels)
    first = _first_above(levels)
    if first is None:
        return Found("shown", None, "a skull, but no neck below it") if rings else _without_neck(levels)
    found = _going_up(levels, first, bool(rings))
    if found.plane_mm is not None and any(z < found.plane_mm for z in rings):
        return Found("unknown", None, "a skull below the neck")
    return found


def _rings(levels: Sequence[Level]) -> list[float]:
    """Heights of levels with brain inside bone, where a neighbour shows it, too."""
    shows = [level.ring_cm2 >= RING_CM2 for level in levels]
    near = [False, *shows, False]
    return [level.z_mm for k, level in enumerate(levels) if shows[k] and (near[k] or near[k + 2])]


def _lung_top(levels: Sequence[Level]) -> int | None:
    """The highest level that shows lungs, where a neighbour shows them, too."""
    shows = [False, *(level.lung_cm2 >= LUNG_CM2 for level in levels), False]
    found = [k for k in range(len(levels)) if shows[k + 1] and (shows[k] or shows[k + 2])]
    return found[-1] if found else None


def _first_above(levels: Sequence[Level]) -> int | None:
    """The first level above the lungs; without lungs the lowest one narrow as a neck with a trunk below; or None."""
    lungs = _lung_top(levels)
    if lungs is not None:
        return lungs + 1 if lungs + 1 < len(levels) else None
    for k, level in enumerate(levels):
        narrow = level.width_mm <= NECK_MM and level.depth_mm >= END_MM
        if narrow and level.depth_mm <= DROP * _trunk_depth(levels, k):
            return k
    return None


def _trunk_depth(levels: Sequence[Level], k: int) -> float:
    """Greatest depth of the trunk below a level; 0 where none is seen."""
    return max((b.depth_mm for b in levels[:k] if b.trunk and levels[k].z_mm - b.z_mm <= LOOK_MM), default=0.0)


def _without_neck(levels: Sequence[Level]) -> Found:
    """A scan that ends within the lungs, or without lungs and necks: of the trunk, or not to be judged."""
    near_top = [level for level in levels if levels[-1].z_mm - level.z_mm <= 25.0]
    if _lung_top(levels) is not None or all(level.trunk for level in near_top):
        return Found("none", None, "ends in the trunk")
    return Found("unknown", None, "neither trunk nor neck at the top")


def _going_up(levels: Sequence[Level], first: int, ring: bool) -> Found:
    """What follows above the chest, or above the shoulders."""
    narrowest, rises, ends = first, False, False
    for k in range(first + 1, len(levels)):
        here = levels[k].depth_mm
        if here < END_MM:
            ends = True
            break
        if here >= RISE * levels[narrowest].depth_mm:
            rises = True
            break
        narrowest = k if here < levels[narrowest].depth_mm else narrowest
    low = levels[max(first - 1, 0)].z_mm
    chin = any(level.chin for level in levels[first:] if level.z_mm <= low + JAW_MM)
    if not (rises or ends or ring or chin) and levels[-1].z_mm - low <= NECK_LONG_MM:
        return Found("none", None, "ends below the chin")
    around = [level.width_mm for level in levels if abs(level.z_mm - levels[narrowest].z_mm) <= NECK_LONG_MM]
    if levels[narrowest].depth_mm > DROP * _trunk_depth(levels, narrowest) and min(around) > NECK_MM:
        return Found("unknown", None, "no level is as narrow as a neck")
    near = [k for k in range(first, len(levels)) if levels[k].z_mm - low <= JAW_MM and levels[k].depth_mm >= END_MM]
    narrowest = min((k for k in near if k <= narrowest), key=lambda k: (levels[k].depth_mm, k), default=first)
    return _shown(levels, first, narrowest, "a head above the neck" if rises else "more than a neck above the chest")


def _shown(levels: Sequence[Level], first: int, narrowest: int, why: str) -> Found:
    """The plane: the lowest level about as narrow as the narrowest, and lower still where the chin hangs down."""
    limit = PLATEAU * levels[narrowest].depth_mm
    at = next(k for k in range(first, narrowest + 1) if levels[k].depth_mm <= limit)
    hanging = [k for k in range(at + 1) if levels[k].chin and levels[at].z_mm - levels[k].z_mm <= CHIN_MM]
    if hanging:
        at = max(min(hanging) - 1, 0)
    return Found("shown", levels[at].z_mm, why)
