"""Which series had which image name before: a name that another series takes over is flagged (docs/decisions/11).

The register is no input and no output of a rule: a lost one makes nothing run, and the next job starts it anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from osteorad.files import json_text, read_json, write_text_if_changed


@dataclass(slots=True)
class ImageNames:
    """Session/image -> the series that had the name, in the order in which they took it; the last one has it."""

    series: dict[str, list[str]]

    def take(self, session: str, image: str, series: str) -> bool:
        """Note that a series has a name; True where another one had it before."""
        before = [name for name in self.series.get(f"{session}/{image}", ()) if name != series]
        self.series[f"{session}/{image}"] = [*before, series]
        return bool(before)


def read_image_names(path: Path | None) -> ImageNames:
    """The register of a patient; empty where there is none."""
    return ImageNames(dict(read_json(path)["images"]) if path is not None and path.is_file() else {})


def write_image_names(path: Path, patient: str, names: ImageNames) -> None:
    """Write the register where it differs."""
    write_text_if_changed(path, json_text({"patient": patient, "images": names.series}))
