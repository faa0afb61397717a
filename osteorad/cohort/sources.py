"""Where a cohort's DICOM lies, where its state is kept, how its people and files are named, and who withdrew."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from pathlib import Path

from osteorad.cohort.config import Slices
from osteorad.cohort.pseudonyms import make_key, patient_pseudonym, read_key
from osteorad.cohort.tables import read_table
from osteorad.errors import ConfigError, unknown_name
from osteorad.files import write_text_if_changed

OWN_STATE = "results/.state/sources"  # of cohorts without a private folder
WITHDRAWN = "withdrawn.tsv"
LISTS = "withdrawn"  # folder of the lists of cohorts without a private one: results/ may be made anew, these may not
KNOWN = "known.json"
PATIENT = "patient"

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
    withdrawn: frozenset[str] = frozenset()  # pseudonyms
    slices: Slices | None = None  # where the folder holds pictures
    workdir: Path = Path()

    def pseudonym(self, source_patient_id: str) -> str:
        """The pseudonym of a person; the PatientID itself where the source holds no identity."""
        if self.key is None:
            return source_patient_id
        return patient_pseudonym(self.key, source_patient_id)


def state_folder(name: str, *, kind: str, workdir: Path, private_dir: str) -> Path:
    """Where the state of a cohort lies: with identity where there is any."""
    return workdir / private_dir / name if kind in ("dicom", "phantom") else workdir / OWN_STATE / name


def source_of(
    name: str, *, kind: str, path: str | None, workdir: Path, private_dir: str, slices: Slices | None = None
) -> Source:
    """The source of a cohort that reads a folder (kind `dicom`, `deidentified`, `slices`); makes a key on first use.

    Raises UserError where the key is unusable (see `pseudonyms.read_key`) or the list of withdrawn patients is.
    """
    folder = workdir / (path or "")
    state = state_folder(name, kind=kind, workdir=workdir, private_dir=private_dir)
    withdrawn = read_withdrawn(state)
    if slices is not None:
        folder = workdir / slices.path
    if kind in ("deidentified", "slices"):
        return Source(
            name=name, folder=folder, state=state, key=None, withdrawn=withdrawn, slices=slices, workdir=workdir
        )
    make_key(state / "key")
    make_key(workdir / private_dir / "project.key")
    return Source(name=name, folder=folder, state=state, key=read_key(state / "key"), withdrawn=withdrawn)


def withdrawn_path(state: Path) -> Path:
    """The list of those who withdrew: with a cohort's state, or where that lies under results/, apart from it."""
    if state.parts[-4:-1] == Path(OWN_STATE).parts:
        return state.parents[3] / LISTS / f"{state.name}.tsv"
    return state / WITHDRAWN


def read_withdrawn(state: Path) -> frozenset[str]:
    """Pseudonyms of the patients who withdrew; none where there is no list. ConfigError where it cannot be read."""
    path = withdrawn_path(state)
    if not path.is_file():
        return frozenset()
    name = f"{path.parent.name}/{path.name}"
    table = read_table(path, name)
    if PATIENT not in table.header:
        raise ConfigError(unknown_name("column", PATIENT, table.header, name))
    return frozenset(text for _, text in table.column(PATIENT) if text)


def add_withdrawn(state: Path, patient: str) -> None:
    """Put a patient on the list."""
    names = sorted({*read_withdrawn(state), patient})
    write_text_if_changed(withdrawn_path(state), "\n".join([PATIENT, *names]) + "\n", mode=0o600)
