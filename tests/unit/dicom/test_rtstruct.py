"""RTSTRUCT: what is drawn, what is skipped, what is refused. Every file here is made in code."""

from __future__ import annotations

import numpy as np
import pydicom
import pytest

from osteorad.dicom.rtstruct import contours_hash, draw_roi, lies_on_slices, read_rtstruct
from osteorad.errors import SetAside
from osteorad.images.volume import Grid
from tests.unit.dicom.mask_helpers import box, contour, ring, write_rtstruct

AFFINE = np.array([[-2.0, 0, 0, 30], [0, -2.0, 0, 40], [0, 0, 4.0, -100], [0, 0, 0, 1]])
GRID = Grid(shape=(20, 16, 8), affine_ras=AFFINE)


def only_roi(tmp_path, contours, **facts):
    return read_rtstruct(write_rtstruct(tmp_path / "rs.dcm", [(1, "L", contours)], **facts))[0]


def square(k: float, low: float = 3.5, high: float = 9.5) -> np.ndarray:
    return box(GRID, k, (low, low), (high, high))


def test_square_on_two_slices(tmp_path):
    drawn = draw_roi(only_roi(tmp_path, [contour(square(2)), contour(square(3))]), GRID)
    assert drawn.patch.start == (4, 4, 2)
    assert drawn.patch.array.shape == (6, 6, 2)
    assert drawn.patch.voxels == 72
    assert drawn.flags == ()


def test_rois_come_in_the_order_of_their_numbers(tmp_path):
    path = write_rtstruct(tmp_path / "rs.dcm", [(7, "c", []), (2, "a", []), (5, "b", [])])
    assert [(roi.number, roi.name) for roi in read_rtstruct(path)] == [(2, "a"), (5, "b"), (7, "c")]


@pytest.mark.parametrize("kind", ["CLOSED_PLANAR", "CLOSEDPLANAR_XOR"])
def test_second_contour_within_the_first_is_a_hole(tmp_path, kind):
    roi = only_roi(tmp_path, [contour(square(2), kind), contour(square(2, 5.5, 7.5), kind)])
    assert draw_roi(roi, GRID).patch.voxels == 36 - 4


@pytest.mark.parametrize(
    ("points", "kind"),
    [
        (square(2)[:1], "POINT"),
        (square(2), "OPEN_PLANAR"),
        (square(2), "OPEN_NONPLANAR"),
        (square(2)[:2], "CLOSED_PLANAR"),
    ],
)
def test_points_lines_and_open_contours_are_ignored_with_a_note(tmp_path, points, kind):
    roi = only_roi(tmp_path, [contour(points, kind), contour(square(3))])
    drawn = draw_roi(roi, GRID)
    assert drawn.patch.voxels == 36
    assert drawn.flags == ("contour_points_ignored",)


def test_roi_without_contour_is_empty(tmp_path):
    drawn = draw_roi(only_roi(tmp_path, []), GRID)
    assert drawn.patch.voxels == 0
    assert drawn.flags == ("roi_empty",)


def test_contour_that_holds_no_centre_is_empty(tmp_path):
    drawn = draw_roi(only_roi(tmp_path, [contour(square(2, 3.2, 3.8))]), GRID)
    assert drawn.flags == ("roi_empty",)


@pytest.mark.parametrize(("plane", "slice_"), [(2.49, 2), (2.51, 3), (2.5, 3), (-0.49, 0), (7.49, 7)])
def test_contour_goes_to_the_nearest_slice(tmp_path, plane, slice_):
    drawn = draw_roi(only_roi(tmp_path, [contour(square(plane))]), GRID)
    assert drawn.patch.start[2] == slice_
    assert drawn.patch.array.shape[2] == 1


def test_planes_halfway_between_slices_each_get_their_own_slice_despite_rounding(tmp_path):
    contours = [contour(square(k + 0.5 + noise)) for k, noise in enumerate((1e-5, -1e-5, 1e-5, -1e-5))]
    drawn = draw_roi(only_roi(tmp_path, contours), GRID)
    assert drawn.patch.array.sum(axis=(0, 1)).tolist() == [36, 36, 36, 36]
    assert drawn.flags == ()


def test_contours_of_a_finer_series_are_refused(tmp_path):
    """Planes of 1 mm on slices of 4 mm: exclusive-or of all planes of a slice would be a plausible wrong mask."""
    roi = only_roi(tmp_path, [contour(square(k / 4)) for k in range(20)])
    with pytest.raises(SetAside) as refused:
        draw_roi(roi, GRID)
    assert refused.value.code == "contour_off_grid"


def test_one_contour_between_many_is_skipped_with_a_flag(tmp_path):
    contours = [contour(square(k, 1.5 + part, 2.5 + part)) for k in range(8) for part in (0, 4, 8)]
    contours.append(contour(square(3.3, 11.5, 14.5)))
    drawn = draw_roi(only_roi(tmp_path, contours), GRID)
    assert drawn.patch.voxels == 24
    assert drawn.flags == ("contour_skipped",)


def test_pieces_of_one_plane_are_all_drawn_even_with_rounded_positions(tmp_path):
    contours = [contour(square(3.001, 1.5, 3.5)), contour(square(2.999, 7.5, 9.5))]
    assert draw_roi(only_roi(tmp_path, contours), GRID).patch.voxels == 8


def test_slice_without_contour_is_not_filled_but_flagged(tmp_path):
    drawn = draw_roi(only_roi(tmp_path, [contour(square(2)), contour(square(4))]), GRID)
    assert drawn.patch.array.sum(axis=(0, 1)).tolist() == [36, 0, 36]
    assert drawn.flags == ("contour_gap",)


def test_part_beside_or_beyond_the_image_is_cut_off_with_a_flag(tmp_path):
    beside = draw_roi(only_roi(tmp_path, [contour(square(2, -3.5, 3.5))]), GRID)
    assert (beside.patch.voxels, beside.flags) == (16, ("contour_clipped",))
    beyond = draw_roi(only_roi(tmp_path, [contour(square(7)), contour(square(8))]), GRID)
    assert (beyond.patch.voxels, beyond.flags) == (36, ("contour_clipped",))


def test_contour_on_the_very_edge_of_the_image_is_not_cut(tmp_path):
    edge = box(GRID, 2, (-0.5, -0.5), (19.5, 15.5))
    drawn = draw_roi(only_roi(tmp_path, [contour(edge)]), GRID)
    assert (drawn.patch.voxels, drawn.flags) == (320, ())


@pytest.mark.parametrize("points", [square(2, 40, 50), square(2, -50, -40), square(30), square(-9)])
def test_roi_wholly_outside_is_refused(tmp_path, points):
    with pytest.raises(SetAside) as refused:
        draw_roi(only_roi(tmp_path, [contour(points)]), GRID)
    assert refused.value.code == "roi_outside_image"


def test_contour_across_slices_is_refused(tmp_path):
    tilted = square(2) + np.array([[0, 0, 0.0], [0, 0, 0], [0, 0, 3.0], [0, 0, 3.0]])
    with pytest.raises(SetAside) as refused:
        draw_roi(only_roi(tmp_path, [contour(tilted)]), GRID)
    assert refused.value.code == "contour_oblique"


@pytest.mark.parametrize("turn_deg", [7.0, 33.0])
def test_ball_on_oblique_sheared_slices_has_its_volume(tmp_path, turn_deg):
    """A ball drawn as circles on oblique, sheared, flipped slices, through decimal strings: closed-form volume."""
    turn = np.deg2rad(turn_deg)
    rotation = np.array([[np.cos(turn), -np.sin(turn), 0], [np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    rotation = rotation @ np.array([[1, 0, 0], [0, np.cos(turn), -np.sin(turn)], [0, np.sin(turn), np.cos(turn)]])
    affine = np.eye(4)
    affine[:3, :3] = rotation @ np.array([[-0.7, 0, 0], [0, -0.7, 0.3], [0, 0, -1.0]])
    affine[:3, 3] = (12.5, -40.25, 7.0)
    grid = Grid(shape=(80, 90, 40), affine_ras=affine)
    radius = 15.2
    circles = []
    for k in range(40):
        offset = k - 20.0
        if abs(offset) < radius:
            # the centres of the circles lie on the normal, so in-plane indices move against the shear
            middle = (40.2, 45.1 + offset * 0.3 / 0.7)
            circles.append(contour(ring(grid, k, middle, float(np.sqrt(radius**2 - offset**2)), points=200)))
    drawn = draw_roi(only_roi(tmp_path, circles), grid)
    volume = drawn.patch.voxels * grid.voxel_ml * 1000
    assert drawn.flags == ()
    assert volume == pytest.approx(4 / 3 * np.pi * radius**3, rel=0.01)


def test_slices_of_another_image_are_told_apart(tmp_path):
    roi = only_roi(tmp_path, [contour(square(k)) for k in (2, 3)])
    shifted = AFFINE.copy()
    shifted[2, 3] += 1.2
    assert lies_on_slices(roi, GRID)
    assert not lies_on_slices(roi, Grid(shape=GRID.shape, affine_ras=shifted))


# --- what the object says --------------------------------------------------------------------------------------------


def test_series_is_the_one_that_lists_the_contours_images(tmp_path):
    series = {"2.25.1001": ["2.25.1", "2.25.2"], "2.25.2001": ["2.25.3", "2.25.4"]}
    roi = only_roi(tmp_path, [contour(square(2), sop_uid="2.25.3")], series=series)
    assert roi.source.series_uid == "2.25.2001"
    assert roi.source.modality == "CT"
    assert roi.source.frame_of_reference == "2.25.1002"


def test_series_is_unknown_where_two_are_named_and_no_contour_tells(tmp_path):
    assert only_roi(tmp_path, [contour(square(2))], series={"2.25.1": [], "2.25.2": []}).source.series_uid == ""


def test_only_series_named_is_taken_without_references_of_contours(tmp_path):
    assert only_roi(tmp_path, [contour(square(2))]).source.series_uid == "2.25.1001"


def test_file_that_is_no_structure_set_is_refused(tmp_path):
    path = tmp_path / "x.dcm"
    path.write_bytes(b"nothing of the kind" * 20)
    with pytest.raises(SetAside) as refused:
        read_rtstruct(path)
    assert refused.value.code == "rtstruct_unreadable"
    with pytest.raises(SetAside):
        read_rtstruct(write_rtstruct(tmp_path / "empty.dcm", []))


def test_truncated_file_is_refused_or_gives_the_whole_contour(tmp_path):
    whole = write_rtstruct(tmp_path / "rs.dcm", [(1, "L", [contour(square(k)) for k in (2, 3)])]).read_bytes()
    outcomes = []
    for length in range(140, len(whole), 7):
        (tmp_path / "cut.dcm").write_bytes(whole[:length])
        try:
            outcomes.append(draw_roi(read_rtstruct(tmp_path / "cut.dcm")[0], GRID).patch.voxels)
        except SetAside as refused:
            outcomes.append(refused.code)
    assert set(outcomes) <= {"rtstruct_unreadable", 72}
    assert outcomes.count("rtstruct_unreadable") > 50


@pytest.mark.parametrize("numbers", [["1", "2"], ["1", "2", "x"], ["1", "2", "nan"]])
def test_unusable_numbers_spoil_their_own_roi_only(tmp_path, numbers):
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "a", [contour(square(2))]), (2, "b", [contour(square(2))])])
    dataset = pydicom.dcmread(path)
    with pydicom.config.disable_value_validation():
        raw = "\\".join(numbers).encode()
        element = pydicom.dataelem.RawDataElement(
            pydicom.tag.Tag("ContourData"), "DS", len(raw), raw, 0, False, True, True
        )
        dataset.ROIContourSequence[0].ContourSequence[0]._dict[pydicom.tag.Tag("ContourData")] = element
        dataset.save_as(path)
    first, second = read_rtstruct(path)
    with pytest.raises(SetAside) as refused:
        draw_roi(first, GRID)
    assert refused.value.code == "rtstruct_unreadable"
    assert draw_roi(second, GRID).patch.voxels == 36


def test_infinite_roi_numbers_are_refused(tmp_path):
    path = write_rtstruct(tmp_path / "rs.dcm", [(1, "a", [contour(square(2))])])
    dataset = pydicom.dcmread(path)
    tag = pydicom.tag.Tag("ROINumber")
    raw = pydicom.dataelem.RawDataElement(tag, "IS", 4, b"inf ", 0, False, True, True)
    dataset.StructureSetROISequence[0]._dict[tag] = raw
    dataset.save_as(path)
    with pytest.raises(SetAside) as refused:
        read_rtstruct(path)
    assert refused.value.code == "rtstruct_unreadable"


def test_hash_tells_contours_apart_and_forgets_the_object(tmp_path):
    one = only_roi(tmp_path / "a", [contour(square(2))])
    same = only_roi(tmp_path / "b", [contour(square(2))], series_uid="2.25.78")
    other = only_roi(tmp_path / "c", [contour(square(2, 3.5, 9.6))])
    assert contours_hash(one) == contours_hash(same)
    assert contours_hash(one) != contours_hash(other)
