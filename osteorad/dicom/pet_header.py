"""What a PET header says about units, decay, dose, weight and times; no decision is made here (see `suv`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydicom.dataset import Dataset
from pydicom.tag import BaseTag

from osteorad.dicom import times
from osteorad.dicom.isotopes import nuclide_of, tracer_of
from osteorad.dicom.lookup import Lookup, as_numbers, as_texts
from osteorad.errors import SetAside


@dataclass(frozen=True, slots=True, kw_only=True)
class PetHeader:
    """What all slices of a PET share; moments in seconds (see `times`), dose and weight as they stand in the header."""

    units: str
    suv_type: str
    decay: str
    corrected: tuple[str, ...]
    series_type: tuple[str, ...]
    manufacturer: str
    series_moment: float | None
    ge_moment: float | None  # scan time of GE, private
    decay_moment: float | None  # stated by enhanced PET
    injection_moment: float | None
    injection_second: float | None  # where only a time of day is given, or both
    dose: float | None
    half_life_s: float | None
    nuclide: str
    tracer: str
    weight: float | None
    height_m: float | None
    sex: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PetFrame:
    """What may differ by slice of a PET."""

    acquired: float | None
    duration_s: float | None
    frame_reference_s: float | None
    philips_suv: float | None
    philips_bqml: float | None


def pet_header(plane: Lookup) -> PetHeader:
    """What all slices share; SetAside(invalid_value) for several radiopharmaceuticals or a value that is no number."""
    given = plane.raw("RadiopharmaceuticalInformationSequence") or []
    if len(given) > 1:
        raise SetAside("invalid_value", f"{len(given)} radiopharmaceuticals")
    drug = Lookup(given[0] if given else Dataset(), {}, {})
    zone = times.zone_offset(plane.text("TimezoneOffsetFromUTC"))
    corrected = [t.upper() for t in plane.texts("CorrectedImage")]
    for keyword, word in (("AttenuationCorrected", "ATTN"), ("DecayCorrected", "DECY")):
        if plane.text(keyword) == "YES" and word not in corrected:
            corrected.append(word)
    manufacturer = plane.text("Manufacturer")
    return PetHeader(
        units=_pet_units(plane),
        suv_type=plane.text("SUVType").upper(),
        decay=plane.text("DecayCorrection").upper(),
        corrected=tuple(corrected),
        series_type=tuple(t.upper() for t in plane.texts("SeriesType")),
        manufacturer=manufacturer,
        series_moment=times.moment(plane.text("SeriesDate"), plane.text("SeriesTime")),
        ge_moment=_ge_moment(plane.ds, manufacturer),
        decay_moment=times.moment_of_datetime(plane.text("DecayCorrectionDateTime"), zone),
        injection_moment=times.moment_of_datetime(drug.text("RadiopharmaceuticalStartDateTime"), zone),
        injection_second=times.second_of_day(drug.text("RadiopharmaceuticalStartTime")),
        dose=drug.number("RadionuclideTotalDose"),
        half_life_s=drug.number("RadionuclideHalfLife"),
        nuclide=nuclide_of(drug),
        tracer=tracer_of(drug),
        weight=plane.number("PatientWeight"),
        height_m=plane.number("PatientSize"),
        sex=plane.text("PatientSex")[:1].upper(),
    )


def _pet_units(plane: Lookup) -> str:
    """Units (0054,1001); enhanced PET says it as Rescale Type."""
    return (plane.text("Units") or plane.text("RescaleType")).upper()


def pet_frame(plane: Lookup) -> PetFrame:
    """What may differ by slice."""
    day = plane.text("AcquisitionDate") or plane.text("SeriesDate") or plane.text("StudyDate")
    acquired = times.moment(day, plane.text("AcquisitionTime"))
    zone = times.zone_offset(plane.text("TimezoneOffsetFromUTC"))
    for keyword in ("FrameAcquisitionDateTime", "AcquisitionDateTime"):
        if acquired is None:
            acquired = times.moment_of_datetime(plane.text(keyword), zone)
    duration = plane.number("ActualFrameDuration") or plane.number("FrameAcquisitionDuration")
    reference = plane.number("FrameReferenceTime")
    manufacturer = plane.text("Manufacturer")
    return PetFrame(
        acquired=acquired,
        duration_s=None if duration is None else duration / 1000.0,
        frame_reference_s=None if reference is None else reference / 1000.0,
        philips_suv=_philips(plane.ds, 0x00, manufacturer),
        philips_bqml=_philips(plane.ds, 0x09, manufacturer),
    )


def _private(ds: Dataset, group: int, creator: str, element: int, *, without_creator: bool) -> Any:
    """Private value by its creator; some files lack the creator element: then only where the maker fits."""
    creators = [tag for tag in ds.keys() if tag.group == group and 0x10 <= tag.element <= 0xFF]  # noqa: SIM118
    for tag in creators:
        if "".join(as_texts(ds[tag].value)).upper() == creator.upper():
            found = BaseTag((group << 16) | (tag.element << 8) | element)
            return ds[found].value if found in ds else None
    bare = BaseTag((group << 16) | 0x1000 | element)
    return ds[bare].value if without_creator and not creators and bare in ds else None


def _philips(ds: Dataset, element: int, manufacturer: str) -> float | None:
    own = "PHILIPS" in manufacturer.upper()
    value = _private(ds, 0x7053, "Philips PET Private Group", element, without_creator=own)
    numbers = as_numbers(value, f"(7053,xx{element:02x})")
    return numbers[0] if numbers else None


def _ge_moment(ds: Dataset, manufacturer: str) -> float | None:
    own = manufacturer.upper().startswith("GE")
    return times.moment_of_datetime("".join(as_texts(_private(ds, 0x0009, "GEMS_PETD_01", 0x0D, without_creator=own))))
