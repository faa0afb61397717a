"""A DICOM SEG (BINARY) of masks on the grid of their image: PS3.3 A.51, C.8.20.

Written frame by frame from blocks of the masks. The class of highdicom that does the same wants all segments of all
slices in one array, which a whole body with twenty lesions does not leave room for. Nothing here comes from a clock or
from chance: UIDs are hashes of names and contents, dates those of the source series.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from highdicom import AlgorithmIdentificationSequence
from highdicom.seg import SegmentDescription
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.sr.codedict import Code, codes
from pydicom.uid import UID, ExplicitVRLittleEndian, SegmentationStorage
from pydicom.valuerep import DS

from osteorad.images.lattice import overlap
from osteorad.images.volume import Grid, Patch
from osteorad.provenance import digest
from osteorad.segmentation.seg_pixels import packed, pixels
from osteorad.segmentation.seg_source import LPS_TO_RAS, Plane, SourceSeries

# of this program, the same in every installation and in every DICOM file that it writes
WRITER = ("2.25.185975198117143077281674851152394535237", "OSTEORAD")
NO_DATE, NO_TIME = "19000101", "000000"  # a SEG must have a date; this one nobody takes for a real one
SEGMENT_NUMBER, SEGMENT_GROUP = 0x0062000B, 0x0062000A
POSITION, POSITION_GROUP = 0x00200032, 0x00209113
# what a de-identified source says of itself holds for what is derived from it
KEPT = (
    "PatientID", "PatientSex", "StudyInstanceUID", "StudyDate", "StudyTime", "FrameOfReferenceUID",
    "PatientIdentityRemoved", "DeidentificationMethod", "DeidentificationMethodCodeSequence",
    "LongitudinalTemporalInformationModified", "RecognizableVisualFeatures",
    "LossyImageCompression", "LossyImageCompressionRatio", "LossyImageCompressionMethod",
)  # fmt: skip
EMPTY = ("PatientBirthDate", "AccessionNumber", "StudyID", "ReferringPhysicianName", "PositionReferenceIndicator")
SEGMENTED = Code("113076", "DCM", "Segmentation")  # by this name pydicom has the modality
# ROI -> category and type of the property (CID 7150 and its kin; SNOMED CT)
PROPERTIES: Mapping[str, tuple[Code, Code]] = {
    "bone": (codes.SCT.AnatomicalStructure, codes.SCT.Bone),
    "lesion": (
        codes.SCT.MorphologicallyAbnormalStructure,
        Code("14799000", "SCT", "Neoplasm, metastatic"),
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Segment:
    """One mask: its ROI and label, what it is followed by in time, and its voxels; None: it holds none."""

    roi: str
    label: str
    tracking_id: str
    tracking_uid: str
    patch: Patch | None
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """Who drew the masks, and how the object is called. names : everything that makes this series this series."""

    names: tuple[str, ...]
    content: str  # hash of the masks
    patient: str
    series_number: int
    series_description: str
    algorithm: str
    version: str
    parameters: Mapping[str, str]


def uid_of(*names: str) -> str:
    """A UID from names: `2.25.` and 128 bits of their hash, as a decimal."""
    return f"2.25.{int(digest(list(names), 32), 16)}"


def seg_object(
    segments: Sequence[Segment], series: SourceSeries, planes: Sequence[Plane | None], grid: Grid, making: Making
) -> Dataset:
    """The SEG of one image. planes : source of each slice of the grid, as `SourceSeries.slices` gives them.

    A segment without voxels has no frame; where none has any, the first has all frames: that the image was looked at
    and nothing was seen. ValueError for a ROI without code.
    """
    frames = [(n, k) for n, segment in enumerate(segments, start=1) for k in _slices(segment.patch)]
    frames = frames or [(1, k) for k in range(grid.shape[2])]
    dataset = _general(series.header, making)
    dataset.update(_image(segments, grid, len(frames), making))
    dataset.SegmentSequence = [_described(n, segment, making) for n, segment in enumerate(segments, start=1)]
    dataset.ReferencedSeriesSequence = [_references(series, planes)]
    dataset.DimensionOrganizationSequence = [_item(DimensionOrganizationUID=_dimensions(making))]
    dataset.DimensionIndexSequence = [
        _index(making, SEGMENT_NUMBER, SEGMENT_GROUP, "Segment"),
        _index(making, POSITION, POSITION_GROUP, "Position"),
    ]
    dataset.SharedFunctionalGroupsSequence = [_shared(series.header, planes, grid)]
    dataset.PerFrameFunctionalGroupsSequence = [_frame(n, k, planes[k], grid) for n, k in frames]
    dataset.PixelData = packed(pixels(segments[n - 1].patch, k, grid) for n, k in frames)
    dataset["PixelData"].VR = "OB"
    return dataset


def file_bytes(dataset: Dataset) -> bytes:
    """The bytes of a file of the object; the same object gives the same bytes."""
    stream = io.BytesIO()
    dataset.save_as(stream, enforce_file_format=True)
    return stream.getvalue()


def _slices(patch: Patch | None) -> list[int]:
    """Slices in which a patch holds voxels."""
    if patch is None:
        return []
    return [patch.start[2] + int(k) for k in np.flatnonzero(patch.array.any(axis=(0, 1)))]


# --- modules ----------------------------------------------------------------------------------------------------------


def _item(**values: object) -> Dataset:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return item


def _code(code: Code) -> Dataset:
    return _item(CodeValue=code.value, CodingSchemeDesignator=code.scheme_designator, CodeMeaning=code.meaning)


def _general(header: Dataset, making: Making) -> Dataset:
    """Patient, study, series, equipment, SOP common: of the source what identifies the study, and nobody's name."""
    dataset = Dataset()
    dataset.SpecificCharacterSet = "ISO_IR 192"
    for name in EMPTY:
        setattr(dataset, name, "")
    for name in ("StudyDate", "StudyTime", "PatientSex"):
        setattr(dataset, name, "")
    for name in KEPT:
        if name in header:
            dataset[name] = header[name]
    dataset.PatientName = making.patient
    dataset.SOPClassUID = SegmentationStorage
    dataset.SOPInstanceUID = uid_of(*making.names, "instance", making.content)
    dataset.SeriesInstanceUID = uid_of(*making.names, "series")
    dataset.Modality = "SEG"
    dataset.SeriesNumber, dataset.InstanceNumber = making.series_number, 1
    dataset.SeriesDescription = making.series_description
    dataset.SeriesDate = dataset.ContentDate = _first(header, "Date") or NO_DATE
    dataset.SeriesTime = dataset.ContentTime = _first(header, "Time") or NO_TIME
    dataset.Manufacturer = dataset.ManufacturerModelName = "osteorad"
    dataset.DeviceSerialNumber, dataset.SoftwareVersions = "0", making.version
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = SegmentationStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.file_meta.ImplementationClassUID, dataset.file_meta.ImplementationVersionName = UID(WRITER[0]), WRITER[1]
    return dataset


def _first(header: Dataset, kind: str) -> str:
    """Date or time of the source series, else of what stands nearest to it."""
    names = (f"{part}{kind}" for part in ("Series", "Content", "Acquisition", "Study"))
    return next((str(header[name].value) for name in names if name in header and header[name].value), "")


def _image(segments: Sequence[Segment], grid: Grid, frames: int, making: Making) -> Dataset:
    """Segmentation image: one bit a pixel."""
    held = [segment.patch for segment in segments if segment.patch is not None]
    return _item(
        ImageType=["DERIVED", "PRIMARY"],
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        NumberOfFrames=frames,
        Rows=grid.shape[1],
        Columns=grid.shape[0],
        BitsAllocated=1,
        BitsStored=1,
        HighBit=0,
        PixelRepresentation=0,
        LossyImageCompression="00",
        SegmentationType="BINARY",
        SegmentsOverlap="YES" if any(overlap(one, other) for one, other in combinations(held, 2)) else "NO",
        ContentLabel="SEGMENTATION",
        ContentDescription=making.series_description,
        ContentCreatorName="",
    )


def _described(number: int, segment: Segment, making: Making) -> Dataset:
    if segment.roi not in PROPERTIES:
        raise ValueError(f"no code for the ROI {segment.roi}; known: {', '.join(sorted(PROPERTIES))}")
    category, kind = PROPERTIES[segment.roi]
    described = SegmentDescription(
        segment_number=number,
        segment_label=segment.label,
        segmented_property_category=category,
        segmented_property_type=kind,
        algorithm_type="AUTOMATIC",
        algorithm_identification=AlgorithmIdentificationSequence(
            name=making.algorithm,
            family=codes.DCM.ArtificialIntelligence,
            version=making.version,
            parameters=dict(making.parameters),
        ),
        tracking_uid=segment.tracking_uid,
        tracking_id=segment.tracking_id,
    )
    if segment.description:
        described.SegmentDescription = segment.description
    return described


def _references(series: SourceSeries, planes: Sequence[Plane | None]) -> Dataset:
    """The instances that slices were made of, in the order of the slices; all of the series where one is not known."""
    known = [plane for plane in planes if plane is not None]
    used = known if len(known) == len(planes) else series.planes
    instances = dict.fromkeys((plane.sop_class, plane.sop_uid) for plane in used)
    return _item(
        SeriesInstanceUID=str(series.header.SeriesInstanceUID),
        ReferencedInstanceSequence=[
            _item(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=sop_uid) for sop_class, sop_uid in instances
        ],
    )


def _dimensions(making: Making) -> str:
    return uid_of(*making.names, "dimensions")


def _index(making: Making, pointer: int, group: int, label: str) -> Dataset:
    return _item(
        DimensionOrganizationUID=_dimensions(making),
        DimensionIndexPointer=pointer,
        FunctionalGroupPointer=group,
        DimensionDescriptionLabel=label,
    )


# --- functional groups ------------------------------------------------------------------------------------------------


def _shared(header: Dataset, planes: Sequence[Plane | None], grid: Grid) -> Dataset:
    """Pixel spacing and orientation: in the words of the source where it has them, else of the grid."""
    source = next((plane for plane in planes if plane is not None), None)
    between_columns, between_rows, between_slices = grid.spacing_mm
    axes = LPS_TO_RAS @ grid.affine_ras[:3, :2] / (between_columns, between_rows)
    spacing = source.spacing if source is not None else (between_rows, between_columns)
    orientation = source.orientation if source is not None else tuple(axes.T.ravel())
    thickness = float(header.get("SliceThickness") or 0.0) or between_slices
    measures = _item(
        PixelSpacing=_decimals(spacing),
        SliceThickness=DS(thickness, auto_format=True),
        SpacingBetweenSlices=DS(between_slices, auto_format=True),
    )
    return _item(
        PixelMeasuresSequence=[measures],
        PlaneOrientationSequence=[_item(ImageOrientationPatient=_decimals(orientation))],
    )


def _frame(number: int, k: int, plane: Plane | None, grid: Grid) -> Dataset:
    """Functional groups of the frame of segment `number` on slice k."""
    own = LPS_TO_RAS @ (grid.affine_ras @ [0, 0, k, 1])[:3]
    return _item(
        DerivationImageSequence=[_derivation(plane)] if plane is not None else [],
        FrameContentSequence=[_item(DimensionIndexValues=[number, k + 1])],
        PlanePositionSequence=[_item(ImagePositionPatient=_decimals(plane.position if plane is not None else own))],
        SegmentIdentificationSequence=[_item(ReferencedSegmentNumber=number)],
    )


def _derivation(plane: Plane) -> Dataset:
    source = _item(
        ReferencedSOPClassUID=plane.sop_class,
        ReferencedSOPInstanceUID=plane.sop_uid,
        SpatialLocationsPreserved="YES",
        PurposeOfReferenceCodeSequence=[_code(codes.DCM.SourceImageForImageProcessingOperation)],
    )
    if plane.frame is not None:
        source.ReferencedFrameNumber = plane.frame
    return _item(SourceImageSequence=[source], DerivationCodeSequence=[_code(SEGMENTED)])


def _decimals(values: Iterable[float]) -> list[Any]:
    return [DS(float(value), auto_format=True) for value in values]
