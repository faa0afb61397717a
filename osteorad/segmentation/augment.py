"""How a patch is cut from a case, turned, stretched and varied: pure functions of the patch's own random generator.

Cutting, rotation, scale and mirroring are one affine map from the patch to the case: an image is interpolated once.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from osteorad.cohort.segmentation import Augmentation
from osteorad.segmentation.cases import IGNORED

FloatArray = NDArray[np.float32]
Labels = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """One draw of the augmentation: of a patch, before its values are known."""

    degrees: float
    scale: float  # over 1: the patch shows things larger
    mirrored: bool
    contrast: float
    brightness: float
    noise_sd: float

    @property
    def moves(self) -> bool:
        """Whether voxels of the patch fall between those of the case."""
        return self.degrees != 0.0 or self.scale != 1.0


def draw_variation(settings: Augmentation, rng: np.random.Generator) -> Variation:
    """Draw within the limits of the settings; always as many numbers, so that one setting does not shift the others."""
    turn, size, stretch, shift, noise, flip = rng.uniform(-1.0, 1.0, 6)
    return Variation(
        degrees=float(turn) * settings.rotate_degrees,
        scale=(1.0 + settings.scale) ** float(size),
        mirrored=settings.flip and bool(flip > 0),
        contrast=1.0 + float(stretch) * settings.contrast,
        brightness=float(shift) * settings.brightness,
        noise_sd=abs(float(noise)) * settings.noise,
    )


def matrix_of(variation: Variation, dimensions: int) -> NDArray[np.float64]:
    """Matrix from offsets in the patch to offsets in the case, axes ([slices,] rows, columns)."""
    angle = np.deg2rad(variation.degrees)
    within = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    if variation.mirrored:
        within[:, 1] *= -1.0
    matrix = np.eye(dimensions)
    matrix[-2:, -2:] = within
    return matrix / variation.scale


def cut(
    image: FloatArray,
    labels: Labels,
    centre: NDArray[np.float64],
    patch: tuple[int, ...],
    *,
    variation: Variation,
    lowest: float,
) -> tuple[FloatArray, Labels]:
    """A patch about `centre` (voxels of the case) and its labels, of shape `patch`.

    image, labels : a slice or a volume. Beyond the border the image is `lowest` and the labels are IGNORED.
    """
    if not variation.moves:
        image, labels = _sliced(image, labels, centre, patch, lowest)
        if variation.mirrored:
            return np.ascontiguousarray(image[..., ::-1]), np.ascontiguousarray(labels[..., ::-1])
        return image, labels
    matrix = matrix_of(variation, len(patch))
    offset = centre - matrix @ ((np.asarray(patch) - 1) / 2.0)
    where = {"offset": offset, "output_shape": patch, "mode": "constant", "prefilter": False}
    image = ndimage.affine_transform(image, matrix, order=1, cval=lowest, output=np.float32, **where)
    labels = ndimage.affine_transform(labels, matrix, order=0, cval=IGNORED, output=np.uint8, **where)
    return image, labels


def _sliced(
    image: FloatArray, labels: Labels, centre: NDArray[np.float64], patch: tuple[int, ...], lowest: float
) -> tuple[FloatArray, Labels]:
    """Whole voxels: nothing is interpolated."""
    first = np.floor(centre - (np.asarray(patch) - 1) / 2.0 + 0.5).astype(int)
    begin, end = np.maximum(first, 0), np.minimum(first + patch, image.shape)
    source = tuple(slice(a, max(a, b)) for a, b in zip(begin, end, strict=True))
    target = tuple(slice(a - f, max(a, b) - f) for a, b, f in zip(begin, end, first, strict=True))
    cut_image = np.full(patch, lowest, dtype=np.float32)
    cut_labels = np.full(patch, IGNORED, dtype=np.uint8)
    cut_image[target], cut_labels[target] = image[source], labels[source]
    return cut_image, cut_labels


def varied(image: FloatArray, variation: Variation, rng: np.random.Generator) -> FloatArray:
    """Contrast about the patch's mean, brightness, and noise."""
    if variation.contrast != 1.0:
        middle = image.mean(dtype=np.float64)
        image = (image - np.float32(middle)) * np.float32(variation.contrast) + np.float32(middle)
    if variation.brightness:
        image = image + np.float32(variation.brightness)
    if variation.noise_sd:
        image = image + rng.standard_normal(image.shape, dtype=np.float32) * np.float32(variation.noise_sd)
    return image
