"""SUV factors from headers: vendor sets, variants, decay, times, doses."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from osteorad.dicom import times
from osteorad.dicom.headers import frames_of
from osteorad.dicom.isotopes import HALF_LIFE_S, half_life, named_nuclide
from osteorad.dicom.pet_header import PetFrame, PetHeader
from osteorad.dicom.suv import lean_mass_kg, suv_factors
from osteorad.errors import SetAside

LIFE = 6586.2
NOON = times.moment("20200102", "120000")
assert NOON is not None

HEADER = PetHeader(
    units="BQML",
    suv_type="",
    decay="START",
    corrected=("DECY", "ATTN"),
    series_type=("WHOLE BODY", "IMAGE"),
    manufacturer="ACME",
    series_moment=NOON,
    ge_moment=None,
    decay_moment=None,
    injection_moment=NOON - 3600,
    injection_second=None,
    dose=370e6,
    half_life_s=LIFE,
    nuclide="F-18",
    tracer="FDG",
    weight=70.0,
    height_m=1.75,
    sex="F",
)
FRAME = PetFrame(acquired=NOON, duration_s=120.0, frame_reference_s=0.0, philips_suv=None, philips_bqml=None)
PER_DOSE = 70_000 / 370e6


def factor(header: PetHeader = HEADER, *frames: PetFrame) -> float:
    return suv_factors(header, frames or [FRAME]).factors[0]


# --- vendors ----------------------------------------------------------------------------------------------------------


def vendor_dataset(values: dict[str, Any]) -> Dataset:
    ds, drug = Dataset(), Dataset()
    ds.Modality = "PT"
    for name, value in values.items():
        if name.startswith("Radio"):
            setattr(drug, name, str(value) if isinstance(value, float) else value)
        elif name != "PhilipsPETPrivateGroup":
            setattr(ds, name, str(value) if isinstance(value, float) else value)
    ds.RadiopharmaceuticalInformationSequence = [drug]
    private = values["PhilipsPETPrivateGroup"]
    if private:
        ds.Manufacturer = "Philips"
        block = ds.private_block(0x7053, "Philips PET Private Group", create=True)
        for name, element in (("SUVScaleFactor", 0x00), ("ActivityConcentrationScaleFactor", 0x09)):
            if name in private:
                block.add_new(element, "DS", private[name].strip())
    return ds


VENDORS = [
    "BQML_AC_DT_lessThan_S_DT_SIEMENS",
    "CPS_AND_BQML_AC_DT_-_S_DT",
    "GE_MEDICAL_AND_BQML",
    "PHILIPS_BQML",
    "PHILIPS_CNTS_AND_BQML_SUV",
    "PHILIPS_CNTS_AND_SUV",
    "RADIOPHARM_DATETIME_UNDEFINED",
    "SIEMENS",
]


@pytest.mark.parametrize("name", VENDORS)
def test_vendor_header(shared_data, name):
    folder = shared_data("ingest/suv_vendor_headers")
    expected = {
        line.split("\t")[0]: float(line.split("\t")[1])
        for line in (folder / "expected.tsv").read_text().splitlines()[1:]
    }
    headers = json.loads((folder / "headers.json").read_text())[name]
    assert set(expected) == set(VENDORS)
    frames = [frames_of(vendor_dataset(values), Path("none"))[0] for values in headers]
    suv = suv_factors(frames[0].pet, [f.pet_frame for f in frames])
    assert suv.factors[0] == pytest.approx(expected[name], rel=1e-4)
    assert suv.factors[0] == pytest.approx(expected[name], rel=2e-6)


def test_planted_pet_header(shared_data):
    ds = pydicom.dcmread(shared_data("ingest/phi/phi_pet.dcm"), stop_before_pixels=True)
    frame = frames_of(ds, Path("none"))[0]
    suv = suv_factors(frame.pet, [frame.pet_frame])
    assert suv.factors[0] == pytest.approx(2.8028e-4, rel=1e-4)
    assert suv.rule == "series_time"


# --- decay ------------------------------------------------------------------------------------------------------------


def test_start_admin_and_none_agree_for_the_same_activity():
    """One true activity, told in three ways, has one SUV."""
    true_at_injection = 5000.0
    first = replace(FRAME, acquired=NOON + 600, duration_s=300.0)
    at_start = true_at_injection * 2 ** (-3600 / LIFE)  # corrected to the series time, one hour after the injection
    rate = math.log(2) / LIFE
    t = 3600 + 600  # mean over the frame that starts then
    measured = true_at_injection * (math.exp(-rate * t) - math.exp(-rate * (t + 300))) / (rate * 300)
    admin = replace(HEADER, decay="ADMIN")
    none = replace(HEADER, decay="NONE", corrected=("ATTN",))
    wanted = true_at_injection * PER_DOSE
    assert true_at_injection * factor(admin, first) == pytest.approx(wanted, rel=1e-12)
    assert at_start * factor(HEADER, first) == pytest.approx(wanted, rel=1e-9)
    assert measured * factor(none, first) == pytest.approx(wanted, rel=1e-9)


def test_reference_time_rules_in_their_order():
    frame = replace(FRAME, acquired=NOON, frame_reference_s=0.0)
    late = replace(HEADER, series_moment=NOON + 1800)
    assert suv_factors(HEADER, [frame]).rule == "series_time"
    assert suv_factors(replace(HEADER, series_moment=NOON + 0.9), [frame]).rule == "series_time"
    assert suv_factors(late, [frame]).rule == "earliest_acquisition"
    assert suv_factors(replace(late, ge_moment=NOON - 5), [frame]).rule == "ge_private"
    half = 60.0 - 120.0**2 * math.log(2) / LIFE / 24  # mean decay time of a frame, to second order
    by_frame = suv_factors(late, [replace(frame, frame_reference_s=half + 300)])
    assert by_frame.rule == "frame_reference"
    assert by_frame.factors[0] == pytest.approx(PER_DOSE * 2 ** (3300 / LIFE), rel=1e-5)
    assert "series_time_after_acquisition" in by_frame.flags
    assert suv_factors(replace(late, decay_moment=NOON - 60, decay=""), [frame]).rule == "stated"


def test_earliest_acquisition_is_of_the_whole_series():
    frames = [replace(FRAME, acquired=NOON + 600), FRAME]
    late = replace(HEADER, series_moment=NOON + 300)
    suv = suv_factors(late, frames)
    assert suv.rule == "earliest_acquisition"
    assert suv.factors == pytest.approx([PER_DOSE * 2 ** (3600 / LIFE)] * 2)


def test_disagreement_of_the_rules_is_flagged_from_one_percent():
    def flags(seconds: float) -> tuple[str, ...]:
        return suv_factors(HEADER, [replace(FRAME, frame_reference_s=60.0 + seconds)]).flags

    assert "reference_time_disagrees" not in flags(60)  # 0.6 %
    assert "reference_time_disagrees" in flags(120)  # 1.3 %


# --- units ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["", "BW"])
def test_gml_of_body_weight_needs_nothing_else(kind):
    header = replace(HEADER, units="GML", suv_type=kind, weight=None, dose=None, injection_moment=None)
    suv = suv_factors(header, [replace(FRAME, acquired=None)])
    assert suv.factors == (1.0,)
    assert (suv.dose_mbq, suv.weight_kg, suv.uptake_min) == (None, None, None)


@pytest.mark.parametrize(
    ("kind", "mass_kg"),
    [
        ("LBMJAMES128", 1.07 * 70 - 148 * (70 / 175) ** 2),
        ("LBM", 1.07 * 70 - 148 * (70 / 175) ** 2),
        ("LBMJANMA", 9270 * 70 / (8780 + 244 * 70 / 1.75**2)),
        ("IBW", 45.5 + 0.91 * (175 - 152)),
    ],
)
def test_other_suv_types_are_converted_back(kind, mass_kg):
    header = replace(HEADER, units="GML", suv_type=kind)
    assert factor(header) == pytest.approx(70 / mass_kg)
    with pytest.raises(SetAside, match="height_missing"):
        factor(replace(header, height_m=None))
    with pytest.raises(SetAside, match="height_missing"):
        factor(replace(header, height_m=175.0))
    with pytest.raises(SetAside, match="height_missing"):
        factor(replace(header, sex=""))
    with pytest.raises(SetAside, match="weight_missing"):
        factor(replace(header, weight=0.0))


def test_lean_mass_of_men_by_both_printed_constants():
    header = replace(HEADER, sex="M")
    assert lean_mass_kg(header, 70.0) == pytest.approx(1.10 * 70 - 128 * 0.16)
    assert factor(replace(header, units="GML", suv_type="LBM")) == pytest.approx(70 / (1.10 * 70 - 120 * 0.16))


def test_unknown_types_and_units_are_refused():
    for change in ({"units": "GML", "suv_type": "SUL"}, {"units": "CM2ML", "suv_type": "BW"}, {"units": "1CM"}):
        with pytest.raises(SetAside, match="units_not_convertible"):
            factor(replace(HEADER, **change))


def test_philips_factors_count_only_for_counts():
    frame = replace(FRAME, philips_suv=0.0005, philips_bqml=2.0)
    philips = replace(HEADER, manufacturer="Philips")
    assert factor(philips, frame) == pytest.approx(PER_DOSE * 2 ** (3600 / LIFE))
    counts = replace(philips, units="CNTS")
    assert factor(counts, frame) == 0.0005
    assert factor(counts, replace(frame, philips_suv=0.0)) == pytest.approx(2 * PER_DOSE * 2 ** (3600 / LIFE))
    with pytest.raises(SetAside, match="philips_scale_missing"):
        factor(counts, frame, replace(frame, philips_suv=None, philips_bqml=None))


# --- half-life and times ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "nuclide"),
    [
        ("^18^Fluorine", "F-18"),
        ("18F", "F-18"),
        ("F-18", "F-18"),
        ("Fluorine-18", "F-18"),
        ("68Ga-PSMA-11", "Ga-68"),
        ("PSMA-617 Ga^68^", "Ga-68"),
        ("[89Zr]trastuzumab", "Zr-89"),
        ("Solution", ""),
        ("FDG 2018", ""),
        ("99mTc", ""),
    ],
)
def test_nuclide_in_a_text(text, nuclide):
    assert named_nuclide(text) == nuclide


def test_half_life_is_checked_against_the_nuclide():
    assert half_life("F-18", 6588.0) == 6588.0
    assert half_life("F-18", None) == HALF_LIFE_S["F-18"]
    assert half_life("", 4057.7) == 4057.7
    for nuclide, stated in (("F-18", 4057.7), ("", 109.8), ("F-18", 6500.0)):
        with pytest.raises(SetAside, match="half_life_implausible"):
            half_life(nuclide, stated)
    with pytest.raises(SetAside, match="half_life_missing"):
        half_life("", None)


@given(st.integers(0, 86399), st.integers(1, 11 * 3600))
def test_injection_by_time_of_day_alone(scan_second, before):
    """Whatever the hour: a scan within 11 hours after the injection finds it on the right day."""
    scan = times.DAY * 737000 + scan_second
    second = (scan_second - before) % times.DAY
    header = replace(HEADER, series_moment=scan, injection_moment=None, injection_second=float(second))
    suv = suv_factors(header, [replace(FRAME, acquired=scan)])
    assert suv.uptake_min == pytest.approx(before / 60)
    assert suv.factors[0] == pytest.approx(PER_DOSE * 2 ** (before / LIFE))
    assert ("injection_previous_day" in suv.flags) == (before > scan_second)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("09", 32400),
        ("0915", 33300),
        ("091530.25", 33330.25),
        ("09:15:30", 33330),
        ("091530.", 33330),
        ("2515", None),
        ("", None),
        ("x", None),
    ],
)
def test_times_of_day(text, seconds):
    assert times.second_of_day(text) == seconds


def test_datetimes_with_zones():
    plain = times.moment("20200102", "120000")
    assert times.moment_of_datetime("20200102120000.00") == plain
    assert times.moment_of_datetime("20200102110000+0000", 3600.0) == plain
    assert times.moment_of_datetime("20200102120000+0100") == plain
    assert times.moment_of_datetime("20200102") is None  # no hour: no moment
    assert times.day_number("2020.01.02") == times.day_number("20200102")
    assert times.day_number("20200230") is None
