"""Enhanced multi-frame PET that is built here: values in shared and per-frame functional groups."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from osteorad.images.volume import read_nifti
from tests.unit.dicom.dicom_build import ROOT, convert, uptake

FACTOR = 2.8e-4
ORDER = (3, 0, 5, 1, 4, 2)  # frames lie in the file in an order that is not that of their positions


def group(**values: object) -> list[Dataset]:
    item = Dataset()
    for name, value in values.items():
        setattr(item, name, value)
    return [item]


def enhanced_pet(path: Path) -> None:
    """Bq/ml with a slope for each frame, decay corrected to a stated moment: one hour after the injection."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.SOPClassUID, ds.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.130", ROOT + ".6.1"
    ds.file_meta.MediaStorageSOPClassUID, ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    ds.Modality, ds.StudyInstanceUID, ds.SeriesInstanceUID = "PT", ROOT + ".91", ROOT + ".6"
    ds.FrameOfReferenceUID, ds.StudyDate, ds.SeriesDate = ROOT + ".77", "20200102", "20200102"
    ds.SeriesTime, ds.ImageType = "113000", ["ORIGINAL", "PRIMARY", "VOLUME", "NONE"]
    ds.AttenuationCorrected = ds.DecayCorrected = "YES"
    ds.DecayCorrectionDateTime = "20200102100000"
    ds.PatientWeight, ds.PatientSex, ds.Manufacturer = "70", "F", "ACME"
    ds.RadiopharmaceuticalInformationSequence = group(
        RadiopharmaceuticalStartDateTime="20200102090000",
        RadionuclideTotalDose=f"{70_000 / FACTOR * 2 ** (3600 / 6586.2):.4f}",
        RadionuclideHalfLife="6586.2",
    )
    suv = uptake()
    frames, stored = [], []
    for k in ORDER:
        slope = 1.0 + 0.25 * k
        stored.append(np.rint(suv[k] / FACTOR / slope).astype(np.uint16))
        item = Dataset()
        item.PlanePositionSequence = group(ImagePositionPatient=[-30, -30, 30 + 3 * k])
        item.PixelValueTransformationSequence = group(
            RescaleSlope=f"{slope:g}", RescaleIntercept="0", RescaleType="BQML"
        )
        item.FrameContentSequence = group(FrameAcquisitionDateTime="20200102101500", FrameAcquisitionDuration=120_000.0)
        # a map to other units must not be taken for the slope
        item.RealWorldValueMappingSequence = group(RealWorldValueSlope=9.0, RealWorldValueIntercept=0.0)
        frames.append(item)
    ds.PerFrameFunctionalGroupsSequence = frames
    shared = Dataset()
    shared.PlaneOrientationSequence = group(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])
    shared.PixelMeasuresSequence = group(PixelSpacing=[4, 4], SliceThickness="3")
    ds.SharedFunctionalGroupsSequence = [shared]
    ds.NumberOfFrames, (ds.Rows, ds.Columns) = len(ORDER), stored[0].shape
    ds.SamplesPerPixel, ds.PhotometricInterpretation = 1, "MONOCHROME2"
    ds.BitsAllocated, ds.BitsStored, ds.HighBit, ds.PixelRepresentation = 16, 16, 15, 0
    ds.PixelData = np.stack(stored).tobytes()
    path.parent.mkdir(parents=True)
    ds.save_as(path, enforce_file_format=True)


@pytest.mark.parametrize("compressed", [False, True])
def test_enhanced_pet(tmp_path, compressed):
    path = tmp_path / "in" / "pet.dcm"
    enhanced_pet(path)
    if compressed:
        ds = pydicom.dcmread(path)
        ds.compress(RLELossless, generate_instance_uid=False)
        ds.save_as(path)
    result = convert(tmp_path / "in", tmp_path)
    (image,) = result["images"]
    array, _ = read_nifti(tmp_path / "images" / image["path"])
    np.testing.assert_allclose(array, uptake().transpose(2, 1, 0), atol=5e-4)
    assert image["facts"]["suv"]["reference_rule"] == "stated"
    assert image["facts"]["uptake_min"] == pytest.approx(75)
    assert image["spacing_mm"] == pytest.approx([4, 4, 3])
    assert image["affine_ras"][2][3] == pytest.approx(30)
    (row,) = result["series"]
    assert (row["files"], row["slices"]) == (1, 6)


def test_stack_that_shares_its_file_with_another_counts_the_file_once(tmp_path):
    """Two frames that lie apart in orientation: a second row, without a file of its own."""
    path = tmp_path / "in" / "pet.dcm"
    enhanced_pet(path)
    ds = pydicom.dcmread(path)
    frame = ds.PerFrameFunctionalGroupsSequence[4]  # the last but one along z
    frame.PlaneOrientationSequence = group(ImageOrientationPatient=[1, 0, 0, 0, 0, -1])
    ds.save_as(path)
    result = convert(tmp_path / "in", tmp_path)
    assert [(row["files"], row["slices"], row["reason"]) for row in result["series"]] == [
        (1, 5, "missing_slices"),
        (0, 1, "mixed_orientation"),
    ]
