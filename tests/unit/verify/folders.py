"""A working folder to be searched, and the command that does it."""

from __future__ import annotations

from pathlib import Path

from osteorad import __main__ as command
from tests.unit.verify.containers import dicom

CONFIG = """\
cohorts:
  c:
    source: dicom
    path: export
    head: keep
    rois: {lesion: ['*']}
    clinical: {path: clinical.tsv, keep: [subtype]}
"""
NAME = "Quorfelbach"


def working(folder: Path) -> Path:
    """A working folder with settings, an export of one file and a table."""

    def change(data):
        data.PatientName, data.PatientID = f"{NAME}^Isoldara", "ZQ-4711-8"

    (folder / "config.yaml").write_text(CONFIG)
    (folder / "export").mkdir()
    (folder / "export/a.dcm").write_bytes(dicom(change))
    (folder / "clinical.tsv").write_text("patient\tsubtype\tremarks\nZQ-4711-8\tluminal\tsee LTR88231\n")
    return folder


def verify(*arguments: object) -> int:
    return command.main(["verify-deid", *map(str, arguments)])
