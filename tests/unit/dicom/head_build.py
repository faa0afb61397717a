"""A head, neck and shoulders built of ellipsoids, as CT and PET series; nobody's anatomy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from osteorad.dicom.neck import Found, judge, levels_of, outline
from tests.unit.dicom.deid_build import SOURCE_ID, rtstruct
from tests.unit.dicom.dicom_build import ROOT as CT_ROOT
from tests.unit.dicom.dicom_build import Edit, ct_series, pet_series

PIXEL_MM, STEP_MM = 4.0, 6.0
SIZE = 128  # rows and columns
SIDE_MM = (SIZE - 1) / 2 * PIXEL_MM
CHIN_MM, LUNGS_MM = 262.0, 200.0  # heights; 0 is the middle of the chest


@dataclass(frozen=True, slots=True, kw_only=True)
class Body:
    """What a person looks like, and which part of it is scanned (mm, upwards from the middle of the chest)."""

    arms: str = "down"  # down | up | touching | over (forearms over the vertex)
    shoulders_mm: float = 0.0  # so high do raised shoulders close in on the neck
    neck_mm: tuple[float, float] = (55.0, 60.0)  # half width, half depth
    trunk_mm: tuple[float, float] = (165.0, 105.0)
    head: float = 1.0  # size
    tilt: float = 0.0  # mm sideways for each mm upwards, above the shoulders
    flexion_mm: float = 0.0  # the face lies so much lower and further in front
    bottom_mm: float = 0.0
    top_mm: float = 500.0
    table: bool = True
    noise_hu: float = 0.0
    metal: bool = False


def chin_mm(body: Body) -> float:
    """Height of the lowest point of the face."""
    return 318.0 - body.flexion_mm - 56.0 * body.head


def heights(body: Body, step_mm: float = STEP_MM) -> np.ndarray:
    """Heights of the slices."""
    return np.arange(body.bottom_mm, body.top_mm + 0.1, step_mm)


def volume(body: Body, step_mm: float = STEP_MM) -> np.ndarray:
    """HU, shape (z, y, x), z upwards, y to the back, x to the patient's left."""
    z = heights(body, step_mm)[:, None, None]
    side = (np.arange(SIZE) - (SIZE - 1) / 2) * PIXEL_MM
    y, x = side[None, :, None], side[None, None, :]
    hu = np.full((len(z), SIZE, SIZE), -1000.0, dtype=np.float32)
    lean = x - body.tilt * np.clip(z - 210.0, 0, None)

    def inside(centre: tuple[float, float, float], radii: tuple[float, float, float], across: np.ndarray = x):
        return (
            ((across - centre[0]) / radii[0]) ** 2
            + ((y - centre[1]) / radii[1]) ** 2
            + ((z - centre[2]) / radii[2]) ** 2
        ) < 1

    def column(centre: tuple[float, float], radii: tuple, low: float, high: float, across: np.ndarray = x):
        shape = ((across - centre[0]) / radii[0]) ** 2 + ((y - centre[1]) / radii[1]) ** 2
        return (shape < 1) & (z >= low) & (z <= high)

    if body.table:
        hu[np.broadcast_to((np.abs(y - 150) < 22) & (np.abs(x) < 210), hu.shape)] = -930
        hu[np.broadcast_to((np.abs(np.abs(y - 150) - 22) < 3) & (np.abs(x) < 210), hu.shape)] = 40
    slope = np.clip((z - 160.0) / 60.0, 0, 1)
    radii = [t + (n - t) * slope for t, n in zip(body.trunk_mm, body.neck_mm, strict=True)]
    hu[column((0, 0), radii, -999, 220)] = 30
    for sign in (-1, 1):
        wide, deep = 0.45 * body.trunk_mm[0], 0.71 * body.trunk_mm[1]
        hu[inside((sign * wide, 0, 60), (0.8 * wide, deep, LUNGS_MM - 60))] = -850
    hu[column((0, 5), body.neck_mm, 180, 330, lean)] = 40
    hu[inside((0, 2, 260), (9, 9, 80), lean)] = -990  # airway
    h, low = body.head, body.flexion_mm
    hu[inside((0, -55 - low, 318 - low), (58 * h, 48 * h, 56 * h), lean)] = 45  # the face
    hu[inside((0, -10, 385), (78 * h, 98 * h, 88 * h), lean)] = 30
    hu[inside((0, -10, 385), (73 * h, 93 * h, 83 * h), lean)] = 950
    hu[inside((0, -10, 385), (66 * h, 86 * h, 76 * h), lean)] = 35
    jaw = inside((0, -55 - low, 300 - low), (50 * h, 42 * h, 30 * h), lean)
    hu[jaw & ~inside((0, -45 - low, 300 - low), (42 * h, 34 * h, 40 * h), lean)] = 900
    hu[column((0, 45), (16, 16), -999, 330, lean)] = 350  # the spine
    for sign in (-1, 1):
        _arm(hu, body, sign, x, y, z)
    if body.metal:
        hu[jaw & inside((25, -70, 300), (8, 8, 8))] = 3000
        hu[np.abs(z[:, 0, 0] - 300) < 14, SIZE // 2 - 18, :] += 250  # a streak
    if body.noise_hu:
        hu += np.random.default_rng(5).normal(0, body.noise_hu, hu.shape).astype(np.float32)
    return np.clip(hu, -1024, 3071).astype(np.int16)


def _arm(hu: np.ndarray, body: Body, sign: int, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> None:
    share = np.clip((z - 150.0) / 300.0, 0, 1.2)
    if body.arms == "down":
        shape = ((x - sign * 215) / 45) ** 2 + (y / 48) ** 2 < 1
        hu[shape & (z < 170)] = 35
        hu[((x - sign * 150) / 90) ** 2 + (y / 60) ** 2 + ((z - 140) / 55) ** 2 < 1] = 35  # the shoulder
        return
    inner = {"up": 140.0, "touching": 112.0, "over": 120.0}[body.arms]
    centre = sign * (170 + (inner - 170) * share)
    hu[(((x - centre) / 40) ** 2 + ((y + 10) / 42) ** 2 < 1) & (z > 120) & (z < 480)] = 35
    if body.shoulders_mm:
        high = body.shoulders_mm
        hu[((x - sign * 120) / 75) ** 2 + (y / 55) ** 2 + ((z - 180) / (high - 180)) ** 2 < 1] = 35
    if body.arms == "over":
        hu[(np.abs(x) < 130) & (np.abs(y + 10) < 35) & (np.abs(z - 505) < 20)] = 35


def found(body: Body, every_mm: float = 12.0) -> Found:
    """What the finder says of a body, from slices taken about as the job takes them."""
    outlines = [
        outline(plane.astype(np.float32), z_mm=float(z), pixel_mm=(PIXEL_MM, PIXEL_MM), x_mm=-SIDE_MM)
        for z, plane in zip(heights(body, every_mm), volume(body, every_mm), strict=True)
    ]
    return judge(levels_of(outlines))


# --- DICOM ------------------------------------------------------------------------------------------------------------


def write_ct(folder: Path, body: Body, *, every: int = 1, uid: str = "1", edit: Edit | None = None) -> list[Path]:
    """The body as a CT series with slices of 64 rows and columns, 6 mm apart; heights are those of the body."""
    hu = volume(body)[::every, ::2, ::2]
    step = (0, 0, STEP_MM * every)
    spacing = (2 * PIXEL_MM, 2 * PIXEL_MM)
    origin = (-SIDE_MM, -SIDE_MM, body.bottom_mm)
    return ct_series(folder, hu, uid=uid, origin=origin, step=step, spacing=spacing, edit=person(edit))


def write_pet(folder: Path, body: Body, *, uid: str = "2") -> list[Path]:
    """A PET of the body on the grid of `pet_series`, moved to its place: 4 mm pixels, uptake everywhere in the body."""
    suv = np.where(volume(body)[:, ::2, ::2] > -300, 1.5, 0.02)

    def moved(ds: Dataset) -> None:
        height = (float(ds.ImagePositionPatient[2]) - 30.0) / 3.0 * STEP_MM + body.bottom_mm
        ds.ImagePositionPatient, ds.PixelSpacing = [-SIDE_MM, -SIDE_MM, height], [2 * PIXEL_MM, 2 * PIXEL_MM]

    return pet_series(folder, suv, uid=uid, edit=person(moved))


def person(edit: Edit | None = None) -> Edit:
    """An edit that makes a slice one of the test patient's, for jobs that look at who it is of."""

    def change(ds: Dataset) -> None:
        ds.PatientID, ds.PatientName = SOURCE_ID, "Quastenflosser^Ottilie"
        if edit is not None:
            edit(ds)

    return change


def scout(folder: Path, low: float, high: float) -> Path:
    """A lateral scout between two heights."""

    def as_scout(ds: Dataset) -> None:
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]

    rows = round((high - low) / 8.0) + 1
    (path,) = ct_series(
        folder,
        np.full((1, rows, 40), 20, dtype=np.int16),
        uid="5",
        row=(0, 1, 0),
        column=(0, 0, -1),
        origin=(0, -160, high),
        spacing=(8.0, 8.0),
        edit=person(as_scout),
    )
    return path


def contours(heights_mm: dict[int, list[float]]) -> Dataset:
    """An RTSTRUCT on the CT: ROI number -> heights of its square contours."""
    ds = rtstruct({number: f"GTV {number}" for number in heights_mm})
    ds.StudyInstanceUID, ds.FrameOfReferenceUID = f"{CT_ROOT}.91", f"{CT_ROOT}.77"
    ds.ReferencedFrameOfReferenceSequence[0].FrameOfReferenceUID = f"{CT_ROOT}.77"
    for roi, drawn in zip(ds.StructureSetROISequence, ds.ROIContourSequence, strict=True):
        roi.ReferencedFrameOfReferenceUID = f"{CT_ROOT}.77"
        items = []
        for z in heights_mm[int(drawn.ReferencedROINumber)]:
            contour = Dataset()
            contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 4
            contour.ContourData = [-30, -30, z, 30, -30, z, 30, 30, z, -30, 30, z]
            items.append(contour)
        drawn.ContourSequence = Sequence(items)
    return ds
