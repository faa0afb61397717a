"""What all checks of the settings share: the settings as far as they are sound, and the lines of config.yaml."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from os.path import isdir, realpath  # unlike Path's, they answer for names that cannot be one
from pathlib import Path

from osteorad.cohort.config import PHANTOM_SECOND_SET, Cohort, Config
from osteorad.cohort.located import Located
from osteorad.cohort.pseudonyms import FILE_NAME
from osteorad.errors import shortened

WANTED_NAME = "Wanted: letters, digits, '.', '_' and '-', at most 64, starting with a letter or digit."


class Checks:
    """Checks of names, references and files that the models alone cannot make; each yields its problems as text."""

    def __init__(self, workdir: Path, root: Path, located: Located, config: Config) -> None:
        self.workdir, self.root, self.located, self.config = workdir, root, located, config

    def _at(self, *keys: str) -> str:
        return self.located.where(*keys)

    def _raw_names(self, key: str) -> Iterable[str]:
        raw = self.located.value.get(key) if isinstance(self.located.value, dict) else None
        return raw if isinstance(raw, dict) else ()

    def _real(self, path: str) -> Path:
        return Path(realpath(self.workdir / path))

    def _mask_set(self, place: str, name: str, cohort: Cohort) -> Iterator[str]:
        """A mask set of people exists: the first reader's, a phantom's second one, or a folder of mask files."""
        if name in {"manual"} | ({PHANTOM_SECOND_SET} if cohort.phantom and cohort.phantom.reader2 else set()):
            return
        if not FILE_NAME.fullmatch(name):
            yield f"{place}: '{shortened(name)}' is no name of a folder below contours/. {WANTED_NAME}"
        elif not isdir(self.workdir / "contours" / name):
            yield f"{place}: the folder 'contours/{name}' does not exist."
