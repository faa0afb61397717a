"""Twelve small patients, written once for all tests of this room."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pydicom
import pytest

from osteorad.cohort.config import Phantom
from osteorad.phantom.scan import Session, scan_session
from osteorad.phantom.write import write_patient, write_tables

SMALL = Phantom(patients=12, matrix=56, slices=24)
NOT_DICOM = {".json", ".nrrd"}


@dataclass(frozen=True)
class Export:
    """A written patient: its folder and manifest."""

    folder: Path
    manifest: dict[str, Any]

    def headers(self) -> list[tuple[Path, pydicom.Dataset]]:
        files = [p for p in sorted(self.folder.rglob("*")) if p.is_file() and p.suffix not in NOT_DICOM]
        return [(p, pydicom.dcmread(p, stop_before_pixels=True)) for p in files]

    def series(self, modality: str, number: int | None = None, session: int = 0) -> list[pydicom.Dataset]:
        """Data sets of a series with pixels, from the feet to the head."""
        study = self.manifest["truth"]["sessions"][session]["study_uid"]
        found = [
            pydicom.dcmread(p)
            for p, ds in self.headers()
            if ds.Modality == modality
            and ds.StudyInstanceUID == study
            and (number is None or int(ds.SeriesNumber) == number)
        ]
        return sorted(found, key=lambda ds: float(ds.get("ImagePositionPatient", [0, 0, 0])[2]))

    def series_folder(self, out: Path, modality: str, number: int) -> Path:
        """The files of a series alone in a folder, for readers that take folders."""
        out.mkdir(parents=True, exist_ok=True)
        for path, ds in self.headers():
            if ds.Modality == modality and int(ds.SeriesNumber) == number and ".1." in ds.SeriesInstanceUID:
                (out / f"{ds.SOPInstanceUID}.dcm").write_bytes(path.read_bytes())
        return out


@pytest.fixture(scope="session")
def exports(tmp_path_factory: pytest.TempPathFactory) -> Callable[[int], Export]:
    """Patient number -> export; any warning of the DICOM writer is an error."""
    root = tmp_path_factory.mktemp("phantoms")

    @cache
    def export(number: int) -> Export:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            write_patient(SMALL, "small", number, root / str(number))
        return Export(root / str(number), json.loads((root / str(number) / "manifest.json").read_text()))

    return export


@pytest.fixture(scope="session")
def sessions() -> Callable[[int], Session]:
    """Patient number -> what the scanner saw in the first session."""
    return cache(lambda number: scan_session(SMALL, number))


@pytest.fixture(scope="session")
def table_files(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    """Clinical table, table of lesions, truth."""
    folder = tmp_path_factory.mktemp("tables")
    paths = folder / "clinical.tsv", folder / "lesions.tsv", folder / "truth.json"
    write_tables(SMALL, "small", *paths)
    return paths
