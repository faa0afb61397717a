"""Where a patient's name stands: in names of files and folders, in texts, in tables, in Snakemake's coded records.

A name counts where it stands alone: `S1` is not found in `S10`, nor in `S1.2` where that is somebody else. Pseudonyms
that we gave are never so alike; those that came with a cohort may be.
"""

from __future__ import annotations

import base64
import binascii
import mmap
import re
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from osteorad.files import read_parquet

ENDINGS = (".json", ".html", ".reasons", ".parquet", ".log", ".tsv")  # of files that are called after a patient
WORDS = frozenset({".json", ".jsonl", ".html", ".tsv", ".csv", ".log", ".txt", ".yaml", ""})
# checkpoints and weights, with whom they saw; and what Snakemake's dry runs keep of the files that they looked at
BINARY = frozenset({".pt", ".pth", ".safetensors", ".npz", ".joblib", ".pkl"})
SHORTEST = 4  # characters of a name that any text may hold; a shorter one is in every text
ALONE = rb"(?<![A-Za-z0-9])", rb"(?![A-Za-z0-9])"
AS_A_NAME = rb"(?<=[\"'/=])", rb"(?=[\"'/,\s]|\.[a-z]|\Z)"  # how paths, JSON and logs name a patient
STEP = b"@"  # begin of the folders into which Snakemake cuts a long coded name


def bearer(name: str) -> str:
    """Whom a file is called after: its name without our endings."""
    while ending := next((end for end in ENDINGS if name.endswith(end) and name != end), None):
        name = name.removesuffix(ending)
    return name


def is_of(path: Path, people: Collection[str]) -> bool:
    """True where a folder of the path is called as one of these people, or its file after one."""
    return bearer(path.name) in people or any(part in people for part in path.parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Name:
    """A pseudonym, and how it is told from longer ones."""

    patient: str
    pattern: re.Pattern[bytes]

    @property
    def is_short(self) -> bool:
        """True where texts hold it by chance; then it is found only as paths, JSON and logs write names."""
        return len(self.patient) < SHORTEST

    def is_in(self, text: bytes | mmap.mmap) -> bool:
        """True where a text names the patient."""
        return any(found[0] == self.patient.encode() for found in self.pattern.finditer(text))

    def is_in_path(self, relative: Path) -> bool:
        """True where a path names the patient, as it stands or in the code of Snakemake's records."""
        plain = str(relative).encode("utf-8", "surrogateescape")
        return any(self.is_in(b"/" + text) for text in (plain, _decoded(relative)))

    def is_in_file(self, path: Path) -> bool:
        """True where a table, a text, a checkpoint or a record names the patient; half a table is read as a text."""
        if path.suffix == ".parquet":
            try:
                return self._is_in_table(path)
            except pa.ArrowInvalid:
                return self._is_in_bytes(path)
        return path.suffix in (*WORDS, *BINARY) and self._is_in_bytes(path)

    def _is_in_bytes(self, path: Path) -> bool:
        if not path.stat().st_size:
            return False
        with path.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return self.is_in(content)

    def _is_in_table(self, path: Path) -> bool:
        columns = [field.name for field in pq.read_schema(path) if _is_text(field.type)]
        values = {str(value) for column in read_parquet(path, columns=columns).columns for value in column.unique()}
        return self.patient in values or any(self.is_in(value.encode()) for value in values)


def name_of(patient: str, people: Collection[str]) -> Name:
    """The name of one of these people."""
    longer = sorted((other for other in people if patient in other and other != patient), key=len, reverse=True)
    words = b"|".join(re.escape(name.encode()) for name in (*longer, patient))
    before, after = AS_A_NAME if len(patient) < SHORTEST else ALONE
    return Name(patient=patient, pattern=re.compile(before + b"(?:" + words + b")" + after))


def _is_text(kind: pa.DataType) -> bool:
    value = kind.value_type if pa.types.is_dictionary(kind) else kind
    return bool(pa.types.is_string(value) or pa.types.is_large_string(value))


def _decoded(relative: Path) -> bytes:
    """The name of an output behind the coded one of its record, which may be cut into folders."""
    *folders, last = (part.encode("utf-8", "surrogateescape") for part in relative.parts)
    coded = b"".join([*(part.removeprefix(STEP) for part in folders if part.startswith(STEP)), last])
    try:
        return base64.urlsafe_b64decode(coded + b"=" * (-len(coded) % 4))
    except (binascii.Error, ValueError):
        return b""
