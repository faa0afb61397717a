"""Masks of a mask set as the manifests list them: which of a session and image, and their voxels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.files import read_json
from osteorad.images.lattice import trimmed
from osteorad.images.volume import Grid, Patch, read_nifti


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskSet:
    """A patient's manifest masks.json and where it lies."""

    folder: Path
    manifest: Mapping[str, Any]

    def of(self, session: str, image: str, roi: str) -> list[Mapping[str, Any]]:
        """Entries of a ROI on an image, by lesion number."""
        found = [
            entry
            for entry in self.manifest["masks"]
            if (entry["session"], entry["image"], entry["roi"]) == (session, image, roi)
        ]
        return sorted(found, key=lambda entry: int(entry["lesion"]))

    def lost(self, session: str) -> int:
        """Contours of a session that were quarantined."""
        aside = [row for row in self.manifest["set_aside"] if row["session"] == session]
        return sum(row["count"] for row in aside if row["kind"] == "quarantined")


def read_mask_set(path: Path) -> MaskSet:
    """The mask set of a patient by its manifest."""
    return MaskSet(folder=path.parent, manifest=read_json(path))


def read_patches(masks: MaskSet, entries: Sequence[Mapping[str, Any]]) -> tuple[list[Patch | None], Grid | None]:
    """Voxels of each mask (None: it holds none) and their grid; one whole mask at a time is held.

    ValueError where masks of one image lie on different grids.
    """
    patches: list[Patch | None] = []
    grid: Grid | None = None
    for entry in entries:
        array, own = read_nifti(masks.folder / entry["path"])
        grid = same_grid(grid, own)
        patches.append(patch_of(array))
    return patches, grid


def patch_of(array: NDArray[np.generic]) -> Patch | None:
    """The voxels of a mask, what is not 0, as a block of its own; None where there is none.

    A copy: a view would keep the whole mask in memory.
    """
    block = trimmed(Patch(start=(0, 0, 0), array=array))  # type: ignore[arg-type]
    return None if block is None else Patch(start=block.start, array=(block.array != 0).astype(np.uint8))


def same_grid(one: Grid | None, other: Grid | None) -> Grid | None:
    """The grid of two masks of one image, where there is one; ValueError where they differ."""
    if one is not None and other is not None and not one.matches(other):
        raise ValueError(f"masks of one image lie on different grids: {one.shape} and {other.shape}")
    return one if one is not None else other
