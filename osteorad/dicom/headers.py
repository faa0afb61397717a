"""DICOM headers to records: a Frame for each image plane, classic or multi-frame, and what PET needs for SUV.

Multi-frame objects (enhanced CT and PET, also legacy converted) keep values in functional groups: a plane's own group
wins over the shared groups, those win over the top level.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException, InvalidDicomError

from osteorad.cohort.sources import UNREADABLE
from osteorad.dicom import times
from osteorad.dicom.lookup import BAD_VALUE, Lookup, groups_of
from osteorad.dicom.pet_header import PetFrame, PetHeader, pet_frame, pet_header
from osteorad.errors import SetAside

Triple = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class PixelFormat:
    """How stored values lie in a file."""

    transfer_syntax: str
    frames: int
    rows: int
    columns: int
    samples: int
    photometric: str
    bits_allocated: int
    bits_stored: int
    high_bit: int
    signed: bool
    padding: int | None  # modulo 2**bits_allocated
    padding_limit: int | None
    offset: int  # of the pixel data element in the file; -1 where unknown
    lossy: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Scanner and patient facts of a series that later stages need."""

    manufacturer: str
    model: str
    kernel: str
    kvp: float | None
    slice_thickness_mm: float | None
    contrast: str  # yes, no, or empty where the header does not say
    age_years: float | None
    sex: str
    weight_kg: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """One image plane; positions and directions in LPS mm as DICOM has them."""

    path: Path
    number: int  # of the frame in its file, from 0
    modality: str
    study_day: int | None
    frame_of_reference: str
    image_type: tuple[str, ...]
    position: Triple | None
    orientation: tuple[float, ...] | None
    spacing: tuple[float, float] | None  # between rows, between columns
    slope: float | None
    intercept: float | None
    rescale_type: str
    modality_lut: bool
    phases: tuple[str, ...]  # what tells apart several images at one position
    pixels: PixelFormat
    facts: Facts
    pet: PetHeader | None
    pet_frame: PetFrame | None


def read_frames(path: Path) -> list[Frame]:
    """All image planes of a file, without their pixels.

    Raises SetAside: dicom_unreadable, pixel_data_truncated (no pixel data at all), or invalid_value for a value that
    is needed and is no number.
    """
    try:
        with path.open("rb") as stream:
            ds = pydicom.dcmread(stream, stop_before_pixels=True)
            deflated = ds.file_meta.get("TransferSyntaxUID") == pydicom.uid.DeflatedExplicitVRLittleEndian
            offset = -1 if deflated else stream.tell()
            cut = not deflated and offset >= os.fstat(stream.fileno()).st_size
    except (*UNREADABLE, InvalidDicomError, BytesLengthException):
        raise SetAside("dicom_unreadable", "a file of the series") from None
    if cut:
        raise SetAside("pixel_data_truncated", "a file without pixel data")
    try:
        return frames_of(ds, path, offset)
    except (*UNREADABLE, *BAD_VALUE) as error:
        raise SetAside("dicom_unreadable", type(error).__name__) from None


def frames_of(ds: Dataset, path: Path, offset: int = -1) -> list[Frame]:
    """Image planes of a data set that was read without pixel data; `offset` is where the pixel data begin."""
    shared = groups_of(ds.get("SharedFunctionalGroupsSequence"))
    own = ds.get("PerFrameFunctionalGroupsSequence") or [None]
    base = Lookup(ds, {}, shared)
    pixels = _pixel_format(base, offset, len(own))
    frames = []
    for number, item in enumerate(own):
        plane = Lookup(ds, groups_of([item]) if item is not None else {}, shared)
        frames.append(_frame(plane, path, number, pixels))
    return frames


def _frame(plane: Lookup, path: Path, number: int, pixels: PixelFormat) -> Frame:
    modality = plane.text("Modality")
    pet = pet_header(plane) if modality == "PT" else None
    return Frame(
        path=path,
        number=number,
        modality=modality,
        study_day=times.day_number(plane.text("StudyDate")),
        frame_of_reference=plane.text("FrameOfReferenceUID"),
        image_type=tuple(t.upper() for t in plane.texts("ImageType") or plane.texts("FrameType")),
        position=_exactly(plane.numbers("ImagePositionPatient"), 3),  # type: ignore[arg-type]
        orientation=_exactly(plane.numbers("ImageOrientationPatient"), 6),
        spacing=_exactly(plane.numbers("PixelSpacing"), 2),  # type: ignore[arg-type]
        slope=plane.number("RescaleSlope"),
        intercept=plane.number("RescaleIntercept"),
        rescale_type=plane.text("RescaleType").upper(),
        modality_lut=bool(plane.raw("ModalityLUTSequence")),
        phases=_phases(plane),
        pixels=pixels,
        facts=_facts(plane),
        pet=pet,
        pet_frame=pet_frame(plane) if pet is not None else None,
    )


def _exactly(values: tuple[float, ...], count: int) -> tuple[float, ...] | None:
    return values if len(values) == count else None


def _phases(plane: Lookup) -> tuple[str, ...]:
    """Values that differ between several images at one position, in the order in which they are tried."""
    keywords = ("AcquisitionNumber", "FrameAcquisitionNumber", "TemporalPositionIdentifier", "AcquisitionTime")
    more = ("TriggerTime", "ContentTime", "EchoNumbers", "ConvolutionKernel")
    return tuple("\\".join(plane.texts(keyword)) for keyword in (*keywords, *more))


def _pixel_format(plane: Lookup, offset: int, groups: int) -> PixelFormat:
    def whole(keyword: str, default: int) -> int:
        value = plane.number(keyword)
        return default if value is None else int(value)

    bits = whole("BitsAllocated", 16)
    stored = whole("BitsStored", bits)
    padding, limit = _padding(plane, "PixelPaddingValue"), _padding(plane, "PixelPaddingRangeLimit")
    meta = getattr(plane.ds, "file_meta", None)
    return PixelFormat(
        transfer_syntax=str(meta.get("TransferSyntaxUID", "")) if meta is not None else "",
        frames=max(whole("NumberOfFrames", 1), groups),
        rows=whole("Rows", 0),
        columns=whole("Columns", 0),
        samples=whole("SamplesPerPixel", 1),
        photometric=plane.text("PhotometricInterpretation"),
        bits_allocated=bits,
        bits_stored=stored,
        high_bit=whole("HighBit", stored - 1),
        signed=whole("PixelRepresentation", 0) == 1,
        padding=None if padding is None else padding % (1 << bits),
        padding_limit=None if limit is None else limit % (1 << bits),
        offset=offset,
        lossy=plane.text("LossyImageCompression") == "01",
    )


def _padding(plane: Lookup, keyword: str) -> int | None:
    """Padding value; its representation (US or SS) is often the wrong one, so only its bits count."""
    value = plane.raw(keyword)
    if isinstance(value, bytes) and len(value) == 2:
        return int.from_bytes(value, "little")
    number = plane.number(keyword)
    return None if number is None else int(number)


def _facts(plane: Lookup) -> Facts:
    return Facts(
        manufacturer=plane.text("Manufacturer"),
        model=plane.text("ManufacturerModelName"),
        kernel=plane.text("ConvolutionKernel"),
        kvp=plane.fact("KVP") or None,
        slice_thickness_mm=plane.fact("SliceThickness") or None,
        contrast=_contrast(plane),
        age_years=_age(plane.text("PatientAge")),
        sex=plane.text("PatientSex")[:1].upper(),
        weight_kg=plane.fact("PatientWeight") or None,
    )


def _contrast(plane: Lookup) -> str:
    """Whether contrast was given: agent text, agent sequence, or usage group; never the text itself."""
    agent = plane.text("ContrastBolusAgent").upper()
    if agent:
        return "no" if agent in ("NO", "NONE", "N", "WITHOUT", "0") else "yes"
    if plane.raw("ContrastBolusAgentSequence") or plane.text("ContrastBolusAgentAdministered") == "YES":
        return "yes"
    return "yes" if (plane.fact("ContrastBolusVolume") or 0) > 0 else ""


def _age(text: str) -> float | None:
    """Years of an AS value (`052Y`, `018M`, `003W`, `010D`)."""
    unit = {"Y": 1.0, "M": 1 / 12, "W": 7 / 365.25, "D": 1 / 365.25}.get(text[-1:].upper())
    return round(int(text[:-1]) * unit, 3) if unit is not None and text[:-1].isdigit() else None
