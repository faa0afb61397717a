"""DICOM files as bytes, fast: what a whole series shares is encoded once, each slice adds its own few elements.

The bytes are those that pydicom writes; its checks of values and of file meta information apply.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.charset import convert_encodings
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element, write_file_meta_info
from pydicom.uid import UID, ExplicitVRLittleEndian, ImplicitVRLittleEndian

IMPLEMENTATION_UID = "1.2.826.0.1.3680043.8.498.1"
Chunks = dict[int, bytes]


def chunks(dataset: Dataset, *, implicit: bool, charset: str) -> Chunks:
    """Each element of a data set, encoded, by tag."""
    encodings = convert_encodings(charset)
    correct_ambiguous_vr(dataset, True)
    found: Chunks = {}
    for element in dataset:
        sink = DicomBytesIO()
        sink.is_little_endian, sink.is_implicit_VR = True, implicit
        write_data_element(sink, element, encodings)
        found[int(element.tag)] = sink.getvalue()
    return found


def file_bytes(
    shared: Mapping[int, bytes],
    own: Mapping[int, bytes],
    *,
    sop_class: str,
    sop_uid: str,
    implicit: bool,
    preamble: bytes,
    application_title: str,
) -> bytes:
    """A whole DICOM file: preamble, file meta information, elements in order of tag (`own` wins)."""
    meta = FileMetaDataset()
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = UID(sop_uid)
    meta.TransferSyntaxUID = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
    meta.ImplementationClassUID = UID(IMPLEMENTATION_UID)
    meta.ImplementationVersionName = "OSTEORAD_PHANTOM"
    meta.SourceApplicationEntityTitle = application_title[:16]
    sink = DicomBytesIO()
    sink.write(preamble.ljust(128, b"\x00")[:128] + b"DICM")
    write_file_meta_info(sink, meta, enforce_standard=True)
    body = {**shared, **own}
    return sink.getvalue() + b"".join(body[tag] for tag in sorted(body))
