"""Names of features: classes, image types, columns, and what a column's numbers mean.

A light module: it holds pyradiomics' names as data, so that settings can be checked without loading pyradiomics. A test
holds them equal to the installed version, because counts have changed between versions.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path

RESOURCES = Path(__file__).resolve().parents[2] / "resources"

_GRAY = "GrayLevelNonUniformity GrayLevelNonUniformityNormalized GrayLevelVariance"
FEATURES: Mapping[str, tuple[str, ...]] = {
    name: tuple(sorted(text.split()))
    for name, text in {
        "shape": "Elongation Flatness LeastAxisLength MajorAxisLength Maximum2DDiameterColumn Maximum2DDiameterRow "
        "Maximum2DDiameterSlice Maximum3DDiameter MeshVolume MinorAxisLength Sphericity SurfaceArea "
        "SurfaceVolumeRatio VoxelVolume",
        "firstorder": "10Percentile 90Percentile Energy Entropy InterquartileRange Kurtosis Maximum "
        "MeanAbsoluteDeviation Mean Median Minimum Range RobustMeanAbsoluteDeviation RootMeanSquared Skewness "
        "TotalEnergy Uniformity Variance",
        "glcm": "Autocorrelation ClusterProminence ClusterShade ClusterTendency Contrast Correlation DifferenceAverage "
        "DifferenceEntropy DifferenceVariance Id Idm Idmn Idn Imc1 Imc2 InverseVariance JointAverage JointEnergy "
        "JointEntropy MCC MaximumProbability SumAverage SumEntropy SumSquares",
        "gldm": "DependenceEntropy DependenceNonUniformity DependenceNonUniformityNormalized DependenceVariance "
        "GrayLevelNonUniformity GrayLevelVariance HighGrayLevelEmphasis LargeDependenceEmphasis "
        "LargeDependenceHighGrayLevelEmphasis LargeDependenceLowGrayLevelEmphasis LowGrayLevelEmphasis "
        "SmallDependenceEmphasis SmallDependenceHighGrayLevelEmphasis SmallDependenceLowGrayLevelEmphasis",
        "glrlm": f"{_GRAY} HighGrayLevelRunEmphasis LongRunEmphasis LongRunHighGrayLevelEmphasis "
        "LongRunLowGrayLevelEmphasis LowGrayLevelRunEmphasis RunEntropy RunLengthNonUniformity "
        "RunLengthNonUniformityNormalized RunPercentage RunVariance ShortRunEmphasis ShortRunHighGrayLevelEmphasis "
        "ShortRunLowGrayLevelEmphasis",
        "glszm": f"{_GRAY} HighGrayLevelZoneEmphasis LargeAreaEmphasis LargeAreaHighGrayLevelEmphasis "
        "LargeAreaLowGrayLevelEmphasis LowGrayLevelZoneEmphasis SizeZoneNonUniformity "
        "SizeZoneNonUniformityNormalized SmallAreaEmphasis SmallAreaHighGrayLevelEmphasis "
        "SmallAreaLowGrayLevelEmphasis ZoneEntropy ZonePercentage ZoneVariance",
        "ngtdm": "Busyness Coarseness Complexity Contrast Strength",
    }.items()
}
CLASSES = tuple(FEATURES)
TEXTURES = ("glcm", "gldm", "glrlm", "glszm", "ngtdm")
# Features that pyradiomics gives only when they are named.
ON_REQUEST: Mapping[str, tuple[str, ...]] = {
    "shape": ("Compactness1", "Compactness2", "SphericalDisproportion"),
    "firstorder": ("StandardDeviation",),
}
WAVELET_BANDS = ("LLH", "LHL", "LHH", "HLL", "HLH", "HHL", "HHH", "LLL")
SIMPLE_FILTERS = {
    "Square": "square",
    "SquareRoot": "squareroot",
    "Logarithm": "logarithm",
    "Exponential": "exponential",
    "Gradient": "gradient",
}

_UNITS = {
    "shape": {
        "Elongation": "1",
        "Flatness": "1",
        "Sphericity": "1",
        "SphericalDisproportion": "1",
        "Compactness1": "1",
        "Compactness2": "1",
        "SurfaceArea": "mm2",
        "SurfaceVolumeRatio": "mm-1",
        "MeshVolume": "mm3",
        "VoxelVolume": "mm3",
    },
    "firstorder": {
        "Energy": "image2",
        "TotalEnergy": "image2 mm3",
        "Variance": "image2",
        "Entropy": "bit",
        "Kurtosis": "1",
        "Skewness": "1",
        "Uniformity": "1",
    },
}


def log_name(sigma_mm: float) -> str:
    """Pyradiomics' name of a LoG image, e.g. `log-sigma-1-0-mm-3D`."""
    return f"log-sigma-{str(float(sigma_mm)).replace('.', '-')}-mm-3D"


def threshold_name(value: float) -> str:
    """A threshold as it stands in a column's name: 41, 4, 2.5."""
    return f"{value:g}"


def suv_names(fixed: Iterable[float], percent: Iterable[float]) -> list[str]:
    """Columns of metabolic features for thresholds in SUV (`fixed`) and in per cent of the ROI's SUVmax."""
    names = ["suv_Max", "suv_Mean", "suv_Peak", "suv_Peak-local"]
    for value in [*percent, *fixed]:
        names += [f"suv_MTV-{threshold_name(value)}", f"suv_TLG-{threshold_name(value)}"]
    return names


def parts(column: str) -> tuple[str, str, str]:
    """Filter, class and name of a column; metabolic features have the class `suv` and no filter."""
    if column.startswith("suv_"):
        return "", "suv", column.removeprefix("suv_")
    image_type, feature_class, name = column.split("_", 2)
    return image_type, feature_class, name


def unit_of(column: str) -> str:
    """Unit of a column; `image` stands for the unit of the row's own image (HU, SUV, or 1 for fused)."""
    _, feature_class, name = parts(column)
    if feature_class == "suv":
        return "ml" if name.startswith("MTV") else "SUV ml" if name.startswith("TLG") else "SUV"
    if feature_class == "shape":
        return _UNITS["shape"].get(name, "mm")
    if feature_class == "firstorder":
        return _UNITS["firstorder"].get(name, "image")
    return "1"


@cache
def ibsi_tags() -> Mapping[str, tuple[str, str]]:
    """`class_Name` -> (IBSI tags, note on a different convention); resources/radiomics/ibsi_tags.csv."""
    with open(RESOURCES / "radiomics" / "ibsi_tags.csv", encoding="utf-8", newline="") as stream:
        return {row["feature"]: (row["ibsi_tags"], row["note"]) for row in csv.DictReader(stream)}


def column_metadata(column: str, images: Sequence[str]) -> dict[str, str]:
    """Arrow metadata of a column: unit, class, filter, images that it applies to, IBSI tag where one exists."""
    image_type, feature_class, name = parts(column)
    facts = {"unit": unit_of(column), "class": feature_class, "filter": image_type, "images": " ".join(images)}
    tags, note = ibsi_tags().get(f"{feature_class}_{name}", ("", ""))
    if tags:
        facts["ibsi"] = tags
    if note:
        facts["note"] = note
    return facts
