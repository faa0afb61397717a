"""The second reader's contours: like the first one's, not equal, and the same in every run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from osteorad.cohort.pseudonyms import PHANTOM_KEY, session_name
from osteorad.dicom.uids import map_uid
from osteorad.images.nrrd import read_nrrd
from osteorad.phantom.reader2 import redrawn
from osteorad.phantom.write import write_patient

from .conftest import SMALL, Export

SPACING = (0.9, 0.9, 2.0)


def ball(radius_mm: float = 9.0) -> np.ndarray:
    z, y, x = np.meshgrid(np.arange(16) * 2.0, np.arange(40) * 0.9, np.arange(44) * 0.9, indexing="ij")
    return (z - 15) ** 2 + (y - 18) ** 2 + (x - 20) ** 2 < radius_mm**2


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def test_another_hand_draws_nearly_the_same():
    mask = ball()
    found = [redrawn(mask, SPACING, np.random.default_rng(seed)) for seed in range(30)]
    overlaps = [dice(mask, again) for again in found]
    assert 0.85 < np.median(overlaps) < 0.97
    assert min(overlaps) > 0.75
    sizes = np.array([again.sum() for again in found]) / mask.sum()
    assert 0.85 < sizes.mean() < 1.15
    assert sizes.std() > 0.03
    slices = {int(again.any(axis=(1, 2)).sum()) for again in found}
    assert len(slices) > 1


def test_a_contour_of_one_voxel_is_never_lost():
    mask = np.zeros((5, 9, 9), dtype=bool)
    mask[2, 4, 4] = True
    assert all(redrawn(mask, SPACING, np.random.default_rng(seed)).any() for seed in range(50))


def test_the_same_hand_draws_the_same(tmp_path: Path):
    first, second = (redrawn(ball(), SPACING, np.random.default_rng(3)) for _ in range(2))
    assert (first == second).all()


@pytest.mark.parametrize("number", [1, 4, 5])
def test_mask_files_lie_by_session_and_image_beside_the_first_readers(number: int, exports: Callable[[int], Export]):
    export = exports(number)
    folder = export.folder / "masks-reader2"
    for session in export.manifest["truth"]["sessions"]:
        place = folder / session_name(map_uid(PHANTOM_KEY, session["study_uid"]))
        for modality, image in (("CT", "ct"), ("PT", "pet")):
            truth = {roi["roi"]: roi for roi in session["images"][modality]["rois"]}
            drawn = {path.stem: read_nrrd(path) for path in (place / image).glob("*.nrrd")}
            assert "marrow-1" in drawn
            assert set(drawn) <= {"marrow-1", *(key for key in truth if key.startswith("lesion"))}
            for name, found in drawn.items():
                voxels = truth["marrow" if name == "marrow-1" else name]["voxels"]
                assert 0.3 * voxels - 4 < (found.layers[0] > 0).sum() < 2 * voxels + 12


def test_now_and_then_a_lesion_is_missed_on_both_images(exports: Callable[[int], Export]):
    lesions = missed = 0
    for number in range(1, 13):
        export = exports(number)
        for session in export.manifest["truth"]["sessions"]:
            place = export.folder / "masks-reader2" / session_name(map_uid(PHANTOM_KEY, session["study_uid"]))
            drawn = {path.stem for path in (place / "ct").glob("lesion-*.nrrd")}
            wanted = {roi["roi"] for roi in session["images"]["CT"]["rois"] if roi["roi"].startswith("lesion")}
            lesions, missed = lesions + len(wanted), missed + len(wanted - drawn)
            assert {path.stem for path in (place / "pet").glob("lesion-*.nrrd")} <= drawn
    assert 0 < missed < 0.2 * lesions


def test_a_cohort_may_go_without(tmp_path: Path):
    write_patient(SMALL.model_copy(update={"reader2": False, "matrix": 32, "slices": 12}), "small", 1, tmp_path)
    assert not (tmp_path / "masks-reader2").exists()
