"""Tiny clones and working folders for the tests of the settings."""

from __future__ import annotations

import textwrap
from pathlib import Path

RECIPE = """\
name: zhu2024
title: A test recipe
images: [ct]
roi: marrow
preset: zhu2024
covariates: [age_years]
steps:
  - {step: impute}
  - {step: mrmr, settings: {k: [20]}}
models: [logistic, svm]
splits:
  repeats: 5
"""

CLINICAL = "patient\toutcome\tage_years\tnote\n" + "".join(
    f"ID-{number:02d}\t{int(number <= 7)}\t{50 + number}\tJane\n" for number in range(1, 15)
)

CONFIG = """\
cohorts:
  real:
    source: dicom
    path: export
    rois: {marrow: ['*marrow*']}
    clinical:
      path: clinical.tsv
      keep: [age_years]
    head: keep
analyses:
  os:
    cohort: real
    recipe: zhu2024
"""


def clone(folder: Path, recipe: str = RECIPE) -> Path:
    """A folder with the one recipe that a test needs."""
    (folder / "resources/recipes").mkdir(parents=True, exist_ok=True)
    (folder / "resources/recipes/zhu2024.yaml").write_text(recipe)
    return folder


def working(folder: Path, config: str = CONFIG, clinical: str | bytes = CLINICAL) -> Path:
    """A working folder with an empty export and a clinical table."""
    (folder / "export").mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text(textwrap.dedent(config))
    (folder / "clinical.tsv").write_bytes(clinical if isinstance(clinical, bytes) else clinical.encode())
    return folder
