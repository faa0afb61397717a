"""Finish the folder that `make kit` packs: torch's wheels beside those of the lock, and kit.mk for the Makefile.

FOLDER/torch holds torch and what its build needs, as pip chose them; FOLDER/osteorad is the clone with wheels/.
"""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

KIT = """\
# Written by `make kit`: pip looks nowhere but here.
export PIP_NO_INDEX := 1
export PIP_FIND_LINKS := wheels
TORCH := {torch}
"""


def normal(name: str) -> str:
    """A distribution's name as the lock writes it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def locked(lock: str) -> set[str]:
    """Names in a lock."""
    return {normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", lock, flags=re.MULTILINE)}


def beside_the_lock(wheels: list[Path], names: set[str]) -> dict[str, Path]:
    """`name==version` -> wheel, of what the lock does not hold; torch first, whose version the Makefile compares."""
    found = {}
    for path in sorted(wheels, key=lambda path: (not path.name.startswith("torch-"), path.name)):
        name, version = path.name.split("-")[:2]
        if normal(name) not in names:
            found[f"{normal(name)}=={version}"] = path
    return found


def main(folder: Path) -> None:
    """Move torch's wheels to the others and write kit.mk."""
    clone = folder / "osteorad"
    names = locked((clone / "requirements.lock").read_text(encoding="utf-8"))
    extra = beside_the_lock(list((folder / "torch").glob("*.whl")), names)
    for path in extra.values():
        shutil.move(path, clone / "wheels" / path.name)
    (clone / "kit.mk").write_text(KIT.format(torch=" ".join(extra)), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
