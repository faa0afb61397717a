"""The extraction engine: image + mask + settings -> features, with the values of plain pyradiomics.

What it does otherwise than `RadiomicsFeatureExtractor.execute`, without changing a bit of the result: only voxels that
can reach the ROI are resampled, grey levels are made once for an image type and shared by all classes, and the mesh is
not built where nobody asks for it. This is the seam for faster engines: image + mask + settings -> features.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray
from radiomics import firstorder, glcm, gldm, glrlm, glszm, imageoperations, ngtdm, shape

from osteorad.errors import SetAside
from osteorad.images.volume import Mask, Volume
from osteorad.radiomics import pet, quality
from osteorad.radiomics.names import CLASSES, TEXTURES
from osteorad.radiomics.presets import ImageSettings, PetSettings
from osteorad.radiomics.quality import Finding
from osteorad.radiomics.voxels import Index, native_roi, resampled_roi

# What pyradiomics warns of becomes a finding here; its classes log under the module that subclasses them.
for _name in ("radiomics", __name__):
    logging.getLogger(_name).setLevel(logging.ERROR)


@dataclass(frozen=True, slots=True, kw_only=True)
class RoiFeatures:
    """Features of one ROI: finite values by column, findings for what is missing or doubtful, grey levels used."""

    values: Mapping[str, float]
    findings: tuple[Finding, ...]
    levels: Mapping[str, int] = field(default_factory=dict)  # image type -> number of grey levels in the ROI


def _box(image: sitk.Image) -> Index:
    """First and last index of the voxels that are not zero, as pyradiomics wants them: x, x, y, y, z, z."""
    box = quality.bounding_box(sitk.GetArrayViewFromImage(image).T)
    if box is None:
        raise SetAside("roi_empty", "no voxel is left after resampling")
    return np.array([bound for side in box for bound in (side.start, side.stop - 1)])


# --- feature classes -------------------------------------------------------------------------------------------------


class _Shared:
    """Takes grey levels that were made once, and lists a class's features once."""

    settings: dict[str, Any]
    coefficients: dict[str, Any]
    _names: dict[str, bool] | None = None

    def _applyBinning(self, matrix: NDArray[np.generic]) -> NDArray[np.int_]:  # noqa: N802 (pyradiomics' name)
        levels: _Levels = self.settings["levels"]
        self.coefficients["grayLevels"] = levels.present
        self.coefficients["Ng"] = int(levels.present.max())
        return levels.array

    @classmethod
    def getFeatureNames(cls) -> dict[str, bool]:  # noqa: N802
        if "_names" not in cls.__dict__:
            cls._names = super().getFeatureNames()  # type: ignore[misc]
        return dict(cls._names or {})


class _FirstOrder(_Shared, firstorder.RadiomicsFirstOrder): ...


class _Glcm(_Shared, glcm.RadiomicsGLCM): ...


class _Gldm(_Shared, gldm.RadiomicsGLDM): ...


class _Glrlm(_Shared, glrlm.RadiomicsGLRLM): ...


class _Glszm(_Shared, glszm.RadiomicsGLSZM): ...


class _Ngtdm(_Shared, ngtdm.RadiomicsNGTDM): ...


_CALCULATORS = {
    "firstorder": _FirstOrder,
    "glcm": _Glcm,
    "gldm": _Gldm,
    "glrlm": _Glrlm,
    "glszm": _Glszm,
    "ngtdm": _Ngtdm,
}


@dataclass(frozen=True, slots=True)
class _Levels:
    """Grey levels of a ROI: array (z, y, x), 0 outside, and the levels present."""

    array: NDArray[np.int_]
    present: NDArray[np.int_]


def _discretise(image: sitk.Image, inside: NDArray[np.bool_], options: Mapping[str, Any]) -> _Levels:
    """Fixed bin width with edges at multiples of it (pyradiomics' rule), from the ROI's extremes alone."""
    values = sitk.GetArrayViewFromImage(image)[inside]
    edges = imageoperations.getBinEdges(np.array([values.min(), values.max()]), **options)
    array = np.zeros(inside.shape, dtype="int")
    array[inside] = np.digitize(values, edges)
    return _Levels(array, np.unique(array[inside]))


def image_types(image: sitk.Image, mask: sitk.Image, settings: ImageSettings) -> Iterator[tuple[str, sitk.Image]]:
    """Name and image of every image type that the settings ask for; one that is too small for a filter is left out."""
    asked = settings.image_types
    if asked.original:
        yield "original", image
    if asked.log_sigma_mm:
        sigma = [float(value) for value in asked.log_sigma_mm]
        yield from ((name, made) for made, name, _ in imageoperations.getLoGImage(image, mask, sigma=sigma))
    if asked.wavelet:
        bands = imageoperations.getWaveletImage(image, mask, wavelet=asked.wavelet)
        yield from ((name, made) for made, name, _ in bands)
    for simple in asked.simple:
        made_by = getattr(imageoperations, f"get{simple}Image")
        yield from ((name, made) for made, name, _ in made_by(image, mask))


def _run(calculator: Any, names: tuple[str, ...]) -> dict[str, float]:
    calculator.enabledFeatures = dict.fromkeys(names, True)  # by hand: naming a deprecated one would log a warning
    return {name: float(value) for name, value in calculator.execute().items()}


def _shape(image: sitk.Image, mask: sitk.Image, settings: ImageSettings) -> dict[str, float]:
    """Shape features; the mesh is not built where only the volume of the voxels is asked for."""
    names = settings.features("shape")
    if set(names) <= {"VoxelVolume"}:
        volume = np.prod(image.GetSpacing()) * np.count_nonzero(sitk.GetArrayViewFromImage(mask))
        return {f"original_shape_{name}": float(volume) for name in names}
    found = _run(shape.RadiomicsShape(image, mask), names)
    return {f"original_shape_{name}": value for name, value in found.items()}


def _intensity(
    image: sitk.Image, mask: sitk.Image, box: Index, settings: ImageSettings
) -> tuple[dict[str, float], dict[str, int]]:
    """First-order and texture features of all image types, and the grey levels of each."""
    values: dict[str, float] = {}
    levels: dict[str, int] = {}
    asked = {name: settings.features(name) for name in CLASSES[1:] if settings.features(name)}
    options: dict[str, Any] = {"binWidth": settings.bin_width, "voxelArrayShift": settings.energy_shift, "label": 1}
    for image_type, filtered in image_types(image, mask, settings):
        part, part_mask = imageoperations.cropToTumorMask(filtered, mask, box)
        made = _discretise(part, sitk.GetArrayViewFromImage(part_mask) == 1, options)
        if set(asked) & set(TEXTURES):
            levels[image_type] = int(made.present.size)
        for feature_class, names in asked.items():
            calculator = _CALCULATORS[feature_class](part, part_mask, levels=made, **options)
            for name, value in _run(calculator, names).items():
                values[f"{image_type}_{feature_class}_{name}"] = value
    return values, levels


def pyradiomics_features(
    image: sitk.Image, mask: sitk.Image, settings: ImageSettings
) -> tuple[dict[str, float], dict[str, int]]:
    """Features of a ROI that is already on its final voxels (mask 0 and 1), and the grey levels of each image type.

    SetAside where the ROI is empty there or has too few dimensions.
    """
    box = _box(mask)
    voxels = int(np.count_nonzero(sitk.GetArrayViewFromImage(mask)))
    sides = (box[1::2] - box[0::2] + 1).tolist()
    where = f"voxels of {' x '.join(f'{side:g}' for side in image.GetSpacing())} mm"
    quality.require_dimensions((sides[0], sides[1], sides[2]), voxels, settings.minimum_dimensions, where)
    part, part_mask = imageoperations.cropToTumorMask(image, mask, box)
    values = _shape(part, part_mask, settings)
    with np.errstate(all="ignore"):
        intensity, levels = _intensity(image, mask, box, settings)
    return values | intensity, levels


# --- one ROI ---------------------------------------------------------------------------------------------------------


def extract_roi(volume: Volume, mask: Mask, settings: ImageSettings) -> RoiFeatures:
    """All features of one ROI of one image; whatever cannot be computed is a finding, never an exception.

    volume : CT in HU, PET in SUVbw or fused; mask : on the same grid. ValueError where the image is not in the units of
    the settings: a bin width in HU must never reach a PET.
    """
    if volume.units != settings.units:
        raise ValueError(f"the settings are for images in {settings.units}, the image is in {volume.units}")
    try:
        roi = quality.locate_roi(volume, mask)
        sides = tuple(side.stop - side.start for side in roi.box)
        quality.require_dimensions(sides, roi.voxels, settings.minimum_dimensions, "voxels of the image")
    except SetAside as missing:
        return RoiFeatures(
            values={}, findings=(Finding(feature_class="all", code=missing.code, detail=missing.detail),)
        )
    values, findings, levels = _resampled_features(volume, mask, roi, settings)
    findings = quality.doubts(roi, volume) + findings + quality.low_levels(levels)
    if isinstance(settings, PetSettings):
        suv, missing_suv = pet.suv_features(volume, roi, fixed=settings.suv.fixed, percent=settings.suv.percent)
        values, findings = values | suv, findings + missing_suv
    return RoiFeatures(values=values, findings=tuple(findings), levels=levels)


def _resampled_features(
    volume: Volume, mask: Mask, roi: quality.RoiBox, settings: ImageSettings
) -> tuple[dict[str, float], list[Finding], dict[str, int]]:
    """Pyradiomics' features on the voxels of the settings: finite values, findings, grey levels."""
    try:
        if settings.spacing_mm is None:
            image, inside = native_roi(volume, mask, roi.box, settings.pad_voxels)
        else:
            image, inside = resampled_roi(volume, mask, roi.box, settings.spacing_mm, settings.pad_voxels)
        found, levels = pyradiomics_features(image, inside, settings)
    except SetAside as missing:
        lost = [
            Finding(feature_class=name, code=missing.code, detail=missing.detail)
            for name in CLASSES
            if settings.features(name)
        ]
        return {}, lost, {}
    values = {name: found[name] for name in settings.names() if name in found and np.isfinite(found[name])}
    return values, quality.undefined_features([name for name in settings.names() if name not in values]), levels
