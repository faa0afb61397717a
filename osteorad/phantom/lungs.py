"""Vessels and airways of the lungs: grown once, then stamped slab by slab."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteorad.phantom.anatomy import COARSE_MM, LEVELS_MM, REACH_MM, Anatomy
from osteorad.phantom.shapes import Canvas, Points, stamp
from osteorad.phantom.soft import AIR, WALL, Fields, blood


@dataclass(frozen=True, slots=True)
class Branch:
    """One piece of the tree of lung vessels or airways."""

    ends: Points
    radius: tuple[float, float]
    airway: bool


class LungTree:
    """Vessels and airways of both lungs: rods with their heights, so that a slab finds its own at once."""

    def __init__(self, branches: list[Branch]) -> None:
        self.branches = branches
        heights = np.array([branch.ends[:, 2] for branch in branches]).reshape(-1, 2)
        self.bottom, self.top = heights.min(axis=1) - 8.0, heights.max(axis=1) + 8.0

    def between(self, bottom: float, top: float) -> list[Branch]:
        """Branches that may show between two heights, in order of growth."""
        return [self.branches[i] for i in np.flatnonzero((self.bottom < top) & (self.top > bottom))]


def lung_tree(anatomy: Anatomy, half_mm: float) -> LungTree:
    """Grow vessels and airways from the hila outwards, as far as the lung and the scan (to +-half_mm) reach."""
    rng = np.random.Generator(np.random.PCG64(anatomy.seed + 2))
    tree: list[Branch] = []
    for side in (1, -1):
        hilum = anatomy.place(side * 43.0, 10.0, 8.0)
        for bend in range(16):  # directions spread evenly over half a sphere
            up = 1 - 2 * (bend + 0.5) / 16
            around = 2.39996 * bend
            out = np.array([abs(np.cos(around)) * side, np.sin(around), 0.0]) * np.sqrt(1 - up * up)
            heading = out + np.array([0.25 * side, 0.0, 1.1 * up]) + rng.normal(0, 0.12, 3)
            start = hilum + heading * (2.0, 8.0, 18.0) + rng.normal(0, 2, 3)
            stem = (start, unit(heading), float(rng.uniform(2.3, 3.8)))
            _grow(rng, tree, stem, bend % 3 == 0, anatomy, half_mm)
    return LungTree(tree)


def _grow(
    rng: np.random.Generator,
    tree: list[Branch],
    stem: tuple[Points, Points, float],
    airway: bool,
    anatomy: Anatomy,
    half_mm: float,
) -> None:
    """One stem and its branches; each piece is a little thinner and bends away from its sister."""
    todo = [(*stem, 0)]
    while todo:
        at, way, size, depth = todo.pop()
        length, taper, lean, far, fork, *spin = rng.random(8)
        end = at + way * (10 + 9 * length)
        thinner = size * (0.78 + 0.12 * taper)
        tree.append(Branch(np.stack([at, end]), (size, thinner), False))
        if airway and depth < 3:
            beside = np.cross(way, [0.3, 0.2, 1.0]) * size * 1.7
            tree.append(Branch(np.stack([at, end]) + beside, (size * 0.85, thinner * 0.85), True))
        if thinner < 0.5 or depth > 8 or (depth > 0 and not _in_lung(anatomy, end, half_mm)):
            continue
        aside = unit(np.cross(way, np.array(spin) - 0.5) + 1e-9)
        todo.append((end, unit(way + (0.1 + 0.2 * lean) * aside), thinner * 0.98, depth + 1))
        if fork < 0.8:
            todo.append((end, unit(way - (0.45 + 0.5 * far) * aside), thinner * 0.78, depth + 1))


def _in_lung(anatomy: Anatomy, point: Points, half_mm: float) -> bool:
    """Whether a point lies in the lung, by the nearest knot of the outlines."""
    if abs(point[2]) > half_mm + 20:
        return False
    level = int(np.clip(round((LEVELS_MM[0] - point[2]) / 50), 0, 3))
    x, y = (int(np.clip(round((v + REACH_MM) / COARSE_MM), 0, len(anatomy.coarse) - 1)) for v in point[:2])
    outlines = anatomy.outlines
    return bool(outlines["ring"][level, y, x] < -5 and outlines["mediastinum"][level, y, x] > -4)


def unit(vector: Points) -> Points:
    """The vector with length 1."""
    return vector / np.sqrt(vector @ vector)


def paint_lung_tree(canvas: Canvas, anatomy: Anatomy, fields: Fields, tree: LungTree) -> None:
    """Stamp vessels and airways; what reaches beyond the lung is cut off."""
    if canvas.kind != "hu":
        return
    before = canvas.array.copy()
    vessel = np.float32(blood(anatomy).hu)
    for branch in tree.between(float(canvas.frame.z[0]), float(canvas.frame.z[-1])):
        if branch.airway:
            stamp(canvas, branch.ends, (branch.radius[0] + 1.0, branch.radius[1] + 0.8), np.float32(WALL.hu - 60))
            stamp(canvas, branch.ends, branch.radius, np.float32(AIR.hu))
        else:
            stamp(canvas, branch.ends, branch.radius, vessel)
    outside = np.maximum(fields.ring + np.float32(6.0), -fields.mediastinum - np.float32(6.0)) > 0
    outside |= (before > -300) & (fields.mediastinum > 2)  # the liver rises into the lung
    canvas.array[outside] = before[outside]
