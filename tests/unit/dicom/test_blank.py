"""Slices of air, and contours, segmentations and masks without what lies above the neck."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osteorad.dicom.blank import blanked, cut_segmentation
from osteorad.dicom.elements import EXPLICIT, PIXEL_DATA, DicomFile, Element, read_file
from osteorad.dicom.encode import file_bytes
from osteorad.dicom.head import NOTHING_KNOWN, Judged
from osteorad.dicom.seg import draw_segment, read_seg
from osteorad.errors import SetAside
from osteorad.images.volume import Grid, write_nifti
from tests.unit.dicom.mask_helpers import by_name, draw, image_entry, voxels_of, write_seg

GRID = Grid(shape=(13, 11, 8), affine_ras=np.diag([-2.0, -2.0, 5.0, 1.0]))  # slices at 0, 5, ... 35 mm
NECK = Judged(state="shown", plane_mm=16.0, clear_to_mm=16.0, why="")  # slices 0 to 3 stay


@pytest.mark.parametrize(
    ("bits", "stored", "signed", "intercept", "want"),
    [(16, 16, 1, 0, -1024), (16, 12, 0, -1024, 0), (16, 12, 1, 0, -1024), (16, 16, 0, 0, 0), (8, 8, 0, -1000, 0)],
)
def test_air_is_written_as_the_header_wants_it(bits, stored, signed, intercept, want):
    elements = [
        short(0x00280010, 3),
        short(0x00280011, 5),
        short(0x00280100, bits),
        short(0x00280101, stored),
        short(0x00280102, stored - 1),
        short(0x00280103, signed),
        Element(0x00281052, "DS", str(intercept).encode()),
        Element(0x00281053, "DS", b"1"),
        Element(PIXEL_DATA, "OW", bytes(15 * bits // 8)),
    ]
    pixels = blanked(DicomFile(elements=elements), "CT").elements[-1].value
    values = np.frombuffer(pixels, dtype=f"<{'i' if signed else 'u'}{bits // 8}")
    assert values.tolist() == [want] * 15


def short(tag: int, value: int) -> Element:
    return Element(tag, "US", value.to_bytes(2, "little"))


@pytest.mark.parametrize(
    ("rows", "slope", "intercept"),
    [(3, b"nan", b"0"), (3, b"1", b"inf"), (3, b"1e-320", b"0"), (0, b"1", b"0"), (65535, b"1", b"0")],
)
def test_a_slice_whose_header_is_damaged_is_set_aside(rows, slope, intercept):
    sizes = {0x00280010: rows, 0x00280011: rows, 0x00280100: 16, 0x00280101: 16, 0x00280102: 15, 0x00280103: 1}
    elements = [short(tag, value) for tag, value in sizes.items()]
    elements += [Element(0x00281052, "DS", intercept), Element(0x00281053, "DS", slope)]
    elements.append(Element(PIXEL_DATA, "OW", bytes(18)))
    with pytest.raises(SetAside) as told:
        blanked(DicomFile(elements=elements), "CT")
    assert told.value.code == "head_shown"


def blob(seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(GRID.shape) < 0.4).astype(np.uint8)


def without_head(path: Path, judged: Judged = NECK, setting: str = "blank") -> tuple[Path, dict[int, int]]:
    """A SEG after the cut, written again; and what its segments lost."""
    file = read_file(path)
    cut = cut_segmentation(file, lambda uid: judged, setting)
    content = file_bytes(
        cut.elements,
        syntax=EXPLICIT,
        sop_class="1.2.840.10008.5.1.4.1.1.66.4",
        sop_uid="2.25.9",
        writer=("2.25.1", "T"),
    )
    out = path.with_name("cut.dcm")
    out.write_bytes(content)
    return out, cut.lost


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_frames_above_the_neck_hold_nothing(tmp_path, kind, sparse):
    one, two = blob(1), blob(2)
    two[one > 0] = 0
    two[:, :, 4:] = 0  # this one ends below the neck
    path = write_seg(tmp_path / "a.dcm", {1: ("a", one), 2: ("b", two)}, GRID, kind=kind, sparse=sparse)
    cut, lost = without_head(path)
    assert lost == {1: 4}
    for segment, array in ((1, one), (2, two)):
        left = draw_segment(read_seg(cut), segment, GRID).patch.on(GRID).array
        np.testing.assert_array_equal(left[:, :, :4], array[:, :, :4])
        assert not left[:, :, 4:].any()


def test_the_background_of_a_label_map_is_no_segment(tmp_path):
    path = write_seg(
        tmp_path / "a.dcm", {1: ("a", blob(1)), 5: ("x", 0 * blob(1))}, GRID, kind="LABELMAP", padding=5, sparse=False
    )
    cut, lost = without_head(path)
    assert lost == {1: 4}
    assert not draw_segment(read_seg(cut), 1, GRID).patch.on(GRID).array[:, :, 4:].any()


def test_a_segmentation_below_the_neck_keeps_its_elements(tmp_path):
    path = write_seg(tmp_path / "a.dcm", {1: ("a", blob(1))}, GRID)
    high = Judged(state="shown", plane_mm=40.0, clear_to_mm=40.0, why="")
    cut = cut_segmentation(read_file(path), lambda uid: high, "blank")
    assert (cut.elements, cut.lost) == (read_file(path).elements, {})


@pytest.mark.parametrize(
    ("judged", "setting", "code"),
    [
        (NECK, "quarantine", "head_shown"),
        (NOTHING_KNOWN, "blank", "head_unknown"),
        (Judged(state="shown", plane_mm=None, clear_to_mm=None, why=""), "blank", "head_shown"),
    ],
)
def test_a_segmentation_that_cannot_be_cut_goes(tmp_path, judged, setting, code):
    path = write_seg(tmp_path / "a.dcm", {1: ("a", blob(1))}, GRID)
    with pytest.raises(SetAside) as told:
        without_head(path, judged, setting)
    assert told.value.code == code


@pytest.mark.parametrize("pixels", [None, b"odd"])
def test_a_damaged_segmentation_above_the_neck_goes(tmp_path, pixels):
    path = write_seg(tmp_path / "a.dcm", {1: ("a", blob(1))}, GRID, kind="LABELMAP", sparse=False)
    file = read_file(path)
    file.elements = [e for e in file.elements if e.tag != PIXEL_DATA and e.tag != 0x00280100] + [short(0x00280100, 16)]
    file.elements += [Element(PIXEL_DATA, "OW", pixels)] if pixels else []
    with pytest.raises(SetAside, match="compressed or damaged"):
        cut_segmentation(file, lambda uid: NECK, "blank")


def test_a_frame_on_both_sides_of_the_neck_goes(tmp_path):
    coronal = Grid(shape=(13, 8, 11), affine_ras=GRID.affine_ras[:, [0, 2, 1, 3]])
    path = write_seg(tmp_path / "a.dcm", {1: ("a", np.swapaxes(blob(1), 1, 2))}, coronal)
    with pytest.raises(SetAside, match="both sides of the neck"):
        without_head(path)


def test_mask_files_are_cut_with_their_image(tmp_path):
    array = blob(3)
    top = np.zeros_like(array)
    top[:, :, 6] = array[:, :, 6]
    for name, voxels in (("body-1", array), ("body-2", top)):
        (tmp_path / "files").mkdir(exist_ok=True)
        write_nifti(tmp_path / "files" / f"{name}.nii.gz", voxels, GRID.affine_ras)
    for plane, flags in ((16.0, ["contour_above_neck"]), (None, [])):
        entry = image_entry(GRID, head_plane_mm=plane)
        told = by_name(draw(tmp_path, [entry], [], {"body": ["body*"]}, files=tmp_path / "files"))
        left = voxels_of(tmp_path, told["ct/body-1"])
        np.testing.assert_array_equal(left[:, :, :4], array[:, :, :4])
        assert left[:, :, 4:].any() == (plane is None)
        assert told["ct/body-1"]["flags"] == flags
        assert told["ct/body-2"]["flags"] == sorted([*flags, *(["roi_empty"] if flags else [])])
