"""The hospital's tables: one row a patient, one row a lesion, with identity as such tables have it; and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import numpy as np

from osteorad.cohort.config import Phantom
from osteorad.phantom.anatomy import anatomy_of
from osteorad.phantom.facts import (
    VENDORS,
    WEIGHT_DENSITY,
    WEIGHT_TEXTURE,
    WEIGHT_UPTAKE,
    auc,
    expected_oracle_auc,
    facts_of,
    generator,
    outcomes,
    scores,
)
from osteorad.phantom.headers import session_day, visit_of
from osteorad.phantom.identity import Plants, person_of
from osteorad.phantom.lesions import lesions_of
from osteorad.phantom.names import roi_names
from osteorad.phantom.scan import ct_frame

CLINICAL = (
    "patient", "name", "birth_date", "phone", "age", "er", "pr", "her2", "ki67", "subtype", "site",
    "index_date", "event_date", "last_seen", "outcome", "remarks",
)  # fmt: skip
LESIONS = ("patient", "date", "roi_name", "outcome", "location", "type", "reader", "remark")


@dataclass(frozen=True, slots=True, kw_only=True)
class Receptors:
    """Histology of the primary tumour; independent of images and outcome."""

    er: int
    pr: int
    her2: int
    ki67: int

    @property
    def subtype(self) -> str:
        """Molecular subtype, a function of the four markers."""
        if self.er or self.pr:
            return "luminal A" if not self.her2 and self.ki67 < 20 else "luminal B"
        return "HER2-enriched" if self.her2 else "triple-negative"


def receptors_of(settings: Phantom, number: int) -> Receptors:
    """Markers of patient `number`."""
    rng = generator(settings, number, "receptors")
    er = int(rng.random() < 0.7)
    return Receptors(
        er=er,
        pr=int(rng.random() < (0.78 if er else 0.08)),
        her2=int(rng.random() < 0.24),
        ki67=int(np.clip(rng.gamma(2.2, 11.0) + (0 if er else 12), 2, 92)),
    )


def clinical_row(settings: Phantom, number: int) -> list[str]:
    """One row of the clinical table, under CLINICAL."""
    facts, person, marks = facts_of(settings, number), person_of(settings, number), receptors_of(settings, number)
    rng = generator(settings, number, "follow-up")
    event = outcomes(settings)[number - 1]
    until = person.index + timedelta(days=int(rng.integers(1200, 2200)))
    happened = person.index + timedelta(days=int(rng.integers(240, 1100)))
    return [
        facts.source_patient_id,
        f"{person.surname}, {person.given}",
        person.birth.isoformat(),
        person.phone,
        str(facts.age_years),
        str(marks.er),
        str(marks.pr),
        str(marks.her2),
        str(marks.ki67),
        marks.subtype,
        facts.site,
        person.index.isoformat(),
        happened.isoformat() if event else "",
        until.isoformat(),
        str(event),
        f"letter to {person.physician}, ref {person.token('TABLE')}",
    ]


def lesion_rows(settings: Phantom, number: int) -> list[list[str]]:
    """Rows of the table of lesions for one patient, under LESIONS."""
    facts, person = facts_of(settings, number), person_of(settings, number)
    axis = ct_frame(settings, facts).z
    rows = []
    for session in range(facts.sessions):
        visit = visit_of(settings, number, session, Plants())
        lesions = lesions_of(settings, facts, anatomy_of(settings, facts), session, float(axis[-1] - axis[0]) / 2)
        names = roi_names(visit, lesions, "CT")
        for lesion in lesions:
            rows.append(
                [
                    facts.source_patient_id,
                    session_day(settings, number, session).isoformat(),
                    names[f"lesion-{lesion.number}"],
                    str(int(lesion.malignant)),
                    lesion.location,
                    lesion.kind,
                    person.radiologist,
                    f"seen with {person.token('LESREAD')}",
                ]
            )
    return rows


def clinical_text(settings: Phantom) -> str:
    """The clinical table as TSV."""
    return _tsv(CLINICAL, [clinical_row(settings, n) for n in range(1, settings.patients + 1)])


def lesions_text(settings: Phantom) -> str:
    """The table of lesions as TSV."""
    return _tsv(LESIONS, [row for n in range(1, settings.patients + 1) for row in lesion_rows(settings, n)])


def _tsv(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "".join("\t".join(row) + "\n" for row in (header, *rows))


def plant(settings: Phantom, number: int, plants: Plants) -> None:
    """Record the identity that the tables hold of one patient."""
    person = person_of(settings, number)
    plants.text("clinical: name", f"{person.surname}, {person.given}")
    plants.text("clinical: birth_date", person.birth.isoformat())
    plants.text("clinical: phone", person.phone)
    plants.text("clinical: remarks", person.token("TABLE"))
    if lesion_rows(settings, number):
        plants.text("lesions: remark", person.token("LESREAD"))
    for day in (person.index, *_days(settings, number)):
        plants.dates.add(day.strftime("%Y%m%d"))
        plants.dates.add(day.isoformat())


def _days(settings: Phantom, number: int) -> list[date]:
    row = dict(zip(CLINICAL, clinical_row(settings, number), strict=True))
    return [date.fromisoformat(row[name]) for name in ("event_date", "last_seen") if row[name]]


def outcome_truth(settings: Phantom) -> dict[str, Any]:
    """How the outcome was made and what the best possible predictor reaches. No identity.

    oracle_auc : AUC of the true linear predictor in this cohort; at strength 0 it is constant, so 0.5.
    oracle_auc_expected : the same in an endless cohort with 45 % events.
    """
    event = np.array(outcomes(settings))
    score = scores(settings)
    return {
        "n": settings.patients,
        "events": int(event.sum()),
        "strength": settings.strength,
        "disease": settings.disease,
        "model": "logit(outcome) = constant + strength x (texture, density and uptake z-scores x weights)",
        "weights": {"texture": WEIGHT_TEXTURE, "density": WEIGHT_DENSITY, "uptake": WEIGHT_UPTAKE},
        "oracle_auc": auc(event, settings.strength * score),
        "oracle_auc_expected": expected_oracle_auc(settings.strength) if settings.disease else None,
        "score_auc": auc(event, score),
        "vendors": list(VENDORS),
    }
