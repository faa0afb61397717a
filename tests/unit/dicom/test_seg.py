"""DICOM SEG made in code: kinds, sparse planes, axis orders, other grids, and what is refused."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from osteorad.dicom.seg import draw_segment, fits_grid, read_seg
from osteorad.errors import SetAside
from osteorad.images.volume import Grid
from tests.unit.dicom.mask_helpers import write_seg

TURN = np.deg2rad(12.0)
OBLIQUE = np.array([[np.cos(TURN), -np.sin(TURN), 0], [np.sin(TURN), np.cos(TURN), 0], [0, 0, 1]])


def grid_of(axes: np.ndarray, shape: tuple[int, int, int] = (13, 11, 7)) -> Grid:
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = (21.5, -33.25, 400.0)
    return Grid(shape=shape, affine_ras=affine)


GRID = grid_of(np.diag([-1.5, -2.0, 3.0]))


def blob(seed: int = 1, shape: tuple[int, int, int] = GRID.shape) -> np.ndarray:
    """Random voxels, with empty planes at both ends."""
    array = (np.random.default_rng(seed).random(shape) < 0.4).astype(np.uint8)
    array[:, :, [0, 1, -1]] = 0
    return array


def drawn(path, grid=GRID, segment=1, **facts) -> np.ndarray:
    return draw_segment(read_seg(path), segment, grid, **facts).patch.on(grid).array


@pytest.mark.parametrize("sparse", [True, False])
@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_every_kind_gives_its_voxels_back(tmp_path, kind, sparse):
    array = blob()
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", array)}, GRID, kind=kind, sparse=sparse)
    np.testing.assert_array_equal(drawn(path), array)


@pytest.mark.parametrize(
    "axes",
    [
        np.diag([1.5, -2.0, -3.0]),
        OBLIQUE @ np.diag([-1.5, -2.0, 3.0]),
        OBLIQUE[:, [1, 2, 0]] @ np.diag([1.5, 2.0, 3.0]),
    ],
    ids=["flipped", "oblique", "sagittal"],
)
def test_any_orientation_gives_its_voxels_back(tmp_path, axes):
    grid = grid_of(axes)
    array = blob(2)
    np.testing.assert_array_equal(drawn(write_seg(tmp_path / "seg.dcm", {1: ("a", array)}, grid), grid), array)


def test_frames_in_another_plane_than_the_image_lie_on_the_same_voxels(tmp_path):
    """A SEG whose frames are coronal planes of an axial image, and run backwards."""
    array = blob(3)
    affine = GRID.affine_ras[:, [0, 2, 1, 3]].copy()
    affine[:3, 3] += GRID.affine_ras[:3, 1] * (GRID.shape[1] - 1)
    affine[:3, 2] *= -1
    turned = Grid(shape=(13, 7, 11), affine_ras=affine)
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", np.swapaxes(array, 1, 2)[:, :, ::-1])}, turned)
    np.testing.assert_array_equal(drawn(path), array)


def test_half_of_the_fraction_counts_as_inside(tmp_path):
    fraction = np.zeros(GRID.shape)
    fraction[3, 4, 2:5] = (0.495, 0.5, 0.505)
    array = drawn(write_seg(tmp_path / "seg.dcm", {1: ("a", fraction)}, GRID, kind="FRACTIONAL"))
    assert np.argwhere(array).tolist() == [[3, 4, 3], [3, 4, 4]]


def test_padding_of_a_labelmap_is_background(tmp_path):
    array = blob(4)
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", array), 5: ("x", 0 * array)}, GRID, kind="LABELMAP", padding=5)
    seg = read_seg(path)
    assert seg.segments == ((1, "a"),)
    np.testing.assert_array_equal(drawn(path), array)


def test_segments_that_overlap_stay_whole(tmp_path):
    one, two = blob(5), blob(6)
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", one), 2: ("b", two)}, GRID)
    np.testing.assert_array_equal(drawn(path, segment=1), one)
    np.testing.assert_array_equal(drawn(path, segment=2), two)


def test_segment_without_frame_is_empty(tmp_path):
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", blob()), 2: ("b", np.zeros(GRID.shape))}, GRID)
    assert draw_segment(read_seg(path), 2, GRID).flags == ("roi_empty",)


def test_position_that_misses_its_slice_by_rounding_is_mended_by_the_source_image(tmp_path):
    """Half a millimetre off on slices of 3 mm: placed by the instance it was derived from, refused as such without."""
    off = GRID.affine_ras.copy()
    off[2, 3] += 0.5
    uids = [f"2.25.5{k}" for k in range(7)]
    array = blob(7)
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", array)}, Grid(shape=GRID.shape, affine_ras=off), source_uids=uids)
    by_uid = draw_segment(read_seg(path), 1, GRID, uids)
    assert by_uid.flags == ()
    np.testing.assert_array_equal(by_uid.patch.on(GRID).array, array)
    assert draw_segment(read_seg(path), 1, GRID).flags == ("seg_resampled",)


def test_finer_grid_is_brought_over_by_nearest_neighbour_and_flagged(tmp_path):
    fine_affine = GRID.affine_ras @ np.diag([0.5, 0.5, 1.0, 1.0])
    fine_affine[:3, 3] -= GRID.affine_ras[:3, :3] @ [0.25, 0.25, 0.0]
    fine = Grid(shape=(26, 22, 7), affine_ras=fine_affine)
    array = blob(8)
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", np.repeat(np.repeat(array, 2, axis=0), 2, axis=1))}, fine)
    result = draw_segment(read_seg(path), 1, GRID)
    assert result.flags == ("seg_resampled",)
    assert not fits_grid(read_seg(path), GRID)
    np.testing.assert_array_equal(result.patch.on(GRID).array, array)


def test_sparse_planes_of_another_grid_keep_their_distance(tmp_path):
    shifted = GRID.affine_ras.copy()
    shifted[:3, 3] += GRID.affine_ras[:3, :3] @ [0.4, -0.3, 0.2]
    array = np.zeros(GRID.shape, dtype=np.uint8)
    array[4:8, 3:7, [1, 4]] = 1
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", array)}, Grid(shape=GRID.shape, affine_ras=shifted))
    result = draw_segment(read_seg(path), 1, GRID)
    assert result.flags == ("seg_resampled",)
    np.testing.assert_array_equal(result.patch.on(GRID).array, array)


def test_part_outside_the_image_is_cut_off_and_all_outside_is_refused(tmp_path):
    array = blob(9)
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", array)}, GRID)
    smaller = Grid(shape=(13, 11, 4), affine_ras=GRID.affine_ras)
    result = draw_segment(read_seg(path), 1, smaller)
    assert result.flags == ("contour_clipped",)
    np.testing.assert_array_equal(result.patch.on(smaller).array, array[:, :, :4])
    away = GRID.affine_ras.copy()
    away[:3, 3] -= GRID.affine_ras[:3, 2] * 50
    with pytest.raises(SetAside) as refused:
        draw_segment(read_seg(path), 1, Grid(shape=GRID.shape, affine_ras=away))
    assert refused.value.code == "roi_outside_image"


@pytest.mark.parametrize("width", [8, 13, 16])
@pytest.mark.parametrize("height", [3, 5])
def test_bits_of_frames_that_do_not_fill_bytes_are_told_apart(tmp_path, width, height):
    grid = grid_of(np.diag([-1.0, -1.0, 2.0]), (width, height, 9))
    array = blob(10, grid.shape)
    np.testing.assert_array_equal(drawn(write_seg(tmp_path / "seg.dcm", {1: ("a", array)}, grid), grid), array)


def test_truncated_file_is_refused(tmp_path):
    whole = write_seg(tmp_path / "seg.dcm", {1: ("a", blob())}, GRID).read_bytes()
    for length in (100, 400, len(whole) // 2, len(whole) - 2):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        with pytest.raises(SetAside) as refused:
            draw_segment(read_seg(tmp_path / "cut.dcm"), 1, GRID)
        assert refused.value.code == "segmentation_unreadable"


@pytest.mark.parametrize("lost", ["SegmentSequence", "PerFrameFunctionalGroupsSequence", "SegmentationType", "Rows"])
def test_object_without_what_it_needs_is_refused(tmp_path, lost):
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", blob())}, GRID)
    dataset = pydicom.dcmread(path)
    delattr(dataset, lost)
    dataset.save_as(path)
    with pytest.raises(SetAside) as refused:
        draw_segment(read_seg(path), 1, GRID)
    assert refused.value.code == "segmentation_unreadable"


@pytest.mark.parametrize(
    ("keyword", "vr", "value"),
    [("NumberOfFrames", "IS", b"inf "), ("Rows", "US", b"abc"), ("Rows", "US", b""), ("BitsAllocated", "US", b"\x07")],
)
def test_values_that_are_none_are_refused(tmp_path, keyword, vr, value):
    path = write_seg(tmp_path / "seg.dcm", {1: ("a", blob())}, GRID)
    dataset = pydicom.dcmread(path)
    tag = pydicom.tag.Tag(keyword)
    dataset._dict[tag] = pydicom.dataelem.RawDataElement(tag, vr, len(value), value, 0, False, True, True)
    dataset.save_as(path)
    with pytest.raises(SetAside) as refused:
        draw_segment(read_seg(path), 1, GRID)
    assert refused.value.code == "segmentation_unreadable"


@pytest.mark.parametrize("kind", ["BINARY", "LABELMAP"])
def test_seg_written_by_highdicom_gives_its_voxels_back(tmp_path, kind):
    import highdicom as hd

    array = blob(11)
    sources = []
    for k in range(GRID.shape[2]):
        source = pydicom.Dataset()
        source.file_meta = pydicom.dataset.FileMetaDataset()
        source.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        source.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
        source.SOPInstanceUID = f"2.25.3{k}"
        source.StudyInstanceUID, source.SeriesInstanceUID, source.FrameOfReferenceUID = "2.25.1", "2.25.2", "2.25.4"
        for name in ("PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber"):
            setattr(source, name, "")
        source.StudyDate, source.StudyTime, source.ReferringPhysicianName = "20200101", "120000", ""
        source.Modality = "CT"
        source.Columns, source.Rows, source.PixelSpacing = *GRID.shape[:2], [2.0, 1.5]
        source.SliceThickness = 3.0
        source.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
        source.ImagePositionPatient = list((GRID.affine_ras[:3] @ [0, 0, k, 1]) * [-1, -1, 1])
        sources.append(source)
    description = hd.seg.SegmentDescription(
        segment_number=1,
        segment_label="lesion",
        segmented_property_category=pydicom.sr.codedict.codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=pydicom.sr.codedict.codes.SCT.Lesion,
        algorithm_type=hd.seg.SegmentAlgorithmTypeValues.MANUAL,
    )
    hd.seg.Segmentation(
        source_images=sources,
        pixel_array=np.moveaxis(array, 2, 0).swapaxes(1, 2),
        segmentation_type=kind,
        segment_descriptions=[description],
        series_instance_uid="2.25.9",
        series_number=1,
        sop_instance_uid="2.25.10",
        instance_number=1,
        manufacturer="x",
        manufacturer_model_name="x",
        software_versions="1",
        device_serial_number="1",
    ).save_as(tmp_path / "seg.dcm")
    seg = read_seg(tmp_path / "seg.dcm")
    assert seg.segments == ((1, "lesion"),)
    assert seg.source.series_uid == "2.25.2"
    np.testing.assert_array_equal(drawn(tmp_path / "seg.dcm"), array)
