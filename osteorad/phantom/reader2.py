"""A second reader: the same lesions and marrow, drawn again as another hand draws them, as mask files.

The border moves in slow waves, by about a millimetre and more where voxels are large; the whole contour is a little
larger or smaller and shifted, an end slice is sometimes left out, and now and then a lesion is not drawn at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import distance_transform_edt, gaussian_filter, shift

from osteorad.cohort.config import PHANTOM_SECOND_SET, Phantom
from osteorad.cohort.pseudonyms import PHANTOM_KEY, session_name
from osteorad.dicom.uids import map_uid
from osteorad.phantom.contours import nrrd_bytes
from osteorad.phantom.facts import generator
from osteorad.phantom.headers import Visit
from osteorad.phantom.series import DicomFile, Volume3D

Bools = NDArray[np.bool_]

WAVE_MM = 4.0  # correlation length of the hand's waver
WAVER_MM, WAVER_VOXELS = 0.4, 0.25  # standard deviation of the border: so much, and so much of a voxel
SIZE_MM, SHIFT_MM = 0.3, 0.4  # standard deviations of the whole size, and of the position along each axis
LEFT_OUT = 0.3  # chance that one end slice is left out
MISSED = 0.04  # chance that a lesion is not drawn
MARGIN_MM = 5.0


def second_reader(settings: Phantom, visit: Visit, volume: Volume3D, masks: Mapping[str, Bools]) -> Iterator[DicomFile]:
    """Mask files of the second reader for one image of a session: lesions and marrow, `<roi>-<n>.nrrd`.

    masks : (z, y, x) by key ('marrow', 'lesion-1', 'heart'). A lesion that is missed is missed on CT and PET alike.
    """
    image = {"CT": "ct", "PT": "pet"}[volume.modality]
    folder = f"masks-{PHANTOM_SECOND_SET}/{session_name(map_uid(PHANTOM_KEY, visit.study_uid))}/{image}"
    for key, mask in masks.items():
        name = "marrow-1" if key == "marrow" else key
        missed = generator(settings, visit.facts.number, f"reader2/{key}").random() < MISSED
        if key == "heart" or not mask.any() or (missed and key != "marrow"):
            continue
        rng = generator(settings, visit.facts.number, f"reader2/{visit.session}/{image}/{key}")
        drawn = redrawn(mask, volume.geometry.spacing, rng)
        content = nrrd_bytes(drawn, volume.geometry.spacing, volume.geometry.origin)
        yield DicomFile(name=f"{folder}/{name}.nrrd", content=content)


def redrawn(mask: Bools, spacing_xyz_mm: tuple[float, float, float], rng: np.random.Generator) -> Bools:
    """A mask (z, y, x) as another hand draws it; never empty, and never more than some millimetres off."""
    spacing = np.array(spacing_xyz_mm[::-1])
    box = _box(mask, np.ceil(MARGIN_MM / spacing).astype(int))
    part = mask[box]
    distance = distance_transform_edt(~part, sampling=spacing) - distance_transform_edt(part, sampling=spacing)
    distance -= np.sign(distance) * spacing[1] / 2  # the border runs half-way between voxel centres
    waver = gaussian_filter(rng.standard_normal(part.shape), WAVE_MM / spacing)
    waver *= (WAVER_MM + WAVER_VOXELS * spacing[1]) / waver.std()
    moved = shift(distance, rng.normal(0, SHIFT_MM, 3) / spacing, order=1, mode="nearest")
    again = moved + waver + rng.normal(0, SIZE_MM) < 0
    slices = np.flatnonzero(again.any(axis=(1, 2)))
    if slices.size > 3 and rng.random() < LEFT_OUT:
        again[slices[0] if rng.random() < 0.5 else slices[-1]] = False
    result = np.zeros_like(mask)
    result[box] = again if again.any() else part
    return result


def _box(mask: Bools, margin: NDArray[np.int_]) -> tuple[slice, ...]:
    found = np.argwhere(mask)
    low, high = found.min(axis=0) - margin, found.max(axis=0) + 1 + margin
    return tuple(slice(max(0, int(a)), min(n, int(b))) for a, b, n in zip(low, high, mask.shape, strict=True))
