"""Hundreds of damaged DICOM files: each is used or set aside with a reason, nothing raises, nothing takes long."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from osteorad.cohort.config import Phantom
from osteorad.cohort.sources import Source
from osteorad.dicom import index
from osteorad.phantom.write import write_patient
from osteorad.reasons import REASONS

from . import mutations
from .mutations import INSIDE, MUTATIONS, VALUES, bounded, ingest

SMALL = Phantom(patients=12, matrix=32, slices=12)
NUMBERS = (1, 2, 3)  # with RTSTRUCT, with headers of another maker, with SEG
MOST = 7  # damaged files of one patient
SAMPLE, ALL = 60, 500


@pytest.fixture(scope="module")
def sound(tmp_path_factory) -> dict[int, list[bytes]]:
    """Patient number -> its files; contour objects, at least one, last."""
    found = {}
    for number in NUMBERS:
        folder = tmp_path_factory.mktemp(f"sound-{number}")
        write_patient(SMALL, "small", number, folder)
        paths = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix not in (".json", ".nrrd", ".tsv")]
        contents = [p.read_bytes() for p in paths]
        found[number] = sorted(contents, key=is_contour)
    return found


@cache
def modality(content: bytes) -> str:
    return str(mutations.parsed(content).Modality)


def is_contour(content: bytes) -> bool:
    return modality(content) in index.CONTOUR_MODALITIES


def damaged(files: list[bytes], rng: np.random.Generator) -> Iterator[tuple[bytes, str]]:
    """Files of one patient, some of them damaged, and what was done to each.

    A few of any kind; or the contours alone, so that sound images wait for them; or a whole series in the same way, so
    that nothing sound is left to compare with.
    """
    contours = [at for at, content in enumerate(files) if is_contour(content)]
    kind = int(rng.integers(3))
    if kind == 0:
        chosen = rng.choice(len(files), size=int(rng.integers(1, MOST)), replace=False).tolist()
    elif kind == 1:
        chosen = contours
    else:
        wanted = modality(files[int(rng.integers(len(files)))])
        chosen = [at for at, content in enumerate(files) if modality(content) == wanted]
    same = VALUES[int(rng.integers(len(VALUES)))], int(rng.integers(1 << 31))
    for at, content in enumerate(files):
        every = INSIDE if at in contours and rng.random() < 0.7 else MUTATIONS
        change, by = (
            (every[int(rng.integers(len(every)))], rng) if kind != 2 else (same[0], np.random.default_rng(same[1]))
        )
        yield (change(content, by), change.__name__) if at in chosen else (content, "")


def run(sound: dict[int, list[bytes]], folder: Path, first_seed: int, wanted: int) -> Counter[str]:
    """Ingest patients until `wanted` files were damaged; reason -> how often something was set aside for it."""
    reasons: Counter[str] = Counter()
    done, seed = 0, first_seed
    while done < wanted:
        rng = np.random.default_rng(seed)
        export = folder / str(seed) / "export"
        export.mkdir(parents=True)
        changes = []
        for at, (content, change) in enumerate(damaged(sound[NUMBERS[seed % len(NUMBERS)]], rng)):
            (export / f"{at:03d}").write_bytes(content)
            changes += [f"{at:03d} {change}"] if change else []
        try:
            with warnings.catch_warnings(), bounded():
                warnings.simplefilter("ignore")
                key = None if seed % 4 == 0 else mutations.KEY
                made = ingest(export, folder / str(seed) / "work", key=key, heads_pass=seed % 3 > 0)
        except BaseException as error:
            raise AssertionError(f"seed {seed}, {', '.join(changes)}") from error
        for manifests in made.values():
            for manifest in manifests.values():
                reasons.update(row["reason"] for row in manifest["set_aside"])
        done += len(changes)
        seed += 1
    return reasons


def test_damaged_files_are_used_or_set_aside(sound, tmp_path):
    reasons = run(sound, tmp_path, 100, SAMPLE)
    assert set(reasons) <= set(REASONS)


@pytest.mark.slow
def test_five_hundred_damaged_files(sound, tmp_path):
    reasons = run(sound, tmp_path, 1000, ALL)
    assert set(reasons) <= set(REASONS)
    assert len(reasons) > 15, reasons  # the mutations reach every stage


def test_sound_files_are_used(sound, tmp_path):
    """The way itself sets nothing aside but what it always does."""
    for at, content in enumerate(sound[1]):
        (tmp_path / "export").mkdir(exist_ok=True)
        (tmp_path / f"export/{at}").write_bytes(content)
    (made,) = ingest(tmp_path / "export", tmp_path / "work").values()
    assert [image["image"] for image in made["converted"]["images"]] == ["ct", "pet"]
    assert len(made["drawn"]["masks"]) >= 2
    assert {row["kind"] for part in ("images", "contours") for row in made[part]["set_aside"]} <= {"not_chosen"}


@pytest.mark.parametrize("change", sorted({m.__name__ for m in MUTATIONS}))
def test_every_mutation_is_damage(sound, change):
    """Each changes the bytes of what it is given, or the tests above would prove little."""
    mutation = getattr(mutations, change)
    content = sound[1][0]
    assert any(mutation(content, np.random.default_rng(seed)) != content for seed in range(4))


# --- absurd headers: promises that must not be believed ---------------------------------------------------------------


@pytest.mark.parametrize("change", ["enormous_matrix", "nested_deeply", "never_closed"])
def test_absurd_files_cost_little(sound, tmp_path, change):
    """All files of a patient: nothing sound is left to compare with."""
    rng = np.random.default_rng(5)
    (tmp_path / "export").mkdir()
    for at, content in enumerate([*sound[1][:4], sound[1][-1]]):
        (tmp_path / f"export/{at}").write_bytes(getattr(mutations, change)(content, rng))
    with bounded(seconds=30, more_bytes=4 << 30):
        ingest(tmp_path / "export", tmp_path / "work")


def test_a_source_of_damaged_files_alone_has_no_patient(tmp_path):
    (tmp_path / "in").mkdir()
    (tmp_path / "in/1").write_bytes(bytes(132))
    source = Source(name="c", folder=tmp_path / "in", state=tmp_path / "state", key=mutations.KEY)
    assert index.update(source) == []
