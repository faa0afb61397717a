"""Files of every kind that carry a text; made in memory."""

from __future__ import annotations

import base64
import bz2
import gzip
import io
import json
import lzma
import struct
import tarfile
import zipfile
import zlib

import nibabel as nib
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

ONE_PIXEL = b"\x89PNG\r\n\x1a\n"


def dicom(change=None, *, syntax=ExplicitVRLittleEndian, preamble=b"\0" * 128, behind=b"") -> bytes:
    data = Dataset()
    data.file_meta = FileMetaDataset()
    data.file_meta.TransferSyntaxUID = syntax
    data.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    data.file_meta.MediaStorageSOPInstanceUID = "2.25.1"
    data.SOPClassUID, data.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "2.25.1"
    data.PatientID = "p0123456789ab"
    data.Rows = data.Columns = 8
    data.SamplesPerPixel, data.BitsAllocated, data.BitsStored, data.HighBit = 1, 16, 16, 15
    data.PixelRepresentation, data.PhotometricInterpretation = 0, "MONOCHROME2"
    data.PixelData = bytes(range(128))
    if change is not None:
        change(data)
    out = io.BytesIO()
    data.preamble = preamble
    pydicom.dcmwrite(out, data, enforce_file_format=True)
    return out.getvalue() + behind


def _nested(word):
    def change(data):
        inner, item = Dataset(), Dataset()
        inner.PatientComments = word
        item.RequestAttributesSequence = [inner]
        data.RequestAttributesSequence = [item]

    return change


def _private(word):
    def change(data):
        data.private_block(0x0011, "SOMEBODY", create=True).add_new(1, "UN", word.encode() + b"\0" * (len(word) % 2))

    return change


def _private_sequence(word):
    def change(data):
        item = Dataset()
        item.PatientComments = word
        data.private_block(0x0011, "SOMEBODY", create=True).add_new(2, "SQ", [item])

    return change


def _segment(word):
    def change(data):
        data.Modality, segment = "SEG", Dataset()
        segment.SegmentLabel = word
        data.SegmentSequence = [segment]

    return change


def _set(name, value):
    return lambda data: setattr(data, name, value)


def _meta(word):
    return lambda data: setattr(data.file_meta, "SourceApplicationEntityTitle", word[:16])


def _pixels(word):
    return lambda data: setattr(data, "PixelData", data.PixelData + word.encode().ljust(32, b"\0"))


def _inside(content):
    def change(data):
        data.EncapsulatedDocument = content + b"\0" * (len(content) % 2)

    return change


def nifti(descrip="", extension=b"", behind=b"") -> bytes:
    image = nib.Nifti1Image(np.zeros((4, 5, 6), dtype=np.int16), np.eye(4))
    image.header["descrip"] = descrip.encode()
    if extension:
        image.header.extensions.append(nib.nifti1.Nifti1Extension("comment", extension))
    return image.to_bytes() + behind


def zipped(members: dict[str, bytes], comment=b"") -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.comment = comment
        for name, content in members.items():
            archive.writestr(name, content)
    return out.getvalue()


def tarred(name: str, content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(content)
        archive.addfile(info, io.BytesIO(content))
    return out.getvalue()


def parquet(columns: dict, *, metadata=None, names_metadata=None) -> bytes:
    table = pa.table(columns)
    if names_metadata:
        field = table.schema.field(0).with_metadata(names_metadata)
        table = table.cast(pa.schema([field]))
    if metadata:
        table = table.replace_schema_metadata(metadata)
    out = io.BytesIO()
    pq.write_table(table, out)
    return out.getvalue()


def png(name: bytes, content: bytes, behind=b"") -> bytes:
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0))
    pixels = chunk(b"IDAT", zlib.compress(b"\0\0"))
    return ONE_PIXEL + head + chunk(name, content) + pixels + chunk(b"IEND", b"") + behind


def webp(name: bytes, content: bytes) -> bytes:
    chunk = name + struct.pack("<I", len(content)) + content + b"\0" * (len(content) % 2)
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def b64(raw: bytes) -> bytes:
    return base64.b64encode(raw)


def page(body: str) -> bytes:
    return f"<!doctype html><html><body>{body}</body></html>".encode()


def files(word: str) -> dict[str, bytes]:
    """Kind -> a file that carries the word, which is ASCII, 12 to 16 letters and digits."""
    w = word.encode()
    fill = "lorem ipsum " * 3
    return {
        "log": f"read {word}\n".encode(),
        "text in UTF-16": f"read {word}".encode("utf-16"),
        "tsv": f"a\tb\n1\t{word}\n".encode(),
        "yaml comment": f"a: 1  # {word}\n".encode(),
        "json": json.dumps({"a": [{"b": word}]}).encode(),
        "json escapes": b'{"a": "' + "".join(f"\\u{ord(c):04x}" for c in word).encode() + b'"}',
        "percent escapes": b"https://x/?q=" + b"".join(b"%%%02X" % c for c in w),
        "html text": page(f"<p>{word}</p>"),
        "html attribute": page(f'<img alt="{word}">'),
        "html comment": page(f"<!-- {word} -->"),
        "html entities": page("".join(f"&#{ord(c)};" for c in word)),
        "html split by tags": page(f"{word[:5]}<b>{word[5:]}</b>"),
        "html data URI, text": page(f'<img src="data:text/plain;base64,{b64((fill + word).encode()).decode()}">'),
        "html data URI, PNG": page(
            f'<img src="data:image/png;base64,{b64(png(b"tEXt", b"a" + bytes(1) + w)).decode()}">'
        ),
        "svg": f"<svg xmlns='x'><desc>{word}</desc></svg>".encode(),
        "base64 of gzip": b"x: " + b64(gzip.compress(w)),
        "base64 in lines": b"\n".join(b64(b"lorem ipsum " * 30 + w)[i : i + 76] for i in range(0, 600, 76)),
        "base64 behind a path": b"/a/b" + b64((fill + word).encode()),
        "nifti header": nifti(descrip=word),
        "nifti extension": nifti(extension=w),
        "nifti behind the voxels": nifti(behind=w),
        "nifti in gzip": gzip.compress(nifti(descrip=word)),
        "gzip": gzip.compress(w),
        "gzip name": b"\x1f\x8b\x08\x08" + bytes(6) + w + b"\0" + gzip.compress(b"a")[10:],
        "behind gzip": gzip.compress(b"a") + bytes(4) + w,
        "bz2": bz2.compress(w),
        "xz": lzma.compress(w),
        "zip": zipped({"a.txt": w}),
        "zip member name": zipped({f"{word}.txt": b"a"}),
        "zip comment": zipped({"a.txt": b"a"}, comment=w),
        "gzip in zip": zipped({"a.gz": gzip.compress(w)}),
        "zip in zip in gzip": gzip.compress(zipped({"b.zip": zipped({"a.txt": w})})),
        "dicom in zip": zipped({"a.dcm": dicom(_nested(word))}),
        "tar": tarred("a.txt", w),
        "tar member name": tarred(f"{word}.txt", b"a"),
        "parquet value": parquet({"a": ["x", word]}),
        "parquet dictionary": parquet({"a": pa.array(["x", word]).dictionary_encode()}),
        "parquet list": parquet({"a": [["x"], [word]]}),
        "parquet binary": parquet({"a": [b"x", w]}),
        "parquet base64": parquet({"a": [b64(w * 2).decode()]}),
        "parquet column name": parquet({word: [1.0]}),
        "parquet metadata": parquet({"a": [1.0]}, metadata={b"note": w}),
        "parquet column metadata": parquet({"a": [1.0]}, names_metadata={b"note": w}),
        "png tEXt": png(b"tEXt", b"Comment\0" + w),
        "png zTXt": png(b"zTXt", b"Comment\0\0" + zlib.compress(w)),
        "png iTXt": png(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(w)),
        "behind png": png(b"tEXt", b"a\0b", behind=w),
        "webp XMP": webp(b"XMP ", w),
        "webp EXIF": webp(b"EXIF", w),
        "pdf": b"%PDF-1.4\n1 0 obj << /Filter /FlateDecode >>\nstream\n" + zlib.compress(w) + b"\nendstream\nendobj",
        "dicom": dicom(_set("StudyDescription", word)),
        "dicom implicit": dicom(_set("StudyDescription", word), syntax=ImplicitVRLittleEndian),
        "dicom deflated": dicom(_set("StudyDescription", word), syntax=DeflatedExplicitVRLittleEndian),
        "dicom nested": dicom(_nested(word)),
        "dicom private": dicom(_private(word)),
        "dicom private sequence": dicom(_private_sequence(word)),
        "dicom preamble": dicom(preamble=w.ljust(128, b"\0")),
        "dicom file meta": dicom(_meta(word)),
        "dicom trailing padding": dicom(_set("DataSetTrailingPadding", w + b"\0" * (len(w) % 2))),
        "dicom behind the pixels": dicom(_pixels(word)),
        "behind dicom": dicom(behind=w + bytes(4)),
        "dicom holding gzip": dicom(_inside(gzip.compress(w))),
        "dicom base64": dicom(_set("PatientComments", b64(w * 3).decode())),
        "seg": dicom(_segment(word)),
        "bytes": bytes(range(256)) * 40 + w + bytes(range(256)) * 40,
        "bytes in UTF-16": bytes(range(256)) * 4 + word.encode("utf-16-le") + bytes(range(256)),
    }
