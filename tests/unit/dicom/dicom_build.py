"""Helpers for tests of conversion: DICOM series built in code, and manifests as adoption writes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID, ExplicitVRLittleEndian

from osteorad.cohort.pseudonyms import series_name, session_name
from osteorad.cohort.schemas import QUARANTINE, SERIES
from osteorad.dicom.convert import convert_patient
from osteorad.files import table_from_rows
from osteorad.reasons import SET_ASIDE, reason

CT_CLASS, PET_CLASS = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128"
ROOT = "1.2.826.0.1.3680043.10.9999"
Edit = Callable[[Dataset], None]


def body(shape: tuple[int, int, int] = (6, 24, 20)) -> np.ndarray:
    """HU of an ellipse of tissue with a bone in air, shape (z, y, x); every slice differs."""
    z, y, x = np.indices(shape)
    centre = [(n - 1) / 2 for n in shape]
    radius = ((y - centre[1]) / (shape[1] * 0.4)) ** 2 + ((x - centre[2]) / (shape[2] * 0.4)) ** 2
    hu = np.where(radius < 1, 40 + 3 * z + x, -1000)
    return np.where(radius < 0.05, 700 + 10 * z, hu).astype(np.int16)


def uptake(shape: tuple[int, int, int] = (6, 16, 16)) -> np.ndarray:
    """SUV of a body with one hot spot, shape (z, y, x)."""
    z, y, x = np.indices(shape)
    warm = np.hypot(y - 8, x - 7) < 6
    suv = np.where(warm, 0.8 + 0.05 * z, 0.01)
    suv[3, 7:9, 7:9] = 8.0
    return suv


def ct_series(
    folder: Path,
    hu: np.ndarray | None = None,
    *,
    uid: str = "1",
    row: Iterable[float] = (1, 0, 0),
    column: Iterable[float] = (0, 1, 0),
    step: Iterable[float] | None = None,
    origin: Iterable[float] = (-10.0, -20.0, 30.0),
    spacing: tuple[float, float] = (1.5, 1.25),
    edit: Edit | None = None,
) -> list[Path]:
    """Write a CT series; `spacing` as DICOM has it (between rows, between columns), vectors in LPS mm."""
    hu = body() if hu is None else hu
    row, column = np.array(list(row), float), np.array(list(column), float)
    step = 3.0 * np.cross(row, column) if step is None else np.array(list(step), float)
    paths = []
    for k, plane in enumerate(hu):
        ds = _plane(CT_CLASS, "CT", uid, k, np.array(list(origin)) + k * step, row, column, spacing)
        ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
        ds.ConvolutionKernel, ds.KVP, ds.SliceThickness = "STANDARD", "120", "3"
        ds.RescaleSlope, ds.RescaleIntercept = "1", "-1024"
        _store(ds, (plane.astype(np.int32) + 1024).astype(np.uint16), bits=12)
        paths.append(_save(ds, folder, uid, k, edit))
    return paths


def pet_series(
    folder: Path,
    suv: np.ndarray | None = None,
    *,
    uid: str = "2",
    study: str = "1",
    factor: float = 2.8e-4,
    edit: Edit | None = None,
) -> list[Path]:
    """Write a PET in Bq/ml, decay corrected to START; `factor` is the SUV of 1 Bq/ml that its header gives.

    The dose follows from the factor: 70 kg, F-18, one hour between injection and scan.
    """
    suv = uptake() if suv is None else suv
    dose = 70_000.0 / factor * 2 ** (3600 / 6586.2)
    paths = []
    for k, plane in enumerate(suv):
        position = np.array([-30.0, -30.0, 30.0 + 3.0 * k])
        ds = _plane(PET_CLASS, "PT", uid, k, position, np.array([1.0, 0, 0]), np.array([0, 1.0, 0]), (4.0, 4.0), study)
        ds.ImageType = ["ORIGINAL", "PRIMARY"]
        ds.SeriesType, ds.Units, ds.DecayCorrection = ["WHOLE BODY", "IMAGE"], "BQML", "START"
        ds.CorrectedImage = ["DECY", "ATTN", "SCAT"]
        ds.SeriesDate = ds.AcquisitionDate = "20200102"
        ds.SeriesTime, ds.AcquisitionTime = "100000", "100000"
        ds.ActualFrameDuration, ds.FrameReferenceTime = "120000", "0"
        ds.PatientWeight, ds.PatientSize = "70", "1.75"
        drug = Dataset()
        drug.RadiopharmaceuticalStartTime, drug.RadiopharmaceuticalStartDateTime = "090000", "20200102090000"
        drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = f"{dose:.6f}"[:16], "6586.2"
        drug.Radiopharmaceutical = "FDG"
        ds.RadiopharmaceuticalInformationSequence = [drug]
        slope = max(float(plane.max()) / factor / 32000.0, 1e-3)
        ds.RescaleSlope, ds.RescaleIntercept = f"{slope:.10f}"[:16], "0"
        _store(ds, np.rint(plane / factor / float(ds.RescaleSlope)).astype(np.int16), bits=16, signed=True)
        paths.append(_save(ds, folder, uid, k, edit))
    return paths


def _plane(
    sop_class: str,
    modality: str,
    uid: str,
    k: int,
    position: np.ndarray,
    row: np.ndarray,
    column: np.ndarray,
    spacing: tuple[float, float],
    study: str = "1",
) -> Dataset:
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = UID(sop_class)
    ds.SOPClassUID, ds.SOPInstanceUID = UID(sop_class), UID(f"{ROOT}.{uid}.{k + 1}")
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.Modality, ds.StudyInstanceUID, ds.SeriesInstanceUID = modality, f"{ROOT}.9{study}", f"{ROOT}.{uid}"
    ds.FrameOfReferenceUID = f"{ROOT}.77"
    ds.StudyDate, ds.StudyTime = "20200102", "093000"
    ds.PatientID, ds.PatientSex, ds.PatientAge, ds.Manufacturer = "p1", "F", "061Y", "ACME"
    ds.InstanceNumber = 100 - k  # runs against the position: it must not matter
    ds.ImagePositionPatient = [f"{v:.9g}" for v in position]
    ds.ImageOrientationPatient = [f"{v:.12g}" for v in (*row, *column)]
    ds.PixelSpacing = [f"{v:.9g}" for v in spacing]
    return ds


def _store(ds: Dataset, values: np.ndarray, *, bits: int, signed: bool = False) -> None:
    ds.Rows, ds.Columns = values.shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, bits, bits - 1, int(signed)
    ds.PixelData = values.tobytes()


def _save(ds: Dataset, folder: Path, uid: str, k: int, edit: Edit | None) -> Path:
    if edit is not None:
        edit(ds)
    folder.mkdir(parents=True, exist_ok=True)
    # names run against the position too
    path = folder / f"{uid}-{500 - k:03d}.dcm"
    ds.save_as(path, enforce_file_format=True)
    return path


def write_manifest(
    root: Path, path: Path, files: Iterable[Path] | None = None, *, text: dict[str, Any] | None = None
) -> Path:
    """Manifest of files below `root`, as the adoption of de-identified sources writes it."""
    listed = []
    for file in sorted(files if files is not None else (p for p in root.rglob("*") if p.is_file())):
        ds = pydicom.dcmread(file, stop_before_pixels=True, force=True)
        listed.append(
            {
                "path": file.relative_to(root).as_posix(),
                "sha256": hashlib.sha256(file.read_bytes()).hexdigest(),
                "modality": str(ds.get("Modality", "")),
                "session": session_name(ds.get("StudyInstanceUID", "")),
                "series": series_name(ds.get("SeriesInstanceUID", "")),
                "series_uid": str(ds.get("SeriesInstanceUID", "")),
                "sop_uid": str(ds.get("SOPInstanceUID", "")),
            }
        )
    head = {"cohort": "test", "patient": "p1", "part": "images", "root": "source", "roi_names": "original"}
    more = {"files_in": len(listed), "pixel_hashes": {}, "set_aside": []}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({**head, **more, "files": listed, **(text or {})}))
    return path


def convert(root: Path, work: Path, files: Iterable[Path] | None = None, **settings: Any) -> dict[str, Any]:
    """Convert files below `root` and return images.json, after checking that every file stands in one row."""
    manifest = settings.pop("manifest", None) or write_manifest(root, work / "manifest.json", files)
    settings = {"modalities": ["CT", "PT"], "kernel": "soft", "overrides": [], **settings}
    convert_patient(manifest, root, out_dir=work / "images", **settings)
    result = json.loads((work / "images" / "images.json").read_text())
    check_accounts(json.loads(manifest.read_text()), result)
    return result


def check_accounts(manifest: dict[str, Any], result: dict[str, Any]) -> None:
    """Every file of the manifest stands in exactly one row; what was not used is set aside with the same count."""
    rows = result["series"]
    assert sum(row["files"] for row in rows) == len(manifest["files"])
    used = sum(row["files"] for row in rows if row["state"] == "used")
    aside = [row for row in result["set_aside"] if row["kind"] in SET_ASIDE]
    assert used + sum(row["count"] for row in aside) == len(manifest["files"])
    assert sum(row["state"] == "used" for row in rows) == len(result["images"])
    assert len({(row["session"], row["series"]) for row in rows}) == len(rows)
    table_from_rows(rows, SERIES)  # types fit the columns
    table_from_rows(result["set_aside"], QUARANTINE)
    for row in rows:
        assert set(row) == set(SERIES.names) - {"cohort", "patient"}
        assert row["state"] == ("used" if not row["reason"] else reason(row["reason"]).kind)
    for row in result["set_aside"]:
        assert set(row) == set(QUARANTINE.names) - {"cohort", "patient"}
        assert row["kind"] == reason(row["reason"]).kind


def place(array: np.ndarray, affine: np.ndarray, like: np.ndarray) -> np.ndarray:
    """`array` with its axes turned and flipped until its affine agrees with `like`; fails where it never can."""
    step = np.linalg.inv(affine[:3, :3]) @ like[:3, :3]
    turn = np.rint(step)
    assert np.abs(step - turn).max() < 1e-3
    order = [int(np.argmax(np.abs(turn[:, axis]))) for axis in range(3)]
    out = np.transpose(array, order)
    out = np.flip(out, tuple(axis for axis in range(3) if turn[order[axis], axis] < 0))
    corner = np.array([0 if turn[order[axis], axis] > 0 else out.shape[axis] - 1 for axis in range(3)])
    mine = np.zeros(3)
    mine[order] = corner
    assert np.abs(affine[:3, :3] @ mine + affine[:3, 3] - like[:3, 3]).max() < 1e-2
    return out
