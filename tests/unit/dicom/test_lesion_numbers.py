"""Lesion numbers stay with their contours: run after run of draw_masks, with contours added, edited and taken away."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest

from osteorad.dicom.lesion_numbers import box_of
from osteorad.files import read_json
from osteorad.images.volume import EMPTY_PATCH, Grid, Patch, write_nifti
from tests.unit.dicom.mask_helpers import box, contour, draw, image_entry, voxels_of, write_rtstruct, write_seg

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2.0, 0, 40], [0, 0, 4.0, -100], [0, 0, 0, 1]])
GRID = Grid(shape=(40, 32, 8), affine_ras=AFFINE)
PET_GRID = Grid(shape=(20, 16, 8), affine_ras=AFFINE @ np.diag([2.0, 2.0, 1.0, 1.0]))
PET = "2.25.2001"
ROIS = {"lesion": ["lesion*", "met*"], "marrow": ["marrow*"]}
# lesions A to E lie in slices 1 to 5, side by side
Drawing = tuple[str, pydicom.Dataset]
Draw = Callable[..., dict[str, int]]


def lesion(name: str, *, size: float = 6.0, shift: float = 0.0, grid: Grid = GRID) -> Drawing:
    """A square contour of lesion A, B, ... on its own slice and place."""
    at = "ABCDE".index(name[0])
    low = np.array([3.5 + 6 * at + shift, 4.5]) * (1.0 if grid is GRID else 0.5)
    return name, contour(box(grid, at + 1, tuple(low), tuple(low + size * (1.0 if grid is GRID else 0.5))))


@pytest.fixture
def numbers(tmp_path: Path) -> Draw:
    """Draw contours, as ROI numbers 1, 2, ... or those given; returns slice of each mask's lesion -> its number."""

    def run(
        ct: Sequence[Drawing],
        pet: Sequence[Drawing] = (),
        *,
        roi_numbers: Sequence[int] | None = None,
        entries: list[dict[str, Any]] | None = None,
        **options: Any,
    ) -> dict[str, int]:
        images = entries or [image_entry(GRID), image_entry(PET_GRID, image="pet", modality="PT", series_uid=PET)]
        objects = []
        for drawings, series, uid in ((ct, images[0]["series_uid"], "2.25.77"), (pet, PET, "2.25.78")):
            listed = [
                (number, f"met {name}", [item] if item is not None else [])
                for number, (name, item) in zip(roi_numbers or range(1, 99), drawings, strict=False)
            ]
            if listed:
                path = tmp_path / f"{uid}.dcm"
                objects.append(write_rtstruct(path, listed, series={series: []}, series_uid=uid))
        names = {
            (uid, at): name
            for uid, rois in (("2.25.77.1", ct), ("2.25.78.1", pet))
            for at, (name, _) in zip(roi_numbers or range(1, 99), rois, strict=False)
        }
        manifest = draw(tmp_path, images, objects, ROIS, numbers=tmp_path / "names/p1.json", **options)
        return {
            f"{mask['image']} {names[mask['object'], mask['number']]}": mask["lesion"]
            for mask in manifest["masks"]
            if "object" in mask
        }

    return run


def test_without_history_numbers_are_ranks(numbers):
    assert numbers([lesion("B"), lesion("A")], [lesion("A", grid=PET_GRID)]) == {"ct B": 1, "ct A": 2, "pet A": 1}


def test_a_contour_added_before_the_others_moves_none(numbers):
    numbers([lesion("B"), lesion("C")])
    assert numbers([lesion("A"), lesion("B"), lesion("C")]) == {"ct A": 3, "ct B": 1, "ct C": 2}


def test_the_number_of_a_vanished_contour_is_not_given_again(numbers):
    numbers([lesion("A"), lesion("B"), lesion("C")])
    assert numbers([lesion("A"), lesion("C")]) == {"ct A": 1, "ct C": 3}
    assert numbers([lesion("A"), lesion("C"), lesion("D")]) == {"ct A": 1, "ct C": 3, "ct D": 4}
    assert numbers([lesion("D"), lesion("B"), lesion("A")])["ct B"] == 2  # it came back


def test_a_number_lost_on_the_ct_is_not_given_on_the_pet(numbers):
    """Else PET lesion 2 would be paired with nothing, or with another one's past."""
    numbers([lesion("A"), lesion("B")])
    both = [lesion("A"), lesion("C")]
    pet = [lesion("A", grid=PET_GRID), lesion("C", grid=PET_GRID)]
    assert numbers(both, pet) == {"ct A": 1, "ct C": 3, "pet A": 1, "pet C": 3}


def test_a_number_lost_on_one_image_is_not_given_there_while_the_other_has_it(numbers):
    pet = [lesion("A", grid=PET_GRID), lesion("B", grid=PET_GRID)]
    numbers([lesion("A"), lesion("B")], pet)
    assert numbers([lesion("A"), lesion("C")], pet) == {"ct A": 1, "ct C": 3, "pet A": 1, "pet B": 2}


def test_a_pet_that_is_drawn_later_is_paired_by_rank(numbers):
    numbers([lesion("A"), lesion("B"), lesion("C")])
    pet = [lesion(name, grid=PET_GRID) for name in "ABC"]
    found = numbers([lesion("A"), lesion("B"), lesion("C")], pet)
    assert {key: number for key, number in found.items() if key.startswith("pet")} == {
        "pet A": 1, "pet B": 2, "pet C": 3,
    }  # fmt: skip


def test_an_edited_contour_keeps_its_number(numbers):
    numbers([lesion("A"), lesion("B")])
    assert numbers([lesion("A"), lesion("B", size=8.0)]) == {"ct A": 1, "ct B": 2}
    assert numbers([lesion("A"), lesion("B", size=5.0, shift=1.0)]) == {"ct A": 1, "ct B": 2}


def test_edited_where_the_program_counts_anew(numbers):
    """A is gone, and B, edited, has its ROI number: the place decides, not the number."""
    numbers([lesion("A"), lesion("B")])
    assert numbers([lesion("B", size=7.0)], roi_numbers=[1]) == {"ct B": 2}


def test_a_contour_drawn_elsewhere_is_a_new_one(numbers):
    numbers([lesion("A"), lesion("B")])
    assert numbers([lesion("A"), lesion("C")]) == {"ct A": 1, "ct C": 3}


def test_both_edited_are_told_apart_by_what_they_share(numbers):
    """Their boxes overlap; each goes to the former one that it shares more with, whatever the order."""
    numbers([lesion("A", size=8.0), ("A right", lesion("A", size=8.0, shift=3.0)[1])])
    edited = [("A right", lesion("A", size=8.5, shift=3.0)[1]), lesion("A", size=8.5)]
    assert numbers(edited) == {"ct A": 1, "ct A right": 2}


def test_empty_and_rejected_contours_keep_their_numbers(numbers):
    outside = ("E", contour(box(GRID, 60, (3, 3), (8, 8))))
    empty: Drawing = ("D", None)
    drawings = [empty, outside, lesion("B")]
    first = numbers(drawings)
    assert first == {"ct D": 1, "ct B": 3}
    for _ in range(2):
        assert numbers(drawings) == first
    assert numbers([lesion("D"), lesion("E"), lesion("B")]) == {"ct D": 1, "ct E": 2, "ct B": 3}  # drawn, and mended


def test_empty_contours_are_told_apart_by_their_roi_numbers(numbers):
    numbers([("D", None), ("E", None)])
    assert numbers([("E", None)], roi_numbers=[2]) == {"ct E": 2}


def test_a_lost_register_counts_by_rank_again(numbers, tmp_path):
    numbers([lesion("B"), lesion("C")])
    (tmp_path / "names/p1.json").unlink()
    assert numbers([lesion("A"), lesion("B")]) == {"ct A": 1, "ct B": 2}


def test_numbers_of_one_session_are_none_of_another(numbers):
    later = image_entry(GRID, session="s2")
    earlier = image_entry(GRID, session="s1", series_uid="2.25.3")
    numbers([lesion("B"), lesion("C")], entries=[later])
    assert numbers([lesion("A"), lesion("B")], entries=[earlier, later]) == {"ct A": 1, "ct B": 2}
    assert numbers([lesion("A"), lesion("B"), lesion("C")], entries=[later, earlier]) == {
        "ct A": 3, "ct B": 1, "ct C": 2,
    }  # fmt: skip


def test_another_series_under_the_same_name_keeps_lesions_by_their_place(numbers):
    numbers([lesion("B"), lesion("A")])
    finer = Grid(shape=GRID.shape, affine_ras=AFFINE)
    other = [image_entry(finer, series_uid="2.25.5")]
    assert numbers([lesion("A", size=6.5), lesion("B", size=6.5), lesion("C")], entries=other) == {
        "ct A": 2, "ct B": 1, "ct C": 3,
    }  # fmt: skip


def test_segments_are_known_by_their_voxels(tmp_path):
    def run(*slices: int) -> dict[int, int]:
        arrays = {}
        for number, k in enumerate(slices, start=1):
            array = np.zeros(GRID.shape, dtype=np.uint8)
            array[2:5, 2:5, k] = 1
            arrays[number] = (f"met {k}", array)
        manifest = draw(
            tmp_path,
            [image_entry(GRID)],
            [write_seg(tmp_path / "s.dcm", arrays, GRID)],
            ROIS,
            numbers=tmp_path / "names.json",
        )
        return {slices[mask["number"] - 1]: mask["lesion"] for mask in manifest["masks"]}

    assert run(3, 4) == {3: 1, 4: 2}
    assert run(2, 3, 4) == {2: 3, 3: 1, 4: 2}


def test_the_register_is_written_only_where_it_differs(numbers, tmp_path):
    file = tmp_path / "names/p1.json"
    numbers([lesion("A"), lesion("B")])
    before, made = file.read_bytes(), file.stat().st_ino
    numbers([lesion("A"), lesion("B")])
    assert (file.read_bytes(), file.stat().st_ino) == (before, made)
    assert read_json(file)["lesions"][0] == {
        "session": image_entry(GRID)["session"], "image": "ct", "roi": "lesion", "lesion": 1, "roi_number": 1,
        "hash": read_json(tmp_path / "masks/masks.json")["masks"][0]["hash"],
        "box_mm": [11.0, 19.0, -98.0, 23.0, 31.0, -94.0],
    }  # fmt: skip


def test_two_runs_with_history_give_the_same_bytes(numbers, tmp_path):
    numbers([lesion("B"), lesion("C")])
    found = []
    for _ in range(2):
        numbers([lesion("A"), lesion("B", size=7.0), ("D", None)], [lesion("A", grid=PET_GRID)])
        files = [tmp_path / "names/p1.json", *(f for f in (tmp_path / "masks").rglob("*") if f.is_file())]
        found.append({file.name: file.read_bytes() for file in sorted(files)})
    assert found[0] == found[1]


# --- mask files ------------------------------------------------------------------------------------------------------


def save(path: Path, k: int, size: int = 5) -> None:
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[20 : 20 + size, 20 : 20 + size, k] = 1
    write_nifti(path, array, GRID.affine_ras)


def drawn_files(folder: Path, mask_set: str = "reader2") -> dict[int, int]:
    """Slice of each mask -> its number."""
    register = folder / "names" / f"{mask_set}.json"
    manifest = draw(folder, [image_entry(GRID)], [], ROIS, files=folder / "files", mask_set=mask_set, numbers=register)
    return {int(voxels_of(folder, mask).any(axis=(0, 1)).argmax()): mask["lesion"] for mask in manifest["masks"]}


def test_files_without_number_keep_theirs(tmp_path):
    for k, name in ((2, "met b"), (3, "met c")):
        save(tmp_path / "files" / f"{name}.nii.gz", k)
    assert drawn_files(tmp_path) == {2: 1, 3: 2}
    save(tmp_path / "files" / "met a.nii.gz", 1)
    assert drawn_files(tmp_path) == {1: 3, 2: 1, 3: 2}


def test_a_readers_number_goes_before_what_was_given(tmp_path):
    save(tmp_path / "files" / "met 4.nii.gz", 2)
    assert drawn_files(tmp_path) == {2: 4}
    (tmp_path / "files" / "met 4.nii.gz").rename(tmp_path / "files" / "met 2.nii.gz")
    assert drawn_files(tmp_path) == {2: 2}


def test_a_number_that_was_taken_stays_the_next_one(tmp_path):
    """`met 1` came upon contour 1 and became 2; with contour 2 drawn later, and itself edited, it stays 2."""
    one = write_rtstruct(tmp_path / "rs.dcm", [(1, "met a", [lesion("A")[1]])])
    save(tmp_path / "files" / "met 1.nii.gz", 4)
    settings: dict[str, Any] = {"files": tmp_path / "files", "numbers": tmp_path / "names.json"}
    first = draw(tmp_path, [image_entry(GRID)], [one], ROIS, **settings)
    assert [(mask["source"], mask["lesion"]) for mask in first["masks"]] == [("rtstruct", 1), ("file", 2)]
    two = write_rtstruct(tmp_path / "rs.dcm", [(1, "met a", [lesion("A")[1]]), (2, "met b", [lesion("B")[1]])])
    save(tmp_path / "files" / "met 1.nii.gz", 4, size=6)
    second = draw(tmp_path, [image_entry(GRID)], [two], ROIS, **settings)
    assert [(mask["source"], mask["lesion"]) for mask in second["masks"]] == [
        ("rtstruct", 1), ("file", 2), ("rtstruct", 3),
    ]  # fmt: skip


def test_a_contour_is_never_taken_for_an_edited_file(tmp_path):
    save(tmp_path / "files" / "met x.nii.gz", 1)
    settings: dict[str, Any] = {"files": tmp_path / "files", "numbers": tmp_path / "names.json"}
    draw(tmp_path, [image_entry(GRID)], [], ROIS, **settings)
    over_it = contour(box(GRID, 1, (19.5, 19.5), (25.5, 25.5)))
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "met a", [over_it])])
    save(tmp_path / "files" / "met x.nii.gz", 1, size=4)
    masks = draw(tmp_path, [image_entry(GRID)], [path], ROIS, **settings)["masks"]
    assert [(mask["source"], mask["lesion"]) for mask in masks] == [("file", 1), ("rtstruct", 2)]


def test_two_sets_of_a_patient_keep_apart(tmp_path):
    save(tmp_path / "files" / "met x.nii.gz", 2)
    assert drawn_files(tmp_path, "reader2") == {2: 1}
    save(tmp_path / "files" / "met a.nii.gz", 1)
    assert drawn_files(tmp_path, "reader3") == {1: 1, 2: 2}
    assert drawn_files(tmp_path, "reader2") == {1: 2, 2: 1}


def test_box_of_voxels_in_mm():
    array = np.zeros((4, 4, 4), dtype=np.uint8)
    array[1:3, 1, 2] = 1
    assert box_of(Patch(start=(10, 0, 0), array=array), GRID) == (5.0, 37.0, -94.0, 9.0, 39.0, -90.0)
    assert box_of(EMPTY_PATCH, GRID) is None
