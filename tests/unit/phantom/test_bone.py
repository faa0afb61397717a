"""Masks of all bone: what is inside, what is not, and that they reach masks.json as the ROI `bone`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from osteorad.cohort.config import Phantom
from osteorad.cohort.pseudonyms import PHANTOM_KEY, patient_pseudonym
from osteorad.dicom.convert import convert_patient
from osteorad.dicom.deidentify import deidentify_patient
from osteorad.dicom.masks import draw_masks
from osteorad.files import read_json
from osteorad.images.volume import read_nifti
from osteorad.phantom.anatomy import PITCH_MM
from osteorad.phantom.bones import CANAL, paint_bones
from osteorad.phantom.facts import MASK_FILE_PATIENT, facts_of
from osteorad.phantom.names import ROI_PATTERNS
from osteorad.phantom.scan import Session, bone_mask, scan_session
from osteorad.phantom.shapes import Canvas, Frame, capsule
from osteorad.phantom.soft import outline_on
from osteorad.phantom.write import write_patient

SETTINGS = Phantom(patients=12, matrix=96, slices=40, pet=False, reader2=False, bone=True)
ROIS = {**ROI_PATTERNS, "bone": ["*bone*"]}


@pytest.fixture(scope="module", params=[2, 7])
def scanned(request: pytest.FixtureRequest) -> Session:
    return scan_session(SETTINGS, request.param)


def positions(frame: Frame) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, y, z of every voxel centre, each broadcastable to (z, y, x)."""
    return frame.x[None, None, :], frame.y[None, :, None], frame.z[:, None, None]


def at(session: Session, point: np.ndarray) -> bool:
    """Whether the voxel nearest to a point (x, y, z) is bone."""
    assert session.bone is not None
    frame = session.ct.frame
    z, y, x = (int(np.abs(axis - v).argmin()) for axis, v in zip((frame.z, frame.y, frame.x), point[::-1], strict=True))
    return bool(session.bone[z, y, x])


def test_marrow_and_every_lesion_lie_wholly_in_bone_and_the_heart_does_not(scanned: Session):
    bone, masks = scanned.bone, scanned.ct.masks
    assert bone is not None
    assert scanned.lesions
    for name, mask in masks.items():
        assert mask.any()
        assert (bone & mask).sum() == (0 if name == "heart" else mask.sum()), name


def test_bodies_ribs_and_breastbone_are_bone_and_discs_are_not(scanned: Session):
    anatomy, half = scanned.anatomy, float(scanned.ct.frame.z[-1])
    inside = [v for v in anatomy.vertebrae if abs(v.center[2]) + 15 < half]
    assert len(inside) >= 3
    for vertebra in inside:
        assert at(scanned, vertebra.center)
        assert at(scanned, vertebra.world(np.array([10.5, 21.0, 0.0])))  # between pedicle and joint processes
        assert not at(scanned, vertebra.world(np.array([0.0, 0.0, -PITCH_MM / 2])))
    ribs = [anatomy.rib_point(n, 0.4, side)[0] for n in range(3, 10) for side in (1, -1)]
    seen = [point for point in ribs if abs(point[2]) + 4 < half]
    assert len(seen) >= 6
    assert all(at(scanned, point) for point in seen)
    assert at(scanned, anatomy.place(0.0, -90.5, 0.0))


def test_the_canal_holds_no_bone_but_a_lesion_that_bulges_into_it(scanned: Session):
    frame = scanned.ct.frame
    middles = [vertebra.world(CANAL) for vertebra in scanned.anatomy.vertebrae]
    rods = [capsule(*positions(frame), np.stack(ends), (8.0, 8.0)) for ends in pairwise(middles)]
    canal = np.min(rods, axis=0) < 0
    lesions = np.any([mask for name, mask in scanned.ct.masks.items() if name.startswith("lesion")], axis=0)
    assert canal.sum() > 400
    assert not (scanned.bone & canal & ~lesions).any()


def test_the_mask_is_what_the_image_shows_of_bone(scanned: Session):
    """The same bones in the image's own paint on air: where a voxel is full, paint and mask say the same."""
    frame = scanned.ct.frame
    canvas = Canvas(frame, "hu", -1000.0)
    ring, along = (outline_on(scanned.anatomy, name, frame) for name in ("ring", "along"))
    paint_bones(canvas, scanned.anatomy, [], ring, along)
    bone = bone_mask(scanned.anatomy, [], frame)
    assert (bone & (canvas.array > -300)).sum() == bone.sum()  # at its border a voxel is half bone, half air
    dense = canvas.array > 250  # more than disc and cartilage; half of a voxel of cortex beside a disc is as much
    assert (dense & bone).sum() / dense.sum() > 0.97


def test_a_voxel_depends_on_its_own_place_alone(scanned: Session):
    """Slabs leave no seam: the upper half scanned alone is the upper half."""
    frame = scanned.ct.frame
    half = frame.part(slice(13, None))
    assert scanned.bone is not None
    assert (bone_mask(scanned.anatomy, scanned.lesions, half) == scanned.bone[13:]).all()


def test_only_who_asks_gets_the_mask(tmp_path: Path):
    tiny = {"patients": 12, "matrix": 32, "slices": 12, "reader2": False}
    for name, bone in (("without", False), ("with", True)):
        write_patient(Phantom(**tiny, bone=bone), "tiny", 1, tmp_path / name)
    before, after = ({p.relative_to(tmp_path / n): p for p in (tmp_path / n).rglob("*")} for n in ("without", "with"))
    added = {path for path in after.keys() - before.keys() if after[path].is_file()}
    assert [path.name for path in added] == ["bone-1.nrrd"]
    same = [path for path in before if before[path].is_file() and path.name != "manifest.json"]
    assert all(before[path].read_bytes() == after[path].read_bytes() for path in same)
    images = [read_json(tmp_path / n / "manifest.json")["truth"]["sessions"][0]["images"] for n in ("without", "with")]
    assert [roi["roi"] for roi in images[1]["CT"]["rois"]] == [*(r["roi"] for r in images[0]["CT"]["rois"]), "bone"]
    assert images[0]["PT"] == images[1]["PT"]


@pytest.mark.parametrize("number", [MASK_FILE_PATIENT, 9])
def test_every_ct_has_its_bone_in_masks_json(number: int, tmp_path: Path):
    """Also where the other contours are files, where two sessions lie on one grid, and where marrow is called bone."""
    settings = SETTINGS.model_copy(update={"matrix": 48, "slices": 16})
    write_patient(settings, "small", number, tmp_path / "export")
    truth = read_json(tmp_path / "export/manifest.json")["truth"]["sessions"]
    found = masks_of(tmp_path, facts_of(settings, number).source_patient_id)
    drawn = [mask for mask in found["masks"] if mask["roi"] == "bone"]
    assert len(drawn) == len(truth) == facts_of(settings, number).sessions
    wanted = {row["voxels"] for s in truth for row in s["images"]["CT"]["rois"] if row["roi"] == "bone"}
    assert {mask["voxels"] for mask in drawn} == wanted
    assert {(mask["image"], mask["lesion"], mask["source"]) for mask in drawn} == {("ct", 1, "file")}
    assert sum(mask["roi"] == "marrow" for mask in found["masks"]) == len(truth)
    for mask in drawn:
        array, _ = read_nifti(tmp_path / "masks" / mask["path"])
        assert np.count_nonzero(array) == mask["voxels"]


def masks_of(folder: Path, source_patient_id: str) -> dict:
    """masks.json of a written patient, by the jobs that make it."""
    patient = patient_pseudonym(PHANTOM_KEY, source_patient_id)
    files = [p for p in sorted((folder / "export").rglob("*")) if p.is_file() and p.suffix not in (".json", ".nrrd")]
    for part in ("images", "contours"):
        deidentify_patient(
            files,
            cohort="small",
            patient=patient,
            key=PHANTOM_KEY,
            project_key=None,
            part=part,
            rois=ROIS,
            out_dir=folder / "dicom",
            manifest=folder / f"dicom/{part}.json",
            files_in=len(files),
        )
    convert_patient(
        folder / "dicom/images.json",
        None,
        modalities=["CT"],
        kernel="soft",
        overrides=[],
        out_dir=folder / "images",
    )
    draw_masks(
        folder / "images/images.json",
        folder / "dicom/contours.json",
        None,
        folder / "export/masks",
        mask_set="manual",
        rois=ROIS,
        out_dir=folder / "masks",
    )
    return read_json(folder / "masks/masks.json")
