"""Painting bone: vertebrae with discs and arches, ribs and cartilage, breastbone, shoulder blades, lesions."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from osteorad.phantom.anatomy import PITCH_MM, Anatomy, Vertebra
from osteorad.phantom.lesions import Lesion
from osteorad.phantom.shapes import Box, Canvas, Floats, Frame, Tissue, capsule, sample_lattice, stamp

CORTEX = Tissue(720.0, 0.9)
ARCH_CORTEX = Tissue(820.0, 0.9)
SPONGY = Tissue(230.0, 1.3)
DISC = Tissue(88.0, 0.6)
CARTILAGE = Tissue(105.0, 0.6)
CSF = Tissue(14.0, 0.5)
CORD = Tissue(42.0, 1.5)
EPIDURAL_FAT = Tissue(-70.0, 0.4)
BONE = (CORTEX, ARCH_CORTEX, SPONGY)
MARROW_SUV = 1.9
REACH_LOW, REACH_HIGH = np.array([38.0, 21.0, 40.0]), np.array([38.0, 62.0, 24.0])  # of a vertebra, mm
CANAL = np.array([0.0, 21.5, 0.0])  # middle of the canal in local mm
# Rods of the arch in local mm: ends (u, v, w), radius at both ends; u is mirrored for the other side.
ARCH = (
    ((8.0, 8.0, 4.5), (11.5, 20.0, 3.5), 4.2, 3.8),  # pedicle
    ((11.5, 21.0, 3.0), (1.5, 31.0, -7.0), 3.4, 3.6),  # lamina
    ((11.0, 21.0, 11.0), (11.0, 23.0, -13.0), 3.3, 3.1),  # joint processes
    ((12.0, 21.0, 3.5), (29.0, 32.5, 6.0), 4.0, 4.2),  # transverse process
)
SPINE = ((0.0, 32.0, -7.0), (0.0, 51.0, -29.0), 3.0, 2.6)


class BoneCanvas(Canvas):
    """Where bone is: over 0 where the last shape painted over a voxel's centre is bone, marrow or a lesion, else 0."""

    def __init__(self, frame: Frame) -> None:
        super().__init__(frame, "suv", 0.0)  # shades without texture, all of them over 0

    def cover(self, distance: Floats) -> Floats:
        """Whether each voxel's centre lies inside a shape: a mask has no partial volume."""
        return (distance < 0).astype(np.float32)

    def value(self, tissue: Tissue) -> np.float32:
        """1 for bone; discs, cartilage and the canal are none."""
        return np.float32(tissue in BONE)


def paint_bones(canvas: Canvas, anatomy: Anatomy, lesions: Sequence[Lesion], ring: Floats, along: Floats) -> None:
    """All bones, the canal that runs through them, and lesions; ring, along : as for `paint_ribs`."""
    paint_scapulae(canvas, ring, along)
    paint_ribs(canvas, anatomy, ring, along)
    paint_sternum(canvas, anatomy)
    for vertebra in anatomy.vertebrae:
        paint_vertebra(canvas, anatomy, vertebra)
    paint_canal(canvas, anatomy)
    for lesion in lesions:
        paint_lesion(canvas, anatomy, lesion)


def paint_vertebra(canvas: Canvas, anatomy: Anatomy, vertebra: Vertebra) -> None:
    """Body, disc below and arch of one vertebra."""
    box = canvas.frame.box(vertebra.center - REACH_LOW, vertebra.center + REACH_HIGH)
    if box is None:
        return
    u, v, w = vertebra.local(*canvas.frame.mesh(box))
    _paint_disc(canvas, box, vertebra, u, v, w)
    _paint_arch(canvas, box, u, v, w)
    _paint_body(canvas, box, anatomy, vertebra, (u, v, w))


def _paint_disc(canvas: Canvas, box: Box, vertebra: Vertebra, u: Floats, v: Floats, w: Floats) -> None:
    """The disc fills the gap to the body below, a little wider than the body's waist."""
    center = -PITCH_MM / 2
    ring = (
        np.sqrt((u / np.float32(vertebra.half_width)) ** 2 + (v / np.float32(vertebra.half_depth)) ** 2) - 1
    ) * np.float32(vertebra.half_depth)
    thick = PITCH_MM / 2 - vertebra.half_height + 2.0
    canvas.fill(box, np.maximum(ring, np.abs(w - np.float32(center)) - np.float32(thick)), DISC)


def _paint_arch(canvas: Canvas, box: Box, u: Floats, v: Floats, w: Floats) -> None:
    side = np.abs(u)
    rods = [capsule(side, v, w, np.array([a, b]), (r0, r1)) for a, b, r0, r1 in ARCH]
    a, b, r0, r1 = SPINE
    rods.append(capsule(u, v, w, np.array([a, b]), (r0, r1)))
    distance = rods[0]
    for rod in rods[1:]:
        distance = np.minimum(distance, rod)
    canvas.fill(box, distance, ARCH_CORTEX)
    canvas.fill(box, distance + np.float32(1.5), SPONGY)


def _paint_body(
    canvas: Canvas, box: Box, anatomy: Anatomy, vertebra: Vertebra, local: tuple[Floats, Floats, Floats]
) -> None:
    u, v, w = local
    canvas.fill(box, vertebra.body(u, v, w), CORTEX)
    inside = vertebra.body(u, v, w, inset=0.95)
    canvas.paint(box, canvas.cover(inside), marrow_shade(canvas, anatomy, vertebra, local))


def marrow_shade(
    canvas: Canvas, anatomy: Anatomy, vertebra: Vertebra, local: tuple[Floats, Floats, Floats]
) -> Floats | np.float32:
    """What the marrow shows: density and trabecular texture of this patient, the vein behind, a crushed band."""
    if canvas.kind == "suv":
        return np.float32(MARROW_SUV)
    u, v, w = local
    facts = anatomy.facts
    shift = np.float32(7.3 * (vertebra.center[2] / PITCH_MM))  # each vertebra shows another part of the lattice
    grain = sample_lattice(anatomy.grain["trabeculae"], u + shift, v, w + 3 * shift, 1.0)
    shade = np.float32(facts.density_hu) + np.float32(facts.texture_hu) * grain
    vein = np.exp(-((w / 1.6) ** 2) - ((u - 0.0) / 5.0) ** 2) * np.clip((v - 1) / 6, 0, 1)
    shade = shade - np.float32(95.0) * vein.astype(np.float32)
    if vertebra.fractured:
        shade = shade + np.float32(230.0) * np.exp(-(((w - 1.0) / 2.6) ** 2)) * np.clip(0.6 - v / 20, 0, 1)
    return shade


def paint_canal(canvas: Canvas, anatomy: Anatomy) -> None:
    """The spinal canal through all levels, from its wall to the cord."""
    middles = [vertebra.world(CANAL) for vertebra in anatomy.vertebrae]
    for radius, tissue in ((8.0, EPIDURAL_FAT), (7.0, CSF), (4.2, CORD)):
        for ends in pairwise(middles):
            stamp(canvas, np.stack(ends), (radius, radius), canvas.value(tissue))


def paint_ribs(canvas: Canvas, anatomy: Anatomy, ring: Floats, along: Floats) -> None:
    """All ribs at once: they follow the ring of the chest and repeat with the pitch of the spine.

    ring, along : distance to the ring and place along it, (z, y, x).
    """
    near_ring = np.abs(ring) < 9.5
    z = np.broadcast_to(canvas.frame.z[:, None, None], ring.shape)[near_ring]
    ring, along = ring[near_ring], along[near_ring]
    down = np.float32(anatomy.rib_head_z(1)) - z - anatomy.rib_z(along)
    offset = np.mod(down + np.float32(PITCH_MM / 2), np.float32(PITCH_MM)) - np.float32(PITCH_MM / 2)
    near = np.clip(1.25 - along * 6, 0, 1)  # ribs are rounder at the spine
    thick = np.float32(3.7) + np.float32(0.8) * near
    tall = np.float32(6.9) - np.float32(1.6) * near
    size = (np.sqrt(np.square(ring / thick) + np.square(offset / tall)) - 1) * thick
    bony = (along - np.float32(0.74)) * np.float32(280)
    ends = (np.float32(0.03) - along) * np.float32(280)
    gristle = np.maximum(size, (along - np.float32(0.95)) * np.float32(280))
    canvas.fill(near_ring, np.maximum(gristle, -bony), CARTILAGE)
    canvas.fill(near_ring, np.maximum(np.maximum(size, bony), ends), ARCH_CORTEX)
    canvas.fill(near_ring, np.maximum(np.maximum(size + np.float32(1.25), bony + 1), ends), SPONGY)


def paint_sternum(canvas: Canvas, anatomy: Anatomy) -> None:
    """A plate behind the skin of the chest, through all slices."""
    center = anatomy.place(0.0, -90.5, 0.0)
    reach = np.array([30.0, 14.0, 1e4])
    box = canvas.frame.box(center - reach, center + reach)
    if box is None:
        return
    x, y, z = canvas.frame.mesh(box)
    u, v = x - np.float32(center[0]), y - np.float32(center[1])
    width = np.float32(15.5) + 2.0 * np.cos(z / np.float32(11.0)) + 0.02 * z
    across, deep = np.square(u / width), np.square(v / np.float32(5.4))
    plate = (np.sqrt(np.sqrt(across * across + deep * deep)) - 1) * np.float32(5.4)
    canvas.fill(box, plate, CORTEX)
    if canvas.kind == "suv":
        canvas.paint(box, canvas.cover(plate + np.float32(1.1)), np.float32(MARROW_SUV * 0.8))
        return
    grain = sample_lattice(anatomy.grain["trabeculae"], u, v, z, 1.1)
    shade = np.float32(0.72 * anatomy.facts.density_hu) + np.float32(0.8 * anatomy.facts.texture_hu) * grain
    canvas.paint(box, canvas.cover(plate + np.float32(1.1)), shade)


def paint_scapulae(canvas: Canvas, ring: Floats, along: Floats) -> None:
    """Two thin blades outside the ribs, behind; they end at the height of T8."""
    where = (ring > 5) & (ring < 25) & (along > 0.17) & (along < 0.44)
    z = np.broadcast_to(canvas.frame.z[:, None, None], ring.shape)[where]
    ring, along = ring[where], along[where] - np.float32(0.305)
    half = np.clip((z + np.float32(38)) / 100, 0, 1) * np.float32(0.115)
    blade = np.abs(ring - np.float32(13.0) - 20 * np.square(along))
    thick = np.float32(1.6) + np.float32(3.0) * np.clip(along / np.float32(0.1), 0, 1)
    shape = np.maximum(blade - thick, (np.abs(along) - half) * np.float32(280))
    canvas.fill(where, shape, ARCH_CORTEX)
    canvas.fill(where, shape + np.float32(1.3), SPONGY)


def paint_lesion(canvas: Canvas, anatomy: Anatomy, lesion: Lesion) -> None:
    """One lesion over the bone that it sits in."""
    box = canvas.frame.box(*lesion.bounds())
    if box is None:
        return
    x, y, z = canvas.frame.mesh(box)
    distance = lesion.distance(x, y, z)
    if canvas.kind == "suv":
        canvas.paint(box, canvas.cover(distance), np.float32(lesion.suv))
        return
    if not lesion.malignant and lesion.kind != "sclerotic":  # a benign rim
        canvas.paint(box, canvas.cover(np.abs(distance) - np.float32(0.9)), np.float32(420.0))
    canvas.paint(box, canvas.cover(distance + np.float32(0.4)), _lesion_shade(anatomy, lesion, x, y, z))


def _lesion_shade(anatomy: Anatomy, lesion: Lesion, x: Floats, y: Floats, z: Floats) -> Floats:
    patches = sample_lattice(anatomy.grain["patches"], x + 31 * lesion.number, y, z, 2.2)
    fine = sample_lattice(anatomy.grain["trabeculae"], x + 17 * lesion.number, y, z, 1.0)
    rough = 1.0 if lesion.malignant else 0.4
    if lesion.kind == "lytic":
        return np.float32(52.0) + np.float32(22 * rough) * patches + np.float32(12.0) * fine
    dense = np.float32(610.0 if lesion.malignant else 830.0) + np.float32(130 * rough) * patches + 35.0 * fine
    if lesion.kind == "sclerotic":
        return dense
    share = np.clip(0.5 + 1.4 * patches, 0, 1)
    return share * dense * np.float32(0.9) + (1 - share) * np.float32(60.0)
