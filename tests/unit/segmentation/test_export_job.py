"""The export job through files: a converted CT, predicted masks of two sessions, SEG and its manifest."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from osteorad.dicom.seg import draw_segment, read_seg
from osteorad.files import read_json, write_json
from osteorad.images.volume import Grid
from osteorad.provenance import sha256_file
from osteorad.segmentation.job_export import export_patient
from tests.unit.dicom.dicom_build import convert, ct_series
from tests.unit.segmentation.masks import fold_manifest, grid_of, mask_entry, mask_set


@pytest.fixture
def inputs(tmp_path) -> dict:
    """Two sessions of one patient; the second has nothing predicted."""

    def other_study(header) -> None:
        header.StudyInstanceUID, header.StudyDate = "2.25.55", "20200402"

    source = tmp_path / "source"
    ct_series(source / "a", uid="1")
    ct_series(source / "b", uid="3", origin=(-12.0, -18.0, 44.0), edit=other_study)
    images = convert(source, tmp_path)
    first, second = images["images"]
    grid = Grid(shape=tuple(first["shape"]), affine_ras=np.array(first["affine_ras"]))
    mask, bone = np.zeros((2, *grid.shape), dtype=np.uint8)
    mask[4:9, 5:8, 2:4] = 1
    bone[2:15, 3:20, 1:5] = 1
    folder = tmp_path / "fold/p1"
    entries = [
        mask_entry(folder, bone, grid, session=first["session"], roi="bone", lesion=1),
        mask_entry(folder, mask, grid, session=first["session"], roi="lesion", lesion=1, score=0.75),
    ]
    mask_set(folder, "p1", "auto-net", entries)
    sessions = [first["session"], second["session"]]
    entry = {"patient": "p1", "sessions": sessions, "role": "external", "path": "p1/masks.json"}
    return {
        "masks": fold_manifest(tmp_path / "fold", [entry]),
        "patient": "p1",
        "images": tmp_path / "images/images.json",
        "dicom": tmp_path / "manifest.json",
        "source_root": source,
        "out_dir": tmp_path / "seg",
    }


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()
    }


def test_each_session_has_its_seg_and_the_manifest_tells_it(inputs):
    export_patient(**inputs)
    manifest = read_json(inputs["out_dir"] / "seg.json")
    assert (manifest["set"], manifest["role"], manifest["patient"]) == ("auto-net", "external", "p1")
    labels = [[segment["label"] for segment in file["segments"]] for file in manifest["files"]]
    assert labels == [["bone-1", "lesion-1"], ["lesion"]]
    assert [(file["frames"], file["slices"], file["slices_cited"]) for file in manifest["files"]] == [
        (6, 6, 6),
        (6, 6, 6),
    ]
    images = read_json(inputs["images"])["images"]
    for file, image in zip(manifest["files"], images, strict=True):
        path = inputs["out_dir"] / file["path"]
        assert file["sha256"] == sha256_file(path)
        found = read_seg(path)
        assert (found.source.series_uid, found.source.modality) == (image["series_uid"], "CT")
        grid = Grid(shape=tuple(image["shape"]), affine_ras=np.array(image["affine_ras"]))
        for segment in file["segments"]:
            assert draw_segment(found, segment["number"], grid).patch.voxels == segment["voxels"]


def test_two_runs_give_the_same_bytes_and_leave_nothing_of_the_first(inputs):
    export_patient(**inputs)
    once = files_of(inputs["out_dir"])
    (inputs["out_dir"] / "stray.dcm").write_text("x")
    export_patient(**inputs)
    assert files_of(inputs["out_dir"]) == once
    assert len(once) == 3


def test_image_that_is_not_there_is_refused(inputs):
    with pytest.raises(ValueError, match="has no image pet"):
        export_patient(**inputs, image="pet")


def test_masks_on_another_grid_are_refused(inputs):
    session = read_json(inputs["images"])["images"][0]["session"]
    grid = grid_of((20, 24, 6))
    for roi in ("bone", "lesion"):
        mask_entry(inputs["masks"].parent / "p1", np.ones(grid.shape), grid, session=session, roi=roi, lesion=1)
    with pytest.raises(ValueError, match="different grids"):
        export_patient(**inputs)


def test_series_without_files_is_refused(inputs):
    manifest = read_json(inputs["dicom"])
    write_json(inputs["dicom"], {**manifest, "files": manifest["files"][:6]})
    with pytest.raises(ValueError, match="a series without files"):
        export_patient(**inputs)


def test_source_without_its_folder_is_refused(inputs):
    with pytest.raises(ValueError, match="no source_root"):
        export_patient(**{**inputs, "source_root": None})
