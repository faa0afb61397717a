"""Feature presets: what is computed from which image, as data in `resources/presets/<preset>.yaml`.

Each image has its own settings, whose unit stands in the key (`bin_width_hu`, `bin_width_suv`, `bin_width_fused`), so
that a bin width in HU cannot reach a PET. Numbers of features are asserted when a preset is read.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import yaml
from pydantic import Field, NonNegativeInt, PositiveFloat, ValidationError, model_validator

from osteorad.cohort.settings import Name, Settings
from osteorad.errors import ConfigError, unknown_name
from osteorad.provenance import digest
from osteorad.radiomics.names import (
    CLASSES,
    FEATURES,
    ON_REQUEST,
    RESOURCES,
    SIMPLE_FILTERS,
    WAVELET_BANDS,
    log_name,
    suv_names,
)

FOLDER = RESOURCES / "presets"
SHUFFLED = "-shuffled"
WAVELETS = r"^(haar|dmey|sym\d+|db\d+|coif\d+|bior\d\.\d|rbio\d\.\d)$"
Spacing = tuple[PositiveFloat, PositiveFloat, PositiveFloat]


class ImageTypes(Settings):
    """Which images features are computed from: the original and filtered ones."""

    original: bool = Field(True, description="The image itself.")
    log_sigma_mm: list[PositiveFloat] = Field(default_factory=list, description="Laplacian of Gaussian, sigma in mm.")
    wavelet: str | None = Field(
        None, pattern=WAVELETS, description="Wavelet of one stationary level, 8 bands; e.g. coif1."
    )
    simple: list[Literal["Square", "SquareRoot", "Logarithm", "Exponential", "Gradient"]] = Field(
        default_factory=list, description="Other filters of pyradiomics."
    )

    def names(self) -> list[str]:
        """Image types under pyradiomics' names, in the order of the columns."""
        bands = [f"wavelet-{band}" for band in WAVELET_BANDS] if self.wavelet else []
        logs = [log_name(sigma) for sigma in self.log_sigma_mm]
        return (["original"] if self.original else []) + logs + bands + [SIMPLE_FILTERS[name] for name in self.simple]


class ImageSettings(Settings):
    """Settings common to all images; each kind of image adds its own bin width."""

    units: ClassVar[str]
    spacing_mm: Spacing | None = Field(..., description="Voxels that features are computed on; null: the image's own.")
    pad_voxels: NonNegativeInt = Field(
        ...,
        description="Voxels kept about the ROI before filters (padDistance); values of filtered images depend on it.",
    )
    minimum_dimensions: Literal[0, 2, 3] = Field(
        2, description="Least number of dimensions in which the ROI is thicker than one voxel; 0: one voxel will do."
    )
    energy_shift: float = Field(0, description="Added before squares in Energy and RMS (voxelArrayShift).")
    image_types: ImageTypes = Field(default_factory=ImageTypes)
    classes: dict[str, Literal["all"] | list[str]] = Field(..., description="Feature class -> all, or names.")
    count: NonNegativeInt = Field(..., description="Number of features that these settings must give, SUV not counted.")

    @property
    def bin_width(self) -> float:
        """Fixed bin width in the units of the image."""
        raise NotImplementedError

    def features(self, feature_class: str) -> tuple[str, ...]:
        """Names of a class that are asked for, sorted; empty where the class is not."""
        asked = self.classes.get(feature_class, [])
        return FEATURES[feature_class] if asked == "all" else tuple(sorted(asked))

    def names(self) -> list[str]:
        """Columns of pyradiomics' features, in the order of the table."""
        columns = [f"original_shape_{name}" for name in self.features("shape")]
        for image_type in self.image_types.names():
            for feature_class in CLASSES[1:]:
                columns += [f"{image_type}_{feature_class}_{name}" for name in self.features(feature_class)]
        return columns

    @model_validator(mode="after")
    def _known_and_counted(self) -> ImageSettings:
        for feature_class, asked in self.classes.items():
            if feature_class not in FEATURES:
                raise ValueError(unknown_name("feature class", feature_class, CLASSES, "classes"))
            valid = {*FEATURES[feature_class], *ON_REQUEST.get(feature_class, ())}
            for name in [] if asked == "all" else asked:
                if name not in valid:
                    raise ValueError(unknown_name("feature", name, valid, f"classes.{feature_class}"))
        texture = [name for name in CLASSES if self.features(name) and name not in ("shape", "firstorder")]
        if not self.minimum_dimensions and (texture or set(self.features("shape")) - {"VoxelVolume"}):
            raise ValueError("minimum_dimensions 0 is only for VoxelVolume and first order: one voxel has no texture")
        if (found := len(self.names())) != self.count:
            raise ValueError(f"these settings give {found} features, `count` says {self.count}")
        return self


class CtSettings(ImageSettings):
    """CT in Hounsfield units."""

    units: ClassVar[str] = "HU"
    bin_width_hu: Annotated[float, Field(ge=1, le=500, description="Fixed bin width in HU.")]

    @property
    def bin_width(self) -> float:
        """Fixed bin width in HU."""
        return self.bin_width_hu


class SuvSettings(Settings):
    """Thresholds of metabolic volume; a voxel at the threshold counts."""

    fixed: list[PositiveFloat] = Field(..., description="Thresholds in SUV.")
    percent: list[Annotated[float, Field(gt=0, lt=100)]] = Field(
        ..., description="Thresholds in % of the ROI's SUVmax."
    )

    @model_validator(mode="after")
    def _distinct_columns(self) -> SuvSettings:
        if len(set(names := suv_names(self.fixed, self.percent))) != len(names):
            raise ValueError("a fixed threshold and a percentage would share a column; choose other values")
        return self


class PetSettings(ImageSettings):
    """PET in SUV by body weight."""

    units: ClassVar[str] = "SUVbw"
    bin_width_suv: Annotated[float, Field(gt=0, le=5, description="Fixed bin width in SUV.")]
    suv: SuvSettings

    @property
    def bin_width(self) -> float:
        """Fixed bin width in SUV."""
        return self.bin_width_suv


class FusedSettings(ImageSettings):
    """Fused PET/CT, 0 to 1."""

    units: ClassVar[str] = "fused"
    bin_width_fused: Annotated[float, Field(gt=0, lt=0.5, description="Fixed bin width on the scale 0 to 1.")]

    @property
    def bin_width(self) -> float:
        """Fixed bin width on the scale 0 to 1."""
        return self.bin_width_fused


class PresetImages(Settings):
    """The images that a preset covers."""

    ct: CtSettings | None = None
    pet: PetSettings | None = None
    fused: FusedSettings | None = None


def kind_of(image: str) -> str:
    """Kind of an image by its name: `ct` of `ct` and `ct-2`, `fused` of `fused-...`."""
    return image.split("-")[0]


class Preset(Settings):
    """A feature preset."""

    name: Name
    title: str
    citation: str = ""
    assumed: list[str] = Field(..., description="What the paper does not state and this preset assumes.")
    images: PresetImages
    shuffled: bool = Field(False, description="Measure every ROI with its voxels in random order: a negative control.")

    def settings(self, image: str) -> ImageSettings | None:
        """Settings of an image by its name (`ct`, `pet`, `fused`, also `ct-2`, `fused-...`); None: not covered."""
        return self.covered().get(kind_of(image))

    def covered(self) -> dict[str, ImageSettings]:
        """Image -> settings, for the images that the preset covers."""
        found = {"ct": self.images.ct, "pet": self.images.pet, "fused": self.images.fused}
        return {image: settings for image, settings in found.items() if settings is not None}

    def feature_names(self, image: str) -> list[str]:
        """Columns that apply to an image, metabolic ones last."""
        settings = self.settings(image)
        if settings is None:
            return []
        suv = suv_names(settings.suv.fixed, settings.suv.percent) if isinstance(settings, PetSettings) else []
        return settings.names() + suv

    def columns(self) -> dict[str, list[str]]:
        """All feature columns of a table of this preset -> the images that they apply to."""
        columns: dict[str, list[str]] = {}
        for image in self.covered():
            for name in self.feature_names(image):
                columns.setdefault(name, []).append(image)
        return {name: columns[name] for name in sorted(columns, key=lambda name: name.startswith("suv_"))}

    def hash(self) -> str:
        """Digest of everything that changes values; titles, citations and assumptions do not."""
        facts = self.images.model_dump(mode="json")
        return digest([facts, "shuffled"] if self.shuffled else facts)


def preset_names() -> list[str]:
    """Presets in `resources/presets`, sorted."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def parse_preset(content: Any, where: str) -> Preset:
    """A preset from the mapping of its file; ConfigError with a line for every problem."""
    try:
        return Preset.model_validate(content)
    except ValidationError as error:
        raise ConfigError([_problem(where, line["loc"], line["msg"]) for line in error.errors()]) from None


def _problem(where: str, place: Iterable[Any], message: str) -> str:
    return f"{where} {'.'.join(str(part) for part in place)}: {message.removeprefix('Value error, ')}"


@cache
def load_preset(name: str) -> Preset:
    """Read a preset by name; ConfigError where it is unknown or wrong.

    A name that ends with SHUFFLED is that preset on ROIs with shuffled voxels.
    """
    if name.endswith(SHUFFLED):
        return load_preset(name.removesuffix(SHUFFLED)).model_copy(update={"name": name, "shuffled": True})
    path = FOLDER / f"{Path(name).name}.yaml"
    if name not in preset_names():
        raise ConfigError(unknown_name("preset", name, preset_names(), "resources/presets"))
    preset = parse_preset(yaml.safe_load(path.read_text(encoding="utf-8")), f"resources/presets/{path.name}")
    if preset.name != name:
        raise ConfigError(f"resources/presets/{path.name} name: found '{preset.name}', wanted '{name}'.")
    return preset


def feature_names(preset: str, image: str) -> list[str]:
    """Columns of a preset that apply to an image (`ct`, `pet`, `fused`); empty where the preset does not cover it."""
    return load_preset(preset).feature_names(image)
