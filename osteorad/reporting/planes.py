"""Pictures of volumes: planes through the patient, sampled in millimetres, so that aspect and orientation are right.

A plane lies along patient axes (RAS), whatever the axes of the array; CT and PET are sampled at the same points and so
lie exactly over each other. Radiological view: the patient's right is on the left of axial and coronal pictures,
anterior is on the left of sagittal ones.
"""

from __future__ import annotations

import base64
import io
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import map_coordinates

from osteorad.images.volume import Grid

FloatArray = NDArray[np.float64]

# view -> direction to the right of the picture, direction down, letters left, right, top, bottom (RAS unit vectors)
VIEWS: dict[str, tuple[tuple[int, int, int], tuple[int, int, int], tuple[str, str, str, str]]] = {
    "axial": ((-1, 0, 0), (0, -1, 0), ("R", "L", "A", "P")),
    "coronal": ((-1, 0, 0), (0, 0, -1), ("R", "L", "H", "F")),
    "sagittal": ((0, -1, 0), (0, 0, -1), ("A", "P", "H", "F")),
}

BONE_WINDOW_HU = (-500.0, 1300.0)
LEAST_SUV = 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """A rectangle in the patient: its middle (RAS mm), view, pixels and pixel size."""

    middle_ras: tuple[float, float, float]
    view: str
    width: int
    height: int
    pixel_mm: float

    def points_ras(self) -> FloatArray:
        """Centres of all pixels, shape (3, height, width), RAS mm."""
        right, down, _ = VIEWS[self.view]
        across = (np.arange(self.width) - (self.width - 1) / 2) * self.pixel_mm
        along = (np.arange(self.height) - (self.height - 1) / 2) * self.pixel_mm
        middle = np.asarray(self.middle_ras, dtype=np.float64)[:, None, None]
        rightward = np.asarray(right, dtype=np.float64)[:, None, None] * across[None, None, :]
        downward = np.asarray(down, dtype=np.float64)[:, None, None] * along[None, :, None]
        return middle + rightward + downward


def to_index(grid: Grid, points_ras: FloatArray) -> FloatArray:
    """Continuous voxel indices of points, same shape."""
    inverse = np.linalg.inv(grid.affine_ras)
    flat = points_ras.reshape(3, -1)
    return (inverse[:3, :3] @ flat + inverse[:3, 3:]).reshape(points_ras.shape)


def to_ras(grid: Grid, index: FloatArray) -> tuple[float, float, float]:
    """RAS mm of a continuous voxel index of shape (3,)."""
    x, y, z = grid.affine_ras[:3, :3] @ index + grid.affine_ras[:3, 3]
    return float(x), float(y), float(z)


def sample_image(array: NDArray[np.generic], grid: Grid, plane: Plane, outside: float) -> NDArray[np.float32]:
    """Values on a plane, trilinear, shape (height, width); `outside` beyond the voxels' edges."""
    index = to_index(grid, plane.points_ras())
    values = map_coordinates(array, index, order=1, mode="nearest", output=np.float32, prefilter=False)
    limits = np.asarray(grid.shape, dtype=np.float64)[:, None, None]
    inside = np.all((index >= -0.5) & (index <= limits - 0.5), axis=0)
    return np.where(inside, values, np.float32(outside))


def sample_mask(array: NDArray[np.uint8], grid: Grid, start: tuple[int, int, int], plane: Plane) -> NDArray[np.bool_]:
    """Mask on a plane by nearest voxel, shape (height, width); `array` is a crop that begins at index `start`."""
    index = np.floor(to_index(grid, plane.points_ras()) + 0.5).astype(np.int64)
    index -= np.asarray(start, dtype=np.int64)[:, None, None]
    limits = np.asarray(array.shape, dtype=np.int64)[:, None, None]
    inside: NDArray[np.bool_] = np.all((index >= 0) & (index < limits), axis=0)
    i, j, k = np.where(inside[None], index, 0)
    found: NDArray[np.bool_] = inside & array[i, j, k].astype(bool)
    return found


def grey_ct(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """HU in the bone window as grey, shape kept."""
    low, high = BONE_WINDOW_HU
    return (np.clip((values - low) / (high - low), 0, 1) * 255).astype(np.uint8)


def grey_pet(values: NDArray[np.float32], upper_suv: float) -> NDArray[np.uint8]:
    """SUV as inverted grey: nothing white, `upper_suv` and more black."""
    return (255 - np.clip(values / upper_suv, 0, 1) * 255).astype(np.uint8)


def fused(ct_hu: NDArray[np.float32], pet_suv: NDArray[np.float32], upper_suv: float) -> NDArray[np.uint8]:
    """PET in a hot scale over CT, opacity rising with uptake; RGB, shape (height, width, 3)."""
    base = np.repeat(grey_ct(ct_hu)[..., None], 3, axis=2).astype(np.float32)
    share = np.clip(pet_suv / upper_suv, 0, 1)
    hot = np.stack([np.clip(share * 3 - offset, 0, 1) for offset in (0, 1, 2)], axis=2) * 255
    opacity = np.clip((share - 0.08) * 1.8, 0, 0.75)[..., None]
    return (base * (1 - opacity) + hot * opacity).astype(np.uint8)


def webp_base64(pixels: NDArray[np.uint8], quality: int = 72) -> str:
    """Pixels (grey or RGB) as base64 WebP; the same pixels give the same text."""
    sink = io.BytesIO()
    Image.fromarray(pixels).convert("RGB").save(sink, "WEBP", quality=quality, method=4)
    return base64.b64encode(sink.getvalue()).decode()
