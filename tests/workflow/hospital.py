"""Digital patients as a hospital exports them: identified DICOM, two tables, and a key that the tests know."""

from __future__ import annotations

import shutil
from pathlib import Path

from osteorad.cohort.config import Phantom
from osteorad.cohort.pseudonyms import patient_pseudonym, phantom_patient_ids
from osteorad.files import read_json
from osteorad.phantom.write import write_patient, write_tables
from tests.workflow.snake import ROOT, working_folder

KEY = bytes(range(32))  # the same pseudonyms in every test
CONFIG = ROOT / "tests/configs/hospital/config.yaml"
PATIENTS = Phantom(patients=14, events=7, seed=1, matrix=144, slices=48)


def export_of(source: Path, target: Path) -> None:
    """Copy the DICOM of phantom patients to `target/export/<number>`, and their tables beside it."""
    folders = sorted(path.parent for path in source.glob("*/manifest.json"))
    for number, folder in enumerate(folders):
        for row in read_json(folder / "manifest.json")["files"]:
            if not row["path"].startswith("masks"):
                copy = target / f"export/{number:02d}" / row["path"]
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(folder / row["path"], copy)
    for table in ("clinical.tsv", "lesions.tsv"):
        shutil.copy(source / table, target / table)


def pseudonym(number: int) -> str:
    """Pseudonym of the hospital's patient `number`, from 1."""
    return patient_pseudonym(KEY, phantom_patient_ids(PATIENTS.seed, PATIENTS.patients)[number - 1])


def hospital_folder(folder: Path, scratch: Path) -> Path:
    """A working folder of such an export with its own settings and key, ready to run; an old one is used again."""
    working_folder(folder, CONFIG)
    if (folder / "export").is_dir():
        return folder
    for number in range(1, PATIENTS.patients + 1):
        own = scratch / f"{number:02d}"
        write_patient(PATIENTS, "hospital", number, own)
        if (own / "masks").is_dir():
            plain = shutil.ignore_patterns("Heart*")  # its name holds a person's; nobody may call a mask file so
            shutil.copytree(own / "masks", folder / "contours/manual" / pseudonym(number), ignore=plain)
    write_tables(PATIENTS, "hospital", scratch / "clinical.tsv", scratch / "lesions.tsv", scratch / "truth.json")
    export_of(scratch, folder)
    for name in ("breast/key", "project.key"):
        path = folder / "private" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(KEY)
        path.chmod(0o600)
    return folder
