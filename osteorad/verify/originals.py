"""Values of the originals: headers of a DICOM export at every level, and cells of tables."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom.charset import convert_encodings
from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import RawDataElement
from pydicom.dataset import Dataset
from pydicom.multival import MultiValue

from osteorad.cohort.tables import Table
from osteorad.verify.values import Collector
from osteorad.verify.words import WORD, folded

TEXT_VRS = frozenset({"LO", "LT", "SH", "ST", "UC", "UT"})
BYTES_VRS = frozenset({"OB", "OW", "UN"})
SMALL = 1 << 16  # bytes up to which binary attributes may hold text
PRODUCTS = frozenset({"Manufacturer", "ManufacturerModelName", "SoftwareVersions"})
# Texts about the machine and the picture: they may stay, so they are not looked for.
TECHNICAL = PRODUCTS | {
    "BodyPartExamined", "CodingSchemeVersion", "ConvolutionKernel", "FilterType",
    "ImplementationVersionName", "PatientSpeciesDescription", "Radiopharmaceutical", "RescaleType",
    "SegmentAlgorithmName", "EthnicGroup", "AttenuationCorrectionMethod", "ReconstructionMethod",
    "ScatterCorrectionMethod", "RandomsCorrectionMethod", "CollimatorGridName", "CodingSchemeDesignator",
}  # fmt: skip
CODES = frozenset({"CodeValue", "CodeMeaning", "LongCodeValue"})
STANDARD_SCHEMES = frozenset({"DCM", "SCT", "SRT", "SNM3", "99SDM", "UCUM", "LN", "RADLEX", "FMA", "UMLS", "NCIt"})
IDENTIFIERS = frozenset({"PatientID", "AccessionNumber", "StudyID", "DeviceSerialNumber", "StationName"})
RUN = re.compile(rb"[\x20-\x7e\xa0-\xff]{6,}")
PLACE = re.compile(r"Address|Institution|Telephone|Residence|Occupation")
NAME_COLUMN = re.compile(r"name|nom\b|vorname|prenom|reader|arzt|physician|doctor|surgeon", re.IGNORECASE)


@dataclass(slots=True)
class ExportReader:
    """Reads headers into a collector; `unread` counts files that are no DICOM, or damaged."""

    collector: Collector
    pseudonym_of: Callable[[str], str]
    read: int = 0
    unread: int = 0
    seen: set[tuple[Any, ...]] = field(default_factory=set)  # values gathered before: most repeat in every slice

    def folder(self, folder: Path) -> None:
        """All files below a folder, and the words of their paths."""
        for place, folders, names in os.walk(folder):
            folders.sort()
            for name in sorted(names):
                self.file(Path(place) / name)
            for name in (*folders, *names):
                self._path_words(name)

    def file(self, path: Path) -> None:
        """One file; counted as unread where it is no DICOM. A pipe would wait for a writer and is not opened."""
        if not path.is_file():
            self.unread += 1
            return
        try:
            with path.open("rb") as stream:
                raw = stream.read(132)
                if not looks_like_dicom(raw):
                    self.unread += 1
                    return
                data = pydicom.dcmread(path, force=True, defer_size=SMALL)
                owner = self.pseudonym_of(str(data.get("PatientID", "")).strip())
                self.collector.encodings.update(convert_encodings(data.get("SpecificCharacterSet") or "ISO_IR 100"))
                elements = [*self._walk(data.file_meta, owner), *self._walk(data, owner)]
        except Exception:  # files of an export may be damaged in any way; what is not read is counted and told
            self.unread += 1
            return
        if not elements:
            self.unread += 1
            return
        self.read += 1
        if raw[128:] == b"DICM" and any(raw[:128]):
            self._bytes("preamble", raw[:128], owner)

    def _walk(self, data: Dataset, owner: str) -> list[str]:
        """Gather what a data set says, at every level; returns the keywords that it holds."""
        names = []
        for raw in list(data.values()):
            key = (raw.tag, raw.value, owner) if isinstance(raw, RawDataElement) and raw.VR != "SQ" else None
            if key is not None and key in self.seen:
                names.append("seen before")
                continue
            if key is not None:
                self.seen.add(key)
            element = data[raw.tag]
            name = element.keyword or keyword_for_tag(element.tag) or f"private {element.tag}"
            names.append(name)
            if element.VR == "SQ":
                for item in element.value or ():
                    self._walk(item, owner)
            elif name not in TECHNICAL and not (name in CODES and _standard_code(data)):
                self._element(name, element.VR, element.value, owner)
            elif name in PRODUCTS:
                self.collector.harmless.update(folded(word) for word in WORD.findall(str(element.value)))
        return names

    def _element(self, name: str, vr: str, value: Any, owner: str) -> None:
        for part in value if isinstance(value, MultiValue | list) else [value]:
            if part not in (None, "", b""):
                self._gather(name, vr, part, owner)

    def _gather(self, name: str, vr: str, part: Any, owner: str) -> None:
        collector = self.collector
        if vr == "PN":
            collector.name(name, str(part))
        elif vr in ("DA", "DT"):
            collector.date(name, str(part), owner=owner, attribute=name.removeprefix("private "))
        elif vr == "UI":
            collector.uid(name, str(part))
        elif vr == "AE" or name in IDENTIFIERS:
            collector.identifier(name, str(part))
        elif vr in TEXT_VRS:
            (collector.place if PLACE.search(name) else collector.text)(name, str(part).replace("\0", " "), owner=owner)
        elif vr in BYTES_VRS and isinstance(part, bytes) and name != "PixelData":
            self._bytes(name, part, owner)

    def _bytes(self, name: str, raw: bytes, owner: str) -> None:
        """Text in binary attributes: only where most of it is text, since chance writes words too."""
        text = [run.decode("latin-1") for run in RUN.findall(raw[:SMALL])]
        if 4 * sum(map(len, text)) >= len(raw.strip(b"\0")):
            for run in text:
                self.collector.text(name, run, owner=owner)

    def _path_words(self, name: str) -> None:
        """Names of people that stand in names of files and folders, cut short as they may be."""
        for word in WORD.findall(Path(name).stem):
            if len(word) >= 6:
                self.collector.text("name of a file or folder", word)


def looks_like_dicom(head: bytes) -> bool:
    """Whether a file begins as DICOM does: the prefix behind the preamble, or an attribute of group 2 or 8."""
    bare = (b"\x02\0", b"\x08\0", b"\0\x02", b"\0\x08")
    return head[128:132] == b"DICM" or (head[:2] in bare and head[2:4] != b"\0\0" and len(head) > 8)


def _standard_code(item: Dataset) -> bool:
    return str(item.get("CodingSchemeDesignator", "")) in STANDARD_SCHEMES


def add_table(
    collector: Collector, table: Table, *, kept: Iterable[str], patient: str, pseudonym_of: Callable[[str], str]
) -> None:
    """Cells of all columns but the kept ones. Numbers count only in the patients' column."""
    left = set(kept)
    for row in table.rows:
        source_id = row.cells.get(patient, "")
        owner = pseudonym_of(source_id) if source_id else ""
        for column, cell in row.cells.items():
            if cell and column not in left:
                _add_cell(collector, f"{table.name} {column}", column == patient, cell, owner)


def _add_cell(collector: Collector, kind: str, is_patient: bool, cell: str, owner: str) -> None:
    if is_patient:
        collector.identifier(kind, cell)
    elif collector.date(kind, cell, owner=owner, attribute=kind):
        return
    elif NAME_COLUMN.search(kind.split()[-1]) and "roi" not in kind:
        collector.name(kind, cell)
    elif not re.fullmatch(r"[+-]?\d*[.,]?\d*", cell):
        collector.text(kind, cell, owner=owner)
