"""What is measured on: digital patients, made once a run in a temporary folder; making them is not measured."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import task

SEED = 8
FULL = 1  # patient of the full-size CT: marrow and three lesions


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """How large the inputs are."""

    matrix: int
    slices: int
    slice_mm: float
    export_copies: int  # of the CT series in the export that is indexed
    cohort: int  # patients of the dry run
    page_patients: int  # of the cohort page
    run: int  # patients of the whole run
    table: tuple[int, int]  # patients and features of the modelling table
    wide: tuple[int, int]  # the same of the wide one
    trees: int  # of a forest
    plain_trees: int  # of one in the plain design
    repeats: int  # of measurements


NORMAL = Sizes(
    matrix=512,
    slices=300,
    slice_mm=1.0,
    export_copies=20,
    cohort=2000,
    page_patients=500,
    run=200,
    table=(312, 2500),
    wide=(1000, 20_000),
    trees=100,
    plain_trees=500,
    repeats=3,
)
TINY = Sizes(
    matrix=96,
    slices=48,
    slice_mm=2.7,
    export_copies=2,
    cohort=14,
    run=12,
    page_patients=110,
    table=(40, 40),
    wide=(40, 200),
    trees=5,
    plain_trees=10,
    repeats=1,
)


@dataclass(slots=True)
class Inputs:
    """Inputs of one run, below `folder`; each is made when first asked for."""

    folder: Path
    sizes: Sizes

    def output(self, name: str) -> Path:
        """Where a process may write its text."""
        return self.folder / "out" / f"{name}.txt"

    def default_patient(self) -> dict[str, Any]:
        """Settings of an ordinary patient, CT and PET."""
        small = {} if self.sizes is NORMAL else {"matrix": 64, "slices": 32}
        return {"patients": 40, "seed": SEED, **small}

    def full_patient(self) -> dict[str, Any]:
        """Settings of the full-size variant, CT alone."""
        s = self.sizes
        size = {"matrix": s.matrix, "slices": s.slices, "slice_mm": s.slice_mm}
        return {"patients": 40, "seed": SEED, "pet": False, "special_cases": False, **size}

    def _once(self, name: str, make: Callable[[Path], object]) -> Path:
        folder = self.folder / name
        if not folder.exists():
            make(folder)
        return folder

    def full(self) -> Path:
        """Folder of the full-size patient: CT series and contours, with identity."""
        arguments = {"settings": self.full_patient(), "number": FULL}
        return self._once("full", lambda out: task("write_phantom", self.output("full"), **arguments, out=out))

    def ct_files(self) -> Path:
        """Folder with the files of the full-size CT series alone."""

        def link(out: Path) -> None:
            out.mkdir()
            listed = json.loads((self.full() / "manifest.json").read_text(encoding="utf-8"))["files"]
            for file in listed:
                if ".CT." in file["path"]:  # as this patient's scanner names them
                    os.link(self.full() / file["path"], out / Path(file["path"]).name)

        return self._once("ct", link)

    def deidentified(self) -> Path:
        """Folder with the CT series de-identified, as it comes to conversion, and its manifest `images.json`."""
        return self._once(
            "deidentified", lambda out: task("deidentify", self.output("series"), source=self.ct_files(), out=out)
        )

    def export(self) -> Path:
        """An export: the CT series several times over, without taking more room."""

        def link(out: Path) -> None:
            for copy in range(self.sizes.export_copies):
                shutil.copytree(self.ct_files(), out / f"{copy:02d}", copy_function=os.link)

        return self._once("export", link)

    def manifests(self) -> Path:
        """Folder with manifests `images.json` of the adopted CT and `contours.json` of the adopted contours."""
        return self._once(
            "manifests",
            lambda out: task("adopt", self.output("adopt"), source=self.full(), ct=self.ct_files(), out=out),
        )

    def volumes(self) -> Path:
        """Folder with the full-size CT as NIfTI under `images`, and its masks under `masks`."""

        def make(out: Path) -> None:
            task(
                "convert",
                self.output("volumes"),
                manifests=self.manifests(),
                source=self.ct_files(),
                out=out / "images",
            )
            arguments = {"manifests": self.manifests(), "source": self.full()}
            task("masks", self.output("masks"), **arguments, images=out / "images/images.json", out=out / "masks")

        return self._once("volumes", make)

    def cohort_inputs(self) -> Path:
        """Folder with what the page of a large cohort is made from."""
        output, patients = self.output("of-pages"), self.sizes.page_patients
        return self._once("of-pages", lambda out: task("write_cohort_inputs", output, patients=patients, out=out))

    def wide_table(self) -> Path:
        """Folder with a wide feature table in single precision."""
        rows, columns = self.sizes.wide
        return self._once(
            "wide", lambda out: task("write_wide", self.output("wide"), rows=rows, columns=columns, out=out)
        )
