"""Mask files that people drew: NIfTI and NRRD, single masks and label maps, placed by their affine alone.

Names: `<roi>-<n>.nii.gz` is lesion n of that ROI. Another name goes through the patterns of the configuration; a number
at its end (`Met 2`) is the lesion number, else the rank is; each value of a label map is a lesion number. A table
beside the file (`<stem>.tsv`, else `labels.tsv` of the folder; or .csv), columns `label` and `name`, names values;
a segmentation of 3D Slicer brings its names along.
"""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError
from nibabel.wrapstruct import WrapStructError
from numpy.typing import NDArray
from scipy import ndimage

from osteorad.dicom.mask_images import Target
from osteorad.dicom.rtstruct import Drawn
from osteorad.errors import SetAside
from osteorad.images.lattice import Placement, place, placement
from osteorad.images.nrrd import read_fields, read_nrrd
from osteorad.images.volume import EMPTY_PATCH, Grid, read_nifti

NIFTI = (".nii.gz", ".nii")
NRRD = (".seg.nrrd", ".nrrd", ".nhdr")
TABLES = (".tsv", ".csv")
# What reading a damaged file raises.
BROKEN = (ImageFileError, HeaderDataError, WrapStructError, OSError, EOFError, zlib.error, ValueError, KeyError)
# A nearly-full byte of values is a label map; thousands of values are an image.
MAX_VALUES = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One label map: values by voxel, and the block that holds each value."""

    array: NDArray[np.integer]
    blocks: dict[int, tuple[slice, slice, slice]]


@dataclass(frozen=True, slots=True, kw_only=True)
class MaskFile:
    """A mask file: its label maps, their grid, and the names of values where the file or a table tells them."""

    stem: str
    layers: tuple[Layer, ...]
    grid: Grid
    names: dict[tuple[int, int], str]  # (layer, value) -> name


@dataclass(frozen=True, slots=True, kw_only=True)
class Region:
    """One value of a mask file; `number` is the lesion number that it stands for, None where only rank can tell."""

    layer: int
    value: int
    name: str
    number: int | None


def mask_paths(folder: Path) -> list[Path]:
    """Every file below a folder that should be a mask, sorted; tables, detached data and hidden files left out."""
    found = sorted((path for path in folder.rglob("*") if path.is_file()), key=_by_number)
    visible = [path for path in found if not any(part.startswith(".") for part in path.relative_to(folder).parts)]
    detached = {
        path.parent / f"{path.name.removesuffix('.nhdr')}{end}"
        for path in visible
        if path.suffix == ".nhdr"
        for end in (".raw", ".raw.gz")
    }
    return [path for path in visible if not path.name.lower().endswith(TABLES) and path not in detached]


def _by_number(path: Path) -> tuple[list[tuple[int, str]], str]:
    """Sorting key that puts `Met 2` before `Met 10`."""
    parts = re.findall(r"\d+|\D+", path.as_posix())
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in parts], path.as_posix()


def stem_of(path: Path) -> str:
    """File name without the ending of its format."""
    lower = path.name.lower()
    ending = next((end for end in (*NIFTI, *NRRD) if lower.endswith(end)), path.suffix)
    return path.name[: len(path.name) - len(ending)] if ending else path.name


def read_mask_file(path: Path) -> MaskFile:
    """Read a mask file; raises SetAside `mask_unreadable` or `mask_not_binary`."""
    lower = path.name.lower()
    names: dict[tuple[int, int], str] = {}
    try:
        if lower.endswith(NIFTI):
            array, grid = read_nifti(path)
            arrays: Sequence[NDArray[np.generic]] = _layers(array)
        elif lower.endswith(NRRD):
            nrrd = read_nrrd(path)
            arrays, grid = nrrd.layers, nrrd.grid
            names = _slicer_names(nrrd.fields)
        else:
            raise SetAside("mask_unreadable", "neither NIfTI nor NRRD")
        if abs(np.linalg.det(grid.affine_ras[:3, :3])) == 0:
            raise SetAside("mask_unreadable", "the affine has no volume")
        layers = tuple(_layer(array) for array in arrays)
        names |= {(0, value): name for value, name in _table(path).items()}
    except BROKEN as error:
        raise SetAside("mask_unreadable", type(error).__name__) from None
    return MaskFile(stem=stem_of(path), layers=layers, grid=grid, names=names)


def _layers(array: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    if array.ndim < 3:
        raise SetAside("mask_unreadable", f"{array.ndim} axes")
    flat = array.reshape(*array.shape[:3], -1)
    return [flat[..., layer] for layer in range(flat.shape[3])]


def _layer(array: NDArray[np.generic]) -> Layer:
    """A label map in whole numbers; raises SetAside `mask_not_binary` for anything else."""
    if np.issubdtype(array.dtype, np.floating):
        if not (np.isfinite(array).all() and (array == np.rint(array)).all()):
            raise SetAside("mask_not_binary", "values that are not whole")
    elif not np.issubdtype(array.dtype, np.integer):
        raise SetAside("mask_not_binary", "values that are no numbers")
    low, high = (int(value) for value in (array.min(), array.max())) if array.size else (0, 0)
    if low < 0:
        raise SetAside("mask_not_binary", "negative values")
    if high > np.iinfo(np.uint16).max:
        raise SetAside("mask_not_binary", "values over 65535")
    kind = np.uint8 if high <= np.iinfo(np.uint8).max else np.uint16
    labels: NDArray[np.integer] = array.astype(kind, copy=False)
    boxes = ndimage.find_objects(labels)
    blocks = {value: box for value, box in enumerate(boxes, start=1) if box is not None}
    if len(blocks) > MAX_VALUES:
        raise SetAside("mask_not_binary", f"{len(blocks)} values")
    return Layer(array=labels, blocks=blocks)


def _slicer_names(fields: dict[str, str]) -> dict[tuple[int, int], str]:
    """Names in the header of a segmentation of 3D Slicer: Segment<n>_Name, _LabelValue and _Layer."""
    names = {}
    for key, name in fields.items():
        if key.startswith("Segment") and key.endswith("_Name"):
            head = key.removesuffix("_Name")
            names[int(fields.get(f"{head}_Layer", "0")), int(fields[f"{head}_LabelValue"])] = name.strip()
    return names


def _table(path: Path) -> dict[int, str]:
    """Names of values from the table beside a mask file; empty where there is none."""
    beside = [path.with_name(stem_of(path) + end) for end in TABLES] + [
        path.with_name("labels" + end) for end in TABLES
    ]
    found = next((table for table in beside if table.is_file()), None)
    if found is None:
        return {}
    text = found.read_bytes().decode("utf-8-sig")
    head = text.split("\n", 1)[0]
    delimiter = max("\t;,", key=head.count)
    rows = csv.DictReader(io.StringIO(text), delimiter=delimiter)
    return {int(row["label"]): (row["name"] or "").strip() for row in rows}


def own_names(path: Path) -> dict[tuple[int, int], str]:
    """(layer, value) -> name that a file's header or the table beside it gives; raises ValueError or OSError."""
    names = _slicer_names(read_fields(path)) if path.name.lower().endswith(NRRD) else {}
    return names | {(0, value): name for value, name in _table(path).items()}


def regions(mask_file: MaskFile) -> list[Region]:
    """Regions of a mask file in order of layer and value; one empty region where it holds no voxel and no names."""
    held = [(layer, value) for layer, one in enumerate(mask_file.layers) for value in one.blocks]
    if mask_file.names:
        keys = sorted({*held, *mask_file.names})
        return [
            Region(layer=layer, value=value, name=mask_file.names.get((layer, value), ""), number=None)
            for layer, value in keys
        ]
    if len(held) <= 1:
        layer, value = held[0] if held else (0, 1)
        return [Region(layer=layer, value=value, name=mask_file.stem, number=None)]
    return [Region(layer=layer, value=value, name=mask_file.stem, number=value) for layer, value in sorted(held)]


def target_of(mask_file: MaskFile, targets: Sequence[Target], parts: Sequence[str]) -> tuple[Target, Placement]:
    """The image whose voxels those of the file are, and how they lie on it.

    parts : names of the folders that the file lies in; one that names a session or an image decides between images on
    one grid. Raises SetAside `mask_no_image`.
    """
    found = []
    for target in targets:
        where = placement(mask_file.grid, target.grid)
        if where is not None and _meets(mask_file.grid, where, target.grid):
            found.append((target, where))
    fitting = len(found)
    sessions = {target.session for target in targets} & set(parts)
    images = {target.image for target in targets} & set(parts)
    found = [
        (target, where)
        for target, where in found
        if (not sessions or target.session in sessions) and (not images or target.image in images)
    ]
    whole = [(t, where) for t, where in found if sorted(mask_file.grid.shape) == sorted(t.grid.shape)]
    found = whole if len(whole) == 1 else found
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{target.session}/{target.image}" for target, _ in found)
    detail = f"fits several images: {names}" if found else f"{fitting} of {len(targets)} images fit"
    raise SetAside("mask_no_image", detail)


def _meets(source: Grid, where: Placement, target: Grid) -> bool:
    """True when the extents of the two grids share a voxel."""
    for axis, here in enumerate(where.axes):
        first = where.offset[here]
        last = first + where.signs[axis] * (source.shape[axis] - 1)
        if max(first, last) < 0 or min(first, last) >= target.shape[here]:
            return False
    return True


def draw_region(mask_file: MaskFile, region: Region, where: Placement, grid: Grid) -> Drawn:
    """The voxels of one value on the grid of its image; raises SetAside `roi_outside_image`.

    Flags: `mask_reoriented`, `contour_clipped`, `roi_empty`.
    """
    moved = ["mask_reoriented"] if where.moved or mask_file.grid.shape != grid.shape else []
    box = mask_file.layers[region.layer].blocks.get(region.value) if region.layer < len(mask_file.layers) else None
    if box is None:
        return Drawn(patch=EMPTY_PATCH, flags=(*moved, "roi_empty"))
    block = (mask_file.layers[region.layer].array[box] == region.value).astype(np.uint8)
    i, j, k = (part.start for part in box)
    patch, clipped = place(block, (i, j, k), where, grid.shape)
    if patch is None or not patch.array.any():
        raise SetAside("roi_outside_image", "the mask lies beyond the image")
    return Drawn(patch=patch, flags=tuple(sorted([*moved, *(["contour_clipped"] if clipped else [])])))
