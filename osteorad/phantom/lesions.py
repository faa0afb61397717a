"""Lesions: where they lie, what they are, and their exact borders.

A lesion's border is a formula, so the truth mask on any grid is the formula at the voxel centres.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from osteorad.cohort.config import Phantom
from osteorad.phantom.anatomy import LEVEL_NAMES, Anatomy, Vertebra
from osteorad.phantom.facts import Facts, generator
from osteorad.phantom.shapes import Floats, Points

KINDS = ("lytic", "sclerotic", "mixed")
MARROW_INSET_MM = (2.8, 2.6, 2.6)  # ROI against the body: across, front to back, up and down


@dataclass(frozen=True, slots=True, kw_only=True)
class Lesion:
    """One lesion of one session."""

    number: int
    location: str  # 'T8', 'rib 6 left', 'sternum'
    kind: str
    malignant: bool
    center: Points
    axes: Points  # rows: unit vectors of the three half axes
    radii: Points
    lumps: Points  # amplitude and phases of the irregular border
    suv: float
    host: Vertebra | None

    def distance(self, x: Floats, y: Floats, z: Floats) -> Floats:
        """About the distance to the border in mm, negative inside."""
        offsets = [a - np.float32(b) for a, b in zip((x, y, z), self.center, strict=True)]
        p, q, r = (
            sum(np.float32(part) * offset for part, offset in zip(axis, offsets, strict=True)) / np.float32(radius)
            for axis, radius in zip(self.axes, self.radii, strict=True)
        )
        size = np.sqrt(p * p + q * q + r * r)
        amplitude, first, second = (np.float32(v) for v in self.lumps)
        border = 1 + amplitude * (np.sin(3.1 * p + first) * np.sin(2.7 * q + second) + 0.7 * np.sin(3.7 * r + first))
        f = (size / border - 1) * np.float32(self.radii.min())
        if self.host is not None:
            f = np.maximum(f, self.host.body(*self.host.local(x, y, z)) - np.float32(1.0))
        return f.astype(np.float32, copy=False)

    def bounds(self) -> tuple[Points, Points]:
        """Corners of a box that holds the lesion."""
        reach = float(self.radii.max()) * 1.5 + 3.0
        return self.center - reach, self.center + reach


def marrow_distance(vertebra: Vertebra, x: Floats, y: Floats, z: Floats) -> Floats:
    """Border of the marrow that is contoured: the body without cortex and end plates."""
    return vertebra.body(*vertebra.local(x, y, z), inset=MARROW_INSET_MM[0])


def lesions_of(settings: Phantom, facts: Facts, anatomy: Anatomy, session: int, half_mm: float) -> list[Lesion]:
    """Lesions of a patient in a session (from 0); the second time they have grown or shrunk.

    half_mm : how far the scan reaches above and below the centre. Number, place and size do not depend on the outcome.
    """
    if not settings.disease:
        return []
    rng = generator(settings, facts.number, "lesions")
    hosts = _hosts(facts, anatomy, half_mm)
    count = min(int(rng.choice([1, 2, 3, 4], p=[0.25, 0.35, 0.25, 0.15])), len(hosts))
    chosen = sorted(rng.choice(len(hosts), size=count, replace=False))
    found = [_lesion(rng, n, hosts[int(h)], facts, anatomy) for n, h in enumerate(chosen, start=1)]
    if session:
        follow = generator(settings, facts.number, f"lesions/{session}")
        found = [
            replace(
                lesion,
                radii=lesion.radii * float(follow.uniform(0.85, 1.18)),
                suv=lesion.suv * float(follow.uniform(0.6, 1.4)),
            )
            for lesion in found
        ]
    return found


def _hosts(facts: Facts, anatomy: Anatomy, half_mm: float) -> list[tuple[str, int, int]]:
    """Places for a lesion inside the scan: (bone, number, side)."""
    spared = {"T6", "T7"} if facts.fractured else {"T6"}
    hosts = [
        ("vertebra", LEVEL_NAMES.index(v.name), 0)
        for v in anatomy.vertebrae
        if v.name not in spared and abs(v.center[2]) + 9 < half_mm
    ]
    hosts.append(("sternum", 0, 0))
    for number in range(3, 10):
        for side in (1, -1):
            if abs(anatomy.rib_point(number, 0.4, side)[0][2]) + 26 < half_mm:
                hosts.append(("rib", number, side))
    return hosts


def _lesion(
    rng: np.random.Generator, number: int, host: tuple[str, int, int], facts: Facts, anatomy: Anatomy
) -> Lesion:
    bone, index, side = host
    malignant = bool(rng.random() < 0.65)
    kind = KINDS[int(rng.choice(3, p=[0.4, 0.3, 0.3] if malignant else [0.45, 0.45, 0.1]))]
    jitter = rng.uniform(-1, 1, 3)
    size = float(np.exp(0.16 * rng.standard_normal()))
    axes, vertebra = np.eye(3), None
    if bone == "vertebra":
        vertebra = anatomy.vertebrae[index]
        location = vertebra.name
        center = vertebra.world(jitter * (4.5, 3.0, 1.5))
        radii = np.array([8.6, 8.0, 7.4]) * size
    elif bone == "sternum":
        location = "sternum"
        center = anatomy.place(3.0 * jitter[0], -90.5, 18.0 * jitter[2])
        radii = np.array([9.5, 5.6, 11.0]) * size
    else:
        location = f"rib {index} {'left' if side > 0 else 'right'}"
        center, direction = anatomy.rib_point(index, 0.36 + 0.1 * jitter[0], side)
        flat = np.cross(direction, [0.0, 0.0, 1.0])
        flat /= np.linalg.norm(flat)
        axes = np.stack([direction, flat, np.cross(direction, flat)])
        radii = np.array([14.5, 6.0, 7.2]) * size
    base = 6.2 * np.exp(0.36 * facts.uptake) if malignant else 1.9 * np.exp(0.1 * facts.uptake)
    return Lesion(
        number=number,
        location=location,
        kind=kind,
        malignant=malignant,
        center=np.asarray(center, dtype=float),
        axes=axes,
        radii=radii,
        lumps=np.array([0.09 if malignant else 0.03, *rng.uniform(0, 6.28, 2)]),
        suv=float(base * np.exp((0.2 if malignant else 0.25) * rng.standard_normal())),
        host=vertebra,
    )
