"""Contours as DICOM: RT Structure Set, or a binary Segmentation."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from osteorad.phantom import headers
from osteorad.phantom.contours import outlines
from osteorad.phantom.encode import chunks, file_bytes
from osteorad.phantom.headers import Visit
from osteorad.phantom.series import DicomFile, Volume3D, file_name, number_text

RTSTRUCT_CLASS = "1.2.840.10008.5.1.4.1.1.481.3"
SEG_CLASS = "1.2.840.10008.5.1.4.1.1.66.4"
STUDY_COMPONENT_CLASS = "1.2.840.10008.3.1.2.3.1"
COLORS = ((255, 64, 64), (64, 160, 255), (64, 220, 96), (250, 200, 40), (220, 90, 240), (90, 230, 230))


@dataclass(frozen=True, slots=True, kw_only=True)
class Roi:
    """A contoured region: what it is, its number and name as the hospital wrote them, and its voxels (z, y, x)."""

    key: str  # 'heart', 'marrow', 'lesion-1' ...
    number: int
    name: str
    mask: NDArray[np.bool_]


def write_rtstruct(visit: Visit, volume: Volume3D, rois: list[Roi], series: int) -> DicomFile:
    """One RT Structure Set with the contours of one image series."""
    moment = visit.when + timedelta(days=1, hours=2)
    ds = headers.base(visit, modality="RTSTRUCT", series=series, description=f"RTS {volume.modality}", moment=moment)
    plant, token = visit.plants.text, visit.person.token
    ds.SOPClassUID = RTSTRUCT_CLASS
    ds.SOPInstanceUID = visit.sop_uid(series, 1)
    ds.InstanceNumber = 1
    ds.FrameOfReferenceUID = visit.frame_uid
    ds.PositionReferenceIndicator = ""
    ds.StructureSetLabel = plant("(3006,0002)", token(f"LBL{volume.modality}"))
    ds.StructureSetName = f"RTS of {plant('(3006,0004)', token('SSNAME'))}"
    ds.StructureSetDescription = f"drawn with {plant('(3006,0006)', token('Resident'))}"
    ds.StructureSetDate = visit.plants.day(moment.date())
    ds.StructureSetTime = headers.clock_text(moment)
    ds.ReferencedFrameOfReferenceSequence = Sequence([_references(visit, volume)])
    ordered = rois[::-1] if visit.facts.vendor == "ge" else rois  # the order of items says nothing
    ds.StructureSetROISequence = Sequence([_roi_item(visit, roi) for roi in ordered])
    ds.ROIContourSequence = Sequence([_contours(visit, volume, roi) for roi in ordered])
    ds.RTROIObservationsSequence = Sequence([_observation(visit, roi) for roi in ordered])
    ds.ApprovalStatus = "APPROVED"
    ds.ReviewDate = visit.plants.day(moment.date())
    ds.ReviewTime = headers.clock_text(moment)
    ds.ReviewerName = plant("(300E,0008)", token("Reviewer"))
    ds.DataSetTrailingPadding = headers.padding(visit)
    headers.private_identity(ds, visit, "RT")
    return _one_file(visit, ds, series, "RTSTRUCT")


def _references(visit: Visit, volume: Volume3D) -> Dataset:
    images = []
    for k in range(volume.shape[0]):
        image = Dataset()
        image.ReferencedSOPClassUID, image.ReferencedSOPInstanceUID = volume.sop_class, volume.sop_uid(k)
        images.append(image)
    series = Dataset()
    series.SeriesInstanceUID = visit.series_uid(volume.series)
    series.ContourImageSequence = Sequence(images)
    study = Dataset()
    study.ReferencedSOPClassUID = STUDY_COMPONENT_CLASS
    study.ReferencedSOPInstanceUID = visit.study_uid
    study.RTReferencedSeriesSequence = Sequence([series])
    frame = Dataset()
    frame.FrameOfReferenceUID = visit.frame_uid
    frame.RTReferencedStudySequence = Sequence([study])
    return frame


def _roi_item(visit: Visit, roi: Roi) -> Dataset:
    item = Dataset()
    item.ROINumber = roi.number
    item.ReferencedFrameOfReferenceUID = visit.frame_uid
    item.ROIName = roi.name
    item.ROIDescription = f"asked by {visit.plants.text('(3006,0028)', visit.person.token('Tumourboard'))}"
    item.ROIGenerationAlgorithm = "MANUAL"
    return item


def _contours(visit: Visit, volume: Volume3D, roi: Roi) -> Dataset:
    item = Dataset()
    item.ReferencedROINumber = roi.number
    item.ROIDisplayColor = list(COLORS[roi.number % len(COLORS)])
    found = []
    for k in np.flatnonzero(roi.mask.any(axis=(1, 2))):
        for outline in outlines(roi.mask[k]):
            contour = Dataset()
            if visit.facts.vendor != "philips":  # optional, and often absent
                image = Dataset()
                image.ReferencedSOPClassUID = volume.sop_class
                image.ReferencedSOPInstanceUID = volume.sop_uid(int(k))
                contour.ContourImageSequence = Sequence([image])
            contour.ContourGeometricType = "CLOSED_PLANAR"
            contour.NumberOfContourPoints = len(outline)
            contour.ContourData = _coordinates(outline, volume, int(k))
            found.append(contour)
    if found:
        item.ContourSequence = Sequence(found)
    return item


def _coordinates(outline: NDArray[np.float64], volume: Volume3D, k: int) -> list[str]:
    """Points (row, column) as x, y, z in mm, four decimals."""
    (x, y, _), (dx, dy, _) = volume.geometry.origin, volume.geometry.spacing
    z = f"{volume.geometry.slice_z(k):.10g}"
    text: list[str] = []
    for row, column in outline:
        text += [f"{x + column * dx:.4f}", f"{y + row * dy:.4f}", z]
    return text


def _observation(visit: Visit, roi: Roi) -> Dataset:
    item = Dataset()
    item.ObservationNumber = roi.number
    item.ReferencedROINumber = roi.number
    item.ROIObservationLabel = visit.plants.text("(3006,0085)", visit.person.token("OBS"))
    item.RTROIInterpretedType = "GTV" if roi.key.startswith("lesion") else "ORGAN"
    item.ROIInterpreter = visit.plants.text("(3006,00A6)", visit.person.token("Reader"))
    return item


def write_seg(visit: Visit, volume: Volume3D, rois: list[Roi], series: int) -> DicomFile:
    """One binary Segmentation of one image series; only frames that hold something are stored."""
    moment = visit.when + timedelta(days=1, hours=2)
    ds = headers.base(visit, modality="SEG", series=series, description=f"SEG {volume.modality}", moment=moment)
    plant, token = visit.plants.text, visit.person.token
    ds.SOPClassUID = SEG_CLASS
    ds.SOPInstanceUID = visit.sop_uid(series, 1)
    ds.InstanceNumber = 1
    ds.FrameOfReferenceUID = visit.frame_uid
    ds.PositionReferenceIndicator = ""
    ds.ContentDate = visit.plants.day(moment.date())
    ds.ContentTime = headers.clock_text(moment)
    ds.ContentLabel = "SEGMENTATION"
    ds.ContentDescription = f"for {plant('(0070,0081)', token('CDESC'))}"
    ds.ContentCreatorName = plant("(0070,0084)", token("Creator"))
    ds.ImageType = ["DERIVED", "PRIMARY"]
    ds.SegmentationType, ds.LossyImageCompression = "BINARY", "00"
    ds.Rows, ds.Columns = volume.shape[1:]
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated = ds.BitsStored = 1
    ds.HighBit = ds.PixelRepresentation = 0
    ds.ReferencedSeriesSequence = Sequence([_seg_reference(visit, volume)])
    ds.SegmentSequence = Sequence([_segment(visit, n, roi) for n, roi in enumerate(rois, start=1)])
    _seg_frames(ds, visit, volume, rois)
    headers.private_identity(ds, visit, "SG")
    ds.DataSetTrailingPadding = headers.padding(visit)
    return _one_file(visit, ds, series, "SEG")


def _seg_reference(visit: Visit, volume: Volume3D) -> Dataset:
    reference = Dataset()
    reference.SeriesInstanceUID = visit.series_uid(volume.series)
    reference.ReferencedInstanceSequence = Sequence([_source(volume, k, purpose=False) for k in range(volume.shape[0])])
    return reference


def _source(volume: Volume3D, k: int, *, purpose: bool) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = volume.sop_class, volume.sop_uid(k)
    if purpose:
        item.SpatialLocationsPreserved = "YES"
        item.PurposeOfReferenceCodeSequence = Sequence(
            [headers.code_item("121322", "DCM", "Source image for image processing operation")]
        )
    return item


def _segment(visit: Visit, number: int, roi: Roi) -> Dataset:
    item = Dataset()
    item.SegmentNumber = number
    item.SegmentLabel = roi.name
    item.SegmentDescription = f"seen by {visit.plants.text('(0062,0006)', visit.person.token('Segreader'))}"
    item.SegmentAlgorithmType = "MANUAL"
    item.SegmentedPropertyCategoryCodeSequence = Sequence([headers.code_item("123037004", "SCT", "Body structure")])
    item.SegmentedPropertyTypeCodeSequence = Sequence([headers.code_item("272673000", "SCT", "Bone")])
    return item


def _seg_frames(ds: Dataset, visit: Visit, volume: Volume3D, rois: list[Roi]) -> None:
    organisation = Dataset()
    organisation.DimensionOrganizationUID = f"{ds.SOPInstanceUID}.7"
    ds.DimensionOrganizationSequence = Sequence([organisation])
    ds.DimensionIndexSequence = Sequence(
        [
            _dimension(organisation.DimensionOrganizationUID, 0x0062000B, 0x0062000A, "Segment"),
            _dimension(organisation.DimensionOrganizationUID, 0x00200032, 0x00209113, "Position"),
        ]
    )
    dx, dy, dz = volume.geometry.spacing
    measures, turn, shared = Dataset(), Dataset(), Dataset()
    measures.PixelSpacing, measures.SliceThickness, measures.SpacingBetweenSlices = (
        [number_text(dy), number_text(dx)],
        number_text(dz),
        number_text(dz),
    )
    turn.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    shared.PixelMeasuresSequence, shared.PlaneOrientationSequence = Sequence([measures]), Sequence([turn])
    ds.SharedFunctionalGroupsSequence = Sequence([shared])
    frames, planes = [], []
    for number, roi in enumerate(rois, start=1):
        for k in np.flatnonzero(roi.mask.any(axis=(1, 2))):
            frames.append(_frame(volume, number, int(k)))
            planes.append(roi.mask[k])
    ds.NumberOfFrames = len(frames)
    ds.PerFrameFunctionalGroupsSequence = Sequence(frames)
    bits = np.packbits(np.stack(planes).ravel(), bitorder="little").tobytes()
    ds.add_new(0x7FE00010, "OB", bits + b"\x00" * (len(bits) % 2))


def _dimension(organisation: str, pointer: int, group: int, label: str) -> Dataset:
    item = Dataset()
    item.DimensionOrganizationUID = organisation
    item.DimensionIndexPointer, item.FunctionalGroupPointer = pointer, group
    item.DimensionDescriptionLabel = label
    return item


def _frame(volume: Volume3D, segment: int, k: int) -> Dataset:
    x, y, _ = volume.geometry.origin
    content, position, derived, which, item = Dataset(), Dataset(), Dataset(), Dataset(), Dataset()
    content.DimensionIndexValues = [segment, k + 1]
    position.ImagePositionPatient = [number_text(x), number_text(y), number_text(volume.geometry.slice_z(k))]
    derived.SourceImageSequence = Sequence([_source(volume, k, purpose=True)])
    derived.DerivationCodeSequence = Sequence([headers.code_item("113076", "DCM", "Segmentation")])
    which.ReferencedSegmentNumber = segment
    item.FrameContentSequence = Sequence([content])
    item.PlanePositionSequence = Sequence([position])
    item.DerivationImageSequence = Sequence([derived])
    item.SegmentIdentificationSequence = Sequence([which])
    return item


def _one_file(visit: Visit, ds: Dataset, series: int, modality: str) -> DicomFile:
    content = file_bytes(
        chunks(ds, implicit=visit.implicit, charset=visit.charset),
        {},
        sop_class=ds.SOPClassUID,
        sop_uid=ds.SOPInstanceUID,
        implicit=visit.implicit,
        preamble=headers.preamble(visit),
        application_title=headers.application_title(visit),
    )
    return DicomFile(name=file_name(visit, modality, series, 1), content=content)
