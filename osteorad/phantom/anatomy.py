"""Where things lie in one digital patient: outlines of the chest, vertebrae, ribs. No pixel is made here.

Outlines are drawn at four levels and blended in between. z = 0 is the disc between T6 and T7.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from osteorad.cohort.config import Phantom
from osteorad.phantom.facts import Facts, generator
from osteorad.phantom.shapes import Floats, Points, curve_distance, lattice_noise, smooth_curve

LEVELS_MM = (75.0, 25.0, -25.0, -75.0)
PITCH_MM = 24.6  # from one vertebra to the next
LEVEL_NAMES = tuple(f"T{n}" for n in range(1, 13))
COARSE_MM = 4.0
REACH_MM = 216.0  # outlines are known so far from the centre

# Half outlines, patient's left (x > 0), from the spine round to the breastbone.
RING = np.array(
    [
        (5, 66), (17, 70), (31, 80), (50, 89), (72, 87), (95, 72), (113, 47), (123, 15),
        (122, -15), (112, -43), (92, -66), (66, -81), (38, -89), (12, -92),
    ],
    dtype=float,
)  # fmt: skip
SKIN = np.array(
    [
        (0, 113), (22, 118), (55, 121), (90, 113), (122, 91), (145, 58), (155, 20), (154, -18),
        (144, -52), (122, -82), (92, -103), (60, -113), (28, -114), (0, -112),
    ],
    dtype=float,
)  # fmt: skip
MEDIASTINUM_LEFT = (
    [(5, -82), (7, -62), (18, -46), (29, -22), (35, 5), (29, 24), (34, 40), (19, 58), (15, 74)],
    [(5, -82), (8, -62), (28, -52), (40, -32), (42, -2), (33, 16), (35, 34), (33, 48), (20, 60), (15, 74)],
    [(9, -83), (40, -78), (70, -61), (86, -36), (81, -7), (60, 13), (39, 22), (35, 36), (33, 49), (20, 60), (15, 74)],
    [(13, -83), (60, -81), (92, -61), (100, -35), (88, -8), (58, 11), (36, 20), (35, 36), (32, 48), (20, 60), (15, 74)],
)
MEDIASTINUM_RIGHT = (
    [(-15, 74), (-20, 56), (-17, 38), (-16, 20), (-22, 2), (-37, -14), (-20, -50), (-6, -66), (-5, -82)],
    [(-15, 74), (-20, 56), (-16, 36), (-28, 20), (-41, 4), (-40, -20), (-29, -45), (-8, -64), (-6, -82)],
    [(-15, 74), (-20, 56), (-14, 37), (-28, 25), (-45, 5), (-48, -25), (-42, -54), (-22, -75), (-7, -83)],
    [(-15, 74), (-20, 56), (-13, 34), (-26, 20), (-40, -5), (-44, -35), (-40, -64), (-20, -79), (-8, -83)],
)
RING_SCALE = ((0.91, 0.92), (0.975, 0.975), (1.0, 1.0), (1.02, 1.01))
SKIN_SCALE = ((0.985, 0.97), (1.0, 1.0), (1.0, 1.01), (0.985, 1.01))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vertebra:
    """One vertebra; local axes u (left), v (back), w (up) about the centre of its body."""

    name: str
    center: Points
    tilt: float  # radians, forward bend
    half_width: float
    half_depth: float
    half_height: float
    fractured: bool

    def local(self, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats, Floats]:
        """World to local coordinates."""
        c, s = np.float32(np.cos(self.tilt)), np.float32(np.sin(self.tilt))
        px, py, pz = (a - np.float32(b) for a, b in zip((x, y, z), self.center, strict=True))
        return px, c * py + s * pz, c * pz - s * py

    def world(self, point: Points) -> Points:
        """Local point to world coordinates."""
        c, s = np.cos(self.tilt), np.sin(self.tilt)
        u, v, w = point
        return np.array(self.center) + np.array([u, c * v - s * w, s * v + c * w])

    def body(self, u: Floats, v: Floats, w: Floats, inset: float = 0.0) -> Floats:
        """Distance to the vertebral body, or to the body made smaller by `inset` on all sides."""
        a, b = self.half_width - inset, self.half_depth - inset
        height = np.float32(self.half_height - inset)
        if self.fractured:  # a wedge: the front is crushed most
            height = height * np.clip(0.78 + 0.022 * v, 0.45, 1.0).astype(np.float32)
        waist = np.float32(0.91) + np.float32(0.09) * np.square(np.clip(np.abs(w) / height, 0, 1))
        back = np.where(v > 0, v * np.float32(1.12) + np.float32(0.010) * (np.float32(90.0) - u * u) * (v > 6), v)
        p, q = u / (np.float32(a) * waist), back / (np.float32(b) * waist)
        pp, qq = p * p, q * q
        round_ = (np.sqrt(np.sqrt(pp * pp + qq * qq + np.float32(1.7) * pp * qq)) - 1) * np.float32(min(a, b))
        dished = height - np.float32(1.4) * np.clip(1 - (u * u + v * v) / np.float32(a * a), 0, 1)
        return np.maximum(round_, np.abs(w) - dished)


@dataclass(frozen=True)
class Anatomy:
    """All outlines and levels of one patient in world coordinates."""

    facts: Facts
    scale: tuple[float, float]
    fat_mm: float
    turn: float
    shift: tuple[float, float]
    seed: int
    breasts: bool

    def warp(self, points: Points) -> Points:
        """From the drawn body to this patient's: size, position, a little rotation; points (n, 2) in x, y."""
        p = np.asarray(points, dtype=float) * self.scale
        c, s = np.cos(self.turn), np.sin(self.turn)
        return np.stack([c * p[:, 0] - s * p[:, 1], s * p[:, 0] + c * p[:, 1]], axis=1) + self.shift

    def place(self, x: float, y: float, z: float) -> Points:
        """World position of a drawn point."""
        return np.append(self.warp(np.array([[x, y]]))[0], z)

    @cached_property
    def coarse(self) -> Floats:
        """Knots of the outlines' grid in mm, the same along x and y."""
        n = int(2 * REACH_MM / COARSE_MM) + 1
        return np.linspace(-REACH_MM, REACH_MM, n).astype(np.float32)

    @cached_property
    def ring_curves(self) -> list[Points]:
        """The rib cage at each level: a closed curve of 600 points that starts behind and runs left."""
        curves = []
        for kx, ky in RING_SCALE:
            half = RING.copy()
            near = np.clip((half[:, 0] - 30) / 60, 0, 1)  # what sits at the spine stays there
            half[:, 0] *= 1 + (kx - 1) * near
            half[:, 1] = np.where(half[:, 1] < 40, 40 + (half[:, 1] - 40) * ky, half[:, 1])
            whole = np.vstack([half, half[::-1] * (-1, 1)])
            curves.append(smooth_curve(self.warp(whole), 600, closed=True))
        return curves

    @cached_property
    def outlines(self) -> dict[str, Floats]:
        """Distances on the coarse grid (level, y, x): skin, ring, mediastinum; `along` the ring, 0 behind, 1 before."""
        knots = self.coarse.astype(float)
        found: dict[str, list[Floats]] = {"skin": [], "ring": [], "along": [], "mediastinum": []}
        for level in range(len(LEVELS_MM)):
            kx, ky = SKIN_SCALE[level]
            grow = np.array([kx, ky]) * (1 + (self.fat_mm - 14) / np.array([150.0, 112.0]))
            skin = np.vstack([SKIN[:-1], (SKIN[1:] * (-1, 1))[::-1]]) * grow
            chest = [*MEDIASTINUM_LEFT[level], *MEDIASTINUM_RIGHT[level]]
            ring, along = curve_distance(knots, knots, self.ring_curves[level])
            found["skin"].append(curve_distance(knots, knots, smooth_curve(self.warp(skin), 500, closed=True))[0])
            found["ring"].append(ring)
            found["along"].append(1 - np.abs(1 - 2 * along))
            middle = smooth_curve(self.warp(np.array(chest, dtype=float)), 400, closed=True)
            found["mediastinum"].append(curve_distance(knots, knots, middle)[0])
        return {name: np.stack(fields) for name, fields in found.items()}

    @cached_property
    def vertebrae(self) -> list[Vertebra]:
        """T1 to T12, from the head down."""
        rng = np.random.Generator(np.random.PCG64(self.seed))
        made = []
        for index, name in enumerate(LEVEL_NAMES):
            z = (6 - index - 0.5) * PITCH_MM  # T6 at half a pitch above 0
            bend = 4.5 * (z / 75.0) ** 2
            x, y = self.warp(np.array([[1.6 * np.sin(z / 60.0 + self.turn * 20), 50.0 - min(bend, 22.0)]]))[0]
            grow = 1 + 0.016 * (index - 6) + 0.01 * rng.standard_normal()
            made.append(
                Vertebra(
                    name=name,
                    center=np.array([x, y, z]),
                    tilt=float(np.clip(-9.0 * z / 75.0**2, -0.3, 0.3)),
                    half_width=15.2 * grow * self.scale[0],
                    half_depth=13.0 * grow * self.scale[1],
                    half_height=9.9 + 0.12 * (index - 6),
                    fractured=self.facts.fractured and name == "T6",
                )
            )
        return made

    def vertebra(self, name: str) -> Vertebra:
        """A vertebra by its name."""
        return self.vertebrae[LEVEL_NAMES.index(name)]

    def rib_z(self, along: Floats) -> Floats:
        """How far below its head a rib lies at a point of the ring (0 behind, 1 in front), in mm."""
        rise = np.clip((along - np.float32(0.72)) / np.float32(0.28), 0, 1)
        drop = (np.float32(132) - np.float32(46) * along) * along - np.float32(34) * rise * np.sqrt(rise)
        return drop.astype(np.float32)

    def rib_point(self, number: int, along: float, side: int) -> tuple[Points, Points]:
        """Centre of rib `number` at a point of the ring, and the rib's direction there; side 1 is left, -1 right."""

        def at(share: float) -> Points:
            z = self.rib_head_z(number) - float(self.rib_z(np.array(share, dtype=np.float32)))
            level = float(np.clip((LEVELS_MM[0] - z) / 50.0, 0, 2.999))
            low = int(level)
            index = round((0.5 * share if side > 0 else 1 - 0.5 * share) * 600) % 600
            first, second = self.ring_curves[low][index], self.ring_curves[low + 1][index]
            return np.append(first + (second - first) * (level - low), z)

        ahead = at(along + 0.02) - at(along - 0.02)
        return at(along), ahead / np.linalg.norm(ahead)

    def rib_head_z(self, number: int) -> float:
        """Height of a rib's head: at the disc above its vertebra."""
        return float(self.vertebrae[0].center[2]) + (1 - number) * PITCH_MM + 0.42 * PITCH_MM

    @cached_property
    def grain(self) -> dict[str, Floats]:
        """Textures that belong to the body: trabeculae (1 mm lattice), patches and tissue (wider lattices)."""
        rng = np.random.Generator(np.random.PCG64(self.seed + 1))
        return {
            "trabeculae": lattice_noise(rng, (64, 64, 64), (1.9, 1.35, 1.35)),
            "patches": lattice_noise(rng, (40, 40, 40), 1.6),
            "tissue": lattice_noise(rng, (48, 64, 64), (1.0, 1.4, 1.4)),
            "lung": lattice_noise(rng, (72, 90, 90), 0.9),
        }


def anatomy_of(settings: Phantom, facts: Facts) -> Anatomy:
    """This patient's body."""
    rng = generator(settings, facts.number, "anatomy")
    size = float(np.clip(1 + 0.35 * (facts.height_m / 1.66 - 1) + 0.02 * rng.standard_normal(), 0.94, 1.06))
    bulk = facts.weight_kg / (25.5 * facts.height_m**2)
    return Anatomy(
        facts=facts,
        scale=(size * float(1 + 0.015 * rng.standard_normal()), size),
        fat_mm=float(np.clip(14 + 26 * (bulk - 1), 7, 22)),
        turn=float(np.clip(0.02 * rng.standard_normal(), -0.05, 0.05)),
        shift=(float(np.clip(3 * rng.standard_normal(), -6, 6)), float(np.clip(2 * rng.standard_normal(), -5, 5))),
        seed=int(rng.integers(2**31)),
        breasts=facts.female,
    )
