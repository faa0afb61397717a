"""DICOM files with planted identities, built in code for the tests of de-identification."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian

from osteorad.cohort.pseudonyms import patient_pseudonym
from osteorad.dicom.deidentify import deidentify_patient

KEY = bytes(range(32))
PROJECT_KEY = bytes(range(32, 64))
ROOT = "1.2.752.19601231"  # a root that embeds a birth date
CT, PET, RTSTRUCT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.128", "1.2.840.10008.5.1.4.1.1.481.3"
SOURCE_ID = "MRN-778899"
PATIENT = patient_pseudonym(KEY, SOURCE_ID)


def base(sop_class: str, modality: str, *, series: int = 1, instance: int = 1) -> Dataset:
    """Header of an object of the test patient, without pixels."""
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID, ds.Modality = sop_class, modality
    ds.SOPInstanceUID = f"{ROOT}.{series}.{instance}"
    ds.SeriesInstanceUID, ds.StudyInstanceUID = f"{ROOT}.{series}", ROOT
    ds.FrameOfReferenceUID = f"{ROOT}.77"
    ds.PatientID, ds.PatientName, ds.PatientBirthDate = SOURCE_ID, "Quastenflosser^Ottilie", "19310704"
    ds.PatientSex, ds.PatientAge, ds.PatientWeight, ds.PatientSize = "F", "094Y", "71", "1.63"
    ds.StudyDate = ds.SeriesDate = ds.AcquisitionDate = ds.ContentDate = "20240229"
    ds.StudyTime, ds.SeriesTime, ds.AcquisitionTime, ds.ContentTime = "101112.345", "101500", "101600", "101700"
    ds.AccessionNumber, ds.StudyID, ds.ReferringPhysicianName = "ACC55443322", "STUD4711", "Hausarzt^Heribert"
    ds.Manufacturer, ds.ManufacturerModelName = "ACME", "Scan 3000"
    ds.SeriesNumber, ds.InstanceNumber = series, instance
    return ds


def image(sop_class: str = CT, modality: str = "CT", *, instance: int = 1, **more: Any) -> Dataset:
    """A CT or PET slice of 4 x 4 pixels; `more` are elements by keyword."""
    ds = base(sop_class, modality, series=1 if modality == "CT" else 3, instance=instance)
    ds.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
    ds.ImagePositionPatient, ds.ImageOrientationPatient = [0, 0, 3 * instance], [1, 0, 0, 0, 1, 0]
    ds.PixelSpacing, ds.SliceThickness = [1, 1], 3
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.Rows = ds.Columns = 4
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 1
    ds.RescaleIntercept, ds.RescaleSlope = 0, 1
    ds.PixelData = bytes((7 * instance + i) % 251 for i in range(32))
    for keyword, value in more.items():
        setattr(ds, keyword, value)
    return ds


def pet(instance: int = 1) -> Dataset:
    """A PET slice with all that its SUV needs."""
    ds = image(PET, "PT", instance=instance, Units="BQML", DecayCorrection="START", CorrectedImage=["DECY", "ATTN"])
    drug = Dataset()
    drug.Radiopharmaceutical = "FDG"
    drug.RadiopharmaceuticalStartTime, drug.RadiopharmaceuticalStartDateTime = "091500", "20240229091500"
    drug.RadionuclideTotalDose, drug.RadionuclideHalfLife = 370000000, 6586.2
    ds.RadiopharmaceuticalInformationSequence = Sequence([drug])
    return ds


def rtstruct(names: Mapping[int, str]) -> Dataset:
    """An RTSTRUCT on the CT series: ROI number -> name, a square each."""
    ds = base(RTSTRUCT, "RTSTRUCT", series=2)
    ds.StructureSetLabel, ds.StructureSetName, ds.StructureSetDate = "LABEL QQX1", "NAME QQX2", "20240301"
    reference = Dataset()
    reference.ReferencedSOPClassUID, reference.ReferencedSOPInstanceUID = CT, f"{ROOT}.1.1"
    series = Dataset()
    series.SeriesInstanceUID, series.ContourImageSequence = f"{ROOT}.1", Sequence([reference])
    study = Dataset()
    study.ReferencedSOPClassUID, study.ReferencedSOPInstanceUID = "1.2.840.10008.3.1.2.3.1", ROOT
    study.RTReferencedSeriesSequence = Sequence([series])
    frame = Dataset()
    frame.FrameOfReferenceUID, frame.RTReferencedStudySequence = f"{ROOT}.77", Sequence([study])
    ds.ReferencedFrameOfReferenceSequence = Sequence([frame])
    rois, contours = [], []
    for number, name in names.items():
        roi = Dataset()
        roi.ROINumber, roi.ROIName, roi.ReferencedFrameOfReferenceUID = number, name, f"{ROOT}.77"
        roi.ROIDescription, roi.ROIGenerationAlgorithm = "described by QQX3", "MANUAL"
        rois.append(roi)
        contour = Dataset()
        contour.ContourGeometricType, contour.NumberOfContourPoints = "CLOSED_PLANAR", 4
        contour.ContourData = [2, 2, 0, 10, 2, 0, 10, 10, 0, 2, 10, 0]
        contour.ContourImageSequence = Sequence([reference])
        drawn = Dataset()
        drawn.ReferencedROINumber, drawn.ContourSequence = number, Sequence([contour])
        contours.append(drawn)
    ds.StructureSetROISequence, ds.ROIContourSequence = Sequence(rois), Sequence(contours)
    return ds


def save(ds: Dataset, path: Path, syntax: str = ExplicitVRLittleEndian, preamble: bytes | None = None) -> Path:
    """Write a data set under a transfer syntax; returns the path."""
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = syntax
    ds.file_meta.SourceApplicationEntityTitle = "QQAETITLE"
    ds.preamble = preamble
    ds.save_as(path, enforce_file_format=True)
    return path


def run(files: list[Path], work: Path, part: str = "images", **changes: Any) -> dict[str, Any]:
    """De-identify with the test key; the manifest, with `out` the folder it lies in."""
    out = work / "dicom" / PATIENT
    settings = {
        "cohort": "c",
        "patient": PATIENT,
        "key": KEY,
        "project_key": PROJECT_KEY,
        "part": part,
        "rois": {"lesion": ["gtv*", "met*"], "marrow": ["marrow*"]},
        "out_dir": out,
        "manifest": out / f"{part}.json",
        "files_in": len(files),
    }
    return deidentify_patient(files, **(settings | changes)) | {"out": out}


def outputs(manifest: Mapping[str, Any]) -> list[Path]:
    """Paths of the files of a manifest."""
    return [manifest["out"] / row["path"] for row in manifest["files"]]


def only(manifest: Mapping[str, Any]) -> pydicom.Dataset:
    """The one data set that a run wrote."""
    (path,) = outputs(manifest)
    return pydicom.dcmread(path)


def reasons(manifest: Mapping[str, Any]) -> list[str]:
    """Reason codes of what was set aside."""
    return [row["reason"] for row in manifest["set_aside"]]
