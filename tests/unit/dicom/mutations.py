"""Damaged DICOM: seeded mutations of the phantom's files, and the way of a patient from the export to its masks.

Every mutation takes the bytes of a sound file and a generator and returns bytes that a broken disk, a careless exporter
or somebody malicious could have left behind.
"""

from __future__ import annotations

import io
import resource
import signal
import struct
import warnings
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.tag import Tag

from osteorad.cohort.sources import Source
from osteorad.dicom import index
from osteorad.dicom.adopt import adopt_patient
from osteorad.dicom.convert import convert_patient
from osteorad.dicom.deidentify import deidentify_patient
from osteorad.dicom.masks import draw_masks
from osteorad.errors import ConfigError
from osteorad.files import read_json

KEY = bytes(range(32))
ROIS = {"lesion": ["*lesion*", "*met*", "*gtv*"], "marrow": ["*marrow*", "*bm*"]}
DEFLATED = "1.2.840.10008.1.2.1.99"
SECONDS = 40
WAITING = 10
GIBIBYTE = 1 << 30
Mutation = Callable[[bytes, np.random.Generator], bytes]


class Hang(BaseException):
    """A case that took longer than it may; no `except Exception` hides it."""


@contextmanager
def bounded(seconds: int = SECONDS, more_bytes: int = 4 * GIBIBYTE) -> Iterator[None]:
    """Stop what works for longer or waits ten times as long (Hang), or asks for `more_bytes` more (MemoryError)."""

    def stop(number: int, frame: Any) -> None:
        raise Hang(f"more than {seconds} s of work, or {WAITING * seconds} s in all")

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    before = {number: signal.signal(number, stop) for number in (signal.SIGALRM, signal.SIGPROF)}
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + more_bytes, hard))
    signal.setitimer(signal.ITIMER_PROF, seconds)
    signal.alarm(WAITING * seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.setitimer(signal.ITIMER_PROF, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


# --- bytes ------------------------------------------------------------------------------------------------------------


def pixels_at(content: bytes) -> int:
    """Where the pixel data begin; the end of a file without."""
    found = content.rfind(b"\xe0\x7f\x10\x00")
    return found if found > 0 else len(content)


def truncated(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(0, len(content)))]


def truncated_in_the_header(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: int(rng.integers(120, pixels_at(content)))]


def truncated_by_a_little(content: bytes, rng: np.random.Generator) -> bytes:
    return content[: -int(rng.integers(1, 200))]


def flipped_in_the_header(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    for at in rng.integers(132, pixels_at(content), size=int(rng.integers(1, 12))):
        changed[at] ^= 1 << int(rng.integers(0, 8))
    return bytes(changed)


def flipped_in_the_pixels(content: bytes, rng: np.random.Generator) -> bytes:
    changed = bytearray(content)
    start = min(pixels_at(content), len(content) - 1)
    for at in rng.integers(start, len(content), size=int(rng.integers(1, 40))):
        changed[at] = int(rng.integers(0, 256))
    return bytes(changed)


def block_zeroed(content: bytes, rng: np.random.Generator) -> bytes:
    at, size = int(rng.integers(128, len(content))), int(rng.integers(1, 600))
    return content[:at] + b"\0" * len(content[at : at + size]) + content[at + size :]


def block_lost(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(128, len(content)))
    return content[:at] + content[at + int(rng.integers(1, 300)) :]


def block_twice(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(128, len(content)))
    size = int(rng.integers(1, 300))
    return content[: at + size] + content[at:]


def noise_between(content: bytes, rng: np.random.Generator) -> bytes:
    at = int(rng.integers(132, len(content)))
    return content[:at] + rng.bytes(int(rng.integers(1, 100))) + content[at:]


def another_representation(content: bytes, rng: np.random.Generator) -> bytes:
    """The two letters of a value representation changed."""
    at = _header_places(content, rng) + 4
    codes = (b"SQ", b"UN", b"OB", b"US", b"UL", b"FD", b"AT", b"DS", b"IS", b"LO", b"PN", b"UI", b"DA", b"UT", b"ZZ")
    return content[:at] + codes[int(rng.integers(len(codes)))] + content[at + 2 :]


def another_length(content: bytes, rng: np.random.Generator) -> bytes:
    """The length of an element changed."""
    at = _header_places(content, rng) + 6
    length = [0, 1, 7, 0x7FFE, 0xFFFE, 0xFFFF, int(rng.integers(0, 0xFFFF))][int(rng.integers(7))]
    return content[:at] + struct.pack("<H", length) + content[at + 2 :]


def another_long_length(content: bytes, rng: np.random.Generator) -> bytes:
    """The four-byte length of a sequence, item or the pixel data changed."""
    marks = [m for m in (b"SQ\0\0", b"OW\0\0", b"OB\0\0", b"UN\0\0", b"\xfe\xff\x00\xe0") if m in content]
    mark = marks[int(rng.integers(len(marks)))] if marks else content[132:136]
    at = content.rfind(mark) if rng.random() < 0.5 else content.find(mark)
    length = [0, 5, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF, int(rng.integers(0, 1 << 31))][int(rng.integers(6))]
    return content[: at + 4] + struct.pack("<L", length) + content[at + 8 :]


def _header_places(content: bytes, rng: np.random.Generator) -> int:
    """Where a random element of the top level begins (explicit little endian)."""
    places, at, end = [], 132, pixels_at(content)
    while at + 12 < end:
        places.append(at)
        vr = content[at + 4 : at + 6]
        if vr in (b"OB", b"OW", b"SQ", b"UN", b"UT", b"UC", b"UR"):
            length = struct.unpack_from("<L", content, at + 8)[0]
            if length == 0xFFFFFFFF:
                break
            at += 12 + length
        else:
            at += 8 + struct.unpack_from("<H", content, at + 6)[0]
    return places[int(rng.integers(len(places)))]


def empty(content: bytes, rng: np.random.Generator) -> bytes:
    return b""


def only_a_preamble(content: bytes, rng: np.random.Generator) -> bytes:
    return content[:132]


# --- values -----------------------------------------------------------------------------------------------------------


def parsed(content: bytes) -> Dataset:
    return pydicom.dcmread(io.BytesIO(content), force=True)


def written(ds: Dataset) -> bytes:
    """The bytes of a data set, wrong values included."""
    out = io.BytesIO()
    with warnings.catch_warnings(), pydicom.config.disable_value_validation():
        warnings.simplefilter("ignore")
        pydicom.dcmwrite(out, ds, enforce_file_format=False)
    return out.getvalue()


def raw(ds: Dataset, keyword: str, vr: str, value: bytes) -> None:
    """Put bytes under a keyword as they are."""
    tag = Tag(keyword)
    ds[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True, True)


TEXTS = (
    b"", b"abc", b"nan", b"inf", b"-inf", b"1e400", b"1e300", b"-1e300", b"0", b"-1", b"1,5", b"0x10", b"\xff\xfe\x00",
    b"1\\2", b"1\\2\\3\\4\\5\\6\\7", b"\\\\", b"1e-320", b"99999999999999999999", b"NaN\\NaN\\NaN",
    b"1e300\\1e300\\1e300",
    b"-1\\-1", b"0\\0", b"0\\0\\0\\0\\0\\0", b"inf\\0\\0", b"1\\0\\0\\1\\0\\0", b"\0\0\0\0", b"1 2", b"1.0.0",
)  # fmt: skip
NUMERIC = (
    "ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope", "RescaleIntercept",
    "SliceThickness", "PatientWeight", "PatientSize", "PatientAge", "FrameReferenceTime", "DecayFactor",
    "NumberOfFrames", "SeriesNumber", "InstanceNumber", "AcquisitionNumber", "KVP", "ActualFrameDuration",
    "NumberOfTemporalPositions", "NumberOfSlices", "NumberOfTimeSlices",
)  # fmt: skip
SHORTS = ("Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit", "SamplesPerPixel", "PixelRepresentation",
          "PixelPaddingValue", "PlanarConfiguration")  # fmt: skip
WORDS = (
    b"", b"../../etc/passwd", b"=cmd|' /C calc'!A0", b"<script>alert(1)</script>", b"a\tb\nc", b"CON", b"x" * 5000,
    b"\xff\xfe\xfd", b"\x1b$B\x1b", b"a\0b", b".", b"..", b"1.2.3/4", b"1" * 300, b"unplaced", b"\xf0\x9f\x92\xa9",
)  # fmt: skip
NAMES = (
    "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID", "FrameOfReferenceUID",
    "Modality", "SpecificCharacterSet", "IssuerOfPatientID", "PatientName", "SeriesDescription", "ImageType", "Units",
    "PhotometricInterpretation", "DecayCorrection", "CorrectedImage", "ConvolutionKernel", "StudyDate", "SeriesDate",
    "AcquisitionDate", "StudyTime", "SeriesTime", "AcquisitionTime", "PatientBirthDate", "BurnedInAnnotation",
    "LossyImageCompression", "SegmentationType", "PatientSex", "Manufacturer",
)  # fmt: skip


def _pick(rng: np.random.Generator, options: Any) -> Any:
    return options[int(rng.integers(len(options)))]


def wrong_number(content: bytes, rng: np.random.Generator) -> bytes:
    """Text, NaN, infinity, too many or too few values where a number belongs."""
    ds = parsed(content)
    here = [name for name in NUMERIC if name in ds] or list(NUMERIC)
    raw(ds, _pick(rng, here), _pick(rng, ("DS", "IS")), _pick(rng, TEXTS))
    return written(ds)


def wrong_short(content: bytes, rng: np.random.Generator) -> bytes:
    """Absurd rows, columns, bits, samples."""
    ds = parsed(content)
    value = struct.pack("<H", _pick(rng, (0, 1, 2, 3, 7, 12, 15, 16, 17, 32, 64, 255, 256, 60000, 65535)))
    raw(ds, _pick(rng, SHORTS), "US", value if rng.random() < 0.8 else _pick(rng, (b"", value * 2, b"\1")))
    return written(ds)


def enormous_matrix(content: bytes, rng: np.random.Generator) -> bytes:
    """A header that promises 60,000 x 60,000 pixels, in frames without number."""
    ds = parsed(content)
    ds.Rows = ds.Columns = 60000
    if rng.random() < 0.5:
        raw(ds, "NumberOfFrames", "IS", b"1000000000")
    return written(ds)


def wrong_word(content: bytes, rng: np.random.Generator) -> bytes:
    """Names, UIDs, codes and dates that are none."""
    ds = parsed(content)
    here = [name for name in NAMES if name in ds]
    name = _pick(rng, here)
    vr = pydicom.datadict.dictionary_VR(Tag(name))
    words = [word for word in WORDS if b"\0" not in word or name != "SpecificCharacterSet"]  # pydicom writes by it
    raw(ds, name, vr, _pick(rng, words))
    return written(ds)


def attribute_lost(content: bytes, rng: np.random.Generator) -> bytes:
    ds = parsed(content)
    del ds[_pick(rng, [element.tag for element in ds])]
    return written(ds)


def value_in_a_sequence(content: bytes, rng: np.random.Generator) -> bytes:
    """A wrong value, or none, somewhere below the top level."""
    ds = parsed(content)
    items: list[Dataset] = []

    def walk(inner: Dataset) -> None:
        for element in inner:
            if element.VR == "SQ":
                for item in element.value:
                    items.append(item)
                    walk(item)

    walk(ds)
    if not items:
        return wrong_number(content, rng)
    item = _pick(rng, items)
    tags = [element.tag for element in item]
    if not tags:
        return wrong_word(content, rng)
    tag = _pick(rng, tags)
    if rng.random() < 0.3:
        del item[tag]
    else:
        value = _pick(rng, TEXTS)
        vr = "LO" if item[tag].VR == "SQ" else item[tag].VR
        item[tag] = RawDataElement(tag, vr, len(value), value, 0, False, True, True)
    return written(ds)


def sequence_emptied(content: bytes, rng: np.random.Generator) -> bytes:
    ds = parsed(content)
    names = [element.tag for element in ds if element.VR == "SQ"]
    if not names:
        return attribute_lost(content, rng)
    ds[_pick(rng, names)].value = []
    return written(ds)


def another_syntax(content: bytes, rng: np.random.Generator) -> bytes:
    """The meta information names another transfer syntax than the file has."""
    ds = parsed(content)
    told = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.50",
            "1.2.840.10008.1.2.4.90", "1.2.3", "", DEFLATED)  # fmt: skip
    at = content.find(ds.file_meta.TransferSyntaxUID.encode())
    size = len(ds.file_meta.TransferSyntaxUID)
    new = _pick(rng, told).encode()[:size].ljust(size, b"\0")
    return content[:at] + new + content[at + size :]


# --- structure --------------------------------------------------------------------------------------------------------


def _after_the_meta(content: bytes) -> int:
    return 132 + 12 + struct.unpack_from("<L", content, 140)[0]


def nested_deeply(content: bytes, rng: np.random.Generator) -> bytes:
    """Ten thousand sequences within each other, closed or not, before everything else."""
    at, depth = _after_the_meta(content), 10_000
    opened = (b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * depth
    closed = (b"\xfe\xff\x0d\xe0\0\0\0\0" + b"\xfe\xff\xdd\xe0\0\0\0\0") * depth
    return content[:at] + opened + (closed if rng.random() < 0.5 else b"") + content[at:]


def never_closed(content: bytes, rng: np.random.Generator) -> bytes:
    """A sequence of undefined length without its end."""
    at = _after_the_meta(content) if rng.random() < 0.5 else pixels_at(content)
    return content[:at] + b"\x08\x00\x40\x11SQ\0\0\xff\xff\xff\xff" + content[at:]


@cache
def _bomb() -> bytes:
    """A hundred megabytes of zeros in a hundred kilobytes."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join(packer.compress(bytes(1 << 24)) for _ in range(6)) + packer.flush()


def deflated(content: bytes, rng: np.random.Generator) -> bytes:
    """The data set deflated: whole, cut, or with hundreds of megabytes of zeros behind it."""
    ds = parsed(content)
    ds.file_meta.TransferSyntaxUID = DEFLATED
    whole = written(ds)
    kind = int(rng.integers(3))
    if kind == 0:
        return whole
    if kind == 1:
        return whole[: -int(rng.integers(1, len(whole) // 2))]
    return whole[: _after_the_meta(whole)] + _bomb()


def long_text(content: bytes, rng: np.random.Generator) -> bytes:
    """A text of ten megabytes."""
    ds = parsed(content)
    name = _pick(rng, ("TextValue", "LongCodeValue", "PatientComments", "SeriesDescription"))
    raw(ds, name, "UT", b"Smith " * 1_700_000)
    return written(ds)


def many_contours(content: bytes, rng: np.random.Generator) -> bytes:
    """Thousands of contours, or one of two hundred thousand points; pictures get a long list of names instead."""
    ds = parsed(content)
    if "ROIContourSequence" not in ds:
        raw(ds, "ImageType", "CS", b"\\".join([b"ORIGINAL"] * 7000))
        return written(ds)
    drawn = next(roi.ContourSequence for roi in ds.ROIContourSequence if "ContourSequence" in roi)
    if rng.random() < 0.5:
        drawn.extend([drawn[0]] * 3000)
    else:
        angle = np.linspace(0, 2 * np.pi, 200_000)
        points = np.stack([20 * np.cos(angle), 20 * np.sin(angle), np.full_like(angle, float(drawn[0].ContourData[2]))])
        text = "\\".join(f"{v:.4f}" for v in points.T.ravel()).encode()
        tag = Tag("ContourData")
        drawn[0][tag] = RawDataElement(tag, "UN", len(text), text, 0, False, True, True)
    return written(ds)


BYTES = (
    truncated, truncated_in_the_header, truncated_by_a_little, flipped_in_the_header, flipped_in_the_header,
    flipped_in_the_header, flipped_in_the_pixels, block_zeroed, block_lost, block_twice, noise_between,
    another_representation, another_representation, another_length, another_length, another_long_length, empty,
    only_a_preamble,
)  # fmt: skip
VALUES = (
    wrong_number, wrong_number, wrong_number, wrong_short, wrong_short, enormous_matrix, wrong_word, wrong_word,
    wrong_word, attribute_lost, attribute_lost, value_in_a_sequence, value_in_a_sequence, value_in_a_sequence,
    sequence_emptied, another_syntax,
)  # fmt: skip
STRUCTURE = (nested_deeply, never_closed, deflated, long_text, many_contours)
# What leaves a contour object whole enough to be read to its end.
INSIDE: tuple[Mutation, ...] = (value_in_a_sequence, value_in_a_sequence, sequence_emptied, many_contours, wrong_word)
MUTATIONS: tuple[Mutation, ...] = (*BYTES, *VALUES, *STRUCTURE)


# --- the way of a patient ---------------------------------------------------------------------------------------------


def ingest(export: Path, work: Path, *, key: bytes | None = KEY, heads_pass: bool = True) -> dict[str, dict[str, Any]]:
    """What the jobs do with an export, from the index to the masks; patient -> its manifests.

    heads_pass : else they are blanked, or of a source without key held back.
    Fails where a file is neither passed on nor set aside with a reason.
    """
    source = Source(name="c", folder=export, state=work / "state", key=key)
    try:
        found = index.update(source, progress=False)
    except ConfigError:  # whose images these are must be settled by people
        return {}
    unplaced = read_json(work / "state/state/unplaced.json")
    accounted = len(unplaced["set_aside"])
    made = {}
    for patient in found:
        made[patient] = one_patient(source, patient, work, heads_pass)
        for part in ("images", "contours"):
            manifest = made[patient][part]
            assert len(manifest["files"]) + len(manifest["set_aside"]) == manifest["files_in"], (patient, part)
            accounted += manifest["files_in"]
    assert accounted == sum(1 for path in export.rglob("*") if path.is_symlink() or not path.is_dir())
    return made


def one_patient(source: Source, patient: str, work: Path, heads_pass: bool) -> dict[str, Any]:
    """De-identification or adoption, conversion and masks of one patient; their accounts are checked."""
    folder = work / "dicom" / patient
    parts = {part: handed_over(source, patient, part, folder, heads_pass) for part in ("images", "contours")}
    images, masks = work / "images" / patient, work / "masks" / patient
    listed = work / "dicom" / patient
    convert_patient(
        listed / "images.json", source.folder, modalities=["CT", "PT"], kernel="soft", overrides=[], out_dir=images
    )
    draw_masks(
        *(images / "images.json", listed / "contours.json", source.folder, None),
        mask_set="manual",
        rois=ROIS,
        out_dir=masks,
    )
    converted, drawn = read_json(images / "images.json"), read_json(masks / "masks.json")
    assert sum(row["files"] for row in converted["series"]) == len(parts["images"]["files"])
    assert sum(row["files"] for row in drawn["series"]) == len(parts["contours"]["files"])
    lost = [row for row in drawn["set_aside"] if row["stage"] == "masks" and row["kind"] not in ("flag", "note")]
    assert drawn["rois_in"] == len(drawn["masks"]) + len(lost)
    return {**parts, "converted": converted, "drawn": drawn}


def handed_over(source: Source, patient: str, part: str, folder: Path, heads_pass: bool) -> dict[str, Any]:
    """The manifest of a part: of an identified source rewritten, of one without key as it stands."""
    shared: dict[str, Any] = {
        "cohort": "c",
        "patient": patient,
        "part": part,
        "manifest": folder / f"{part}.json",
        "files_in": index.count_files(source, patient, contours=part == "contours"),
        "source_root": source.folder,
        "parts": index.patient_parts(source, patient),
    }
    if not heads_pass:
        judged = {"images": folder / "images.json"} if part == "contours" else {}
        shared |= {"head": "quarantine" if source.key is None else "blank", **judged}
    files = index.patient_files(source, patient)
    if source.key is None:
        return adopt_patient(files, **shared)
    rois = ROIS if part == "contours" else {}
    return deidentify_patient(files, key=source.key, project_key=source.key, rois=rois, out_dir=folder, **shared)
