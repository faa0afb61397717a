"""What else lies in an export: scouts and a coronal reformat of the CT."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np
from pydicom.dataset import Dataset

from osteorad.phantom import headers
from osteorad.phantom.encode import chunks, file_bytes
from osteorad.phantom.headers import Visit
from osteorad.phantom.scan import Scan
from osteorad.phantom.series import CT_CLASS, DicomFile, Volume3D, file_name, geometry_of, image_base, number_text

CORONAL_STEP = 4


def write_scouts(visit: Visit, scan: Scan, series: int) -> Iterator[DicomFile]:
    """A frontal and a lateral scout: the mean along a direction, as a projection."""
    geometry = geometry_of(scan.frame, visit)
    (x, y, _), (dx, dy, dz) = geometry.origin, geometry.spacing
    top = geometry.slice_z(scan.frame.shape[0] - 1)
    hu = scan.array.astype(np.float32)
    middle_x = x + dx * (scan.frame.shape[2] - 1) / 2
    middle_y = y + dy * (scan.frame.shape[1] - 1) / 2
    views = (
        (hu.mean(axis=1)[::-1], [x, middle_y, top], [1, 0, 0, 0, 0, -1], (dz, dx)),
        (hu.mean(axis=2)[::-1], [middle_x, y, top], [0, 1, 0, 0, 0, -1], (dz, dy)),
    )
    for instance, (view, position, turn, spacing) in enumerate(views, start=1):
        ds = image_base(
            visit, modality="CT", series=series, description="Topogram", moment=visit.when, shape=view.shape
        )
        ds.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
        ds.KVP = "120"
        ds.AcquisitionNumber = 1
        ds.SliceThickness = None
        yield _image(visit, ds, view, position, turn, spacing, series, instance)


def write_reformat(visit: Visit, volume: Volume3D, scan: Scan, series: int) -> Iterator[DicomFile]:
    """Coronal slices through the CT, every fourth row."""
    (x, y, _), (dx, dy, dz) = volume.geometry.origin, volume.geometry.spacing
    top = volume.geometry.slice_z(volume.shape[0] - 1)
    rows = range(volume.shape[1] // 4, 3 * volume.shape[1] // 4, CORONAL_STEP)
    for instance, row in enumerate(rows, start=1):
        view = scan.array[::-1, row].astype(np.float32)
        ds = image_base(visit, modality="CT", series=series, description="MPR cor", moment=visit.when, shape=view.shape)
        ds.ImageType = ["DERIVED", "SECONDARY", "MPR"]
        ds.KVP = "120"
        ds.AcquisitionNumber = 1
        ds.SliceThickness = number_text(dy * CORONAL_STEP)
        yield _image(visit, ds, view, [x, y + row * dy, top], [1, 0, 0, 0, 0, -1], (dz, dx), series, instance)


def _image(
    visit: Visit,
    ds: Dataset,
    view: np.ndarray,
    position: list[float],
    turn: list[int],
    spacing: tuple[float, float],
    series: int,
    instance: int,
) -> DicomFile:
    moment = visit.when + timedelta(seconds=instance)
    ds.SOPInstanceUID = visit.sop_uid(series, instance)
    ds.InstanceNumber = instance
    ds.AcquisitionTime = ds.ContentTime = headers.clock_text(moment)
    ds.ImagePositionPatient = [number_text(round(p, 4)) for p in position]
    ds.ImageOrientationPatient = turn
    ds.PixelSpacing = [number_text(s) for s in spacing]
    ds.RescaleIntercept, ds.RescaleSlope, ds.RescaleType = "-1024", "1", "HU"
    ds.PixelRepresentation, ds.BitsStored, ds.HighBit = 0, 12, 11
    ds.WindowCenter, ds.WindowWidth = "40", "400"
    stored = np.clip(np.rint(view + 1024), 0, 4095).astype(np.uint16)
    ds.add_new(0x7FE00010, "OW", stored.tobytes())
    content = file_bytes(
        chunks(ds, implicit=visit.implicit, charset=visit.charset),
        {},
        sop_class=CT_CLASS,
        sop_uid=ds.SOPInstanceUID,
        implicit=visit.implicit,
        preamble=headers.preamble(visit),
        application_title=headers.application_title(visit),
    )
    return DicomFile(name=file_name(visit, "CT", series, instance), content=content)
