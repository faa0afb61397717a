"""Geometry of stacks: affines, gaps, places, tilt."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from osteorad.dicom.headers import Frame, frames_of, read_frames
from osteorad.dicom.pixels import read_plane
from osteorad.dicom.stack import build_stack, refuse_gaps, split_stacks
from osteorad.dicom.tilt import straighten
from osteorad.dicom.volume import convert_ct
from osteorad.errors import SetAside
from tests.unit.dicom.dicom_build import body, ct_series

angle = st.floats(-np.pi, np.pi)
length = st.floats(0.3, 6.0)


def turn(a: float, b: float, c: float) -> np.ndarray:
    """A rotation from three angles."""
    (ca, sa), (cb, sb), (cc, sc) = ((np.cos(v), np.sin(v)) for v in (a, b, c))
    one = np.array([[ca, -sa, 0], [sa, ca, 0], [0, 0, 1]])
    two = np.array([[cb, 0, sb], [0, 1, 0], [-sb, 0, cb]])
    three = np.array([[1, 0, 0], [0, cc, -sc], [0, sc, cc]])
    return one @ two @ three


def planes(
    rotation: np.ndarray, spacing: tuple[float, float], step: np.ndarray, count: int, origin: np.ndarray
) -> list[Frame]:
    """Frames of a stack, in an order that is not that of their positions."""
    frames = []
    for k in range(count):
        ds = Dataset()
        ds.Modality, ds.Rows, ds.Columns = "CT", 7, 9
        ds.ImageOrientationPatient = [f"{v:.12f}"[:16] for v in (*rotation[:, 0], *rotation[:, 1])]
        ds.ImagePositionPatient = [f"{v:.10f}"[:16] for v in origin + k * step]
        ds.PixelSpacing = [f"{v:.12f}"[:16] for v in spacing]
        frames.extend(frames_of(ds, Path(f"{(k * 7) % count:03d}")))
    return frames


@settings(max_examples=60, deadline=None)
@given(angle, angle, angle, length, length, length, st.integers(3, 12), st.floats(-300, 300))
def test_affine_puts_every_voxel_where_the_standard_does(a, b, c, between_rows, between_columns, gap, count, shift):
    """PS3.3 equation C.7.6.2.1-1: position + column index x row direction x spacing of columns + ..."""
    rotation = turn(a, b, c)
    origin = np.array([shift, -shift / 2, 17.0])
    frames = planes(rotation, (between_rows, between_columns), gap * rotation[:, 2], count, origin)
    stack = build_stack(frames)
    assert stack.shape == (9, 7, count)
    assert stack.tilt_deg < 0.01
    for i, j, k in ((0, 0, 0), (8, 0, 0), (0, 6, 0), (3, 5, count - 1)):
        lps = (
            origin + rotation[:, 0] * between_columns * i + rotation[:, 1] * between_rows * j + rotation[:, 2] * gap * k
        )
        np.testing.assert_allclose(stack.affine_ras @ [i, j, k, 1], [-lps[0], -lps[1], lps[2], 1], atol=1e-5)
    # and back: every frame of the stack is the one that lies there
    for k, frame in enumerate(stack.frames):
        np.testing.assert_allclose(np.array(frame.position), origin + k * gap * rotation[:, 2], atol=1e-6)
    assert np.linalg.det(stack.affine_ras[:3, :3]) > 0


@settings(max_examples=30, deadline=None)
@given(angle, angle, angle, st.floats(1.0, 30.0), st.floats(0, 2 * np.pi), st.integers(3, 8))
def test_tilted_stack_keeps_its_values_in_their_places(a, b, c, tilt_deg, where, count):
    """A ramp over the room, sampled on the sheared grid and straightened, is the same ramp."""
    rotation = turn(a, b, c)
    tilt = np.radians(tilt_deg)
    side = np.cos(where) * rotation[:, 0] + np.sin(where) * rotation[:, 1]
    step = 4.0 * (np.cos(tilt) * rotation[:, 2] + np.sin(tilt) * side)
    stack = build_stack(planes(rotation, (1.5, 1.0), step, count, np.zeros(3)))
    assert stack.tilt_deg == pytest.approx(tilt_deg, abs=1e-3)
    slope = np.array([1.0, 2.0, -0.5])
    i, j, k = np.meshgrid(np.arange(9), np.arange(7), np.arange(count), indexing="ij")
    points = np.stack([i, j, k, np.ones_like(i)], -1) @ stack.affine_ras.T
    ramp = (points[..., :3] @ slope).transpose(2, 1, 0)
    out, affine = straighten(ramp, stack, -1e6)
    i, j, k = np.meshgrid(*(np.arange(n) for n in out.shape[::-1]), indexing="ij")
    truth = ((np.stack([i, j, k, np.ones_like(i)], -1) @ affine.T)[..., :3] @ slope).transpose(2, 1, 0)
    held = out > -1e5
    assert held.sum() >= count * 6 * 8  # at most one line a side is lost between two voxels
    np.testing.assert_allclose(out[held], truth[held], atol=1e-2)
    axes = affine[:3, :3] / np.linalg.norm(affine[:3, :3], axis=0)
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-6)


def test_whole_steps_are_shifted_without_blending(tmp_path):
    """Where the shift is a whole number of voxels, values stay as they are."""
    rotation = np.eye(3)
    stack = build_stack(planes(rotation, (1.0, 1.0), np.array([0.0, 2.0, 4.0]), 3, np.zeros(3)))
    values = np.arange(3 * 7 * 9, dtype=np.int16).reshape(3, 7, 9)
    out, _ = straighten(values, stack, -1024)
    assert out.shape == (3, 11, 9)
    for k in range(3):
        np.testing.assert_array_equal(out[k, 2 * k : 2 * k + 7], values[k])
        assert np.all(np.delete(out[k], np.s_[2 * k : 2 * k + 7], axis=0) == -1024)


@pytest.mark.parametrize(
    ("gaps", "code"),
    [
        ([3.0, 3.0, 3.0], None),
        ([3.0, 3.029, 2.971], None),  # 1 % of the usual gap
        ([0.5, 0.509, 0.5], None),  # 0.01 mm
        ([3.0, 3.04, 3.0], "uneven_spacing"),
        ([5.0, 5.0, 10.0], "missing_slices"),
        ([5.0, 10.0], "missing_slices"),
        ([5.0, 15.0, 5.0, 5.0], "missing_slices"),
        ([3.0, 3.0, 4.5, 3.0], "uneven_spacing"),
        ([3.0, 3.0, 3.0, 1.0], "uneven_spacing"),
    ],
)
def test_gaps(gaps, code):
    if code is None:
        refuse_gaps(np.array(gaps))
        return
    with pytest.raises(SetAside) as caught:
        refuse_gaps(np.array(gaps))
    assert caught.value.code == code


def test_enhanced_ct_geometry_and_values(shared_data):
    """Two frames, IOP (-1,0,0,0,1,0): the normal points down, so frame z -149 comes first."""
    frames = read_frames(shared_data("ingest/enhanced/ect_supplemental_crop64.dcm"))
    assert [frame.position[2] for frame in frames] == [-159.0, -149.0]
    assert all((frame.slope, frame.intercept) == (1.0, -1024.0) for frame in frames)
    assert "PERFUSION" in frames[0].image_type
    with pytest.raises(SetAside, match="too_few_slices"):
        build_stack(frames)
    first, second = (read_plane(frame).values for frame in frames)
    assert first.shape == (64, 64)
    assert not np.array_equal(first, second)


def test_descending_normal_keeps_the_determinant_positive(tmp_path):
    ct_series(tmp_path, row=(-1, 0, 0), column=(0, 1, 0), step=(0, 0, -3.0))
    frames = [frame for path in sorted(tmp_path.iterdir()) for frame in read_frames(path)]
    converted = convert_ct(build_stack(frames))
    assert np.linalg.det(converted.volume.grid.affine_ras[:3, :3]) > 0
    np.testing.assert_array_equal(converted.volume.array.transpose(2, 1, 0), body())


def test_split_by_everything_that_a_volume_shares(tmp_path):
    base = planes(np.eye(3), (1.0, 1.0), np.array([0, 0, 2.0]), 3, np.zeros(3))
    other = planes(turn(0, 0, 0.1), (1.0, 1.0), np.array([0, 0, 2.0]), 3, np.zeros(3))
    nearly = planes(turn(0, 0, 1e-4), (1.0, 1.0), np.array([0, 0, 2.0]), 2, np.array([0, 0, 6.0]))
    wide = planes(np.eye(3), (1.0, 1.1), np.array([0, 0, 2.0]), 4, np.zeros(3))
    assert [len(stack) for stack in split_stacks([*base, *other, *nearly, *wide])] == [5, 4, 3]
