"""Programs that we did not write: their masks come back voxel for voxel, and they read the same HU and SUV."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813

from osteorad.dicom.masks import draw_masks
from osteorad.files import read_json
from osteorad.images.volume import read_nifti

pytestmark = pytest.mark.workflow
COHORT = "results/cohorts/small"
ROIS = {"marrow": ["marrow*"], "lesion": ["lesion*"]}
LPS_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
AIR_HU = -1024  # what the workflow writes for padding
GE_PADDING_HU = -2000 - 1024  # what a program that knows no padding reads there


# --- masks of other writers -------------------------------------------------------------------------------------------


def drawn(run: Path, patient: str) -> list[dict]:
    return read_json(run / COHORT / "masks/manual" / patient / "masks.json")["masks"]


def two_patients(run: Path) -> list[str]:
    """Patients with RTSTRUCT on CT and PET: who has most masks and came twice, and the next one of another vendor."""
    found = {}
    for path in sorted((run / COHORT / "masks/manual").glob("*/masks.json")):
        masks = read_json(path)["masks"]
        if {m["image"] for m in masks} == {"ct", "pet"} and {m["source"] for m in masks} == {"rtstruct"}:
            found[path.parent.name] = len(masks)
    first, *others = sorted(found, key=lambda name: (-found[name], name))
    return [first, next(name for name in others if vendor_of(run, name) != vendor_of(run, first))]


def vendor_of(run: Path, patient: str) -> str:
    images = read_json(run / COHORT / "images" / patient / "images.json")["images"]
    return str(images[0]["facts"]["manufacturer"])


def around(array: np.ndarray, before: int, after: int) -> list[slice]:
    """Block of the voxels that are 1, with another margin before than after, inside the image."""
    box = [(int(axis.min()), int(axis.max()) + 1) for axis in np.nonzero(array)]
    return [
        slice(max(low - before, 0), min(high + after, size)) for (low, high), size in zip(box, array.shape, strict=True)
    ]


def itk_flipped_and_cropped(source: Path, target: Path) -> None:
    """SimpleITK, which thinks in LPS: crop, swap two axes, flip two, save as NRRD."""
    image = sitk.ReadImage(str(source))
    box = around(sitk.GetArrayFromImage(image).T, 2, 5)
    image = image[tuple(box)]
    image = sitk.Flip(sitk.PermuteAxes(image, [1, 0, 2]), [True, False, True])
    sitk.WriteImage(image, str(target) + ".nrrd", useCompression=True)


def itk_oriented(source: Path, target: Path) -> None:
    """SimpleITK: axes to the left, back and feet, whole image, NIfTI."""
    sitk.WriteImage(sitk.DICOMOrient(sitk.ReadImage(str(source)), "LPI"), str(target) + ".nii.gz")


def nibabel_oriented(codes: str) -> Callable[[Path, Path], None]:
    """Nibabel: crop, then axes as `codes` says (LPS: towards left, back, head)."""

    def save(source: Path, target: Path) -> None:
        image = nib.load(source)
        box = around(np.asarray(image.dataobj), 3, 1)
        image = image.slicer[tuple(box)]
        now = nib.orientations.io_orientation(image.affine)
        wanted = nib.orientations.axcodes2ornt(tuple(codes))
        image = image.as_reoriented(nib.orientations.ornt_transform(now, wanted))
        assert "".join(nib.aff2axcodes(image.affine)) == codes
        nib.Nifti1Image(np.asarray(image.dataobj).astype(np.float32), image.affine).to_filename(f"{target}.nii.gz")

    return save


def in_place(source: Path, target: Path) -> None:
    """A writer that flips the voxels and forgets the affine: what no reader can put right."""
    image = nib.load(source)
    array = np.asarray(image.dataobj)[::-1, :, ::-1]
    nib.Nifti1Image(np.ascontiguousarray(array), image.affine).to_filename(f"{target}.nii.gz")


def saved(run: Path, patient: str, folder: Path, save: Callable[[Path, Path], None]) -> Path:
    """Folder of mask files, one a mask of the patient, named `<roi>-<n>` below session and image."""
    for row in drawn(run, patient):
        target = folder / row["session"] / row["image"] / f"{row['roi']}-{row['lesion']}"
        target.parent.mkdir(parents=True, exist_ok=True)
        save(run / COHORT / "masks/manual" / patient / row["path"], target)
    return folder


def drawn_again(run: Path, patient: str, files: Path, out: Path, mask_set: str = "reader2") -> dict:
    draw_masks(
        run / COHORT / "images" / patient / "images.json",
        run / COHORT / "dicom" / patient / "contours.json",
        None,
        files,
        mask_set=mask_set,
        rois=ROIS,
        out_dir=out,
    )
    return read_json(out / "masks.json")


def voxels_off(run: Path, patient: str, out: Path) -> dict[str, int]:
    """Path -> voxels in which a mask differs from that of the contours; -1 where one of the two is missing."""
    first, second = (
        {row["path"]: base / row["path"] for row in read_json(base / "masks.json")["masks"]}
        for base in (run / COHORT / "masks/manual" / patient, out)
    )
    off = dict.fromkeys(first.keys() ^ second.keys(), -1)
    for name in first.keys() & second.keys():
        (one, grid), (other, other_grid) = read_nifti(first[name]), read_nifti(second[name])
        off[name] = int((one != other).sum()) if grid.matches(other_grid) else -1
    return off


def test_the_two_patients_are_of_two_vendors_and_one_came_twice(run):
    images = [read_json(run / COHORT / "images" / name / "images.json")["images"] for name in two_patients(run)]
    assert len({rows[0]["facts"]["manufacturer"] for rows in images}) == 2
    assert max(len({row["session"] for row in rows}) for rows in images) == 2


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize(
    "save",
    [itk_flipped_and_cropped, itk_oriented, nibabel_oriented("LPS"), nibabel_oriented("RAI"), nibabel_oriented("SAR")],
    ids=["itk-nrrd-cropped", "itk-LPI", "nibabel-LPS", "nibabel-RAI", "nibabel-SAR"],
)
def test_masks_of_another_writer_are_those_of_the_contours(run, tmp_path, place, save):
    patient = two_patients(run)[place]
    again = drawn_again(run, patient, saved(run, patient, tmp_path / "files", save), tmp_path / "out")
    off = voxels_off(run, patient, tmp_path / "out")
    assert len(off) >= 4
    assert set(off.values()) == {0}
    assert again["set_aside"] == []
    assert {row["source"] for row in again["masks"]} == {"file"}
    assert again["rois_in"] == len(again["masks"])


def test_voxels_that_moved_are_counted(run, tmp_path):
    patient = two_patients(run)[0]
    drawn_again(run, patient, saved(run, patient, tmp_path / "files", in_place), tmp_path / "out")
    off = voxels_off(run, patient, tmp_path / "out")
    assert min(off.values()) > 0


def eroded(source: Path, target: Path) -> None:
    """A reader who takes away the last voxel."""
    image = nib.load(source)
    array = np.asarray(image.dataobj).copy()
    array[tuple(np.argwhere(array)[-1])] = 0
    nib.Nifti1Image(array, image.affine).to_filename(f"{target}.nii.gz")


def test_corrected_masks_take_the_places_of_all_contours(run, tmp_path):
    patient = two_patients(run)[0]
    files = saved(run, patient, tmp_path / "files", eroded)
    again = drawn_again(run, patient, files, tmp_path / "out", "manual")
    assert set(voxels_off(run, patient, tmp_path / "out").values()) == {1}
    contours = {(row["object"], row["number"]) for row in drawn(run, patient)}
    assert {(row["replaces"]["object"], row["replaces"]["number"]) for row in again["masks"]} == contours
    before = read_json(run / COHORT / "masks/manual" / patient / "masks.json")
    replaced = [row for row in again["set_aside"] if row["reason"] == "contour_replaced"]
    assert len(replaced) == len(again["masks"]) == len(before["masks"])
    assert [row for row in again["set_aside"] if row not in replaced] == before["set_aside"]
    assert again["rois_in"] == before["rois_in"] + len(replaced)
    assert "used" not in {row["state"] for row in again["series"]}


def shifted(source: Path, target: Path) -> None:
    """Half a voxel beside the image."""
    image = nib.load(source)
    moved = image.affine.copy()
    moved[:3, 3] += 0.5 * image.affine[:3, 0]
    nib.Nifti1Image(np.asarray(image.dataobj), moved).to_filename(f"{target}.nii.gz")


def resampled(source: Path, target: Path) -> None:
    """On voxels of 1.7 mm, as some viewers save."""
    image = sitk.ReadImage(str(source))
    size = [round(n * s / 1.7) for n, s in zip(image.GetSize(), image.GetSpacing(), strict=True)]
    frame = image.GetOrigin(), [1.7] * 3, image.GetDirection()
    again = sitk.Resample(image, size, sitk.Transform(), sitk.sitkNearestNeighbor, *frame)
    sitk.WriteImage(again, str(target) + ".nrrd")


def tilted(source: Path, target: Path) -> None:
    """Turned by three degrees."""
    image = nib.load(source)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(0.05), -np.sin(0.05)], [np.sin(0.05), np.cos(0.05)]]
    nib.Nifti1Image(np.asarray(image.dataobj), turn @ image.affine).to_filename(f"{target}.nii.gz")


@pytest.mark.parametrize("spoil", [shifted, resampled, tilted])
def test_a_mask_that_fits_no_image_is_refused_and_the_others_are_drawn(run, tmp_path, spoil):
    patient = two_patients(run)[1]
    files = saved(run, patient, tmp_path / "files", nibabel_oriented("LPS"))
    row = drawn(run, patient)[0]
    target = files / row["session"] / row["image"] / f"{row['roi']}-{row['lesion']}"
    Path(f"{target}.nii.gz").unlink()
    spoil(run / COHORT / "masks/manual" / patient / row["path"], target)
    again = drawn_again(run, patient, files, tmp_path / "out")
    assert [(r["item"], r["kind"], r["reason"]) for r in again["set_aside"]] == [
        (f"{row['roi']}-{row['lesion']}", "quarantined", "mask_no_image")
    ]
    off = voxels_off(run, patient, tmp_path / "out")
    assert {name for name, count in off.items() if count != 0} == {row["path"]}
    assert again["rois_in"] == len(again["masks"]) + 1


# --- images as SimpleITK reads them -----------------------------------------------------------------------------------


def read_by_itk(folder: Path) -> tuple[np.ndarray, np.ndarray]:
    """Voxels (x, y, z) and affine to RAS of a series."""
    reader = sitk.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    image = reader.Execute()
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return sitk.GetArrayFromImage(image).T, LPS_RAS @ affine


def images_of(run: Path, modality: str) -> list[tuple[str, dict]]:
    manifests = map(read_json, sorted((run / COHORT / "images").glob("*/images.json")))
    return [(m["patient"], row) for m in manifests for row in m["images"] if row["modality"] == modality]


def both(run: Path, patient: str, row: dict) -> tuple[np.ndarray, np.ndarray]:
    """One image as SimpleITK reads its DICOM and as the workflow wrote it, on one grid."""
    theirs, affine = read_by_itk(run / COHORT / "dicom" / patient / row["session"] / row["series"])
    ours, grid = read_nifti(run / COHORT / "images" / patient / row["path"])
    assert theirs.shape == ours.shape
    np.testing.assert_allclose(grid.affine_ras, affine, atol=1e-3)
    return theirs, ours


def truth_of(run: Path, patient: str, row: dict) -> dict:
    """What the generator knows of the PET of a session."""
    facts = read_json(run / COHORT / "images" / patient / "images.json")
    order = next(s["order"] for s in facts["sessions"] if s["session"] == row["session"])
    sessions = read_json(run / "private/small/source" / patient / "manifest.json")["truth"]["sessions"]
    return next(s for s in sessions if s["session"] == order - 1)["pet"]


def wrong_hu(theirs: np.ndarray, ours: np.ndarray) -> int:
    """Voxels whose HU differ; padding must have become air."""
    return int((np.where(theirs == GE_PADDING_HU, AIR_HU, theirs) != ours).sum())


def test_hu_are_those_of_simpleitk(run):
    found = images_of(run, "CT")
    assert len(found) >= 12
    padded = 0
    for patient, row in found:
        theirs, ours = both(run, patient, row)
        assert wrong_hu(theirs, ours) == 0
        assert row["facts"]["conversion"]["padding_voxels"] == int((theirs == GE_PADDING_HU).sum())
        padded += bool((theirs == GE_PADDING_HU).any())
    assert padded >= 3


def worst_suv(theirs: np.ndarray, ours: np.ndarray, truth: dict) -> float:
    """Largest difference between stored values in the generator's unit and SUV, as a share of the maximum."""
    wanted = theirs / truth["unit_per_suv"]
    return float(np.abs(ours - wanted).max() / wanted.max())


def test_suv_are_those_of_simpleitk_and_the_generator(run):
    found = images_of(run, "PT")
    assert len(found) >= 12
    units = set()
    for patient, row in found:
        theirs, ours = both(run, patient, row)
        truth = truth_of(run, patient, row)
        assert worst_suv(theirs, ours, truth) < 1e-5
        assert float(ours.max()) == pytest.approx(truth["suv_max"], rel=1e-4)
        units.add((truth["units"], truth["decay"], truth["style"]))
    assert {u[0] for u in units} == {"BQML", "CNTS", "GML"}
    assert {u[1] for u in units} == {"START", "ADMIN"}


def test_a_wrong_voxel_and_a_wrong_decay_are_found(run):
    patient, row = images_of(run, "CT")[0]
    theirs, ours = both(run, patient, row)
    ours = ours.copy()
    ours[10, 20, 5] += 1
    assert wrong_hu(theirs, ours) == 1
    patient, row = images_of(run, "PT")[0]
    theirs, ours = both(run, patient, row)
    assert worst_suv(theirs, ours * 1.0001, truth_of(run, patient, row)) > 1e-5
