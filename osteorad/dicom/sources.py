"""A job's view of its cohort's source: the files of one patient, and the keys.

Phantom cohorts are read from the manifest that the generator wrote; folders from the index (see `index`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydicom import dcmread

from osteorad.cohort.pseudonyms import PHANTOM_KEY, patient_pseudonym, read_key
from osteorad.cohort.sources import Source, read_withdrawn, source_of
from osteorad.dicom import index
from osteorad.files import read_json

NAMES = "names"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSource:
    """Files and keys that one job may see."""

    folder: Path
    names: Path  # folder of the registers of names that stay
    key: bytes | None
    project_key: bytes | None
    withdrawn: frozenset[str]  # pseudonyms
    indexed: Source | None  # None for phantoms

    def image_names(self, patient: str) -> Path:
        """Register of a patient's image names; `convert_images` alone writes it."""
        return self.names / "images" / f"{patient}.json"

    def lesion_numbers(self, mask_set: str, patient: str) -> Path:
        """Register of a patient's lesion numbers in a mask set; `draw_masks` of that set alone writes it."""
        return self.names / "masks" / mask_set / f"{patient}.json"

    def pseudonym(self, source_patient_id: str) -> str:
        """The pseudonym of a person; the PatientID itself where the source holds no identity."""
        return source_patient_id if self.key is None else patient_pseudonym(self.key, source_patient_id)

    def files(self, patient: str) -> list[Path]:
        """Every DICOM file of a patient, sorted."""
        if self.indexed is not None:
            return index.patient_files(self.indexed, patient)
        manifest = self.folder / patient / "manifest.json"
        paths = [manifest.parent / row["path"] for row in read_json(manifest)["files"]]
        return sorted(p for p in paths if not _drawn(p, manifest.parent))

    def parts(self, patient: str) -> dict[Path, str]:
        """To which part each file belongs, as it is counted; empty for phantoms, whose files tell it themselves."""
        return {} if self.indexed is None else index.patient_parts(self.indexed, patient)

    def record(self, patient: str) -> None:
        """Remember the content that was read (contract 9); phantoms need no record."""
        if self.indexed is not None:
            index.record_hashes(self.indexed, patient, self.files(patient))

    def count(self, patient: str, part: str) -> int:
        """How many files of a patient belong to a part, counted apart from the job that reads them.

        By the index, or for phantoms by a look at each header.
        """
        if self.indexed is not None:
            return index.count_files(self.indexed, patient, contours=part == "contours")
        kinds = [str(dcmread(p, specific_tags=["Modality"]).get("Modality", "")) for p in self.files(patient)]
        return sum((kind in index.CONTOUR_MODALITIES) == (part == "contours") for kind in kinds)


def _drawn(path: Path, folder: Path) -> bool:
    """True for mask files that stand beside the DICOM of a phantom, in `masks` or `masks-<set>`."""
    return path.relative_to(folder).parts[0].split("-")[0] == "masks"


def open_source(params: Mapping[str, str]) -> JobSource:
    """The source of a job from the parameters of its rule (see `plan.source_params`)."""
    workdir = Path.cwd()
    name, kind, private = params["cohort"], params["kind"], params["private_dir"]
    if kind == "phantom":
        folder = workdir / private / name / "source"
        return JobSource(
            folder=folder,
            names=folder.parent / NAMES,
            key=PHANTOM_KEY,
            project_key=PHANTOM_KEY,
            withdrawn=read_withdrawn(folder.parent),
            indexed=None,
        )
    source = source_of(name, kind=kind, path=params["path"], workdir=workdir, private_dir=private)
    project_key = None if source.key is None else read_key(workdir / private / "project.key")
    return JobSource(
        folder=source.folder,
        names=source.state / NAMES,
        key=source.key,
        project_key=project_key,
        withdrawn=source.withdrawn,
        indexed=source,
    )
