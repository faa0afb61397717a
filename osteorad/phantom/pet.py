"""PET series as DICOM files, in the units and with the quirks of each vendor."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from osteorad.phantom import headers
from osteorad.phantom.encode import chunks
from osteorad.phantom.headers import Visit
from osteorad.phantom.series import DicomFile, Volume3D, image_base, number_text, plane, slice_file

HALF_LIFE_S = 6586.2
DECAY_PER_S = float(np.log(2)) / HALF_LIFE_S
BED_S, FRAME_S = 160.0, 150.0  # from one bed to the next; how long a bed is measured


@dataclass(frozen=True, slots=True, kw_only=True)
class PetStyle:
    """How a scanner states uptake: units, decay correction, and the quirks of its times and private factors."""

    name: str
    units: str
    decay: str
    start: datetime  # when the first bed began
    injected: datetime
    dose_bq: float
    series_late: bool = False  # the series time is that of a later reconstruction
    suv_factor: float = 0.0  # Philips (7053,xx00); 0: only the activity factor is stated

    @property
    def dose_at_reference_bq(self) -> float:
        """Dose at the moment to which the activities are corrected."""
        waited = (self.start - self.injected).total_seconds() if self.decay == "START" else 0.0
        return self.dose_bq * float(np.exp(-DECAY_PER_S * waited))


def pet_style(visit: Visit) -> PetStyle:
    """Style of a patient's PET; by vendor and number, so that twelve patients show all of them."""
    number = visit.facts.number
    seconds = 3300 + 97 * (number % 13)
    start = visit.when + timedelta(minutes=6, seconds=11)
    name, units, decay, late, factor = {
        "siemens": (
            ("siemens-start", "BQML", "START", False, 0.0),
            ("siemens-reconstructed", "BQML", "START", True, 0.0),
        ),
        "ge": (("ge-admin", "BQML", "ADMIN", False, 0.0), ("ge-start-reconstructed", "BQML", "START", True, 0.0)),
        "philips": (
            ("philips-cnts", "CNTS", "START", False, 0.000417),
            ("philips-cnts-activity", "CNTS", "START", False, 0.0),
            ("philips-gml", "GML", "START", False, 0.0),
        ),
    }[visit.facts.vendor][(number // 3) % (3 if visit.facts.vendor == "philips" else 2)]
    return PetStyle(
        name=name,
        units=units,
        decay=decay,
        start=start,
        injected=start - timedelta(seconds=seconds),
        dose_bq=float(round(4.1e6 * visit.facts.weight_kg + 1.0e5 * (number % 17), -4)),
        series_late=late,
        suv_factor=factor,
    )


def pet_unit_per_suv(visit: Visit, style: PetStyle) -> float:
    """What SUV 1 is in the unit of the stored series."""
    if style.units == "GML":
        return 1.0
    if style.units == "CNTS":
        return 1 / (style.suv_factor or 0.000381)
    return style.dose_at_reference_bq / (visit.facts.weight_kg * 1000.0)


def pet_base(visit: Visit, volume: Volume3D, style: PetStyle) -> Dataset:
    """Elements that all slices of a PET share."""
    moment = style.start + timedelta(minutes=52) if style.series_late else style.start
    ds = image_base(
        visit,
        modality="PT",
        series=volume.series,
        description="PET WB AC" if not style.series_late else "PET WB AC recon 2",
        moment=moment,
        shape=volume.shape[1:],
    )
    ds.AcquisitionDate = visit.plants.day(style.start.date())
    plane(ds, volume.geometry)
    ds.ImageType = ["ORIGINAL", "PRIMARY"]
    ds.SeriesType = ["WHOLE BODY", "IMAGE"]
    ds.Units, ds.DecayCorrection, ds.CountsSource = style.units, style.decay, "EMISSION"
    if style.units == "GML":
        ds.SUVType = "BW"
    ds.NumberOfSlices = volume.shape[0]
    ds.CorrectedImage = ["NORM", "DTIM", "ATTN", "SCAT", "DECY", "RAN"]
    ds.CollimatorType = "NONE"
    ds.ReprojectionMethod = ""
    ds.RandomsCorrectionMethod = "DLYD"
    ds.AttenuationCorrectionMethod = "measured, CT"
    ds.ScatterCorrectionMethod = "Model-based"
    ds.ReconstructionMethod = "PSF+TOF 3i21s"
    ds.ActualFrameDuration = "150000"
    ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 15, 1
    ds.RescaleIntercept = "0"
    ds.add_new(0x00280106, "SS", 0)
    ds.PatientOrientationCodeSequence = Sequence([_supine()])
    ds.PatientGantryRelationshipCodeSequence = Sequence([_gantry(ds.PatientPosition)])
    ds.RadiopharmaceuticalInformationSequence = Sequence([_tracer(visit, style)])
    _pet_private(ds, visit, style)
    return ds


def _gantry(position: str) -> Dataset:
    if position.startswith("FF"):
        return headers.code_item("F-10480", "SRT", "feet-first")
    return headers.code_item("F-10470", "SRT", "headfirst")


def _supine() -> Dataset:
    item = headers.code_item("F-10450", "SRT", "recumbent")
    item.PatientOrientationModifierCodeSequence = Sequence([headers.code_item("F-10340", "SRT", "supine")])
    return item


def _tracer(visit: Visit, style: PetStyle) -> Dataset:
    item = Dataset()
    item.Radiopharmaceutical = "Fluorodeoxyglucose"
    item.RadiopharmaceuticalStartTime = headers.clock_text(style.injected)
    visit.plants.day(style.injected.date())
    if visit.facts.vendor != "philips":
        item.RadiopharmaceuticalStartDateTime = style.injected.strftime("%Y%m%d%H%M%S")
    item.RadionuclideTotalDose = number_text(style.dose_bq)
    item.RadionuclideHalfLife = number_text(HALF_LIFE_S)
    item.RadionuclidePositronFraction = "0.97"
    item.RadionuclideCodeSequence = Sequence([headers.code_item("C-111A1", "SRT", "^18^Fluorine")])
    item.RadiopharmaceuticalCodeSequence = Sequence([headers.code_item("C-B1031", "SRT", "Fluorodeoxyglucose F^18^")])
    item.AdministrationRouteCodeSequence = Sequence([headers.code_item("G-D101", "SRT", "Intravenous route")])
    return item


def _pet_private(ds: Dataset, visit: Visit, style: PetStyle) -> None:
    """Private elements that a reader of SUV needs, beside ones with identity."""
    plant, token = visit.plants.text, visit.person.token
    if visit.facts.vendor == "ge":
        block = ds.private_block(0x0009, "GEMS_PETD_01", create=True)
        block.add_new(0x02, "LO", plant("(0009,xx02)", token("GEPID")))
        block.add_new(0x0D, "DT", style.start.strftime("%Y%m%d%H%M%S.00"))
    elif visit.facts.vendor == "philips":
        block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
        activity = style.dose_at_reference_bq / (visit.facts.weight_kg * 1000.0) / pet_unit_per_suv(visit, style)
        block.add_new(0x00, "DS", number_text(style.suv_factor))
        block.add_new(0x09, "DS", number_text(activity if style.units == "CNTS" else 0.0))
        block.add_new(0x03, "LO", plant("(7053,xx03)", token("PHLPID")))
    else:
        ds.private_block(0x0071, "SIEMENS MED PT", create=True).add_new(0x21, "LO", plant("(0071,xx21)", token("PTID")))


def quantise(
    suv: NDArray[np.float32], unit_per_suv: float, *, one_slope: bool
) -> tuple[NDArray[np.int16], list[float]]:
    """Stored values and the slope of each slice; a slope is the number that its DS string says."""
    values = suv.astype(np.float64) * unit_per_suv
    tops = values.reshape(len(values), -1).max(axis=1)
    if one_slope:
        tops[:] = tops.max()
    slopes = [float(number_text(float(f"{top / 32700:.8g}"))) if top > 0 else 1.0 for top in tops]
    stored = np.rint(values / np.array(slopes)[:, None, None])
    return stored.astype(np.int16), slopes


def write_pet(visit: Visit, volume: Volume3D, suv: NDArray[np.float32], style: PetStyle) -> Iterator[DicomFile]:
    """All files of a PET series. Two beds: the lower one was scanned first."""
    ds = pet_base(visit, volume, style)
    shared = chunks(ds, implicit=visit.implicit, charset=visit.charset)
    stored, slopes = quantise(suv, pet_unit_per_suv(visit, style), one_slope=visit.facts.vendor == "philips")
    x = DECAY_PER_S * FRAME_S
    middle_s = float(np.log(x / (1 - np.exp(-x))) / DECAY_PER_S)  # when the bed's mean activity was reached
    for k in range(volume.shape[0]):
        bed = 0 if k < volume.shape[0] // 2 else 1
        since = 0.0 if visit.facts.vendor == "ge" else bed * BED_S  # GE counts from the start of each bed
        own = Dataset()
        own.RescaleSlope = number_text(slopes[k])
        own.FrameReferenceTime = number_text((since + middle_s) * 1000.0)
        own.ImageIndex = volume.instance(k)
        own.DecayFactor = number_text(round(float(np.exp(DECAY_PER_S * (bed * BED_S + middle_s))), 6))
        own.add_new(0x00280107, "SS", int(stored[k].max()))
        own.DoseCalibrationFactor = "1"
        own.WindowCenter, own.WindowWidth = number_text(slopes[k] * 9000), number_text(slopes[k] * 18000)
        yield slice_file(visit, volume, shared, own, k, stored[k], style.start + timedelta(seconds=bed * 160), {})
