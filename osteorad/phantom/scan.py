"""The scanner: CT in Hounsfield units and PET in standardised uptake, with blur and noise, and the truth masks.

Volumes are indexed (z, y, x); z rises to the head, y to the back, x to the patient's left.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import fft
from scipy.ndimage import gaussian_filter

from osteorad.cohort.config import Phantom
from osteorad.phantom import bones, lungs, soft
from osteorad.phantom.anatomy import Anatomy, anatomy_of
from osteorad.phantom.facts import SCOUT_PATIENT, Facts, facts_of, generator
from osteorad.phantom.lesions import Lesion, lesions_of, marrow_distance
from osteorad.phantom.shapes import Canvas, Floats, Frame, Points

SLAB = 8
FOV_MM = {"siemens": 384.0, "ge": 380.0, "philips": 390.0}
PET_VOXEL_MM = {"siemens": (4.0728, 3.0), "ge": (3.90625, 3.27), "philips": (4.0, 4.0)}
PET_FOV_MM = 560.0
PET_FWHM_MM = {"siemens": 5.5, "ge": 6.2, "philips": 6.8}
SITE_HU = {"A": 0.0, "B": 7.0, "C": -6.0}  # scanners differ a little; the outcome does not follow them
NOISE_HU = {"siemens": 11.0, "ge": 13.0, "philips": 12.0}
LOW_HU, HIGH_HU = -1024, 3071


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """One volume and where it lies: `origin` is the centre of voxel (0, 0, 0), LPS mm, before the table's offset."""

    array: NDArray[np.generic]  # CT: int16 HU; PET: float32 SUVbw
    frame: Frame
    masks: dict[str, NDArray[np.bool_]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything that the scanner saw of one patient on one day."""

    facts: Facts
    anatomy: Anatomy
    lesions: list[Lesion]
    ct: Scan
    ct_sharp: NDArray[np.int16] | None  # the same raw data with a bone kernel
    pet: Scan | None
    bone: NDArray[np.bool_] | None  # on the grid of the CT, where the settings ask for it


def ct_frame(settings: Phantom, facts: Facts) -> Frame:
    """Grid of the CT."""
    spacing = round(FOV_MM[facts.vendor] / settings.matrix, 6)
    thick = settings.slice_mm or round(128.0 / settings.slices, 4)
    plane = _axis(settings.matrix, spacing)
    return Frame(z=_axis(settings.slices, thick), y=plane, x=plane)


def pet_frame(settings: Phantom, facts: Facts) -> Frame:
    """Grid of the PET: wider than the CT, coarser, as high as the CT."""
    in_plane, thick = PET_VOXEL_MM[facts.vendor]
    ct = ct_frame(settings, facts)
    high = step_mm(ct.z) * settings.slices
    grow = max(1.0, step_mm(ct.x) / 2.1)
    in_plane, thick = round(in_plane * grow, 5), round(thick * grow, 4)
    plane = _axis(2 * round(PET_FOV_MM / in_plane / 2), in_plane)
    return Frame(z=_axis(max(4, int(high / thick)), thick), y=plane, x=plane)


def step_mm(axis: Floats) -> float:
    """Spacing of an axis, rounded as the header states it."""
    return round(float(axis[-1] - axis[0]) / (len(axis) - 1), 6)


def _axis(count: int, spacing: float) -> Floats:
    return ((np.arange(count) - (count - 1) / 2) * spacing).astype(np.float32)


def scan_session(settings: Phantom, number: int, session: int = 0) -> Session:
    """Scan patient `number` (from 1) for the session (from 0); the same arguments give the same voxels."""
    facts = facts_of(settings, number)
    anatomy = anatomy_of(settings, facts)
    frame = ct_frame(settings, facts)
    half = (frame.z[-1] - frame.z[0]) / 2
    lesions = lesions_of(settings, facts, anatomy, session, float(half))
    clean = render(anatomy, lesions, frame, "hu")
    rng = generator(settings, number, f"noise/{session}")
    sharp = None
    ct = expose(clean, frame, facts, rng, sharp=False)
    if settings.special_cases and number == SCOUT_PATIENT:
        sharp = expose(clean, frame, facts, generator(settings, number, "noise/sharp"), sharp=True)
    return Session(
        facts=facts,
        anatomy=anatomy,
        lesions=lesions,
        ct=Scan(array=ct, frame=frame, masks=truth_masks(anatomy, lesions, frame)),
        ct_sharp=sharp,
        pet=_pet(settings, facts, anatomy, lesions, session) if settings.pet else None,
        bone=bone_mask(anatomy, lesions, frame) if settings.bone else None,
    )


def render(anatomy: Anatomy, lesions: list[Lesion], frame: Frame, kind: str) -> Floats:
    """The body without blur and noise, HU or SUV, slab by slab so that memory stays small."""
    whole = np.empty(frame.shape, dtype=np.float32)
    half = float(frame.z[-1] - frame.z[0]) / 2
    tree = lungs.lung_tree(anatomy, half) if kind == "hu" else lungs.LungTree([])
    lowest = float(max(p[1] for curve in anatomy.ring_curves for p in curve)) + 27.0 + anatomy.fat_mm
    for start in range(0, frame.shape[0], SLAB):
        part = frame.part(slice(start, start + SLAB))
        canvas = Canvas(part, kind, soft.AIR.hu if kind == "hu" else 0.0)
        _paint_slab(canvas, anatomy, lesions, tree, lowest)
        whole[start : start + SLAB] = canvas.array
    return whole


def _paint_slab(canvas: Canvas, anatomy: Anatomy, lesions: list[Lesion], tree: lungs.LungTree, lowest: float) -> None:
    fields = soft.fields_on(anatomy, canvas.frame)
    grain = soft.tissue_grain(anatomy, canvas.frame)
    soft.paint_couch(canvas, anatomy, lowest)
    soft.paint_trunk(canvas, anatomy, fields, grain)
    soft.paint_chest(canvas, anatomy, fields, grain)
    lungs.paint_lung_tree(canvas, anatomy, fields, tree)
    soft.paint_heart(canvas, anatomy, fields)
    soft.paint_airways(canvas, anatomy)
    bones.paint_bones(canvas, anatomy, lesions, fields.ring, fields.along)


def expose(clean: Floats, frame: Frame, facts: Facts, rng: np.random.Generator, *, sharp: bool) -> NDArray[np.int16]:
    """CT in HU as the scanner shows it: kernel, noise that the kernel colours, scanner's offset, whole numbers."""
    level = NOISE_HU[facts.vendor] * (2.6 if sharp else 1.0) * (2.0 / step_mm(frame.z)) ** 0.5 / 1.6
    radius2 = frame.y[:, None] ** 2 + frame.x[None, :] ** 2
    strength = np.float32(level) * (np.float32(0.7) + np.float32(0.6) * np.exp(-radius2 / np.float32(110.0**2)))
    shift = np.float32(SITE_HU[facts.site])
    hu = np.empty(frame.shape, dtype=np.int16)
    for k, noise in enumerate(quantum_noise(rng, frame, cut_per_mm=0.95 if sharp else 0.5)):
        plane = clean[k] + shift * (clean[k] > -200)
        if sharp:
            plane += np.float32(0.8) * (clean[k] - gaussian_filter(clean[k], 0.9))
        hu[k] = np.clip(np.rint(plane + noise * strength), LOW_HU, HIGH_HU)
    return hu


def quantum_noise(rng: np.random.Generator, frame: Frame, *, cut_per_mm: float) -> Iterator[Floats]:
    """CT noise slice by slice, standard deviation 1.

    Its power rises with frequency and falls again beyond the kernel's limit; neighbouring slices share rays.
    """
    slices, rows, columns = frame.shape
    fy = fft.fftfreq(rows, frame.spacing[1])[:, None]
    fx = fft.rfftfreq(columns, frame.spacing[2])[None, :]
    f = np.sqrt(fy**2 + fx**2)
    shape = np.sqrt(f + 0.01) * np.exp(-((f / cut_per_mm) ** 2) * 1.6)
    shape = (shape / np.sqrt((shape**2).mean())).astype(np.float32)
    last = np.zeros((rows, columns), dtype=np.float32)
    for _ in range(slices):
        plane = fft.rfft2(rng.standard_normal((rows, columns), dtype=np.float32))
        fresh = fft.irfft2(plane * shape, s=(rows, columns))
        yield np.float32(0.94) * fresh + np.float32(0.34) * last
        last = fresh


def truth_masks(anatomy: Anatomy, lesions: list[Lesion], frame: Frame) -> dict[str, NDArray[np.bool_]]:
    """Voxels whose centre lies inside: 'marrow', 'lesion-1' ..., 'heart'."""
    masks = {}
    vertebra = anatomy.vertebra(anatomy.facts.marrow_level)
    masks["marrow"] = _mask(
        frame, vertebra.center - 24.0, vertebra.center + 24.0, lambda x, y, z: marrow_distance(vertebra, x, y, z)
    )
    for lesion in lesions:
        masks[f"lesion-{lesion.number}"] = _mask(frame, *lesion.bounds(), lesion.distance)
    where = anatomy.place(26.0, -34.0, -48.0)
    radii = np.array([52.0, 34.0, 46.0])
    masks["heart"] = _mask(
        frame, where - 60.0, where + 60.0, lambda x, y, z: soft.ellipsoid(x, y, z, where, radii, 0.5)
    )
    return masks


def bone_mask(anatomy: Anatomy, lesions: list[Lesion], frame: Frame) -> NDArray[np.bool_]:
    """Voxels whose centre lies in bone: vertebrae with their arches, ribs, breastbone, shoulder blades, all lesions.

    Where shapes overlap the one painted last counts, as in the image: canal, discs and cartilage are left out.
    """
    mask = np.zeros(frame.shape, dtype=bool)
    for start in range(0, frame.shape[0], SLAB):
        canvas = bones.BoneCanvas(frame.part(slice(start, start + SLAB)))
        ring, along = (soft.outline_on(anatomy, name, canvas.frame) for name in ("ring", "along"))
        bones.paint_bones(canvas, anatomy, lesions, ring, along)
        mask[start : start + SLAB] = canvas.array > 0
    return mask


def _mask(
    frame: Frame, low: Points, high: Points, distance: Callable[[Floats, Floats, Floats], Floats]
) -> NDArray[np.bool_]:
    mask = np.zeros(frame.shape, dtype=bool)
    box = frame.box(low, high)
    if box is not None:
        mask[box] = distance(*frame.mesh(box)) < 0
    return mask


def _pet(settings: Phantom, facts: Facts, anatomy: Anatomy, lesions: list[Lesion], session: int) -> Scan:
    frame = pet_frame(settings, facts)
    suv = render(anatomy, lesions, frame, "suv")
    sigma = [PET_FWHM_MM[facts.vendor] / 2.3548 / s for s in frame.spacing]
    suv = gaussian_filter(suv, sigma)
    rng = generator(settings, facts.number, f"pet noise/{session}")
    grain = gaussian_filter(rng.standard_normal(frame.shape, dtype=np.float32), [0.8 * s for s in sigma])
    grain /= grain.std()
    suv += grain * (np.float32(0.075) * np.sqrt(np.maximum(suv, 0)) + np.float32(0.012))
    radius2 = frame.y[:, None] ** 2 + frame.x[None, :] ** 2
    suv[:, radius2 > (PET_FOV_MM / 2 - 4) ** 2] = 0
    return Scan(array=np.maximum(suv, 0), frame=frame, masks=truth_masks(anatomy, lesions, frame))
