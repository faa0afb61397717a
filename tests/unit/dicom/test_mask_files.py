"""Mask files of other writers: any axis order, sense, extent and format, placed by affine; refused where none fits."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK

from osteorad.dicom.mask_files import mask_paths, read_mask_file, regions
from osteorad.errors import SetAside
from osteorad.images.nrrd import read_nrrd
from osteorad.images.volume import Grid, read_nifti, write_nifti
from tests.unit.dicom.mask_helpers import by_name, draw, image_entry, voxels_of

TURN = np.deg2rad(9.0)
AXES = np.array([[np.cos(TURN), 0, np.sin(TURN)], [0, 1, 0], [-np.sin(TURN), 0, np.cos(TURN)]]) @ np.diag(
    [-1.5, -1.5, 3]
)
AFFINE = np.eye(4)
AFFINE[:3, :3] = AXES
AFFINE[:3, 3] = (31.25, -60.5, -402.75)
GRID = Grid(shape=(14, 12, 9), affine_ras=AFFINE)
ROIS = {"lesion": ["lesion*", "met *"], "marrow": ["marrow"]}


@pytest.fixture
def blob() -> np.ndarray:
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[3:9, 2:7, 2:6] = np.random.default_rng(3).random((6, 5, 4)) < 0.6
    return array


def save_nifti(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.Nifti1Image(array, affine).to_filename(path)


def save_itk(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    """Save with SimpleITK, which knows LPS only."""
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine
    spacing = np.linalg.norm(lps[:3, :3], axis=0)
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(array.T))
    image.SetSpacing(spacing.tolist())
    image.SetDirection((lps[:3, :3] / spacing).reshape(-1).tolist())
    image.SetOrigin(lps[:3, 3].tolist())
    path.parent.mkdir(parents=True, exist_ok=True)
    SimpleITK.WriteImage(image, str(path), useCompression=True)


def reordered(array: np.ndarray, affine: np.ndarray, order: tuple[int, ...], signs: tuple[int, ...]):
    """The same voxels with axes in another order and sense."""
    out, moved = np.transpose(array, order), affine.copy()
    moved[:, :3] = affine[:, list(order)]
    for axis, sign in enumerate(signs):
        if sign < 0:
            out = np.flip(out, axis)
            moved[:, 3] += moved[:, axis] * (out.shape[axis] - 1)
            moved[:, axis] *= -1
    return np.ascontiguousarray(out), moved


def cropped(array: np.ndarray, affine: np.ndarray, low=(2, 1, 1), high=(12, 9, 7)):
    moved = affine.copy()
    moved[:, 3] = affine @ [*low, 1]
    return array[tuple(slice(a, b) for a, b in zip(low, high, strict=True))], moved


def padded(array: np.ndarray, affine: np.ndarray, width: int = 3):
    moved = affine.copy()
    moved[:, 3] = affine @ [-width, -width, -width, 1]
    return np.pad(array, width), moved


@pytest.mark.parametrize("writer", [save_nifti, save_itk])
@pytest.mark.parametrize(
    "change",
    [
        lambda a, m: (a, m),
        lambda a, m: reordered(a, m, (0, 1, 2), (-1, -1, 1)),
        lambda a, m: reordered(a, m, (0, 1, 2), (-1, 1, -1)),
        lambda a, m: reordered(a, m, (1, 2, 0), (1, -1, 1)),
        lambda a, m: reordered(a, m, (2, 0, 1), (-1, -1, -1)),
        cropped,
        padded,
        lambda a, m: reordered(*cropped(a, m), (1, 0, 2), (1, -1, -1)),
    ],
    ids=["as is", "LPS", "flipped", "P-I-R", "I-R-A", "cropped", "padded", "cropped and turned"],
)
def test_same_voxels_however_the_mask_was_saved(tmp_path, blob, writer, change):
    array, affine = change(blob, AFFINE)
    ending = ".nii.gz" if writer is save_nifti else ".nrrd"
    writer(tmp_path / "files" / f"lesion-2{ending}", array, affine)
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    assert manifest["set_aside"] == []
    mask = by_name(manifest)["ct/lesion-2"]
    np.testing.assert_array_equal(voxels_of(tmp_path, mask), blob)
    assert mask["source"] == "file"
    assert mask["flags"] == ([] if array.shape == blob.shape and affine is AFFINE else ["mask_reoriented"])


@pytest.mark.parametrize("ending", [".nii", ".nii.gz", ".nrrd", ".nhdr"])
@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32])
def test_formats_and_number_types(tmp_path, blob, ending, kind):
    save = save_nifti if ending.startswith(".nii") else save_itk
    save(tmp_path / "files" / f"marrow-1{ending}", blob.astype(kind), AFFINE)
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    assert manifest["set_aside"] == []
    np.testing.assert_array_equal(voxels_of(tmp_path, by_name(manifest)["ct/marrow-1"]), blob)


def test_nifti_2_is_read(tmp_path, blob):
    (tmp_path / "files").mkdir()
    nib.Nifti2Image(blob, AFFINE).to_filename(tmp_path / "files" / "lesion-1.nii.gz")
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    np.testing.assert_array_equal(voxels_of(tmp_path, by_name(manifest)["ct/lesion-1"]), blob)


def test_mask_of_255_is_a_mask(tmp_path, blob):
    save_nifti(tmp_path / "files" / "lesion-1.nii.gz", blob * 255, AFFINE)
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    np.testing.assert_array_equal(voxels_of(tmp_path, by_name(manifest)["ct/lesion-1"]), blob)


def shifted(by_mm: float) -> np.ndarray:
    moved = AFFINE.copy()
    moved[0, 3] += by_mm
    return moved


@pytest.mark.parametrize(
    ("array", "affine", "code"),
    [
        ("blob", shifted(0.7), "mask_no_image"),
        ("blob", AFFINE @ np.diag([1.1, 1, 1, 1]), "mask_no_image"),
        ("blob", AFFINE @ np.diag([2, 2, 2, 1]), "mask_no_image"),
        ("blob", shifted(150.0), "mask_no_image"),
        ("half", AFFINE, "mask_not_binary"),
        ("negative", AFFINE, "mask_not_binary"),
        ("two", AFFINE, "mask_not_binary"),
        ("nan", AFFINE, "mask_not_binary"),
    ],
    ids=[
        "half a voxel off",
        "other spacing",
        "twice the spacing",
        "elsewhere",
        "shades",
        "an image",
        "two values",
        "nan",
    ],
)
def test_mask_that_cannot_be_right_is_refused_with_its_reason(tmp_path, blob, array, affine, code):
    content = {
        "blob": blob,
        "half": blob * np.float32(0.5),
        "negative": blob.astype(np.int16) * -1000,
        "two": blob * 2 + (blob[::-1] & ~blob & 1),
        "nan": np.where(blob, np.nan, 0).astype(np.float32),
    }[array]
    save_nifti(tmp_path / "files" / "lesion-1.nii.gz", content, affine)
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    assert manifest["masks"] == []
    assert [(row["reason"], row["kind"], row["item"]) for row in manifest["set_aside"]] == [
        (code, "quarantined", "lesion-1")
    ]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("lesion-1.nii.gz", b"not gzip"),
        ("lesion-1.nii", b"x" * 400),
        ("lesion-1.nrrd", b"NRRD0004\nx"),
        ("a.txt", b"hello"),
    ],
)
def test_file_that_cannot_be_read_is_a_row(tmp_path, name, content):
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / name).write_bytes(content)
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    assert [row["reason"] for row in manifest["set_aside"]] == ["mask_unreadable"]


def test_truncated_files_are_rows(tmp_path, blob):
    for name, save in (("lesion-1.nii.gz", save_nifti), ("lesion-2.nii", save_nifti), ("lesion-3.nrrd", save_itk)):
        path = tmp_path / "files" / name
        save(path, blob, AFFINE)
        path.write_bytes(path.read_bytes()[:-60])
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    assert [row["reason"] for row in manifest["set_aside"]] == ["mask_unreadable"] * 3


def test_names_that_a_person_chose_do_not_leave_the_folder(tmp_path, blob):
    save_nifti(tmp_path / "files" / "Smith_Jane_1956.nii.gz", blob, AFFINE)
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    assert [(row["item"], row["reason"]) for row in manifest["set_aside"]] == [("file-1/1", "roi_unmatched")]
    assert "Smith" not in (tmp_path / "masks" / "masks.json").read_text()


def test_numbers_that_readers_gave_hold_even_where_a_file_is_refused(tmp_path, blob):
    """Else the second CT lesion would be paired with the first PET lesion."""
    for number in (2, 10, 3):
        save_nifti(tmp_path / "files" / f"Met {number}.nii.gz", np.roll(blob, number, axis=2), AFFINE)
    (tmp_path / "files" / "Met 1.nii.gz").write_bytes(b"broken")
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    assert [mask["lesion"] for mask in manifest["masks"]] == [2, 3, 10]
    np.testing.assert_array_equal(voxels_of(tmp_path, by_name(manifest)["ct/lesion-10"]), np.roll(blob, 10, axis=2))


def test_files_without_number_are_ranked_by_name(tmp_path, blob):
    for rank, name in enumerate(("lesion L2", "lesion L10", "lesion Th"), start=1):
        save_nifti(tmp_path / "files" / f"{name}.nii.gz", np.roll(blob, rank, axis=2), AFFINE)
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    for rank in (1, 2, 3):
        np.testing.assert_array_equal(
            voxels_of(tmp_path, by_name(manifest)[f"ct/lesion-{rank}"]), np.roll(blob, rank, axis=2)
        )


# --- label maps ------------------------------------------------------------------------------------------------------


def label_map(blob: np.ndarray) -> np.ndarray:
    labels = blob.astype(np.uint16)
    labels[6:] *= 3
    labels[..., 4:] *= 100
    return labels  # 1, 3, 100, 300


def test_values_of_a_label_map_are_lesion_numbers(tmp_path, blob):
    labels = label_map(blob)
    save_nifti(tmp_path / "files" / "lesions.nii.gz", labels, AFFINE)
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    assert [mask["lesion"] for mask in manifest["masks"]] == [1, 3, 100, 300]
    for mask in manifest["masks"]:
        np.testing.assert_array_equal(voxels_of(tmp_path, mask), labels == mask["lesion"])


@pytest.mark.parametrize("name", ["case.tsv", "labels.tsv", "case.csv"])
def test_table_beside_a_label_map_names_its_values(tmp_path, blob, name):
    labels = label_map(blob)
    save_nifti(tmp_path / "files" / "case.nii.gz", labels, AFFINE)
    mark = ";" if name.endswith(".csv") else "\t"
    rows = [("label", "name"), ("1", "met L1"), ("3", "Marrow"), ("100", "other"), ("300", "lesion-7"), ("9", "met x")]
    (tmp_path / "files" / name).write_text("\ufeff" + "\r\n".join(mark.join(row) for row in rows), encoding="utf-8")
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    masks = by_name(manifest)
    assert sorted(masks) == ["ct/lesion-1", "ct/lesion-2", "ct/lesion-7", "ct/marrow-1"]
    for key, value in (("ct/lesion-1", 1), ("ct/marrow-1", 3), ("ct/lesion-7", 300)):
        np.testing.assert_array_equal(voxels_of(tmp_path, masks[key]), labels == value)
    assert masks["ct/lesion-2"]["flags"] == ["roi_empty"]  # named in the table, nowhere in the map
    assert [row["reason"] for row in manifest["set_aside"]] == ["roi_unmatched"]


def test_segmentation_of_slicer_brings_names_and_layers(tmp_path, blob):
    """Header as 3D Slicer writes it: a list axis first, names, values and layers as key/value pairs."""
    layers = np.stack([blob * 2, blob[:, :, ::-1]])
    lps = np.diag([-1.0, -1.0, 1.0, 1.0]) @ AFFINE
    vectors = " ".join("({})".format(",".join(repr(float(v)) for v in lps[:3, axis])) for axis in range(3))
    header = [
        "NRRD0005", "type: unsigned char", "dimension: 4", "space: left-posterior-superior",
        f"sizes: 2 {' '.join(map(str, GRID.shape))}", f"space directions: none {vectors}",
        "kinds: list domain domain domain", "encoding: raw",
        "space origin: ({})".format(",".join(repr(float(v)) for v in lps[:3, 3])),
        "Segment0_Name:=met a", "Segment0_LabelValue:=2", "Segment0_Layer:=0",
        "Segment1_Name:=marrow", "Segment1_LabelValue:=1", "Segment1_Layer:=1", "", "",
    ]  # fmt: skip
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "x.seg.nrrd").write_bytes("\n".join(header).encode() + layers.tobytes(order="F"))
    manifest = draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files")
    masks = by_name(manifest)
    np.testing.assert_array_equal(voxels_of(tmp_path, masks["ct/lesion-1"]), blob)
    np.testing.assert_array_equal(voxels_of(tmp_path, masks["ct/marrow-1"]), blob[:, :, ::-1])


def test_empty_mask_file_is_an_empty_mask(tmp_path, blob):
    save_nifti(tmp_path / "files" / "lesion-4.nii.gz", blob * 0, AFFINE)
    mask = by_name(draw(tmp_path, [image_entry(GRID)], [], ROIS, files=tmp_path / "files"))["ct/lesion-4"]
    assert (mask["voxels"], mask["flags"]) == (0, ["roi_empty"])


# --- which image -----------------------------------------------------------------------------------------------------


def test_mask_finds_its_image_among_others(tmp_path, blob):
    pet = Grid(shape=(6, 5, 9), affine_ras=AFFINE @ np.diag([2.5, 2.5, 1, 1]))
    entries = [image_entry(GRID), image_entry(pet, image="pet", modality="PT", series_uid="2.25.2001")]
    array = np.zeros(pet.shape, dtype=np.uint8)
    array[2:4, 1:3, 4:6] = 1
    save_nifti(tmp_path / "files" / "a" / "lesion-1.nii.gz", blob, AFFINE)
    save_nifti(tmp_path / "files" / "b" / "lesion-1.nii.gz", array, pet.affine_ras)
    masks = by_name(draw(tmp_path, entries, [], ROIS, files=tmp_path / "files"))
    assert masks["ct/lesion-1"]["voxels"] == blob.sum()
    assert masks["pet/lesion-1"]["voxels"] == 8


def test_mask_that_fits_two_images_is_refused_unless_its_folder_tells(tmp_path, blob):
    entries = [image_entry(GRID, session=session) for session in ("s1", "s2")]
    save_nifti(tmp_path / "files" / "lesion-1.nii.gz", blob, AFFINE)
    save_nifti(tmp_path / "files" / "s2" / "lesion-2.nii.gz", blob, AFFINE)
    manifest = draw(tmp_path, entries, [], ROIS, files=tmp_path / "files")
    assert [(mask["session"], mask["lesion"]) for mask in manifest["masks"]] == [("s2", 2)]
    assert [(row["reason"], row["detail"]) for row in manifest["set_aside"]] == [
        ("mask_no_image", "fits several images: s1/ct, s2/ct")
    ]


# --- reading ---------------------------------------------------------------------------------------------------------


def test_lumbar_masks_in_posterior_inferior_right_order(shared_data, tmp_path):
    folder = shared_data("ct_with_bones/lumbar_1p5mm")
    _, grid = read_nifti(folder / "ct.nii.gz")
    labels, own = read_nifti(folder / "vertebrae.nii.gz")
    assert nib.aff2axcodes(own.affine_ras) == ("P", "I", "R")
    turned, affine = reordered(np.asarray(labels), own.affine_ras, (2, 0, 1), (-1, -1, -1))  # as another tool saves it
    save_nifti(
        tmp_path / "files" / "v.nii.gz",
        turned[:, 3:-3],
        affine @ np.array([[1, 0, 0, 0], [0, 1, 0, 3], [0, 0, 1, 0], [0, 0, 0, 1]]),
    )
    (tmp_path / "files" / "v.tsv").write_text("label\tname\n21\tL2\n22\tL3\n23\tL4\n")
    manifest = draw(
        tmp_path, [image_entry(grid)], [], {"l2": ["L2"], "l3": ["L3"], "l4": ["L4"]}, files=tmp_path / "files"
    )
    masks = by_name(manifest)
    assert masks["ct/l3-1"]["voxels"] == 17_698
    for roi, value in (("l2", 21), ("l3", 22), ("l4", 23)):
        kept = np.asarray(labels == value)
        if roi == "l3":
            np.testing.assert_array_equal(voxels_of(tmp_path, masks[f"ct/{roi}-1"]), kept)
        assert masks[f"ct/{roi}-1"]["flags"] == ["mask_reoriented"]


@pytest.mark.parametrize("space", ["right-anterior-superior", "left-posterior-superior", "LAS"])
@pytest.mark.parametrize("encoding", ["raw", "text"])
def test_nrrd_of_any_space_and_encoding(tmp_path, space, encoding):
    array = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    body = array.tobytes(order="F") if encoding == "raw" else " ".join(map(str, array.ravel(order="F"))).encode()
    header = (
        f"NRRD0004\n# comment: not a field\ntype: short\ndimension: 3\nspace: {space}\nsizes: 2 3 4\n"
        f"space directions: (1,0,0) (0,2,0) (0,0,3)\nendian: big\nencoding: {encoding}\nspace origin: (5, 6, 7)\n\n"
    )
    path = tmp_path / "x.nrrd"
    path.write_bytes(header.encode() + body)
    nrrd = read_nrrd(path)
    np.testing.assert_array_equal(nrrd.layers[0], array)
    signs = {"r": (1, 1), "l": (-1, -1), "L": (-1, 1)}[space[0]]
    np.testing.assert_array_equal(np.diag(nrrd.grid.affine_ras), [signs[0], 2 * signs[1], 3, 1])
    np.testing.assert_array_equal(nrrd.grid.affine_ras[:3, 3], [5 * signs[0], 6 * signs[1], 7])


def test_nrrd_agrees_with_another_reader(tmp_path, blob):
    save_itk(tmp_path / "x.nrrd", label_map(blob), AFFINE)
    nrrd = read_nrrd(tmp_path / "x.nrrd")
    image = SimpleITK.ReadImage(str(tmp_path / "x.nrrd"))
    np.testing.assert_array_equal(nrrd.layers[0], SimpleITK.GetArrayFromImage(image).T)
    for index in ((0, 0, 0), (3, 5, 2)):
        lps = np.array(image.TransformIndexToPhysicalPoint(index))
        np.testing.assert_allclose(nrrd.grid.affine_ras[:3] @ [*index, 1], lps * [-1, -1, 1], atol=1e-9)


def test_regions_of_one_value_have_no_number_of_their_own(tmp_path, blob):
    save_nifti(tmp_path / "met x.nii.gz", blob * 5, AFFINE)
    found = regions(read_mask_file(tmp_path / "met x.nii.gz"))
    assert [(region.value, region.name, region.number) for region in found] == [(5, "met x", None)]


def test_hidden_files_and_tables_are_no_masks(tmp_path, blob):
    for name in ("b/lesion-1.nii.gz", "a.nrrd", "labels.tsv", ".hidden.nii", "__MACOSX/._x"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    assert [path.relative_to(tmp_path).as_posix() for path in mask_paths(tmp_path)] == ["a.nrrd", "b/lesion-1.nii.gz"]


def test_volume_of_two_times_is_no_single_mask(tmp_path, blob):
    write_nifti(tmp_path / "lesion-1.nii.gz", np.stack([blob, blob], axis=-1), AFFINE)
    assert len(read_mask_file(tmp_path / "lesion-1.nii.gz").layers) == 2


def test_values_of_an_image_are_refused(tmp_path):
    write_nifti(tmp_path / "ct.nii.gz", np.arange(24_000, dtype=np.int32).reshape(20, 30, 40), AFFINE)
    with pytest.raises(SetAside) as refused:
        read_mask_file(tmp_path / "ct.nii.gz")
    assert refused.value.code == "mask_not_binary"
