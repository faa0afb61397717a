"""Manifests as the stages before would write them, built from DICOM positions or from grids made in a test."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pydicom

from osteorad.cohort.pseudonyms import series_name, session_name
from osteorad.dicom.masks import draw_masks
from osteorad.files import read_json, write_json
from osteorad.images.volume import Grid, read_nifti

TAGS = (
    "SOPInstanceUID",
    "StudyInstanceUID",
    "SeriesInstanceUID",
    "FrameOfReferenceUID",
    "Modality",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "PixelSpacing",
    "Rows",
    "Columns",
)


def grid_of_slices(paths: list[Path]) -> tuple[Grid, pydicom.Dataset, list[str]]:
    """Grid by ImagePositionPatient (columns, rows, slices), the first header, and instance UIDs by slice."""
    headers = [pydicom.dcmread(path, stop_before_pixels=True, specific_tags=list(TAGS)) for path in paths]
    orientation = np.array(headers[0].ImageOrientationPatient, dtype=float)
    normal = np.cross(orientation[:3], orientation[3:])
    headers.sort(key=lambda header: float(normal @ np.array(header.ImagePositionPatient, dtype=float)))
    first, last = (np.array(headers[at].ImagePositionPatient, dtype=float) for at in (0, -1))
    row_mm, column_mm = (float(mm) for mm in headers[0].PixelSpacing)
    affine = np.eye(4)
    affine[:3, 0] = orientation[:3] * column_mm
    affine[:3, 1] = orientation[3:] * row_mm
    affine[:3, 2] = (last - first) / (len(headers) - 1)
    affine[:3, 3] = first
    grid = Grid(
        shape=(int(headers[0].Columns), int(headers[0].Rows), len(headers)),
        affine_ras=np.diag([-1.0, -1.0, 1.0, 1.0]) @ affine,
    )
    return grid, headers[0], [str(header.SOPInstanceUID) for header in headers]


def image_entry(grid: Grid, **facts: Any) -> dict[str, Any]:
    """An entry of images.json for a grid; anything else has a default."""
    series_uid = facts.get("series_uid", "2.25.1001")
    return {
        "image": "ct",
        "session": session_name("2.25.1000"),
        "path": "",
        "sha256": "",
        "units": "HU",
        "modality": "CT",
        "series": series_name(series_uid),
        "series_uid": series_uid,
        "frame_of_reference": "2.25.1002",
        "shape": list(grid.shape),
        "spacing_mm": list(grid.spacing_mm),
        "affine_ras": grid.affine_ras.tolist(),
        "facts": {},
        "flags": [],
    } | facts


def entry_of_slices(paths: list[Path], image: str, *, sop_uids: bool = True) -> dict[str, Any]:
    """An entry of images.json for a DICOM series."""
    grid, header, uids = grid_of_slices(paths)
    return image_entry(
        grid,
        image=image,
        session=session_name(str(header.StudyInstanceUID)),
        modality=str(header.Modality),
        units={"CT": "HU", "PT": "SUVbw"}.get(str(header.Modality), ""),
        series_uid=str(header.SeriesInstanceUID),
        series=series_name(str(header.SeriesInstanceUID)),
        frame_of_reference=str(header.get("FrameOfReferenceUID") or ""),
        **({"sop_uids": uids} if sop_uids else {}),
    )


def images_manifest(folder: Path, entries: list[dict[str, Any]], unchosen: list[str] = ()) -> Path:
    """Write images.json; `unchosen` are Series Instance UIDs of series that exist but were not chosen."""
    sessions = sorted({entry["session"] for entry in entries})
    series = [{"series": entry["series"], "state": "used", "image": entry["image"]} for entry in entries]
    series += [{"series": series_name(uid), "state": "not_chosen", "image": ""} for uid in unchosen]
    path = folder / "images" / "images.json"
    write_json(
        path,
        {
            "cohort": "test",
            "patient": "p1",
            "sessions": [{"session": name, "order": at, "day": 30 * at} for at, name in enumerate(sessions)],
            "images": entries,
            "series": series,
            "set_aside": [],
        },
    )
    return path


def contours_manifest(folder: Path, objects: list[Path], *, roi_names: str = "original") -> Path:
    """Write contours.json for objects that stay where they are (root "source", paths below /)."""
    files = []
    for path in objects:
        header = pydicom.dcmread(path, stop_before_pixels=True, force=True)
        series_uid = str(header.get("SeriesInstanceUID") or "2.25.9")
        files.append(
            {
                "path": str(path.resolve().relative_to("/")),
                "sha256": "",
                "modality": str(header.get("Modality") or "RTSTRUCT"),
                "session": session_name(str(header.get("StudyInstanceUID") or "2.25.1000")),
                "series": series_name(series_uid),
                "series_uid": series_uid,
                "sop_uid": str(header.get("SOPInstanceUID") or ""),
            }
        )
    path = folder / "dicom" / "contours.json"
    write_json(
        path,
        {
            "cohort": "test",
            "patient": "p1",
            "part": "contours",
            "root": "source",
            "roi_names": roi_names,
            "files_in": len(files),
            "files": files,
            "set_aside": [],
        },
    )
    return path


def draw(
    folder: Path,
    entries: list[dict[str, Any]],
    objects: list[Path],
    rois: dict[str, list[str]],
    *,
    files: Path | None = None,
    roi_names: str = "original",
    unchosen: list[str] = (),
    mask_set: str = "manual",
    numbers: Path | None = None,
) -> dict[str, Any]:
    """Run draw_masks and return masks.json; masks lie in folder/masks. Nothing may be lost on the way."""
    draw_masks(
        images_manifest(folder, entries, unchosen),
        contours_manifest(folder, objects, roi_names=roi_names),
        Path("/"),
        files,
        mask_set=mask_set,
        rois=rois,
        out_dir=folder / "masks",
        numbers=numbers,
    )
    manifest = read_json(folder / "masks" / "masks.json")
    lost = [row for row in manifest["set_aside"] if row["stage"] == "masks"]
    assert manifest["rois_in"] == len(manifest["masks"]) + len(lost)
    written = {file.relative_to(folder / "masks").as_posix() for file in (folder / "masks").rglob("*.nii.gz")}
    assert written == {mask["path"] for mask in manifest["masks"]}
    if mask_set == "manual":
        assert sum(row["files"] for row in manifest["series"]) == len(objects)
    return manifest


def voxels_of(folder: Path, mask: dict[str, Any]) -> np.ndarray:
    """Array of a mask that draw() wrote."""
    return np.asarray(read_nifti(folder / "masks" / mask["path"])[0])


def by_name(manifest: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Masks of a manifest by `<image>/<roi>-<n>`."""
    return {f"{mask['image']}/{mask['roi']}-{mask['lesion']}": mask for mask in manifest["masks"]}


def contour(points: np.ndarray, kind: str = "CLOSED_PLANAR", sop_uid: str = "", sop_class: str = "") -> pydicom.Dataset:
    """A contour item of points (n, 3) in RAS mm."""
    item = pydicom.Dataset()
    lps = np.asarray(points, dtype=float) * [-1, -1, 1]
    item.ContourGeometricType = kind
    item.NumberOfContourPoints = len(lps)
    item.ContourData = [f"{value:.9f}"[:16] for value in lps.reshape(-1)]
    if sop_uid:
        image = pydicom.Dataset()
        image.ReferencedSOPClassUID = sop_class or "1.2.840.10008.5.1.4.1.1.2"
        image.ReferencedSOPInstanceUID = sop_uid
        item.ContourImageSequence = [image]
    return item


def write_rtstruct(
    path: Path,
    rois: list[tuple[int, str, list[pydicom.Dataset]]],
    *,
    series: dict[str, list[str]] | None = None,
    frame_of_reference: str = "2.25.1002",
    series_uid: str = "2.25.77",
) -> Path:
    """Write an RTSTRUCT of (number, name, contours); `series`: referenced series and the instances listed for each."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.481.3"
    dataset.SOPInstanceUID = f"{series_uid}.1"
    dataset.SeriesInstanceUID = series_uid
    dataset.StudyInstanceUID = "2.25.1000"
    dataset.Modality = "RTSTRUCT"
    items = []
    for uid, sop_uids in ({"2.25.1001": []} if series is None else series).items():
        item = pydicom.Dataset()
        item.SeriesInstanceUID = uid
        item.ContourImageSequence = []
        for sop_uid in sop_uids:
            image = pydicom.Dataset()
            image.ReferencedSOPInstanceUID = sop_uid
            item.ContourImageSequence.append(image)
        items.append(item)
    study = pydicom.Dataset()
    study.RTReferencedSeriesSequence = items
    frame = pydicom.Dataset()
    frame.FrameOfReferenceUID = frame_of_reference
    frame.RTReferencedStudySequence = [study]
    dataset.ReferencedFrameOfReferenceSequence = [frame]
    dataset.StructureSetROISequence = []
    dataset.ROIContourSequence = []
    for number, name, contours in rois:
        named = pydicom.Dataset()
        named.ROINumber = number
        named.ROIName = name
        named.ReferencedFrameOfReferenceUID = frame_of_reference
        dataset.StructureSetROISequence.append(named)
        drawn = pydicom.Dataset()
        drawn.ReferencedROINumber = number
        drawn.ContourSequence = contours
        dataset.ROIContourSequence.append(drawn)
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path


def ring(grid: Grid, k: float, centre: tuple[float, float], radius_mm: float, points: int = 90) -> np.ndarray:
    """Circle in the plane of slice k: points (n, 3), RAS mm, about voxel indices (i, j), whatever the grid's axes."""
    axes = grid.affine_ras[:3, :3]
    u = axes[:, 0] / np.linalg.norm(axes[:, 0])
    v = axes[:, 1] - (axes[:, 1] @ u) * u
    v /= np.linalg.norm(v)
    middle = axes @ np.array([*centre, k]) + grid.affine_ras[:3, 3]
    angle = np.linspace(0, 2 * np.pi, points, endpoint=False)[:, None]
    return middle + radius_mm * (np.cos(angle) * u + np.sin(angle) * v)


def box(grid: Grid, k: float, low: tuple[float, float], high: tuple[float, float]) -> np.ndarray:
    """Rectangle in the plane of slice k between two corners in voxel indices: points (4, 3), RAS mm."""
    corners = [(low[0], low[1]), (high[0], low[1]), (high[0], high[1]), (low[0], high[1])]
    return np.array([grid.affine_ras[:3] @ [*corner, k, 1.0] for corner in corners])


def write_seg(
    path: Path,
    segments: dict[int, tuple[str, np.ndarray]],
    grid: Grid,
    *,
    kind: str = "BINARY",
    sparse: bool = True,
    series_uid: str = "2.25.1001",
    frame_of_reference: str = "2.25.1002",
    padding: int | None = None,
    source_uids: list[str] | None = None,
    own_uid: str = "2.25.88",
) -> Path:
    """Write a SEG of segments (number -> label and array (i, j, k); FRACTIONAL: 0..1) with planes i, j of a grid."""
    dataset = pydicom.Dataset()
    dataset.SOPClassUID = "1.2.840.10008.5.1.4.1.1.66.4"
    dataset.SOPInstanceUID = f"{own_uid}.1"
    dataset.SeriesInstanceUID = own_uid
    dataset.StudyInstanceUID = "2.25.1000"
    dataset.FrameOfReferenceUID = frame_of_reference
    dataset.Modality = "SEG"
    dataset.SegmentationType = kind
    dataset.MaximumFractionalValue = 200
    dataset.Columns, dataset.Rows = grid.shape[:2]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.PixelRepresentation = 0
    dataset.BitsAllocated = dataset.BitsStored = 1 if kind == "BINARY" else 8
    dataset.HighBit = dataset.BitsAllocated - 1
    if padding is not None:
        dataset.PixelPaddingValue = padding
    if series_uid:
        item = pydicom.Dataset()
        item.SeriesInstanceUID = series_uid
        dataset.ReferencedSeriesSequence = [item]
    dataset.SegmentSequence = []
    for number, (label, _) in segments.items():
        item = pydicom.Dataset()
        item.SegmentNumber = number
        item.SegmentLabel = label
        dataset.SegmentSequence.append(item)
    axes = grid.affine_ras[:3, :3] * np.array([[-1.0], [-1.0], [1.0]])
    lengths = np.linalg.norm(axes, axis=0)
    orientation = pydicom.Dataset()
    orientation.ImageOrientationPatient = [
        f"{value:.12f}"[:16] for value in (*(axes[:, 0] / lengths[0]), *(axes[:, 1] / lengths[1]))
    ]
    measures = pydicom.Dataset()
    measures.PixelSpacing = [f"{lengths[1]:.10f}"[:16], f"{lengths[0]:.10f}"[:16]]
    measures.SpacingBetweenSlices = f"{lengths[2]:.10f}"[:16]
    shared = pydicom.Dataset()
    shared.PlaneOrientationSequence = [orientation]
    shared.PixelMeasuresSequence = [measures]
    dataset.SharedFunctionalGroupsSequence = [shared]
    frames, groups = [], []
    stacks: list[tuple[int, np.ndarray]] = [(number, array) for number, (_, array) in segments.items()]
    if kind == "LABELMAP":
        labels = np.full(grid.shape, padding or 0, dtype=np.uint8)
        for number, array in stacks:
            labels[array > 0] = number
        stacks = [(0, labels)]
    for number, array in stacks:
        for k in range(grid.shape[2]):
            plane = array[:, :, k].T
            if sparse and not (plane != (padding or 0)).any():
                continue
            group = pydicom.Dataset()
            position = pydicom.Dataset()
            at = grid.affine_ras[:3] @ [0, 0, k, 1]
            position.ImagePositionPatient = [f"{value:.10f}"[:16] for value in at * [-1, -1, 1]]
            group.PlanePositionSequence = [position]
            if number:
                identification = pydicom.Dataset()
                identification.ReferencedSegmentNumber = number
                group.SegmentIdentificationSequence = [identification]
            if source_uids:
                image = pydicom.Dataset()
                image.ReferencedSOPInstanceUID = source_uids[k]
                derivation = pydicom.Dataset()
                derivation.SourceImageSequence = [image]
                group.DerivationImageSequence = [derivation]
            groups.append(group)
            frames.append(np.rint(plane * 200) if kind == "FRACTIONAL" else plane)
    dataset.PerFrameFunctionalGroupsSequence = groups
    dataset.NumberOfFrames = len(frames)
    pixels = np.asarray(frames, dtype=np.uint8)
    packed = np.packbits(pixels.reshape(-1), bitorder="little") if kind == "BINARY" else pixels.reshape(-1)
    raw = packed.tobytes()
    dataset.PixelData = raw + b"\0" * (len(raw) % 2)
    dataset["PixelData"].VR = "OB"
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    path.parent.mkdir(parents=True, exist_ok=True)
    dataset.save_as(path, enforce_file_format=True)
    return path
