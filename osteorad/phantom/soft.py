"""Painting what is not bone: skin, fat, muscle, lungs, heart, great vessels, windpipe, couch."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from osteorad.phantom.anatomy import LEVELS_MM, Anatomy
from osteorad.phantom.shapes import (
    Canvas,
    Floats,
    Frame,
    Points,
    Tissue,
    between,
    ellipsoid,
    stamp,
)

AIR = Tissue(-1000.0, 0.0)
COUCH_SHELL = Tissue(-120.0, 0.0)
COUCH_FOAM = Tissue(-955.0, 0.0)
SKIN = Tissue(25.0, 0.6)
FAT = Tissue(-104.0, 0.25)
MUSCLE = Tissue(58.0, 0.65)
GLAND = Tissue(28.0, 0.8)
LUNG = Tissue(-868.0, 0.45)
MEDIASTINAL_FAT = Tissue(-92.0, 0.5)
NODE = Tissue(40.0, 0.9)
LIVER = Tissue(62.0, 2.3)
WALL = Tissue(30.0, 0.9)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Outlines on a slab: distances in mm and the place along the ring, (z, y, x)."""

    skin: Floats
    ring: Floats
    along: Floats
    mediastinum: Floats


def fields_on(anatomy: Anatomy, frame: Frame) -> Fields:
    """All outlines on a frame."""
    made = {name: outline_on(anatomy, name, frame) for name in anatomy.outlines}
    if anatomy.breasts:
        made["skin"] = _with_breasts(anatomy, frame, made["skin"])
    return Fields(**made)


def outline_on(anatomy: Anatomy, name: str, frame: Frame) -> Floats:
    """Blend one outline between its levels and bring it to a frame, (z, y, x)."""
    levels = np.array([-v for v in LEVELS_MM], dtype=np.float32)
    fine = between(between(anatomy.outlines[name], 1, anatomy.coarse, frame.y), 2, anatomy.coarse, frame.x)
    return between(fine, 0, levels, -frame.z)


def _with_breasts(anatomy: Anatomy, frame: Frame, skin: Floats) -> Floats:
    """The skin's outline with breasts, blended smoothly into the chest."""
    for side in (1, -1):
        center, radii, turn = breast(anatomy, side)
        box = frame.box(center - 82.0, center + 82.0)
        if box is None:
            continue
        mound = ellipsoid(*frame.mesh(box), center, radii, turn)
        mix = np.clip(np.float32(0.5) + (skin[box] - mound) / np.float32(40), 0, 1)
        skin[box] = skin[box] + mix * (mound - skin[box]) - np.float32(20) * mix * (1 - mix)
    return skin


def breast(anatomy: Anatomy, side: int) -> tuple[Points, Points, float]:
    """Centre, radii and turn of a breast; side 1 is left."""
    size = 0.8 + anatomy.fat_mm / 70.0
    return anatomy.place(side * 86.0, -91.0, -30.0), np.array([60.0, 27.0, 60.0]) * size, side * 0.45


def tissue_grain(anatomy: Anatomy, frame: Frame) -> Floats:
    """Slow unevenness of soft tissue, standard deviation about 1, (z, y, x)."""
    return lattice_on(anatomy.grain["tissue"], frame)


def lattice_on(lattice: Floats, frame: Frame) -> Floats:
    """A lattice stretched over the whole body and interpolated to a frame."""
    knots = [np.linspace(-216, 216, n).astype(np.float32) for n in lattice.shape]
    picked = between(lattice, 0, knots[0], frame.z)
    return between(between(picked, 1, knots[1], frame.y), 2, knots[2], frame.x)


def blood(anatomy: Anatomy) -> Tissue:
    """Blood, brighter where contrast was given."""
    return Tissue(165.0 if anatomy.facts.contrast else 44.0, 1.65)


def paint_couch(canvas: Canvas, anatomy: Anatomy, top_mm: float) -> None:
    """A curved couch below the back; `top_mm` is the height of the skin at its lowest point."""
    if canvas.kind != "hu":
        return
    x, y, _ = (axis[None, ...] for axis in (canvas.frame.x[None, :], canvas.frame.y[:, None], canvas.frame.z))
    bend = np.float32(top_mm + 7) - x * x / np.float32(1500)
    deep = y - bend
    inside = np.maximum(np.abs(deep - np.float32(16)) - np.float32(14), np.abs(x) - np.float32(205))
    mat = np.maximum(np.abs(deep + 2) - np.float32(3), np.abs(x) - np.float32(200))
    canvas.paint(None, canvas.cover(mat), np.float32(-930.0))
    canvas.paint(None, canvas.cover(inside), np.float32(COUCH_SHELL.hu))
    canvas.paint(None, canvas.cover(inside + np.float32(1.7)), np.float32(COUCH_FOAM.hu))


def paint_trunk(canvas: Canvas, anatomy: Anatomy, fields: Fields, grain: Floats) -> None:
    """Skin, fat, breasts, muscle."""
    shade = canvas.kind == "hu"
    canvas.fill(None, fields.skin, SKIN)
    under = fields.skin + np.float32(2.0)
    canvas.paint(None, canvas.cover(under), FAT.hu + 7 * grain if shade else np.float32(FAT.suv))
    if anatomy.breasts:
        _paint_glands(canvas, anatomy, grain)
    canvas.paint(
        None,
        canvas.cover(np.maximum(fields.ring - _muscle_mm(fields, canvas.frame), under + 3)),
        MUSCLE.hu + 7 * grain if shade else np.float32(MUSCLE.suv),
    )
    seam = np.abs(fields.ring - np.float32(8.6) - 2.2 * grain) - np.float32(0.55)
    behind = np.clip((fields.along - np.float32(0.1)) * 20, 0, 1) * np.clip(1.6 - np.abs(grain) * 0.5, 0, 1)
    canvas.paint(None, canvas.cover(np.maximum(seam, under + 3)) * behind, canvas.value(FAT))


def _muscle_mm(fields: Fields, frame: Frame) -> Floats:
    """Depth of muscle outside the ring: thick beside the spine and at the shoulder blade, thin at the side."""
    knots = np.array([0.0, 0.06, 0.14, 0.22, 0.30, 0.40, 0.52, 0.62, 0.72, 0.82, 0.92, 1.0])
    upper = np.array([36, 36, 27, 23, 24, 26, 17, 15, 17, 17, 8, 4], dtype=float)
    lower = np.array([36, 35, 26, 17, 13, 14, 15, 12, 8, 7, 5, 4], dtype=float)
    fine = np.linspace(0, 1, 1025)
    place = (np.clip(fields.along, 0, 1) * 1024).astype(np.int16)
    high = np.interp(fine, knots, upper).astype(np.float32)[place]
    low = np.interp(fine, knots, lower).astype(np.float32)[place]
    weight = np.clip((frame.z + np.float32(60)) / 110, 0, 1).astype(np.float32)[:, None, None]
    return low + weight * (high - low)


def _paint_glands(canvas: Canvas, anatomy: Anatomy, grain: Floats) -> None:
    for side in (1, -1):
        center, radii, turn = breast(anatomy, side)
        center = center + np.array([side * 4.0, -6.0, 0.0])
        box = canvas.frame.box(center - radii.max(), center + radii.max())
        if box is None:
            continue
        gland = ellipsoid(*canvas.frame.mesh(box), center, radii * (0.62, 0.5, 0.62), turn)
        streaks = np.clip(0.35 + 0.6 * grain[box], 0, 0.9) * np.clip(0.5 - gland / 12, 0, 1)
        canvas.paint(box, streaks, canvas.value(GLAND))


def paint_chest(canvas: Canvas, anatomy: Anatomy, fields: Fields, grain: Floats) -> None:
    """Lungs and the space between them, without vessels."""
    shade = canvas.kind == "hu"
    inner = fields.ring + np.float32(5.2)
    if shade:
        air: Floats | np.float32 = _lung_shade(canvas.frame, anatomy, grain)
    else:
        air = np.float32(LUNG.suv)
    canvas.paint(None, canvas.cover(np.maximum(inner, -fields.mediastinum)), air)
    middle = np.maximum(fields.mediastinum, inner - np.float32(2.0))
    canvas.paint(
        None, canvas.cover(middle), MEDIASTINAL_FAT.hu + 8 * grain if shade else np.float32(MEDIASTINAL_FAT.suv)
    )
    _paint_liver(canvas, anatomy, inner, grain)


def _lung_shade(frame: Frame, anatomy: Anatomy, grain: Floats) -> Floats:
    """Air and tissue of the lung: denser behind, mottled, with the oblique fissures as faint lines."""
    mottle = lattice_on(anatomy.grain["lung"], frame)
    shade = LUNG.hu + 9 * grain + 17 * mottle
    shade += np.float32(28.0) * np.clip((frame.y + 20) / 110, -1, 1)[None, :, None]
    bend = np.float32(6) * np.sin(frame.x / np.float32(31))[None, None, :]
    fissure = frame.y[None, :, None] + np.float32(0.75) * frame.z[:, None, None] + bend - np.float32(6)
    shade += np.float32(75.0) * np.clip(1.6 - np.abs(fissure), 0, 1)
    return shade


def _paint_liver(canvas: Canvas, anatomy: Anatomy, inner: Floats, grain: Floats) -> None:
    center = anatomy.place(-56.0, 2.0, -122.0)
    box = canvas.frame.box(center - 95.0, center + 95.0)
    if box is None:
        return
    dome = ellipsoid(*canvas.frame.mesh(box), center, np.array([72.0, 80.0, 78.0]))
    dome = np.maximum(dome, inner[box])
    canvas.paint(box, canvas.cover(dome), canvas.value(LIVER) + (6 * grain[box] if canvas.kind == "hu" else 0))


def paint_heart(canvas: Canvas, anatomy: Anatomy, fields: Fields) -> None:
    """Heart muscle and chambers inside their fat; great vessels; gullet; windpipe."""
    pool = blood(anatomy)
    contrast = anatomy.facts.contrast
    muscle = Tissue(98.0 if contrast else 50.0, 1.9)
    ventricle = Tissue(112.0 if contrast else 53.0, 2.0 + 0.9 * (anatomy.seed % 5))  # it takes up as it likes
    for center, radii, turn, tissue in (
        ((24, -36, -50), (58, 37, 48), 0.50, muscle),
        ((49, -26, -58), (37, 27, 42), 0.60, ventricle),
        ((50, -26, -56), (26, 16, 32), 0.60, pool),
        ((6, -54, -50), (34, 15, 36), 0.45, pool),
        ((-24, -26, -42), (19, 24, 34), 0.1, pool),
        ((10, 7, -24), (33, 14, 22), 0.15, pool),
    ):
        where = anatomy.place(*map(float, center))
        box = canvas.frame.box(where - max(radii) - 4.0, where + max(radii) + 4.0)
        if box is not None:
            shape = ellipsoid(*canvas.frame.mesh(box), where, np.array(radii, dtype=float), turn)
            canvas.fill(box, np.maximum(shape, fields.mediastinum[box] + np.float32(3.0)), tissue)
    for points in _grooves():
        rod(canvas, anatomy, points, (4.6, 3.6), MEDIASTINAL_FAT)
        rod(canvas, anatomy, points, (1.8, 1.5), pool)
    for points, radius in _great_vessels():  # all walls first: vessels that meet share their blood
        rod(canvas, anatomy, points, (radius + 1.0, radius + 1.0), WALL)
    for points, radius in _great_vessels():
        rod(canvas, anatomy, points, (radius, radius), pool)
    rod(canvas, anatomy, ((4, 27, 90), (6, 27, 20), (9, 25, -90)), (6.0, 6.5), NODE)
    for node in ((-14, 12, 33), (27, 6, 40), (-22, -2, 48), (6, 14, 4), (24, 22, 34)):
        rod(canvas, anatomy, (node, (node[0] + 3, node[1] + 4, node[2] + 4)), (3.2, 2.4), NODE)


def _grooves() -> tuple[tuple[tuple[float, float, float], ...], ...]:
    """Fat grooves of the heart, with their arteries."""
    return (
        ((4, -44, 4), (-8, -62, -22), (-18, -54, -50), (-14, -34, -80)),
        ((26, -46, 2), (42, -62, -24), (62, -60, -52), (78, -48, -78)),
        ((28, -12, 0), (46, 2, -26), (52, 8, -48)),
    )


def _great_vessels() -> tuple[tuple[tuple[tuple[float, float, float], ...], float], ...]:
    return (
        (((23, 40, 200), (23, 40, 40), (22, 41, -30), (15, 42, -200)), 11.5),  # aorta, behind
        (((-16, -20, 52), (-14, -28, 10), (0, -22, -20)), 15.0),  # aorta, in front
        (((-16, -20, 56), (4, -6, 72), (22, 22, 66), (23, 40, 46)), 12.0),  # arch
        (((22, -44, -14), (22, -30, 14), (14, -14, 26)), 14.0),  # lung artery
        (((14, -14, 24), (-18, -4, 22), (-40, 4, 14)), 11.0),
        (((20, -16, 26), (38, 2, 26), (42, 14, 12), (40, 20, -14)), 10.5),
        (((-38, 6, 14), (-40, 14, -16)), 8.0),
        (((-27, -16, 200), (-27, -14, 40), (-25, -20, -10)), 8.5),  # upper hollow vein
        (((-10, 36, 200), (-9, 40, -200)), 3.0),  # azygos vein
        (((-16, 6, -22), (-46, 4, -16)), 6.5),  # lung veins
        (((-16, 10, -32), (-44, 20, -42)), 6.0),
        (((34, 6, -22), (56, 2, -14)), 6.0),
        (((34, 10, -32), (52, 24, -44)), 6.0),
    )


def rod(
    canvas: Canvas,
    anatomy: Anatomy,
    points: tuple[tuple[float, float, float], ...],
    radius: tuple[float, float],
    tissue: Tissue,
) -> None:
    """Paint a bent rod through drawn points."""
    placed = np.array([anatomy.place(*map(float, p)) for p in points])
    for a, b in pairwise(placed):
        stamp(canvas, np.stack([a, b]), radius, canvas.value(tissue))


def paint_airways(canvas: Canvas, anatomy: Anatomy) -> None:
    """Windpipe and main bronchi."""
    pieces = (
        (((0, 4, 200), (1, 8, 42)), 8.5),
        (((1, 8, 43), (-20, 12, 26), (-34, 14, 14)), 6.5),
        (((1, 8, 43), (24, 12, 24), (42, 16, 8)), 6.0),
    )
    for points, radius in pieces:
        rod(canvas, anatomy, points, (radius + 1.4, radius + 1.2), WALL)
    for points, radius in pieces:
        rod(canvas, anatomy, points, (radius, radius * 0.95), AIR)
