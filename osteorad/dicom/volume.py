"""A stack of planes to a volume: CT in HU, PET in SUVbw, tilt straightened; refused where it cannot be right."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.dicom.pixels import Plane, read_plane, refuse_absurd
from osteorad.dicom.plausible import refuse_hu, refuse_suv
from osteorad.dicom.stack import TILT_DEG, Stack
from osteorad.dicom.suv import Suv, suv_factors
from osteorad.dicom.tilt import straighten
from osteorad.errors import SetAside
from osteorad.images.volume import Grid, Volume

AIR_HU = -1024
INT16 = np.iinfo(np.int16)
LARGEST_SLOPE, LARGEST_INTERCEPT = 1 << 14, 1 << 20
HU_RESCALE_TYPES = ("", "HU", "US")  # US: unspecified; others (MGML, Z_EFF, ED, ...) are maps of something else


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A volume, how it came about, and what is doubtful about it."""

    volume: Volume
    conversion: dict[str, Any]
    flags: tuple[str, ...]
    suv: Suv | None = None


def convert_ct(stack: Stack) -> Converted:
    """CT in HU: int16 where every slope and intercept is whole and the values fit, else float32.

    Raises SetAside for pixels that cannot be read and for values that are no HU.
    """
    rescales = [_rescale(n, stack) for n in range(len(stack.frames))]
    wrong = sorted({f.rescale_type for f in stack.frames} - set(HU_RESCALE_TYPES))
    if wrong or any(f.modality_lut for f in stack.frames):
        raise SetAside("hu_out_of_range", f"rescale type {wrong[0]}" if wrong else "values by a lookup table")
    whole = all(_fits_whole_numbers(slope, intercept) for slope, intercept in rescales)
    array, padded = _fill_ct(stack, rescales, np.dtype(np.int16 if whole else np.float32))
    refuse_hu(array)
    return _finish(stack, array, "HU", padded=padded, background=AIR_HU)


def _fits_whole_numbers(slope: float, intercept: float) -> bool:
    """True where HU are whole numbers, and those on the way to them fit 32 bits."""
    small = abs(slope) <= LARGEST_SLOPE and abs(intercept) <= LARGEST_INTERCEPT
    return small and slope.is_integer() and intercept.is_integer()


def _rescale(number: int, stack: Stack) -> tuple[float, float]:
    frame = stack.frames[number]
    if frame.slope is None or frame.intercept is None or frame.slope == 0:
        raise SetAside("invalid_value", "rescale slope or intercept is missing or 0")
    return frame.slope, frame.intercept


def _fill_ct(
    stack: Stack, rescales: list[tuple[float, float]], dtype: np.dtype[Any]
) -> tuple[NDArray[np.generic], int]:
    """HU plane by plane, so that only one plane is held twice; values that do not fit int16 start again as float32."""
    for frame in stack.frames:
        refuse_absurd(frame)
    columns, rows, planes = stack.shape
    array: NDArray[Any] = np.empty((planes, rows, columns), dtype=dtype)
    padded = 0
    for number, plane in _planes(stack):
        slope, intercept = rescales[number]
        values: NDArray[Any]
        if dtype == np.int16:
            values = plane.values.astype(np.int64 if plane.values.dtype.itemsize > 2 else np.int32)
            values = values * int(slope) + int(intercept) if slope != 1.0 else values + int(intercept)
        else:
            values = plane.values * slope + intercept
        if plane.padding is not None:
            padded += int(plane.padding.sum())
            values[plane.padding] = AIR_HU
        if dtype == np.int16 and (values.min() < INT16.min or values.max() > INT16.max):
            return _fill_ct(stack, rescales, np.dtype(np.float32))
        array[number] = values
    return array, padded


def _planes(stack: Stack) -> Iterator[tuple[int, Plane]]:
    for number, frame in enumerate(stack.frames):
        yield number, read_plane(frame)


def convert_pet(stack: Stack) -> Converted:
    """PET in SUVbw, float32; slope and factor are applied slice by slice.

    Raises SetAside for headers that do not give SUV, pixels that cannot be read, values that are no SUV.
    """
    suv = pet_suv(stack)
    rescales = [_rescale(n, stack) for n in range(len(stack.frames))]
    if any(intercept != 0 for _, intercept in rescales):
        raise SetAside("invalid_value", "rescale intercept of a PET is not 0")
    for frame in stack.frames:
        refuse_absurd(frame)
    columns, rows, planes = stack.shape
    array = np.empty((planes, rows, columns), dtype=np.float32)
    padded = 0
    for number, plane in _planes(stack):
        values = plane.values * (rescales[number][0] * suv.factors[number])
        if plane.padding is not None:
            padded += int(plane.padding.sum())
            values[plane.padding] = 0.0
        array[number] = values
    refuse_suv(array)
    return _finish(stack, array, "SUVbw", padded=padded, background=0, suv=suv)


def pet_suv(stack: Stack) -> Suv:
    """Factors to SUVbw of a stack's planes, from headers alone; SetAside where they differ within the series."""
    headers = {frame.pet for frame in stack.frames}
    first = stack.frames[0].pet
    if len(headers) != 1 or first is None:
        names = [n for n in first.__slots__ if len({getattr(h, n) for h in headers}) > 1] if first is not None else []
        raise SetAside("invalid_value", f"{', '.join(names) or 'PET header'} differs within the series")
    return suv_factors(first, [frame.pet_frame for frame in stack.frames if frame.pet_frame is not None])


def _finish(
    stack: Stack, array: NDArray[Any], units: str, *, padded: int, background: float, suv: Suv | None = None
) -> Converted:
    flags = list(suv.flags) if suv is not None else []
    slopes = [frame.slope for frame in stack.frames if frame.slope is not None]
    conversion: dict[str, Any] = {
        "slices": len(stack.frames),
        "slope_min": min(slopes),
        "slope_max": max(slopes),
        "padding_voxels": padded,
        "tilt_degrees": round(stack.tilt_deg, 4),
        "transfer_syntax": sorted({frame.pixels.transfer_syntax for frame in stack.frames}),
    }
    if len(set(slopes)) > 1:
        flags.append("slope_by_slice")
    if any(frame.pixels.lossy for frame in stack.frames):
        flags.append("lossy_compressed")
    affine = stack.affine_ras
    if stack.tilt_deg > TILT_DEG:
        conversion["sheared_affine_ras"] = affine.tolist()
        conversion["sheared_shape"] = list(stack.shape)
        array, affine = straighten(array, stack, background)
        flags.append("gantry_tilt_resampled")
    ijk = array.transpose(2, 1, 0)
    grid = Grid(shape=(ijk.shape[0], ijk.shape[1], ijk.shape[2]), affine_ras=affine)
    volume = Volume(array=ijk, grid=grid, units=units)
    return Converted(volume=volume, conversion=conversion, flags=tuple(dict.fromkeys(flags)), suv=suv)
