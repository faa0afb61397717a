"""CT series as DICOM files, and what all image series share."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from osteorad.phantom import headers
from osteorad.phantom.encode import Chunks, chunks, file_bytes
from osteorad.phantom.headers import Visit
from osteorad.phantom.shapes import Frame

CT_CLASS = "1.2.840.10008.5.1.4.1.1.2"
PET_CLASS = "1.2.840.10008.5.1.4.1.1.128"
KERNELS = {"siemens": ("B31f", "B70f"), "ge": ("STANDARD", "BONEPLUS"), "philips": ("B", "YB")}
PADDING = -2000  # GE's stored value outside the reconstruction circle


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where a series lies: spacing and centre of voxel (0, 0, 0) along x, y, z, mm LPS, as the headers state them."""

    spacing: tuple[float, float, float]
    origin: tuple[float, float, float]

    def slice_z(self, k: int) -> float:
        """Height of slice `k`."""
        return round(self.origin[2] + k * self.spacing[2], 4)


def geometry_of(frame: Frame, visit: Visit) -> Geometry:
    """Geometry in scanner coordinates, rounded as the headers hold it."""
    dz, dy, dx = (round(s, 6) for s in frame.spacing)
    x, y, z = (float(axis[0]) for axis in (frame.x, frame.y, frame.z))
    ox, oy, oz = visit.offset
    return Geometry(spacing=(dx, dy, dz), origin=(round(x + ox, 4), round(y + oy, 4), round(z + oz, 4)))


@dataclass(frozen=True, slots=True, kw_only=True)
class DicomFile:
    """One file: name relative to the patient's folder, and content."""

    name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume3D:
    """A stack of stored values with its place; what contours refer to."""

    series: int
    modality: str
    geometry: Geometry
    shape: tuple[int, int, int]
    sop_class: str
    visit: Visit

    def instance(self, k: int) -> int:
        """Instance number of slice `k`; most vendors count against z."""
        return k + 1 if self.visit.facts.vendor == "ge" else self.shape[0] - k

    def sop_uid(self, k: int) -> str:
        """SOP Instance UID of slice `k`."""
        return self.visit.sop_uid(self.series, self.instance(k))


def image_base(
    visit: Visit, *, modality: str, series: int, description: str, moment: datetime, shape: tuple[int, int]
) -> Dataset:
    """Elements that all slices of an image series share."""
    ds = headers.base(visit, modality=modality, series=series, description=description, moment=moment)
    ds.SOPClassUID = CT_CLASS if modality == "CT" else PET_CLASS
    ds.InstanceCreationDate = visit.plants.day(moment.date())
    ds.InstanceCreationTime = headers.clock_text(moment)
    ds.FrameOfReferenceUID = visit.frame_uid
    ds.PositionReferenceIndicator = ""
    ds.PatientPosition = "FFS" if visit.facts.vendor == "philips" else "HFS"
    ds.BodyPartExamined = "CHEST"
    ds.AcquisitionDate = visit.plants.day(moment.date())
    ds.ContentDate = visit.plants.day(moment.date())
    ds.SamplesPerPixel = 1
    ds.PhotometricInterpretation = "MONOCHROME2"
    ds.Rows, ds.Columns = shape
    ds.BitsAllocated = 16
    ds.ImageComments = f"Copy for {visit.plants.text('(0020,4000)', visit.person.token('COMMENT'))}"
    headers.private_identity(ds, visit, modality)
    ds.DataSetTrailingPadding = headers.padding(visit)
    return ds


def plane(ds: Dataset, geometry: Geometry) -> None:
    """Image plane module without the position, for axial slices."""
    dx, dy, dz = geometry.spacing
    ds.PixelSpacing = [number_text(dy), number_text(dx)]
    ds.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    ds.SliceThickness = number_text(dz)


def ct_base(visit: Visit, geometry: Geometry, shape: tuple[int, int, int], *, series: int, sharp: bool) -> Dataset:
    """Elements that all slices of a CT share."""
    vendor = visit.facts.vendor
    kernel = KERNELS[vendor][int(sharp)]
    ds = image_base(
        visit,
        modality="CT",
        series=series,
        description=f"Thorax {geometry.spacing[2]:.1f} {kernel}",
        moment=visit.when,
        shape=shape[1:],
    )
    plane(ds, geometry)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.KVP = "120"
    ds.ExposureTime = "500"
    ds.ConvolutionKernel = kernel
    ds.ReconstructionDiameter = number_text(round(geometry.spacing[0] * shape[2], 3))
    ds.GantryDetectorTilt = "0"
    ds.FilterType = "BODY FILTER" if vendor == "ge" else "0"
    ds.AcquisitionNumber = 1
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    ds.WindowCenter, ds.WindowWidth = ["40", "400"], ["400", "1800"]
    ds.PixelRepresentation = 1 if vendor == "ge" else 0
    ds.BitsStored, ds.HighBit = (16, 15) if vendor == "ge" else (12, 11)
    if vendor == "ge":
        ds.PixelPaddingValue = PADDING
    if visit.facts.contrast:
        ds.ContrastBolusAgent = "Iomeprol 350"
        ds.ContrastBolusRoute = "IV"
    return ds


def ct_stored(hu: NDArray[np.int16], frame: Frame, vendor: str) -> NDArray[np.generic]:
    """HU as a vendor stores it: unsigned 12 bits, or signed with GE's padding outside the circle."""
    if vendor != "ge":
        return (hu + 1024).astype(np.uint16)
    stored = (hu + 1024).astype(np.int16)
    stored[:, outside_circle(frame)] = PADDING
    return stored


def outside_circle(frame: Frame) -> NDArray[np.bool_]:
    """Pixels (y, x) outside the circle that a scanner reconstructs."""
    radius = float(frame.x[-1]) + step_half(frame)
    return frame.y[:, None] ** 2 + frame.x[None, :] ** 2 > radius**2


def step_half(frame: Frame) -> float:
    """Half a pixel in mm."""
    return frame.spacing[2] / 2


def write_ct(
    visit: Visit, volume: Volume3D, stored: NDArray[np.generic], *, sharp: bool = False
) -> Iterator[DicomFile]:
    """All files of a CT series, slice by slice from the feet."""
    ds = ct_base(visit, volume.geometry, volume.shape, series=volume.series, sharp=sharp)
    shared = chunks(ds, implicit=visit.implicit, charset=visit.charset)
    for k in range(volume.shape[0]):
        own = Dataset()
        own.XRayTubeCurrent = int(180 + 60 * np.sin(k / 9.0))
        own.Exposure = int(90 + 30 * np.sin(k / 9.0))
        moment = visit.when + timedelta(seconds=3)
        extra = _first_slice(visit, volume) if k == volume.shape[0] // 2 else {}
        yield slice_file(visit, volume, shared, own, k, stored[k], moment, extra)


def _first_slice(visit: Visit, volume: Volume3D) -> Chunks:
    """An overlay and a curve with identity, as one slice of a series may carry them."""
    ds = Dataset()
    rows, columns = volume.shape[1:]
    plant, token = visit.plants.text, visit.person.token
    ds.add_new(0x60000010, "US", rows)
    ds.add_new(0x60000011, "US", columns)
    ds.add_new(0x60000022, "LO", plant("(6000,0022)", token("OVERLAY")))
    ds.add_new(0x60000040, "CS", "G")
    ds.add_new(0x60000050, "SS", [1, 1])
    ds.add_new(0x60000100, "US", 1)
    ds.add_new(0x60000102, "US", 0)
    ds.add_new(0x60001500, "LO", plant("(6000,1500)", token("OLABEL")))
    raw = plant("(6000,3000)", token("OVDATA")).encode()
    size = rows * columns // 8
    ds.add_new(0x60003000, "OW", raw.ljust(size + size % 2, b"\x00"))
    ds.add_new(0x50000022, "LO", plant("(5000,0022)", token("CURVE")))
    return chunks(ds, implicit=visit.implicit, charset=visit.charset)


def slice_file(
    visit: Visit,
    volume: Volume3D,
    shared: Chunks,
    own: Dataset,
    k: int,
    stored: NDArray[np.generic],
    moment: datetime,
    extra: Chunks,
) -> DicomFile:
    """One slice: what the series shares, what the slice says itself, where it lies, its pixels."""
    instance = volume.instance(k)
    x, y, _ = volume.geometry.origin
    z = volume.geometry.slice_z(k)
    own.SOPInstanceUID = volume.sop_uid(k)
    own.InstanceNumber = instance
    own.ImagePositionPatient = [number_text(x), number_text(y), number_text(z)]
    own.SliceLocation = number_text(z)
    own.AcquisitionTime = headers.clock_text(moment)
    own.ContentTime = headers.clock_text(moment + timedelta(seconds=2))
    own.add_new(0x7FE00010, "OW", np.ascontiguousarray(stored).tobytes())
    content = file_bytes(
        shared,
        {**chunks(own, implicit=visit.implicit, charset=visit.charset), **extra},
        sop_class=volume.sop_class,
        sop_uid=own.SOPInstanceUID,
        implicit=visit.implicit,
        preamble=headers.preamble(visit),
        application_title=headers.application_title(visit),
    )
    return DicomFile(name=file_name(visit, volume.modality, volume.series, instance), content=content)


def file_name(visit: Visit, modality: str, series: int, instance: int) -> str:
    """Path of a file below the patient's folder, as each vendor's export names it."""
    who = visit.person.plain_surname
    day = visit.when.strftime("%Y%m%d")
    if visit.facts.vendor == "siemens":
        return f"{who}_{day}/{who}.{modality}.{series}.{instance:04d}.{day}.IMA"
    if visit.facts.vendor == "ge":
        return f"EXAM{visit.session + 1}/SE{series:03d}/{modality[0]}{instance:06d}"
    return f"DICOM/{who[:8]}{visit.session + 1}/S{series:04d}/IM_{instance:04d}"


def number_text(value: float) -> str:
    """A number as DS holds it, at most 16 characters."""
    text = f"{value:.10g}"
    return text if len(text) <= 16 else f"{value:.8g}"
