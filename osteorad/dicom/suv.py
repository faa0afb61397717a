"""SUVbw from what a PET header says: units, decay correction, dose, weight, times.

SUVbw = activity concentration [Bq/ml] x weight [g] / dose [Bq] at the time to which the activity is decay corrected.
Nothing here has a default: what is missing or cannot be right raises SetAside with its reason.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from osteorad.dicom import times
from osteorad.dicom.isotopes import half_life
from osteorad.dicom.pet_header import PetFrame, PetHeader
from osteorad.errors import SetAside

LN2 = math.log(2.0)
CLOCK_S = 1.0  # scanners round times: a series time this much after the first acquisition still counts as before it
LONGEST_UPTAKE_S = 12 * 3600.0
DOSE_BQ = (5e6, 3e9)  # plausible doses, Rb-82 and O-15 included
DOSE_MBQ = (30.0, 3000.0)  # a number here can only be MBq; a smaller one may be mCi
WEIGHT_KG = (2.0, 400.0)
DISAGREE = 0.01


@dataclass(frozen=True, slots=True, kw_only=True)
class Suv:
    """How rescaled values of a PET become SUVbw."""

    factors: tuple[float, ...]  # a slice: SUVbw per rescaled unit
    units: str
    decay: str
    rule: str  # where the reference time came from; empty where none is needed
    flags: tuple[str, ...]
    dose_mbq: float | None
    weight_kg: float | None
    uptake_min: float | None  # injection to first acquisition
    reference_difference: float | None  # relative, series time against frame reference time


def suv_factors(pet: PetHeader, frames: Sequence[PetFrame]) -> Suv:
    """Factors to SUVbw, one a slice in the order of `frames`.

    Raises SetAside with a code of the section 'series to volume' of `osteorad.reasons`.
    """
    refuse_uncorrected(pet)
    flags: list[str] = []
    if pet.units == "GML":
        factors, rule = [_variant(pet, flags)] * len(frames), ""
    elif pet.units == "CM2ML":
        factors, rule = [_from_surface(pet, flags)] * len(frames), ""
    elif pet.units == "BQML":
        factors, rule = _from_activity(pet, frames, flags)
    elif pet.units == "CNTS":
        factors, rule = _from_counts(pet, frames, flags)
    else:
        raise SetAside("units_not_convertible", f"units {pet.units or 'missing'}")
    if not all(math.isfinite(factor) and factor > 0 for factor in factors):
        raise SetAside("invalid_value", "factor to SUV")
    return Suv(
        factors=tuple(factors),
        units=pet.units,
        decay=pet.decay,
        rule=rule,
        flags=tuple(dict.fromkeys(flags)),
        dose_mbq=_told(lambda: dose_bq(pet, []) / 1e6),
        weight_kg=_told(lambda: weight_kg(pet, [])),
        uptake_min=_told(lambda: _uptake_s(pet, frames) / 60.0),
        reference_difference=_difference(pet, frames),
    )


def refuse_uncorrected(pet: PetHeader) -> None:
    """The PET gate: attenuation and decay corrected, one time point, units that can become SUV."""
    kind = pet.series_type[0] if pet.series_type else ""
    if kind in ("DYNAMIC", "GATED"):
        raise SetAside("pet_dynamic", f"series type {kind}")
    if "ATTN" not in pet.corrected:
        raise SetAside("pet_not_attenuation_corrected", "no ATTN in Corrected Image")
    none = pet.decay == "NONE"
    if none and pet.units == "BQML" and "DECY" not in pet.corrected:
        return
    if none or "DECY" not in pet.corrected:
        raise SetAside("pet_not_decay_corrected", f"units {pet.units}, decay correction {pet.decay or 'missing'}")


# --- patient and dose -------------------------------------------------------------------------------------------------


def weight_kg(pet: PetHeader, flags: list[str]) -> float:
    """Body weight in kg; over 1000 it was written in grams."""
    weight = pet.weight
    if not weight or weight < 0:
        raise SetAside("weight_missing", "weight 0" if weight == 0 else "no weight")
    if weight > 1000:
        flags.append("weight_unit_assumed_g")
        weight /= 1000.0
    if not WEIGHT_KG[0] <= weight <= WEIGHT_KG[1]:
        raise SetAside("invalid_value", f"weight {weight:g} kg")
    return weight


def dose_bq(pet: PetHeader, flags: list[str]) -> float:
    """Injected dose in Bq; under 1e5 it was written in MBq."""
    dose = pet.dose
    if not dose or dose < 0:
        raise SetAside("dose_missing", "dose 0" if dose == 0 else "no dose")
    if dose < 1e5:
        if not DOSE_MBQ[0] <= dose <= DOSE_MBQ[1]:
            raise SetAside("invalid_value", f"dose {dose:g}: neither Bq nor surely MBq")
        flags.append("dose_unit_assumed_mbq")
        dose *= 1e6
    if not DOSE_BQ[0] <= dose <= DOSE_BQ[1]:
        raise SetAside("invalid_value", f"dose {dose / 1e6:g} MBq")
    return dose


def _height_cm(pet: PetHeader) -> float:
    if pet.height_m is None or not 0.4 <= pet.height_m <= 2.5:
        raise SetAside("height_missing", "no height" if pet.height_m is None else f"height {pet.height_m:g} m")
    return pet.height_m * 100.0


def _by_sex(pet: PetHeader, male: float, female: float) -> float:
    if pet.sex not in ("M", "F", "O"):
        raise SetAside("height_missing", "no sex")
    return {"M": male, "F": female, "O": (male + female) / 2.0}[pet.sex]


def lean_mass_kg(pet: PetHeader, weight: float, factor_male: float = 128.0) -> float:
    """Lean body mass by James; DICOM names both the printed 120 and the right 128 for men."""
    ratio = (weight / _height_cm(pet)) ** 2
    return _by_sex(pet, 1.10 * weight - factor_male * ratio, 1.07 * weight - 148.0 * ratio)


def _janmahasatian_kg(pet: PetHeader, weight: float) -> float:
    index = weight / (_height_cm(pet) / 100.0) ** 2
    return _by_sex(pet, 9270.0 * weight / (6680.0 + 216.0 * index), 9270.0 * weight / (8780.0 + 244.0 * index))


def _ideal_kg(pet: PetHeader) -> float:
    height = _height_cm(pet)
    return _by_sex(pet, 48.0 + 1.06 * (height - 152.0), 45.5 + 0.91 * (height - 152.0))


def _variant(pet: PetHeader, flags: list[str]) -> float:
    """GML: SUVbw already where the type is BW or missing; other types are divided by their mass, times the weight."""
    if pet.suv_type in ("", "BW"):
        return 1.0
    weight = weight_kg(pet, flags)
    masses = {
        "LBM": lambda: lean_mass_kg(pet, weight, 120.0),
        "LBMJAMES128": lambda: lean_mass_kg(pet, weight),
        "LBMJANMA": lambda: _janmahasatian_kg(pet, weight),
        "IBW": lambda: _ideal_kg(pet),
    }
    if pet.suv_type not in masses:
        raise SetAside("units_not_convertible", f"SUV type {pet.suv_type}")
    mass = masses[pet.suv_type]()
    if mass <= 0:
        raise SetAside("height_missing", f"weight {weight:g} kg and height do not fit")
    return weight / mass


def _from_surface(pet: PetHeader, flags: list[str]) -> float:
    """CM2ML: SUV by body surface [cm2/ml] to SUVbw [g/ml], surface by Du Bois."""
    if pet.suv_type not in ("", "BSA"):
        raise SetAside("units_not_convertible", f"CM2ML with SUV type {pet.suv_type}")
    weight = weight_kg(pet, flags)
    surface_m2 = 0.007184 * weight**0.425 * _height_cm(pet) ** 0.725
    return weight * 1000.0 / (surface_m2 * 1e4)


# --- activity ---------------------------------------------------------------------------------------------------------


def _from_counts(pet: PetHeader, frames: Sequence[PetFrame], flags: list[str]) -> tuple[list[float], str]:
    """CNTS of Philips: the factor to SUV where it is set, else the factor to Bq/ml and then as BQML."""
    by_suv = [frame.philips_suv or 0.0 for frame in frames]
    if all(factor > 0 for factor in by_suv):
        return by_suv, "philips_suv_factor"
    by_bqml = [frame.philips_bqml or 0.0 for frame in frames]
    if "PHILIPS" not in pet.manufacturer.upper() and not any(by_bqml):
        raise SetAside("units_not_convertible", "CNTS, not of Philips")
    if not all(factor > 0 for factor in by_bqml):
        raise SetAside("philips_scale_missing", "CNTS with both scale factors missing or 0")
    factors, rule = _from_activity(pet, frames, flags)
    return [scale * factor for scale, factor in zip(by_bqml, factors, strict=True)], rule


def _from_activity(pet: PetHeader, frames: Sequence[PetFrame], flags: list[str]) -> tuple[list[float], str]:
    """BQML: weight over dose at the time to which the values are decay corrected."""
    per_dose = weight_kg(pet, flags) * 1000.0 / dose_bq(pet, flags)
    if pet.decay == "ADMIN":
        return [per_dose] * len(frames), "administration"
    life = half_life(pet.nuclide, pet.half_life_s)
    first = _first_acquisition(frames)
    if pet.decay == "NONE":
        injected = injection(pet, first, first, life, flags)
        return [_undecayed(frame, injected, life) * per_dose for frame in frames], "acquisition"
    if pet.decay not in ("START", "") or (pet.decay == "" and pet.decay_moment is None):
        raise SetAside("pet_not_decay_corrected", f"decay correction {pet.decay or 'missing'}")
    reference, rule = reference_time(pet, frames, life)
    if rule != "series_time" and pet.series_moment is not None and rule != "stated":
        flags.append("series_time_after_acquisition")
    difference = _difference(pet, frames)
    if difference is not None and abs(difference) > DISAGREE:
        flags.append("reference_time_disagrees")
    injected = injection(pet, first, reference, life, flags)
    return [per_dose * 2.0 ** ((reference - injected) / life)] * len(frames), rule


def _undecayed(frame: PetFrame, injected: float, life: float) -> float:
    """Undo the decay within a frame, and since the injection; relative to values corrected to the injection."""
    if frame.acquired is None or not frame.duration_s or frame.duration_s <= 0:
        raise SetAside("injection_time_missing", "acquisition time or frame duration of a slice is missing")
    inside = LN2 * frame.duration_s / life
    return inside / -math.expm1(-inside) * 2.0 ** ((frame.acquired - injected) / life)


def _first_acquisition(frames: Sequence[PetFrame]) -> float:
    acquired = [frame.acquired for frame in frames if frame.acquired is not None]
    if len(acquired) != len(frames):
        raise SetAside("injection_time_missing", "acquisition time of a slice is missing")
    return min(acquired)


def reference_time(pet: PetHeader, frames: Sequence[PetFrame], life: float) -> tuple[float, str]:
    """Time to which values of DecayCorrection START are corrected, and the rule that gave it.

    Stated by enhanced PET; else series time where it is not after the first acquisition (re-reconstruction moves it);
    else GE's private scan time; else from the frame reference time; else the first acquisition.
    """
    if pet.decay_moment is not None:
        return pet.decay_moment, "stated"
    first = _first_acquisition(frames)
    if pet.series_moment is not None and pet.series_moment <= first + CLOCK_S:
        return pet.series_moment, "series_time"
    if pet.ge_moment is not None and pet.ge_moment <= first + CLOCK_S:
        return pet.ge_moment, "ge_private"
    by_frame = _by_frame_reference(frames, life)
    if by_frame is not None:
        return by_frame, "frame_reference"
    return first, "earliest_acquisition"


def _by_frame_reference(frames: Sequence[PetFrame], life: float) -> float | None:
    """Median over slices of acquisition time + mean decay time of the frame - frame reference time."""
    found = []
    for frame in frames:
        if frame.acquired is None or not frame.duration_s or not frame.frame_reference_s:
            continue
        if frame.duration_s <= 0 or frame.frame_reference_s <= 0:
            continue
        inside = LN2 * frame.duration_s / life
        average = math.log(inside / -math.expm1(-inside)) / (LN2 / life)
        found.append(frame.acquired + average - frame.frame_reference_s)
    return sorted(found)[len(found) // 2] if found else None


def _difference(pet: PetHeader, frames: Sequence[PetFrame]) -> float | None:
    """Relative difference of the SUV by series time and by frame reference time; None where it cannot be told."""
    if pet.units not in ("BQML", "CNTS") or pet.decay != "START" or pet.series_moment is None:
        return None
    try:
        life = half_life(pet.nuclide, pet.half_life_s)
    except SetAside:
        return None
    by_frame = _by_frame_reference(frames, life)
    if by_frame is None or abs(pet.series_moment - by_frame) > 30 * life:
        return None
    return 2.0 ** ((pet.series_moment - by_frame) / life) - 1.0


def injection(pet: PetHeader, first: float, reference: float, life: float, flags: list[str]) -> float:
    """Moment of the injection, checked against the scan.

    A time of day alone is put on the day of the first acquisition, or the day before where it would lie after it.
    A full date and time that cannot be right gives way to the time of day where both agree on it: de-identification
    often shifts the date of this one attribute by another number of days.
    """
    given, second = pet.injection_moment, pet.injection_second
    if given is None and second is None:
        raise SetAside("injection_time_missing", "no injection time")
    if given is not None and second is not None:
        apart = abs((given - second + times.DAY / 2) % times.DAY - times.DAY / 2)
        if apart > 60.0:
            raise SetAside("injection_time_implausible", f"two injection times, {apart / 60:.0f} min apart")
    longest = max(LONGEST_UPTAKE_S, 3 * life)
    if given is not None and (_fits(given, first, reference, longest) or second is None):
        return _checked(given, first, reference, longest)
    assert second is not None
    placed = times.day_of(first) * times.DAY + second
    if placed > first:
        placed -= times.DAY
        flags.append("injection_previous_day")
    if given is not None:
        flags.append("injection_date_replaced")
    return _checked(placed, first, reference, LONGEST_UPTAKE_S)


def _fits(injected: float, first: float, reference: float, longest: float) -> bool:
    return injected <= min(first, reference) and max(first, reference) - injected <= longest


def _checked(injected: float, first: float, reference: float, longest: float) -> float:
    if not _fits(injected, first, reference, longest):
        hours = (first - injected) / 3600.0
        raise SetAside("injection_time_implausible", f"first acquisition {hours:.2f} h after the injection")
    return injected


def _uptake_s(pet: PetHeader, frames: Sequence[PetFrame]) -> float:
    first = _first_acquisition(frames)
    return first - injection(pet, first, first, half_life(pet.nuclide, pet.half_life_s), [])


def _told(value: Callable[[], float]) -> float | None:
    """A fact for the acquisition table: None where the header does not give it."""
    try:
        return float(value())
    except SetAside:
        return None
