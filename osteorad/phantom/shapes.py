"""Shapes as signed distances in mm (negative inside), on separable grids, and a canvas that paints them.

World coordinates are those of the scanner, in mm about the scan's centre: x to the patient's left, y to the back,
z to the head (DICOM's LPS). Arrays are indexed (z, y, x).
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, map_coordinates
from scipy.spatial import cKDTree

Floats = NDArray[np.float32]
Points = NDArray[np.float64]


class Box(NamedTuple):
    """Index ranges along z, y, x."""

    z: slice
    y: slice
    x: slice


Where = Box | NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """Positions of voxel centres in mm along z, y, x, each rising evenly."""

    z: Floats
    y: Floats
    x: Floats

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along z, y, x."""
        return len(self.z), len(self.y), len(self.x)

    @property
    def spacing(self) -> tuple[float, float, float]:
        """Voxel size in mm along z, y, x."""
        return step(self.z), step(self.y), step(self.x)

    def part(self, z: slice) -> Frame:
        """The same frame with some of its slices."""
        return Frame(z=self.z[z], y=self.y, x=self.x)

    def box(self, low: Points, high: Points) -> Box | None:
        """Indices of the voxels between two corners (x, y, z) in mm; None where there are none."""
        cut = []
        for axis, lo, hi in ((self.z, low[2], high[2]), (self.y, low[1], high[1]), (self.x, low[0], high[0])):
            first, pitch = float(axis[0]), step(axis)
            start = max(0, ceil((lo - first) / pitch))
            stop = min(len(axis), ceil((hi - first) / pitch))
            if start >= stop:
                return None
            cut.append(slice(start, stop))
        return Box(*cut)

    def mesh(self, box: Box) -> tuple[Floats, Floats, Floats]:
        """Coordinates x, y, z of a box, each broadcastable to (z, y, x)."""
        return self.x[box.x][None, None, :], self.y[box.y][None, :, None], self.z[box.z][:, None, None]


def step(axis: Floats) -> float:
    """Distance of neighbours on an axis, in mm."""
    return float(axis[-1] - axis[0]) / (len(axis) - 1) if len(axis) > 1 else 1.0


class Tissue(NamedTuple):
    """What a tissue shows: Hounsfield units and standardised uptake."""

    hu: float
    suv: float


class Canvas:
    """An image under way. Later paint covers earlier paint; borders are shared by partial volume."""

    def __init__(self, frame: Frame, kind: str, background: float) -> None:
        self.frame = frame
        self.kind = kind
        self.array: Floats = np.full(frame.shape, background, dtype=np.float32)
        dz, dy, dx = frame.spacing
        self.soft = max(0.6, (dz * dy * dx) ** (1 / 3))  # width of a border in mm

    def cover(self, distance: Floats) -> Floats:
        """Share of each voxel that lies inside a shape."""
        return np.clip(np.float32(0.5) - distance / np.float32(self.soft), 0, 1, dtype=np.float32)

    def value(self, tissue: Tissue) -> np.float32:
        """What this canvas shows of a tissue."""
        return np.float32(tissue.hu if self.kind == "hu" else tissue.suv)

    def paint(self, where: Where, share: Floats, shade: Floats | np.float32) -> None:
        """Blend `shade` over a box, over chosen voxels, or (None) over all; `share` of it (0 to 1)."""
        if isinstance(where, np.ndarray):
            chosen = self.array[where]
            self.array[where] = chosen + share * (shade - chosen)
            return
        view = self.array if where is None else self.array[where]
        view += share * (shade - view)

    def fill(self, box: Where, distance: Floats, tissue: Tissue) -> None:
        """Paint the inside of a shape with a tissue."""
        self.paint(box, self.cover(distance), self.value(tissue))


def capsule(x: Floats, y: Floats, z: Floats, ends: Points, radius: tuple[float, float]) -> Floats:
    """Distance to a rod from ends[0] to ends[1] whose radius runs linearly from radius[0] to radius[1]."""
    a = ends[0].astype(np.float32)
    along = (ends[1] - ends[0]).astype(np.float32)
    length2 = max(float(along @ along), 1e-6)
    px, py, pz = x - a[0], y - a[1], z - a[2]
    t = np.clip((px * along[0] + py * along[1] + pz * along[2]) / np.float32(length2), 0, 1)
    gap = np.sqrt((px - t * along[0]) ** 2 + (py - t * along[1]) ** 2 + (pz - t * along[2]) ** 2)
    return gap - (np.float32(radius[0]) + t * np.float32(radius[1] - radius[0]))


def stamp(canvas: Canvas, ends: Points, radius: tuple[float, float], shade: np.float32) -> None:
    """Paint one rod; one thinner than a voxel is painted paler, as a scanner shows it."""
    reach = max(radius) + canvas.soft
    box = canvas.frame.box(ends.min(axis=0) - reach, ends.max(axis=0) + reach)
    if box is None:
        return
    thin = max(radius) * 2 / canvas.soft
    share = canvas.cover(capsule(*canvas.frame.mesh(box), ends, radius))
    canvas.paint(box, share if thin >= 1 else share * np.float32(thin), shade)


def ellipsoid(x: Floats, y: Floats, z: Floats, center: Points, radii: Points, turn: float = 0.0) -> Floats:
    """About the distance to an ellipsoid turned by `turn` radians in the axial plane."""
    c, s = np.float32(np.cos(turn)), np.float32(np.sin(turn))
    px, py, pz = x - np.float32(center[0]), y - np.float32(center[1]), z - np.float32(center[2])
    u, v = (c * px + s * py) / np.float32(radii[0]), (c * py - s * px) / np.float32(radii[1])
    size = np.float32(np.min(radii))
    return (np.sqrt(u * u + v * v + (pz / np.float32(radii[2])) ** 2) - 1) * size


def smooth_curve(points: Points, count: int, *, closed: bool) -> Points:
    """`count` evenly spaced points on a Catmull-Rom curve through `points` (n, 2)."""
    p = np.vstack([points[-1], points, points[:2]]) if closed else np.vstack([points[0], points, points[-1]])
    t = np.linspace(0, 1, 12, endpoint=False)[:, None]
    pieces = []
    for a, b, c, d in zip(p[:-3], p[1:-2], p[2:-1], p[3:], strict=True):
        pieces.append(0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3))
    dense = np.vstack([*pieces, points[:1] if closed else points[-1:]])
    length = np.concatenate([[0], np.cumsum(np.hypot(*np.diff(dense, axis=0).T))])
    at = np.linspace(0, length[-1], count, endpoint=not closed)
    return np.stack([np.interp(at, length, dense[:, k]) for k in (0, 1)], axis=1)


def inside_polygon(x: Points, y: Points, polygon: Points) -> NDArray[np.bool_]:
    """Even-odd rule for the points of a separable grid (y, x)."""
    inside = np.zeros((len(y), len(x)), dtype=bool)
    x1, y1 = polygon.T
    x2, y2 = np.roll(polygon, -1, axis=0).T
    for row, level in enumerate(y):
        crossed = (y1 <= level) != (y2 <= level)
        if crossed.any():
            at = np.sort(x1[crossed] + (level - y1[crossed]) * (x2 - x1)[crossed] / (y2 - y1)[crossed])
            inside[row] = np.searchsorted(at, x) % 2 == 1
    return inside


def curve_distance(x: Points, y: Points, curve: Points) -> tuple[Floats, Floats]:
    """Signed distance to a closed curve, and where along it (0 to 1) the nearest point lies; both (y, x)."""
    where = np.stack(np.meshgrid(x, y), axis=-1).reshape(-1, 2)
    gap, index = cKDTree(curve).query(where)
    shape = (len(y), len(x))
    sign = np.where(inside_polygon(x, y, curve), -1.0, 1.0)
    return (gap.reshape(shape) * sign).astype(np.float32), (index.reshape(shape) / len(curve)).astype(np.float32)


def between(array: Floats, dimension: int, knots: Floats, at: Floats) -> Floats:
    """Linear interpolation along one dimension from evenly spaced knots, held at the ends.

    No matrix product: sums of a numerical library could depend on its number of threads.
    """
    place = np.clip((at - knots[0]) / step(knots), 0, len(knots) - 1)
    low = np.minimum(place.astype(int), len(knots) - 2)
    shape = [1] * array.ndim
    shape[dimension] = len(at)
    weight = (place - low).astype(np.float32).reshape(shape)
    first, second = np.take(array, low, axis=dimension), np.take(array, low + 1, axis=dimension)
    second -= first
    second *= weight
    second += first
    return second


def lattice_noise(
    rng: np.random.Generator, shape: tuple[int, int, int], sigma: tuple[float, float, float] | float
) -> Floats:
    """Gaussian noise with mean 0, standard deviation 1 and a correlation length, in lattice steps."""
    field = gaussian_filter(rng.standard_normal(shape, dtype=np.float32), sigma, mode="wrap")
    return (field - field.mean()) / field.std()


def sample_lattice(lattice: Floats, u: Floats, v: Floats, w: Floats, pitch: float) -> Floats:
    """Values of a lattice (w, v, u; centred, `pitch` mm) at broadcastable positions."""
    shape = np.broadcast_shapes(u.shape, v.shape, w.shape)
    at = [
        np.broadcast_to(axis / np.float32(pitch) + np.float32((n - 1) / 2), shape)
        for axis, n in zip((w, v, u), lattice.shape, strict=True)
    ]
    return map_coordinates(lattice, at, order=1, mode="grid-wrap", output=np.float32)
