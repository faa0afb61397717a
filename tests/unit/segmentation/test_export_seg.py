"""DICOM SEG of masks: other readers find the voxels, whatever order and geometry the sources have, or it is refused."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import highdicom
import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from pydicom.dataset import Dataset

from osteorad.dicom.seg import draw_segment, read_seg
from osteorad.images.lattice import trimmed
from osteorad.images.volume import Grid, Patch
from osteorad.segmentation import seg_object as writer
from osteorad.segmentation.export_seg import Drawn, Exported, Origin, export_image
from osteorad.segmentation.seg_check import SegDiffersError, check_seg
from osteorad.segmentation.seg_object import uid_of
from osteorad.segmentation.seg_pixels import packed
from osteorad.segmentation.seg_source import SourceSeries, read_series
from tests.unit.dicom.dicom_build import ct_series
from tests.unit.dicom.mask_helpers import grid_of_slices

SHAPE = (20, 24, 6)  # columns, rows, slices of `dicom_build.body`
ORIGIN = Origin(
    cohort="c", analysis="a", network="net", repeat=1, fold=2, patient="p0123", session="s1", image="ct",
    role="external", members=("i1", "i2"),
)  # fmt: skip
TURN = np.deg2rad(20.0)
GEOMETRIES = {
    "axial": {"row": (1, 0, 0), "column": (0, 1, 0)},
    "feet first": {"row": (-1, 0, 0), "column": (0, 1, 0)},
    "oblique": {"row": (np.cos(TURN), np.sin(TURN), 0), "column": (0, 0, -1)},
    "sagittal": {"row": (0, 1, 0), "column": (0, 0, -1)},
}


def blob(seed: int, share: float = 0.3) -> np.ndarray:
    """Random voxels on slices 1 to 3 of six."""
    array = (np.random.default_rng(seed).random(SHAPE) < share).astype(np.uint8)
    array[:, :, [0, 4, 5]] = 0
    return array


def drawn(roi: str, number: int, array: np.ndarray, score: float | None = None) -> Drawn:
    patch = trimmed(Patch(start=(0, 0, 0), array=array))
    return Drawn(roi=roi, number=number, patch=patch, sha256=f"{roi}{number}{array.sum()}", score=score)


BONE, ONE, TWO = blob(1, 0.6), blob(2), blob(3, 0.1)
MASKS = [drawn("lesion", 2, TWO, 0.4), drawn("lesion", 1, ONE, 0.93), drawn("bone", 1, BONE)]
ARRAYS = (BONE, ONE, TWO)


def source(folder: Path, **geometry) -> tuple[SourceSeries, Grid, list[Path]]:
    paths = ct_series(folder, **geometry)
    return read_series(paths), grid_of_slices(paths)[0], paths


def dataset_of(exported: Exported) -> Dataset:
    return pydicom.dcmread(BytesIO(exported.content))


@pytest.fixture(scope="module")
def ct(tmp_path_factory) -> tuple[SourceSeries, Grid, list[Path]]:
    return source(tmp_path_factory.mktemp("ct"))


@pytest.fixture(scope="module")
def seg(ct) -> Dataset:
    return dataset_of(export_image(MASKS, ct[0], ct[1], ORIGIN))


@pytest.mark.parametrize("name", GEOMETRIES)
def test_voxels_lie_where_they_were_for_two_other_readers(tmp_path, name):
    series, grid, _ = source(tmp_path / "ct", **GEOMETRIES[name])
    path = tmp_path / "seg.dcm"
    path.write_bytes(export_image(MASKS, series, grid, ORIGIN).content)
    ours = read_seg(path)
    theirs = highdicom.seg.segread(path)
    assert ours.segments == ((1, "bone-1"), (2, "lesion-1"), (3, "lesion-2"))
    for number, array in enumerate(ARRAYS, start=1):
        found = draw_segment(ours, number, grid)
        assert found.flags == ()
        np.testing.assert_array_equal(found.patch.on(grid).array, array)
        volume = theirs.get_volume(segment_numbers=[number], combine_segments=False)
        for k, frame in enumerate(volume.array):
            place = np.linalg.inv(grid.affine_ras) @ np.diag([-1, -1, 1, 1]) @ volume.affine @ [k, 0, 0, 1]
            assert np.abs(place[:2]).max() < 1e-3
            at = round(place[2])
            np.testing.assert_array_equal(frame[..., 0], array[:, :, at].T)
        assert volume.array.sum() == array.sum()


def test_order_of_the_source_files_plays_no_part(tmp_path):
    def timed(header: Dataset) -> None:
        header.ContentTime = f"1000{int(header.InstanceNumber) % 60:02d}"

    series, grid, paths = source(tmp_path, edit=timed)
    shuffled = random.Random(3).sample(paths, len(paths))
    assert export_image(MASKS, read_series(shuffled), grid, ORIGIN) == export_image(MASKS, series, grid, ORIGIN)


def test_every_frame_cites_the_instance_at_its_own_position(ct, seg):
    positions = {str(h.SOPInstanceUID): list(h.ImagePositionPatient) for h in map(pydicom.dcmread, ct[2])}
    cited = set()
    for group in seg.PerFrameFunctionalGroupsSequence:
        [image] = group.DerivationImageSequence[0].SourceImageSequence
        assert list(group.PlanePositionSequence[0].ImagePositionPatient) == positions[image.ReferencedSOPInstanceUID]
        cited.add(str(image.ReferencedSOPInstanceUID))
    assert len(cited) == 3


def test_references_resolve_in_the_order_of_slices(ct, seg):
    headers = [pydicom.dcmread(path) for path in ct[2]]
    first = headers[0]
    for name in ("StudyInstanceUID", "FrameOfReferenceUID", "PatientID"):
        assert seg[name].value == first[name].value
    [referenced] = seg.ReferencedSeriesSequence
    assert referenced.SeriesInstanceUID == first.SeriesInstanceUID != seg.SeriesInstanceUID
    headers.sort(key=lambda header: header.ImagePositionPatient[2])
    named = [item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence]
    assert named == [header.SOPInstanceUID for header in headers]


def test_segments_say_what_they_are_and_who_drew_them(seg):
    kinds = [(s.SegmentedPropertyTypeCodeSequence[0].CodeValue, s.SegmentLabel) for s in seg.SegmentSequence]
    assert kinds == [("272673000", "bone-1"), ("14799000", "lesion-1"), ("14799000", "lesion-2")]
    algorithm = seg.SegmentSequence[1].SegmentationAlgorithmIdentificationSequence[0]
    assert algorithm.AlgorithmName == "osteorad net"
    assert algorithm.AlgorithmFamilyCodeSequence[0].CodeMeaning == "Artificial Intelligence"
    assert "members=i1 i2" in algorithm.AlgorithmParameters
    assert seg.SegmentSequence[1].SegmentDescription == "highest probability 0.9300"
    assert len({s.TrackingUID for s in seg.SegmentSequence}) == 3
    assert (seg.SegmentationType, seg.SegmentsOverlap) == ("BINARY", "YES")


def test_dates_are_those_of_the_source_series(tmp_path, seg):
    assert (seg.StudyDate, seg.SeriesDate, seg.ContentDate) == ("20200102", "20200102", "20200102")
    assert "InstanceCreationDate" not in seg

    def later(header: Dataset) -> None:
        header.SeriesDate, header.SeriesTime = "20200105", "081500"

    series, grid, _ = source(tmp_path / "later", edit=later)
    found = dataset_of(export_image(MASKS, series, grid, ORIGIN))
    assert (found.StudyDate, found.SeriesDate, found.ContentDate, found.ContentTime) == (
        "20200102", "20200105", "20200105", "081500",
    )  # fmt: skip

    def undated(header: Dataset) -> None:
        del header.StudyDate, header.StudyTime

    series, grid, _ = source(tmp_path / "undated", edit=undated)
    assert dataset_of(export_image(MASKS, series, grid, ORIGIN)).ContentDate == writer.NO_DATE


def test_nobody_is_named(tmp_path):
    def named(header: Dataset) -> None:
        header.PatientName, header.PatientBirthDate, header.InstitutionName = (
            "Planted^Name",
            "19511213",
            "Planted Hospital",
        )
        header.AccessionNumber, header.StudyDescription, header.OperatorsName = (
            "PLANTED1",
            "Planted text",
            "Planted^Nurse",
        )
        header.PatientIdentityRemoved, header.DeidentificationMethod = "YES", "as told"

    series, grid, _ = source(tmp_path, edit=named)
    exported = export_image(MASKS, series, grid, ORIGIN)
    assert b"lanted" not in exported.content
    assert b"PLANTED" not in exported.content
    assert b"19511213" not in exported.content
    found = dataset_of(exported)
    assert (found.PatientName, found.PatientIdentityRemoved, found.DeidentificationMethod) == (
        "p0123",
        "YES",
        "as told",
    )


# --- nothing to see ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("masks", [[], [drawn("lesion", 1, 0 * ONE)]], ids=["no mask", "mask without voxels"])
def test_a_negative_is_documented_on_every_slice(ct, masks):
    exported = export_image(masks, ct[0], ct[1], ORIGIN)
    found = dataset_of(exported)
    assert (found.NumberOfFrames, len(found.SegmentSequence)) == (6, 1)
    assert not any(found.PixelData)
    assert exported.facts["segments"][0]["voxels"] == 0
    if not masks:
        assert (found.SegmentSequence[0].SegmentLabel, found.SegmentSequence[0].SegmentDescription) == (
            "lesion", "no lesion was predicted",
        )  # fmt: skip


def test_bone_without_lesion_says_that_there_is_none(ct, tmp_path):
    path = tmp_path / "seg.dcm"
    path.write_bytes(export_image([MASKS[2]], ct[0], ct[1], ORIGIN).content)
    found = read_seg(path)
    assert [name for _, name in found.segments] == ["bone-1", "lesion"]
    assert draw_segment(found, 2, ct[1]).flags == ("roi_empty",)
    np.testing.assert_array_equal(draw_segment(found, 1, ct[1]).patch.on(ct[1]).array, BONE)


# --- the same in, the same out ----------------------------------------------------------------------------------------


def test_same_masks_give_the_same_bytes_whatever_the_clock(ct, monkeypatch):
    once = export_image(MASKS, ct[0], ct[1], ORIGIN)
    monkeypatch.setattr("time.time", lambda: 0.0)
    assert export_image(MASKS[::-1], read_series(ct[2]), ct[1], ORIGIN) == once


def test_uids_follow_names_and_content(ct):
    def uids(origin=ORIGIN, masks=MASKS):
        facts = export_image(masks, ct[0], ct[1], origin).facts
        return facts["series_uid"], facts["sop_uid"], facts["segments"][-1]["tracking_uid"]

    base = uids()
    other_voxels = [replace(MASKS[0], sha256="x"), *MASKS[1:]]
    assert [a == b for a, b in zip(base, uids(masks=other_voxels), strict=True)] == [True, False, True]
    for origin in (replace(ORIGIN, network="n2"), replace(ORIGIN, fold=3), replace(ORIGIN, role="out_of_fold")):
        assert [a == b for a, b in zip(base, uids(origin), strict=True)] == [False, False, False]
    assert all(re.fullmatch(r"2\.25\.[1-9]\d{0,38}", uid) for uid in base)
    assert uid_of("a", "b") != uid_of("ab") != uid_of("b", "a")


@settings(max_examples=50, deadline=None)
@given(frames=st.tuples(st.integers(1, 5), st.integers(1, 7), st.integers(1, 5)).flatmap(
    lambda shape: hnp.arrays(np.uint8, shape, elements=st.integers(0, 1))
))  # fmt: skip
def test_bits_follow_each_other_without_gaps(frames):
    content = packed(list(frames))
    bits = np.unpackbits(np.frombuffer(content, dtype=np.uint8), bitorder="little")
    np.testing.assert_array_equal(bits[: frames.size], frames.ravel())
    assert len(content) % 2 == 0
    assert len(content) * 8 - frames.size < 16


# --- sources that fit badly -------------------------------------------------------------------------------------------


def test_a_straightened_image_has_places_of_its_own_and_cites_the_series(tmp_path):
    """The gantry was tilted: planes of the source lie on no slice of the image."""
    series, _, paths = source(tmp_path, step=(0.0, 0.9, 2.9))
    upright = Grid(shape=SHAPE, affine_ras=np.diag([-1.25, -1.5, 2.9, 1.0]) + np.outer([10, 20, 30, 0], [0, 0, 0, 1]))
    exported = export_image(MASKS, series, upright, ORIGIN)
    found = dataset_of(exported)
    assert (exported.facts["slices"], exported.facts["slices_cited"]) == (6, 1)  # the first plane is where it was
    [referenced] = found.ReferencedSeriesSequence
    assert {item.ReferencedSOPInstanceUID for item in referenced.ReferencedInstanceSequence} == {
        pydicom.dcmread(path).SOPInstanceUID for path in paths
    }
    assert [len(group.DerivationImageSequence) for group in found.PerFrameFunctionalGroupsSequence] == [0] * 9


def test_of_two_planes_at_one_place_none_is_cited_unless_it_is_told(tmp_path):
    paths = ct_series(tmp_path / "a")
    again = pydicom.dcmread(paths[2])
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = "2.25.77"
    again.save_as(tmp_path / "copy.dcm")
    series, grid = read_series([*paths, tmp_path / "copy.dcm"]), grid_of_slices(paths)[0]
    assert [plane is None for plane in series.slices(grid)] == [False, False, True, False, False, False]
    told = series.slices(grid, [str(pydicom.dcmread(path).SOPInstanceUID) for path in paths])
    assert all(told)
    exported = export_image(MASKS, series, grid, ORIGIN)
    assert exported.facts["slices_cited"] == 5
    assert len(dataset_of(exported).ReferencedSeriesSequence[0].ReferencedInstanceSequence) == 7


def test_planes_of_another_size_or_without_place_are_left_aside(tmp_path, ct):
    small = pydicom.dcmread(ct[2][0])
    small.Rows, small.SOPInstanceUID = 12, "2.25.78"
    small.save_as(tmp_path / "small.dcm")
    scout = pydicom.dcmread(ct[2][0])
    scout.SOPInstanceUID = "2.25.79"
    del scout.ImagePositionPatient
    scout.save_as(tmp_path / "scout.dcm")
    series = read_series([*ct[2], tmp_path / "small.dcm", tmp_path / "scout.dcm"])
    assert len(series.planes) == 7
    assert all(series.slices(ct[1]))


def test_frames_of_a_multiframe_source_are_cited_by_number(shared_data):
    path = shared_data("ingest/enhanced/pet_legacy_enhanced.dcm")
    series = read_series([path])
    first, second = series.planes[:2]
    turned = np.diag([-1.0, -1.0, 1.0])
    affine = np.eye(4)
    affine[:3, 0] = turned @ first.orientation[:3] * first.spacing[1]
    affine[:3, 1] = turned @ first.orientation[3:] * first.spacing[0]
    normal = np.cross(first.orientation[:3], first.orientation[3:])
    ordered = sorted(series.planes, key=lambda plane: float(normal @ plane.position))
    affine[:3, 2] = turned @ np.subtract(ordered[1].position, ordered[0].position)
    affine[:3, 3] = turned @ ordered[0].position
    grid = Grid(shape=(first.columns, first.rows, len(ordered)), affine_ras=affine)
    mask = np.zeros(grid.shape, dtype=np.uint8)
    mask[3:9, 4:7, 1] = 1
    found = dataset_of(export_image([drawn("lesion", 1, mask)], series, grid, ORIGIN))
    [frame] = found.PerFrameFunctionalGroupsSequence
    [image] = frame.DerivationImageSequence[0].SourceImageSequence
    assert image.ReferencedSOPInstanceUID == pydicom.dcmread(path, stop_before_pixels=True).SOPInstanceUID
    assert image.ReferencedFrameNumber == ordered[1].frame
    assert second.frame == 2


# --- the check of what was written ------------------------------------------------------------------------------------


def broken(exported: Exported, grid: Grid, edit) -> None:
    found = dataset_of(exported)
    edit(found)
    stream = BytesIO()
    found.save_as(stream, enforce_file_format=True)
    ordered = sorted(MASKS, key=lambda mask: mask.label)
    check_seg(stream.getvalue(), [mask.patch for mask in ordered], grid)


def swap_planes(found: Dataset) -> None:
    groups = found.PerFrameFunctionalGroupsSequence
    groups[0].PlanePositionSequence, groups[2].PlanePositionSequence = (
        groups[2].PlanePositionSequence, groups[0].PlanePositionSequence,
    )  # fmt: skip


def shift_slice(found: Dataset) -> None:
    for group in found.PerFrameFunctionalGroupsSequence:
        group.PlanePositionSequence[0].ImagePositionPatient[2] += 3.0


def shift_half(found: Dataset) -> None:
    for group in found.PerFrameFunctionalGroupsSequence:
        group.PlanePositionSequence[0].ImagePositionPatient[0] += 0.6


def stretch(found: Dataset) -> None:
    found.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0].PixelSpacing = [1.5, 1.3]


def transpose(found: Dataset) -> None:
    plane = found.SharedFunctionalGroupsSequence[0].PlaneOrientationSequence[0]
    plane.ImageOrientationPatient = [0, 1, 0, 1, 0, 0]


def flip_bit(found: Dataset) -> None:
    found.PixelData = bytes([found.PixelData[0] ^ 1]) + found.PixelData[1:]


def drop_frame(found: Dataset) -> None:
    del found.PerFrameFunctionalGroupsSequence[-1]
    found.NumberOfFrames -= 1
    found.PixelData = found.PixelData[: 8 * 480 // 8]


def same_segment(found: Dataset) -> None:
    groups = found.PerFrameFunctionalGroupsSequence
    groups[0].PlanePositionSequence = groups[1].PlanePositionSequence


def drop_segment(found: Dataset) -> None:
    del found.SegmentSequence[-1]


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (swap_planes, "segment 1 differs on slice"),
        (shift_slice, "segment 1 differs on slice 2"),
        (shift_half, "a corner of a frame lies 0.48 voxels off"),
        (stretch, "a corner of a frame lies"),
        (transpose, "a corner of a frame lies"),
        (flip_bit, "segment 1 differs on slice 1"),
        (drop_frame, "segment 3 lacks 1 slices"),
        (same_segment, "segment 1 differs on slice 2|segment 1 has slice 2 twice"),
        (drop_segment, "2 segments, wanted 3"),
    ],
)
def test_a_difference_is_refused(ct, edit, message):
    exported = export_image(MASKS, ct[0], ct[1], ORIGIN)
    broken(exported, ct[1], lambda found: None)
    with pytest.raises(SegDiffersError, match=message):
        broken(exported, ct[1], edit)


def test_a_frame_that_comes_twice_is_refused(ct):
    exported = export_image([], ct[0], ct[1], ORIGIN)
    found = dataset_of(exported)
    same_segment(found)
    stream = BytesIO()
    found.save_as(stream, enforce_file_format=True)
    with pytest.raises(SegDiffersError, match="segment 1 has slice 1 twice"):
        check_seg(stream.getvalue(), [None], ct[1])


def test_a_writer_that_errs_is_caught_before_the_file_is(ct, monkeypatch):
    right = writer.pixels
    monkeypatch.setattr(writer, "pixels", lambda patch, k, grid: right(patch, k, grid)[::-1])
    with pytest.raises(SegDiffersError):
        export_image(MASKS, ct[0], ct[1], ORIGIN)


def test_roi_without_code_is_refused(ct):
    with pytest.raises(ValueError, match="no code for the ROI marrow; known: bone, lesion"):
        export_image([drawn("marrow", 1, ONE)], ct[0], ct[1], ORIGIN)


# --- another program's opinion ----------------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("dciodvfy") is None, reason="dciodvfy (Debian package dicom3tools) is not installed")
@pytest.mark.parametrize("masks", [MASKS, [], [MASKS[2]], MASKS[:1]], ids=["three", "none", "bone alone", "one lesion"])
@pytest.mark.parametrize("name", ["axial", "oblique"])
def test_dciodvfy_finds_no_error(tmp_path, name, masks):
    series, grid, _ = source(tmp_path / "ct", **GEOMETRIES[name])
    path = tmp_path / "seg.dcm"
    path.write_bytes(export_image(masks, series, grid, ORIGIN).content)
    told = subprocess.run(["dciodvfy", path], capture_output=True, text=True, check=False)
    lines = (told.stdout + told.stderr).splitlines()
    assert [line for line in lines if line.startswith("Error")] == []
    assert "Segmentation" in lines
