"""The outcome of a phantom cohort: how it follows from the images' facts, and that the null cohort's does not."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from osteorad.cohort.config import Phantom
from osteorad.phantom.anatomy import anatomy_of
from osteorad.phantom.facts import auc, events_wanted, expected_oracle_auc, facts_of, outcomes
from osteorad.phantom.lesions import lesions_of
from osteorad.phantom.scan import scan_session
from osteorad.phantom.tables import CLINICAL, LESIONS, outcome_truth

from .conftest import SMALL


def oracle(strength: float, patients: int = 400) -> float:
    truth = outcome_truth(Phantom(patients=patients, strength=strength, events=None))
    return truth["oracle_auc"]


def test_oracle_auc_rises_with_strength() -> None:
    found = [oracle(strength) for strength in (0.0, 0.8, 1.6, 3.0)]
    assert found[0] == 0.5
    assert found == sorted(found)
    assert found[3] > 0.88


@pytest.mark.parametrize("strength", [0.8, 1.6, 3.0])
def test_oracle_auc_is_the_expected_one_in_a_large_cohort(strength: float) -> None:
    assert oracle(strength, 1500) == pytest.approx(expected_oracle_auc(strength), abs=0.03)


def test_without_strength_nothing_is_related_to_the_outcome() -> None:
    settings = Phantom(patients=1500, strength=0, events=None)
    event = np.array(outcomes(settings))
    facts = [facts_of(settings, n) for n in range(1, 1501)]
    for name in ("texture", "density", "uptake", "score", "age_years"):
        values = np.array([float(getattr(f, name)) for f in facts])
        assert auc(event, values) == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("patients", "events", "wanted"), [(40, 18, 18), (12, 18, 6), (60, 18, 18), (40, None, None), (20, 20, 9)]
)
def test_number_of_events(patients: int, events: int | None, wanted: int | None) -> None:
    settings = Phantom(patients=patients, events=events)
    assert events_wanted(settings) == wanted
    if wanted is not None:
        assert sum(outcomes(settings)) == wanted


def test_the_healthy_have_neither_lesions_nor_events() -> None:
    settings = Phantom(patients=6, disease=False, matrix=32, slices=12)
    assert sum(outcomes(settings)) == 0
    session = scan_session(settings, 2)
    assert not session.lesions
    assert set(session.ct.masks) == {"heart", "marrow"}


def test_without_pet_there_is_no_pet() -> None:
    assert scan_session(Phantom(patients=6, pet=False, matrix=32, slices=12), 1).pet is None


def test_number_and_volume_of_lesions_do_not_tell_the_outcome() -> None:
    settings = Phantom(patients=120, strength=3.0, events=None)
    event = np.array(outcomes(settings))
    found = []
    for number in range(1, 121):
        facts = facts_of(settings, number)
        lesions = lesions_of(settings, facts, anatomy_of(settings, facts), 0, 63.0)
        found.append((len(lesions), sum(float(np.prod(lesion.radii)) for lesion in lesions)))
    for values in np.array(found).T:
        assert auc(event, values) == pytest.approx(0.5, abs=0.12)


def test_lesions_are_benign_and_malignant_and_of_all_types() -> None:
    settings = Phantom()
    found = []
    for number in range(1, 25):
        facts = facts_of(settings, number)
        lesions = lesions_of(settings, facts, anatomy_of(settings, facts), 0, 63.0)
        assert 1 <= len(lesions) <= 4
        assert all(lesion.location != facts.marrow_level for lesion in lesions)
        found += lesions
    assert {lesion.kind for lesion in found} == {"lytic", "sclerotic", "mixed"}
    assert {lesion.malignant for lesion in found} == {True, False}
    assert {lesion.location.split()[0][:1] for lesion in found} == {"T", "r", "s"}


def test_tables_hold_what_they_say(table_files: tuple[Path, Path, Path]) -> None:
    clinical, lesions, truth = table_files
    with clinical.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream, delimiter="\t"))
    assert tuple(rows[0]) == CLINICAL
    assert [int(row["outcome"]) for row in rows] == list(outcomes(SMALL))
    assert all(bool(row["event_date"]) == (row["outcome"] == "1") for row in rows)
    assert all(row["event_date"] <= row["last_seen"] for row in rows)
    with lesions.open(encoding="utf-8", newline="") as stream:
        found = list(csv.DictReader(stream, delimiter="\t"))
    assert tuple(found[0]) == LESIONS
    assert {row["patient"] for row in found} == {row["patient"] for row in rows}
    text = truth.read_text()
    assert json.loads(text)["events"] == 6
    assert not any(row["patient"] in text or row["name"] in text for row in rows)


def test_images_do_not_follow_strength() -> None:
    first, second = (
        scan_session(Phantom(patients=6, strength=s, matrix=32, slices=12), 1).ct.array for s in (0.0, 3.0)
    )
    assert (np.asarray(first) == np.asarray(second)).all()


@pytest.mark.slow
def test_texture_density_and_uptake_can_be_measured_in_the_images() -> None:
    settings = Phantom()
    truth, measured = [], []
    for number in range(1, 19):
        facts, session = facts_of(settings, number), scan_session(settings, number)
        marrow = np.asarray(session.ct.array)[session.ct.masks["marrow"]].astype(float)
        assert 2.0 < session.ct.masks["marrow"].sum() * np.prod(session.ct.frame.spacing) / 1000 < 8.0
        truth.append((facts.texture, facts.density))
        measured.append((marrow.std(), marrow.mean()))
    for want, found in zip(np.array(truth).T, np.array(measured).T, strict=True):
        assert spearmanr(want, found).statistic > 0.75
