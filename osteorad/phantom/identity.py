"""Invented people: names, numbers, addresses, and a record of every identifying string that was planted.

None of these people exists. Each string is unlike any word of a report, so that a search for it has no false alarm.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field
from datetime import date, timedelta

from osteorad.cohort.config import Phantom
from osteorad.phantom.facts import Facts, facts_of, generator

_HEADS = ("Quill", "Brandl", "Vorna", "Thelwy", "Oxenb", "Jarzo", "Wexeld", "Krumpf", "Zyltar", "Penhal")
_TAILS = ("igrove", "mosczy", "kvist", "ürbach", "awczyk", "eñosa", "ottorf", "ellbjörg")
_GIVEN_F = ("Isolde", "Xaveria", "Philippa", "Ottilie", "Yevgenia", "Clothilde", "Zdenka", "Wilhelmine", "Hjördis")
_GIVEN_M = ("Thaddäus", "Balthasar", "Zoltan", "Evaristo", "Leopold", "Xaver")
_STREETS = ("Lindwurmgasse", "Kastanienallee", "Rue Malesherbes", "Foxglove Lane", "Calle Yerbabuena")
_TOWNS = ("Unterquellheim", "Zwiebrück", "Saint-Orlaix", "Wexcombe Magna", "Villaqueda")
_HOSPITALS = {
    "A": "Klinikum Quellheim-Nord",
    "B": "Wexcombe Magna Infirmary",
    "C": "Hôpital Saint-Orlaix",
}


@dataclass(slots=True)
class Plants:
    """Identifying strings written for one patient, each with the places where it stands."""

    places: dict[str, list[str]] = field(default_factory=dict)
    dates: set[str] = field(default_factory=set)

    def text(self, place: str, value: str) -> str:
        """Record `value` as identity that stands at `place`; returns it."""
        known = self.places.setdefault(value, [])
        if place not in known:
            known.append(place)
        return value

    def day(self, value: date) -> str:
        """Record a true date; returns it as DICOM writes it."""
        text = value.strftime("%Y%m%d")
        self.dates.add(text)
        return text


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """Who a patient is said to be."""

    surname: str
    given: str
    birth: date
    phone: str
    street: str
    town: str
    hospital: str
    physician: str
    operator: str
    radiologist: str
    serial: str
    index: date
    code: int

    @property
    def dicom_name(self) -> str:
        """Family^Given, as PN holds it."""
        return f"{self.surname}^{self.given}"

    @property
    def plain_surname(self) -> str:
        """The surname in capital ASCII letters, as file names and descriptions hold it."""
        return unicodedata.normalize("NFKD", self.surname).encode("ascii", "ignore").decode().upper()

    def token(self, place: str) -> str:
        """An identifier that is this patient's and this place's alone, such as PHQ0341-STATION."""
        return f"{place}{self.code:05d}"


def person_of(settings: Phantom, number: int) -> Person:
    """The invented person behind patient `number`."""
    facts = facts_of(settings, number)
    rng = generator(settings, number, "person")
    index = date(2016, 1, 4) + timedelta(days=int(rng.integers(0, 1100)))
    birth = index - timedelta(days=int(facts.age_years * 365.25) + int(rng.integers(10, 340)))
    given = _GIVEN_F if facts.female else _GIVEN_M
    code = int(rng.integers(10, 900)) * 100 + number % 100
    return Person(
        surname=surname_of(number),
        given=given[int(rng.integers(len(given)))],
        birth=birth,
        phone=f"089/{code:05d}-{number:04d}",
        street=f"{_STREETS[number % 5]} {int(rng.integers(1, 180))}b",
        town=f"{code:05d} {_TOWNS[number % 5]}",
        hospital=_HOSPITALS[facts.site],
        physician=f"Dr{_doctor(number, 1)}",
        operator=f"Op{_doctor(number, 2)}",
        radiologist=f"Rad{_doctor(number, 3)}",
        serial=f"SN{code:05d}X{number:03d}",
        index=index,
        code=code,
    )


def surname_of(number: int) -> str:
    """A surname that no other of the first 80 patients bears; later ones get a second part."""
    head, tail = _HEADS[number % 10], _TAILS[(number // 10 + number) % 8]
    return head + tail if number <= 80 else f"{head}{tail}-{_HEADS[(number // 80) % 10]}{number}"


def _doctor(number: int, role: int) -> str:
    return f"{_HEADS[(number * 3 + role) % 10]}hart{number:03d}".lower()


def age_text(facts: Facts) -> str:
    """Age as DICOM writes it."""
    return f"{facts.age_years:03d}Y"
