"""Where a cohort's DICOM lies, where its state is kept, and how its people and files are named."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from osteorad.cohort.pseudonyms import make_key, patient_pseudonym, read_key

# What pydicom raises on damaged headers, on sequences nested without end, and on lengths that nothing can hold.
UNREADABLE = (
    EOFError, OSError, ValueError, LookupError, AttributeError, TypeError, NotImplementedError, ArithmeticError,
    RecursionError, MemoryError, struct.error, zlib.error,
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A source folder and the folder of its state; `key` is None for sources without identity."""

    name: str  # of the cohort
    folder: Path
    state: Path
    key: bytes | None

    def pseudonym(self, source_patient_id: str) -> str:
        """The pseudonym of a person; the PatientID itself where the source holds no identity."""
        if self.key is None:
            return source_patient_id
        return patient_pseudonym(self.key, source_patient_id)


def source_of(name: str, *, kind: str, path: str | None, workdir: Path, private_dir: str) -> Source:
    """The source of a cohort that reads a folder (kind `dicom` or `deidentified`); makes its key on first use.

    Raises UserError where the key is unusable (see `pseudonyms.read_key`).
    """
    folder = workdir / (path or "")
    if kind == "deidentified":
        return Source(name=name, folder=folder, state=workdir / "results/.state/sources" / name, key=None)
    private = workdir / private_dir / name
    make_key(private / "key")
    make_key(workdir / private_dir / "project.key")
    return Source(name=name, folder=folder, state=private, key=read_key(private / "key"))
