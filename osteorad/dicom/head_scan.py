"""Pixels of a CT for the finder of the neck: few slices, decoded, averaged and turned."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteorad.dicom.headers import Frame, read_frames
from osteorad.dicom.neck import PIXEL_MM, Found, Outline, judge, levels_of, outline
from osteorad.dicom.pixels import read_plane
from osteorad.dicom.places import Place, corners_of, is_axial
from osteorad.errors import SetAside

EVERY_MM, FAR_MM = 10.0, 25.0  # distance of the slices that are looked at: near the top, further down
NEAR_MM = 600.0  # raised arms, head, neck and chest lie so near the top
SAME_MM = 0.01
LEAST_PIXELS = 8  # of the coarse grid, across: about 3 cm
AIR_HU = -1000.0


def judge_scan(places: Sequence[Place]) -> Found:
    """What the slices of one CT show; of each ten millimetres one is decoded."""
    try:
        outlines = [_outline(frame) for frame in _chosen(places)]
    except SetAside as problem:
        return Found("unknown", None, f"the CT cannot be read: {problem.code}")
    return judge(levels_of(outlines))


def _chosen(places: Sequence[Place]) -> Iterator[Frame]:
    """Frames at least `EVERY_MM` or `FAR_MM` apart from the lowest to the highest, the highest always."""
    at: list[tuple[float, str, int]] = []
    for place in places:
        if place.stack:
            at += [(_height(frame), str(place.path), frame.number) for frame in read_frames(place.path)]
        else:
            at.append((((place.low_mm or 0.0) + (place.high_mm or 0.0)) / 2.0, str(place.path), 0))
    at.sort()
    chosen = at[:1]
    for one in at:
        every = EVERY_MM if at[-1][0] - one[0] <= NEAR_MM else FAR_MM
        if one[0] - chosen[-1][0] >= every - SAME_MM:
            chosen.append(one)
    if at[-1][0] > chosen[-1][0]:
        chosen.append(at[-1])
    for _, path, number in chosen:
        yield read_frames(Path(path))[number]


def _height(frame: Frame) -> float:
    """Height of the middle of a plane; raises SetAside where the header does not place it."""
    four = corners_of(frame)
    if four is None or not is_axial(four):
        raise SetAside("geometry_missing", "not axial or not placed")
    return float(four[:, 2].mean())


def _outline(frame: Frame) -> Outline:
    """A plane in HU, averaged to about 4 mm and turned to columns leftwards, rows backwards."""
    four = corners_of(frame)
    if four is None or frame.spacing is None or frame.slope is None or frame.intercept is None:
        raise SetAside("geometry_missing", "not placed, or without a scale")
    plane = read_plane(frame)
    values = plane.values
    if plane.padding is not None:
        values = np.where(plane.padding, (AIR_HU - frame.intercept) / (frame.slope or 1.0), values)
    block = [max(1, round(PIXEL_MM / mm)) for mm in frame.spacing]
    if any(pixels < LEAST_PIXELS * size for pixels, size in zip(values.shape, block, strict=True)):
        raise SetAside("geometry_missing", "no body fits into the image")
    hu = averaged(values, block[0], block[1]) * np.float32(frame.slope) + np.float32(frame.intercept)
    pixel = frame.spacing[0] * block[0], frame.spacing[1] * block[1]
    down, across = four[1] - four[0], four[2] - four[0]
    if abs(across[0]) < abs(down[0]):
        hu, pixel, down, across = hu.T, pixel[::-1], across, down
    hu = hu[:, ::-1] if across[0] < 0 else hu
    hu = hu[::-1] if down[1] < 0 else hu
    return outline(hu, z_mm=float(four[:, 2].mean()), pixel_mm=(pixel[0], pixel[1]), x_mm=float(four[:, 0].min()))


def averaged(values: NDArray[Any], rows: int, columns: int) -> NDArray[np.floating[Any]]:
    """Means of blocks of `rows` by `columns` pixels; what is left over at the far edges is dropped."""
    high, wide = (values.shape[0] // rows) * rows, (values.shape[1] // columns) * columns
    total = np.zeros((high // rows, wide // columns), dtype=np.float32)
    for row in range(rows):
        for column in range(columns):
            total += values[row:high:rows, column:wide:columns]
    return total / np.float32(rows * columns)
