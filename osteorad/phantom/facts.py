"""Hidden facts of digital patients and the outcome that follows from them.

Everything here is cheap and derives from (settings, number): images read the same facts as the clinical table, so the
table can state how well the best possible predictor would do.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from osteorad.cohort.config import Phantom
from osteorad.cohort.pseudonyms import phantom_patient_ids
from osteorad.provenance import seed_from

# Fixed patient numbers, all of them in cohorts of twelve too.
SEG_PATIENT = 3
MASK_FILE_PATIENT = 4
SECOND_SESSION_PATIENTS = (5, 9, 21, 33)
SCOUT_PATIENT = 6
FRACTURED_PATIENTS = (7, 19, 31)

# Parts of the true predictor: z-scores of marrow texture, marrow density and lesion uptake. The squares add up to 1.
WEIGHT_TEXTURE, WEIGHT_DENSITY, WEIGHT_UPTAKE = 0.75, -0.36, 0.555
VENDORS = ("siemens", "ge", "philips")
SITES = ("A", "B", "C")


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is true of a patient before any scan; z-scores are standard normal over patients."""

    number: int
    source_patient_id: str
    age_years: int
    female: bool
    weight_kg: float
    height_m: float
    texture: float
    density: float
    uptake: float
    vendor: str
    site: str
    fractured: bool
    contrast: bool
    sessions: int

    @property
    def score(self) -> float:
        """True linear predictor at strength 1; standard normal over patients."""
        return WEIGHT_TEXTURE * self.texture + WEIGHT_DENSITY * self.density + WEIGHT_UPTAKE * self.uptake

    @property
    def texture_hu(self) -> float:
        """Standard deviation of the marrow's trabecular texture, in HU, before blur and noise."""
        return 46.0 * float(np.exp(0.38 * self.texture))

    @property
    def density_hu(self) -> float:
        """Mean of the marrow in HU."""
        return 165.0 + 30.0 * self.density

    @property
    def marrow_level(self) -> str:
        """The vertebra whose marrow is contoured: T6, or T7 where T6 is fractured."""
        return "T7" if self.fractured else "T6"


def generator(settings: Phantom, number: int, topic: str) -> np.random.Generator:
    """Random numbers of one patient for one topic; other topics and patients never shift them."""
    return np.random.Generator(np.random.PCG64(seed_from(f"phantom/{settings.seed}/{number}/{topic}")))


@cache
def _patient_ids(seed: int, patients: int) -> list[str]:
    return phantom_patient_ids(seed, patients)


def facts_of(settings: Phantom, number: int) -> Facts:
    """Facts of patient `number` (from 1)."""
    rng = generator(settings, number, "facts")
    old, texture, density, uptake, stature, bulk = np.clip(rng.standard_normal(6), -2.4, 2.4)
    density = -0.4 * old + np.sqrt(1 - 0.4**2) * density  # bone is lost with age
    height_m = round(1.64 + 0.065 * float(stature), 2)
    return Facts(
        number=number,
        source_patient_id=_patient_ids(settings.seed, max(settings.patients, number))[number - 1],
        age_years=round(57 + 11 * float(old)),
        female=bool(rng.random() < 0.93),
        weight_kg=round(float(np.clip(25.5 * height_m**2 * np.exp(0.14 * bulk), 46, 112)), 1),
        height_m=height_m,
        texture=float(texture),
        density=float(density),
        uptake=float(uptake),
        vendor=VENDORS[(number - 1) % 3],
        site=SITES[(number - 1) % 3],
        fractured=number in FRACTURED_PATIENTS,
        contrast=bool(rng.random() < 0.25),
        sessions=2 if settings.special_cases and number in SECOND_SESSION_PATIENTS else 1,
    )


def events_wanted(settings: Phantom) -> int | None:
    """How many patients shall have the event: as set, or 45 % (rounded up) where the set number does not fit."""
    if not settings.disease:
        return 0
    if settings.events is None:
        return None
    if settings.events < settings.patients:
        return settings.events
    return -(-18 * settings.patients // 40)


@cache
def outcomes(settings: Phantom) -> tuple[int, ...]:
    """Outcome 0 or 1 of every patient, in order of number.

    logit = strength x score + constant. With a set number of events those with the highest logit plus logistic noise
    have it, which is the same model conditioned on the count.
    """
    risk = settings.strength * scores(settings) + _logistic_noise(settings)
    wanted = events_wanted(settings)
    if wanted is None:
        return tuple(int(r > np.log(0.55 / 0.45)) for r in risk)
    order = np.argsort(-risk, kind="stable")
    event = np.zeros(settings.patients, dtype=int)
    event[order[:wanted]] = 1
    return tuple(int(e) for e in event)


def scores(settings: Phantom) -> NDArray[np.float64]:
    """True linear predictor at strength 1 of every patient."""
    return np.array([facts_of(settings, n).score for n in range(1, settings.patients + 1)])


def _logistic_noise(settings: Phantom) -> NDArray[np.float64]:
    draws = [generator(settings, n, "fate").random() for n in range(1, settings.patients + 1)]
    p = np.clip(np.array(draws), 1e-9, 1 - 1e-9)
    return np.log(p / (1 - p))


def auc(outcome: NDArray[np.int_], score: NDArray[np.float64]) -> float | None:
    """Area under the ROC curve by pairs, ties count half; None where a class is missing."""
    positive, negative = score[outcome == 1], score[outcome == 0]
    if not positive.size or not negative.size:
        return None
    above = positive[:, None] - negative[None, :]
    return float(((above > 0) + 0.5 * (above == 0)).mean())


def expected_oracle_auc(strength: float, prevalence: float = 0.45) -> float:
    """AUC of the true predictor in an endless cohort, by integration over the score's normal distribution."""
    score = np.linspace(-6, 6, 2401)
    density = np.exp(-0.5 * score**2)
    lo, hi = -20.0, 20.0
    for _ in range(60):  # the constant that gives the prevalence
        middle = (lo + hi) / 2
        risk = 1 / (1 + np.exp(-(middle + strength * score)))
        lo, hi = (middle, hi) if (risk * density).sum() / density.sum() < prevalence else (lo, middle)
    event = risk * density / (risk * density).sum()
    none = (1 - risk) * density / ((1 - risk) * density).sum()
    return float((event * (np.cumsum(none) - 0.5 * none)).sum()) if strength > 0 else 0.5
